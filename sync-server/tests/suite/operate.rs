//! The real program in its operator's hands: asked over its socket, told by signals, backed up while
//! it runs, put back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use futures_util::SinkExt as _;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, Op, RelayFrame, Request, token_hash};
use tokio_tungstenite::tungstenite::Message;

use crate::support::socket::Socket;
use crate::support::{Device, push, space};

struct Relay {
    process: Child,
    address: SocketAddr,
    operate: SocketAddr,
    config: PathBuf,
    lines: Receiver<String>,
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sync-server"))
}

/// A configuration file in a folder, with this at its end.
fn configure(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("relay.toml");
    let data = folder.join("data");
    let text = format!(
        "listen = \"127.0.0.1:0\"\noperate = \"127.0.0.1:0\"\ndata = {data:?}\n\
         min_free_bytes = 0\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

impl Relay {
    fn start(config: PathBuf) -> Self {
        let mut command = program();
        command.arg("--config").arg(&config).arg("run").stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let at = |line: &str| line.rsplit_once("addr=").unwrap().1.trim().parse().unwrap();
        let (mut address, mut operate) = (None, None);
        while address.is_none() || operate.is_none() {
            let line = lines.recv().expect("it says where it listens");
            if line.contains("health and metrics") {
                operate = Some(at(&line));
            } else if line.contains("listening") {
                address = Some(at(&line));
            }
        }
        let (address, operate) = (address.unwrap(), operate.unwrap());
        Self { process, address, operate, config, lines }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program().arg("--config").arg(&self.config).args(arguments).output().unwrap()
    }

    /// What the program says when it is asked this, and does.
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (said, error) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{error}");
        said
    }

    /// What it says when it does not.
    fn is_refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// The next line of the log with these words in it.
    fn logs(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv().expect("it still runs");
            if line.contains(words) {
                return line;
            }
        }
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.process.wait().unwrap().success());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What somebody gets over HTTP: the status, and the body.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A device with a space, all stored.
async fn stored(address: SocketAddr, device: &mut Device, n: u8) -> Socket {
    let mut socket = Socket::open(address, device).await.unwrap();
    let founding = device.found(space(n));
    socket.send(&push(space(n), vec![founding])).await.unwrap();
    while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
    socket
}

async fn goodbye(socket: &mut Socket) -> Option<Rejection> {
    while let Some(frame) = socket.next().await {
        if let RelayFrame::Goodbye { reason } = frame {
            return Some(reason);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_relay_is_backed_up_and_a_backup_put_back_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), ""));
    let mut ada = Device::new(1);
    let mut socket = stored(relay.address, &mut ada, 1).await;
    let backups = folder.path().join("backups");
    let to = backups.to_str().unwrap();
    // Both ways lead to the relay that runs.
    relay.ask(&["backup", "--to", to, "--keep", "2"]);
    relay.ask(&["admin", "backup", "--to", to, "--keep", "2"]);
    let last = relay.ask(&["admin", "backup", "--to", to, "--keep", "2"]);
    let last = last.trim().strip_prefix("path").unwrap().trim().to_owned();
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), 2);
    assert!(relay.ask(&["check", &last]).contains("rows damaged  0"));
    let set = ada.content(space(1), 1);
    socket.send(&push(space(1), vec![set])).await.unwrap();
    while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
    let config = relay.config.clone();
    let refused = relay.is_refused(&["restore", &last]);
    assert!(refused.contains("move them away"), "{refused}");
    relay.stop();
    std::fs::rename(folder.path().join("data"), folder.path().join("before")).unwrap();
    let restored =
        program().arg("--config").arg(&config).args(["restore", &last]).output().unwrap();
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    assert!(text(&restored.stdout).contains("write again"));
    let relay = Relay::start(config);
    ada.fence = 12_345;
    // Its store's fence has gone on since the backup, and that is not held against it.
    let mut socket = Socket::open(relay.address, &mut ada).await.unwrap();
    let next = ada.content(space(1), 1);
    socket.send(&push(space(1), vec![next])).await.unwrap();
    loop {
        match socket.next().await.unwrap() {
            RelayFrame::Refused { reason, .. } => {
                assert_eq!(reason, Rejection::Gap { have: 0 });
                break;
            }
            RelayFrame::Stored(stored) => panic!("{stored:?}"),
            _ => {}
        }
    }
    relay.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_suspends_and_deletes_accounts_and_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), ""));
    let socket = folder.path().join("data/relay.redb.admin");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let mut open = stored(relay.address, &mut ada, 1).await;
    let _bob = stored(relay.address, &mut bob, 2).await;
    let account = ada.account.to_string();
    let stats = relay.ask(&["admin", "stats"]);
    assert!(
        stats.lines().any(|line| line.starts_with("accounts") && line.ends_with(" 2")),
        "{stats}"
    );
    assert!(relay.ask(&["admin", "sessions"]).contains(&account));
    let shown = relay.ask(&["admin", "account", "show", &account]);
    for words in ["good", &ada.id.to_string(), &space(1).to_string(), "sessions=1"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    relay.ask(&["admin", "account", "suspend", &account]);
    assert_eq!(goodbye(&mut open).await, Some(Rejection::Denied));
    let mut again = Socket::dial(relay.address).await.unwrap();
    assert_eq!(again.greet(&mut ada).await, Err(Rejection::Denied));
    relay.ask(&["admin", "account", "resume", &account]);
    let mut open = Socket::open(relay.address, &mut ada).await.unwrap();
    relay.ask(&["admin", "space", "delete", &space(1).to_string()]);
    assert!(matches!(goodbye(&mut open).await, Some(Rejection::Unavailable { .. })));
    let mut open = Socket::open(relay.address, &mut ada).await.unwrap();
    let founding = ada.found(space(1));
    open.send(&push(space(1), vec![founding])).await.unwrap();
    loop {
        match open.next().await.unwrap() {
            RelayFrame::Refused { reason, .. } => {
                assert_eq!(reason, Rejection::Denied, "it does not come back");
                break;
            }
            RelayFrame::Stored(stored) => panic!("{stored:?}"),
            _ => {}
        }
    }
    let shown = relay.ask(&["admin", "space", "show", &space(1).to_string()]);
    assert!(shown.contains("deleted"), "{shown}");
    relay.ask(&["admin", "account", "delete", &account]);
    assert_eq!(goodbye(&mut open).await, Some(Rejection::Revoked));
    let mut again = Socket::dial(relay.address).await.unwrap();
    assert_eq!(again.greet(&mut ada).await, Err(Rejection::Revoked));
    assert!(relay.is_refused(&["admin", "account", "delete", &account]).contains("already"));
    let nobody = relay.is_refused(&["admin", "account", "show", "nobody"]);
    assert!(nobody.contains("nobody"), "{nobody}");
    // Bob is as he was, and what Ada had is swept.
    assert!(relay.ask(&["admin", "account", "show", &bob.account.to_string()]).contains("good"));
    let config = relay.config.clone();
    relay.stop();
    let gone = program().arg("--config").arg(config).args(["admin", "stats"]).output().unwrap();
    assert!(text(&gone.stderr).contains("is it running?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_token_makes_an_account_where_others_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), "registration = \"token\"\n"));
    let mut ada = Device::new(1);
    let mut without = Socket::dial(relay.address).await.unwrap();
    assert_eq!(without.greet(&mut ada).await, Err(Rejection::Denied));
    let said = relay.ask(&["admin", "token", "add", "--uses", "1", "--note", "for ada"]);
    let token = said.lines().find_map(|line| line.strip_prefix("token")).unwrap().trim();
    assert!(relay.ask(&["admin", "token", "list"]).contains("for ada"));
    let mut wrong = Socket::dial_with(relay.address, "?token=0123").await.unwrap();
    assert_eq!(wrong.greet(&mut ada).await, Err(Rejection::Denied));
    let query = format!("?token={token}");
    let mut with = Socket::dial_with(relay.address, &query).await.unwrap();
    assert_eq!(with.greet(&mut ada).await, Ok(true));
    drop(with);
    // It needs none any more, and nobody else comes in by it.
    assert!(Socket::open(relay.address, &mut ada).await.is_some());
    let mut bob = Device::new(2);
    let mut spent = Socket::dial_with(relay.address, &query).await.unwrap();
    assert_eq!(spent.greet(&mut bob).await, Err(Rejection::Denied));
    // Longer than there are days is for ever, or near it.
    let said = relay.ask(&["admin", "token", "add", "--days", "18446744073709551615"]);
    let query = format!("?token={}", value(&said, "token"));
    let mut with = Socket::dial_with(relay.address, &query).await.unwrap();
    assert_eq!(with.greet(&mut bob).await, Ok(true));
    let said = relay.ask(&["admin", "token", "add", "--days", "0"]);
    let name = said.lines().find_map(|line| line.strip_prefix("name")).unwrap().trim();
    relay.ask(&["admin", "token", "remove", name]);
    assert!(!relay.ask(&["admin", "token", "list"]).contains(name));
    relay.stop();
}

