//! An app's documents over the beginning of an era: handed over by who was there, and taken up by all.
//!
//! What is handed over lies in the log, in a document of its own, `carried`, in parts and with an end:
//! for each document its name and the changes that make it what it was where the era began. The first
//! that is whole counts ([`crate::engine::documents::eras`]), whoever wrote it: it is no more than any member may
//! write, and all read the same.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::codec::{self, Blob};
use sync_protocol::sorted::SortedSet;
use sync_protocol::text::BASE64;
use sync_protocol::{DeviceId, SpaceId, WriterId};

use crate::api::Failure;
use crate::document::again::edits_onto;
use crate::document::{
    AppOp, END, Edit, Name, Step as At, carried_row, difference, handed_over, is_handed,
};
use crate::engine::documents::apps::INDEX;
use crate::engine::documents::eras::Coming;
use crate::engine::rooms::{Content, ContentRows, Library};
use crate::engine::rows::JournalRow;
use crate::engine::space::state::SpaceState;
use crate::engine::{Step, Stop, Task};
use crate::records::key;
use crate::trust::rights;

/// Bytes of one part of what is handed over.
const PART: usize = 32 * 1024;
/// How much longer each device that was there waits than the one before it, so that not all hand over.
const TURN_MS: u64 = 400;
/// Turns that are told apart.
const TURNS: u64 = 16;
/// How long a device that was not there itself waits for others that seem not to have been either.
const NOBODY_MS: u64 = 60 * 60 * 1000;

/// When it is this device's turn to hand over, and how far it is.
#[derive(Default)]
pub(in crate::engine) struct Handover {
    is_turn: bool,
    at: Option<u64>,
    handing: Option<Handing>,
}

impl Handover {
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.at
    }

    /// Whether its turn comes just now.
    pub(in crate::engine) fn is_due(&mut self, now: u64) -> bool {
        let is_due = self.at.take_if(|at| *at <= now).is_some();
        self.is_turn |= is_due;
        is_due
    }

    /// Its turn comes after a while, or never.
    fn wait(&mut self, while_ms: Option<u64>, now: u64) {
        match while_ms {
            Some(0) => self.is_turn = true,
            turn => self.at = turn.map(|turn| now + turn),
        }
    }

    /// What was begun for an era.
    fn begun(&mut self, era: u32) -> &mut Handing {
        let handing = self.handing.get_or_insert_default();
        if handing.era != era {
            *handing = Handing { era, ..Handing::default() };
        }
        handing
    }
}

/// How far this device is with handing over.
#[derive(Default)]
struct Handing {
    era: u32,
    /// Documents that were looked at.
    done: usize,
    /// Parts that were written.
    parts: u32,
    /// What is not a part yet.
    bytes: Vec<u8>,
}

