//! Which web pages may open sockets here. Nothing of a browser's (no cookie) speaks for a person, so a
//! foreign page could read nothing; but it could make its visitors' browsers a flood, and reach
//! relays inside networks.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

/// Who may.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    listed: Vec<String>,
    any: bool,
}

impl Origins {
    /// These, as they are written (`https://app.example`); `*` is any.
    pub(crate) fn new(listed: &[String]) -> Self {
        let any = listed.iter().any(|origin| origin == "*");
        let listed = listed.iter().map(|one| one.trim_end_matches('/').to_lowercase()).collect();
        Self { listed, any }
    }

    /// Whether a request may open a socket: one that no page made, one of a page that the same host
    /// served (from whichever port), of a listed page, or of a page of this very machine.
    pub(crate) fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        if self.any || self.listed.contains(&origin.to_lowercase()) {
            return true;
        }
        let Some(page) = host(origin) else { return false };
        let here = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let here = here.and_then(|here| host(&format!("http://{here}")));
        here.as_ref() == Some(&page) || (peer.to_canonical().is_loopback() && is_local(&page))
    }
}

/// A name or address without scheme and port.
fn host(origin: &str) -> Option<String> {
    origin.parse::<Uri>().ok()?.host().map(str::to_lowercase)
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(listed: &[&str], peer: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "relay.example:8787".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let listed: Vec<_> = listed.iter().map(|&one| one.to_owned()).collect();
        Origins::new(&listed).admit(&headers, peer.parse().unwrap())
    }

    #[test]
    fn pages_of_the_same_host_may_and_foreign_ones_may_not() {
        let far = "192.0.2.1";
        assert!(admits(&[], far, None));
        assert!(admits(&[], far, Some("https://relay.example")));
        assert!(admits(&[], far, Some("http://Relay.Example:5173")));
        for foreign in ["https://evil.example", "https://relay.example.evil", "null", "x", ""] {
            assert!(!admits(&[], far, Some(foreign)), "{foreign}");
        }
        assert!(admits(&["https://app.example/"], far, Some("https://app.example")));
        assert!(!admits(&["https://app.example"], far, Some("http://app.example")));
        assert!(admits(&["*"], far, Some("https://evil.example")));
    }

    #[test]
    fn pages_of_this_machine_reach_a_relay_on_it_and_none_elsewhere() {
        for local in ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:80"] {
            assert!(admits(&[], "127.0.0.1", Some(local)), "{local}");
            assert!(!admits(&[], "192.0.2.1", Some(local)), "{local}");
        }
        assert!(!admits(&[], "127.0.0.1", Some("https://evil.example")));
    }
}
