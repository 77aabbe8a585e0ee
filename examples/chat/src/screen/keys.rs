//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::Value;
use sync_core::Command;
use sync_core::api::Member;
use sync_protocol::SpaceId;
use sync_protocol::roster::Role;

use super::field::Field;
use super::forms::new_conversation;
use super::model::{Composing, Dialog, Effect, Focus, Form, Model, Purpose, Side};
use super::pages::{Page, devices};
use super::reading::{Far, TO_END, Way};
use super::text;

/// How often others are told that this person types.
const TELL_TYPING_MS: u64 = 3_000;

type Effects = Vec<Effect>;

impl Model {
    /// A key was pressed.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Effects {
        if key.modifiers.contains(KeyModifiers::CONTROL)
            && matches!(key.code, KeyCode::Char('q' | 'c'))
        {
            self.quits = true;
            return Vec::new();
        }
        if self.dialog.is_some() {
            return self.press_dialog(key);
        }
        if let Some(page) = self.page.clone() {
            return self.press_page(page, key);
        }
        if let Some(effects) = self.press_anywhere(key) {
            return effects;
        }
        match self.focus {
            Focus::List => self.press_list(key),
            Focus::Messages => self.press_messages(key),
            Focus::Compose => self.press_compose(key),
            Focus::Side => self.press_side(key),
        }
    }

    /// Text was pasted.
    pub(crate) fn paste(&mut self, text: &str) -> Effects {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if let Some(form) = self.form_mut() {
            let line = text.replace('\n', " ");
            if let Some((_, field)) = form.fields.get_mut(form.at) {
                field.insert(line.trim());
            }
        } else if matches!(self.page, Some(Page::Search(_))) {
            self.search.field.insert(text.replace('\n', " ").trim());
        } else if self.focus == Focus::Compose && !self.is_pending() && !self.is_ended {
            self.compose.insert(&text);
        }
        Vec::new()
    }

    fn press_anywhere(&mut self, key: KeyEvent) -> Option<Effects> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::F(1) => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Char('n') if control => self.dialog = Some(new_conversation()),
            KeyCode::Char('a') if control && self.open.is_some() && !self.is_pending() => {
                self.dialog = Some(Dialog::AddMember(Form::new(&["Address"]), false));
            }
            KeyCode::Char('t') if control && self.open.is_some() => self.toggle(Side::Members),
            KeyCode::Char('s') if control => self.toggle(Side::Settings),
            KeyCode::Char('o') if control => return Some(self.toggle_network()),
            KeyCode::Char('f') if control => self.open_search(),
            KeyCode::Char('d') if control => {
                self.page = Some(Page::Devices(0));
                return Some(vec![devices()]);
            }
            KeyCode::Tab => self.next_focus(),
            KeyCode::BackTab => self.focus = Focus::List,
            _ => return None,
        }
        Some(Vec::new())
    }

    fn toggle(&mut self, side: Side) {
        if self.side == Some(side) {
            self.close_side();
        } else {
            (self.side, self.side_at, self.focus) = (Some(side), 0, Focus::Side);
        }
    }

    fn close_side(&mut self) {
        self.side = None;
        self.focus = if self.open.is_some() { Focus::Compose } else { Focus::List };
    }

    fn toggle_network(&mut self) -> Effects {
        self.is_away = !self.is_away;
        let command = if self.is_away { Command::GoOffline } else { Command::GoOnline };
        vec![Effect(Purpose::Do, command)]
    }

    fn next_focus(&mut self) {
        self.focus = match self.focus {
            Focus::List if self.open.is_some() => Focus::Messages,
            Focus::Messages => Focus::Compose,
            Focus::Compose if self.side.is_some() => Focus::Side,
            _ => Focus::List,
        };
        if self.focus == Focus::Messages && self.selected.is_none() {
            self.selected = self.messages.last().map(|view| view.message);
            self.scroll = TO_END;
        } else if self.focus != Focus::Messages {
            self.selected = None;
        }
    }

    fn press_list(&mut self, key: KeyEvent) -> Effects {
        let last = self.conversations.len().saturating_sub(1);
        let chosen = self.conversations.get(self.chosen);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.chosen = (self.chosen + 1).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            KeyCode::Enter | KeyCode::Right => {
                let conversation = chosen.map(|view| view.conversation);
                return conversation.map_or_else(Vec::new, |id| self.open(id));
            }
            KeyCode::Char('n') => self.dialog = Some(new_conversation()),
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Char('p') => return self.mark("pinned", |view| view.pinned),
            KeyCode::Char('m') => return self.mark("muted", |view| view.muted),
            KeyCode::Char('a') => return self.mark("archived", |view| view.archived),
            KeyCode::Char('q') => self.quits = true,
            KeyCode::Esc if self.open.is_some() => self.focus = Focus::Compose,
            _ => {}
        }
        Vec::new()
    }

    /// Turns a mark of the chosen conversation over.
    fn mark(&self, name: &str, is: impl Fn(&sync_core::api::ConversationView) -> bool) -> Effects {
        let Some(view) = self.conversations.get(self.chosen) else { return Vec::new() };
        let value = if is(view) { Value::Null } else { Value::Bool(true) };
        let key = format!("conversation/{}/{name}", view.conversation);
        vec![Effect(Purpose::Do, Command::SetSetting { key, value })]
    }

    fn press_messages(&mut self, key: KeyEvent) -> Effects {
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => return self.go(Way::Back, Far::Step),
            KeyCode::Down | KeyCode::Char('j') => return self.go(Way::On, Far::Step),
            KeyCode::PageUp => return self.go(Way::Back, Far::Page),
            KeyCode::PageDown | KeyCode::Char(' ') => return self.go(Way::On, Far::Page),
            KeyCode::Home => return self.choose_oldest(),
            KeyCode::Char('r') => self.reply(),
            KeyCode::Char('e') => self.edit(),
            KeyCode::Char('d') | KeyCode::Delete => self.ask_delete(),
            KeyCode::Char('+') => {
                let form = Form::new(&["Emoji (empty takes it back)"]);
                self.dialog = self.selected.map(|key| Dialog::React(key, form));
            }
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Esc | KeyCode::Enter | KeyCode::End => {
                (self.selected, self.focus) = (None, Focus::Compose);
            }
            _ => {}
        }
        Vec::new()
    }

    fn ask_delete(&mut self) {
        let (Some(conversation), Some(view)) = (self.open, self.selected_message()) else { return };
        if !self.is_me(&view.author) {
            self.notice = Some("only your own messages can be deleted".to_owned());
            return;
        }
        let command = Command::DeleteMessage { conversation, message: view.message };
        self.dialog =
            Some(Dialog::Confirm("Delete this message for everyone?".to_owned(), command));
    }

    /// Before the answer to a stranger's invitation there is nothing to write.
    fn press_invitation(&mut self, key: KeyEvent) -> Effects {
        let Some(view) = self.conversation() else { return Vec::new() };
        let conversation = view.conversation;
        let decline = |block| Command::DeclineConversation { conversation, block };
        match key.code {
            KeyCode::Char('a') => {
                return vec![Effect(Purpose::Do, Command::AcceptConversation { conversation })];
            }
            KeyCode::Char('d') => {
                let question = "Decline this invitation, and leave?".to_owned();
                self.dialog = Some(Dialog::Confirm(question, decline(false)));
            }
            KeyCode::Char('b') => {
                let question = "Decline, and block whoever invited you?".to_owned();
                self.dialog = Some(Dialog::Confirm(question, decline(true)));
            }
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Up | KeyCode::PageUp => return self.choose_newest(),
            KeyCode::Esc => self.focus = Focus::List,
            _ => {}
        }
        Vec::new()
    }

    /// A removed device shows what it has, and writes nothing more.
    fn press_ended(&mut self, key: KeyEvent) -> Effects {
        match key.code {
            KeyCode::Up | KeyCode::PageUp => return self.choose_newest(),
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help(0)),
            KeyCode::Esc => self.focus = Focus::List,
            _ => {}
        }
        Vec::new()
    }

    fn press_compose(&mut self, key: KeyEvent) -> Effects {
        if self.is_pending() {
            return self.press_invitation(key);
        }
        if self.is_ended {
            return self.press_ended(key);
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter if key.modifiers.contains(KeyModifiers::ALT) => {
                self.compose.insert("\n");
                Vec::new()
            }
            KeyCode::Char('j') if control => {
                self.compose.insert("\n");
                Vec::new()
            }
            KeyCode::Enter => self.send(),
            KeyCode::Up | KeyCode::PageUp => self.choose_newest(),
            KeyCode::Char('?') if self.compose.text().is_empty() => {
                self.dialog = Some(Dialog::Help(0));
                Vec::new()
            }
            KeyCode::Esc if self.composing != Composing::New => {
                if matches!(self.composing, Composing::Edit(_)) {
                    self.compose = Field::default();
                }
                self.composing = Composing::New;
                Vec::new()
            }
            KeyCode::Esc if self.side.is_some() => {
                self.close_side();
                Vec::new()
            }
            KeyCode::Esc => {
                self.focus = Focus::List;
                Vec::new()
            }
            _ if self.compose.press(key) => self.tell_typing(),
            _ => Vec::new(),
        }
    }

    fn tell_typing(&mut self) -> Effects {
        let Some(conversation) = self.open else { return Vec::new() };
        if self.now_ms < self.told_typing_ms + TELL_TYPING_MS || self.compose.text().is_empty() {
            return Vec::new();
        }
        self.told_typing_ms = self.now_ms;
        vec![Effect(Purpose::Quiet, Command::Typing { conversation })]
    }

    fn send(&mut self) -> Effects {
        let (Some(conversation), false) = (self.open, self.compose.text().trim().is_empty()) else {
            return Vec::new();
        };
        let text = self.compose.take();
        let composing = std::mem::take(&mut self.composing);
        let purpose = Purpose::Send(conversation, composing, text.clone());
        let command = match composing {
            Composing::New => Command::SendMessage { conversation, text, reply_to: None },
            Composing::Reply(key) => {
                Command::SendMessage { conversation, text, reply_to: Some(key) }
            }
            Composing::Edit(message) => Command::EditMessage { conversation, message, text },
        };
        self.told_typing_ms = 0;
        vec![Effect(purpose, command)]
    }

    /// What was refused is written on, before what was begun meanwhile.
    pub(super) fn take_back(&mut self, conversation: SpaceId, composing: Composing, text: &str) {
        let is_open = self.open == Some(conversation);
        let field =
            if is_open { &mut self.compose } else { self.drafts.entry(conversation).or_default() };
        let begun = field.take();
        let is_alone = begun.is_empty();
        let between = if is_alone { "" } else { "\n" };
        *field = Field::holding(&format!("{text}{between}{begun}"));
        if is_open && is_alone && self.composing == Composing::New {
            self.composing = composing;
        }
    }

    fn press_side(&mut self, key: KeyEvent) -> Effects {
        let members = self.conversation().map_or(0, |view| view.members.len());
        match (key.code, self.side) {
            (KeyCode::Esc, _) => self.close_side(),
            (KeyCode::Char('?'), _) => self.dialog = Some(Dialog::Help(0)),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.side_at = self.side_at.saturating_sub(1),
            (KeyCode::Down | KeyCode::Char('j'), Some(Side::Members)) => {
                self.side_at = (self.side_at + 1).min(members.saturating_sub(1));
            }
            (KeyCode::Char('i') | KeyCode::Enter, Some(Side::Members)) => {
                return self.ask_contact();
            }
            (KeyCode::Char('x'), Some(Side::Members)) => self.ask_remove(),
            (KeyCode::Char('o'), Some(Side::Members)) => return self.turn_role(),
            (KeyCode::Char('t'), Some(Side::Members)) => {
                let mut form = Form::new(&["Title"]);
                let title = self.conversation().map_or("", |view| view.title.as_str());
                if let Some((_, field)) = form.fields.first_mut() {
                    *field = Field::holding(title);
                }
                self.dialog = Some(Dialog::Title(form));
            }
            (KeyCode::Char('n'), Some(Side::Settings)) => {
                let mut form = Form::new(&["Name"]);
                if let Some((_, field)) = form.fields.first_mut() {
                    *field = Field::holding(&self.status.name);
                }
                self.dialog = Some(Dialog::Name(form));
            }
            (KeyCode::Char('i'), Some(Side::Settings)) => {
                return vec![Effect(Purpose::Do, Command::DrawInvite)];
            }
            (KeyCode::Char('+' | 'a'), Some(Side::Members)) => {
                self.dialog = Some(Dialog::AddMember(Form::new(&["Address"]), false));
            }
            _ => {}
        }
        Vec::new()
    }

    fn ask_contact(&mut self) -> Effects {
        let Some(view) = self.conversation() else { return Vec::new() };
        let Some(member) = view.members.get(self.side_at) else { return Vec::new() };
        let account = member.account;
        if self.is_me(&account) {
            self.page = Some(Page::Devices(0));
            return vec![devices()];
        }
        let member = Member::Account(account);
        vec![Effect(Purpose::Contact, Command::ShowContact { member })]
    }

    fn ask_remove(&mut self) {
        let Some(view) = self.conversation() else { return };
        let Some(member) = view.members.get(self.side_at) else { return };
        let (conversation, account) = (view.conversation, member.account);
        let (question, command) = if self.is_me(&account) {
            ("Leave this conversation?".to_owned(), Command::Leave { conversation })
        } else {
            let member = Member::Account(account);
            (
                format!("Remove {} from this conversation?", text::quoted(&self.name_of(&account))),
                Command::RemoveMember { conversation, member },
            )
        };
        self.dialog = Some(Dialog::Confirm(question, command));
    }

    fn turn_role(&self) -> Effects {
        let Some(view) = self.conversation() else { return Vec::new() };
        let Some(member) = view.members.get(self.side_at) else { return Vec::new() };
        let role = match member.role {
            Role::Admin => Role::Member,
            Role::Member | Role::Commenter | Role::Reader => Role::Admin,
        };
        let (conversation, member) = (view.conversation, Member::Account(member.account));
        vec![Effect(Purpose::Do, Command::SetRole { conversation, member, role })]
    }
}
