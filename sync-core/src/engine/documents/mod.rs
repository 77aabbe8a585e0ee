//! Documents in memory: loaded when something needs them, within a budget.
//!
//! A change to a closed document is only written as a row. An open document takes it in at once,
//! and so do the views beside it.

pub(in crate::engine) mod apps;
pub(in crate::engine) mod carrying;
pub(in crate::engine) mod digest;
pub(in crate::engine) mod eras;
pub(in crate::engine) mod postings;
pub(in crate::engine) mod receipts;
pub(in crate::engine) mod sizes;
pub(in crate::engine) mod unread;
pub(in crate::engine) mod views;

use std::collections::BTreeSet;

use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{SpaceId, WriterId, codec};

use crate::api::{ConversationChange, Event};
use crate::document::again::edit_again;
use crate::document::receipts::Mark;
use crate::document::{Document, Name, PATHS, Placement, Row, Step as At, Touched, change_hash};
use crate::engine::Step;
use crate::engine::documents::apps::INDEX;
use crate::engine::members::renewals::CALLS;
use crate::engine::people::profile::PROFILE;
use crate::engine::rooms::{Content, ContentRows, Library};
use crate::engine::space::Spaces;
use crate::engine::space::change_set::ChangeSet;
use crate::records::{Load, Records, key};
use crate::trust::Invalid;
use crate::trust::posting::ERA_SHIFT;

/// Bytes of documents kept open while nothing needs them.
const BUDGET: usize = 64 * 1024 * 1024;
/// Rows beside a snapshot before the document is written as one record again.
const COMPACT_ROWS: usize = 64;
/// How many messages a change set can bring at most, for what a segment's number may be.
const MESSAGES_PER_ENTRY: u64 = 4096;
/// The messages of one change are told apart by so many bits of their ordinals.
const MESSAGES_PER_CHANGE: u32 = 0xffff;
/// Messages a segment holds before the next one begins.
pub(in crate::engine) const SEGMENT: usize = 1_000;

struct Open {
    document: Document,
    used: u64,
}

/// All open documents.
#[derive(Default)]
pub(in crate::engine) struct Documents {
    open: SortedMap<(SpaceId, Name), Box<Open>>,
    /// Rows written while a document's load is under way, which it may not see.
    loading: SortedMap<(SpaceId, Name), Vec<Row>>,
    clock: u64,
}

impl Documents {
    /// The document, open.
    ///
    /// # Errors
    /// `Need` while it, or its space, is being loaded.
    pub(in crate::engine) fn document(
        &mut self,
        spaces: &mut Spaces,
        id: &SpaceId,
        name: &Name,
    ) -> Step<&mut Document> {
        spaces.core(id)?;
        match self.peek(id, name) {
            Some(document) => Ok(document),
            None => Err(Load::Document(*id, name.clone()).into()),
        }
    }

    pub(in crate::engine) fn start_loading(&mut self, id: &SpaceId, name: &Name) {
        self.loading.entry((*id, name.clone())).or_default();
    }

    pub(in crate::engine) fn any_open(&self, id: &SpaceId) -> bool {
        self.open.keys().any(|(space, _)| space == id)
    }

    pub(in crate::engine) fn is_open(&self, id: &SpaceId, name: &Name) -> bool {
        self.open.contains_key(&(*id, name.clone()))
    }

    pub(in crate::engine) fn peek(&mut self, id: &SpaceId, name: &Name) -> Option<&mut Document> {
        self.clock += 1;
        let open = self.open.get_mut(&(*id, name.clone()))?;
        open.used = self.clock;
        Some(&mut open.document)
    }

    /// The documents of a space that are open.
    pub(in crate::engine) fn open_of(&self, id: &SpaceId) -> Vec<Name> {
        let of_space = self.open.keys().filter(|(space, _)| space == id);
        of_space.map(|(_, name)| name.clone()).collect()
    }

    /// Closes a document, should it be open. A load that is under way opens it as it is then.
    pub(in crate::engine) fn close(&mut self, id: &SpaceId, name: &Name) {
        self.open.remove(&(*id, name.clone()));
    }

