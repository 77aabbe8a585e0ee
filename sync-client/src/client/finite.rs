//! Numbers that no document holds: those that JSON has no word for, of which `serde_json` writes null, and
//! whole ones of more than 64 bits, which come back as the nearest fraction. Nobody would hear of either.

use serde::ser::{self, Error as _, Serialize, Serializer};
use serde_json::Error;

/// Whether all numbers in a value are numbers.
///
/// # Errors
/// For infinities, and what is no number; whatever the value's own serializing says.
pub(super) fn check<T: Serialize + ?Sized>(value: &T) -> Result<(), Error> {
    value.serialize(Finite)
}

/// Looks at a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Finite;

macro_rules! fine {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method(self, _: $kind) -> Result<(), Error> {
            Ok(())
        })*
    };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fine! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_i128(self, number: i128) -> Result<(), Error> {
        let fits = i64::try_from(number).is_ok() || u64::try_from(number).is_ok();
        if fits { Ok(()) } else { Err(Error::custom(format!("{number}"))) }
    }

    fn serialize_u128(self, number: u128) -> Result<(), Error> {
        u64::try_from(number).map(drop).map_err(|_| Error::custom(format!("{number}")))
    }

    fn serialize_f32(self, number: f32) -> Result<(), Error> {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        if number.is_finite() { Ok(()) } else { Err(Error::custom(format!("{number}"))) }
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        check(value)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        check(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        check(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        Ok(self)
    }
}

macro_rules! parts {
    ($($kind:ident: $method:ident($($name:ty)?)),* $(,)?) => {
        $(impl ser::$kind for Finite {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $(_: $name,)?
                value: &T,
            ) -> Result<(), Error> {
                check(value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
}

impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        check(value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize)]
    struct Row {
        n: f64,
        more: Option<Vec<f32>>,
    }

    #[test]
    fn whole_numbers_have_64_bits() {
        let most = (u128::from(u64::MAX), i128::from(i64::MIN));
        assert!(check(&most).is_ok());
        assert!(check(&i128::from(u64::MAX)).is_ok());
        assert!(check(&(most.0 + 1)).is_err());
        assert!(check(&[most.1 - 1]).is_err());
        assert!(check(&i128::MAX).is_err());
    }

    #[test]
    fn what_is_no_number_is_found_wherever_it_stands() {
        let row = |n, m| Row { n, more: Some(vec![1.0, m]) };
        assert!(check(&row(1.5, 2.0)).is_ok());
        assert!(check(&row(f64::NAN, 2.0)).unwrap_err().to_string().contains("NaN"));
        assert!(check(&row(1.5, f32::INFINITY)).is_err());
        assert!(check(&BTreeMap::from([("a", (1, row(f64::NEG_INFINITY, 1.0)))])).is_err());
        assert!(check(&serde_json::json!({ "a": [1.5, null, "NaN"] })).is_ok());
    }
}
