//! How a list becomes another one with as little of it touched as can be.

/// The smallest run of places to put something else in, so that one list of keys becomes another: what
/// stands before and after it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Where it begins.
    pub at: usize,
    /// So many of the old go.
    pub removed: usize,
    /// So many of the new come.
    pub added: usize,
}

impl Splice {
    /// What changes between two lists of keys.
    #[must_use]
    pub fn between<K: PartialEq>(old: &[K], new: &[K]) -> Self {
        let at = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let rest = old[at..].iter().rev().zip(new[at..].iter().rev());
        let same = rest.take_while(|(old, new)| old == new).count();
        Self { at, removed: old.len() - at - same, added: new.len() - at - same }
    }

    /// Whether nothing comes or goes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed == 0 && self.added == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(old: &str, new: &str) -> (usize, usize, usize) {
        let (old, new): (Vec<_>, Vec<_>) = (old.chars().collect(), new.chars().collect());
        let splice = Splice::between(&old, &new);
        (splice.at, splice.removed, splice.added)
    }

    #[test]
    fn only_what_differs_is_touched() {
        assert_eq!(between("abc", "abcd"), (3, 0, 1));
        assert_eq!(between("cd", "abcd"), (0, 0, 2));
        assert_eq!(between("abcd", "acd"), (1, 1, 0));
        assert_eq!(between("abcd", "dabc"), (0, 4, 4));
        assert_eq!(between("aa", "aaa"), (2, 0, 1));
        assert_eq!(between("", ""), (0, 0, 0));
        assert!(Splice::between(&[1, 2], &[1, 2]).is_empty());
    }
}
