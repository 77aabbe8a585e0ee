//! The engine's two closed sets: what goes in, what comes out.
//!
//! No cryptographic word appears here: an app speaks of accounts, conversations, messages,
//! documents and settings.

mod edit;
#[cfg(test)]
pub(crate) mod every;
mod views;

pub use edit::{BadEditId, EditId};
pub use views::{
    AwayView, ChangeView, Compared, Comparison, ConflictView, ContactCard, ConversationView,
    DeviceView, Digest, DocumentDigest, DocumentView, DocumentsView, InviteView, LastMessage,
    MemberView, MessageView, NewAccount, Problem, Progress, Status, Unreadable, Vouched,
};

use serde_json::Value;
use sync_protocol::address::Address;
use sync_protocol::ids::RelayId;
use sync_protocol::roster::Role;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId};

use crate::document::{AppOp, OpError, OpFault, OrderKey, Step};
use crate::records::{Batch, Load, Records};
use crate::trust::Invalid;

/// Names a command until its response. Chosen by the host.
pub type CommandId = u64;

/// What a host tells the engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// The app wants something. Answered by exactly one [`Output::Respond`].
    Command(CommandId, Command),
    /// The app gave up on a command (a wait that timed out): it will not be answered.
    Cancel(CommandId),
    /// The socket asked for by [`Output::Connect`] is open.
    Connected,
    /// The socket is closed, or could not be opened.
    Disconnected,
    /// A whole message from the relay.
    Received(Vec<u8>),
    /// The batch with this number, and all before it, are durable.
    Persisted(u64),
    /// The records asked for by [`Output::Load`].
    Loaded(Load, Records),
    /// The time asked for by [`Output::Wake`] has come.
    Woken,
    /// The store could not take a batch (disk full, for one). The engine drops back to what is
    /// durable: the host must close it and open it anew.
    StoreFailed,
}

/// What the engine tells a host.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make this durable, whole or not at all, and in order.
    Persist(Batch),
    /// Read these records and give them back with [`Input::Loaded`].
    Load(Load),
    /// Open a socket to the relay.
    Connect,
    /// Close the socket.
    Disconnect,
    /// Send a whole message to the relay.
    Send(Vec<u8>),
    /// Call back at this time (Unix milliseconds), instead of any time asked for before.
    Wake(u64),
    /// A command's outcome. What it changed is durable here.
    Respond(CommandId, Result<Response, Failure>),
    /// Something the app may want to show.
    Notify(Event),
}

