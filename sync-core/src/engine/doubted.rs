//! Content that was doubted, in case a later entry of its chain proves it: entries are proven by what
//! the log has, and not by what happens to be delivered together.

use sync_protocol::frontier::{Step, Tip};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{Link, WriterId};

use crate::engine::deliveries::Arrived;

/// Doubted entries of a space that are remembered; of more, the next session tells.
const DOUBTED: usize = 4_096;

/// Doubted content of a space, and what was proven since.
#[derive(Debug, Default)]
pub(super) struct Doubted {
    /// What follows each writer's tip, link by link.
    chains: SortedMap<WriterId, Vec<Tip>>,
    count: usize,
    vouched: SortedSet<Link>,
}

impl Doubted {
    /// Whether a later entry, that its writer signed, builds on this link.
    pub(super) fn is_vouched_for(&self, link: &Link) -> bool {
        self.vouched.contains(link)
    }

    /// Takes note of an entry that is doubted. One that is signed vouches for those it builds on.
    pub(super) fn note(&mut self, known: Tip, arrived: &Arrived, is_signed: bool) {
        let Some(chain) = arrived.envelope.header.chain else { return };
        if self.count >= DOUBTED {
            return;
        }
        let chains = self.chains.entry(arrived.writer).or_default();
        if chains.last().is_some_and(|last| last.seq <= known.seq) {
            // All of that was proven, and read.
            self.count -= chains.len();
            chains.clear();
        }
        let seen = chains.iter().any(|tip| tip.link == chain.link);
        let last = chains.last().copied().unwrap_or(known);
        let step = last.judge(&arrived.writer, chain.seq, &chain.commitment, &chain.link);
        if !seen && step == Step::Next {
            chains.push(Tip { seq: chain.seq, link: chain.link });
            self.count += 1;
            if is_signed {
                self.vouched.extend(chains.iter().map(|tip| tip.link));
            }
        }
    }

    /// A new session: all is read again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
