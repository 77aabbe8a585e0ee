//! Content that was doubted, and kept in case a later entry of its chain proves it.
//!
//! An entry is its author's if its own signature says so or that of a later one which builds on it.
//! That must not depend on what happens to be delivered together, nor on a restart or a change of
//! members in between: what was passed over is kept with its place, and judged there once it is
//! proven.

use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::envelope::{Chain, Envelope};
use sync_protocol::frontier::{Step as Chained, Tip};
use sync_protocol::{EpochId, SpaceId, WriterId};

use crate::document::Placement;
use crate::engine::rooms::{Intake, LogRows};
use crate::engine::space::deliveries::Arrived;
use crate::engine::space::state::Core;
use crate::records::key;
use crate::trust::entry::{self, Keys};

/// Doubted entries of a space that are kept. An honest relay takes none.
const KEPT: usize = 256;

/// A doubted entry, with what counted at its place.
#[derive(Clone, Debug, Encode, Decode)]
pub(in crate::engine) struct DoubtedRow {
    #[n(0)]
    time_ms: u64,
    #[n(1)]
    writer: WriterId,
    #[n(2)]
    envelope: Blob,
    #[n(3)]
    epoch: EpochId,
    #[n(4)]
    era: u32,
    /// Its number is its author's, and no copy of it was good: it is still wanted.
    #[n(5)]
    wanted: bool,
}

impl LogRows<'_> {
    /// Keeps content that is passed over.
    pub(in crate::engine) fn keep_doubted(&mut self, id: &SpaceId, arrived: &Arrived) {
        if arrived.envelope.header.chain.is_none() {
            return;
        }
        let era = self.spaces.era_here(id);
        let Some(space) = self.spaces.get_mut(id) else { return };
        let (epoch, Some(core)) = (space.row.epoch, &mut space.core) else { return };
        let is_known = core.doubted.contains_key(&arrived.index);
        if core.doubted.len() >= KEPT && !is_known {
            return;
        }
        let (time_ms, writer) = (arrived.time_ms, arrived.writer);
        let envelope = Blob(arrived.envelope.to_bytes());
        let row = DoubtedRow { time_ms, writer, envelope, epoch, era, wanted: false };
        self.turn.batch.put(key::doubted(id, arrived.index), codec::encode(&row));
        core.doubted.insert(arrived.index, row);
    }

    /// A writer's chain was read up to a number.
    pub(in crate::engine) fn drop_doubted(&mut self, id: &SpaceId, writer: &WriterId, seq: u64) {
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        let Some(core) = core.filter(|core| !core.doubted.is_empty()) else { return };
        let read: Vec<u64> = core
            .doubted
            .iter()
            .filter(|(_, row)| row.writer == *writer && !row.wanted)
            .filter(|(_, row)| row.chain().is_none_or(|of| of.seq <= seq))
            .map(|(index, _)| *index)
            .collect();
        for index in read {
            core.doubted.remove(&index);
            self.turn.batch.delete(key::doubted(id, index));
        }
    }

    fn want(&mut self, id: &SpaceId, index: u64) {
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        if let Some(row) = core.and_then(|core| core.doubted.get_mut(&index)) {
            row.wanted = true;
            self.turn.batch.put(key::doubted(id, index), codec::encode(&*row));
        }
    }
}

impl Intake<'_> {
    /// Takes in what was doubted of a writer, if this entry proves it: it builds on it, link by link,
    /// and its writer signed it. What still does not open is passed over, and stays wanted. Gives
    /// whether this entry follows now.
    pub(in crate::engine) fn prove_doubted(&mut self, id: &SpaceId, arrived: &Arrived) -> bool {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let Some(line) = core.and_then(|core| core.line_to(arrived)) else { return false };
        if !self.log_rows().is_signed(id, arrived) {
            return false;
        }
        for (index, row) in line {
            let Some(chain) = row.chain() else { continue };
            let (time_ms, writer) = (row.time_ms, row.writer);
            let is_good = match Envelope::parse(row.envelope.as_slice()) {
                Ok(envelope) => {
                    let copy = Arrived { index, time_ms, writer, envelope };
                    self.take_proven(id, &copy, &row)
                }
                Err(_) => false,
            };
            self.log_rows().advance_tip(id, writer, Tip { seq: chain.seq, link: chain.link });
            if !is_good {
                self.log_rows().want(id, index);
            }
            self.log_rows().drop_doubted(id, &writer, chain.seq);
        }
        true
    }

    /// Another copy of an entry that is still wanted may be good.
    pub(in crate::engine) fn look_at_wanted(&mut self, id: &SpaceId, arrived: &Arrived) {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let row = core.and_then(|core| core.doubted.get(&arrived.index)).filter(|row| row.wanted);
        let Some(row) = row.cloned() else { return };
        // The link was proven, and it commits to all that is in it.
        let is_it = row.writer == arrived.writer && row.chain() == arrived.envelope.header.chain;
        if is_it && self.take_proven(id, arrived, &row) {
            if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
                core.doubted.remove(&arrived.index);
            }
            self.turn.batch.delete(key::doubted(id, arrived.index));
        }
    }

    /// An entry whose link is proven, judged at its own place; `false` if this copy is no good.
    fn take_proven(&mut self, id: &SpaceId, copy: &Arrived, row: &DoubtedRow) -> bool {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let may_stand = core.is_some_and(|core| {
            let number = |epoch: &EpochId| core.epochs.get(epoch).map(|row| row.number);
            let past = core.state.joining.is_some();
            let keys = entry::keys(&copy.envelope.header.epoch, &row.epoch, past, number);
            // The chain proves what was written, not under which keys it says that it is sealed.
            keys == Keys::Present && core.writer_at(&row.writer.device, copy.index).is_some()
        });
        let Some((set, _)) = self.log_rows().open_content(id, copy).filter(|_| may_stand) else {
            return false;
        };
        let placement = Placement { index: copy.index, time_ms: copy.time_ms, ordinal: 0 };
        self.content().apply_change_set(id, &row.writer, (placement, row.era), &set);
        true
    }
}

impl DoubtedRow {
    fn chain(&self) -> Option<Chain> {
        Envelope::parse(self.envelope.as_slice()).ok()?.header.chain
    }
}

impl Core {
    /// What was doubted between a writer's tip and an entry, if that is all that is missing.
    fn line_to(&self, arrived: &Arrived) -> Option<Vec<(u64, DoubtedRow)>> {
        let writer = &arrived.writer;
        let mut tip = self.tips.tip(writer);
        let mut line = Vec::new();
        for (index, row) in self.doubted.iter().filter(|(_, row)| row.writer == *writer) {
            let chain = row.chain()?;
            if tip.judge(writer, chain.seq, &chain.commitment, &chain.link) == Chained::Next {
                tip = Tip { seq: chain.seq, link: chain.link };
                line.push((*index, row.clone()));
            }
        }
        let chain = arrived.envelope.header.chain?;
        let follows = tip.judge(writer, chain.seq, &chain.commitment, &chain.link);
        (follows == Chained::Next && !line.is_empty()).then_some(line)
    }
}