/// What an app can want. Every change is made locally at once, connected or not.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Found an account on this device.
    CreateAccount {
        /// How others reach it.
        address: Address,
        /// What the person is called, as for [`SetName`](Self::SetName).
        name: String,
    },
    /// Change what the person is called, on all its devices and wherever it takes part.
    SetName {
        /// The name: one line of at most [`NAME_CHARS`](crate::line::NAME_CHARS) characters.
        name: String,
    },
    /// Offer this device, which has no account yet, to be linked to one: gives what the account's
    /// primary scans. [`Event::Link`] tells the rest.
    OfferDevice {
        /// What the device is to be called.
        name: String,
        /// Whose account it may join.
        join: Join,
    },
    /// On the new device: the person says that this account is theirs. Before that nothing of this
    /// device goes there, and no code is shown.
    JoinAccount {
        /// The account that [`LinkEvent::Account`] named.
        account: AccountId,
    },
    /// Take an offer, a link under way or a link to be confirmed back.
    CancelLink,
    /// On the primary: take what a new device offers. Gives the name it asks for; the person then
    /// types the code that the new device shows.
    AcceptDevice {
        /// What was scanned or pasted.
        offer: String,
        /// Whether it may read what was written before.
        history: bool,
    },
    /// On the primary: the code that the new device shows. A wrong one ends the link.
    ConfirmDevice {
        /// Seven digits; blanks and hyphens are passed over.
        code: String,
    },
    /// All devices of the account, also those that ended.
    ListDevices,
    /// End a device: the primary any but itself, every device itself, which empties its store.
    RevokeDevice {
        /// Which.
        device: DeviceId,
    },
    /// On the primary: make another device the primary.
    MakePrimary {
        /// Which.
        device: DeviceId,
    },
    /// On the primary: draw a new recovery code; the one before counts no more.
    NewRecoveryCode,
    /// Draw an invite, by which one new account is let in at a relay that wants that. Needs a
    /// connection.
    DrawInvite,
    /// Bring an account back with its recovery code, on this device, which has none. Ends all its
    /// other devices. Needs a connection.
    RecoverAccount {
        /// The account's address.
        address: Address,
        /// The words.
        code: String,
        /// What the device is to be called.
        name: String,
    },
    /// Accept a stranger's invitation.
    AcceptConversation {
        /// Which.
        conversation: SpaceId,
    },
    /// Decline a stranger's invitation: leaves the conversation.
    DeclineConversation {
        /// Which.
        conversation: SpaceId,
        /// Whether whoever invited is blocked from now on.
        block: bool,
    },
    /// Want nothing more of an account, or hear it again: its invitations are declined and not
    /// listed, and what it writes is not counted.
    SetBlocked {
        /// Whom.
        member: Member,
        /// Whether it is blocked.
        blocked: bool,
    },
    /// The account, the device and how the sync stands.
    Status,
    /// Who is behind an address. Needs a connection.
    LookupContact {
        /// The address.
        address: Address,
    },
    /// Somebody known, with the safety number: of the account, whatever the directory says today.
    ShowContact {
        /// Whom.
        member: Member,
    },
    /// Compares the safety number with what the other person shows to be scanned. Where it is the
    /// same, that is remembered, on all own devices.
    CompareContact {
        /// Whose.
        account: AccountId,
        /// What was scanned or pasted.
        shown: String,
    },
    /// The person compared the safety number by eye or ear, and says so; or takes that back.
    VerifyContact {
        /// Whose.
        account: AccountId,
        /// The number that was compared: refused if it is another by now. `None` takes it back.
        safety_number: Option<String>,
    },
    /// An address leads to another account than before, and the person accepts that.
    AcceptAddress {
        /// Which.
        address: Address,
        /// Where it leads now.
        account: AccountId,
    },
    /// The relay is another than before, and the person accepts that.
    AcceptRelay {
        /// Which one it is now.
        relay: RelayId,
    },
    /// Found a conversation.
    CreateConversation {
        /// Its title: one line of at most [`TITLE_CHARS`](crate::line::TITLE_CHARS) characters, or
        /// empty for none.
        title: String,
        /// Whom to add.
        members: Vec<Address>,
    },
    /// All conversations, but those that somebody blocked began and this account never accepted.
    ListConversations,
    /// Add somebody.
    AddMember {
        /// Where.
        conversation: SpaceId,
        /// Whom.
        address: Address,
        /// Whether they may read what was written before, all of it: refused as
        /// [`Failure::Partial`] where this device does not have all of it itself.
        share_history: bool,
    },
    /// Remove somebody.
    RemoveMember {
        /// Where.
        conversation: SpaceId,
        /// Whom.
        member: Member,
    },
    /// Change somebody's role.
    SetRole {
        /// Where.
        conversation: SpaceId,
        /// Whose.
        member: Member,
        /// To what.
        role: Role,
    },
    /// Change the title.
    SetTitle {
        /// Where.
        conversation: SpaceId,
        /// To what.
        title: String,
    },
    /// Leave a conversation; what was read stays on this device.
    Leave {
        /// Which.
        conversation: SpaceId,
    },
    /// Everything up to this message was read.
    MarkRead {
        /// Where.
        conversation: SpaceId,
        /// Up to which.
        message: OrderKey,
    },
    /// Write a message.
    SendMessage {
        /// Where.
        conversation: SpaceId,
        /// What.
        text: String,
        /// The message it answers.
        reply_to: Option<OrderKey>,
    },
    /// Give an own message another text.
    EditMessage {
        /// Where.
        conversation: SpaceId,
        /// Which.
        message: OrderKey,
        /// What.
        text: String,
    },
    /// Delete an own message for everyone.
    DeleteMessage {
        /// Where.
        conversation: SpaceId,
        /// Which.
        message: OrderKey,
    },
    /// React to a message; `None` takes the reaction back.
    React {
        /// Where.
        conversation: SpaceId,
        /// To which.
        message: OrderKey,
        /// With what.
        emoji: Option<String>,
    },
    /// A page of messages, in display order: the newest `limit` before `before`.
    ListMessages {
        /// Where.
        conversation: SpaceId,
        /// Before which; the newest page without.
        before: Option<OrderKey>,
        /// At most how many.
        limit: usize,
    },
    /// Tell those who are looking that this person is typing.
    Typing {
        /// Where.
        conversation: SpaceId,
    },
    /// Tell those who are here now what this person is at in an app's document. Nothing of it is
    /// stored, and nobody is told later: it is said anew to who comes.
    SetPresence {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// What, in the app's own words; `Null` says that they left.
        state: Value,
    },
    /// The space the user looks at: delivered first after a reconnect.
    Foreground {
        /// Which, if any.
        conversation: Option<SpaceId>,
    },
    /// One setting.
    Setting {
        /// Its key.
        key: String,
    },
    /// Change a setting; `Null` takes it away.
    SetSetting {
        /// Its key.
        key: String,
        /// Its value.
        value: Value,
    },
    /// All settings.
    Settings,
    /// The JSON at a path of a document.
    ReadDocument {
        /// Which space.
        space: Space,
        /// The document's name, as [`crate::document::Name`] reads it; a bare word is an app's own.
        name: String,
        /// Where in it.
        path: Vec<Step>,
    },
    /// Change an app's own document, all operations or none.
    ChangeDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// The operations.
        ops: Vec<AppOp>,
    },
    /// A document as `.automerge` bytes.
    ExportDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
    },
    /// More about an app's own document.
    AskDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// What.
        question: Question,
    },
    /// An app's documents in a space.
    ListDocuments {
        /// Which space.
        space: Space,
    },
    /// Say, for all, what people are to call an app's document. The name by which the app opens it stays.
    RenameDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// One line; `None` takes it back.
        title: Option<String>,
    },
    /// Say of an app's document, for all, that it is put away, or is not.
    ArchiveDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// Whether.
        archived: bool,
    },
    /// Delete an app's document for all. Who writes in it again begins it anew.
    DeleteDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
    },
    /// Bring into an app's own document what these `.automerge` bytes say: what a fork of it has
    /// beside it, or all, if the document holds nothing.
    ImportDocument {
        /// Which space.
        space: Space,
        /// The document's name.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Wait until something holds.
    Wait(Until),
    /// A fingerprint of a space's state.
    Digest {
        /// Which.
        space: Space,
    },
    /// Do something once only, however often it is asked for: asked again, it changes nothing, and
    /// the answer is the first one. So another tab or process can journal an edit and ask for it
    /// again. Remembered in the edit's own batch, for the newest [`EDITS`](crate::engine::EDITS) that were made.
    Once {
        /// What the edit is called.
        edit: EditId,
        /// What to do.
        command: Box<Command>,
    },
    /// These edits will not be asked for again.
    ForgetEdits {
        /// Which.
        edits: Vec<EditId>,
    },
    /// Close the connection and stay away.
    GoOffline,
    /// Connect again.
    GoOnline,
}

