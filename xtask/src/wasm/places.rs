//! Where in the sources a panic was. A module keeps file, line and column of each place that can panic;
//! of a library that it stands on, its name and the message say enough, and no column is ever needed.
//! Compressed, what is dropped is 9 kB.

use std::collections::BTreeMap;
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
/// How the names of our own files begin. They stay, and so do the lines in them.
const OWN: [&[u8]; 2] = [b"sync-", b"wasm/"];
/// The folder in which the standard library's parts lie.
const STANDARD: &[u8] = b"library";

/// Data of a module: where it lies in memory, and in the module.
struct Segment {
    address: usize,
    bytes: Range<usize>,
}

/// A place in a module, and the name of its file.
struct Place {
    at: usize,
    /// Where the name lies in memory, and in the module.
    address: usize,
    name: Range<usize>,
}

/// Drops what nobody needs of places; gives how many there are. `None` if it is no module.
pub(crate) fn make_coarse(module: &mut [u8]) -> Option<usize> {
    let segments = segments(module)?;
    let mut places = Vec::new();
    for segment in &segments {
        let skew = segment.address.wrapping_neg() % 4;
        let starts = (segment.bytes.start + skew..segment.bytes.end).step_by(4);
        places.extend(starts.filter_map(|at| place(module, &segments, at, segment.bytes.end)));
    }
    let is_own = |place: &&Place| OWN.iter().any(|own| module[place.name.clone()].starts_with(own));
    let (own, others): (Vec<&Place>, Vec<&Place>) = places.iter().partition(is_own);
    for place in own {
        module.get_mut(place.at + 12..place.at + PLACE)?.fill(0);
    }
    name_libraries(module, &others)?;
    Some(places.len())
}

/// Lets places of libraries name those alone. Each name stands once, where the library's first file had
/// its own.
fn name_libraries(module: &mut [u8], places: &[&Place]) -> Option<()> {
    // By name, where it lies in memory and in the module.
    let mut libraries: BTreeMap<Vec<u8>, (usize, usize)> = BTreeMap::new();
    let mut said = Vec::new();
    for place in places {
        let file = module.get(place.name.clone())?;
        let library = library(file);
        let lies = (place.address + library.start, place.name.start + library.start);
        let name = file.get(library)?.to_vec();
        libraries.entry(name.clone()).or_insert(lies);
        said.push((place, name));
    }
    for place in places {
        module.get_mut(place.name.clone())?.fill(0);
    }
    for (name, (_, start)) in &libraries {
        module.get_mut(*start..start + name.len())?.copy_from_slice(name);
    }
    let number = |number: usize| u32::try_from(number).ok().map(u32::to_le_bytes);
    for (place, name) in said {
        let (address, _) = libraries.get(&name)?;
        let words = [number(*address)?, number(name.len())?, [0; 4], [0; 4]].concat();
        module.get_mut(place.at..place.at + PLACE)?.copy_from_slice(&words);
    }
    Some(())
}

/// The part of a file's name that names its library: the folder in the registry, or the standard
/// library's part.
fn library(name: &[u8]) -> Range<usize> {
    let mut parts = Vec::new();
    let mut start = 0;
    for part in name.split(|byte| *byte == b'/') {
        parts.push(start..start + part.len());
        start += part.len() + 1;
    }
    let standard = parts.iter().position(|part| &name[part.clone()] == STANDARD);
    let wanted = standard.map_or(1, |at| at + 1);
    parts.get(wanted).cloned().unwrap_or(0..name.len())
}

/// The place that there is, or `None`.
fn place(module: &[u8], segments: &[Segment], at: usize, end: usize) -> Option<Place> {
    let bytes = module.get(at..at + PLACE).filter(|_| at + PLACE <= end)?;
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
    is_name.then_some(Place { at, address, name: start..start + length })
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
    use super::super::module::put_sized;
    use super::*;

    const ADDRESS: u32 = 4_096;

    /// A module of one segment: names of files, then places and other words.
    fn module(names: &str, words: &[u32]) -> Vec<u8> {
        let mut data = names.as_bytes().to_vec();
        words.iter().for_each(|word| data.extend_from_slice(&word.to_le_bytes()));
        let mut body = vec![1, 0, 0x41, 0x80, 0x20, 0x0b];
        put_sized(&mut body, &data);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.push(DATA);
        put_sized(&mut module, &body);
        module
    }

    fn words(module: &[u8], from: usize) -> Vec<u32> {
        let words = module[from..].chunks_exact(4);
        words.map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn our_own_places_keep_file_and_line_and_others_name_their_library() {
        let names =
            "sync-core/a.rs  reg/b-1/src/c.rs/rustc/0/library/core/d.rs  reg/b-1/src/eee.rs  ";
        let [own, first, core, second] = [0, 16, 32, 60].map(|at| ADDRESS + at);
        let given =
            [own, 14, 70, 9, first, 16, 80, 7, core, 26, 1, 1, second, 18, 90, 6, first, 16, 8, 2];
        let mut module = module(names, &given);
        let from = module.len() - given.len() * 4;
        assert_eq!(make_coarse(&mut module), Some(5));
        let (b, std) = (first + 4, core + 17);
        assert_eq!(
            words(&module, from),
            [own, 14, 70, 0, b, 3, 0, 0, std, 4, 0, 0, b, 3, 0, 0, b, 3, 0, 0]
        );
        let kept: Vec<u8> = module[from - names.len()..from].to_vec();
        let kept = String::from_utf8(kept).unwrap().replace('\0', "");
        assert_eq!(kept, "sync-core/a.rs  b-1core    ");
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
