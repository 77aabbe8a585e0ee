//! Reading structures: where their fields lie, and then each field from its place.

use minicbor::bytes::DecodeBytes;
use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error};

/// Fields of a structure that have a number: the derive refuses greater ones.
const NUMBERS: usize = 64;
/// No place of a field: each has at least its structure's head before it.
const ABSENT: usize = 0;

/// The fields of one structure: what `#[derive(Decode)]` reads through.
///
/// A field whose number nobody knows is passed over, so that newer versions may add some. So is a field
/// that may be missing, if a variant of a newer version is in it. Two fields of one number are
/// malformed. What is wrong is kept until [`finish`](Self::finish), so that little code follows each field.
#[derive(Debug)]
pub struct Fields<'b> {
    bytes: &'b [u8],
    places: [usize; NUMBERS],
    wrong: Option<Wrong>,
}

/// Why a structure can't be read, as far as anybody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Malformed,
    Missing,
    UnknownVariant,
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        if error.is_unknown_variant() { Self::UnknownVariant } else { Self::Malformed }
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'b> Fields<'b> {
    /// Those of a structure that has none.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: &[], places: [ABSENT; NUMBERS], wrong: None }
    }

    /// Notes where the fields of the next map or array lie, and goes behind it.
    pub fn find(&mut self, d: &mut Decoder<'b>, map: bool) {
        if self.wrong.is_none()
            && let Err(error) = self.note(d, map)
        {
            self.wrong = Some(error.into());
        }
    }

    fn note(&mut self, d: &mut Decoder<'b>, map: bool) -> Result<(), Error> {
        self.bytes = d.input();
        let length = if map { d.map()? } else { d.array()? };
        let mut count = 0;
        loop {
            match length {
                Some(length) if count == length => return Ok(()),
                None if d.datatype()? == Type::Break => return d.skip(),
                _ => {}
            }
            let number = if map { usize::try_from(d.i64()?) } else { usize::try_from(count) };
            if let Some(place) = number.ok().and_then(|number| self.places.get_mut(number)) {
                if *place != ABSENT {
                    return Err(Error::message("a field is there twice"));
                }
                *place = d.position();
            }
            d.skip()?;
            count += 1;
        }
    }

    /// Reads which variant of an enum is next, and goes to its fields. `alone` says that a variant is
    /// its number, without fields. No variant has the greatest number.
    pub fn variant(&mut self, d: &mut Decoder<'b>, alone: bool) -> usize {
        match number_of_variant(d, alone) {
            Ok(number) => usize::try_from(number).unwrap_or(usize::MAX),
            Err(error) => {
                self.wrong = Some(error.into());
                usize::MAX
            }
        }
    }

    /// Says that nobody knows the variant.
    pub fn unknown(&mut self) {
        self.refuse(Wrong::UnknownVariant);
    }

    /// Goes behind what a variant without fields has.
    pub fn pass(&mut self, d: &mut Decoder<'b>) {
        if let Err(error) = d.skip() {
            self.refuse(error.into());
        }
    }

    /// A field; `None` says that there is no reason to read on.
    pub fn take<T: Decode<'b, C>, C>(&mut self, number: usize, ctx: &mut C) -> Option<T> {
        let wrong = match self.at(number) {
            Some(mut d) => match T::decode(&mut d, ctx) {
                Ok(value) => return Some(value),
                Err(error) => error.into(),
            },
            None => Wrong::Missing,
        };
        let nil = T::nil();
        if self.forgives(wrong, nil.is_some()) { nil } else { None }
    }

    /// The same of a field that has a value without being there.
    pub fn take_or_default<T, C>(&mut self, number: usize, ctx: &mut C) -> Option<T>
    where
        T: Decode<'b, C> + Default,
    {
        if self.has(number) { self.take(number, ctx) } else { Some(T::default()) }
    }

    /// [`take`](Self::take) of a byte string.
    pub fn take_bytes<T: DecodeBytes<'b, C>, C>(
        &mut self,
        number: usize,
        ctx: &mut C,
    ) -> Option<T> {
        let wrong = match self.at(number) {
            Some(mut d) => match T::decode_bytes(&mut d, ctx) {
                Ok(value) => return Some(value),
                Err(error) => error.into(),
            },
            None => Wrong::Missing,
        };
        let nil = T::nil();
        if self.forgives(wrong, nil.is_some()) { nil } else { None }
    }

    /// [`take_or_default`](Self::take_or_default) of a byte string.
    pub fn take_bytes_or_default<T, C>(&mut self, number: usize, ctx: &mut C) -> Option<T>
    where
        T: DecodeBytes<'b, C> + Default,
    {
        if self.has(number) { self.take_bytes(number, ctx) } else { Some(T::default()) }
    }

    /// What was made of the fields.
    ///
    /// # Errors
    /// The first thing that was wrong with them.
    pub fn finish<T>(&self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.wrong.is_none() => Ok(value),
            _ => Err(self.error()),
        }
    }

    fn has(&self, number: usize) -> bool {
        self.places.get(number).is_some_and(|place| *place != ABSENT)
    }

    /// Stands before a field, if it is there and nothing was wrong so far.
    fn at(&self, number: usize) -> Option<Decoder<'b>> {
        let place = self.places.get(number).filter(|place| **place != ABSENT)?;
        let mut d = Decoder::new(self.bytes);
        d.set_position(*place);
        self.wrong.is_none().then_some(d)
    }

    /// Whether the structure can do without a field of which this is wrong.
    fn forgives(&mut self, wrong: Wrong, has_nil: bool) -> bool {
        let forgives = has_nil && wrong != Wrong::Malformed;
        if !forgives {
            self.refuse(wrong);
        }
        forgives
    }

    fn refuse(&mut self, wrong: Wrong) {
        self.wrong = self.wrong.or(Some(wrong));
    }

    fn error(&self) -> Error {
        match self.wrong {
            Some(Wrong::UnknownVariant) => Error::unknown_variant(-1),
            Some(Wrong::Missing) => Error::message("a field is missing"),
            Some(Wrong::Malformed) | None => Error::message("malformed structure"),
        }
    }
}