/// What a line of an answer says behind its name.
fn value<'a>(said: &'a str, name: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_draws_lists_and_withdraws_invites() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), "registration = \"invite\"\n"));
    let comes = async |seed: u64, code: &str| {
        let query = format!("?token={code}");
        let mut socket = Socket::dial_with(relay.address, &query).await.unwrap();
        let mut device = Device::new(seed);
        socket.greet(&mut device).await.map(|_| (device, socket))
    };
    assert_eq!(comes(1, "").await.err(), Some(Rejection::Denied));
    let drawn = relay.ask(&["admin", "invite", "draw", "--days", "1"]);
    let (ada, mut socket) = comes(1, value(&drawn, "code")).await.unwrap();
    let listed = relay.ask(&["admin", "invites", "list"]);
    for words in [value(&drawn, "name"), "by=operator", &format!("used_by={}", ada.account)] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    assert!(!listed.contains(value(&drawn, "code")));
    for code in ["one", "two"] {
        let op = Op::DrawInvite { hash: token_hash(code) };
        socket.send(&ClientFrame::Request(Request { id: 9, op })).await.unwrap();
        while !matches!(socket.next().await.unwrap(), RelayFrame::Reply(_)) {}
    }
    let account = ada.account.to_string();
    let hers = relay.ask(&["admin", "invite", "list", "--by", &account]);
    assert_eq!(hers.matches(&format!("by={account}")).count(), 2, "{hers}");
    let said = relay.ask(&["admin", "invite", "withdraw", "--by", &account]);
    assert_eq!(value(&said, "withdrawn"), "2");
    assert_eq!(comes(2, "one").await.err(), Some(Rejection::Denied));
    let drawn = relay.ask(&["admin", "invite", "draw"]);
    relay.ask(&["admin", "invite", "withdraw", value(&drawn, "name")]);
    assert_eq!(comes(2, value(&drawn, "code")).await.err(), Some(Rejection::Denied));
    let none = relay.is_refused(&["admin", "invite", "withdraw", "0123"]);
    assert!(none.contains("no invite 0123"), "{none}");
    for wrong in [&["draw", "--days", "0"][..], &["withdraw"], &["withdraw", "a", "--by", "b"]] {
        let arguments = [&["admin", "invite"], wrong].concat();
        assert_eq!(relay.run(&arguments).status.code(), Some(2), "{arguments:?}");
    }
    relay.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balancers_see_a_relay_leave_before_connections_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(configure(folder.path(), "drain_delay_ms = 3000\n"));
    assert_eq!(get(relay.operate, "/readyz").0, 200);
    let (status, said) = get(relay.operate, "/healthz");
    assert!(status == 200 && said.contains("heartbeat"), "{said}");
    // Devices get neither.
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(relay.address, path).0, 404);
    }
    assert!(relay.ask(&["health"]).contains("serving"));
    let mut ada = Device::new(1);
    let mut socket = stored(relay.address, &mut ada, 1).await;
    relay.signal("-TERM");
    relay.logs("draining");
    let mut seen = false;
    while !seen {
        let (status, _) = get(relay.operate, "/readyz");
        seen = status == 503;
    }
    // And still takes what comes.
    let set = ada.content(space(1), 1);
    socket.send(&push(space(1), vec![set])).await.unwrap();
    while !matches!(socket.next().await.unwrap(), RelayFrame::Stored(_)) {}
    assert!(matches!(goodbye(&mut socket).await, Some(Rejection::Unavailable { .. })));
    assert!(relay.process.wait().unwrap().success());
    assert!(!folder.path().join("data/relay.redb.admin").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_reads_the_configuration_anew_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), ""));
    let mut ada = Device::new(1);
    let mut socket = stored(relay.address, &mut ada, 1).await;
    configure(folder.path(), "registration = \"closed\"\nlog_level = \"debug\"\n");
    relay.signal("-HUP");
    relay.logs("reloaded");
    let mut bob = Device::new(2);
    let mut late = Socket::dial(relay.address).await.unwrap();
    assert_eq!(late.greet(&mut bob).await, Err(Rejection::Denied));
    configure(folder.path(), "registration = \"everybody\"\n");
    relay.signal("-HUP");
    let said = relay.logs("not reloaded");
    assert!(said.contains("everybody") && said.contains("registration"), "{said}");
    configure(folder.path(), "");
    relay.ask(&["admin", "reload"]);
    relay.logs("reloaded");
    socket.ws.send(Message::Ping("still".into())).await.unwrap();
    let set = ada.content(space(1), 1);
    socket.send(&push(space(1), vec![set])).await.unwrap();
    while !matches!(socket.next().await.unwrap(), RelayFrame::Stored(_)) {}
    relay.ask(&["admin", "log-level", "warn"]);
    assert!(relay.is_refused(&["admin", "log-level", "a=b=c"]).contains("a=b=c"));
    relay.stop();
}

