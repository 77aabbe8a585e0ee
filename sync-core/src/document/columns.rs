//! The column encodings inside a change chunk (Automerge's binary format, "Change chunks"), read
//! strictly: only the one spelling Automerge itself would write is taken, because it writes
//! changes anew from its own tables and must come to the same hash.

use super::Reason;

type Result<T> = std::result::Result<T, Reason>;

const BAD_NUMBER: Reason = Reason::Malformed("number");
const BAD_RUN: Reason = Reason::Malformed("run");

/// A cursor over untrusted bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Reason::Malformed("truncated"))?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Reason::Malformed("truncated"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// An unsigned LEB128 number in its shortest form.
    pub(crate) fn unsigned(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(BAD_NUMBER);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(BAD_NUMBER) } else { Ok(value) };
            }
        }
        Err(BAD_NUMBER)
    }

    /// A signed LEB128 number in its shortest form.
    pub(crate) fn signed(&mut self) -> Result<i64> {
        let mut value = 0_i64;
        let mut previous = 0_u8;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(BAD_NUMBER);
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let extends =
                    (byte == 0 && previous & 0x40 == 0) || (byte == 0x7f && previous & 0x40 != 0);
                if shift > 0 && extends {
                    return Err(BAD_NUMBER);
                }
                let open = shift < 57 && byte & 0x40 != 0;
                return Ok(if open { value | (-1_i64 << (shift + 7)) } else { value });
            }
            previous = byte;
        }
        Err(BAD_NUMBER)
    }

    pub(crate) fn size(&mut self) -> Result<usize> {
        usize::try_from(self.unsigned()?).map_err(|_| BAD_NUMBER)
    }

    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8]> {
        let len = self.size()?;
        self.take(len)
    }
}

/// What a run-length encoded column holds.
pub(crate) trait Item<'a>: Copy + PartialEq {
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
}

impl<'a> Item<'a> for u64 {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.unsigned()
    }
}

impl<'a> Item<'a> for i64 {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.signed()
    }
}

impl<'a> Item<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        std::str::from_utf8(reader.prefixed()?).map_err(|_| Reason::Malformed("text"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Run {
    Start,
    Nulls,
    Literal,
    Repeat,
}

/// A run-length encoded column. An absent column is all nulls.
#[derive(Debug)]
pub(crate) struct Rle<'a, T> {
    reader: Reader<'a>,
    absent: bool,
    run: Run,
    left: u64,
    last: Option<T>,
    any: bool,
}

impl<'a, T: Item<'a>> Rle<'a, T> {
    pub(crate) fn new(column: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(column),
            absent: column.is_empty(),
            run: Run::Start,
            left: 0,
            last: None,
            any: false,
        }
    }

    /// Whether everything encoded was read.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.reader.is_empty()
    }

    /// An error unless the column was read to its end and had a value at all.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.is_done() && (self.any || self.absent) {
            Ok(())
        } else {
            Err(Reason::Malformed("column length"))
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        if self.absent {
            return Ok(None);
        }
        if self.left == 0 {
            self.open()?;
        }
        self.left -= 1;
        match self.run {
            Run::Literal => self.literal().map(Some),
            Run::Repeat => Ok(self.last),
            Run::Nulls | Run::Start => Ok(None),
        }
    }

    fn literal(&mut self) -> Result<T> {
        let value = T::read(&mut self.reader)?;
        if self.last == Some(value) {
            return Err(BAD_RUN);
        }
        self.last = Some(value);
        Ok(value)
    }

    fn open(&mut self) -> Result<()> {
        let count = self.reader.signed()?;
        let previous = self.run;
        match count {
            0 => {
                self.left = self.reader.unsigned()?;
                self.run = Run::Nulls;
                self.last = None;
            }
            1 => return Err(BAD_RUN),
            2.. => {
                let value = T::read(&mut self.reader)?;
                if self.last == Some(value) {
                    return Err(BAD_RUN);
                }
                self.left = count.unsigned_abs();
                self.run = Run::Repeat;
                self.last = Some(value);
            }
            _ => {
                self.left = count.unsigned_abs();
                self.run = Run::Literal;
            }
        }
        self.any |= self.run != Run::Nulls;
        let twice = previous == self.run && self.run != Run::Repeat;
        if self.left == 0 || twice { Err(BAD_RUN) } else { Ok(()) }
    }
}

