//! How news from the client changes what the screen shows, and what to ask next.

use std::collections::BTreeMap;

use serde_json::Value;
use sync_client::Notice;
use sync_core::api::{ConversationChange, ConversationView, MessageView, Problem, Status};
use sync_core::{Command, Event, Response};
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, SpaceId};

use super::field::Field;
use super::model::{
    Answer, Composing, Dialog, Effect, Focus, Form, Model, PAGE, Purpose, TYPING_MS,
};
use super::pages::{Page, devices};
use super::text;

impl Model {
    /// A screen that knows nothing yet, and what to ask first.
    pub(crate) fn start(relay: &str, now_ms: u64) -> (Self, Vec<Effect>) {
        let model = Self { relay: relay.to_owned(), now_ms, ..Self::default() };
        (model, vec![Effect(Purpose::Status, Command::Status)])
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.typing.retain(|_, until| *until > now_ms);
    }

    /// The client told something.
    pub(crate) fn notice(&mut self, notice: Notice) -> Vec<Effect> {
        match notice {
            Notice::Event(event) => self.event(event),
            Notice::Unreachable(problem) => {
                self.problem = Some(problem.to_string());
                Vec::new()
            }
            Notice::StoreFailed(error) => {
                self.notice = Some(error.to_string());
                Vec::new()
            }
            Notice::StoreBack | Notice::Lagged(_) => self.ask_everything(),
        }
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Messages { conversation, .. } => self.ask_about(conversation),
            Event::Receipts { conversation, .. } if self.open == Some(conversation) => {
                self.ask_page(conversation)
            }
            Event::Conversation { conversation, change } => {
                if let ConversationChange::NotAdded { address, reason } = change {
                    self.notice = Some(format!("{address} could not be added: {reason}"));
                }
                self.ask_about(conversation)
            }
            Event::Settings { .. } => vec![list(), settings()],
            Event::Status(status) => self.take_status(*status),
            Event::Typing { conversation, account } => {
                self.typing.insert((conversation, account), self.now_ms + TYPING_MS);
                Vec::new()
            }
            Event::Evidence { why, .. } => {
                self.notice = Some(format!("not believed: {why}"));
                Vec::new()
            }
            Event::Contact { account, change } => {
                self.take_contact_change(account, &change);
                Vec::new()
            }
            Event::Link(event) => self.take_link(event),
            Event::Devices { account, .. } => self.devices_changed(account),
            Event::RecoveryCode(code) => {
                self.dialog = Some(Dialog::RecoveryCode { code, replaces: true });
                Vec::new()
            }
            Event::Revoked { unsent } => {
                self.end(unsent);
                Vec::new()
            }
            Event::History { conversation, read, total } => {
                self.history.insert(conversation, (read, total));
                Vec::new()
            }
            Event::Receipts { .. } | Event::Document { .. } | Event::Presence { .. } => Vec::new(),
        }
    }

    fn take_status(&mut self, status: Status) -> Vec<Effect> {
        if status.connected {
            self.problem = None;
        }
        let is_renamed = self.status.name != status.name;
        if let (Some(Problem::OtherRelay { now, .. }), true, None) =
            (&status.problem, self.status.problem != status.problem, &self.dialog)
        {
            let question = "The relay is another than before. Go on with it?".to_owned();
            self.dialog = Some(Dialog::Confirm(question, Command::AcceptRelay { relay: *now }));
        }
        self.status = status;
        if self.is_refused() {
            self.end(self.status.waiting);
        }
        let mut effects = self.open.map_or_else(Vec::new, |open| self.ask_page(open));
        if is_renamed {
            // Conversations name their members, and this account is one.
            effects.push(list());
        }
        effects
    }

    /// Everything may look different.
    pub(crate) fn ask_everything(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect(Purpose::Status, Command::Status), list(), settings()];
        if matches!(self.page, Some(Page::Devices(_))) {
            effects.push(devices());
        }
        effects.extend(self.open.into_iter().flat_map(|open| self.ask_page(open)));
        effects
    }

    fn ask_about(&self, conversation: SpaceId) -> Vec<Effect> {
        let mut effects = vec![list()];
        if self.open == Some(conversation) {
            effects.extend(self.ask_page(conversation));
        }
        effects
    }

    fn ask_page(&self, conversation: SpaceId) -> Vec<Effect> {
        // What was paged in stays in step too.
        let limit = self.messages.len().max(PAGE);
        let command = Command::ListMessages { conversation, before: None, limit };
        vec![Effect(Purpose::Page(conversation, None), command)]
    }

    /// Asks for what was written before the oldest message shown.
    pub(crate) fn ask_older(&mut self) -> Vec<Effect> {
        let (Some(conversation), Some(oldest)) = (self.open, self.messages.first()) else {
            return Vec::new();
        };
        if !self.has_older || self.is_loading {
            return Vec::new();
        }
        self.is_loading = true;
        let before = Some(oldest.message);
        // Up to a message that was looked for it may be far.
        let limit = if self.sought.is_some() { 10 * PAGE } else { PAGE };
        let command = Command::ListMessages { conversation, before, limit };
        vec![Effect(Purpose::Page(conversation, before), command)]
    }

    /// Shows a conversation.
    pub(crate) fn open(&mut self, conversation: SpaceId) -> Vec<Effect> {
        if let Some(before) = self.open.replace(conversation) {
            let draft = std::mem::take(&mut self.compose);
            self.drafts.insert(before, draft);
        }
        self.compose = self.drafts.remove(&conversation).unwrap_or_default();
        self.composing = Composing::New;
        self.messages.clear();
        (self.selected, self.scroll) = (None, 0);
        (self.has_older, self.is_loading, self.sought) = (true, false, None);
        self.focus = Focus::Compose;
        let foreground = Command::Foreground { conversation: Some(conversation) };
        let mut effects = vec![Effect(Purpose::Quiet, foreground)];
        effects.extend(self.ask_page(conversation));
        effects
    }

    /// The client answered.
    pub(crate) fn answer(&mut self, purpose: Purpose, answer: Answer) -> Vec<Effect> {
        match (purpose, answer) {
            (Purpose::Dialog, answer) => self.answer_dialog(answer),
            (Purpose::Status, Ok(Response::Status(status))) => self.first_status(status),
            (Purpose::List, Ok(Response::Conversations(list))) => self.take_list(list),
            (Purpose::Page(of, before), Ok(Response::Messages(page))) if self.open == Some(of) => {
                match before {
                    None => self.take_newest(page),
                    Some(_) => self.take_older(page),
                }
            }
            (Purpose::Settings, Ok(Response::Settings(all))) => {
                self.changed = changed(&all);
                self.settings = all;
                Vec::new()
            }
            (Purpose::Devices, Ok(Response::Devices(all))) => {
                self.take_devices(all);
                Vec::new()
            }
            (Purpose::Contact, Ok(Response::Contact(card))) => {
                self.dialog = Some(Dialog::Contact(card));
                Vec::new()
            }
            (Purpose::Compare(account), Ok(Response::Comparison(comparison))) => {
                self.take_comparison(account, comparison)
            }
            (Purpose::Search(number), Ok(Response::Messages(page))) => {
                self.take_searched(number, page)
            }
            (Purpose::Offer, answer) => self.take_offer(answer),
            (Purpose::Send(conversation, composing, text), Err(failure)) => {
                self.take_back(conversation, composing, &text);
                self.notice = Some(format!("not sent: {failure}"));
                Vec::new()
            }
            (Purpose::Compare(_), Err(failure)) if self.form_mut().is_some() => {
                self.refuse_form(failure.to_string());
                Vec::new()
            }
            (
                Purpose::Do | Purpose::Contact | Purpose::Compare(_) | Purpose::Search(_),
                Err(failure),
            ) => {
                self.notice = Some(failure.to_string());
                Vec::new()
            }
            (Purpose::Do, Ok(Response::RecoveryCode(code))) => {
                self.dialog = Some(Dialog::RecoveryCode { code, replaces: true });
                Vec::new()
            }
            (Purpose::Do, Ok(Response::Invite(invite))) => {
                self.dialog = Some(Dialog::Invite(address_with(&self.relay, &invite.code)));
                Vec::new()
            }
            (Purpose::Do | Purpose::Send(..), Ok(_)) => {
                let effects = self.ask_everything();
                self.notice = None;
                effects
            }
            _ => Vec::new(),
        }
    }

    fn first_status(&mut self, status: Status) -> Vec<Effect> {
        let had_account = self.status.account.is_some();
        self.take_status(status);
        if self.status.account.is_some() {
            return vec![list(), settings()];
        }
        if had_account {
            self.forget();
        }
        if self.page.is_none() {
            self.page = Some(Page::Start(0));
        }
        Vec::new()
    }

    /// The store was emptied: nothing of what it held is shown any more.
    fn forget(&mut self) {
        let relay = std::mem::take(&mut self.relay);
        let device_name = std::mem::take(&mut self.device_name);
        let (size, now_ms) = (self.size, self.now_ms);
        *self = Self { relay, device_name, now_ms, size, ..Self::default() };
    }

    fn take_list(&mut self, mut all: Vec<ConversationView>) -> Vec<Effect> {
        let chosen = self.conversations.get(self.chosen).map(|view| view.conversation);
        // Stable: within each kind, the newest activity stays first.
        all.sort_by_key(|view| (view.archived, !view.pinned));
        self.conversations = all;
        let place = chosen
            .and_then(|id| self.conversations.iter().position(|view| view.conversation == id));
        self.chosen = place.unwrap_or(0);
        match (self.open, self.conversations.get(self.chosen)) {
            (None, Some(view)) if self.dialog.is_none() && self.page.is_none() => {
                let conversation = view.conversation;
                self.open(conversation)
            }
            _ => Vec::new(),
        }
    }

    fn take_newest(&mut self, page: Vec<MessageView>) -> Vec<Effect> {
        let first = |page: &[MessageView]| page.first().map(|view| view.message);
        let reaches_as_far = first(&page) == first(&self.messages);
        self.has_older = page.len() >= PAGE && (self.has_older || !reaches_as_far);
        let newest = |page: &[MessageView]| page.last().map(|view| (view.message, view.author));
        if let (Some(open), Some(latest)) = (self.open, newest(&page))
            && newest(&self.messages) != Some(latest)
        {
            // What was being typed has come.
            self.typing.remove(&(open, latest.1));
        }
        self.messages = page;
        if self.selected_message().is_none() {
            self.selected = None;
        }
        let mut effects = self.mark_read();
        effects.extend(self.seek());
        effects
    }

    fn take_older(&mut self, page: Vec<MessageView>) -> Vec<Effect> {
        self.is_loading = false;
        self.has_older = page.len() >= PAGE;
        let first = self.messages.first().map(|view| view.message);
        let older = page.into_iter().filter(|view| {
            Some(view.message) != first
                && !self.messages.iter().any(|known| known.message == view.message)
        });
        let older: Vec<_> = older.collect();
        self.messages.splice(0..0, older);
        self.seek()
    }

    /// What is on the screen is read.
    fn mark_read(&mut self) -> Vec<Effect> {
        let unread = self.conversation().is_some_and(|view| view.unread > 0 && !view.pending);
        let is_seen = self.page.is_none();
        let newest = self.messages.iter().rev().find(|view| !self.is_me(&view.author));
        let (Some(conversation), Some(newest), true) = (self.open, newest, unread && is_seen)
        else {
            return Vec::new();
        };
        let message = newest.message;
        if let Some(view) =
            self.conversations.iter_mut().find(|view| view.conversation == conversation)
        {
            view.unread = 0;
        }
        vec![Effect(Purpose::Quiet, Command::MarkRead { conversation, message })]
    }

    fn answer_dialog(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Ok(Response::Account(new)) => {
                let replaces = matches!(self.dialog, Some(Dialog::Recover(_)));
                self.dialog = Some(Dialog::RecoveryCode { code: new.recovery_code, replaces });
                self.page = None;
                self.ask_everything()
            }
            Ok(Response::DeviceName(name)) => {
                if !matches!(self.dialog, Some(Dialog::LinkOffer(_))) {
                    // Closed meanwhile.
                    return vec![Effect(Purpose::Quiet, Command::CancelLink)];
                }
                let form = Form::new(&["The code that it shows"]);
                self.dialog = Some(Dialog::LinkCode(name, form));
                Vec::new()
            }
            Ok(Response::Device(_)) => {
                let name = match self.dialog.take() {
                    Some(Dialog::LinkCode(name, _)) => name,
                    _ => "the device".to_owned(),
                };
                self.notice = Some(format!("{} is linked", text::quoted(&name)));
                vec![devices()]
            }
            Ok(Response::Conversation(conversation)) => {
                self.dialog = None;
                let mut effects = vec![list()];
                effects.extend(self.open(conversation));
                effects
            }
            Ok(_) => {
                self.dialog = None;
                self.ask_everything()
            }
            Err(failure) if matches!(self.dialog, Some(Dialog::LinkCode(..))) => {
                self.fail_link(&failure);
                Vec::new()
            }
            Err(failure) => {
                self.refuse_form(failure.to_string());
                Vec::new()
            }
        }
    }

    /// What was filled in stays, with what is wrong with it.
    fn refuse_form(&mut self, why: String) {
        match self.form_mut() {
            Some(form) => (form.busy, form.error) = (false, Some(why)),
            None => self.notice = Some(why),
        }
    }

    /// The form of the open dialog.
    pub(crate) fn form_mut(&mut self) -> Option<&mut Form> {
        match &mut self.dialog {
            Some(
                Dialog::SignUp(form)
                | Dialog::Offer(form)
                | Dialog::Recover(form)
                | Dialog::LinkOffer(form)
                | Dialog::LinkCode(_, form)
                | Dialog::Compare(_, form)
                | Dialog::NewConversation(form)
                | Dialog::AddMember(form, _)
                | Dialog::Title(form)
                | Dialog::Name(form)
                | Dialog::React(_, form),
            ) => Some(form),
            _ => None,
        }
    }

    /// Starts an answer to the chosen message.
    pub(crate) fn reply(&mut self) {
        if let Some(key) = self.selected {
            self.composing = Composing::Reply(key);
            self.selected = None;
            self.focus = Focus::Compose;
        }
    }

    /// Starts to rewrite the chosen message.
    pub(crate) fn edit(&mut self) {
        let Some(view) = self.selected_message() else { return };
        if !self.is_me(&view.author) || view.deleted {
            self.notice = Some("only your own messages can be edited".to_owned());
            return;
        }
        let (key, text) = (view.message, Field::holding(&view.text));
        (self.composing, self.compose) = (Composing::Edit(key), text);
        self.selected = None;
        self.focus = Focus::Compose;
    }
}

/// The relay's address for whoever comes with a code, in the place of one that this device came with.
fn address_with(relay: &str, code: &str) -> String {
    let (place, query) = relay.split_once('?').unwrap_or((relay, ""));
    let others = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("token="));
    let parts: Vec<_> = others.map(str::to_owned).chain([format!("token={code}")]).collect();
    format!("{place}?{}", parts.join("&"))
}

fn list() -> Effect {
    Effect(Purpose::List, Command::ListConversations)
}

/// Whose devices changed since the safety number was compared, as the own devices agreed.
fn changed(settings: &SortedMap<String, Value>) -> BTreeMap<AccountId, u64> {
    let marks = settings.iter().filter_map(|(key, value)| {
        let account = key.strip_prefix("contact/")?.strip_suffix("/devices_changed")?;
        Some((account.parse().ok()?, value.as_u64()?))
    });
    marks.collect()
}

fn settings() -> Effect {
    Effect(Purpose::Settings, Command::Settings)
}
