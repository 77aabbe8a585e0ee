//! What takes the whole screen: the first run, a link, the account's devices, and this device's end.

use crossterm::event::{KeyCode, KeyEvent};
use sync_core::api::{DeviceView, Join, LinkEvent, Whose};
use sync_core::{Command, Failure, Response};
use sync_protocol::{AccountId, Rejection};

use super::field::Field;
use super::model::{Answer, Dialog, Effect, Form, Model, Purpose};
use super::text;

/// Instead of conversations and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// What an empty store may become; which of [`Choice`] is chosen.
    Start(usize),
    /// This device is being linked.
    Linking(Linking),
    /// The account's devices; which line is chosen.
    Devices(usize),
    /// This device was removed; changes that nobody took in.
    Ended(u64),
    /// Messages that were looked for; which one is chosen.
    Search(usize),
}

/// What an empty store may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A new account.
    Create,
    /// A device of an account that another device has.
    Link,
    /// The only device of an account that lost all others.
    Recover,
}

/// In the order shown.
pub(crate) const CHOICES: [Choice; 3] = [Choice::Create, Choice::Link, Choice::Recover];

/// How far the link of this device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    /// The offer is being made.
    Asked,
    /// To be scanned or pasted.
    Offered {
        /// What the primary takes.
        offer: String,
        /// Since when, Unix milliseconds.
        since_ms: u64,
        /// Whether the text is shown where there is no room for both.
        is_text: bool,
    },
    /// Whose account it would join: the person is asked.
    Confirm(Whose),
    /// The code is being agreed on.
    Joining,
    /// To be typed on the primary.
    Code(String, Whose),
    /// It belongs to the account.
    Linked,
    /// It came to nothing, for this reason.
    Failed(String),
}

type Effects = Vec<Effect>;

impl Model {
    /// A key on a page.
    pub(super) fn press_page(&mut self, page: Page, key: KeyEvent) -> Effects {
        let is_typing = matches!(page, Page::Search(_)) && key.code == KeyCode::Char('?');
        if matches!(key.code, KeyCode::F(1) | KeyCode::Char('?')) && !is_typing {
            self.dialog = Some(Dialog::Help(0));
            return Vec::new();
        }
        match page {
            Page::Start(at) => self.press_start(at, key.code),
            Page::Linking(linking) => self.press_linking(linking, key.code),
            Page::Devices(at) => self.press_devices(at, key.code),
            Page::Search(at) => self.press_search(at, key),
            Page::Ended(_) => {
                if matches!(key.code, KeyCode::Enter | KeyCode::Esc) {
                    return self.leave_page();
                }
                self.quits |= key.code == KeyCode::Char('q');
                Vec::new()
            }
        }
    }

    /// Back to the conversations.
    fn leave_page(&mut self) -> Effects {
        self.page = None;
        self.ask_everything()
    }

    fn press_start(&mut self, at: usize, key: KeyCode) -> Effects {
        let last = CHOICES.len() - 1;
        match key {
            KeyCode::Up | KeyCode::Char('k') => {
                self.page = Some(Page::Start(at.checked_sub(1).unwrap_or(last)));
            }
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => {
                self.page = Some(Page::Start(if at == last { 0 } else { at + 1 }));
            }
            KeyCode::Char('q') => self.quits = true,
            KeyCode::Enter => self.dialog = CHOICES.get(at).map(|choice| self.form_of(*choice)),
            _ => {}
        }
        Vec::new()
    }

    fn form_of(&self, choice: Choice) -> Dialog {
        let named = |mut form: Form| {
            if let Some((_, field)) = form.fields.last_mut() {
                *field = Field::holding(&self.device_name);
            }
            form
        };
        match choice {
            Choice::Create => Dialog::SignUp(Form::new(&["Address", "Name"])),
            Choice::Link => Dialog::Offer(named(Form::new(&["Name of this device"]))),
            Choice::Recover => {
                let labels = ["Address", "Recovery code (12 words)", "Name of this device"];
                Dialog::Recover(named(Form::new(&labels)))
            }
        }
    }