impl Library<'_> {
    /// An app's document as it counts now.
    pub(in crate::engine) fn app_document(&mut self, id: &SpaceId, name: &str) -> Step<Name> {
        self.take_up(id)?;
        let eras = &self.spaces.space(id)?.row.eras;
        if eras.is_waiting() {
            return Err(Failure::Waiting.into());
        }
        Ok(Name::App(eras.era(), name.to_owned()))
    }

    /// Goes on with what was handed over: documents begin with it, and what was written here since the
    /// era began, or is in no log, is written again.
    pub(in crate::engine) fn take_up(&mut self, id: &SpaceId) -> Step<()> {
        let Some(coming) = self.spaces.space(id)?.row.eras.coming().cloned() else { return Ok(()) };
        let Coming { era, writer, end, .. } = coming;
        self.spaces.core(id)?;
        let handed =
            self.documents.document(self.spaces, id, &Name::Carried(era))?.handed_by(&writer, end);
        let again = self.written_meanwhile(id, era)?;
        for (name, _) in &again {
            self.documents.document(self.spaces, id, &Name::App(era, name.clone()))?;
        }
        for (name, changes) in &handed {
            self.begin_with(id, &Name::App(era, name.clone()), changes);
        }
        let again = self.write_again(id, era, &handed, again);
        let Some(space) = self.spaces.get_mut(id) else { return Ok(()) };
        let Some(core) = &mut space.core else { return Ok(()) };
        let (was, waited) = (space.row.eras.era(), space.row.eras.came_later());
        let is_old = |row: &JournalRow| match &row.name {
            Name::App(of, _) => was != era && *of == was,
            _ => false,
        };
        let old: Vec<u64> =
            core.journal.iter().filter(|(_, row)| is_old(row)).map(|(at, _)| *at).collect();
        for number in old {
            core.journal.remove(&number);
            self.turn.batch.delete(key::journal(id, number));
        }
        for row in again {
            let number = core.journal.last().map_or(0, |(last, _)| last + 1);
            self.turn.batch.put(key::journal(id, number), codec::encode(&row));
            core.journal.insert(number, row);
        }
        space.row.journal = core.journal.len() as u64;
        space.row.eras.settle();
        self.turn.save_space(id);
        if waited {
            let index = INDEX.to_owned();
            for name in handed.keys().filter(|name| **name != index).chain([&index]) {
                self.tell_document(id, &Name::App(era, name.clone()), None, &BTreeSet::new());
            }
        }
        self.turn.tasks.push_back(Task::Advance(*id));
        Ok(())
    }

    /// Makes operations of the documents as they were handed over, in what others have made of them since.
    fn write_again(
        &mut self,
        id: &SpaceId,
        era: u32,
        handed: &BTreeMap<String, Vec<Blob>>,
        again: Vec<(String, Vec<AppOp>)>,
    ) -> Vec<JournalRow> {
        let writer = self.account.writer().ok();
        let next = self.spaces.get(id).map_or(0, |space| space.row.next);
        let mut rows = Vec::new();
        for (name, ops) in again {
            let changes = handed.get(&name).map(Vec::as_slice).unwrap_or_default();
            let name = Name::App(era, name);
            let Some(document) = self.documents.peek(id, &name) else { continue };
            for edit in edits_onto(document, changes, ops) {
                if let Some(writer) = &writer {
                    // One that no longer fits has nothing left to change.
                    let _ = document.edit(writer, &edit);
                }
                rows.push(JournalRow::new(name.clone(), edit, next));
            }
        }
        rows
    }

    /// The operations that make again, in an era's documents, what this device wrote and is not in them.
    fn written_meanwhile(&mut self, id: &SpaceId, next: u32) -> Step<Vec<(String, Vec<AppOp>)>> {
        let space = self.spaces.core(id)?;
        let (eras, core) = (&space.row.eras, &space.core);
        let (era, until) = (eras.era(), eras.until().unwrap_or(u64::MAX));
        if era == next {
            return Ok(Vec::new());
        }
        let journal = core.iter().flat_map(|core| core.journal.values());
        let written = journal.filter_map(|row| match &row.name {
            Name::App(of, name) if *of == era => Some(name.clone()),
            _ => None,
        });
        let names: SortedSet<String> = written.chain(eras.adrift.iter().cloned()).collect();
        for name in &names {
            self.documents.document(self.spaces, id, &Name::App(era, name.clone()))?;
        }
        let mut again = Vec::new();
        for name in &names {
            let document =
                self.documents.document(self.spaces, id, &Name::App(era, name.clone()))?;
            let before = document.content_before(until);
            again.push((name.clone(), difference(&before, &document.tree().content_now())));
            self.content_rows().note_document(id, &Name::App(next, name.clone()));
        }
        Ok(again)
    }

    /// A document begins with these changes.
    fn begin_with(&mut self, id: &SpaceId, name: &Name, changes: &[Blob]) {
        let first = [key::document(id, name), b"r".to_vec(), vec![0; 8]].concat();
        self.turn.batch.clears.push(first);
        for (ordinal, change) in (0u32..).zip(changes) {
            let row = codec::encode(&carried_row(change));
            self.turn.batch.put(key::row(id, name, (0, ordinal), &change.0), row);
        }
        if let Some(document) = self.documents.peek(id, name) {
            document.receive(changes.iter().map(carried_row).collect());
        }
        self.content_rows().note_document(id, name);
    }
}

