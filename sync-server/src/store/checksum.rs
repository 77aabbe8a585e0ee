//! A row's checksum: four bytes behind its value, over its table, key and value. A disk that gives
//! back other bits than it was given is noticed where they are read.
//!
//! CRC-32C, reflected, as in RFC 3720: it finds every single flipped bit, and all bursts of up to 32.

use super::Table;

/// Bytes of a checksum.
pub(super) const LEN: usize = 4;

/// The value with its checksum.
pub(super) fn seal(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(value.len() + LEN);
    sealed.extend_from_slice(value);
    sealed.extend_from_slice(&of(table, key, value).to_le_bytes());
    sealed
}

/// The value of a row as it was written; `None` if these are other bytes.
pub(super) fn open<'a>(table: Table, key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (value, checksum) = sealed.split_last_chunk::<LEN>()?;
    (of(table, key, value).to_le_bytes() == *checksum).then_some(value)
}

fn of(table: Table, key: &[u8], value: &[u8]) -> u32 {
    let length = (key.len() as u64).to_le_bytes();
    let parts = [&[table as u8][..], &length, key, value];
    !parts.into_iter().flatten().fold(!0, |crc, byte| {
        let place = ((crc ^ u32::from(*byte)) & 0xff) as usize;
        TABLE.get(place).copied().unwrap_or_default() ^ (crc >> 8)
    })
}

const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "a constant; the index is below its length")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(
            key in prop::collection::vec(any::<u8>(), 0..80),
            value in prop::collection::vec(any::<u8>(), 0..300),
            bit: prop::sample::Index,
        ) {
            let sealed = seal(Table::Entries, &key, &value);
            prop_assert_eq!(open(Table::Entries, &key, &sealed), Some(value.as_slice()));
            prop_assert_eq!(open(Table::Index, &key, &sealed), None);
            let bit = bit.index(sealed.len() * 8);
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(Table::Entries, &key, &flipped), None);
            for cut in 0..sealed.len() {
                prop_assert_eq!(open(Table::Entries, &key, &sealed[..cut]), None);
            }
        }
    }
}
