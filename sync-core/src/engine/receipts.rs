//! Receipts: what this device has and its person has read, told at most every two seconds.

use sync_protocol::SpaceId;

use crate::api::Response;
use crate::document::{Edit, Name, OrderKey};
use crate::engine::rows::JournalRow;
use crate::engine::{Engine, Step, Task};

/// At most one receipt a device and space in this time.
const COALESCE_MS: u64 = 2_000;

impl Engine {
    /// Something arrived or was read: a receipt is due, soon.
    pub(super) fn owe_receipts(&mut self, id: &SpaceId) {
        let now = self.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.own || !space.row.active {
            return;
        }
        space.row.receipts_due = true;
        let at = now.max(space.receipts_written_ms + COALESCE_MS);
        space.receipts_at = Some(space.receipts_at.map_or(at, |due| due.min(at)));
        self.save_space(id);
    }

    /// Receipts that were due when the account was closed last.
    pub(super) fn resume_receipts(&mut self) {
        let due: Vec<SpaceId> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.receipts_due && space.row.active)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.owe_receipts(&id);
        }
        let unheeded = self.spaces.iter().flat_map(|(id, space)| {
            space.row.unheeded.iter().map(|segment| Task::Siblings(*id, *segment))
        });
        self.tasks.extend(unheeded);
    }

    pub(super) fn write_receipts(&mut self, id: &SpaceId) -> Step<()> {
        let Ok(space) = self.space(id) else { return Ok(()) };
        if !space.row.receipts_due || !space.row.active || self.is_unaccepted(id)? {
            // A stranger learns neither that it arrived nor when this device is here.
            return Ok(());
        }
        let space = self.space(id)?;
        let name = Name::Receipts(space.row.segment);
        self.document(id, &name)?;
        let Some(edit) = self.receipt(id) else { return Ok(()) };
        self.edit(id, &name, edit)?;
        Ok(())
    }

    /// The receipt to be written, which then counts as written.
    fn receipt(&mut self, id: &SpaceId) -> Option<Edit> {
        let now = self.now;
        let space = self.spaces.get_mut(id)?;
        space.row.receipts_due = false;
        space.receipts_at = None;
        space.receipts_written_ms = now;
        let (delivered, read) = (space.row.delivered, space.row.read);
        self.save_space(id);
        Some(Edit::Receipt { delivered, read })
    }

    /// What is due anyway rides on a change set that is cut.
    pub(super) fn ride_along(&mut self, id: &SpaceId) {
        let due = self.spaces.get(id).filter(|space| space.row.receipts_due);
        if let Some(name) = due.map(|space| Name::Receipts(space.row.segment))
            && self.documents.is_open(id, &name)
            && let Some(receipt) = self.receipt(id)
        {
            self.ride(id, name, receipt);
        }
        if let Some(name) = self.introduction_due(id)
            && self.documents.is_open(id, &name)
            && let Some(introduction) = self.introduction(id, &name)
        {
            self.ride(id, name, introduction);
        }
    }

    /// Makes an edit to an open document as part of the change set that is being cut.
    fn ride(&mut self, id: &SpaceId, name: Name, edit: Edit) {
        let Ok(writer) = self.writer() else { return };
        let Some(document) = self.documents.peek(id, &name) else { return };
        let Ok(touched) = document.edit(&writer, &edit) else { return };
        self.note_document(id, &name);
        self.touched(id, &name, &touched, None);
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            // In the journal of this cut only: it is taken out again before anything is written.
            let number = core.journal.last().map_or(0, |(last, _)| last + 1);
            core.journal.insert(number, JournalRow { name, edit });
        }
    }

    /// Another device of this account has read something: this one follows soon.
    pub(super) fn owe_siblings(&mut self, id: &SpaceId, segment: u32) {
        if let Some(space) = self.spaces.get_mut(id)
            && !space.row.unheeded.contains(&segment)
        {
            space.row.unheeded.push(segment);
        }
        self.save_space(id);
        self.tasks.push_back(Task::Siblings(*id, segment));
    }

    /// What one device of this account has read, all have.
    pub(super) fn follow_siblings(&mut self, id: &SpaceId, segment: u32) -> Step<()> {
        let me = self.me()?.account();
        self.document(id, &Name::Receipts(segment))?;
        let space = self.core_space(id)?;
        let read =
            space.core.as_ref().zip(space.receipts.get(&segment)).and_then(|(core, view)| {
                let own =
                    view.iter().filter(|(writer, _)| core.account_of(&writer.device) == Some(me));
                own.filter_map(|(_, receipt)| receipt.read).max()
            });
        if read > space.row.read {
            space.row.read = read;
            space.row.stale = true;
            space.rescan = true;
        }
        space.row.unheeded.retain(|owed| *owed != segment);
        self.tasks.push_back(Task::Summarise(*id));
        self.save_space(id);
        Ok(())
    }

    pub(super) fn mark_read(&mut self, id: &SpaceId, message: &OrderKey) -> Step<Response> {
        let mark = self.mark_of(id, message)?;
        let space = self.core_space(id)?;
        if mark > space.row.read {
            space.row.read = mark;
            space.row.delivered = space.row.delivered.max(mark);
            space.row.stale = true;
            space.rescan = true;
            self.save_space(id);
            self.owe_receipts(id);
            self.tasks.push_back(Task::Summarise(*id));
        }
        Ok(Response::Done)
    }
}
