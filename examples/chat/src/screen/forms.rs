//! Forms and questions: what keys do in them, and what they come to.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::Value;
use sync_core::Command;
use sync_core::api::{Comparison, ContactCard, ContactChange, Member};
use sync_protocol::AccountId;
use sync_protocol::address::Address;

use super::field::Field;
use super::model::{Dialog, Effect, Form, Model, Purpose};
use super::pages::{changed_key, link_form};
use super::text;

/// Words of a recovery code (BIP-39, 128 bits).
const RECOVERY_WORDS: usize = 12;
/// Digits that a new device shows.
const CODE_DIGITS: usize = 7;
/// The last line of the keys that may be the first in view.
const HELP_LINES: u16 = 23;

type Effects = Vec<Effect>;

impl Model {
    /// A key while a form or a question is open.
    pub(super) fn press_dialog(&mut self, key: KeyEvent) -> Effects {
        match (&mut self.dialog, key.code) {
            (Some(Dialog::RecoveryCode { .. }), KeyCode::Enter) => {
                self.dialog = None;
                return self.ask_everything();
            }
            (Some(Dialog::RecoveryCode { .. }), _) => {}
            (Some(Dialog::Invite(_)), KeyCode::Enter) => self.dialog = None,
            (Some(Dialog::Confirm(_, command)), KeyCode::Char('y') | KeyCode::Enter) => {
                let command = command.clone();
                self.dialog = None;
                return vec![Effect(Purpose::Do, command)];
            }
            (Some(Dialog::AddMember(form, history)), KeyCode::Tab) if !form.busy => {
                *history = !*history;
            }
            (Some(Dialog::Help(top)), KeyCode::Down | KeyCode::Char('j') | KeyCode::PageDown) => {
                *top = top.saturating_add(1).min(HELP_LINES);
            }
            (Some(Dialog::Help(top)), KeyCode::Up | KeyCode::Char('k') | KeyCode::PageUp) => {
                *top = top.saturating_sub(1);
            }
            (Some(Dialog::LinkHistory(_) | Dialog::Contact(_) | Dialog::Shown(_)), _) => {
                return self.press_question(key.code);
            }
            (Some(Dialog::LinkOffer(_) | Dialog::LinkCode(..)), KeyCode::Esc) => {
                self.dialog = None;
                return vec![Effect(Purpose::Quiet, Command::CancelLink)];
            }
            (Some(Dialog::Help(_) | Dialog::Confirm(..)), _) | (_, KeyCode::Esc) => {
                self.dialog = None
            }
            (_, KeyCode::Enter) => return self.submit(),
            _ => self.fill_in(key),
        }
        Vec::new()
    }

    /// A dialog that single keys answer.
    fn press_question(&mut self, key: KeyCode) -> Effects {
        match (self.dialog.take(), key) {
            (Some(Dialog::LinkHistory(offer)), KeyCode::Char('y' | 'n')) => {
                let mut form = link_form();
                form.busy = true;
                if let Some((_, field)) = form.fields.first_mut() {
                    *field = Field::holding(&offer);
                }
                self.dialog = Some(Dialog::LinkOffer(form));
                let history = key == KeyCode::Char('y');
                return vec![Effect(Purpose::Dialog, Command::AcceptDevice { offer, history })];
            }
            (Some(Dialog::LinkHistory(_)), KeyCode::Esc) => {}
            (Some(Dialog::LinkHistory(offer)), _) => self.dialog = Some(Dialog::LinkHistory(offer)),
            (Some(Dialog::Contact(card)), KeyCode::Char('v')) => {
                let (account, safety_number) = (card.account, Some(card.safety_number));
                let verified = Command::VerifyContact { account, safety_number };
                let mut effects = vec![Effect(Purpose::Do, verified)];
                effects.extend(self.compared(&account));
                return effects;
            }
            (Some(Dialog::Contact(card)), KeyCode::Char('q')) => {
                self.dialog = Some(Dialog::Shown(card));
            }
            (Some(Dialog::Shown(card)), _) => self.dialog = Some(Dialog::Contact(card)),
            (Some(Dialog::Contact(card)), KeyCode::Char('c')) => {
                let form = Form::new(&["Text of the code that they show"]);
                self.dialog = Some(Dialog::Compare(card.account, form));
            }
            (Some(Dialog::Contact(card)), KeyCode::Char('b')) => {
                let who = text::quoted(&card_name(&card));
                let question = format!("Block {who}? You see nothing more of them.");
                let member = Member::Account(card.account);
                let command = Command::SetBlocked { member, blocked: true };
                self.dialog = Some(Dialog::Confirm(question, command));
            }
            (Some(Dialog::Contact(card)), KeyCode::Char('u')) => {
                let member = Member::Account(card.account);
                let command = Command::SetBlocked { member, blocked: false };
                return vec![Effect(Purpose::Do, command)];
            }
            _ => {}
        }
        Vec::new()
    }

