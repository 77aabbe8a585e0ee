//! Maps and sets that are one sorted list each. The engine has dozens, and most are small: as
//! B-trees they would be a tenth of what a browser loads.
//!
//! They are `litemap`'s, with what that lacks of the methods of `BTreeMap` and `BTreeSet`. What
//! enters elsewhere than at the end moves all that follows: what may grow to many thousands in no
//! order, above all where others decide how many, is kept in a `BTreeMap`.

use std::borrow::Borrow;
use std::convert::identity;
use std::fmt::{self, Debug, Formatter};
use std::iter::Map;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};
use std::{mem, slice, vec};

use litemap::LiteMap;

/// A map in the order of its keys.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V>(LiteMap<K, V>);

impl<K, V> SortedMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(LiteMap::new_vec())
    }

    /// The values in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The keys in order.
    pub fn into_keys(self) -> impl DoubleEndedIterator<Item = K> {
        self.into_iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> {
        self.into_iter().map(|(_, value)| value)
    }

    /// Takes the first out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let mut all = mem::take(self).0.into_tuple_vec();
        let first = (!all.is_empty()).then(|| all.remove(0));
        self.0 = LiteMap::from_sorted_store_unchecked(all);
        first
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// What lies in a range, in the order of the keys.
    pub fn range(&self, range: impl RangeBounds<K>) -> slice::Iter<'_, (K, V)> {
        let from = match range.start_bound() {
            Bound::Included(key) => self.0.find_index(key).unwrap_or_else(identity),
            Bound::Excluded(key) => self.0.find_index(key).map_or_else(identity, |at| at + 1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(key) => self.0.find_index(key).map_or_else(identity, |at| at + 1),
            Bound::Excluded(key) => self.0.find_index(key).unwrap_or_else(identity),
            Bound::Unbounded => self.0.len(),
        };
        self.0.as_slice().get(from..to).unwrap_or_default().iter()
    }

    /// Takes out what begins at a key.
    #[must_use]
    pub fn split_off(&mut self, key: &K) -> Self {
        let at = self.0.find_index(key).unwrap_or_else(identity);
        let mut all = mem::take(self).0.into_tuple_vec();
        let rest = all.split_off(at);
        self.0 = LiteMap::from_sorted_store_unchecked(all);
        Self(LiteMap::from_sorted_store_unchecked(rest))
    }
}

impl<K, V> Deref for SortedMap<K, V> {
    type Target = LiteMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K, V> DerefMut for SortedMap<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Debug, V: Debug> Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

// One by one: sorting would be built in anew for each type.
impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, all: I) {
        for (key, value) in all {
            self.0.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut map = Self::new();
        map.extend(all);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        all.into_iter().collect()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a LiteMap<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// A set in the order of its elements.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<T>(LiteMap<T, ()>);

/// The elements of a [`SortedSet`] in order.
pub type Elements<'a, T> = Map<slice::Iter<'a, (T, ())>, fn(&(T, ())) -> &T>;

impl<T> SortedSet<T> {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(LiteMap::new_vec())
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The elements in order.
    pub fn iter(&self) -> Elements<'_, T> {
        self.0.as_slice().iter().map(|(element, ())| element)
    }

    /// The first element.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.0.first().map(|(element, ())| element)
    }

    /// The last element.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.0.last().map(|(element, ())| element)
    }
}

impl<T: Ord> SortedSet<T> {
    /// Whether an element is there.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(element)
    }

    /// Adds an element; false if it was there.
    pub fn insert(&mut self, element: T) -> bool {
        self.0.insert(element, ()).is_none()
    }

    /// Takes an element out; false if it was not there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(element).is_some()
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Debug> Debug for SortedSet<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, all: I) {
        for element in all {
            self.insert(element);
        }
    }
}

impl<'a, T: Ord + Copy> Extend<&'a T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, all: I) {
        self.extend(all.into_iter().copied());
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut set = Self::new();
        set.extend(all);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(all: [T; N]) -> Self {
        all.into_iter().collect()
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = Map<vec::IntoIter<(T, ())>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(element, ())| element)
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn pairs<K: Copy, V: Copy>(map: &SortedMap<K, V>) -> Vec<(K, V)> {
        map.iter().map(|(key, value)| (*key, *value)).collect()
    }

    proptest! {
        #[test]
        fn a_map_is_what_a_tree_is(
            all in proptest::collection::vec((0u8..20, any::<u8>()), 0..30),
            gone in proptest::collection::vec(0u8..20, 0..10),
            at in 0u8..22,
        ) {
            let mut tree: BTreeMap<u8, u8> = all.iter().copied().collect();
            let mut map: SortedMap<u8, u8> = all.into_iter().collect();
            for key in &gone {
                prop_assert_eq!(map.remove(key), tree.remove(key));
            }
            prop_assert_eq!(pairs(&map), Vec::from_iter(tree.clone()));
            let from: Vec<(u8, u8)> = map.range(at..).copied().collect();
            prop_assert_eq!(from, Vec::from_iter(tree.range(at..).map(|(key, value)| (*key, *value))));
            let within: Vec<(u8, u8)> = map.range(5..=at.max(5)).copied().collect();
            let expected = tree.range(5..=at.max(5)).map(|(key, value)| (*key, *value));
            prop_assert_eq!(within, Vec::from_iter(expected));
            let before = map.range(..at).rev().map(|(key, _)| *key).next();
            prop_assert_eq!(before, tree.range(..at).next_back().map(|(key, _)| *key));
            let (rest, expected) = (map.split_off(&at), tree.split_off(&at));
            prop_assert_eq!(pairs(&rest), Vec::from_iter(expected));
            prop_assert_eq!(map.pop_first(), tree.pop_first());
            prop_assert_eq!(Vec::from_iter(map), Vec::from_iter(tree));
        }

        #[test]
        fn a_set_is_what_a_tree_is(
            all in proptest::collection::vec(0u8..20, 0..30),
            gone in proptest::collection::vec(0u8..20, 0..10),
        ) {
            let mut tree = BTreeSet::new();
            let mut set = SortedSet::new();
            for element in &all {
                prop_assert_eq!(set.insert(*element), tree.insert(*element));
            }
            for element in &gone {
                prop_assert_eq!(set.remove(element), tree.remove(element));
                prop_assert!(!set.contains(element));
            }
            prop_assert_eq!((set.first(), set.last()), (tree.first(), tree.last()));
            prop_assert_eq!(Vec::from_iter(set), Vec::from_iter(tree));
        }
    }
}
