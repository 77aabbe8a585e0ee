//! A module's parts, as far as what is done here to modules needs them.

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