/// A member, by address or by account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// By address, as known to this device or to the relay.
    Address(Address),
    /// By account.
    Account(AccountId),
}

impl From<AccountId> for Member {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<Address> for Member {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// A space as an app names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The account's own.
    Account,
    /// A conversation.
    Conversation(SpaceId),
}

/// Whose account a new device may join.
///
/// Whoever sees what it offers can take it up, and would link it to an account of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// The person is shown whose account it would be, and asked.
    #[default]
    Ask,
    /// This one, without a question; any other is refused.
    Account(AccountId),
    /// Any, without a question: for programs that have seen to it otherwise.
    Any,
}

/// What can be asked about a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// What stands at a path.
    Content {
        /// Where.
        path: Vec<Step>,
        /// Everything tagged that JSON has no word for, so that it can be written back as it is.
        typed: bool,
        /// As it was with these changes; as it is, if there are none.
        at: Vec<[u8; 32]>,
    },
    /// The changes that it came to be by, the newest first.
    History {
        /// Those before this one.
        before: Option<[u8; 32]>,
        /// How many.
        limit: usize,
    },
    /// What was put at a place at once.
    Conflicts {
        /// Where.
        path: Vec<Step>,
    },
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything written here is durable at the relay, membership changes included.
    Stored,
    /// Connected, and everything the relay had is here.
    UpToDate,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Done.
    Done,
    /// An account was founded.
    Account(NewAccount),
    /// How things stand.
    Status(Status),
    /// Who is behind an address.
    Contact(ContactCard),
    /// How two safety numbers compare.
    Comparison(Comparison),
    /// A conversation was founded.
    Conversation(SpaceId),
    /// All conversations, newest activity first.
    Conversations(Vec<ConversationView>),
    /// A message was written.
    Message(OrderKey),
    /// A page of messages.
    Messages(Vec<MessageView>),
    /// A setting, or a document's content.
    Value(Value),
    /// All settings.
    Settings(SortedMap<String, Value>),
    /// A document's heads after a change.
    Heads(Vec<[u8; 32]>),
    /// A document's bytes.
    Bytes(Vec<u8>),
    /// An app's documents, by name.
    Documents(DocumentsView),
    /// Changes of a document, the newest first.
    History(Vec<ChangeView>),
    /// What was put at a place at once, what counts first.
    Conflicts(Vec<ConflictView>),
    /// A fingerprint.
    Digest(Digest),
    /// What the account's primary scans.
    Offer(String),
    /// What a new device is to be called.
    DeviceName(String),
    /// A recovery code, to be written down.
    RecoveryCode(String),
    /// An invite, to be given to somebody.
    Invite(InviteView),
    /// A device was linked.
    Device(DeviceId),
    /// All devices, the primary first, then in the order they were linked.
    Devices(Vec<DeviceView>),
}

