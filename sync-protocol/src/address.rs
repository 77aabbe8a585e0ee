//! Addresses: what people type to reach an account.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::limits;

/// An E.164 phone number (`+` and 7 to 15 digits) or a handle (3 to 64 of `a-z 0-9 . _ -`,
/// starting with a letter). Upper case is folded; what was parsed is what is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Address(String);

/// What was typed can't be anybody's address. Says what can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be a phone number with its +, or 3 to {} of a-z, 0-9, . _ and -, a letter first",
    limits::ADDRESS
)]
pub struct NoAddress;

impl<'b, C> Decode<'b, C> for Address {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("address"))
    }
}

impl Address {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(typed: &str) -> Result<Self, NoAddress> {
        let text = typed.trim().to_ascii_lowercase();
        let good = match text.strip_prefix('+') {
            Some(digits) => {
                (7..=15).contains(&digits.len())
                    && !digits.starts_with('0')
                    && digits.bytes().all(|b| b.is_ascii_digit())
            }
            None => {
                (3..=limits::ADDRESS).contains(&text.len())
                    && text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text
                        .bytes()
                        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
            }
        };
        if good { Ok(Self(text)) } else { Err(NoAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_handles_are_addresses() {
        for good in ["+4915112345678", "Ada.Lovelace", " bob_7 "] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in ["", "+0123456789", "+12", "7up", "a b", "ab", "naïve"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        assert!("a".repeat(64).parse::<Address>().is_ok());
        assert_eq!("a".repeat(65).parse::<Address>(), Err(NoAddress));
    }
}
