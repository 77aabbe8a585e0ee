//! For tests that tell a story: ask one device something, and wait for the answer.

use sync_core::api::{MessageView, Progress, Response, Space, Status, Until};
use sync_core::document::OrderKey;
use sync_core::{Command, Failure};
use sync_protocol::SpaceId;

use super::World;
use crate::violation::{Invariant, Violation};

/// How long anybody waits for an answer, in virtual ms.
const PATIENCE_MS: u64 = 10 * 60 * 1000;
/// Messages asked for at once.
const PAGE: usize = 200;

impl World {
    /// Gives a device a command and lets the world go on until it answers.
    ///
    /// # Errors
    /// `Robust` if no answer comes; else whatever was broken meanwhile.
    pub fn ask(
        &mut self,
        device: usize,
        command: Command,
    ) -> Result<Result<Response, Failure>, Violation> {
        let question = format!("{command:?}");
        self.devices[device].answers.clear();
        let id = self.give(device, command)?;
        let until = self.agenda.now_ms() + PATIENCE_MS;
        loop {
            if let Some(answer) = self.devices[device].answers.remove(&id) {
                return Ok(answer);
            }
            if !self.step(until)? {
                let detail = format!("device {device} never answers {question}");
                return Err(Violation::new(Invariant::Robust, detail));
            }
        }
    }

    /// As [`ask`](Self::ask), where only success is right.
    ///
    /// # Errors
    /// `Robust` if the command fails.
    pub fn expect(&mut self, device: usize, command: Command) -> Result<Response, Violation> {
        let question = format!("{command:?}");
        self.ask(device, command)?.map_err(|failure| {
            let detail = format!("device {device} fails {question}: {failure}");
            Violation::new(Invariant::Robust, detail)
        })
    }

    /// Founds an account on every device, and waits until all are stored at the relay.
    ///
    /// # Errors
    /// If that does not work.
    pub fn sign_up(&mut self) -> Result<(), Violation> {
        for device in 0..self.devices.len() {
            while self.devices[device].engine.is_none() || !self.relay.runs() {
                self.pass(10)?;
            }
            let person = &self.book.people[self.devices[device].person];
            let (address, name) = (person.address.clone(), person.name.clone());
            self.expect(device, Command::CreateAccount { address, name })?;
        }
        self.settle()
    }

    /// Founds a conversation on a device, with these people as members.
    ///
    /// # Errors
    /// If that does not work.
    pub fn converse(&mut self, device: usize, with: &[usize]) -> Result<SpaceId, Violation> {
        let members = with.iter().map(|person| self.book.people[*person].address.clone());
        let members = members.collect();
        let title = self.text("title");
        let command = Command::CreateConversation { title, members };
        match self.expect(device, command)? {
            Response::Conversation(space) => Ok(space),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a message on a device.
    ///
    /// # Errors
    /// If that does not work.
    pub fn say(&mut self, device: usize, conversation: SpaceId) -> Result<OrderKey, Violation> {
        let text = self.text("message");
        let command = Command::SendMessage { conversation, text, reply_to: None };
        match self.expect(device, command)? {
            Response::Message(key) => Ok(key),
            other => Err(unexpected(&other)),
        }
    }

    /// All messages that a device shows in a conversation, oldest first.
    ///
    /// # Errors
    /// If it shows none.
    pub fn messages(
        &mut self,
        device: usize,
        conversation: SpaceId,
    ) -> Result<Vec<MessageView>, Violation> {
        let mut all: Vec<MessageView> = Vec::new();
        loop {
            let before = all.first().map(|view| view.message);
            let command = Command::ListMessages { conversation, before, limit: PAGE };
            let Response::Messages(mut page) = self.expect(device, command)? else {
                return Ok(all);
            };
            if page.is_empty() {
                return Ok(all);
            }
            let whole = page.len() < PAGE;
            page.append(&mut all);
            all = page;
            if whole {
                return Ok(all);
            }
        }
    }

    /// The fingerprint of a space on a device.
    ///
    /// # Errors
    /// If it gives none.
    pub fn digest(
        &mut self,
        device: usize,
        space: Space,
    ) -> Result<sync_core::api::Digest, Violation> {
        match self.expect(device, Command::Digest { space })? {
            Response::Digest(digest) => Ok(digest),
            other => Err(unexpected(&other)),
        }
    }

    /// How things stand on a device.
    ///
    /// # Errors
    /// If it does not say.
    pub fn status(&mut self, device: usize) -> Result<Status, Violation> {
        match self.expect(device, Command::Status)? {
            Response::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits until a device is told that everything written on it is stored.
    ///
    /// # Errors
    /// If that never comes.
    pub fn wait_until_stored(&mut self, device: usize) -> Result<(), Violation> {
        self.expect(device, Command::Wait(Until::Stored)).map(drop)
    }

    /// How far a message has come, as a device shows it.
    ///
    /// # Errors
    /// `Kept` if the device does not show the message.
    pub fn progress(
        &mut self,
        device: usize,
        space: SpaceId,
        message: OrderKey,
    ) -> Result<Progress, Violation> {
        let views = self.messages(device, space)?;
        let view = views.iter().find(|view| view.message == message);
        view.map(|view| view.status).ok_or_else(|| {
            Violation::new(Invariant::Kept, format!("device {device} does not show {message}"))
        })
    }
}

fn unexpected(response: &Response) -> Violation {
    Violation::new(Invariant::Robust, format!("an answer to another question: {response:?}"))
}
