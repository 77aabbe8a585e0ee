//! What the screen knows, apart from how it is drawn and where it comes from.

use std::collections::BTreeMap;

use ratatui::layout::Size;
use sync_core::api::{
    ContactCard, ConversationView, DeviceView, MemberView, MessageView, Problem, Status,
};
use sync_core::document::OrderKey;
use sync_core::{Command, Failure, Response};
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, Rejection, SpaceId};

use super::field::Field;
use super::finding::Search;
use super::pages::Page;

/// Messages asked for at once.
pub(crate) const PAGE: usize = 60;
/// How long somebody is shown as typing after they last did.
pub(crate) const TYPING_MS: u64 = 6_000;

/// What the keys go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The list of conversations.
    #[default]
    List,
    /// The messages, one of them chosen.
    Messages,
    /// The line being written.
    Compose,
    /// The pane at the side.
    Side,
}

/// What the pane at the side shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The members of the open conversation.
    Members,
    /// Settings.
    Settings,
}

/// What the line being written will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Composing {
    /// A message.
    #[default]
    New,
    /// An answer to a message.
    Reply(OrderKey),
    /// Another text for a message.
    Edit(OrderKey),
}

/// A form in front of everything else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dialog {
    /// Address and name of a new account.
    SignUp(Form),
    /// What this device is to be called in the account that will link it.
    Offer(Form),
    /// Address, recovery code and the name of this device.
    Recover(Form),
    /// The recovery code, to be written down.
    RecoveryCode {
        /// The words.
        code: String,
        /// Whether an earlier one was used up.
        replaces: bool,
    },
    /// The relay's address with the code of an invite, to be given to somebody.
    Invite(String),
    /// What a new device shows, to link it.
    LinkOffer(Form),
    /// Whether that device may read what was written before.
    LinkHistory(String),
    /// What the new device is to be called, and the code that it shows.
    LinkCode(String, Form),
    /// Who somebody is, to be compared.
    Contact(ContactCard),
    /// The same to be scanned by the other person.
    Shown(ContactCard),
    /// What the other person shows, to be compared.
    Compare(AccountId, Form),
    /// Title and members of a new conversation.
    NewConversation(Form),
    /// The address of somebody to add, without their past or (second) with it.
    AddMember(Form, bool),
    /// Another title.
    Title(Form),
    /// Another name of one's own.
    Name(Form),
    /// A reaction.
    React(OrderKey, Form),
    /// Something that can't be undone: what to ask, and what to do then.
    Confirm(String, Command),
    /// The keys, from this line on.
    Help(u16),
}

/// Labelled fields, one of them being filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Labels and what was typed.
    pub(crate) fields: Vec<(&'static str, Field)>,
    /// Which is being filled in.
    pub(crate) at: usize,
    /// What was wrong with it.
    pub(crate) error: Option<String>,
    /// Sent, and not answered yet.
    pub(crate) busy: bool,
}

impl Form {
    /// An empty form.
    pub(crate) fn new(labels: &[&'static str]) -> Self {
        let fields = labels.iter().map(|label| (*label, Field::default())).collect();
        Self { fields, at: 0, error: None, busy: false }
    }

    /// What was typed into a field.
    pub(crate) fn text(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", |(_, field)| field.text().trim())
    }
}

/// Why something was asked of the client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// To know how things stand.
    Status,
    /// To know the conversations.
    List,
    /// To know messages: the newest, or those before one.
    Page(SpaceId, Option<OrderKey>),
    /// To know the settings.
    Settings,
    /// To know the devices.
    Devices,
    /// To show who somebody is.
    Contact,
    /// To know whether two safety numbers are the same.
    Compare(AccountId),
    /// To look through messages, in the search of this number.
    Search(u64),
    /// To have this device linked.
    Offer,
    /// For the dialog that is open.
    Dialog,
    /// To send what was written, which comes back to be written on if it is refused.
    Send(SpaceId, Composing, String),
    /// For its effect; a failure is shown.
    Do,
    /// For its effect; a failure matters to nobody.
    Quiet,
}

impl Purpose {
    /// Whether it only wants to know: asking twice is asking once.
    pub(crate) fn is_question(&self) -> bool {
        matches!(self, Self::Status | Self::List | Self::Page(..) | Self::Settings | Self::Devices)
    }
}

/// Something to ask of the client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Effect(pub(crate) Purpose, pub(crate) Command);

/// An answer.
pub(crate) type Answer = Result<Response, Failure>;

