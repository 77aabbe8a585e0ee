//! A program on one store: it may be away, cut off, or killed.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::rpc::Client;

/// How long a device may take to be at rest.
const RESTS_WITHIN_MS: u64 = 90_000;

/// One device.
pub(super) struct Device {
    store: PathBuf,
    /// The program, while it runs.
    client: Option<Client>,
    /// Its id, once it has an account.
    pub(super) id: Value,
}

impl Device {
    /// Starts a program on a store.
    pub(super) fn start(store: PathBuf, relay: &str) -> Result<Self, Failure> {
        let mut device = Self { store, client: None, id: Value::Null };
        device.wake(relay)?;
        Ok(device)
    }

    /// The program runs, whatever it did before.
    pub(super) fn wake(&mut self, relay: &str) -> Result<(), Failure> {
        if self.client.is_none() {
            let name = self.store.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.client = Some(Client::start(&name, &self.store, relay)?);
        }
        Ok(())
    }

    /// The program, awake and with a connection again.
    pub(super) fn be_there(&mut self, relay: &str) -> Result<(), Failure> {
        self.wake(relay)?;
        self.call("network.online", json!({})).map(drop)
    }

    fn running(&mut self) -> Result<&mut Client, Failure> {
        self.client.as_mut().ok_or(Failure::Asleep { store: self.store.clone() })
    }

    pub(super) fn is_awake(&self) -> bool {
        self.client.is_some()
    }

    /// Ends the program as a person would.
    pub(super) fn sleep(&mut self) {
        self.client = None;
    }

    /// Kills the program in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        if let Some(mut client) = self.client.take() {
            client.kill();
        }
    }

    /// Takes the store away as well: a lost device.
    pub(super) fn lose(mut self) {
        self.kill();
        // Nobody reads it again; one that is left behind does no harm.
        let _ = std::fs::remove_dir_all(&self.store);
    }

    /// Calls a method.
    pub(super) fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.running()?.call(method, params)
    }

    /// Waits for a notification of a kind, and gives what it tells.
    pub(super) fn hear(&mut self, method: &str) -> Result<Value, Failure> {
        self.running()?.hear(method)
    }

    /// Waits for a state of the sync.
    pub(super) fn is(&mut self, until: &str) -> Result<(), Failure> {
        let params = json!({ "until": until, "timeout_ms": RESTS_WITHIN_MS });
        let reached = self.call("sync.wait", params)?;
        if reached["reached"] == true {
            return Ok(());
        }
        let status = self.call("account.status", json!({}))?;
        let what = format!("{} is not {until}: {status}", self.store.display());
        Err(Failure::Differs { what })
    }

    /// Waits until a conversation is there, and accepts it if it asks for that.
    pub(super) fn accept(&mut self, conversation: &Value) -> Result<(), Failure> {
        let is_it = |view: &&Value| view["conversation"] == *conversation;
        let list = self.running()?.call_until("conversation.list", &json!({}), |list| {
            list.as_array().is_some_and(|list| list.iter().any(|view| is_it(&view)))
        })?;
        let view = list.as_array().and_then(|list| list.iter().find(is_it));
        if view.is_some_and(|view| view["pending"] == true) {
            self.call("conversation.accept", json!({ "conversation": conversation }))?;
        }
        Ok(())
    }
}
