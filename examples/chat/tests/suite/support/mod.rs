//! A relay in this process, and clients driven as any program would drive them.

pub(crate) mod linking;
#[cfg(unix)]
pub(crate) mod pty;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sync_server::config::Config;
use sync_server::relay::Registration;
use sync_server::rules::Action;
use sync_server::server::Server;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A relay and a directory for everybody's stores.
pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    server: Server,
    directory: tempfile::TempDir,
    /// Where the relay is.
    pub(crate) relay: String,
}

impl World {
    /// Starts a relay.
    pub(crate) fn start() -> Self {
        Self::letting_in(Registration::Open)
    }

    /// Starts a relay that lets these make accounts.
    pub(crate) fn letting_in(registration: Registration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (listen, data) = ("127.0.0.1:0".parse().unwrap(), directory.path().join("relay"));
        let config = Config { listen, data, registration, ..Config::default() };
        let server = runtime.block_on(Server::start(&config)).unwrap();
        let relay = format!("ws://{}", server.address());
        Self { runtime, server, directory, relay }
    }

    /// Does something as the relay's operator.
    pub(crate) fn operate(&self, action: Action) {
        let hub = self.server.hub();
        let done = hub.with(move |relay, now_ms| relay.operate(action, now_ms));
        self.runtime.block_on(done).unwrap().unwrap();
    }

    /// Where somebody's store is.
    pub(crate) fn data(&self, who: &str) -> PathBuf {
        self.directory.path().join(who)
    }

    /// Opens somebody's client.
    pub(crate) fn open(&self, who: &str) -> Person {
        Person::open(&self.data(who), &self.relay)
    }

    /// Opens a client on an empty store and signs up.
    pub(crate) fn sign_up(&self, who: &str) -> Person {
        let mut person = self.open(who);
        person.call("account.create", json!({ "address": who, "name": who.to_uppercase() }));
        person.wait("up_to_date");
        person
    }
}

/// A `chat rpc` process.
pub(crate) struct Person {
    process: Child,
    requests: Option<ChildStdin>,
    lines: Receiver<Value>,
    answers: BTreeMap<u64, Value>,
    next: u64,
    /// Notifications so far.
    pub(crate) notices: Vec<Value>,
}

impl Person {
    pub(crate) fn open(data: &Path, relay: &str) -> Self {
        Self::run(&mut command(data, relay))
    }

    /// Starts a client as this command says.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // A test that ended listens no more.
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, requests, lines, answers: BTreeMap::new(), next: 0, notices: Vec::new() }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a request; its answer is waited for elsewhere.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.try_ask(method, params).expect("the process goes on")
    }

    /// Sends a request; `None` if the process ended before.
    pub(crate) fn try_ask(&mut self, method: &str, params: Value) -> Option<u64> {
        self.next += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        writeln!(self.requests.as_mut().unwrap(), "{request}").ok()?;
        Some(self.next)
    }

    /// The whole answer to a request.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.try_answer(id).expect("the process goes on")
    }

    /// The first notification that is as it should be, of those not asked for yet; `None` if the
    /// process ended without it.
    pub(crate) fn hear(&mut self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.notices.iter().position(&is_it) {
                return Some(self.notices.remove(at));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("not heard: {:#?}", self.notices),
            };
            match line["id"].as_u64() {
                Some(id) => drop(self.answers.insert(id, line)),
                None => self.notices.push(line),
            }
        }
    }

    /// The result or the error of a request; `None` if the process ended before.
    pub(crate) fn attempt(&mut self, method: &str, params: Value) -> Option<Result<Value, Value>> {
        let id = self.try_ask(method, params)?;
        let mut answer = self.try_answer(id)?;
        let error = answer["error"].take();
        Some(if error.is_null() { Ok(answer["result"].take()) } else { Err(error) })
    }

    /// The whole answer to a request; `None` if the process ended before.
    pub(crate) fn try_answer(&mut self, id: u64) -> Option<Value> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Some(answer);
            }
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("an answer comes in time"),
            };
            match line["id"].as_u64() {
                Some(id) => drop(self.answers.insert(id, line)),
                None => self.notices.push(line),
            }
        }
    }

    /// Kills the process from elsewhere, some time from now.
    pub(crate) fn kill_in(&self, delay: Duration) -> std::thread::JoinHandle<()> {
        let process = self.process.id().to_string();
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            // Not reaped before this thread is joined: the number is still that process's.
            let _ = Command::new("kill").args(["-9", &process]).stderr(Stdio::null()).status();
        })
    }

    /// The result of a request.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let mut answer = self.answer(id);
        assert_eq!(answer.get("error"), None, "{method}");
        answer["result"].take()
    }

    /// The error of a request.
    pub(crate) fn fail(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)["error"].take()
    }

    /// Waits for a state of the sync.
    pub(crate) fn wait(&mut self, until: &str) {
        let result = self.call("sync.wait", json!({ "until": until, "timeout_ms": 50_000 }));
        assert_eq!(result, json!({ "reached": true }), "{until}");
    }

    /// Asks again until the answer is as it should be.
    pub(crate) fn until(
        &mut self,
        method: &str,
        params: &Value,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let result = self.call(method, params.clone());
            if is_so(&result) {
                return result;
            }
            assert!(Instant::now() < deadline, "{method} still says {result}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What a conversation shows.
    pub(crate) fn texts(&mut self, conversation: &Value) -> Vec<String> {
        let params = json!({ "conversation": conversation, "limit": 1000 });
        let list = self.call("message.list", params);
        let list = list.as_array().unwrap();
        list.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Kills the process as a crash would.
    pub(crate) fn kill(mut self) {
        self.stop();
    }

    /// Kills the process and keeps what it said.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends the input and waits for the end of the process.
    pub(crate) fn close(mut self) -> ExitStatus {
        self.requests = None;
        self.process.wait().unwrap()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Already ended, where the test went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program in machine mode.
pub(crate) fn command(data: &Path, relay: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    command.arg("--data").arg(data).arg("--relay").arg(relay).arg("rpc");
    command
}