    /// A safety number was compared: nothing more is said of changes before.
    pub(super) fn compared(&mut self, account: &AccountId) -> Option<Effect> {
        self.changed.remove(account)?;
        let command = Command::SetSetting { key: changed_key(account), value: Value::Null };
        Some(Effect(Purpose::Do, command))
    }

    /// How two safety numbers compare.
    pub(super) fn take_comparison(
        &mut self,
        account: AccountId,
        comparison: Comparison,
    ) -> Effects {
        if matches!(self.dialog, Some(Dialog::Compare(..))) {
            self.dialog = None;
        }
        let says = match comparison {
            Comparison::Same => "it is the same: nobody stands between you",
            Comparison::Behind => "one of you has not heard of a new device yet: compare again",
            Comparison::Differs => "IT DIFFERS: somebody may stand between you",
        };
        self.notice = Some(says.to_owned());
        let is_same = comparison == Comparison::Same;
        is_same.then(|| self.compared(&account)).flatten().into_iter().collect()
    }

    /// Something about a person that should be looked at.
    pub(super) fn take_contact_change(&mut self, account: AccountId, change: &ContactChange) {
        match change {
            ContactChange::Devices => {
                self.notice = Some("devices of somebody you compared with changed".to_owned());
            }
            ContactChange::Moved { address, now } => {
                let was = account.to_string();
                let begin = |id: &str| id.chars().take(8).collect::<String>();
                let question = format!(
                    "{address} leads to another account now ({} was {}). Accept?",
                    begin(&now.to_string()),
                    begin(&was)
                );
                if let Ok(address) = address.parse() {
                    let command = Command::AcceptAddress { address, account: *now };
                    self.dialog = Some(Dialog::Confirm(question, command));
                }
            }
        }
    }

    fn fill_in(&mut self, key: KeyEvent) {
        let Some(form) = self.form_mut().filter(|form| !form.busy) else { return };
        let last = form.fields.len().saturating_sub(1);
        match key.code {
            KeyCode::Tab | KeyCode::Down => form.at = if form.at == last { 0 } else { form.at + 1 },
            KeyCode::BackTab | KeyCode::Up => form.at = form.at.checked_sub(1).unwrap_or(last),
            _ => {
                if let Some((_, field)) = form.fields.get_mut(form.at) {
                    field.press(key);
                }
            }
        }
    }

    fn submit(&mut self) -> Effects {
        let command = match (&self.dialog, self.open) {
            (Some(Dialog::SignUp(form)), _) => sign_up(form),
            (Some(Dialog::Recover(form)), _) => recover(form),
            (Some(Dialog::LinkCode(_, form)), _) => confirm(form),
            (Some(Dialog::Offer(_) | Dialog::LinkOffer(_)), _) => return self.submit_link(),
            (Some(Dialog::Compare(account, form)), _) if !form.text(0).is_empty() => {
                let (account, shown) = (*account, form.text(0).split_whitespace().collect());
                let command = Command::CompareContact { account, shown };
                if let Some(form) = self.form_mut() {
                    (form.busy, form.error) = (true, None);
                }
                return vec![Effect(Purpose::Compare(account), command)];
            }
            (Some(Dialog::NewConversation(form)), _) => found(form),
            (Some(Dialog::AddMember(form, history)), Some(conversation)) => {
                let share_history = *history;
                address(form.text(0)).map(|address| Command::AddMember {
                    conversation,
                    address,
                    share_history,
                })
            }
            (Some(Dialog::Title(form)), Some(conversation)) => {
                Ok(Command::SetTitle { conversation, title: form.text(0).to_owned() })
            }
            (Some(Dialog::Name(form)), _) => Ok(Command::SetName { name: form.text(0).to_owned() }),
            (Some(Dialog::React(key, form)), Some(conversation)) => {
                let emoji = Some(form.text(0).to_owned()).filter(|text| !text.is_empty());
                Ok(Command::React { conversation, message: *key, emoji })
            }
            _ => return Vec::new(),
        };
        let Some(form) = self.form_mut().filter(|form| !form.busy) else { return Vec::new() };
        match command {
            // In a form of several fields, Enter goes on until the last is filled in.
            Err(_) if form.at + 1 < form.fields.len() && !form.text(form.at).is_empty() => {
                form.at += 1;
                Vec::new()
            }
            Err(error) => {
                form.error = Some(error);
                Vec::new()
            }
            Ok(_) if form.at + 1 < form.fields.len() => {
                form.at += 1;
                Vec::new()
            }
            Ok(command) => {
                (form.busy, form.error) = (true, None);
                vec![Effect(Purpose::Dialog, command)]
            }
        }
    }