/// A run-length encoded column of differences.
#[derive(Debug)]
pub(crate) struct Delta<'a> {
    rle: Rle<'a, i64>,
    value: i64,
}

impl<'a> Delta<'a> {
    pub(crate) fn new(column: &'a [u8]) -> Self {
        Self { rle: Rle::new(column), value: 0 }
    }

    pub(crate) fn finish(&self) -> Result<()> {
        self.rle.finish()
    }

    /// The next value; differences that leave the range of op counters are malformed.
    pub(crate) fn next(&mut self) -> Result<Option<u32>> {
        let Some(delta) = self.rle.next()? else { return Ok(None) };
        self.value = self.value.checked_add(delta).ok_or(BAD_NUMBER)?;
        u32::try_from(self.value).map(Some).map_err(|_| BAD_NUMBER)
    }
}

/// A column of booleans: lengths of runs, the first of `false`.
#[derive(Debug)]
pub(crate) struct Booleans<'a> {
    reader: Reader<'a>,
    value: bool,
    left: u64,
    first: bool,
}

impl<'a> Booleans<'a> {
    pub(crate) fn new(column: &'a [u8]) -> Self {
        Self { reader: Reader::new(column), value: true, left: 0, first: true }
    }

    pub(crate) fn finish(&self) -> Result<()> {
        let done = self.left == 0 && self.reader.is_empty();
        if done { Ok(()) } else { Err(Reason::Malformed("column length")) }
    }

    pub(crate) fn next(&mut self) -> Result<bool> {
        while self.left == 0 {
            self.left = self.reader.unsigned()?;
            self.value = !self.value;
            if self.left == 0 && !self.first {
                return Err(BAD_RUN);
            }
            self.first = false;
        }
        self.left -= 1;
        Ok(self.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(column: &[u8], count: usize) -> Result<Vec<Option<u64>>> {
        let mut rle = Rle::new(column);
        let values = (0..count).map(|_| rle.next()).collect::<Result<Vec<_>>>()?;
        rle.finish()?;
        Ok(values)
    }

    #[test]
    fn runs_have_one_spelling() {
        assert_eq!(all(&[3, 7], 3).unwrap(), vec![Some(7); 3]);
        assert_eq!(all(&[0x7e, 1, 2, 0, 2], 4).unwrap(), vec![Some(1), Some(2), None, None]);
        for bad in [
            &[1_u8, 7][..],      // a run of one
            &[0x7e, 7, 7],       // a literal that repeats
            &[2, 7, 2, 7],       // two runs of one value
            &[0x7f, 1, 0x7f, 2], // two literals
            &[0, 1, 0, 1],       // two stretches of nulls
            &[0, 0],             // nothing
            &[0, 2],             // nulls alone: the column would be absent
            &[0x82, 0, 7],       // a number with a needless byte
        ] {
            for count in 1..5 {
                assert!(all(bad, count).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        for n in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            let mut rle = Vec::new();
            let mut rest = n;
            loop {
                let byte = (rest & 0x7f) as u8;
                rest >>= 7;
                let last = (rest == 0 && byte & 0x40 == 0) || (rest == -1 && byte & 0x40 != 0);
                rle.push(if last { byte } else { byte | 0x80 });
                if last {
                    break;
                }
            }
            assert_eq!(Reader::new(&rle).signed().unwrap(), n);
        }
        assert!(Reader::new(&[0x80, 0]).unsigned().is_err());
        assert!(Reader::new(&[0xff; 11]).unsigned().is_err());
        assert!(Reader::new(&[0xff, 0x7f]).signed().is_err());
    }
}
