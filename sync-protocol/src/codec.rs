//! Deterministic CBOR (RFC 8949 section 4.2) in and out, and messages in parts.
//!
//! Structures are maps with integer keys in ascending order, definite lengths and shortest
//! integers: what the derive writes. Signed bytes are kept as received and never encoded again.

mod fields;

pub use minicbor::Encode;
pub use minicbor::bytes::decode as decode_bytes;
pub use minicbor::decode::{Decode, Decoder, Error as DecodeError};
pub use sync_protocol_derive::Decode;

pub use self::fields::Fields;

use crate::error::ProtocolError;
use crate::limits;

/// Encodes to memory, deterministically.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into a vector cannot fail")
}

/// Decodes all of `bytes`, refusing trailing ones.
///
/// # Errors
/// `Malformed(what)` if the bytes are not exactly one `T`.
pub fn decode<'b, T: Decode<'b, ()>>(
    what: &'static str,
    bytes: &'b [u8],
) -> Result<T, ProtocolError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|_| ProtocolError::Malformed(what))?;
    if decoder.position() == bytes.len() { Ok(value) } else { Err(ProtocolError::Malformed(what)) }
}

/// Decodes all of `bytes`, and refuses what does not encode back to them: unknown keys, fields
/// behind the last, long spellings.
///
/// For whatever is signed, hashed or compared by people. A reader that skipped something would
/// leave its author free to choose the bytes of it, after all else is known.
///
/// # Errors
/// `Malformed(what)` as [`decode`], `Spelling(what)` if another spelling says the same.
pub fn decode_exact<'b, T: Decode<'b, ()> + Encode<()>>(
    what: &'static str,
    bytes: &'b [u8],
) -> Result<T, ProtocolError> {
    let value: T = decode(what, bytes)?;
    if encode(&value) == bytes { Ok(value) } else { Err(ProtocolError::Spelling(what)) }
}

/// A byte string inside a structure.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Blob(#[cbor(with = "minicbor::bytes")] pub Vec<u8>);

impl Blob {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

const LAST: u8 = 0;
const MORE: u8 = 1;

/// Cuts a message into WebSocket messages of at most [`limits::PART`] bytes, each led by a byte
/// that says whether more follow: what a relay sends.
pub fn parts(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    Row::<{ limits::PART }>::of(message).parts()
}

/// The same in parts of at most [`limits::PART_UP`] bytes: what a device sends.
pub fn parts_up(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    Row::<{ limits::PART_UP }>::of(message).parts()
}

/// Encodes a message straight into its [`parts`], all in a row: each but the last has
/// [`limits::PART`] bytes. `room` is about how many bytes it takes.
#[must_use]
pub fn encode_parts<T: Encode<()>>(value: &T, room: usize) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Row::<{ limits::PART }>::with_room(room));
    encoder.encode(value).expect("encoding into a vector cannot fail");
    encoder.into_writer().finish()
}

/// Parts of at most `MOST` bytes in a row, of which another may follow.
struct Row<const MOST: usize>(Vec<u8>);

impl<const MOST: usize> Row<MOST> {
    fn with_room(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes + bytes / (MOST - 1) + 1))
    }

    fn of(message: &[u8]) -> Self {
        let mut row = Self::with_room(message.len());
        row.extend(message);
        row
    }

    fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut at = self.0.len() % MOST;
            if at == 0 {
                self.0.push(MORE);
                at = 1;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(MOST - at));
            self.0.extend_from_slice(now);
            bytes = rest;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(LAST);
        }
        let last = (self.0.len() - 1) / MOST * MOST;
        if let Some(lead) = self.0.get_mut(last) {
            *lead = LAST;
        }
        self.0
    }

    fn parts(self) -> impl Iterator<Item = Vec<u8>> {
        let row = self.finish();
        let starts = (0..row.len()).step_by(MOST);
        starts.map(move |start| {
            let end = row.len().min(start + MOST);
            row.get(start..end).unwrap_or_default().to_vec()
        })
    }
}

impl<const MOST: usize> minicbor::encode::Write for Row<MOST> {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.extend(bytes);
        Ok(())
    }
}

/// Puts parts together again. Holds nothing between messages.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Vec<u8>,
}

