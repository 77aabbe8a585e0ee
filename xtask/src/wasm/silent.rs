//! How libraries' values show themselves to those who look for faults. In a module that is shipped nobody
//! looks: what a panic or an error of ours says, it says by itself. So these forms say nothing there, and with
//! them goes all that only they need, such as the writing of fractions.

use super::module::{Bytes, CODE, HEAD, IMPORTS, put_number, put_sized, sections};

const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
/// Takes a value and where to write, both addresses; gives whether it failed.
const SHOWS: &[u8] = &[0x60, 2, 0x7f, 0x7f, 1, 0x7f];
/// No locals; it did not fail.
const NOTHING: &[u8] = &[0x00, 0x41, 0x00, 0x0b];
/// How the method is called.
const METHOD: &str = " as core::fmt::Debug>::fmt";
/// Whose forms stay: our own, and those of texts, numbers and lists, which stand in messages.
const HEARD: [&str; 7] =
    ["sync_core", "sync_protocol", "sync_store", "wasm", "core", "alloc", "std"];
/// Of the standard library's, these are long.
const LONG: [&str; 3] = ["f32", "f64", "core::time::Duration"];

/// The same module, in which libraries' values show nothing; and how many kinds of them there are. `None` if it
/// is not a module with names that imports functions alone.
pub(crate) fn libraries(module: &[u8]) -> Option<(Vec<u8>, usize)> {
    let sections = sections(module)?;
    let of = |id| sections.iter().find(|section| section.id == id);
    let names = sections.iter().find_map(|section| section.names())??;
    let imports = of(IMPORTS)?.imports()?;
    let types = of_shape(of(TYPES)?.body)?;
    let mut left = Bytes(of(FUNCTIONS)?.body);
    let count = left.number()?;
    let shapes: Vec<usize> = (0..count).map(|_| left.number()).collect::<Option<_>>()?;
    let mut code = Vec::new();
    put_number(&mut code, count);
    let mut silenced = 0;
    for (n, body) in of(CODE)?.code()?.into_iter().enumerate() {
        let name = names.get(&(n + imports)).copied().unwrap_or_default();
        let shows = shapes.get(n).and_then(|shape| types.get(*shape)).copied().unwrap_or_default();
        let is_silent = shows && is_a_librarys(&String::from_utf8_lossy(name));
        silenced += usize::from(is_silent);
        put_sized(&mut code, if is_silent { NOTHING } else { body });
    }
    let mut written = module.get(..HEAD)?.to_vec();
    for section in &sections {
        if section.id == CODE {
            written.push(CODE);
            put_sized(&mut written, &code);
        } else {
            written.extend_from_slice(section.whole);
        }
    }
    Some((written, silenced))
}

/// Of each type whether it is that of what shows a value.
fn of_shape(body: &[u8]) -> Option<Vec<bool>> {
    let mut left = Bytes(body);
    let count = left.number()?;
    let mut types = Vec::with_capacity(count);
    for _ in 0..count {
        let before = left.0;
        left.take(1)?;
        for _ in 0..2 {
            let values = left.number()?;
            left.take(values)?;
        }
        types.push(before.get(..before.len() - left.0.len())? == SHOWS);
    }
    Some(types)
}

/// A function's name without the numbers by which the compiler tells crates and copies apart.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    let mut parts = name.split('[');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.split_once(']') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                plain.push_str(rest);
            }
            _ => {
                plain.push('[');
                plain.push_str(part);
            }
        }
    }
    let end = plain.rfind("::h").unwrap_or(plain.len());
    plain.truncate(end);
    plain
}

/// Whether a function shows a value of a library.
fn is_a_librarys(name: &str) -> bool {
    let name = plain(name);
    let Some(of) = name.strip_suffix(METHOD).and_then(|of| of.strip_prefix('<')) else {
        return false;
    };
    if LONG.contains(&of) {
        return true;
    }
    let krate = of.split_once("::").map(|(krate, _)| krate).unwrap_or_default();
    let is_name = krate.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    !krate.is_empty() && is_name && !HEARD.contains(&krate)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_a_librarys_value_is_told_by_its_name() {
        for name in [
            "<automerge::error::AutomergeError as core::fmt::Debug>::fmt::h8bdaa40f7d8667be",
            "<redb::Key<T> as core::fmt::Debug>::fmt::h0123456789abcdef",
            "<automerge::error::AutomergeError as core::fmt::Debug>::fmt::h8bdaa40f7d8667be[1]",
            "<f64 as core[c5930c85a12de822]::fmt::Debug>::fmt",
            "<core[c5930c85a12de822]::time::Duration as core[c5930c85a12de822]::fmt::Debug>::fmt",
        ] {
            assert!(is_a_librarys(name), "{name}");
        }
        for name in [
            "<sync_core::document::row::Reason as core::fmt::Debug>::fmt::h2d0f42c3180a43be",
            "<automerge::error::AutomergeError as core::fmt::Display>::fmt::h8bdaa40f7d8667be",
            "<str as core::fmt::Debug>::fmt",
            "<&T as core::fmt::Debug>::fmt::h94d3876c329b93b7",
            "<alloc::string::String as core::fmt::Debug>::fmt::h0123456789abcdef",
            "<core[c5930c85a12de822]::time::Duration as core[c5930c85a12de822]::fmt::Debug>::fmt::fmt_decimal",
            "<[u8] as core[c5930c85a12de822]::fmt::Debug>::fmt",
            "automerge::read",
        ] {
            assert!(!is_a_librarys(name), "{name}");
        }
    }

    /// A module of functions: a name, the place of a type, and code.
    fn module(functions: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let section = |id: u8, body: &[u8]| {
            let mut section = vec![id];
            put_sized(&mut section, body);
            section
        };
        let count = u8::try_from(functions.len()).unwrap();
        let types = [&[2], SHOWS, &[0x60, 0, 0]].concat();
        let kinds: Vec<u8> =
            std::iter::once(count).chain(functions.iter().map(|(_, kind, _)| *kind)).collect();
        let (mut code, mut names) = (vec![count], vec![count]);
        for (n, (name, _, body)) in (0..).zip(functions) {
            put_sized(&mut code, body);
            names.push(n);
            put_sized(&mut names, name.as_bytes());
        }
        let mut named = b"\x04name\x01".to_vec();
        put_sized(&mut named, &names);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, body) in [(TYPES, &types), (IMPORTS, &vec![0]), (FUNCTIONS, &kinds)] {
            module.extend(section(id, body));
        }
        module.extend(section(CODE, &code));
        module.extend(section(0, &named));
        module
    }

    #[test]
    fn what_shows_a_librarys_value_says_nothing_and_all_else_stays() {
        let long = "<automerge::Value as core::fmt::Debug>::fmt::h0123456789abcdef";
        let own = "<sync_core::Value as core::fmt::Debug>::fmt::h0123456789abcdef";
        let given = module(&[(long, 0, b"shows"), (own, 0, b"ours"), (long, 1, b"other")]);
        let (silent, count) = libraries(&given).unwrap();
        assert_eq!(count, 1, "one has another shape: it is something else");
        let expected = module(&[(long, 0, NOTHING), (own, 0, b"ours"), (long, 1, b"other")]);
        assert_eq!(silent, expected);
    }

    #[test]
    fn what_is_no_module_with_names_is_refused() {
        let whole = module(&[("a", 0, b"abcdef")]);
        for cut in 0..whole.len() {
            assert_eq!(libraries(&whole[..cut]), None, "cut to {cut}");
        }
    }
}
