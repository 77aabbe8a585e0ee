//! Where in the sources a panic was. A module keeps file, line and column of each place that can panic;
//! of a library that it stands on, the file and the message say enough, and no column is ever needed.
//! Compressed, what is dropped is 6 kB.

use std::ops::Range;

use super::module::{Bytes, sections};

const DATA: u8 = 11;
/// An active segment of the first memory, and the instructions that say where it lies.
const ACTIVE: usize = 0;
const CONSTANT: &[u8] = &[0x41];
const END: &[u8] = &[0x0b];
/// A place: its file's name and length, line and column, four bytes each.
const PLACE: usize = 16;
/// The longest name of a file, and the last line and column, that are taken for such.
const MOST: [u32; 3] = [256, 1 << 16, 1 << 10];
/// How the names of our own files begin. The lines in them stay.
const OWN: [&[u8]; 2] = [b"sync-", b"wasm/"];

/// Data of a module: where it lies in memory, and in the module.
struct Segment {
    address: usize,
    bytes: Range<usize>,
}

/// Drops what nobody needs of places; gives how many there are. `None` if it is no module.
pub(crate) fn make_coarse(module: &mut [u8]) -> Option<usize> {
    let segments = segments(module)?;
    let mut places = 0;
    for segment in &segments {
        let skew = segment.address.wrapping_neg() % 4;
        for at in (segment.bytes.start + skew..segment.bytes.end).step_by(4) {
            let Some(is_own) = place(module, &segments, at..at + PLACE, &segment.bytes) else {
                continue;
            };
            places += 1;
            let dropped = if is_own { at + 12..at + PLACE } else { at + 8..at + PLACE };
            module.get_mut(dropped)?.fill(0);
        }
    }
    Some(places)
}

/// Whether there is a place of one of our own files, or of another; `None` if there is something else.
fn place(
    module: &[u8],
    segments: &[Segment],
    at: Range<usize>,
    within: &Range<usize>,
) -> Option<bool> {
    let bytes = module.get(at.clone()).filter(|_| at.end <= within.end)?;
    let number = |n: usize| {
        let bytes = bytes.get(n * 4..n * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let [most_name, most_line, most_column] = MOST;
    let (length, line, column) = (number(1)?, number(2)?, number(3)?);
    if length > most_name || line > most_line || column > most_column {
        return None;
    }
    let (address, length) = (usize::try_from(number(0)?).ok()?, usize::try_from(length).ok()?);
    let holds = |segment: &&Segment| {
        let from = address.checked_sub(segment.address);
        from.is_some_and(|from| from + length <= segment.bytes.len())
    };
    let segment = segments.iter().find(holds)?;
    let start = segment.bytes.start + (address - segment.address);
    let name = module.get(start..start + length)?;
    let is_name = name.ends_with(b".rs") && name.iter().all(|byte| (b' '..=b'~').contains(byte));
    is_name.then(|| OWN.iter().any(|own| name.starts_with(own)))
}

fn segments(module: &[u8]) -> Option<Vec<Segment>> {
    let sections = sections(module)?;
    let Some(data) = sections.iter().find(|section| section.id == DATA) else {
        return Some(Vec::new());
    };
    let mut left = Bytes(data.body);
    let mut segments = Vec::new();
    for _ in 0..left.number()? {
        let address = match left.number()? {
            ACTIVE => {
                let begins = left.take(1)? == CONSTANT;
                let address = left.number()?;
                (begins && left.take(1)? == END).then_some(address)?
            }
            _ => return None,
        };
        let size = left.sized()?.len();
        let end = data.end - left.0.len();
        segments.push(Segment { address, bytes: end - size..end });
    }
    Some(segments)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ADDRESS: u32 = 4_096;

    /// A module of one segment: names of files, then places and other words.
    fn module(names: &str, words: &[u32]) -> Vec<u8> {
        let mut data = names.as_bytes().to_vec();
        words.iter().for_each(|word| data.extend_from_slice(&word.to_le_bytes()));
        let mut body = vec![1, 0, 0x41, 0x80, 0x20, 0x0b, u8::try_from(data.len()).unwrap()];
        body.extend(data);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([DATA, u8::try_from(body.len()).unwrap()]);
        module.extend(body);
        module
    }

    fn words(module: &[u8], from: usize) -> Vec<u32> {
        let words = module[from..].chunks_exact(4);
        words.map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn our_own_places_keep_their_lines_and_others_their_files() {
        let names = "sync-core/a.rs  library/b.rs";
        let given = [ADDRESS, 14, 70, 9, ADDRESS + 16, 12, 80, 7];
        let mut module = module(names, &given);
        let from = module.len() - 32;
        assert_eq!(make_coarse(&mut module), Some(2));
        assert_eq!(words(&module, from), [ADDRESS, 14, 70, 0, ADDRESS + 16, 12, 0, 0]);
    }

    #[test]
    fn what_is_no_place_stays() {
        let names = "sync-core/a.rs  a text of.no";
        let given = [ADDRESS, 14, 1 << 17, 9, ADDRESS + 16, 12, 80, 7, ADDRESS + 400, 14, 7, 7];
        let mut module = module(names, &given);
        let before = module.clone();
        assert_eq!(make_coarse(&mut module), Some(0));
        assert_eq!(module, before);
    }

    #[test]
    fn a_module_that_is_cut_is_refused_and_one_without_data_has_no_places() {
        let whole = module("sync-core/a.rs  ", &[ADDRESS, 14, 70, 9]);
        for cut in 9..whole.len() {
            assert_eq!(make_coarse(&mut whole[..cut].to_vec()), None, "cut to {cut}");
        }
        assert_eq!(make_coarse(&mut whole[..8].to_vec()), Some(0));
    }
}
