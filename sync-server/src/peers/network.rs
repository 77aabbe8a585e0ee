//! Networks as they are written in a configuration: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// What was written is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} is no network; write an address and a number of bits, such as 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError(String);

impl Network {
    /// The networks of the machine itself.
    #[must_use]
    pub fn loopback() -> [Self; 2] {
        let four = Self { address: Ipv4Addr::LOCALHOST.into(), bits: 8 };
        [four, Self { address: Ipv6Addr::LOCALHOST.into(), bits: 128 }]
    }

    /// Whether an address is one of it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address, address.to_canonical());
        own.is_ipv4() == other.is_ipv4() && masked(own, self.bits) == masked(other, self.bits)
    }

    fn width(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }
}

/// The first bits of an address, shifted to the end.
fn masked(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    value.checked_shr(width - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(written: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(written.to_owned());
        let (address, bits) = match written.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (written, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let width = Self::width(address);
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| error()))?;
        if bits > width {
            return Err(error());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(written: String) -> Result<Self, NetworkError> {
        written.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().has(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_what_shares_its_first_bits() {
        assert!(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.8"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(
            has("2001:db8::/33", "2001:db8:7fff::1") && !has("2001:db8::/33", "2001:db8:8000::")
        );
        assert!(has("::/0", "2001:db8::1") && has("::1", "::1") && !has("::1/128", "::2"));
    }

    #[test]
    fn what_is_no_network_is_told_by_what_was_written() {
        for written in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "relay.example", "10.0.0.0/-1"] {
            let error = written.parse::<Network>().unwrap_err();
            assert!(error.to_string().starts_with(written));
        }
    }
}