    pub(in crate::engine) fn close_space(&mut self, id: &SpaceId) {
        self.open.retain(|(space, _), _| space != id);
    }
}

impl Content<'_> {
    /// The host has read a document.
    pub(in crate::engine) fn open_document(
        &mut self,
        id: &SpaceId,
        name: &Name,
        records: &Records,
    ) {
        let prefix = key::document(id, name).len();
        let part = |record: &[u8]| record.get(prefix).copied();
        let snapshot = records.get(&key::snapshot(id, name)).map(Vec::as_slice);
        let rows: Vec<(u8, Row)> = records
            .iter()
            .filter_map(|(record, value)| {
                let kind = part(record).filter(|kind| matches!(kind, b'r' | b'u'))?;
                Some((kind, codec::decode("row", value).ok()?))
            })
            .collect();
        let unplaced = rows.iter().any(|(kind, _)| *kind == b'u');
        let count = rows.len();
        let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
        let late = self.documents.loading.remove(&(*id, name.clone())).unwrap_or_default();
        let (mut document, damaged) = self.content_rows().load_or_empty(id, name, snapshot, rows);
        if !late.is_empty() {
            document.receive(late);
        } else if !unplaced
            && !damaged
            && count >= COMPACT_ROWS
            && self.content_rows().is_settled_in(id, name)
        {
            self.content_rows().compact(id, name, &mut document, records);
        }
        self.library().replay_journal(id, name, &mut document);
        if let Some(space) = self.spaces.get(id) {
            document.hide(&space.row.ended);
        }
        self.documents.clock += 1;
        let used = self.documents.clock;
        self.documents.open.insert((*id, name.clone()), Box::new(Open { document, used }));
        let all = Touched { all: true, ..Touched::default() };
        self.refresh_views(id, name, &all, None, true);
    }

    /// Changes as they stand in the log.
    pub(in crate::engine) fn apply_change_set(
        &mut self,
        id: &SpaceId,
        writer: &WriterId,
        (placement, era): (Placement, u32),
        set: &ChangeSet,
    ) {
        let mut ordinal: u32 = 0;
        for item in &set.items {
            let may = self.content_rows().may_write(id, writer, placement.index, &item.name);
            if !may || !self.content_rows().acceptable(id, &item.name, placement.index, era) {
                // Its changes keep their ordinals: the author counted them too.
                ordinal = ordinal.saturating_add(u32::try_from(item.changes.len()).unwrap_or(0));
                continue;
            }
            if item.changes.is_empty() {
                // It says nothing, and its author has committed to nothing.
                continue;
            }
            self.content_rows().note_document(id, &item.name);
            let mut refused = 0;
            let mut rows = Vec::with_capacity(item.changes.len());
            for change in &item.changes {
                if !self.content_rows().may_post(id, writer, &item.name, change.as_slice()) {
                    refused += 1;
                    ordinal += 1;
                    continue;
                }
                // Room for the messages of one change: all of a change set stay in their order.
                let placement = Placement { ordinal: ordinal << 16, ..placement };
                let place = (placement.index, placement.ordinal);
                self.content_rows().note_handed(id, (writer, &item.name), place, change.as_slice());
                let row =
                    Row { writer: *writer, placement: Some(placement), change: change.0.clone() };
                let record = key::row(id, &item.name, (placement.index, ordinal), &change.0);
                self.turn.batch.put(record, codec::encode(&row));
                rows.push(row);
                ordinal += 1;
            }
            self.receive_rows(id, &item.name, rows);
            if refused > 0 {
                let name = item.name.clone();
                self.log_rows().evidence(id, Invalid::Refused { name, count: refused });
            }
        }
    }

    fn receive_rows(&mut self, id: &SpaceId, name: &Name, rows: Vec<Row>) {
        let is_sibling = |row: &Row| {
            self.account.me().is_ok_and(|me| self.spaces.is_sibling(id, me, &row.writer.device))
        };
        if let Name::Receipts(segment) = name
            && rows.iter().any(is_sibling)
        {
            self.content_rows().owe_siblings(id, *segment);
        }
        match name {
            Name::People(era) => self.content_rows().owe_names(id, *era),
            Name::Vault(_) => {
                self.log_rows().call_what_was_lost();
                self.strays.look_again(self.turn.now);
            }
            Name::Settings | Name::Contacts if !self.documents.is_open(id, name) => {
                self.profile().owe_profile();
            }
            Name::Messages(segment) => {
                self.content_rows().forget_reach(id, *segment);
                self.content_rows().note_tops(id, *segment, &rows);
            }
            _ => {}
        }
        let by = rows.first().map(|row| row.writer);
        let me = self.account.me().map(|me| me.device()).ok();
        let current = self.account.numbers_are_current(self.spaces, id);
        if let Some(document) = self.documents.peek(id, name) {
            let received = document.receive(rows);
            // A copy of this device may have used numbers that what is not sent yet stands under.
            // Until that is written anew, its changes and what builds on them are nobody's fault.
            let others =
                received.refused.iter().filter(|refused| Some(refused.writer.device) != me);
            let count = others.count();
            if count > 0 && current {
                self.log_rows().evidence(id, Invalid::Refused { name: name.clone(), count });
            }
            self.touched(id, name, &received.touched, by.as_ref());
        } else {
            if let Some(late) = self.documents.loading.get_mut(&(*id, name.clone())) {
                late.extend(rows);
            }
            self.content_rows().mark_stale(id, name);
            if matches!(name, Name::App(..)) {
                self.library().tell_document(id, name, by.as_ref(), &BTreeSet::new());
            }
        }
    }

    /// An own change counts nowhere: its document is read anew without it.
    pub(in crate::engine) fn take_back(&mut self, id: &SpaceId, name: &Name) {
        self.documents.close(id, name);
        match name {
            Name::App(..) => self.library().tell_document(id, name, None, &BTreeSet::new()),
            Name::Messages(segment) => {
                if let Some(space) = self.spaces.get_mut(id) {
                    space.view.close(*segment);
                    space.unread.count_anew();
                }
                self.content_rows().mark_stale(id, name);
                let change = ConversationChange::Changed;
                self.turn.notify(Event::Conversation { conversation: *id, change });
            }
            _ => {}
        }
    }

    /// An own change got its place.
    pub(in crate::engine) fn place_change(&mut self, id: &SpaceId, name: &Name, row: Row) {
        if let Some(document) = self.documents.peek(id, name) {
            if let (Ok(hash), Some(placement)) = (change_hash(&row.change), row.placement) {
                let touched = document.place(&hash, placement);
                // Where a change stands in the log decides what typed documents show. What is in an
                // app's own was told when it was written.
                if !matches!(name, Name::App(..)) {
                    self.touched(id, name, &touched, None);
                }
            }
        } else if let Some(late) = self.documents.loading.get_mut(&(*id, name.clone())) {
            late.push(row);
        }
    }

    /// Something in an open document changed: views follow, and the app is told.
    pub(in crate::engine) fn touched(
        &mut self,
        id: &SpaceId,
        name: &Name,
        touched: &Touched,
        by: Option<&WriterId>,
    ) {
        if touched.is_empty() {
            return;
        }
        self.content_rows().mark_stale(id, name);
        // Any change to an app's own document may have touched all of it.
        let opening = touched.all && !matches!(name, Name::App(..));
        self.refresh_views(id, name, touched, by, opening);
    }

    fn refresh_views(
        &mut self,
        id: &SpaceId,
        name: &Name,
        touched: &Touched,
        by: Option<&WriterId>,
        opening: bool,
    ) {
        let Some(document) = self.documents.peek(id, name) else { return };
        let Some(space) = self.spaces.get_mut(id) else { return };
        match name {
            Name::Messages(_) => {
                let changed = space.view.update(document, touched);
                if space.observe(&changed) {
                    self.turn.unsaved.spaces.insert(*id);
                }
                if opening {
                    space.unread.count_anew();
                } else if !changed.is_empty() && !space.row.own {
                    space.unread.note_changed(&changed);
                    let messages = changed.into_iter().collect();
                    self.turn.notify(Event::Messages { conversation: *id, messages });
                }
            }
            Name::Receipts(segment) => {
                let moved = space.receipts.entry(*segment).or_default().update(document, touched);
                let core = space.core.as_ref();
                let accounts: SortedSet<_> = moved
                    .iter()
                    .filter_map(|writer| core.and_then(|core| core.account_of(&writer.device)))
                    .collect();
                if !opening && !accounts.is_empty() {
                    let accounts = accounts.into_iter().collect();
                    self.turn.notify(Event::Receipts { conversation: *id, accounts });
                }
            }
            Name::Settings => {
                let keys: Vec<String> = touched.keys.iter().cloned().collect();
                if opening || keys.iter().any(|key| key.starts_with(PROFILE)) {
                    self.profile().adopt_profile();
                }
                self.profile().adopt_inviters((!opening).then_some(&keys));
                if keys.iter().any(|key| key.starts_with(CALLS)) {
                    // Another device of the account waits for a ticket.
                    self.profile().owe_profile();
                }
                if !opening {
                    self.turn.notify(Event::Settings { keys });
                }
            }
            Name::Contacts => {
                let keys: Vec<String> = touched.keys.iter().cloned().collect();
                self.profile().adopt_blocked((!opening).then_some(&keys));
            }
            Name::App(..) if !opening => self.library().tell_document(id, name, by, &touched.paths),
            _ => {}
        }
    }
}