impl ContentRows<'_> {
    /// An era has begun with the handshake at an index, if it is a new one.
    pub(in crate::engine) fn era_begins(&mut self, id: &SpaceId, era: u32, index: u64) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let eras = &mut space.row.eras;
        if !eras.begin(era, index) {
            return;
        }
        // What is numbered and not in the log by now will not count there.
        let of = eras.coming().map_or(eras.era(), |coming| coming.era);
        let cuts = space.core.iter().flat_map(|core| core.outbox.values());
        let names = cuts.flat_map(|cut| &cut.edits).filter_map(|row| match &row.name {
            Name::App(era, name) if *era == of => Some(name.clone()),
            _ => None,
        });
        let names: SortedSet<String> = names.collect();
        space.row.eras.adrift.extend(names);
        self.turn.save_space(id);
    }

    /// A change of what is handed over stands in the log. With its last part it is whole.
    pub(in crate::engine) fn note_handed(
        &mut self,
        id: &SpaceId,
        (writer, name): (&WriterId, &Name),
        (index, ordinal): (u64, u32),
        change: &[u8],
    ) {
        let Name::Carried(era) = name else { return };
        if *era != self.spaces.era_here(id) || !is_handed(change) {
            return;
        }
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.eras.hand_over(*era, *writer, (index, ordinal)) {
            self.turn.save_space(id);
            self.turn.tasks.push_back(Task::TakeUp(*id));
        }
    }

    /// Documents that were handed over and not taken up when the account was closed last.
    pub(in crate::engine) fn resume_taking_up(&mut self) {
        let open = self.spaces.iter().filter(|(_, space)| space.row.eras.coming().is_some());
        self.turn.tasks.extend(open.map(|(id, _)| Task::TakeUp(*id)));
    }
}

impl Content<'_> {
    /// Hands over an app's documents, if an era has begun for which nobody has, and it is this
    /// device's turn.
    pub(in crate::engine) fn hand_over(&mut self, id: &SpaceId) -> Step<()> {
        let now = self.turn.now;
        let own = self.account.me()?.device();
        let me = self.account.me()?.account();
        let space = self.spaces.core(id)?;
        let era = space.row.context.era;
        let joining = space.core.as_ref().is_some_and(|core| core.state.joining.is_some());
        let may = space.role(&me).is_some_and(|role| rights::writes(role, &Name::Carried(era)));
        if joining || !may || !space.row.eras.owes(era) || space.row.eras.handed >= era {
            space.handover = Handover::default();
            return Ok(());
        }
        if !space.handover.is_turn && space.handover.at.is_none() {
            let turn = space.turn(&own);
            space.handover.wait(turn, now);
        }
        let may = space.handover.is_turn && (space.row.own || self.library().takes_part(id)?);
        match may.then(|| self.write_over(id, era)) {
            // Others' turn comes; what else is to be sent does not wait for it.
            None | Some(Ok(()) | Err(Stop::Fail(_))) => Ok(()),
            Some(need) => need,
        }
    }

    /// Writes all documents, as they were where the era began, into what is handed over.
    fn write_over(&mut self, id: &SpaceId, era: u32) -> Step<()> {
        let carried = Name::Carried(era);
        let eras = self.spaces.space(id)?.row.eras.clone();
        let until = eras.until().unwrap_or(u64::MAX);
        // Who came in without them has nothing to hand over, and says so.
        let names = if eras.is_waiting() { Vec::new() } else { self.spaces.apps(id, eras.era()) };
        loop {
            self.documents.document(self.spaces, id, &carried)?;
            let space = self.spaces.core(id)?;
            let Some(name) = names.get(space.handover.begun(era).done) else { break };
            let document =
                self.documents.document(self.spaces, id, &Name::App(eras.era(), name.clone()))?;
            let content = document.content_before(until);
            let filled = content.as_object().is_some_and(|fields| !fields.is_empty());
            let changes = handed_over(id, &Name::App(era, name.clone()), content);
            let handing = self.spaces.core(id)?.handover.begun(era);
            handing.done += 1;
            if let Ok(changes) = changes
                && filled
            {
                handing.bytes.extend(codec::encode(&(name, changes)));
            }
            self.write_parts(id, &carried, PART)?;
        }
        self.write_parts(id, &carried, 1)?;
        self.outbox().edit(id, &carried, Edit::App { ops: vec![put(END, Vec::new())] })?;
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.eras.handed = era;
            space.handover.handing = None;
        }
        self.turn.save_space(id);
        Ok(())
    }

    /// Writes what is to be handed over, as long as there are so many bytes of it.
    fn write_parts(&mut self, id: &SpaceId, carried: &Name, least: usize) -> Step<()> {
        while let Some(handing) = self.spaces.core(id)?.handover.handing.as_mut()
            && handing.bytes.len() >= least
        {
            let rest = handing.bytes.split_off(handing.bytes.len().min(PART));
            let part = std::mem::replace(&mut handing.bytes, rest);
            let number = handing.parts.to_string();
            handing.parts += 1;
            self.outbox().edit(id, carried, Edit::App { ops: vec![put(&number, part)] })?;
        }
        Ok(())
    }
}

