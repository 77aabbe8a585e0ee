//! The bytes of a record: what openmls keeps, as postcard writes it.
//!
//! Values are written by position and without names, so a value reads only as the type that wrote
//! it: when openmls changes such a type, a test that reads committed records fails, and the store
//! needs a migration. JSON, which openmls' own store writes, takes four times the room here, and
//! 36 KB more of what a browser loads.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A record does not read, or can't be written. What exactly is for nobody: it is damage, or a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an MLS record does not read")]
pub(super) struct Unreadable;

/// The bytes of a value, behind those that are in `out` already.
pub(super) fn append<T: Serialize>(out: Vec<u8>, value: &T) -> Result<Vec<u8>, Unreadable> {
    postcard::to_extend(value, out).map_err(|_| Unreadable)
}

/// The value that all of `bytes` are.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Unreadable),
    }
}

/// The bytes, as JSON, of a value that reads only where its own bytes say what it is: postcard's
/// don't.
pub(super) fn encode_named<T: Serialize>(value: &T) -> Result<Vec<u8>, Unreadable> {
    serde_json::to_vec(value).map_err(|_| Unreadable)
}

/// What [`encode_named`] wrote.
pub(super) fn decode_named<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Value = (u64, Option<bool>, Vec<String>);

    fn value() -> Value {
        (u64::MAX, Some(true), vec!["a".into(), String::new()])
    }

    #[test]
    fn damage_is_an_error_and_takes_no_room() {
        let bytes = append(Vec::new(), &value()).expect("has no map of unknown size");
        assert_eq!(decode::<Value>(&bytes), Ok(value()));
        for len in 0..bytes.len() {
            assert_eq!(decode::<Value>(&bytes[..len]), Err(Unreadable));
        }
        assert_eq!(decode::<u8>(&[1, 2]), Err(Unreadable), "more than the value");
        let endless = append(Vec::new(), &u64::MAX).expect("is a number");
        assert_eq!(decode::<Vec<u64>>(&endless), Err(Unreadable));
        assert_eq!(decode::<String>(&endless), Err(Unreadable));
    }
}
