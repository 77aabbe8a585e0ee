//! What a module and its script call what they take of each other. Each such name is a word or two and a
//! hash, which no compression makes smaller, here and there. They only have to be the same on both sides
//! and to differ from each other, so they are counted instead.

use std::collections::BTreeMap;

/// Digits of a hash at a name's end.
const DIGITS: usize = 16;
/// How a name begins that is counted.
const COUNTED: &str = "__wbg_";

/// Both with numbers for the names that they share; nothing moves, for no name becomes longer or
/// shorter.
pub(crate) fn without_hashes(script: &str, module: &[u8]) -> (String, Vec<u8>) {
    let (mut script, mut module) = (script.to_owned(), module.to_vec());
    for (hashed, counted) in renamed(&script) {
        script = script.replace(&hashed, &counted);
        let mut from = 0;
        while let Some(at) = find(&module[from..], hashed.as_bytes()) {
            let place = from + at..from + at + hashed.len();
            module[place.clone()].copy_from_slice(counted.as_bytes());
            from = place.end;
        }
    }
    (script, module)
}

/// The names of a script that end in a hash, and what each is called instead.
fn renamed(script: &str) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    for name in script.split(|letter| !is_of_name(letter)) {
        let Some((stem, hash)) =
            name.len().checked_sub(DIGITS).and_then(|at| name.split_at_checked(at))
        else {
            continue;
        };
        // Those that were counted already stay, and can't be taken for one that is counted here.
        let is_hash =
            hash.chars().all(|digit| digit.is_ascii_hexdigit()) && !hash.starts_with("0000");
        if is_hash && stem.contains('_') && !renamed.contains_key(name) {
            let (nth, width) = (renamed.len(), name.len() - COUNTED.len());
            renamed.insert(name.to_owned(), format!("{COUNTED}{nth:0width$}"));
        }
    }
    renamed
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_say_the_same_and_no_two_names_are_one() {
        let script =
            "__wbg_new_cd4348290afae586:1,__wbg_new_96baed0986e0d99f:2,__wbg_put_45e63ad2e48de8d7";
        let module = b"\x1a__wbg_new_96baed0986e0d99f\x00\x1a__wbg_new_cd4348290afae586\x00\
            \x30__wbg_put_45e63ad2e48de8d7";
        let (script, module) = without_hashes(script, module);
        assert_eq!(
            script,
            "__wbg_00000000000000000000:1,__wbg_00000000000000000001:2,__wbg_00000000000000000002"
        );
        assert_eq!(
            module,
            b"\x1a__wbg_00000000000000000001\x00\x1a__wbg_00000000000000000000\x00\
            \x30__wbg_00000000000000000002"
        );
    }

    #[test]
    fn what_was_counted_or_is_no_name_stays() {
        let script = "__wbindgen_generic_0000000000000001,96baed0986e0d99f,__wbg_new_96baed,état_é";
        let module = b"__wbindgen_generic_0000000000000001 96baed0986e0d99f";
        let (after, bytes) = without_hashes(script, module);
        assert_eq!((after.as_str(), bytes.as_slice()), (script, module.as_slice()));
    }
}
