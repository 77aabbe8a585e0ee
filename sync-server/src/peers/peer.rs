//! Peers, and the prefixes that they are counted by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much more a whole IPv6 site may have than one network of it.
const WIDE: u64 = 4;

/// What is counted as one client: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    prefix: Prefix,
}

/// A stretch of addresses that something is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 network of 64 bits: what a household is given at least.
    Network([u8; 8]),
    /// An IPv6 site of 48 bits: what anybody can be given, with 65,536 networks in it.
    Site([u8; 6]),
}

impl Peer {
    /// Who has an address. An IPv4 address inside an IPv6 one counts as itself.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let prefix = match address.to_canonical() {
            IpAddr::V4(address) => Prefix::V4(address),
            IpAddr::V6(address) => Prefix::Network(first(&address)),
        };
        Self { prefix }
    }

    /// What is counted for it, and how many times a peer's limit each may have: itself, and the site
    /// that it is a part of. Otherwise one site would be 65,536 peers.
    pub fn prefixes(self) -> impl Iterator<Item = (Prefix, u64)> {
        std::iter::once((self.prefix, 1)).chain(self.site().map(|site| (site, WIDE)))
    }

    /// The widest of these.
    #[must_use]
    pub fn widest(self) -> Prefix {
        self.site().unwrap_or(self.prefix)
    }

    fn site(self) -> Option<Prefix> {
        match self.prefix {
            Prefix::Network([a, b, c, d, e, f, ..]) => Some(Prefix::Site([a, b, c, d, e, f])),
            Prefix::V4(_) | Prefix::Site(_) => None,
        }
    }
}

fn first(address: &Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::of(address.parse().unwrap())
    }

    #[test]
    fn a_household_is_one_peer_and_a_site_is_counted_too() {
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        let site = |address| peer(address).prefixes().last().unwrap();
        assert_eq!(peer("2001:db8:1:2::1").widest(), site("2001:db8:1:2::1").0);
        assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:2:2::1"));
        assert_eq!(peer("2001:db8:1:2::1").prefixes().count(), 2);
    }

    #[test]
    fn each_ipv4_address_is_a_peer_whichever_way_it_is_written() {
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!(peer("192.0.2.1"), peer("::ffff:192.0.2.1"));
        assert_eq!(peer("192.0.2.1").prefixes().count(), 1);
        assert_eq!(peer("192.0.2.1").widest(), peer("192.0.2.1").prefix);
    }
}