impl SpaceState {
    /// How long this device waits before it hands over; `None` as long as others will.
    fn turn(&self, own: &DeviceId) -> Option<u64> {
        let rows = self.core.iter().flat_map(|core| &core.state.writers);
        let open: Vec<_> = rows.filter(|row| row.to.is_none()).collect();
        let since = open.iter().find(|row| row.device == *own).map_or(0, |row| row.from);
        if self.row.lost.is_some() && open.len() > 1 {
            // It may have passed over what was handed over, or a part of the documents.
            return Some(NOBODY_MS);
        }
        if !self.row.eras.is_waiting() {
            let before = open.iter().filter(|row| row.device < *own).count() as u64;
            return Some(before.min(TURNS) * TURN_MS);
        }
        match open.iter().any(|row| row.device != *own && row.from < since) {
            true => None,
            false if open.len() > 1 => Some(NOBODY_MS),
            false => Some(0),
        }
    }
}

fn put(key: &str, bytes: Vec<u8>) -> AppOp {
    let value = format!("{{\"$bytes\":\"{}\"}}", BASE64.encode(&bytes));
    AppOp::Put { path: vec![At::from(key)], value: Blob(value.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hands_over_once_its_time_has_come() {
        let mut handover = Handover::default();
        handover.wait(Some(400), 1_000);
        assert_eq!(handover.deadline(), Some(1_400));
        assert!(!handover.is_due(1_399) && !handover.is_turn);
        assert!(handover.is_due(1_400) && handover.is_turn);
        assert!(!handover.is_due(9_000) && handover.is_turn, "it is told once, and stays");
    }

    #[test]
    fn whose_turn_never_comes_has_no_deadline_and_who_is_first_has_none_either() {
        let (mut never, mut first) = (Handover::default(), Handover::default());
        never.wait(None, 1_000);
        first.wait(Some(0), 1_000);
        assert_eq!((never.deadline(), first.deadline()), (None, None));
        assert!(!never.is_turn && first.is_turn);
    }

    #[test]
    fn what_was_begun_for_an_era_does_not_count_for_the_next() {
        let mut handover = Handover::default();
        handover.begun(1).done = 3;
        assert_eq!(handover.begun(1).done, 3);
        assert_eq!(handover.begun(2).done, 0);
    }
}
