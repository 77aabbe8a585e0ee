//! Key packages: what others need to add this device while it is away. It makes them, keeps their
//! private halves, and lets go of those that nobody will use any more.
//!
//! Whoever knows the account can take some, and a relay can say at any time that they run low. So
//! how many are made at a time, how often, and how many are kept is for this device to say.

use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::frames::{Answer, KeyPackages, Op};
use sync_protocol::limits;

use crate::engine::rooms::OwnPackages;
use crate::engine::session::Asked;
use crate::group::new_key_package;
use crate::records::{Records, key, without_prefix};

/// How long after a publication the next one is made at the earliest.
const PAUSE_MS: u64 = 10_000;
/// Last resorts kept: the newest, and one that somebody may have been given before it.
const LAST_RESORTS: usize = 2;

/// Key packages of this device.
#[derive(Default)]
pub(in crate::engine) struct Keys {
    /// Private halves of those that are published, once they were needed.
    private: Option<crate::group::Records>,
    /// Private halves made since the store was opened.
    fresh: crate::group::Records,
    published: Packages,
}

/// The published key packages.
#[derive(Debug, Default)]
pub(in crate::engine) struct Packages {
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
    pub(in crate::engine) fn read(value: &[u8]) -> Self {
        // Should it not read, what it names is kept for ever, and nothing else is lost.
        let held = codec::decode("key packages", value).unwrap_or_default();
        Self { held, ..Self::default() }
    }

    /// When a publication is due.
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.due.map(|(_, at)| at)
    }
}

impl Keys {
    /// Takes what was kept of those that are published.
    pub(in crate::engine) fn read(&mut self, value: &[u8]) {
        self.published = Packages::read(value);
    }

    /// Private halves of all that were ever published, once they were read.
    pub(in crate::engine) fn private(&self) -> Option<&crate::group::Records> {
        self.private.as_ref()
    }

    /// Keeps the private half of a package that was just made.
    pub(in crate::engine) fn add_fresh(&mut self, changes: &crate::group::RecordDiff) {
        self.fresh.extend(changes.puts.iter().cloned());
    }

    pub(in crate::engine) fn forget_fresh(&mut self) {
        self.fresh.clear();
    }

    /// When packages are to be published next.
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.published.deadline()
    }
}

impl OwnPackages<'_> {
    /// Publishes so many, now or as soon as it may be.
    pub(in crate::engine) fn publish_key_packages(&mut self, count: u64) {
        let asked = |asked: &Asked| matches!(asked, Asked::PutPackages(_));
        if self.session.is_asked(asked) {
            return;
        }
        if self.turn.now < self.account.keys.published.free_at {
            self.account.keys.published.due = Some((count, self.account.keys.published.free_at));
            return;
        }
        (self.account.keys.published.due, self.account.keys.published.free_at) =
            (None, self.turn.now + PAUSE_MS);
        let mut records = Vec::new();
        let once = (0..count).filter_map(|_| self.make_key_package(false, &mut records)).collect();
        let last_resort = self.make_key_package(true, &mut records);
        for gone in self.account.keys.published.held.surplus() {
            self.drop_record(gone.as_slice());
        }
        self.save_packages();
        let packages = KeyPackages { once, last_resort };
        self.session.ask(self.turn, Op::PutKeyPackages(packages), Asked::PutPackages(records));
    }

    /// A publication that had to wait is made.
    pub(in crate::engine) fn packages_woken(&mut self) {
        if let Some((count, at)) = self.account.keys.published.due
            && at <= self.turn.now
        {
            self.account.keys.published.due = None;
            if self.session.is_open() {
                self.publish_key_packages(count);
            }
        }
    }

    /// What the relay did not take nobody will ever use.
    pub(in crate::engine) fn on_packages_put(&mut self, records: &[Blob], answer: &Answer) {
        if matches!(answer, Answer::Refused(_)) {
            let records: Vec<Vec<u8>> = records.iter().map(|record| record.0.clone()).collect();
            self.drop_key_packages(&records);
        }
    }

    fn make_key_package(&mut self, last_resort: bool, made_now: &mut Vec<Blob>) -> Option<Blob> {
        let seed = self.turn.seed();
        let identity = &self.account.me.as_ref()?.identity;
        let made = new_key_package(identity, seed, last_resort).ok()?;
        let records: Vec<Blob> =
            made.records.puts.iter().map(|(record, _)| Blob(record.clone())).collect();
        made_now.extend(records.iter().cloned());
        match last_resort {
            true => self.account.keys.published.held.last_resorts.extend(records),
            false => self.account.keys.published.held.once.extend(records),
        }
        match &mut self.account.keys.private {
            Some(known) => known.extend(made.records.puts.iter().cloned()),
            // A load may be under way that does not see these.
            None => self.account.keys.fresh.extend(made.records.puts.iter().cloned()),
        }
        self.turn.batch.absorb(key::KEY_PACKAGES, made.records);
        Some(Blob(made.bytes))
    }

    pub(in crate::engine) fn read_key_packages(&mut self, records: Records) {
        let mut records = without_prefix(records, key::KEY_PACKAGES.len());
        records.extend(std::mem::take(&mut self.account.keys.fresh));
        self.account.keys.private = Some(records);
    }

    /// Lets go of private halves.
    pub(in crate::engine) fn drop_key_packages(&mut self, used: &[Vec<u8>]) {
        if used.is_empty() {
            return;
        }
        for record in used {
            self.drop_record(record);
        }
        let used: Vec<Blob> = used.iter().cloned().map(Blob).collect();
        self.account.keys.published.held.forget(&used);
        self.save_packages();
    }

    fn drop_record(&mut self, record: &[u8]) {
        if let Some(known) = &mut self.account.keys.private {
            known.remove(record);
        }
        self.account.keys.fresh.remove(record);
        self.turn.batch.delete([key::KEY_PACKAGES, record].concat());
    }

    fn save_packages(&mut self) {
        self.turn
            .batch
            .put(key::meta("packages"), codec::encode(&self.account.keys.published.held));
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