    fn submit_link(&mut self) -> Effects {
        match self.dialog.take() {
            Some(Dialog::Offer(form)) if !form.text(0).is_empty() => {
                return self.offer(form.text(0).to_owned());
            }
            Some(Dialog::LinkOffer(form)) if !form.busy && !form.text(0).is_empty() => {
                // Text that was wrapped on the other screen comes with breaks.
                let offer: String = form.text(0).split_whitespace().collect();
                self.dialog = Some(Dialog::LinkHistory(offer));
            }
            other => self.dialog = other,
        }
        Vec::new()
    }
}

/// The form for a new conversation.
pub(super) fn new_conversation() -> Dialog {
    Dialog::NewConversation(Form::new(&["Title", "Members (addresses, separated by blanks)"]))
}

fn sign_up(form: &Form) -> Result<Command, String> {
    let address = address(form.text(0))?;
    let name = form.text(1).to_owned();
    if name.is_empty() {
        return Err("a name is what others see: it can't be empty".to_owned());
    }
    Ok(Command::CreateAccount { address, name })
}

fn recover(form: &Form) -> Result<Command, String> {
    let (address, code) = (address(form.text(0))?, recovery_words(form.text(1))?);
    let name = form.text(2).to_owned();
    if name.is_empty() {
        return Err("your other devices know this one by its name".to_owned());
    }
    Ok(Command::RecoverAccount { address, code, name })
}

/// A recovery code as it was written down: in any case, with any blanks. What can't be one is told
/// before it costs an attempt.
fn recovery_words(typed: &str) -> Result<String, String> {
    let words: Vec<_> = typed.split_whitespace().map(str::to_lowercase).collect();
    let code = words.join(" ");
    match bip39::Mnemonic::parse_normalized(&code) {
        _ if words.len() != RECOVERY_WORDS => {
            Err(format!("a recovery code has {RECOVERY_WORDS} words, these are {}", words.len()))
        }
        Err(bip39::Error::UnknownWord(at)) => {
            let word = words.get(at).map_or("", String::as_str);
            Err(format!("word {}, {word:?}, is in no recovery code", at + 1))
        }
        Err(_) => Err("one of the words is wrong, or they are in another order".to_owned()),
        Ok(_) => Ok(code),
    }
}

fn confirm(form: &Form) -> Result<Command, String> {
    let code: String = form.text(0).chars().filter(char::is_ascii_digit).collect();
    match code.len() {
        CODE_DIGITS => Ok(Command::ConfirmDevice { code }),
        _ => Err(format!("the code has {CODE_DIGITS} digits")),
    }
}

fn found(form: &Form) -> Result<Command, String> {
    let typed = one_by_one(form.text(1));
    let members = typed.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Command::CreateConversation { title: form.text(0).to_owned(), members })
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{} is no address: it {error}", text::quoted(text)))
}

/// Addresses between commas, semicolons or blanks. Blanks within a phone number part nothing: what
/// follows belongs to it until a name or another country code begins.
fn one_by_one(typed: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in typed.split([',', ';']) {
        let mut is_number = false;
        for word in part.split_whitespace() {
            let begins_number =
                word.starts_with('+') || word.starts_with("00") || word.starts_with("(+");
            let goes_on = is_number && !begins_number && !word.starts_with(char::is_alphabetic);
            match all.last_mut().filter(|_| goes_on) {
                Some(number) => *number = format!("{number} {word}"),
                None => all.push(word.to_owned()),
            }
            is_number = goes_on || begins_number;
        }
    }
    all
}

/// What to call the person of a card: the name, else the address, else the start of the id.
pub(crate) fn card_name(card: &ContactCard) -> String {
    let address = || card.address.clone();
    let id = || card.account.to_string().chars().take(10).collect();
    Some(card.name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .or_else(address)
        .unwrap_or_else(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_people_and_not_the_digits_of_a_number() {
        for (typed, parts) in [
            ("bob carol,dave", &["bob", "carol", "dave"][..]),
            ("+49 170 1234567", &["+49 170 1234567"]),
            ("bob +49 (170) 12 34 567 carol", &["bob", "+49 (170) 12 34 567", "carol"]),
            ("+49 170 1234567 +1 202 555 0100", &["+49 170 1234567", "+1 202 555 0100"]),
            ("0049 170 1234567; 0170 1234567", &["0049 170 1234567", "0170", "1234567"]),
            (" , ;", &[]),
        ] {
            assert_eq!(one_by_one(typed), parts, "{typed}");
        }
    }
}