/// What an app may want to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Messages appeared or look different.
    Messages {
        /// Where.
        conversation: SpaceId,
        /// Which.
        messages: Vec<OrderKey>,
    },
    /// Receipts moved.
    Receipts {
        /// Where.
        conversation: SpaceId,
        /// Whose.
        accounts: Vec<AccountId>,
    },
    /// A conversation appeared, or its members, title or membership changed.
    Conversation {
        /// Which.
        conversation: SpaceId,
        /// What happened, for a line in the conversation.
        change: ConversationChange,
    },
    /// A document changed.
    Document {
        /// Where.
        space: SpaceId,
        /// Which. The empty name: which there are, or what is said of them; it comes, too, once all
        /// were handed over to who came later.
        name: String,
        /// Where; `None` if that may be anywhere. A list in which elements came, went or were
        /// replaced is named itself.
        paths: Option<Vec<Vec<Step>>>,
        /// Who did; `None` if it is no single one's.
        by: Option<Author>,
    },
    /// Settings changed.
    Settings {
        /// Which keys; empty if any may have.
        keys: Vec<String>,
    },
    /// Connection, progress or problems changed.
    Status(Box<Status>),
    /// Somebody is typing.
    Typing {
        /// Where.
        conversation: SpaceId,
        /// Who.
        account: AccountId,
    },
    /// Somebody says what they are at in an app's document.
    Presence {
        /// Where.
        space: Space,
        /// The document's name, as in [`Event::Document`].
        name: String,
        /// Who; the own account's other devices, too.
        account: AccountId,
        /// On which device.
        device: DeviceId,
        /// What, in the app's own words; `Null` if they left.
        state: Value,
    },
    /// A link with another device moved on.
    Link(LinkEvent),
    /// Somebody's devices changed; with them the safety number. Never suppressed.
    Devices {
        /// Whose; the own account's too.
        account: AccountId,
        /// Devices that are new.
        added: Vec<DeviceId>,
        /// Devices that ended.
        revoked: Vec<DeviceId>,
    },
    /// Something about a person that should be looked at.
    Contact {
        /// Whom.
        account: AccountId,
        /// What.
        change: ContactChange,
    },
    /// A new recovery code counts, of which it was not known whether it would: the connection was
    /// lost when it was asked for. To be shown, and written down.
    RecoveryCode(String),
    /// This device was ended by its account. It keeps what it had, reads and writes nothing more.
    Revoked {
        /// Changes made here that nobody took in.
        unsent: u64,
    },
    /// What was written before this device was linked is arriving.
    History {
        /// Where.
        conversation: SpaceId,
        /// Entries read so far.
        read: u64,
        /// Entries there are.
        total: u64,
    },
    /// Something that came is not believed: the relay or a member should be asked.
    Evidence {
        /// Where.
        space: SpaceId,
        /// What was found.
        why: Invalid,
    },
}

/// Who changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// What they are to this device.
    pub origin: Origin,
    /// Whose device it was.
    pub account: AccountId,
    /// Which.
    pub device: DeviceId,
}

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This device.
    Own,
    /// Another device of the account.
    Sibling,
    /// Somebody else.
    Other,
}