impl ContentRows<'_> {
    /// A document whose snapshot is damaged opens with what its rows still say, and the app is
    /// told; the records stay as they are.
    fn load_or_empty(
        &mut self,
        id: &SpaceId,
        name: &Name,
        snapshot: Option<&[u8]>,
        rows: Vec<Row>,
    ) -> (Document, bool) {
        match Document::load(*id, name.clone(), snapshot, rows.clone()) {
            Ok((document, _)) => (document, false),
            Err(error) => {
                let error = error.to_string();
                self.log_rows().evidence(id, Invalid::Damaged { name: name.clone(), error });
                let mut document = Document::new(*id, name.clone());
                document.receive(rows);
                (document, true)
            }
        }
    }

    /// Whether no entry that is in doubt can change what a document begins with.
    fn is_settled_in(&self, id: &SpaceId, name: &Name) -> bool {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        !matches!(name, Name::App(..)) || core.is_some_and(|core| core.doubted.is_empty())
    }

    fn compact(&mut self, id: &SpaceId, name: &Name, document: &mut Document, records: &Records) {
        let Ok(snapshot) = document.snapshot() else { return };
        let prefix = key::document(id, name).len();
        for record in records.keys().filter(|record| record.get(prefix) == Some(&b'r')) {
            self.turn.batch.delete(record.clone());
        }
        self.turn.batch.put(key::snapshot(id, name), snapshot);
    }

    /// Remembers how far the log goes in a message segment: where nothing is beyond the read mark,
    /// nothing is unread.
    pub(in crate::engine) fn note_tops(&mut self, id: &SpaceId, segment: u32, rows: &[Row]) {
        let marks = rows.iter().filter_map(|row| {
            let Placement { index, ordinal, .. } = row.placement?;
            Some(Mark { index, ordinal: ordinal | MESSAGES_PER_CHANGE })
        });
        if let Some((space, top)) = self.spaces.get_mut(id).zip(marks.max()) {
            space.note_top(segment, top);
        }
        self.turn.save_space(id);
    }

    fn mark_stale(&mut self, id: &SpaceId, name: &Name) {
        if let Some(space) = self.spaces.get_mut(id)
            && matches!(name, Name::Messages(_))
        {
            space.row.stale = true;
            self.turn.unsaved.spaces.insert(*id);
        }
    }

    /// Whether its author might write into a document, where an entry stands.
    pub(in crate::engine) fn may_write(
        &self,
        id: &SpaceId,
        writer: &WriterId,
        index: u64,
        name: &Name,
    ) -> bool {
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        core.is_none_or(|core| {
            let author = core.writer_at(&writer.device, index);
            author.is_none_or(|author| core.state.rights.may_write(&author.account, index, name))
        })
    }

    /// Whether a document takes changes from an entry at `index`, where the era is `now`. Its era has
    /// begun, and this device can read that era from its beginning: of an earlier one it would show
    /// what happens to build on nothing that it lacks. A segment's number is bounded by what the log
    /// can hold up to there.
    fn acceptable(&self, id: &SpaceId, name: &Name, index: u64, now: u32) -> bool {
        let Some(space) = self.spaces.get(id) else { return false };
        let (era, within) = match name {
            Name::Messages(number) | Name::Receipts(number) => {
                (number >> ERA_SHIFT, u64::from(number & ((1 << ERA_SHIFT) - 1)))
            }
            Name::People(era) | Name::Vault(era) => (*era, 0),
            Name::App(era, _) => return space.row.eras.take(*era, index),
            Name::Carried(era) => return *era == now,
            Name::Settings | Name::Contacts | Name::Unknown { .. } => return true,
        };
        let eras = space.row.whole_from..=now;
        eras.contains(&era) && within <= segments(index)
    }

    pub(in crate::engine) fn note_document(&mut self, id: &SpaceId, name: &Name) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if let Name::Messages(number) = name {
            space.row.segment = space.row.segment.max(*number);
        }
        if space.row.lists(name) {
            self.turn.batch.put(key::named(id, name), Vec::new());
            self.turn.unsaved.spaces.insert(*id);
        }
    }
}