    fn press_linking(&mut self, linking: Linking, key: KeyCode) -> Effects {
        match (linking, key) {
            (Linking::Linked, KeyCode::Enter | KeyCode::Esc) => return self.leave_page(),
            (Linking::Failed(_), KeyCode::Enter | KeyCode::Char('r')) => {
                return self.offer(self.device_name.clone());
            }
            (Linking::Failed(_), KeyCode::Esc) => self.page = Some(Page::Start(1)),
            (Linking::Offered { offer, since_ms, is_text }, KeyCode::Char('t')) => {
                let linking = Linking::Offered { offer, since_ms, is_text: !is_text };
                self.page = Some(Page::Linking(linking));
            }
            (Linking::Confirm(whose), KeyCode::Char('y')) => {
                self.page = Some(Page::Linking(Linking::Joining));
                let joins = Command::JoinAccount { account: whose.account };
                return vec![Effect(Purpose::Quiet, joins)];
            }
            (
                Linking::Asked
                | Linking::Offered { .. }
                | Linking::Confirm(_)
                | Linking::Joining
                | Linking::Code(..),
                KeyCode::Esc,
            ) => {
                self.page = Some(Page::Start(1));
                return vec![Effect(Purpose::Quiet, Command::CancelLink)];
            }
            _ => {}
        }
        Vec::new()
    }

    /// Offers this device under a name.
    pub(super) fn offer(&mut self, name: String) -> Effects {
        self.device_name.clone_from(&name);
        self.dialog = None;
        self.page = Some(Page::Linking(Linking::Asked));
        vec![Effect(Purpose::Offer, Command::OfferDevice { name, join: Join::Ask })]
    }

    /// The offer was made, or could not be.
    pub(super) fn take_offer(&mut self, answer: Answer) -> Effects {
        // Whoever pressed Esc meanwhile is elsewhere.
        if self.page != Some(Page::Linking(Linking::Asked)) {
            return Vec::new();
        }
        self.page = Some(Page::Linking(match answer {
            Ok(Response::Offer(offer)) => {
                Linking::Offered { offer, since_ms: self.now_ms, is_text: false }
            }
            Ok(_) => Linking::Asked,
            Err(failure) => Linking::Failed(why_not_linked(&failure)),
        }));
        Vec::new()
    }

    /// A link, on either side, moved on.
    pub(super) fn take_link(&mut self, event: LinkEvent) -> Effects {
        match event {
            LinkEvent::Account(whose) => {
                self.page = Some(Page::Linking(Linking::Confirm(whose)));
            }
            LinkEvent::Code { code, whose } => {
                self.page = Some(Page::Linking(Linking::Code(code, whose)));
            }
            LinkEvent::Done { .. } => {
                self.dialog = None;
                self.page = Some(Page::Linking(Linking::Linked));
                return self.ask_everything();
            }
            LinkEvent::Failed(failure) => self.fail_link(&failure),
        }
        Vec::new()
    }

    /// On the new device the page says so; on the primary whichever form is open.
    pub(super) fn fail_link(&mut self, failure: &Failure) {
        let is_primary = matches!(
            self.dialog,
            Some(Dialog::LinkOffer(_) | Dialog::LinkHistory(_) | Dialog::LinkCode(..))
        );
        if is_primary {
            let mut form = link_form();
            let reason = why_not_linked(failure);
            form.error = Some(format!("{reason}. Nothing was changed: make a new offer there."));
            self.dialog = Some(Dialog::LinkOffer(form));
        } else if matches!(self.page, Some(Page::Linking(_))) {
            self.page = Some(Page::Linking(Linking::Failed(why_not_linked(failure))));
        } else if self.status.account.is_some() {
            self.notice = Some(format!("no device was linked: {}", why_not_linked(failure)));
        }
    }

    fn press_devices(&mut self, at: usize, key: KeyCode) -> Effects {
        let last = self.devices.len().saturating_sub(1);
        match key {
            KeyCode::Up | KeyCode::Char('k') => {
                self.page = Some(Page::Devices(at.saturating_sub(1)));
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.page = Some(Page::Devices((at + 1).min(last)))
            }
            KeyCode::Char('l' | '+') if self.is_primary() => {
                self.dialog = Some(Dialog::LinkOffer(link_form()));
            }
            KeyCode::Char('c') if self.is_primary() => {
                let question = "Draw a new recovery code? The old one counts no more.".to_owned();
                self.dialog = Some(Dialog::Confirm(question, Command::NewRecoveryCode));
            }
            KeyCode::Char('l' | '+' | 'c') => self.notice = Some(ONLY_PRIMARY.to_owned()),
            KeyCode::Char('x') | KeyCode::Delete => self.ask_revoke(at),
            KeyCode::Char('p') => self.ask_primary(at),
            KeyCode::Esc | KeyCode::Char('q') => return self.leave_page(),
            _ => {}
        }
        Vec::new()
    }