impl Assembler {
    /// Takes one WebSocket message; gives the whole message once its last part is there.
    ///
    /// # Errors
    /// `TooLarge` if the whole would pass `limit`, `Malformed` for an unknown lead byte or a part
    /// that is empty or over-long. After an error the connection is of no use, unless what was too
    /// large is given up and passed over to its last part.
    pub fn push(&mut self, part: &[u8], limit: usize) -> Result<Option<Vec<u8>>, ProtocolError> {
        let Some((&lead, chunk)) = part.split_first() else {
            return Err(ProtocolError::Malformed("part"));
        };
        if part.len() > limits::PART || lead > MORE || (lead == MORE && chunk.is_empty()) {
            return Err(ProtocolError::Malformed("part"));
        }
        if self.partial.len() + chunk.len() > limit {
            return Err(ProtocolError::TooLarge { what: "message", limit });
        }
        self.partial.extend_from_slice(chunk);
        Ok((lead == LAST).then(|| std::mem::take(&mut self.partial)))
    }

    /// Forgets the message under way, and gives what there is of it.
    pub fn give_up(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// Whether a message ends with this part.
    #[must_use]
    pub fn is_last(part: &[u8]) -> bool {
        part.first() == Some(&LAST)
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_come_together_again(message in prop::collection::vec(any::<u8>(), 0..20_000)) {
            let down: Vec<_> = parts(&message).collect();
            let up: Vec<_> = parts_up(&message).collect();
            for (most, parts) in [(limits::PART, down), (limits::PART_UP, up)] {
                let mut assembler = Assembler::default();
                let mut whole = None;
                for part in parts {
                    prop_assert!(part.len() <= most);
                    prop_assert!(whole.is_none());
                    whole = assembler.push(&part, limits::MESSAGE).expect("well-formed");
                }
                prop_assert_eq!(whole.as_ref(), Some(&message));
            }
        }
    }

    proptest! {
        #[test]
        fn a_row_is_the_parts_of_the_message(lengths in prop::collection::vec(0..9_000usize, 0..8), room in 0..20_000usize) {
            let value: Vec<_> = lengths.iter().map(|n| Blob(vec![7; *n])).collect();
            let parts: Vec<_> = parts(&encode(&value)).collect();
            prop_assert_eq!(encode_parts(&value, room), parts.concat());
        }
    }

    #[test]
    fn a_row_ends_where_its_message_ends() {
        for bytes in limits::PART - 10..limits::PART + 10 {
            let value = Blob(vec![7; bytes]);
            let parts: Vec<_> = parts(&encode(&value)).collect();
            assert_eq!(encode_parts(&value, 0), parts.concat());
        }
    }

    #[test]
    fn an_endless_message_is_refused_at_the_limit() {
        let mut assembler = Assembler::default();
        let part = vec![MORE; limits::PART];
        let mut taken = 0;
        let error = loop {
            match assembler.push(&part, 10_000) {
                Ok(_) => taken += part.len() - 1,
                Err(error) => break error,
            }
        };
        assert!(taken <= 10_000);
        assert_eq!(error, ProtocolError::TooLarge { what: "message", limit: 10_000 });
    }

    #[derive(Debug, PartialEq, Eq, Encode, Decode)]
    #[cbor(map)]
    struct Named {
        #[n(0)]
        number: u8,
        #[n(1)]
        name: Option<Blob>,
    }

    #[test]
    fn one_spelling_is_taken_where_bytes_matter() {
        let named = Named { number: 7, name: None };
        assert_eq!(encode(&named), [0xa1, 0x00, 0x07]);
        assert_eq!(decode_exact::<Named>("n", &[0xa1, 0x00, 0x07]), Ok(named));
        let free: [&[u8]; 6] = [
            &[0xa1, 0x00, 0x18, 0x07],             // a number in two bytes
            &[0xa1, 0x18, 0x00, 0x07],             // a key in two bytes
            &[0xbf, 0x00, 0x07, 0xff],             // an indefinite length
            &[0xa2, 0x00, 0x07, 0x02, 0x01],       // a key that nobody knows
            &[0xa2, 0x00, 0x07, 0x01, 0xf6],       // what is absent, written
            &[0xa2, 0x01, 0x41, 0x00, 0x00, 0x07], // keys that descend
        ];
        for bytes in free {
            assert!(decode::<Named>("n", bytes).is_ok(), "{bytes:02x?} reads");
            let exact = decode_exact::<Named>("n", bytes);
            assert_eq!(exact, Err(ProtocolError::Spelling("n")), "{bytes:02x?}");
        }
    }

    #[test]
    fn trailing_bytes_are_malformed() {
        assert_eq!(decode::<u8>("n", &[1, 2]), Err(ProtocolError::Malformed("n")));
    }
}
