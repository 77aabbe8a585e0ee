//! Recovery codes as words: BIP-39's twelve for sixteen bytes, in English.
//!
//! Each word is one of 2,048 and stands for eleven bits. The last four bits are the beginning of the
//! bytes' SHA-256, so that a mistyped word is found out.

use sync_protocol::hash::sha256;
use zeroize::Zeroizing;

/// Bytes that a code stands for.
pub(in crate::engine) const BYTES: usize = 16;
/// Words of a code.
const COUNT: usize = 12;
/// Bits that a word stands for.
const BITS: usize = 11;
/// Of the byte behind the others, the bits that check them.
const CHECK: u8 = 0xf0;
/// One a line, in alphabetical order: BIP-39's own list, which is in the public domain.
const WORDS: &str = include_str!("words.txt");

/// A code's bytes, and the one that checks them.
type Checked = Zeroizing<[u8; BYTES + 1]>;

/// The words of a code, one blank between two.
pub(in crate::engine) fn spell(bytes: &[u8; BYTES]) -> String {
    let code = checked(bytes);
    let bit = |at: usize| {
        let byte = code.get(at / 8).copied().unwrap_or_default();
        usize::from((byte >> (7 - at % 8)) & 1)
    };
    let number = |word: usize| (0..BITS).fold(0, |sum, n| sum << 1 | bit(word * BITS + n));
    let words = (0..COUNT).filter_map(|word| WORDS.lines().nth(number(word)));
    words.collect::<Vec<_>>().join(" ")
}

/// The bytes of a code as typed: in any case, with any blanks. `None` if it is none.
pub(in crate::engine) fn read(code: &str) -> Option<Zeroizing<[u8; BYTES]>> {
    let typed = Zeroizing::new(code.to_ascii_lowercase());
    let mut read = Checked::default();
    let mut count = 0;
    for word in typed.split_whitespace() {
        let number = WORDS.lines().position(|known| known == word)?;
        for n in (0..BITS).filter(|n| number >> (BITS - 1 - n) & 1 == 1) {
            let at = count * BITS + n;
            *read.get_mut(at / 8)? |= 0x80 >> (at % 8);
        }
        count += 1;
    }
    let bytes = Zeroizing::new(*read.first_chunk::<BYTES>()?);
    (count == COUNT && checked(&bytes) == read).then_some(bytes)
}

fn checked(bytes: &[u8; BYTES]) -> Checked {
    let [check, ..] = sha256(bytes);
    let mut code = Checked::default();
    for (to, from) in code.iter_mut().zip(bytes.iter().chain(&[check & CHECK])) {
        *to = *from;
    }
    code
}

#[cfg(all(test, not(target_family = "wasm")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bip39::{Language, Mnemonic};
    use proptest::prelude::*;

    #[test]
    fn the_words_are_those_of_the_standard() {
        let words: Vec<&str> = WORDS.lines().collect();
        assert_eq!(words, Language::English.word_list());
    }

    proptest! {
        #[test]
        fn codes_are_spelt_and_read_as_others_do(bytes: [u8; BYTES]) {
            let words = spell(&bytes);
            prop_assert_eq!(&words, &Mnemonic::from_entropy(&bytes).unwrap().to_string());
            prop_assert_eq!(read(&words).map(|code| *code), Some(bytes));
            let typed = format!("  {}\n", words.to_uppercase().replace(' ', "\t "));
            prop_assert_eq!(read(&typed).map(|code| *code), Some(bytes));
        }

        #[test]
        fn any_words_are_judged_as_others_judge_them(
            numbers in prop::collection::vec(0..2048_usize, 10..14)
        ) {
            let words: Vec<&str> = numbers.iter().filter_map(|n| WORDS.lines().nth(*n)).collect();
            let words = words.join(" ");
            let theirs = Mnemonic::parse_in_normalized(Language::English, &words);
            let theirs = theirs.ok().filter(|code| code.word_count() == COUNT);
            let theirs = theirs.map(|code| code.to_entropy_array().0[..BYTES].to_vec());
            prop_assert_eq!(read(&words).map(|code| code.to_vec()), theirs);
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        let good = spell(&[7; BYTES]);
        let wrong = [
            "",
            "abandon",
            "what 7",
            &format!("{good} zoo"),
            &good[1..],
            &good.replacen(' ', "", 1),
        ];
        for typed in wrong {
            assert_eq!(read(typed), None, "{typed}");
        }
    }
}
