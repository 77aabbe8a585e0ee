//! Which function lies beside which in a module: compressed, it is smaller by a fortieth where those that are alike
//! are neighbours.
//!
//! `wasm-opt` can put functions in the order of their names, and knows how to change all that refers to
//! them. So this gives them numbers for names.

use std::collections::{BTreeMap, BTreeSet};

use super::module::{
    CODE, CUSTOM, FUNCTION_NAMES, HEAD, IMPORTS, NAMES, put_number, put_sized, sections,
};

/// Bytes in a row that two functions may have in common.
const RUN: usize = 4;

/// The same module, with names by which functions that are alike lie side by side. `None` if it is not a
/// module with names that imports functions alone.
pub(crate) fn by_likeness(module: &[u8]) -> Option<Vec<u8>> {
    let sections = sections(module)?;
    let names = sections.iter().find_map(|section| section.names())??;
    let code = sections.iter().find(|section| section.id == CODE)?.code()?;
    let imports = sections.iter().find(|section| section.id == IMPORTS)?.imports()?;
    let functions = code.iter().enumerate().map(|(n, code)| {
        let name = names.get(&(n + imports)).copied().unwrap_or_default();
        (family(&String::from_utf8_lossy(name)), n, *code)
    });
    let mut numbers: BTreeMap<usize, String> = BTreeMap::new();
    for (place, n) in order(functions).into_iter().enumerate() {
        numbers.insert(n + imports, format!("{place:06}"));
    }
    let named = names_section(numbers.iter().map(|(index, number)| (*index, number.as_bytes())));
    let mut written = module.get(..HEAD)?.to_vec();
    for section in &sections {
        written.extend_from_slice(if section.names().is_some() { &named } else { section.whole });
    }
    Some(written)
}

/// Functions by the names of their families, and within one each behind the one that is most like it.
fn order<'a>(functions: impl Iterator<Item = (String, usize, &'a [u8])>) -> Vec<usize> {
    let mut families: BTreeMap<String, Vec<Function>> = BTreeMap::new();
    for (family, n, code) in functions {
        let runs = code.windows(RUN).filter_map(|run| run.try_into().ok());
        let function = Function { n, length: code.len(), runs: runs.collect() };
        families.entry(family).or_default().push(function);
    }
    families.into_values().flat_map(chain).collect()
}

struct Function {
    n: usize,
    length: usize,
    runs: BTreeSet<[u8; RUN]>,
}

impl Function {
    /// Of all runs in either of two, how many are in both, in millionths.
    fn likeness(&self, other: &Self) -> usize {
        let both = self.runs.intersection(&other.runs).count();
        both * 1_000_000 / (self.runs.len() + other.runs.len() - both).max(1)
    }
}

fn chain(mut left: Vec<Function>) -> Vec<usize> {
    left.sort_by_key(|function| (function.length, function.n));
    left.reverse();
    let mut placed = Vec::new();
    let mut next = left.pop();
    while let Some(function) = next {
        placed.push(function.n);
        let likest = (0..left.len()).max_by_key(|at| function.likeness(&left[*at]));
        next = likest.map(|at| left.remove(at));
    }
    placed
}

/// What functions are likely to be alike: those of one trait's method, or one type's, whatever the
/// types are that they were made for.
fn family(name: &str) -> String {
    let (name, _) = name.split_at(name.rfind("::h").unwrap_or(name.len()));
    let (of, method) = split(name);
    let within = of.strip_prefix('<').and_then(|of| of.strip_suffix('>'));
    let of = within.and_then(|within| within.rsplit_once(" as ")).map_or(of, |(_, of)| of);
    format!("{of} {method}")
}

/// A path before and behind its last `::`, if that is within no brackets.
fn split(path: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in path.char_indices().rev() {
        match c {
            '>' | ')' | ']' | '}' => depth += 1,
            '<' | '(' | '[' | '{' => depth -= 1,
            ':' if depth == 0 && path[..at].ends_with(':') => {
                return (&path[..at - 1], &path[at + 1..]);
            }
            _ => {}
        }
    }
    ("", path)
}

fn names_section<'a>(names: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<u8> {
    let mut count = 0;
    let mut each = Vec::new();
    for (index, name) in names {
        count += 1;
        put_number(&mut each, index);
        put_sized(&mut each, name);
    }
    let mut functions = Vec::new();
    put_number(&mut functions, count);
    functions.append(&mut each);
    let mut body = Vec::new();
    put_sized(&mut body, NAMES);
    body.push(FUNCTION_NAMES);
    put_sized(&mut body, &functions);
    let mut section = vec![CUSTOM];
    put_sized(&mut section, &body);
    section
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::module::Section;
    use super::*;

    /// A module of one import and functions with this code, under these names.
    fn module(functions: &[(&str, &[u8])]) -> Vec<u8> {
        let mut code = Vec::new();
        put_number(&mut code, functions.len());
        functions.iter().for_each(|(_, bytes)| put_sized(&mut code, bytes));
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.push(IMPORTS);
        put_sized(&mut module, b"\x01\x03env\x04from\0\0");
        module.push(CODE);
        put_sized(&mut module, &code);
        let own = functions.iter().enumerate().map(|(n, (name, _))| (n + 1, name.as_bytes()));
        module.extend(names_section(own.filter(|(_, name)| !name.is_empty())));
        module
    }

    fn names(module: &[u8]) -> Vec<String> {
        let sections = sections(module).unwrap();
        let names = sections.iter().find_map(Section::names).unwrap().unwrap();
        names.into_values().map(|name| String::from_utf8(name.to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_likest_of_a_family_is_the_next() {
        let given = module(&[
            ("<b::Other as c::Read>::read::h0123456789abcdef", b"rather unlike all else"),
            ("", b"0123456789"),
            ("<a::This as c::Read>::read::h0000000000000000", b"01234567"),
            ("<z::That as c::Read>::read::hffffffffffffffff", b"0123456789"),
        ]);
        let ordered = by_likeness(&given).unwrap();
        assert_eq!(names(&ordered), ["000003", "000000", "000001", "000002"]);
        let code = |module: &[u8]| sections(module).unwrap()[1].whole.to_vec();
        assert_eq!(code(&ordered), code(&given), "no function changes");
    }

    #[test]
    fn a_family_is_a_method_for_whatever_types() {
        assert_eq!(family("<a::B<C> as d::E<F>>::g::h0123456789abcdef"), "d::E<F> g");
        assert_eq!(family("a::B<C::D>::e::{{closure}}::h00"), "a::B<C::D>::e {{closure}}");
        assert_eq!(family("memcpy"), " memcpy");
    }

    #[test]
    fn what_is_no_module_with_names_is_refused() {
        let whole = module(&[("a", b"abcdef"), ("b", b"abcdefg")]);
        assert!(by_likeness(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(by_likeness(&whole[..cut]), None, "cut to {cut}");
        }
    }
}