impl Origin {
    /// The stable word for programs.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Sibling => "sibling",
            Self::Other => "other",
        }
    }
}

/// What changed about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContactChange {
    /// Their safety number was compared, and their devices changed since.
    Devices,
    /// Their address leads to another account now, says the relay's directory. Nothing follows from
    /// that until the person accepts it.
    Moved {
        /// Which address.
        address: String,
        /// Where it leads now.
        now: AccountId,
    },
}

/// How a link goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// On the new device: whose account it is about to join. Unless it was said beforehand which
    /// account that may be, it waits for [`Command::JoinAccount`].
    Account(Whose),
    /// On the new device: to be typed on the primary.
    Code {
        /// Seven digits.
        code: String,
        /// Whose account it is about to join.
        whose: Whose,
    },
    /// On the new device: it belongs to the account now.
    Done {
        /// The account.
        account: AccountId,
        /// This device.
        device: DeviceId,
    },
    /// On either: it came to nothing, and nothing is half done.
    Failed(Failure),
}

/// Whose account a new device is about to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The account.
    pub account: AccountId,
    /// Its address, if the relay's directory says so, too.
    pub address: Option<String>,
    /// What it is called: its own word, which anybody can say.
    pub name: String,
}

/// What happened to a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationChange {
    /// It was founded here.
    Founded,
    /// This account was added.
    Joined,
    /// Members, roles or title changed.
    Changed,
    /// This account is no longer a member.
    Left,
    /// Somebody could not be added.
    NotAdded {
        /// Whom.
        address: String,
        /// Why.
        reason: Rejection,
    },
}

/// Why a command failed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no account on this device yet.
    #[error("there is no account on this device yet: create one first")]
    NoAccount,
    /// There is one already.
    #[error("this device already has an account")]
    HasAccount,
    /// It needs a connection, and there is none.
    #[error("not connected to the relay")]
    Offline,
    /// No such conversation, message, contact or document.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Not a member, not an admin, or not one's own message.
    #[error("not allowed: {0}")]
    Denied(&'static str),
    /// Somebody was to read all that was written before, and this device can't show them all of it:
    /// it was linked without history, the account was let in without it, or what was written
    /// before a recovery can't be read. Whoever has all of it can add them, or they are added
    /// without.
    #[error(
        "this device has only a part of what was written before: add them without it, or let a \
         device add them that has all of it"
    )]
    Partial,
    /// The request makes no sense.
    #[error("invalid: {0}")]
    Invalid(String),
    /// An operation on a document can't be made; none of its change was.
    #[error("{0}")]
    Op(Box<OpError>),
    /// This device came in without what was written before, and nobody who was there has handed over
    /// the documents yet. They do by themselves, as soon as one of them is online.
    #[error("the document is not here yet: nobody who has it has been online since")]
    Waiting,
    /// An address leads to another account than it did before: the person decides.
    #[error("the address leads to another account than before")]
    Moved {
        /// Where it led.
        was: AccountId,
        /// Where it leads now.
        now: AccountId,
    },
    /// Too large.
    #[error("{what} is too large, the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// In bytes or items.
        limit: usize,
    },
    /// The relay refused.
    #[error("the relay refused: {0}")]
    Refused(#[from] Rejection),
    /// The store could not keep what was asked, and nothing of it was done. The host opens it again by
    /// itself, as soon as it can.
    #[error("the local store failed: is its disk full?")]
    Store,
}

impl Failure {
    /// The stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoAccount => "no_account",
            Self::HasAccount => "exists",
            Self::Offline => "offline",
            Self::NotFound(_) => "not_found",
            Self::Denied(_) => "denied",
            Self::Partial => "partial",
            Self::Moved { .. } => "address_moved",
            Self::Invalid(_) => "invalid",
            Self::Op(error) if matches!(error.fault, OpFault::TooLarge { .. }) => "too_large",
            Self::Op(_) => "invalid",
            Self::Waiting => "waiting",
            Self::TooLarge { .. } => "too_large",
            Self::Refused(rejection) => rejection.kind(),
            Self::Store => "store",
        }
    }

    /// Whether the same may well succeed a moment later, without anybody doing anything about it.
    #[must_use]
    pub fn retry(&self) -> bool {
        match self {
            Self::Store | Self::Waiting => true,
            Self::Refused(rejection) => rejection.passes(),
            _ => false,
        }
    }
}