/// Everything the screen shows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Where the relay is.
    pub(crate) relay: String,
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
    /// How things stand.
    pub(crate) status: Status,
    /// Why there is no connection, where known.
    pub(crate) problem: Option<String>,
    /// Pinned ones first, archived ones last.
    pub(crate) conversations: Vec<ConversationView>,
    /// Which line of the list is chosen.
    pub(crate) chosen: usize,
    /// The conversation whose messages are shown.
    pub(crate) open: Option<SpaceId>,
    /// Its messages, in display order.
    pub(crate) messages: Vec<MessageView>,
    /// Whether there may be older ones.
    pub(crate) has_older: bool,
    /// Whether older ones were asked for.
    pub(crate) is_loading: bool,
    /// The message that keys act on.
    pub(crate) selected: Option<OrderKey>,
    /// Lines of it above the pane, if it is taller: no more than leave the pane full are counted.
    pub(crate) scroll: usize,
    /// Columns and rows of the terminal, as it was last drawn on.
    pub(crate) size: Size,
    /// What the keys go to.
    pub(crate) focus: Focus,
    /// The line being written.
    pub(crate) compose: Field,
    /// What it will be.
    pub(crate) composing: Composing,
    /// Lines begun in other conversations.
    pub(crate) drafts: BTreeMap<SpaceId, Field>,
    /// In front of everything else.
    pub(crate) dialog: Option<Dialog>,
    /// Instead of conversations and messages.
    pub(crate) page: Option<Page>,
    /// What is looked for, and what was found.
    pub(crate) search: Search,
    /// The message to be chosen once it is here.
    pub(crate) sought: Option<OrderKey>,
    /// What this device is called, unless its user says otherwise.
    pub(crate) device_name: String,
    /// The account's devices.
    pub(crate) devices: Vec<DeviceView>,
    /// Whose devices changed, and when, until the safety number is compared.
    pub(crate) changed: BTreeMap<AccountId, u64>,
    /// Earlier messages that are arriving: entries read, and entries there are.
    pub(crate) history: BTreeMap<SpaceId, (u64, u64)>,
    /// This device was removed from its account.
    pub(crate) is_ended: bool,
    /// At the side.
    pub(crate) side: Option<Side>,
    /// Which line at the side is chosen.
    pub(crate) side_at: usize,
    /// Settings, by key.
    pub(crate) settings: SortedMap<String, serde_json::Value>,
    /// Who types where, and until when that is believed.
    pub(crate) typing: BTreeMap<(SpaceId, AccountId), u64>,
    /// When others were last told that this person types.
    pub(crate) told_typing_ms: u64,
    /// What went wrong, or right, last.
    pub(crate) notice: Option<String>,
    /// Closed by network.offline.
    pub(crate) is_away: bool,
    /// Time to go.
    pub(crate) quits: bool,
}

impl Model {
    /// The open conversation, once it is known.
    pub(crate) fn conversation(&self) -> Option<&ConversationView> {
        let open = self.open?;
        self.conversations.iter().find(|view| view.conversation == open)
    }

    /// The chosen message.
    pub(crate) fn selected_message(&self) -> Option<&MessageView> {
        let selected = self.selected?;
        self.messages.iter().find(|view| view.message == selected)
    }

    /// Whether an account is this person's own.
    pub(crate) fn is_me(&self, account: &AccountId) -> bool {
        self.status.account.as_ref() == Some(account)
    }

    /// What to call an account: its name, else its address, else the start of its id.
    pub(crate) fn name_of(&self, account: &AccountId) -> String {
        if self.is_me(account) {
            return "you".to_owned();
        }
        let everybody = self.conversations.iter().flat_map(|view| &view.members);
        let known = everybody.filter(|member| member.account == *account);
        known.map(name).next().unwrap_or_else(|| short_id(account))
    }

    /// Whether the open conversation is a stranger's invitation without an answer.
    pub(crate) fn is_pending(&self) -> bool {
        self.conversation().is_some_and(|view| view.pending)
    }

    /// Whether the relay says that this device was removed.
    pub(crate) fn is_refused(&self) -> bool {
        self.status.problem == Some(Problem::Session(Rejection::Revoked))
    }

    /// Who types in the open conversation.
    pub(crate) fn typists(&self) -> Vec<String> {
        let open = self.typing.iter().filter(|((space, account), until)| {
            Some(*space) == self.open && **until > self.now_ms && !self.is_me(account)
        });
        open.map(|((_, account), _)| self.name_of(account)).collect()
    }

    /// Messages not read, over all conversations that aren't muted.
    pub(crate) fn unread(&self) -> u64 {
        self.conversations.iter().filter(|view| !view.muted).map(|view| view.unread).sum()
    }
}

/// A member's name, else the address, else the start of the id.
pub(crate) fn name(member: &MemberView) -> String {
    let address = member.address.clone();
    match member.name.trim() {
        "" => address.unwrap_or_else(|| short_id(&member.account)),
        name => name.to_owned(),
    }
}

/// What a conversation is called: its title, else its members.
pub(crate) fn title(view: &ConversationView, me: Option<AccountId>) -> String {
    if !view.title.trim().is_empty() {
        return view.title.clone();
    }
    let others = view.members.iter().filter(|member| Some(member.account) != me).map(name);
    let names: Vec<_> = others.chain(view.adding.iter().cloned()).collect();
    if names.is_empty() { "Notes to myself".to_owned() } else { names.join(", ") }
}

fn short_id(account: &AccountId) -> String {
    account.to_string().chars().take(10).collect()
}
