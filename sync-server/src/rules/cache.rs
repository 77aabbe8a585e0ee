//! A bounded cache with ordered maps: two generations, of which the older one is forgotten when
//! the younger one is full. What is looked up stays. Each value weighs 1, or what is said of it.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: BTreeMap<K, (V, usize)>,
    old: BTreeMap<K, (V, usize)>,
    /// What the young ones weigh.
    weight: usize,
    limit: usize,
}

impl<K: Ord + Clone, V> Cache<K, V> {
    /// Holds values that weigh between `limit` and twice as much, but for the last one's weight.
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), weight: 0, limit }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        if !self.young.contains_key(key) {
            let (key, (value, weight)) = self.old.remove_entry(key)?;
            self.insert_weighing(key, value, weight);
        }
        self.young.get(key).map(|(value, _)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.insert_weighing(key, value, 1);
    }

    pub(crate) fn insert_weighing(&mut self, key: K, value: V, weight: usize) {
        self.take(&key);
        if self.weight >= self.limit {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
    }

    /// Takes a value out, to be changed and inserted again.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        if let Some((value, weight)) = self.young.remove(key) {
            self.weight = self.weight.saturating_sub(weight);
            return Some(value);
        }
        self.old.remove(key).map(|(value, _)| value)
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.weight = 0;
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

    #[test]
    fn what_weighs_more_leaves_less_room() {
        let mut cache = Cache::new(10);
        for n in 0..100 {
            cache.insert_weighing(n, "heavy", 4);
            cache.insert_weighing(n, "heavy again", 4);
            let kept = cache.young.len() + cache.old.len();
            assert!((1..=6).contains(&kept), "{kept}");
        }
        assert_eq!(cache.take(&99), Some("heavy again"));
        let weight: usize = cache.young.values().map(|(_, weight)| weight).sum();
        assert_eq!(cache.weight, weight);
    }
}
