//! Where removed devices end: at the place that the commit which removes them names, whatever the
//! relay lets stand between there and the commit (`docs/protocol.md`, "Cuts").
//!
//! What stands there was shown by the time that the commit comes, and honest changes may build on
//! it. So it stays in documents, and shows nowhere.

use sync_protocol::SpaceId;
use sync_protocol::envelope::Envelope;
use tracing::debug;

use crate::api::{ConversationChange, Event};
use crate::document::{Ended, Name, Touched};
use crate::engine::rooms::Members;
use crate::trust::{Invalid, cut};

impl Members<'_> {
    /// A valid commit at an index of the log ends devices. Called before its epoch begins.
    pub(in crate::engine) fn end_devices(&mut self, id: &SpaceId, envelope: &Envelope, index: u64) {
        let Ok(commit) = envelope.commit() else { return };
        let Some(space) = self.spaces.get_mut(id) else { return };
        let epoch = space.row.epoch;
        let core = space.core.as_ref();
        let began = core.and_then(|core| core.epochs.get(&epoch)).map_or(0, |row| row.index + 1);
        let mut evidence = Vec::new();
        let mut ended = Vec::new();
        for cut in &commit.cuts {
            let seen = space.recent.get(&cut.index);
            if cut.seen != [0; 8] && seen.is_some_and(|known| known[..8] != cut.seen) {
                evidence.push(Invalid::OtherHistory);
            }
            let Some(end) = cut::beyond(cut, began, index) else { continue };
            if space.wrote_at.get(&cut.device).is_some_and(|at| end.covers(*at)) {
                evidence.push(Invalid::BeyondCut);
            }
            if !space.row.ended.contains(&end) {
                ended.push(end);
            }
        }
        debug!(space = ?id, index, devices = ended.len(), "a commit ends devices");
        for why in evidence {
            self.log_rows().evidence(id, why);
        }
        if !ended.is_empty() {
            self.hide(id, &ended);
        }
    }

    fn hide(&mut self, id: &SpaceId, ended: &[Ended]) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.row.ended.extend_from_slice(ended);
        space.row.stale = true;
        let all = space.row.ended.clone();
        self.turn.save_space(id);
        for name in self.documents.open_of(id) {
            let Some(document) = self.documents.peek(id, &name) else { continue };
            document.hide(&all);
            if let Some(space) = self.spaces.get_mut(id) {
                match &name {
                    Name::Messages(segment) => space.view.close(*segment),
                    Name::Receipts(segment) => drop(space.receipts.remove(segment)),
                    _ => {}
                }
            }
            self.content().touched(id, &name, &Touched { all: true, ..Touched::default() }, None);
        }
        let change = ConversationChange::Changed;
        self.turn.notify(Event::Conversation { conversation: *id, change });
    }
}
