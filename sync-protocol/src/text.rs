//! Bytes as text: hex, Base32 and Base64 (RFC 4648), and what sorts as its bytes do.
//!
//! One small loop for all of them. What takes another for each alphabet is quicker, and ten times
//! as large in a browser's module.

use thiserror::Error;

/// A text that no bytes are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoBytes {
    /// A character that the alphabet does not have, or not here.
    #[error("invalid symbol at {0}")]
    Symbol(usize),
    /// Text is missing at the end, or there is some too much.
    #[error("invalid length")]
    Length,
    /// The last symbol says more than the bytes have.
    #[error("non-zero trailing bits")]
    Trailing,
}

/// An alphabet whose symbols stand for so many bits each.
#[derive(Clone, Copy, Debug)]
pub struct Alphabet {
    symbols: &'static [u8],
    bits: usize,
    /// Symbols in a group, which is filled up with `=`; 1 if it is not.
    group: usize,
}

/// Hex, in lower case.
pub const HEX: Alphabet = Alphabet { symbols: b"0123456789abcdef", bits: 4, group: 1 };

/// Base32 in upper case, not filled up.
pub const BASE32: Alphabet =
    Alphabet { symbols: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 1 };

/// Base64, filled up.
pub const BASE64: Alphabet = Alphabet {
    symbols: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    group: 4,
};

/// Base64 for addresses, not filled up.
pub const BASE64_URL: Alphabet = Alphabet {
    symbols: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    bits: 6,
    group: 1,
};

/// Base64 over an alphabet in ASCII order, so that text sorts as the bytes do.
pub const SORTABLE: Alphabet = Alphabet {
    symbols: b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
    bits: 6,
    group: 1,
};

const FILL: char = '=';
/// Stands for what is no symbol.
const NONE: u8 = u8::MAX;

impl Alphabet {
    /// The text of bytes.
    #[must_use]
    pub fn encode(&self, bytes: impl AsRef<[u8]>) -> String {
        self.encode_slice(bytes.as_ref())
    }

    fn encode_slice(&self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity((bytes.len() * 8).div_ceil(self.bits) + self.group);
        let (mut held, mut have) = (0_usize, 0);
        for byte in bytes {
            held = (held << 8) | usize::from(*byte);
            have += 8;
            while have >= self.bits {
                have -= self.bits;
                self.put(held >> have, &mut text);
                held &= (1 << have) - 1;
            }
        }
        if have > 0 {
            self.put(held << (self.bits - have), &mut text);
        }
        while !text.len().is_multiple_of(self.group) {
            text.push(FILL);
        }
        text
    }

    fn put(&self, value: usize, text: &mut String) {
        text.extend(self.symbols.get(value).copied().map(char::from));
    }

    /// The bytes that a text is written for: each has one text.
    ///
    /// # Errors
    /// Where the text is none that [`encode`](Self::encode) writes.
    pub fn decode(&self, text: &str) -> Result<Vec<u8>, NoBytes> {
        let bare = text.trim_end_matches(FILL);
        let filled = bare.len().next_multiple_of(self.group);
        if filled != text.len() {
            return Err(if self.group == 1 {
                NoBytes::Symbol(bare.len())
            } else {
                NoBytes::Length
            });
        }
        let mut values = [NONE; 256];
        for (value, symbol) in (0..).zip(self.symbols) {
            values[usize::from(*symbol)] = value;
        }
        let mut bytes = Vec::with_capacity(bare.len() * self.bits / 8);
        let (mut held, mut have) = (0_usize, 0);
        for (at, symbol) in bare.bytes().enumerate() {
            let value = values[usize::from(symbol)];
            if value == NONE {
                return Err(NoBytes::Symbol(at));
            }
            held = (held << self.bits) | usize::from(value);
            have += self.bits;
            if let Some(left) = have.checked_sub(8) {
                bytes.extend(u8::try_from(held >> left));
                held &= (1 << left) - 1;
                have = left;
            }
        }
        match (have < self.bits, held) {
            (true, 0) => Ok(bytes),
            (true, _) => Err(NoBytes::Trailing),
            (false, _) => Err(NoBytes::Length),
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use data_encoding::{BASE32_NOPAD, BASE64 as PADDED, BASE64URL_NOPAD, HEXLOWER};
    use proptest::prelude::*;

    fn pairs() -> [(Alphabet, data_encoding::Encoding); 4] {
        let others = [HEXLOWER, BASE32_NOPAD, PADDED, BASE64URL_NOPAD];
        let mut others = others.into_iter();
        [HEX, BASE32, BASE64, BASE64_URL].map(|own| (own, others.next().expect("four")))
    }

    proptest! {
        #[test]
        fn text_is_what_others_write(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for (own, other) in pairs() {
                let text = own.encode(&bytes);
                prop_assert_eq!(&text, &other.encode(&bytes));
                prop_assert_eq!(own.decode(&text), Ok(bytes.clone()));
            }
            prop_assert_eq!(SORTABLE.decode(&SORTABLE.encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_reads_as_others_read_it(text in "[A-Ha-h2-7+/_=-]{0,12}") {
            for (own, other) in pairs() {
                let whole = other.decode(text.as_bytes());
                // What is filled up in the middle is two texts in a row: others read both.
                let whole = whole.ok().filter(|bytes| other.encode(bytes) == text);
                prop_assert_eq!(own.decode(&text).ok(), whole);
            }
        }

        #[test]
        fn sortable_text_sorts_as_its_bytes(a in any::<[u8; 6]>(), b in any::<[u8; 6]>()) {
            prop_assert_eq!(SORTABLE.encode(a).cmp(&SORTABLE.encode(b)), a.cmp(&b));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(BASE64.decode("AA=?"), Err(NoBytes::Symbol(2)));
        assert_eq!(BASE64.decode("AAA"), Err(NoBytes::Length));
        assert_eq!(BASE64.decode("AB=="), Err(NoBytes::Trailing));
        assert_eq!(HEX.decode("0g"), Err(NoBytes::Symbol(1)));
        assert_eq!(HEX.decode("000"), Err(NoBytes::Length));
        assert_eq!(BASE32.decode("AA="), Err(NoBytes::Symbol(2)));
        assert_eq!(BASE64_URL.decode(""), Ok(Vec::new()));
    }
}
