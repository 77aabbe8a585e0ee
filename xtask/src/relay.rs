//! A relay of this build on a free port of this machine, for as long as a task needs one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::command;
use crate::failure::Failure;
use crate::process::{self, Event};

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const HEALTH_WITHIN: Duration = Duration::from_secs(5);
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A running relay. Dropping it asks it to drain and waits until it is gone.
#[derive(Debug)]
pub(crate) struct Relay {
    child: Child,
    address: SocketAddr,
    events: Receiver<Event>,
    ended: bool,
    log: PathBuf,
}

impl Relay {
    /// Starts the relay on `port` (0: any free one), with the web app of `web` if there is one,
    /// and waits until it is healthy. `sender` and `events` are two ends of one channel, which
    /// may carry an interruption too.
    ///
    /// # Errors
    /// `Start`, `RelaySilent` or `RelayUnhealthy`; `File` if the log can't be written.
    pub(crate) fn start(
        data: &Path,
        port: u16,
        web: Option<&Path>,
        log: PathBuf,
        (sender, events): (Sender<Event>, Receiver<Event>),
    ) -> Result<Self, Failure> {
        let file = File::create(&log).map_err(Failure::file(&log))?;
        let (output, input) = io::pipe().map_err(Failure::file(&log))?;
        let again = input.try_clone().map_err(Failure::file(&log))?;
        let mut relay = Command::new(command::program("sync-server")?);
        relay.args(["--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
        if let Some(web) = web {
            relay.arg("--web").arg(web);
        }
        relay.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(again).stderr(input);
        let shown = command::shown(&relay);
        let child = in_own_group(&mut relay).spawn();
        let child = child.map_err(|source| Failure::Start { command: shown, source })?;
        // Its copies of the pipe would keep the output from ever ending.
        drop(relay);
        process::follow(output, Some(file), sender);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], port));
        let mut relay = Self { child, address: nowhere, events, ended: false, log };
        relay.address = relay.listening()?;
        relay.healthy()?;
        Ok(relay)
    }

    /// What clients are given as `--relay`.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Kills it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        self.ended = true;
    }

    /// Where a browser opens the web app.
    pub(crate) fn link(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until the developer has had enough.
    ///
    /// # Errors
    /// `RelayEnded` if the relay was gone first.
    pub(crate) fn wait(&mut self) -> Result<(), Failure> {
        loop {
            match self.events.recv() {
                Ok(Event::Line(_)) => {}
                Ok(Event::Interrupted) => return Ok(()),
                Ok(Event::Ended) | Err(_) => {
                    self.ended = true;
                    return Err(Failure::RelayEnded { log: self.log.clone() });
                }
            }
        }
    }

    fn listening(&mut self) -> Result<SocketAddr, Failure> {
        let deadline = Instant::now() + STARTS_WITHIN;
        let mut last = String::new();
        while let Some(event) = process::next(&self.events, deadline) {
            match event {
                Event::Line(line) => match listening_address(&line) {
                    Some(address) => return Ok(address),
                    None => last = line,
                },
                Event::Interrupted => break,
                Event::Ended => {
                    self.ended = true;
                    break;
                }
            }
        }
        Err(Failure::RelaySilent { last, log: self.log.clone() })
    }

    fn healthy(&self) -> Result<(), Failure> {
        let failure = |reason| Failure::RelayUnhealthy { address: self.address, reason };
        let answer = health(self.address).map_err(|error| failure(error.to_string()))?;
        let status = answer.lines().next().unwrap_or_default();
        if is_ok(status) { Ok(()) } else { Err(failure(format!("it answered {status:?}"))) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.ended {
            let _ = self.child.wait();
        } else {
            process::ask_to_end(&mut self.child);
            process::finish(&mut self.child, &self.events, Instant::now() + ENDS_WITHIN);
        }
    }
}

/// A terminal's Ctrl-C then reaches the task alone, which stops the relay last.
#[cfg(unix)]
fn in_own_group(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}

#[cfg(not(unix))]
fn in_own_group(command: &mut Command) -> &mut Command {
    command
}

/// The address in the line by which a relay says that it listens, in text or JSON.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let part_of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
    let says_so = line.contains("listening");
    let mut words = line.split(|c| !part_of_address(c)).filter(|_| says_so);
    words.find_map(|word| word.trim_start_matches(':').parse().ok())
}

fn health(address: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, HEALTH_WITHIN)?;
    socket.set_read_timeout(Some(HEALTH_WITHIN))?;
    write!(socket, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

fn is_ok(status: &str) -> bool {
    status.split_whitespace().nth(1) == Some("200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_line_is_understood_in_every_dress() {
        let expected: SocketAddr = "127.0.0.1:40123".parse().unwrap();
        for line in [
            "2026-01-02T03:04:05.678Z  INFO sync_server: listening addr=127.0.0.1:40123",
            "\u{1b}[32m INFO\u{1b}[0m listening \u{1b}[3maddr\u{1b}[0m=\u{1b}[0m127.0.0.1:40123",
            r#"{"level":"INFO","fields":{"message":"listening","addr":"127.0.0.1:40123"}}"#,
            "listening on ws://127.0.0.1:40123/v1/socket",
        ] {
            assert_eq!(listening_address(line), Some(expected), "{line}");
        }
        let six = listening_address("listening addr=[::1]:8787");
        assert_eq!(six, Some("[::1]:8787".parse().unwrap()));
    }

    #[test]
    fn other_lines_are_passed_over() {
        assert_eq!(listening_address("connected peer=127.0.0.1:40123"), None);
        assert_eq!(listening_address("listening soon, at 12:30"), None);
        assert_eq!(listening_address(""), None);
    }

    #[test]
    fn only_success_is_health() {
        assert!(is_ok("HTTP/1.1 200 OK"));
        assert!(!is_ok("HTTP/1.1 503 Service Unavailable"));
        assert!(!is_ok("SSH-2.0-200"));
    }
}