fn number_of_variant(d: &mut Decoder<'_>, alone: bool) -> Result<i64, Error> {
    if !alone && d.array()? != Some(2) {
        return Err(Error::message("a variant is an array of two"));
    }
    d.i64()
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use minicbor::decode;
    use proptest::prelude::*;

    /// The same types twice: read by minicbor's derive, and by ours.
    macro_rules! types {
        ($($derive:tt)*) => {
            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            #[cbor(map)]
            pub(super) struct Whole {
                #[n(0)]
                pub(super) number: u64,
                #[n(1)]
                pub(super) name: Option<String>,
                #[cbor(n(2), with = "minicbor::bytes")]
                pub(super) key: [u8; 2],
                #[cbor(n(3), default)]
                pub(super) list: Vec<Pair>,
                #[n(5)]
                pub(super) action: Option<Action>,
                #[cbor(n(63), with = "minicbor::bytes", default)]
                pub(super) tail: Vec<u8>,
                #[cbor(n(7), with = "minicbor::bytes")]
                pub(super) seal: Option<Vec<u8>>,
            }

            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            pub(super) struct Pair(#[n(0)] pub(super) u8, #[n(2)] pub(super) Option<bool>);

            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            pub(super) struct Words(#[n(0)] pub(super) Option<Kind>, #[n(1)] pub(super) Kind);

            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            #[cbor(map)]
            pub(super) enum Action {
                #[n(0)]
                None,
                #[n(1)]
                One(#[n(0)] u16),
                #[n(9)]
                Two {
                    #[n(1)]
                    left: u8,
                    #[n(0)]
                    right: Option<bool>,
                },
                #[n(60)]
                Three(#[n(0)] Kind),
            }

            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            #[cbor(index_only)]
            pub(super) enum Kind {
                #[n(0)]
                Small,
                #[n(30)]
                Large,
            }

            #[derive(Debug, PartialEq, Eq, minicbor::Encode, $($derive)*)]
            #[cbor(transparent)]
            pub(super) struct Bare(#[cbor(with = "minicbor::bytes")] pub(super) Vec<u8>);
        };
    }

    mod ours {
        types!(sync_protocol::codec::Decode);
    }

    mod theirs {
        types!(minicbor::Decode);
    }

    type Drawn = (u64, Option<String>, [u8; 2], Vec<(u8, Option<bool>)>, u8, Vec<u8>, bool);

    fn whole(drawn: &Drawn) -> ours::Whole {
        use ours::{Action, Pair};
        let (number, name, key, list, action, tail, sealed) = drawn;
        ours::Whole {
            number: *number,
            name: name.clone(),
            key: *key,
            list: list.iter().map(|(n, large)| Pair(*n, *large)).collect(),
            action: match action % 4 {
                0 => None,
                1 => Some(Action::None),
                2 => Some(Action::One(u16::from(*action))),
                _ => Some(Action::Two { left: 7, right: Some(*sealed) }),
            },
            tail: tail.clone(),
            seal: sealed.then(|| tail.clone()),
        }
    }

    /// Both readers' values, as text.
    fn both(bytes: &[u8]) -> (Option<String>, Option<String>) {
        let ours = decode::<ours::Whole>(bytes).ok().map(|value| format!("{value:?}"));
        let theirs = decode::<theirs::Whole>(bytes).ok().map(|value| format!("{value:?}"));
        (ours, theirs)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(drawn: Drawn) {
            let bytes = crate::codec::encode(&whole(&drawn));
            prop_assert_eq!(decode::<ours::Whole>(&bytes).ok(), Some(whole(&drawn)));
            let (ours, theirs) = both(&bytes);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn other_bytes_are_read_as_minicbor_reads_them(
            drawn: Drawn,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = crate::codec::encode(&whole(&drawn));
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let (ours, theirs) = both(&bytes);
            if ours.is_some() {
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn a_field_is_there_once() {
        assert!(decode::<ours::Whole>(&[0xa2, 0, 1, 2, 0x42, 8, 9]).is_ok());
        assert!(decode::<ours::Whole>(&[0xa3, 0, 1, 0, 1, 2, 0x42, 8, 9]).is_err());
        assert!(decode::<ours::Whole>(&[0xa1, 0, 1]).is_err(), "the key is missing");
    }

    #[test]
    fn structures_end_where_they_say() {
        let long = [0xbf, 0, 1, 2, 0x42, 8, 9, 0x18, 40, 0x82, 1, 2, 0xff];
        assert_eq!(decode::<ours::Whole>(&long).map(|whole| whole.number).ok(), Some(1));
        assert!(decode::<ours::Whole>(&long[..12]).is_err());
        assert_eq!(
            decode::<ours::Pair>(&[0x9f, 7, 0xf6, 0xf5, 0, 0xff]).ok(),
            Some(ours::Pair(7, Some(true)))
        );
    }

    #[test]
    fn a_newer_variant_is_absent_where_it_may_be_missing() {
        let newer = [0xa3, 0, 1, 2, 0x42, 8, 9, 5, 0x82, 3, 0xa1, 0, 0x82, 1, 2];
        let read = decode::<ours::Whole>(&newer).map(|whole| whole.action);
        assert_eq!(read.ok(), Some(None));
        let within = [0xa3, 0, 1, 2, 0x42, 8, 9, 5, 0x82, 0x18, 60, 0xa1, 0, 4];
        let read = decode::<ours::Whole>(&within).map(|whole| whole.action);
        assert_eq!(read.ok(), Some(None), "minicbor would go on in the middle");
        assert!(decode::<theirs::Whole>(&within).is_err());
        let word = decode::<ours::Words>(&[0x82, 4, 0x18, 30]);
        assert_eq!(word.ok(), Some(ours::Words(None, ours::Kind::Large)));
        assert!(decode::<theirs::Words>(&[0x82, 4, 0x18, 30]).is_err(), "it skips one more");
        assert!(decode::<ours::Words>(&[0x82, 0, 4]).is_err(), "this one may not be missing");
        let alone = decode::<ours::Kind>(&[4]).map_err(|error| error.is_unknown_variant());
        assert_eq!(alone, Err(true));
    }

    #[test]
    fn a_structure_may_be_its_only_field() {
        assert_eq!(decode::<ours::Bare>(&[0x41, 7]).ok(), Some(ours::Bare(vec![7])));
        assert_eq!(decode::<theirs::Bare>(&[0x41, 7]).ok(), Some(theirs::Bare(vec![7])));
        assert!(decode::<ours::Bare>(&[7]).is_err());
    }
}
