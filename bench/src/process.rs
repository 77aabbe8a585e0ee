//! Relays and echoes in processes of their own, so that their memory and processor time can be
//! told from the benchmark's, and so that they can be killed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Outcome, failed, machine};

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_micros(500);

/// A server in its own process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first answer.
    pub(crate) started_in: Duration,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Server {
    /// Starts the relay's program over a directory, without limits that a benchmark would meet.
    pub(crate) fn relay(data: &Path, certificate: Option<&Certificate>) -> Outcome<Self> {
        let mut command = relay_over(data)?;
        for name in [
            "PUSH_ENVELOPES_PER_S",
            "PUSH_BYTES_PER_S",
            "REQUESTS_PER_S",
            "TAKES_PER_S",
            "INBOX_PUTS_PER_S",
            "SIGN_UPS_PER_S",
            "FOUNDINGS_PER_S",
            "WORK_US_PER_S",
            "DELIVERED_BYTES_PER_S",
            "STORED_MIB_PER_DAY",
        ] {
            command.env(format!("REJOINDER_LIMITS__{name}"), "0");
        }
        if let Some(Certificate { chain, key }) = certificate {
            command.arg("--tls-cert").arg(chain).arg("--tls-key").arg(key);
        }
        Self::start(command, certificate.is_some())
    }

    /// Starts the relay's program over a directory, with the limits that it has by itself; but all come
    /// at once.
    pub(crate) fn limited(data: &Path) -> Outcome<Self> {
        let mut command = relay_over(data)?;
        command.env("REJOINDER_LIMITS__SIGN_UPS_PER_S", "0");
        Self::start(command, false)
    }

    /// Starts the relay's program over a directory, with the limits that it has by itself, which hold
    /// for this machine's addresses as for others; but all sign up at once.
    pub(crate) fn counting_all(data: &Path) -> Outcome<Self> {
        let mut command = relay_over(data)?;
        command.env("REJOINDER_LIMITS__SIGN_UPS_PER_S", "0").env("REJOINDER_UNLIMITED", "[]");
        Self::start(command, false)
    }

    /// Starts the durable echo over a directory.
    pub(crate) fn echo(data: &Path) -> Outcome<Self> {
        let mut command = Command::new(program("bench")?);
        command.arg("echo").arg("--data").arg(data);
        Self::start(command, false)
    }

    fn start(mut command: Command, is_tls: bool) -> Outcome<Self> {
        let address = free_address()?;
        command.arg("--listen").arg(address.to_string()).env("RUST_LOG", "warn");
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Self { child, address, started_in: Duration::ZERO };
        while started.elapsed() < STARTS_WITHIN {
            if let Some(status) = server.child.try_wait()? {
                return Err(failed(format!("the server ended at once: {status}")));
            }
            // Behind TLS the listener itself is asked; its queue is served once all is open.
            let answers = if is_tls {
                TcpStream::connect(address).is_ok()
            } else {
                http(address, "/healthz").is_ok()
            };
            if answers {
                server.started_in = started.elapsed();
                return Ok(server);
            }
            std::thread::sleep(POLL);
        }
        Err(failed("the server does not answer"))
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Seconds of processor time so far.
    pub(crate) fn processor_s(&self) -> Outcome<f64> {
        machine::processor_s(self.child.id())
    }

    /// Bytes in memory now.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        machine::resident_bytes(self.child.id())
    }

    /// Bytes sent to all sockets so far, as the relay counts them.
    pub(crate) fn sent_bytes(&self) -> Outcome<f64> {
        let metrics = http(self.address, "/metrics")?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("relay_sent_bytes_total"));
        let number = line.and_then(|line| line.trim().parse().ok());
        number.ok_or_else(|| failed("the relay does not say how much it sent"))
    }

    /// What was refused so far, by reason, as the relay counts it.
    pub(crate) fn refusals(&self) -> Outcome<Vec<(String, f64)>> {
        let metrics = http(self.address, "/metrics")?;
        let lines = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix("relay_refusals_total{reason=\"")?;
            let (reason, count) = rest.split_once("\"}")?;
            Some((reason.to_owned(), count.trim().parse().ok()?))
        });
        Ok(lines.collect())
    }

    /// Kills it at once, as a crash would.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn relay_over(data: &Path) -> Outcome<Command> {
    let mut command = Command::new(program("sync-server")?);
    command.arg("--data").arg(data);
    Ok(command)
}

/// The body of a page.
fn http(address: SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(STARTS_WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(failed(format!("{path} gives no page"))),
    }
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?)
}

/// A program of this workspace, built as this one was, so that it is never an old one.
fn program(name: &'static str) -> Outcome<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let directory = BUILT.get_or_init(|| build().map_err(|error| error.to_string()));
    let directory = directory.as_ref().map_err(failed)?;
    let path = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if path.is_file() { Ok(path) } else { Err(failed(format!("{} is not built", path.display()))) }
}

/// Builds both programs, where cargo runs this; gives the directory that they lie in.
fn build() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let mut directory = own.parent().ok_or_else(|| failed("this program lies nowhere"))?;
    if directory.ends_with("deps") {
        directory = directory.parent().ok_or_else(|| failed("this program lies nowhere"))?;
    }
    // Under a test runner everything is built already, and another cargo would wait for its lock.
    let tested = std::env::var_os("NEXTEST").is_some();
    if let Some(cargo) = std::env::var_os("CARGO").filter(|_| !tested) {
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", "sync-server", "--package", "bench"]);
        command.arg("--bins").current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        if !command.status()?.success() {
            return Err(failed("the relay can't be built"));
        }
    }
    Ok(directory.to_owned())
}
