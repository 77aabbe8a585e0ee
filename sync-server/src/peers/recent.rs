//! Something for each of those who were here lately: a bounded number, of which the one that was
//! not asked for the longest goes first.

use std::collections::BTreeMap;

/// Values by key, the latest used ones only.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    values: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    used: u64,
    most: usize,
}

impl<K: Ord + Copy, V: Default> Recent<K, V> {
    /// Keeps `most` values.
    pub(crate) fn new(most: usize) -> Self {
        Self { values: BTreeMap::new(), order: BTreeMap::new(), used: 0, most }
    }

    /// The value of a key, made if there is none.
    pub(crate) fn of(&mut self, key: K) -> &mut V {
        self.used += 1;
        let used = self.used;
        if !self.values.contains_key(&key)
            && self.values.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.values.remove(&oldest);
        }
        let (at, value) = self.values.entry(key).or_insert_with(|| (used, V::default()));
        self.order.remove(at);
        *at = used;
        self.order.insert(used, key);
        value
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        debug_assert_eq!(self.values.len(), self.order.len());
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_coming_is_remembered_and_the_number_is_bounded() {
        let mut recent = Recent::<u32, u32>::new(8);
        for n in 1..1_000 {
            *recent.of(0) += 1;
            assert_eq!(*recent.of(0), n);
            *recent.of(n) = n;
            assert!(recent.len() <= 8);
        }
        assert_eq!(*recent.of(999), 999);
        assert_eq!(*recent.of(1), 0);
    }
}
