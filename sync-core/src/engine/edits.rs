//! Edits that are made once, however often they are asked for.
//!
//! Whoever asks may be gone before it hears the answer: a tab that is closed, a process that is
//! killed. It asks again under the same name, and what was made already is only answered again.

use sync_protocol::SpaceId;
use sync_protocol::codec::{self, Decode, Encode};
use sync_protocol::sorted::SortedMap;

use crate::api::{Command, CommandId, EditId, Response};
use crate::document::OrderKey;
use crate::engine::{Engine, OpenError, Step, read_row};
use crate::records::key;

/// Edits remembered; the oldest are forgotten first.
pub const EDITS: usize = 4096;

/// Edits made under a name: [`EDITS`] at most.
#[derive(Debug, Default)]
pub(super) struct Edits {
    made: SortedMap<EditId, EditRow>,
    /// By number: the order in which they are forgotten.
    order: SortedMap<u64, EditId>,
}

/// What is kept of an edit.
#[derive(Clone, Debug, Encode, Decode)]
struct EditRow {
    #[n(0)]
    number: u64,
    #[n(1)]
    answer: Answer,
}

/// What an edit may be answered.
#[derive(Clone, Debug, Encode, Decode)]
enum Answer {
    #[n(0)]
    Done,
    #[n(1)]
    Message(#[n(0)] OrderKey),
    #[n(2)]
    Conversation(#[n(0)] SpaceId),
    #[n(3)]
    Heads(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

impl Answer {
    /// `None` where nothing was changed that a repetition would change again.
    fn of(response: &Response) -> Option<Self> {
        Some(match response {
            Response::Done => Self::Done,
            Response::Message(key) => Self::Message(*key),
            Response::Conversation(space) => Self::Conversation(*space),
            Response::Heads(heads) => Self::Heads(heads.concat()),
            Response::Account(_)
            | Response::Status(_)
            | Response::Contact(_)
            | Response::Comparison(_)
            | Response::Conversations(_)
            | Response::Messages(_)
            | Response::Value(_)
            | Response::Settings(_)
            | Response::Bytes(_)
            | Response::Documents(_)
            | Response::History(_)
            | Response::Conflicts(_)
            | Response::Digest(_)
            | Response::Offer(_)
            | Response::DeviceName(_)
            | Response::RecoveryCode(_)
            | Response::Invite(_)
            | Response::Device(_)
            | Response::Devices(_) => return None,
        })
    }

    fn to_response(&self) -> Response {
        match self {
            Self::Done => Response::Done,
            Self::Message(key) => Response::Message(*key),
            Self::Conversation(space) => Response::Conversation(*space),
            Self::Heads(heads) => Response::Heads(heads.as_chunks().0.to_vec()),
        }
    }
}

impl Edits {
    /// Takes in a record of the index.
    pub(super) fn read(&mut self, record: &[u8], value: &[u8]) -> Result<(), OpenError> {
        let id = record.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
        let id = EditId::from(id.ok_or(OpenError::Damaged("edit"))?);
        let row: EditRow = read_row("edit", value)?;
        self.order.insert(row.number, id);
        self.made.insert(id, row);
        Ok(())
    }

    fn forget(&mut self, edit: &EditId) -> bool {
        let row = self.made.remove(edit);
        row.is_some_and(|row| self.order.remove(&row.number).is_some())
    }
}

impl Engine {
    pub(super) fn execute_once(
        &mut self,
        id: CommandId,
        edit: &EditId,
        command: &Command,
    ) -> Step<Option<Response>> {
        if let Some(row) = self.requests.edits().made.get(edit) {
            return Ok(Some(row.answer.to_response()));
        }
        let response = self.execute(id, command)?;
        if let Some(answer) = response.as_ref().and_then(Answer::of) {
            self.remember(*edit, answer);
        }
        Ok(response)
    }

    fn remember(&mut self, edit: EditId, answer: Answer) {
        while self.requests.edits().order.len() >= EDITS
            && let Some((_, oldest)) = self.requests.edits().order.first()
        {
            self.forget_edits(&[*oldest]);
        }
        let number = self.requests.edits().order.last().map_or(0, |(last, _)| last + 1);
        let row = EditRow { number, answer };
        self.turn.batch.put(key::edit(&edit), codec::encode(&row));
        self.requests.edits_mut().order.insert(number, edit);
        self.requests.edits_mut().made.insert(edit, row);
    }

    pub(super) fn forget_edits(&mut self, edits: &[EditId]) {
        for edit in edits {
            if self.requests.edits_mut().forget(edit) {
                self.turn.batch.delete(key::edit(edit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::every::every_command;
    use crate::records::Records;
    use crate::{Input, Output};
    use serde_json::json;

    /// A device that is never connected, and its disk.
    struct Device {
        engine: Engine,
        disk: Records,
        asked: CommandId,
    }

    impl Device {
        fn open(disk: Records) -> Self {
            let mut device = Self {
                engine: Engine::open([9; 32], 1_000, disk.clone()).unwrap(),
                disk,
                asked: 0,
            };
            device.settle();
            device
        }

        fn with_account() -> Self {
            let mut device = Self::open(Records::new());
            let address = "ada".parse().unwrap();
            device.ask(Command::CreateAccount { address, name: "Ada".into() });
            device
        }

        /// Only what is durable is left.
        fn crash(self) -> Self {
            Self::open(self.disk)
        }

        fn ask(&mut self, command: Command) -> Response {
            self.try_ask(command).unwrap().unwrap()
        }

        /// The answer, if it does not wait for a relay.
        fn try_ask(&mut self, command: Command) -> Option<Result<Response, crate::Failure>> {
            self.asked += 1;
            self.engine.handle(1_000, Input::Command(self.asked, command));
            let mut answers = self.settle();
            if answers.is_empty() {
                // Signing up waits a while for the relay, which is not there.
                self.engine.handle(600_000, Input::Woken);
                answers = self.settle();
            }
            answers.into_iter().find_map(|(id, answer)| (id == self.asked).then_some(answer))
        }

        fn settle(&mut self) -> Vec<(CommandId, Result<Response, crate::Failure>)> {
            let mut answers = Vec::new();
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Persist(batch) => {
                        for prefix in &batch.clears {
                            self.disk.retain(|key, _| !key.starts_with(prefix));
                        }
                        for (key, value) in batch.writes {
                            match value {
                                Some(value) => drop(self.disk.insert(key, value)),
                                None => drop(self.disk.remove(&key)),
                            }
                        }
                        self.engine.handle(1_000, Input::Persisted(batch.number));
                    }
                    Output::Load(load) => {
                        let prefix = load.prefix();
                        let found = self.disk.iter().filter(|(key, _)| key.starts_with(&prefix));
                        let found =
                            found.map(|(key, value)| (key.clone(), value.clone())).collect();
                        self.engine.handle(1_000, Input::Loaded(load, found));
                    }
                    Output::Respond(id, answer) => answers.push((id, answer)),
                    _ => {}
                }
            }
            answers
        }
    }

    fn once(edit: u64, command: Command) -> Command {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&edit.to_be_bytes());
        Command::Once { edit: name.into(), command: Box::new(command) }
    }

    fn setting(n: u64) -> Command {
        Command::SetSetting { key: "n".into(), value: json!(n) }
    }

    #[test]
    fn an_edit_is_made_once_also_after_a_crash() {
        let mut device = Device::with_account();
        let found = Command::CreateConversation { title: "t".into(), members: Vec::new() };
        let Response::Conversation(conversation) = device.ask(once(1, found.clone())) else {
            panic!("another answer")
        };
        let send = Command::SendMessage { conversation, text: "hello".into(), reply_to: None };
        let sent = device.ask(once(2, send.clone()));
        let mut device = device.crash();
        assert_eq!(device.ask(once(1, found)), Response::Conversation(conversation));
        assert_eq!(device.ask(once(2, send.clone())), sent);
        let list = |device: &mut Device| {
            let page = Command::ListMessages { conversation, before: None, limit: 10 };
            let Response::Messages(messages) = device.ask(page) else { panic!("another answer") };
            messages.len()
        };
        assert_eq!(list(&mut device), 1);
        assert_ne!(device.ask(send), sent, "without a name it is another message");
        assert_eq!(list(&mut device), 2);
    }

    #[test]
    fn every_command_is_carried_out_by_some_room() {
        let mut device = Device::with_account();
        for command in every_command() {
            let asked = format!("{command:?}");
            if let Some(Err(crate::Failure::Invalid(why))) = device.try_ask(command) {
                assert_ne!(why, "no command of a document", "{asked}");
            }
        }
    }

    #[test]
    fn a_forgotten_edit_is_made_again() {
        let mut device = Device::with_account();
        let value = |device: &mut Device| device.ask(Command::Setting { key: "n".into() });
        device.ask(once(1, setting(1)));
        device.ask(once(1, setting(2)));
        assert_eq!(value(&mut device), Response::Value(json!(1)));
        let Command::Once { edit, .. } = once(1, setting(0)) else { unreachable!() };
        device.ask(Command::ForgetEdits { edits: vec![edit] });
        assert!(!device.disk.contains_key(&key::edit(&edit)));
        device.ask(once(1, setting(2)));
        assert_eq!(value(&mut device), Response::Value(json!(2)));
    }

    #[test]
    fn only_so_many_edits_are_remembered() {
        let mut device = Device::with_account();
        let count = u64::try_from(EDITS).unwrap() + 3;
        for edit in 0..count {
            // Answered without a change of its own: the name alone is kept.
            device.ask(once(edit, Command::GoOffline));
        }
        let kept =
            |device: &Device| device.disk.keys().filter(|key| key.starts_with(key::EDITS)).count();
        assert_eq!(kept(&device), EDITS);
        let mut device = device.crash();
        device.ask(once(count, Command::GoOffline));
        assert_eq!(kept(&device), EDITS);
        let first_kept = once(4, setting(7));
        device.ask(first_kept);
        let value = device.ask(Command::Setting { key: "n".into() });
        assert_eq!(value, Response::Value(serde_json::Value::Null), "4 is still remembered");
    }
}