/// What is answered to who asks for a socket, by the first line, and the connection.
fn asks_for_a_socket(address: SocketAddr, origin: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/socket HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{origin}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    let mut answer = BufReader::new(stream.try_clone().unwrap());
    answer.read_line(&mut line).unwrap();
    (line, stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_what_bounds_addresses_the_disk_and_pages() {
    let folder = tempfile::tempdir().unwrap();
    // This machine is counted like any other.
    let relay = Relay::start(configure(folder.path(), "unlimited = []\n"));
    let page = "Origin: https://app.example\r\n";
    let held: Vec<_> = (0..3).map(|_| asks_for_a_socket(relay.address, "")).collect();
    assert!(held.iter().all(|(line, _)| line.contains(" 101 ")), "{held:?}");
    assert!(asks_for_a_socket(relay.address, page).0.contains(" 403 "));
    let text = "unlimited = []\norigins = [\"https://app.example\"]\n[limits]\n\
        connections_per_address = 2\n";
    configure(folder.path(), text);
    relay.signal("-HUP");
    relay.logs("reloaded");
    assert!(asks_for_a_socket(relay.address, "").0.contains(" 429 "));
    drop(held);
    // Places come back when the relay has seen that nobody is there.
    while !asks_for_a_socket(relay.address, page).0.contains(" 101 ") {}
    // The disk has less than anybody wants to keep free, all of a sudden.
    let path = configure(folder.path(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    let much = text.replace("min_free_bytes = 0", "min_free_bytes = 9000000000000000000");
    std::fs::write(&path, much).unwrap();
    relay.ask(&["admin", "reload"]);
    relay.logs("the disk is full to its reserve");
    // The relay hears of it a moment later.
    for seed in 10.. {
        let mut late = Socket::dial(relay.address).await.unwrap();
        match late.greet(&mut Device::new(seed)).await {
            Err(Rejection::Full { .. }) => break,
            Ok(true) => {}
            other => panic!("{other:?}"),
        }
    }
    let mut ada = Device::new(1);
    std::fs::write(&path, text).unwrap();
    relay.ask(&["admin", "reload"]);
    relay.logs("the disk has room again");
    stored(relay.address, &mut ada, 1).await;
    relay.stop();
}

#[test]
fn what_kubernetes_says_of_a_service_refuses_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "");
    let output = program()
        .env("REJOINDER_SERVICE_HOST", "10.0.0.7")
        .env("REJOINDER_PORT_8787_TCP_ADDR", "10.0.0.7")
        .env("REJOINDER_LOG_LEVEL", "debug")
        .arg("--config")
        .arg(&config)
        .arg("config")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("log_level = \"debug\""), "{output:?}");
    let refused = program().env("REJOINDER_LISEN", "x").arg("config").output().unwrap();
    assert!(!refused.status.success() && text(&refused.stderr).contains("lisen"));
}

#[test]
fn a_store_is_compacted_checked_and_repaired_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "");
    let run = |task: &str| program().arg("--config").arg(&config).arg(task).output().unwrap();
    assert!(!run("check").status.success(), "nothing is there");
    let relay = Relay::start(config.clone());
    for task in ["check", "compact", "repair", "inspect"] {
        let said = relay.is_refused(&[task]);
        assert!(said.contains("another process"), "{task}: {said}");
    }
    relay.stop();
    for (task, words) in [
        ("check", "rows damaged  0"),
        ("compact", "after"),
        ("repair", "rows damaged  0"),
        ("inspect", "accounts"),
    ] {
        let output = run(task);
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains(words), "{task}: {output:?}");
    }
}

