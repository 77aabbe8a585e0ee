//! Receipts: what this device has and its person has read, told at most every two seconds.

use sync_protocol::SpaceId;

use crate::api::Response;
use crate::document::{Edit, Name, OrderKey};
use crate::engine::rooms::{ContentRows, Library, Views};
use crate::engine::rows::JournalRow;
use crate::engine::{Step, Task};

/// At most one receipt a device and space in this time.
const COALESCE_MS: u64 = 2_000;

/// When a space's next receipt is due.
#[derive(Default)]
pub(in crate::engine) struct Receipting {
    at: Option<u64>,
    written_ms: u64,
}

impl Receipting {
    pub(in crate::engine) fn deadline(&self) -> Option<u64> {
        self.at
    }

    /// Whether one is due by now: it is asked for once.
    pub(in crate::engine) fn is_due(&mut self, now: u64) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }

    fn owe(&mut self, now: u64) {
        let at = now.max(self.written_ms + COALESCE_MS);
        self.at = Some(self.at.map_or(at, |due| due.min(at)));
    }

    pub(super) fn writes(&mut self, now: u64) {
        (self.at, self.written_ms) = (None, now);
    }
}

impl ContentRows<'_> {
    /// Something arrived or was read: a receipt is due, soon.
    pub(in crate::engine) fn owe_receipts(&mut self, id: &SpaceId) {
        let now = self.turn.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.own || !space.row.active {
            return;
        }
        space.row.receipts_due = true;
        space.receipting.owe(now);
        self.turn.save_space(id);
    }

    /// Receipts that were due when the account was closed last.
    pub(in crate::engine) fn resume_receipts(&mut self) {
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
        self.turn.tasks.extend(unheeded);
    }

    /// The receipt to be written, which then counts as written.
    fn receipt(&mut self, id: &SpaceId) -> Option<Edit> {
        let now = self.turn.now;
        let space = self.spaces.get_mut(id)?;
        space.row.receipts_due = false;
        space.receipting.writes(now);
        let (delivered, read) = (space.row.delivered, space.row.read);
        self.turn.save_space(id);
        Some(Edit::Receipt { delivered, read })
    }

    /// Another device of this account has read something: this one follows soon.
    pub(in crate::engine) fn owe_siblings(&mut self, id: &SpaceId, segment: u32) {
        if let Some(space) = self.spaces.get_mut(id)
            && !space.row.unheeded.contains(&segment)
        {
            space.row.unheeded.push(segment);
        }
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Siblings(*id, segment));
    }
}

impl Views<'_> {
    pub(in crate::engine) fn write_receipts(&mut self, id: &SpaceId) -> Step<()> {
        let Ok(space) = self.spaces.space(id) else { return Ok(()) };
        if !space.row.receipts_due || !space.row.active || self.library().is_unaccepted(id)? {
            // A stranger learns neither that it arrived nor when this device is here.
            return Ok(());
        }
        let space = self.spaces.space(id)?;
        let name = Name::Receipts(space.row.segment);
        self.documents.document(self.spaces, id, &name)?;
        let Some(edit) = self.content_rows().receipt(id) else { return Ok(()) };
        self.outbox().edit(id, &name, edit)?;
        Ok(())
    }

    /// What is due anyway rides on a change set that is cut.
    pub(in crate::engine) fn ride_along(&mut self, id: &SpaceId) {
        let due = self.spaces.get(id).filter(|space| space.row.receipts_due);
        if let Some(name) = due.map(|space| Name::Receipts(space.row.segment))
            && self.documents.is_open(id, &name)
            && let Some(receipt) = self.content_rows().receipt(id)
        {
            self.ride(id, name, receipt);
        }
        if let Some(name) =
            self.account.introduction_due(self.spaces, self.people, self.session, id)
            && self.documents.is_open(id, &name)
            && let Some(introduction) = self.profile().introduction(id, &name)
        {
            self.ride(id, name, introduction);
        }
    }

    /// Makes an edit to an open document as part of the change set that is being cut.
    fn ride(&mut self, id: &SpaceId, name: Name, edit: Edit) {
        let Ok(writer) = self.account.writer() else { return };
        let Some(document) = self.documents.peek(id, &name) else { return };
        let Ok(touched) = document.edit(&writer, &edit) else { return };
        self.content_rows().note_document(id, &name);
        self.content().touched(id, &name, &touched, None);
        if let Some(core) = self.spaces.get_mut(id).and_then(|space| space.core.as_mut()) {
            // In the journal of this cut only: it is taken out again before anything is written.
            let number = core.journal.last().map_or(0, |(last, _)| last + 1);
            core.journal.insert(number, JournalRow { name, edit, read: None });
        }
    }
}

impl Library<'_> {
    /// What one device of this account has read, all have.
    pub(in crate::engine) fn follow_siblings(&mut self, id: &SpaceId, segment: u32) -> Step<()> {
        let me = self.account.me()?.account();
        self.documents.document(self.spaces, id, &Name::Receipts(segment))?;
        let space = self.spaces.core(id)?;
        let read =
            space.core.as_ref().zip(space.receipts.get(&segment)).and_then(|(core, view)| {
                let own =
                    view.iter().filter(|(writer, _)| core.account_of(&writer.device) == Some(me));
                own.filter_map(|(_, receipt)| receipt.read).max()
            });
        if read > space.row.read {
            space.row.read = read;
            space.row.stale = true;
            space.unread.count_anew();
        }
        space.row.unheeded.retain(|owed| *owed != segment);
        self.turn.tasks.push_back(Task::Summarise(*id));
        self.turn.save_space(id);
        Ok(())
    }

    pub(in crate::engine) fn mark_read(
        &mut self,
        id: &SpaceId,
        message: &OrderKey,
    ) -> Step<Response> {
        let mark = self.mark_of(id, message)?;
        let space = self.spaces.core(id)?;
        if mark > space.row.read {
            space.row.read = mark;
            space.row.delivered = space.row.delivered.max(mark);
            space.row.stale = true;
            space.unread.count_anew();
            self.turn.save_space(id);
            self.content_rows().owe_receipts(id);
            self.turn.tasks.push_back(Task::Summarise(*id));
        }
        Ok(Response::Done)
    }
}
