//! Proxies that speak for others: named by their networks, each with the way in which it says for
//! whom.

use std::net::IpAddr;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::peers::forwarded;
use crate::peers::network::Network;

/// One line of trust: who is believed, and what is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where these proxies connect from.
    pub trusted: Vec<Network>,
    /// How they say for whom they speak.
    pub says: Says,
}

/// How a proxy says for whom it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// The header `X-Forwarded-For`: each proxy adds whom it heard from at the end.
    XForwardedFor,
    /// The header `Forwarded` (RFC 7239).
    Forwarded,
    /// The PROXY protocol, version 2, before anything else.
    ProxyProtocol,
}

/// All proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    proxies: Vec<Proxy>,
}

impl Proxies {
    /// These and no others.
    #[must_use]
    pub fn new(proxies: Vec<Proxy>) -> Self {
        Self { proxies }
    }

    /// How whoever connects from here says for whom, if it is believed.
    #[must_use]
    pub fn says(&self, address: IpAddr) -> Option<Says> {
        let trusts = |proxy: &&Proxy| proxy.trusted.iter().any(|network| network.has(address));
        self.proxies.iter().find(trusts).map(|proxy| proxy.says)
    }

    /// Who asks, by the headers of a request that came from `address`: the last one that the
    /// proxies name and that is none of them. What is written before that, anybody may have written.
    #[must_use]
    pub fn asks(&self, address: IpAddr, headers: &HeaderMap) -> IpAddr {
        let named = match self.says(address) {
            Some(Says::XForwardedFor) => forwarded::x_forwarded_for(headers),
            Some(Says::Forwarded) => forwarded::forwarded(headers),
            Some(Says::ProxyProtocol) | None => return address,
        };
        let mut nearest = address;
        for named in named {
            // What can't be read ends what is believed.
            let Some(named) = named else { break };
            nearest = named;
            if self.says(nearest).is_none() {
                break;
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(says: Says) -> Proxies {
        let trusted = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        Proxies::new(vec![Proxy { trusted, says }])
    }

    fn asks(says: Says, from: &str, header: &str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            let name: axum::http::HeaderName = header.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        proxies(says).asks(from.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn who_is_no_named_proxy_speaks_for_itself() {
        let claimed = asks(Says::XForwardedFor, "192.0.2.1", "x-forwarded-for", &["198.51.100.1"]);
        assert_eq!(claimed, "192.0.2.1");
        let other = asks(Says::XForwardedFor, "10.0.0.1", "forwarded", &["for=198.51.100.1"]);
        assert_eq!(other, "10.0.0.1");
    }

    #[test]
    fn the_last_that_a_proxy_heard_from_asks_whatever_was_written_before() {
        let header = "x-forwarded-for";
        let asks = |values: &[&str]| asks(Says::XForwardedFor, "10.0.0.1", header, values);
        assert_eq!(asks(&["198.51.100.1"]), "198.51.100.1");
        assert_eq!(asks(&["203.0.113.5, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(asks(&["203.0.113.5", "198.51.100.1, 10.0.0.7"]), "198.51.100.1");
        assert_eq!(asks(&["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(asks(&["2001:db8::1, [fd00::1]:80"]), "2001:db8::1");
        assert_eq!(asks(&["198.51.100.1, nonsense"]), "10.0.0.1");
        assert_eq!(asks(&["10.0.0.8, 10.0.0.7"]), "10.0.0.8");
        assert_eq!(asks(&[]), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_as_it_is_written() {
        let asks = |value: &str| asks(Says::Forwarded, "fd00::1", "forwarded", &[value]);
        assert_eq!(asks("for=198.51.100.1;proto=https"), "198.51.100.1");
        assert_eq!(asks("proto=https; For=\"[2001:db8::7]:99\";by=10.0.0.2"), "2001:db8::7");
        assert_eq!(asks("for=203.0.113.1, for=198.51.100.1"), "198.51.100.1");
        assert_eq!(asks("for=198.51.100.1, for=_hidden"), "fd00::1");
        assert_eq!(asks("for=198.51.100.1, for=unknown"), "fd00::1");
        assert_eq!(asks("by=10.0.0.2"), "fd00::1");
    }
}
