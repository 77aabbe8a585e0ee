//! The code that people compare when a device is linked (`docs/protocol.md`, "Linking").
//!
//! Seven digits are few: whoever may choose one byte of what they are made of, after knowing the
//! rest, finds the digits that it wants in seconds. So they are made of *values*, each of which its
//! sender gave or committed to before it knew the other side's.

use minicbor::Encode;
use sync_protocol::codec;
use sync_protocol::hash::{self, Domain};

const COMMITMENT: Domain = Domain::new("rejoinder link commitment v1");
const TRANSCRIPT: Domain = Domain::new("rejoinder link transcript v2");
const CODE: Domain = Domain::new("rejoinder link code v1");
/// Codes have seven digits.
const CODES: u64 = 10_000_000;

/// All that two devices said to each other so far, as values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transcript([u8; 32]);

impl Transcript {
    /// Begins with what the new device shows and what the primary says to it.
    pub(crate) fn begin<O: Encode<()>, I: Encode<()>>(offer: &O, invite: &I) -> Self {
        let offer = codec::encode(offer);
        Self(hash::hash(TRANSCRIPT, &[&offer, &codec::encode(invite)]))
    }

    /// Adds what one of them said next: as it is encoded here, not as it came.
    pub(crate) fn absorb<T: Encode<()>>(&mut self, said: &T) {
        self.0 = hash::hash(TRANSCRIPT, &[&self.0, &codec::encode(said)]);
    }

    /// What seals the next message.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The code of all that was said: seven digits, the same on both sides.
    pub(crate) fn code(&self) -> String {
        let [a, b, c, d, e, f, g, h, ..] = hash::hash(CODE, &[&self.0]);
        format!("{:07}", u64::from_be_bytes([a, b, c, d, e, f, g, h]) % CODES)
    }
}

/// What commits to a nonce before it is told.
pub(crate) fn commitment(nonce: &[u8; 32]) -> [u8; 32] {
    hash::hash(COMMITMENT, &[nonce])
}

/// Whether a person typed this code; blanks and hyphens are passed over.
pub(crate) fn same(typed: &str, code: &str) -> bool {
    let digits: Vec<u8> =
        typed.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'-').collect();
    let wrong = digits.iter().zip(code.as_bytes()).fold(0, |wrong, (a, b)| wrong | (a ^ b));
    digits.len() == code.len() && wrong == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_of_all_values_in_their_order() {
        let code = |offer: u8, invite: u8, said: &[u8]| {
            let mut transcript = Transcript::begin(&offer, &invite);
            said.iter().for_each(|value| transcript.absorb(value));
            transcript.code()
        };
        let codes = [
            code(1, 2, &[3, 4]),
            code(2, 1, &[3, 4]),
            code(1, 2, &[4, 3]),
            code(1, 2, &[3]),
            code(1, 2, &[3, 4, 4]),
        ];
        assert!(codes.iter().all(|code| code.len() == 7));
        for (n, code) in codes.iter().enumerate() {
            assert!(!codes[n + 1..].contains(code), "{codes:?}");
        }
    }

    #[test]
    fn a_code_is_typed_with_blanks_or_not_at_all() {
        assert!(same(" 012-34 56", "0123456"));
        for wrong in ["", "012345", "0123457", "01234567", "O123456"] {
            assert!(!same(wrong, "0123456"), "{wrong}");
        }
    }

    #[test]
    fn a_commitment_is_to_one_nonce() {
        assert_eq!(commitment(&[1; 32]), commitment(&[1; 32]));
        assert_ne!(commitment(&[1; 32]), commitment(&[2; 32]));
    }
}
