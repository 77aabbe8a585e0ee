//! Where the relay is, as a person writes it.

use std::fmt;
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;

/// The path of the relay's socket (`docs/protocol.md`, "Sessions").
const SOCKET: &str = "/v1/socket";

/// A relay's address: `ws://host:port` or `wss://host`, with a path where a proxy wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUrl {
    socket: Uri,
}

/// Text that is no relay's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a relay's address: write ws://host:port or wss://host")]
pub struct BadRelayUrl(pub String);

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
        let bad = || BadRelayUrl(typed.to_owned());
        let text = typed.trim().trim_end_matches('/');
        let base = text.strip_suffix(SOCKET).unwrap_or(text);
        let socket: Uri = format!("{base}{SOCKET}").parse().map_err(|_| bad())?;
        let is_good = matches!(socket.scheme_str(), Some("ws" | "wss"))
            && socket.host().is_some_and(|host| !host.is_empty())
            && socket.query().is_none();
        if is_good { Ok(Self { socket }) } else { Err(bad()) }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.socket.to_string();
        f.write_str(full.strip_suffix(SOCKET).unwrap_or(&full))
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
        ] {
            let url: RelayUrl = typed.parse().unwrap();
            assert_eq!(url.socket().to_string(), socket);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        assert_eq!("ws://[::1]".parse::<RelayUrl>().unwrap().host(), "::1");
        assert_eq!("wss://a.b".parse::<RelayUrl>().unwrap().port(), 443);
    }

    #[test]
    fn other_text_is_no_relay() {
        for typed in ["", "relay", "http://a", "ws://", "wss:///x", "ws://a b", "ws://a?b"] {
            assert!(typed.parse::<RelayUrl>().is_err(), "{typed}");
        }
    }
}
