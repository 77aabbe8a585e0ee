//! Key packages: what others need to add this device while it is away. It makes them, keeps their
//! private halves, and lets go of those that nobody will use any more.
//!
//! Whoever knows the account can take some, and a relay can say at any time that they run low. So
//! how many are made at a time, how often, and how many are kept is for this device to say.

use minicbor::{Decode, Encode};
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::{Answer, KeyPackages, Op};
use sync_protocol::limits;

use crate::engine::Engine;
use crate::engine::session::Asked;
use crate::group::new_key_package;
use crate::records::{Records, key, without_prefix};

/// How long after a publication the next one is made at the earliest.
const PAUSE_MS: u64 = 10_000;
/// Last resorts kept: the newest, and one that somebody may have been given before it.
const LAST_RESORTS: usize = 2;

/// The published key packages.
#[derive(Debug, Default)]
pub(super) struct Packages {
    held: Held,
    /// A publication that waits for its time: how many are wanted, and from when.
    due: Option<(u64, u64)>,
    /// When the next may be made.
    free_at: u64,
}

/// The records of published key packages, the oldest first.
#[derive(Debug, Default, Encode, Decode)]
#[cbor(map)]
struct Held {
    #[n(0)]
    once: Vec<Blob>,
    #[n(1)]
    last_resorts: Vec<Blob>,
}

impl Held {
    /// Takes out what is more than may be kept.
    fn surplus(&mut self) -> Vec<Blob> {
        let over = |list: &mut Vec<Blob>, most: usize| -> Vec<Blob> {
            list.drain(..list.len().saturating_sub(most)).collect()
        };
        let mut gone = over(&mut self.once, limits::KEY_PACKAGES_HELD);
        gone.extend(over(&mut self.last_resorts, LAST_RESORTS));
        gone
    }

    fn forget(&mut self, records: &[Blob]) {
        self.once.retain(|known| !records.contains(known));
        self.last_resorts.retain(|known| !records.contains(known));
    }
}

impl Packages {
    pub(super) fn read(value: &[u8]) -> Self {
        // Should it not read, what it names is kept for ever, and nothing else is lost.
        let held = codec::decode("key packages", value).unwrap_or_default();
        Self { held, ..Self::default() }
    }

    /// When a publication is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.due.map(|(_, at)| at)
    }
}

impl Engine {
    /// Publishes so many, now or as soon as it may be.
    pub(super) fn publish_key_packages(&mut self, count: u64) {
        let asked = |asked: &Asked| matches!(asked, Asked::PutPackages(_));
        if self.session.requests.values().any(asked) {
            return;
        }
        if self.now < self.packages.free_at {
            self.packages.due = Some((count, self.packages.free_at));
            return;
        }
        (self.packages.due, self.packages.free_at) = (None, self.now + PAUSE_MS);
        let mut records = Vec::new();
        let once = (0..count).filter_map(|_| self.make_key_package(false, &mut records)).collect();
        let last_resort = self.make_key_package(true, &mut records);
        for gone in self.packages.held.surplus() {
            self.drop_record(gone.as_slice());
        }
        self.save_packages();
        let packages = KeyPackages { once, last_resort };
        self.ask(Op::PutKeyPackages(packages), Asked::PutPackages(records));
    }

    /// A publication that had to wait is made.
    pub(super) fn packages_woken(&mut self) {
        if let Some((count, at)) = self.packages.due
            && at <= self.now
        {
            self.packages.due = None;
            if self.session.is_open() {
                self.publish_key_packages(count);
            }
        }
    }

    /// What the relay did not take nobody will ever use.
    pub(super) fn on_packages_put(&mut self, records: &[Blob], answer: &Answer) {
        if matches!(answer, Answer::Refused(_)) {
            let records: Vec<Vec<u8>> = records.iter().map(|record| record.0.clone()).collect();
            self.drop_key_packages(&records);
        }
    }

    fn make_key_package(&mut self, last_resort: bool, made_now: &mut Vec<Blob>) -> Option<Blob> {
        let seed = self.seed();
        let identity = &self.me.as_ref()?.identity;
        let made = new_key_package(identity, seed, last_resort).ok()?;
        let records: Vec<Blob> =
            made.records.puts.iter().map(|(record, _)| Blob(record.clone())).collect();
        made_now.extend(records.iter().cloned());
        match last_resort {
            true => self.packages.held.last_resorts.extend(records),
            false => self.packages.held.once.extend(records),
        }
        match &mut self.key_packages {
            Some(known) => known.extend(made.records.puts.iter().cloned()),
            // A load may be under way that does not see these.
            None => self.fresh_key_packages.extend(made.records.puts.iter().cloned()),
        }
        self.batch.absorb(key::KEY_PACKAGES, made.records);
        Some(Blob(made.bytes))
    }

    pub(super) fn read_key_packages(&mut self, records: Records) {
        let mut records = without_prefix(records, key::KEY_PACKAGES.len());
        records.extend(std::mem::take(&mut self.fresh_key_packages));
        self.key_packages = Some(records);
    }

    /// Lets go of private halves.
    pub(super) fn drop_key_packages(&mut self, used: &[Vec<u8>]) {
        if used.is_empty() {
            return;
        }
        for record in used {
            self.drop_record(record);
        }
        let used: Vec<Blob> = used.iter().cloned().map(Blob).collect();
        self.packages.held.forget(&used);
        self.save_packages();
    }

    fn drop_record(&mut self, record: &[u8]) {
        if let Some(known) = &mut self.key_packages {
            known.remove(record);
        }
        self.fresh_key_packages.remove(record);
        self.batch.delete([key::KEY_PACKAGES, record].concat());
    }

    fn save_packages(&mut self) {
        self.batch.put(key::meta("packages"), codec::encode(&self.packages.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(range: std::ops::Range<u32>) -> Vec<Blob> {
        range.map(|n| Blob(n.to_be_bytes().to_vec())).collect()
    }

    #[test]
    fn the_newest_are_kept_and_the_oldest_go() {
        let most = limits::KEY_PACKAGES_HELD as u32;
        let mut held = Held { once: records(0..most + 7), last_resorts: records(900..903) };
        let gone = held.surplus();
        assert_eq!(gone, [records(0..7), records(900..901)].concat());
        assert_eq!(held.once, records(7..most + 7));
        assert_eq!(held.last_resorts, records(901..903));
        assert!(held.surplus().is_empty());
    }

    #[test]
    fn what_is_used_or_refused_is_forgotten() {
        let mut held = Held { once: records(0..3), last_resorts: records(9..10) };
        held.forget(&[records(1..2), records(9..10)].concat());
        assert_eq!(held.once, [records(0..1), records(2..3)].concat());
        assert!(held.last_resorts.is_empty());
    }

    #[test]
    fn the_list_survives_being_written_down() {
        let held = Held { once: records(0..3), last_resorts: records(9..10) };
        let read = Packages::read(&codec::encode(&held));
        assert_eq!(read.held.once, held.once);
        assert!(Packages::read(b"damaged").held.once.is_empty());
    }
}
