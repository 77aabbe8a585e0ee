//! Addresses: what people type to reach an account.

use std::fmt;
use std::str::FromStr;

use crate::codec::{Decode, Encode};
use thiserror::Error;

use crate::limits;

/// An E.164 phone number (`+` and 7 to 15 digits) or a handle (3 to 64 of `a-z 0-9 . _ -`,
/// starting with a letter), in its one spelling: this is what is stored, sent and compared.
///
/// [`FromStr`] takes it as people write it: upper case is folded, and a number may begin with 00
/// instead of `+` and be grouped by blanks, dashes, dots, slashes and brackets. Every host reads
/// what was typed by it, so that a number is the same person everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Address(String);

/// What was typed can't be anybody's address. Says what can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoAddress {
    /// It is neither a number nor a handle.
    #[error(
        "must be a phone number with its country code, such as +49 170 1234567, or a name of 3 to \
         {} of a-z, 0-9, . _ and -, a letter first",
        limits::ADDRESS
    )]
    Neither,
    /// A phone number without its country code: which country is meant, nobody can know.
    #[error("is a phone number without its country code: write it with +, such as +49 170 1234567")]
    National,
    /// A phone number with a `(0)`, which is dialled in some countries and left out in others.
    #[error("is a phone number with a (0): write it as it is dialled from abroad")]
    Trunk,
    /// A phone number has 7 to 15 digits.
    #[error("has {0} digits: a phone number with its country code has 7 to 15")]
    Digits(usize),
}

impl<'b, C> Decode<'b, C> for Address {
    /// Takes the one spelling alone: what people typed was read before it was sent.
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::exactly(d.str()?).ok_or_else(|| minicbor::decode::Error::message("address"))
    }
}

impl Address {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that a text is, if it is in its one spelling: for what comes from others.
    #[must_use]
    pub fn exactly(text: &str) -> Option<Self> {
        text.parse().ok().filter(|address: &Self| address.0 == text)
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(typed: &str) -> Result<Self, NoAddress> {
        let text = typed.trim();
        if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return handle(text);
        }
        number(text)
    }
}

fn handle(text: &str) -> Result<Address, NoAddress> {
    let text = text.to_ascii_lowercase();
    let is_good = (3..=limits::ADDRESS).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if is_good { Ok(Address(text)) } else { Err(NoAddress::Neither) }
}

/// A phone number as people write it, as E.164.
fn number(text: &str) -> Result<Address, NoAddress> {
    // More than any number with its groups: nothing longer is looked at.
    if text.len() > 4 * limits::ADDRESS {
        return Err(NoAddress::Neither);
    }
    let bare: String = text.chars().filter(|c| !groups(*c)).collect();
    let international = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00"));
    let digits = international.unwrap_or(&bare);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoAddress::Neither);
    }
    if text.contains("(0)") {
        return Err(NoAddress::Trunk);
    }
    if international.is_none() {
        // Fewer digits are not meant as a number.
        return Err(if digits.len() < 5 { NoAddress::Neither } else { NoAddress::National });
    }
    if digits.starts_with('0') {
        return Err(NoAddress::Neither);
    }
    match digits.len() {
        7..=15 => Ok(Address(format!("+{digits}"))),
        other => Err(NoAddress::Digits(other)),
    }
}

/// What people put between the digits of a number.
fn groups(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '/' | '(' | ')' | '[' | ']')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2060}' | '\u{feff}')
        // Marks of direction that are copied along, invisibly, from address books.
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec;

    #[test]
    fn numbers_and_handles_are_addresses() {
        for good in ["+4915112345678", "Ada.Lovelace", " bob_7 "] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in
            ["", "+", "+0123456789", "7up", "a b", "ab", "naïve", "+49 170 x", "++4917012345"]
        {
            assert_eq!(bad.parse::<Address>(), Err(NoAddress::Neither), "{bad}");
        }
        assert!("a".repeat(64).parse::<Address>().is_ok());
        assert_eq!("a".repeat(65).parse::<Address>(), Err(NoAddress::Neither));
        assert_eq!("1".repeat(100_000).parse::<Address>(), Err(NoAddress::Neither));
    }

    #[test]
    fn a_number_is_the_same_however_its_digits_are_grouped() {
        for typed in [
            "+491701234567",
            "+49 170 1234567",
            "+49-170-123-4567",
            "+49.170.1234567",
            "+49/170/1234567",
            " +49 (170) 1234567 ",
            "(+49) 170 1234567",
            "+49\u{a0}170\u{202f}1234567",
            "+49 170\u{2011}1234567",
            "\u{202a}+49 170 1234567\u{202c}",
            "0049 170 1234567",
            "00 49 [170] 12 34 56 7",
        ] {
            assert_eq!(typed.parse::<Address>().unwrap().as_str(), "+491701234567", "{typed}");
        }
    }

    #[test]
    fn what_a_number_lacks_is_said() {
        assert_eq!("0170 1234567".parse::<Address>(), Err(NoAddress::National));
        assert_eq!("170-1234567".parse::<Address>(), Err(NoAddress::National));
        assert_eq!("+49 (0)170 1234567".parse::<Address>(), Err(NoAddress::Trunk));
        assert_eq!("+49 17".parse::<Address>(), Err(NoAddress::Digits(4)));
        assert_eq!("+1234567890123456".parse::<Address>(), Err(NoAddress::Digits(16)));
    }

    #[test]
    fn what_others_send_is_in_its_one_spelling() {
        let address: Address = "+49 170 1234567".parse().unwrap();
        let bytes = codec::encode(&address);
        assert_eq!(codec::decode::<Address>("address", &bytes).unwrap(), address);
        for other in ["+49 1701234567", "00491701234567", "Ada", " ada"] {
            assert_eq!(Address::exactly(other), None, "{other}");
            assert!(codec::decode::<Address>("address", &codec::encode(&other)).is_err());
        }
    }
}
