//! A device's disk: an ordered map behind a queue of batches that are not durable yet.

use std::collections::{BTreeMap, VecDeque};

use sync_core::records::{Batch, Records};

use crate::chance::Chance;

/// What a disk does wrong, planted to see whether the world notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing.
    #[default]
    None,
    /// A crash may lose a batch and keep one that was written after it.
    Reorders,
}

/// One engine's store.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    durable: Records,
    pending: VecDeque<Batch>,
    full: bool,
    failed: bool,
    fault: DiskFault,
}

impl Disk {
    /// Takes a batch; it is readable at once and durable after [`sync`](Self::sync). `false` if
    /// there is no room: nothing is kept then, and nothing after it until the disk is reopened.
    #[must_use]
    pub fn write(&mut self, batch: Batch) -> bool {
        self.failed |= self.full;
        if !self.failed {
            self.pending.push_back(batch);
        }
        !self.failed
    }

    /// Opens the disk anew after a failure: what was taken before it is durable.
    pub fn reopen(&mut self) {
        self.sync(u64::MAX);
        self.failed = false;
    }

    /// Makes everything up to this batch durable.
    pub fn sync(&mut self, number: u64) {
        while self.pending.front().is_some_and(|batch| batch.number <= number) {
            if let Some(batch) = self.pending.pop_front() {
                apply(&mut self.durable, &batch);
            }
        }
    }

    /// The records under a prefix, what is not durable yet included.
    #[must_use]
    pub fn read(&self, prefix: &[u8]) -> Records {
        let mut found = under(&self.durable, prefix);
        for batch in &self.pending {
            for clear in &batch.clears {
                found.retain(|key, _| !key.starts_with(clear));
            }
            for (key, value) in batch.writes.iter().filter(|(key, _)| key.starts_with(prefix)) {
                match value {
                    Some(value) => found.insert(key.clone(), value.clone()),
                    None => found.remove(key),
                };
            }
        }
        found
    }

    /// The power goes: of the batches under way a beginning survives, the rest is lost. Gives how
    /// many were kept and lost.
    pub fn crash(&mut self, chance: &mut Chance) -> (usize, usize) {
        let under_way = self.pending.len();
        if under_way == 0 {
            return (0, 0);
        }
        let kept = chance.index(under_way + 1);
        if self.fault == DiskFault::Reorders && under_way > 1 {
            self.pending.remove(chance.index(under_way - 1));
            let last = self.pending.back().map_or(0, |batch| batch.number);
            self.sync(last);
            return (under_way - 1, 1);
        }
        let survivors: Vec<_> = self.pending.drain(..).take(kept).collect();
        for batch in &survivors {
            apply(&mut self.durable, batch);
        }
        (kept, under_way - kept)
    }

    /// Plants a fault.
    pub fn set_fault(&mut self, fault: DiskFault) {
        self.fault = fault;
    }

    /// Makes the disk full, or gives it room again.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// What a copy of the files made now would hold.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { pending: VecDeque::new(), full: false, failed: false, ..self.clone() }
    }

    /// All durable records.
    #[must_use]
    pub fn durable(&self) -> &Records {
        &self.durable
    }

    /// Bytes in durable records.
    #[must_use]
    pub fn size(&self) -> usize {
        self.durable.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

fn under(records: &Records, prefix: &[u8]) -> Records {
    let from = records.range(prefix.to_vec()..);
    let within = from.take_while(|(key, _)| key.starts_with(prefix));
    within.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>()
}

fn apply(records: &mut Records, batch: &Batch) {
    for clear in &batch.clears {
        let gone: Vec<_> = under(records, clear).into_keys().collect();
        for key in gone {
            records.remove(&key);
        }
    }
    for (key, value) in &batch.writes {
        match value {
            Some(value) => records.insert(key.clone(), value.clone()),
            None => records.remove(key),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn batch(number: u64, key: &str, value: Option<&str>) -> Batch {
        let mut batch = Batch { number, ..Batch::default() };
        batch.writes.insert(key.into(), value.map(|value| value.into()));
        batch
    }

    #[test]
    fn reads_see_what_is_not_durable_yet() {
        let mut disk = Disk::default();
        assert!(disk.write(batch(1, "a1", Some("x"))));
        disk.sync(1);
        assert!(disk.write(batch(2, "a2", Some("y"))));
        let mut clear = batch(3, "a3", Some("z"));
        clear.clears.push(b"a1".to_vec());
        assert!(disk.write(clear));
        let keys: Vec<_> = disk.read(b"a").into_keys().collect();
        assert_eq!(keys, [b"a2".to_vec(), b"a3".to_vec()]);
        assert_eq!(disk.durable().len(), 1);
        disk.sync(3);
        assert_eq!(disk.durable().len(), 2);
    }

    #[test]
    fn a_crash_keeps_a_beginning() {
        for seed in 0..50 {
            let mut disk = Disk::default();
            for number in 1..=6 {
                assert!(disk.write(batch(number, &format!("k{number}"), Some("v"))));
            }
            disk.sync(2);
            let (kept, lost) = disk.crash(&mut Chance::new(seed));
            assert_eq!(kept + lost, 4);
            let expected: Vec<_> = (1..=2 + kept).map(|n| format!("k{n}").into_bytes()).collect();
            assert_eq!(disk.durable().keys().cloned().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_full_disk_takes_nothing() {
        let mut disk = Disk::default();
        disk.set_full(true);
        assert!(!disk.write(batch(1, "a", Some("x"))));
        assert!(disk.read(b"").is_empty());
        disk.set_full(false);
        assert!(!disk.write(batch(2, "b", Some("y"))), "not without the one before");
        disk.reopen();
        assert!(disk.write(batch(3, "c", Some("z"))));
    }

    #[test]
    fn a_reordering_disk_loses_what_came_first() {
        let mut disk = Disk::default();
        disk.set_fault(DiskFault::Reorders);
        assert!(disk.write(batch(1, "first", Some("x"))));
        assert!(disk.write(batch(2, "second", Some("y"))));
        disk.crash(&mut Chance::new(1));
        assert_eq!(disk.durable().keys().cloned().collect::<Vec<_>>(), [b"second".to_vec()]);
    }
}