/// How many segments an era's messages can fill up to an index, at most.
fn segments(index: u64) -> u64 {
    index.saturating_add(1).saturating_mul(MESSAGES_PER_ENTRY) / SEGMENT as u64 + 1
}

/// The segment to write in, where somebody says that it is this one and it can be, at an index in an
/// era.
pub(in crate::engine) fn segment_said(said: u32, index: u64, era: u32) -> u32 {
    let within = u64::from(said & ((1 << ERA_SHIFT) - 1));
    let can_be = said >> ERA_SHIFT == era && within <= segments(index);
    if can_be { said } else { era << ERA_SHIFT }
}

impl Library<'_> {
    /// Edits that were journalled and not cut before the last opening.
    fn replay_journal(&mut self, id: &SpaceId, name: &Name, document: &mut Document) {
        let Ok(writer) = self.account.writer() else { return };
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Some(core) = &space.core else { return };
        let rows: Vec<_> = core.journal.values().filter(|row| row.name == *name).collect();
        for together in rows.chunk_by(|one, next| one.read == next.read) {
            let edits = together.iter().map(|row| row.edit.clone()).collect();
            edit_again(document, &writer, edits, together.first().and_then(|row| row.read));
        }
    }

    /// An app's own document changed, open or not: who did it, and where, as far as that is known.
    pub(in crate::engine) fn tell_document(
        &mut self,
        id: &SpaceId,
        name: &Name,
        by: Option<&WriterId>,
        paths: &BTreeSet<Vec<At>>,
    ) {
        let known = !paths.is_empty() && paths.len() <= PATHS;
        let paths = known.then(|| paths.iter().cloned().collect());
        let by = by.and_then(|writer| self.spaces.origin(self.account, id, writer));
        let name = match name {
            Name::App(_, name) if name == INDEX => String::new(),
            name => name.to_string(),
        };
        self.turn.notify(Event::Document { space: *id, name, paths, by });
    }

    /// Closes the longest unused documents beyond the budget. Uncut edits keep theirs open.
    pub(in crate::engine) fn evict_documents(&mut self) {
        let cost: usize = self.documents.open.values().map(|open| open.document.cost()).sum();
        if cost <= BUDGET {
            return;
        }
        let idle: SortedMap<u64, (usize, (SpaceId, Name))> = self
            .documents
            .open
            .iter()
            .filter(|(_, open)| !open.document.has_uncut())
            .map(|(place, open)| (open.used, (open.document.cost(), place.clone())))
            .collect();
        let mut surplus = cost - BUDGET;
        for (cost, place) in idle.into_values() {
            self.documents.open.remove(&place);
            if let Some(space) = self.spaces.get_mut(&place.0) {
                match &place.1 {
                    Name::Messages(segment) => space.view.close(*segment),
                    Name::Receipts(segment) => {
                        space.receipts.remove(segment);
                    }
                    _ => {}
                }
            }
            if cost >= surplus {
                break;
            }
            surplus -= cost;
        }
    }
}

#[cfg(test)]
mod rows_tests;