    fn ask_revoke(&mut self, at: usize) {
        let Some(view) = self.devices.get(at) else { return };
        if let Some(reason) = self.why_not_revoke(view) {
            self.notice = Some(reason.to_owned());
            return;
        }
        let question = if view.current {
            "Log out here? Everything on this device is deleted.".to_owned()
        } else {
            format!(
                "Remove {}? It reads and writes nothing more.",
                text::quoted(&device_name(view))
            )
        };
        let command = Command::RevokeDevice { device: view.device };
        self.dialog = Some(Dialog::Confirm(question, command));
    }

    fn why_not_revoke(&self, view: &DeviceView) -> Option<&'static str> {
        match (view.revoked, view.current, self.is_primary()) {
            (true, ..) => Some("this device is removed already"),
            (_, true, true) => Some("make another device the primary first"),
            (_, false, false) => Some(ONLY_PRIMARY),
            _ => None,
        }
    }

    fn ask_primary(&mut self, at: usize) {
        let Some(view) = self.devices.get(at) else { return };
        let refusal = match (view.revoked, view.role, self.is_primary()) {
            (true, ..) => Some("this device was removed"),
            (_, "primary", _) => Some("this device is the primary already"),
            (.., false) => Some(ONLY_PRIMARY),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.notice = Some(refusal.to_owned());
            return;
        }
        let question =
            format!("Make {} the primary instead of this one?", text::quoted(&device_name(view)));
        let command = Command::MakePrimary { device: view.device };
        self.dialog = Some(Dialog::Confirm(question, command));
    }

    /// Whether this device links and removes others.
    pub(crate) fn is_primary(&self) -> bool {
        self.status.role == "primary"
    }

    /// The devices are known, or known anew.
    pub(super) fn take_devices(&mut self, devices: Vec<DeviceView>) {
        self.devices = devices;
        if let Some(Page::Devices(at)) = &mut self.page {
            *at = (*at).min(self.devices.len().saturating_sub(1));
        }
    }

    /// Somebody's devices changed: it is shown until the safety number was compared.
    pub(super) fn devices_changed(&mut self, account: AccountId) -> Effects {
        let mut effects = vec![devices()];
        if self.is_me(&account) {
            self.notice = Some("your devices changed: Ctrl-D shows them".to_owned());
        } else {
            self.changed.insert(account, self.now_ms);
            let value = self.now_ms.into();
            let command = Command::SetSetting { key: changed_key(&account), value };
            effects.push(Effect(Purpose::Quiet, command));
        }
        effects
    }

    /// This device was removed.
    pub(super) fn end(&mut self, unsent: u64) {
        if self.status.account.is_some() && !self.is_ended {
            self.is_ended = true;
            self.dialog = None;
            self.page = Some(Page::Ended(unsent));
        }
    }

    /// Entries of earlier messages that are here and that there are, while some are missing.
    pub(crate) fn arrival(&self) -> Option<(u64, u64)> {
        let sum = |(read, total): (u64, u64), part: &(u64, u64)| {
            (read.saturating_add(part.0), total.saturating_add(part.1))
        };
        let (read, total) = self.history.values().fold((0, 0), sum);
        (read < total).then_some((read, total))
    }
}

/// Why a companion is refused.
const ONLY_PRIMARY: &str = "only the primary device does that";

/// Why a link came to nothing, in words for people.
fn why_not_linked(failure: &Failure) -> String {
    match failure {
        Failure::Refused(Rejection::NotFound) => {
            "the offer is good for two minutes only".to_owned()
        }
        Failure::Refused(Rejection::Taken) => "somebody else took the offer first".to_owned(),
        Failure::Refused(Rejection::Denied) => "the other device gave it up".to_owned(),
        other => other.to_string(),
    }
}

/// The form for what a new device shows.
pub(super) fn link_form() -> Form {
    Form::new(&["The text that the new device shows"])
}

/// To know the devices.
pub(super) fn devices() -> Effect {
    Effect(Purpose::Devices, Command::ListDevices)
}

/// The setting under which own devices agree that an account's devices changed, and when.
pub(super) fn changed_key(account: &AccountId) -> String {
    format!("contact/{account}/devices_changed")
}

/// What to call a device.
pub(crate) fn device_name(view: &DeviceView) -> String {
    match view.name.trim() {
        "" => view.device.to_string().chars().take(10).collect(),
        name => name.to_owned(),
    }
}
