//! A module's parts, as far as what is done here to modules needs them.

use std::collections::BTreeMap;

pub(super) const CUSTOM: u8 = 0;
pub(super) const IMPORTS: u8 = 2;
pub(super) const CODE: u8 = 10;
/// An import that is a function, and has an index like any other.
const FUNCTION: u8 = 0;
/// The custom section of names, and of it the part of functions' names.
pub(super) const NAMES: &[u8] = b"name";
pub(super) const FUNCTION_NAMES: u8 = 1;
/// A module begins with these bytes and its version.
pub(super) const HEAD: usize = 8;

pub(super) struct Section<'a> {
    pub(super) id: u8,
    pub(super) whole: &'a [u8],
    pub(super) body: &'a [u8],
    /// The index in the module after its last byte.
    pub(super) end: usize,
}

pub(super) fn sections(module: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut left = Bytes(module.get(HEAD..)?);
    let mut sections = Vec::new();
    while let Some((&id, _)) = left.0.split_first() {
        let before = left.0;
        left.take(1)?;
        let body = left.sized()?;
        let whole = before.get(..before.len() - left.0.len())?;
        let end = module.len() - left.0.len();
        sections.push(Section { id, whole, body, end });
    }
    Some(sections)
}

impl<'a> Section<'a> {
    /// How many functions are imported: they have the first indices.
    pub(super) fn imports(&self) -> Option<usize> {
        let mut left = Bytes(self.body);
        let count = left.number()?;
        for _ in 0..count {
            let (_module, _name) = (left.sized()?, left.sized()?);
            let kind = left.take(1)?;
            let _type = left.number()?;
            if kind != [FUNCTION] {
                return None;
            }
        }
        Some(count)
    }

    /// What each function is, in bytes.
    pub(super) fn code(&self) -> Option<Vec<&'a [u8]>> {
        let mut left = Bytes(self.body);
        (0..left.number()?).map(|_| left.sized()).collect()
    }

    /// The names of functions, by index; `None` if this is another section, and within it if they can't
    /// be read.
    pub(super) fn names(&self) -> Option<Option<BTreeMap<usize, &'a [u8]>>> {
        let mut left = Bytes(self.body);
        let is_it = self.id == CUSTOM && left.sized() == Some(NAMES);
        is_it.then(|| function_names(left))
    }
}

fn function_names(mut left: Bytes<'_>) -> Option<BTreeMap<usize, &[u8]>> {
    while !left.0.is_empty() {
        let part = left.take(1)?;
        let mut body = Bytes(left.sized()?);
        if part == [FUNCTION_NAMES] {
            let count = body.number()?;
            return (0..count).map(|_| Some((body.number()?, body.sized()?))).collect();
        }
    }
    None
}

/// What is still to be read.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..u32::BITS).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }
}

pub(super) fn put_number(to: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub(super) fn put_sized(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len());
    to.extend_from_slice(bytes);
}
