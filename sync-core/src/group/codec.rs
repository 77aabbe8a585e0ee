//! The bytes of a record: what openmls keeps, as postcard writes it.
//!
//! Values are written by position and without names, so a value reads only as the type that wrote
//! it: when openmls changes such a type, a test that reads committed records fails, and the store
//! needs a migration. JSON, which openmls' own store writes, takes four times the room here, and
//! 36 KB more of what a browser loads.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, SeqAccess, Visitor};

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

/// The group's configuration that all of `bytes` are. One of its fields asks what it finds, which
/// postcard's bytes do not say; it is a number, wherever this crate wrote it.
pub(super) fn decode_config<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let mut reader = postcard::Deserializer::from_bytes(bytes);
    let config = T::deserialize(Config(&mut reader)).map_err(|_| Unreadable)?;
    match reader.finalize() {
        Ok([]) => Ok(config),
        _ => Err(Unreadable),
    }
}

type Reader<'de> = postcard::Deserializer<'de, postcard::de_flavors::Slice<'de>>;

/// Reads a configuration's own fields: numbers, where they do not say what they are.
struct Config<'a, 'de>(&'a mut Reader<'de>);

impl<'de> Deserializer<'de> for Config<'_, 'de> {
    type Error = postcard::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_u64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_bool(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(Fields { reader: self.0, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Fields<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = postcard::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(Config(self.reader)).map(Some)
    }
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