#[tokio::test]
async fn what_is_no_question_harms_no_relay_and_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(configure(folder.path(), ""));
    let path = folder.path().join("data/relay.redb.admin");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let deep = [vec![b'['; 100_000], vec![b'\n']].concat();
    for said in [
        &b"\n"[..],
        b"stats\n",
        b"{}\n",
        b"{\"unknown\":1}\n",
        b"\"stats\" \"stats\"\n",
        b"\"stats\"x",
        b"\xff\xfe\n",
        b"{\"backup\":{\"to\":\"\",\"keep\":0}}\n",
        b"{\"account\":{\"delete\":{\"account\":\"nobody\"}}}\n",
        b"{\"token\":{\"add\":{\"uses\":18446744073709551616}}}\n",
        b"{\"invite\":{\"withdraw\":{\"name\":\"x\",\"by\":null}}}\n",
        &deep,
    ] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(said).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut told = String::new();
        let _ = stream.read_to_string(&mut told).await;
        assert!(told.starts_with("{\"error\":"), "{:?}: {told}", String::from_utf8_lossy(said));
    }
    // Many that ask and read nothing, and many that say nothing.
    let mut held = Vec::new();
    for n in 0..200 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        if n % 2 == 0 {
            let _ = stream.write_all(b"\"stats\"\n").await;
        }
        held.push(stream);
    }
    let mut ada = Device::new(1);
    stored(relay.address, &mut ada, 1).await;
    drop(held);
    while !relay.run(&["admin", "stats"]).status.success() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    relay.stop();
}
