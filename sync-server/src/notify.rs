//! Telling the service manager how things stand (`sd_notify(3)`): that the relay serves, reloads or
//! stops, and that it is alive. Without a manager nobody is told.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Tells it something, such as `READY=1`.
pub fn tell(state: &str) {
    if let Some(to) = std::env::var_os("NOTIFY_SOCKET") {
        let to = to.to_string_lossy().into_owned();
        if let Err(error) = send(&to, state) {
            tracing::warn!(%error, "the service manager can't be told");
        }
    }
}

/// How often it wants to hear that the relay is alive: half of what it waits.
pub fn watchdog() -> Option<Duration> {
    let wait = std::env::var("WATCHDOG_USEC").ok()?;
    period(&wait)
}

fn period(micros: &str) -> Option<Duration> {
    micros.parse().ok().filter(|micros| *micros > 0).map(|m: u64| Duration::from_micros(m / 2))
}

fn send(to: &str, state: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match to.strip_prefix('@') {
        None => socket.send_to(state.as_bytes(), to).map(drop),
        Some(name) => send_abstract(&socket, name, state),
    }
}

#[cfg(target_os = "linux")]
fn send_abstract(socket: &UnixDatagram, name: &str, state: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, _: &str, _: &str) -> std::io::Result<()> {
    Err(std::io::Error::other("abstract sockets are Linux's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), "READY=1").unwrap();
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
    }

    #[test]
    fn a_watchdog_hears_twice_as_often_as_it_wants_to() {
        assert_eq!(period("20000000"), Some(Duration::from_secs(10)));
        assert_eq!((period("0"), period("soon")), (None, None));
    }
}
