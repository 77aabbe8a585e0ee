//! Where the relay is, as a person writes it.

use std::fmt;
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;

/// The path of the relay's socket (`docs/protocol.md`, "Sessions").
const SOCKET: &str = "/v1/socket";

/// A relay's address: `ws://host:port` or `wss://host`, or the same as `http` and `https`, with the
/// path and the query that a server in front of it may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUrl {
    socket: Uri,
    shown: String,
}

/// Text that is no relay's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{typed:?} is not a relay's address: {fault}")]
pub struct BadRelayUrl {
    /// What was typed, without a password.
    pub typed: String,
    /// What is wrong with it.
    pub fault: UrlFault,
}

/// What is wrong with a relay's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no address at all.
    #[error("write ws://host:port or wss://host")]
    Shape,
    /// It belongs to another protocol.
    #[error("it begins with {0}, and must begin with ws, wss, http or https")]
    Scheme(String),
    /// It says nothing about where.
    #[error("it names no host")]
    Host,
    /// The host has letters that a name in the DNS can't have.
    #[error("its host has other letters than a to z: write it as it begins with xn--")]
    Letters,
    /// The port is none.
    #[error("its port is {0}, and must be a number from 1 to 65535")]
    Port(String),
    /// It holds a name or a password, which nobody asks for.
    #[error("it has no place for a name or password")]
    User,
    /// It holds a `#`, which never leaves a client.
    #[error("it has no place for a #")]
    Fragment,
}

impl RelayUrl {
    /// The address of the socket.
    pub(crate) fn socket(&self) -> &Uri {
        &self.socket
    }

    /// Whether the connection is encrypted on the way to the relay.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.socket.scheme_str() == Some("wss")
    }

    /// Host name or literal address, without brackets.
    pub(crate) fn host(&self) -> &str {
        self.socket.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, by default that of the scheme.
    pub(crate) fn port(&self) -> u16 {
        self.socket.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }
}

impl FromStr for RelayUrl {
    type Err = BadRelayUrl;

    fn from_str(typed: &str) -> Result<Self, BadRelayUrl> {
        parse(typed.trim()).map_err(|fault| {
            // Errors are logged and shown: a password that was typed is in none.
            let typed = typed.rsplit('@').next().unwrap_or_default().to_owned();
            BadRelayUrl { typed, fault }
        })
    }
}

fn parse(text: &str) -> Result<RelayUrl, UrlFault> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlFault::Shape)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err(UrlFault::Scheme(scheme.to_owned())),
    };
    if rest.contains('#') {
        return Err(UrlFault::Fragment);
    }
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, format!("?{query}")),
        None => (rest, String::new()),
    };
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    check_authority(authority)?;
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(SOCKET).unwrap_or(path).trim_end_matches('/');
    let socket = format!("{scheme}://{authority}{path}{SOCKET}{query}");
    let socket = socket.parse().map_err(|_| UrlFault::Shape)?;
    Ok(RelayUrl { socket, shown: format!("{scheme}://{authority}{path}{query}") })
}

fn check_authority(authority: &str) -> Result<(), UrlFault> {
    if authority.contains('@') {
        return Err(UrlFault::User);
    }
    if !authority.is_ascii() {
        return Err(UrlFault::Letters);
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an address in brackets are no port's.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    if host.is_empty() {
        return Err(UrlFault::Host);
    }
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let is_port = is_number && port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_empty() || is_port { Ok(()) } else { Err(UrlFault::Port(port.to_owned())) }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_people_write_leads_to_the_socket() {
        for (typed, socket) in [
            ("ws://127.0.0.1:8787", "ws://127.0.0.1:8787/v1/socket"),
            ("wss://relay.example/", "wss://relay.example/v1/socket"),
            (" wss://example.org/rejoinder/ ", "wss://example.org/rejoinder/v1/socket"),
            ("ws://[::1]:1/v1/socket", "ws://[::1]:1/v1/socket"),
            ("WS://Relay.Example:80", "ws://Relay.Example:80/v1/socket"),
            ("http://relay.example", "ws://relay.example/v1/socket"),
            ("HTTPS://relay.example:8443/x", "wss://relay.example:8443/x/v1/socket"),
            ("wss://a.b?tenant=7", "wss://a.b/v1/socket?tenant=7"),
            ("wss://a.b/v1/socket/?x=/v1/socket", "wss://a.b/v1/socket?x=/v1/socket"),
            ("wss://a.b:/", "wss://a.b:/v1/socket"),
        ] {
            let url: RelayUrl = typed.parse().unwrap();
            assert_eq!(url.socket().to_string(), socket);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        assert_eq!("ws://[::1]".parse::<RelayUrl>().unwrap().host(), "::1");
        assert_eq!("wss://a.b".parse::<RelayUrl>().unwrap().port(), 443);
        assert_eq!("http://a.b".parse::<RelayUrl>().unwrap().port(), 80);
    }

    #[test]
    fn other_text_is_no_relay_and_says_why() {
        let port = |port: &str| UrlFault::Port(port.to_owned());
        for (typed, fault) in [
            ("", UrlFault::Shape),
            ("relay", UrlFault::Shape),
            ("localhost:8787", UrlFault::Shape),
            ("ws://a b", UrlFault::Shape),
            ("ws://::1", UrlFault::Shape),
            ("ftp://a", UrlFault::Scheme("ftp".to_owned())),
            ("ws://", UrlFault::Host),
            ("wss:///x", UrlFault::Host),
            ("ws://:80", UrlFault::Host),
            ("ws://a:99999", port("99999")),
            ("ws://a:0", port("0")),
            ("ws://a:65536/x", port("65536")),
            ("ws://a:+80", port("+80")),
            ("ws://a:ws", port("ws")),
            ("ws://[::1]:99999", port("99999")),
            ("wss://bücher.example", UrlFault::Letters),
            ("ws://a/#b", UrlFault::Fragment),
            ("ws://ada:secret@a", UrlFault::User),
        ] {
            let bad = typed.parse::<RelayUrl>().unwrap_err();
            assert_eq!(bad.fault, fault, "{typed}");
            assert!(!bad.to_string().contains("secret"), "{bad}");
        }
    }
}
