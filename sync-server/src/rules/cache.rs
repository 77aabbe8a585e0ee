//! A bounded cache with ordered maps: two generations, of which the older one is forgotten when
//! the younger one is full. What is looked up stays.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    limit: usize,
}

impl<K: Ord + Clone, V> Cache<K, V> {
    /// Holds between `limit` and twice as many values.
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), limit }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Takes a value out, to be changed and inserted again.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let mut cache = Cache::new(10);
        cache.insert(0, "kept");
        for n in 1..1000 {
            cache.insert(n, "passing");
            assert_eq!(cache.get(&0), Some(&"kept"));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
    }
}
