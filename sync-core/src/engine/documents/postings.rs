//! Which segments a writer's messages may go to, kept for all of them whatever is open.

use sync_protocol::{SpaceId, WriterId, codec};

use crate::document::{Name, posted};
use crate::engine::rooms::ContentRows;
use crate::engine::space::state::Core;
use crate::records::key;
use crate::trust::posting::Posted;

impl ContentRows<'_> {
    /// Takes note of the messages that a change posts; `false` if it posts some again, or back in
    /// an earlier segment, and is to be refused.
    pub(in crate::engine) fn may_post(
        &mut self,
        id: &SpaceId,
        writer: &WriterId,
        name: &Name,
        change: &[u8],
    ) -> bool {
        let Name::Messages(segment) = name else { return true };
        let stamps = posted(change, &writer.tag());
        let Some((first, last)) = stamps.iter().min().zip(stamps.iter().max()) else {
            return true;
        };
        let core = self.spaces.get_mut(id).and_then(|space| space.core.as_mut());
        let Some(core) = core else { return true };
        let before = core.posted.get(writer).copied();
        let Some(after) = Posted::after(before, *segment, *first, *last) else { return false };
        if before != Some(after) {
            core.posted.insert(*writer, after);
            self.turn.batch.put(key::posted(id, writer), codec::encode(&after));
        }
        true
    }

    /// The log is read anew from another place, and with it all that writers posted and what was
    /// doubted.
    pub(in crate::engine) fn forget_read(&mut self, id: &SpaceId, core: &mut Core) {
        for writer in std::mem::take(&mut core.posted).into_keys() {
            self.turn.batch.delete(key::posted(id, &writer));
        }
        for index in std::mem::take(&mut core.doubted).into_keys() {
            self.turn.batch.delete(key::doubted(id, index));
        }
    }
}
