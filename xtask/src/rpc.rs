//! One device, driven through `chat rpc`: JSON-RPC 2.0, a message a line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command;
use crate::failure::Failure;
use crate::process::{self, Event};

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A running client. Dropping it closes its input, by which it ends, and waits for that.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    child: Child,
    requests: Option<ChildStdin>,
    events: Receiver<Event>,
    last_id: u64,
    /// Notifications that nobody has asked for yet, the oldest first.
    heard: VecDeque<(String, Value)>,
    log: PathBuf,
}

/// Notifications that are kept until somebody asks for them.
const HEARD: usize = 256;

/// What a line from a client is.
#[derive(Debug, PartialEq)]
enum Message {
    Answer { id: u64, outcome: Result<Value, Value> },
    Notification { method: String, params: Value },
}

impl Client {
    /// Starts a client on the store in `data`, which is made if it isn't there.
    ///
    /// # Errors
    /// `Start`, or `File` if the log can't be written.
    pub(crate) fn start(name: &str, data: &Path, relay: &str) -> Result<Self, Failure> {
        let log = data.with_extension("log");
        let file = File::create(&log).map_err(Failure::file(&log))?;
        let mut chat = Command::new(command::program("chat")?);
        chat.arg("--data").arg(data).args(["--relay", relay, "rpc"]);
        let shown = command::shown(&chat);
        chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = chat.spawn().map_err(|source| Failure::Start { command: shown, source })?;
        let (sender, events) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            process::follow(output, None, sender);
        }
        let requests = child.stdin.take();
        let heard = VecDeque::new();
        Ok(Self { name: name.to_owned(), child, requests, events, last_id: 0, heard, log })
    }

    /// Calls a method and gives its result.
    ///
    /// # Errors
    /// `Refused` with the client's own error, `Client` if it ends or talks nonsense, `TooLate`.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.exchange(method, params).map(|(result, _)| result)
    }

    /// Calls a method after each notification until `enough` accepts its result.
    ///
    /// # Errors
    /// As [`Client::call`]; `TooLate` if it is never enough.
    pub(crate) fn call_until(
        &mut self,
        method: &str,
        params: &Value,
        enough: impl Fn(&Value) -> bool,
    ) -> Result<Value, Failure> {
        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            let (result, news) = self.exchange(method, params.clone())?;
            if enough(&result) {
                return Ok(result);
            }
            if Instant::now() >= deadline {
                return Err(self.too_late(method));
            }
            if news {
                continue;
            }
            // An answer that comes too late tells nothing.
            let told = loop {
                if let Message::Notification { method, params } = self.message(method, deadline)? {
                    break (method, params);
                }
            };
            self.keep(told.0, told.1);
        }
    }

    /// A call's result, and whether a notification came before it: the result may then be
    /// older than what the notification tells.
    fn exchange(&mut self, method: &str, params: Value) -> Result<(Value, bool), Failure> {
        self.last_id += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        let sent = self.requests.as_mut().is_some_and(|input| writeln!(input, "{request}").is_ok());
        if !sent {
            return Err(self.failure(method, "the client has ended"));
        }
        let deadline = Instant::now() + ANSWERS_WITHIN;
        let mut news = false;
        loop {
            match self.message(method, deadline)? {
                Message::Notification { method, params } => {
                    self.keep(method, params);
                    news = true;
                }
                Message::Answer { id, .. } if id != self.last_id => {}
                Message::Answer { outcome: Ok(result), .. } => return Ok((result, news)),
                Message::Answer { outcome: Err(error), .. } => {
                    let (client, method) = (self.name.clone(), method.to_owned());
                    return Err(Failure::Refused { client, method, error: error.to_string() });
                }
            }
        }
    }

    /// Waits for a notification, and gives what it tells. The oldest that nobody asked for comes
    /// first.
    ///
    /// # Errors
    /// `Client` if the program ends before, `TooLate`.
    pub(crate) fn hear(&mut self, method: &str) -> Result<Value, Failure> {
        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            if let Some(at) = self.heard.iter().position(|(known, _)| known == method) {
                return Ok(self.heard.remove(at).map(|(_, params)| params).unwrap_or_default());
            }
            if let Message::Notification { method, params } = self.message(method, deadline)? {
                self.keep(method, params);
            }
        }
    }

    fn keep(&mut self, method: String, params: Value) {
        self.heard.push_back((method, params));
        if self.heard.len() > HEARD {
            self.heard.pop_front();
        }
    }

    /// Kills the program in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn message(&self, method: &str, deadline: Instant) -> Result<Message, Failure> {
        match process::next(&self.events, deadline) {
            Some(Event::Line(line)) => {
                Message::parse(&line).ok_or_else(|| self.failure(method, "it is not JSON-RPC"))
            }
            Some(_) => Err(self.failure(method, "the client has ended")),
            None => Err(self.too_late(method)),
        }
    }

    fn too_late(&self, method: &str) -> Failure {
        Failure::TooLate { what: format!("{}: {method}", self.name), within: ANSWERS_WITHIN }
    }

    /// What to say when this client answers, but not as it should.
    pub(crate) fn failure(&self, method: &str, reason: &'static str) -> Failure {
        let (client, method) = (self.name.clone(), method.to_owned());
        Failure::Client { client, method, reason, log: self.log.clone() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.requests.take());
        process::finish(&mut self.child, &self.events, Instant::now() + ENDS_WITHIN);
    }
}

impl Message {
    fn parse(line: &str) -> Option<Self> {
        let mut message: Value = serde_json::from_str(line).ok()?;
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let method = method.to_owned();
            let params = message.get_mut("params").map(Value::take).unwrap_or_default();
            return Some(Self::Notification { method, params });
        }
        let id = message.get("id")?.as_u64()?;
        let outcome = match message.get_mut("error").map(Value::take) {
            Some(error) if !error.is_null() => Err(error),
            _ => Ok(message.get_mut("result").map(Value::take)?),
        };
        Some(Self::Answer { id, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_errors_and_notifications_are_told_apart() {
        let answer = Message::parse(r#"{"jsonrpc":"2.0","id":7,"result":{"message":"m"}}"#);
        let outcome = Ok(json!({"message": "m"}));
        assert_eq!(answer, Some(Message::Answer { id: 7, outcome }));
        let refusal = Message::parse(r#"{"jsonrpc":"2.0","id":8,"error":{"code":-32000}}"#);
        assert_eq!(refusal, Some(Message::Answer { id: 8, outcome: Err(json!({"code": -32000})) }));
        let news = Message::parse(r#"{"jsonrpc":"2.0","method":"message","params":{}}"#);
        let method = "message".to_owned();
        assert_eq!(news, Some(Message::Notification { method, params: json!({}) }));
    }

    #[test]
    fn a_result_of_null_is_a_result() {
        let answer = Message::parse(r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
        assert_eq!(answer, Some(Message::Answer { id: 1, outcome: Ok(Value::Null) }));
    }

    #[test]
    fn anything_else_is_nothing() {
        for line in ["", "hello", "[]", r#"{"id":1}"#, r#"{"id":"x","result":1}"#] {
            assert_eq!(Message::parse(line), None, "{line}");
        }
    }
}
