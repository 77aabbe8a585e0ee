//! Beginnings that are the same whoever makes them.
//!
//! Two who begin a list at one place at once would make two, of which one shows. What is made by
//! [`AppOp::Ensure`](super::AppOp::Ensure) is a change of its own instead, whose bytes follow from the
//! place and the value alone, its author included: it is nobody's. The actor is drawn from the rest of
//! the change, so one actor has one change, and what stands under it can only be what it says.

use automerge::transaction::CommitOptions;
use automerge::{ActorId, Change, ObjId, Prop};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{DeviceId, WriterId};

use super::columns::Reader;
use super::decode::{Decoded, decode, open_chunk};
use super::values::{Content, How, write};
use super::{ChangeHash, Document, Name, Row, actor};

/// The writer of a beginning, from its change.
const BIRTH: Domain = Domain::new("rejoinder document birth v1");
/// An actor's length.
const ACTOR: usize = 16;
/// Magic bytes and checksum of a chunk.
const FRAME: usize = 8;

/// Who stands for everybody: no device has an id that begins with 0.
pub(crate) fn nobody(of: &[u8; 32]) -> WriterId {
    let mut device = [0; DeviceId::LEN];
    device[1..].copy_from_slice(of);
    WriterId { device: DeviceId::from_bytes(device), incarnation: 0 }
}

/// Whether a writer stands for everybody.
pub(crate) fn is_nobody(writer: &WriterId) -> bool {
    writer.device.as_bytes().first() == Some(&0)
}

impl Document {
    /// Whom a change is to be judged as written by: nobody, if it is a beginning.
    pub(crate) fn judged_as(&mut self, row: &Row, decoded: &Decoded<'_>) -> WriterId {
        let author = decoded.actors.first().copied().unwrap_or_default();
        if !matches!(self.name, Name::App(..)) || self.actor_of(&row.writer).to_bytes() == author {
            return row.writer;
        }
        // It overwrites nothing and takes nothing away.
        let born = decoded.predecessors.is_empty().then(|| born_by(&row.change)).flatten();
        let is_its =
            |writer: &WriterId| actor(&self.space, &self.name, writer).to_bytes() == author;
        born.filter(is_its).unwrap_or(row.writer)
    }

    /// Begins a value at a key of a map that has none. The transaction is closed.
    pub(crate) fn bear(&mut self, object: &ObjId, at: Prop, content: Content) -> Option<()> {
        let before = match object {
            ObjId::Root => Vec::new(),
            ObjId::Id(counter, by, _) => vec![self.history.hash_of_op(*counter, by.to_bytes())?],
        };
        let ancestry = self.history.ancestry(&before);
        let mut doc = self.rebuilt(|known| known.seq <= ancestry.seq(known.actor));
        doc.set_actor(ActorId::from([0; ACTOR]));
        write(&mut doc, object, at, content, How::Put, false).ok()?;
        let made = doc.commit_with(CommitOptions::default().with_time(0))?;
        let mut bytes = doc.get_change_by_hash(&made)?.raw_bytes().to_vec();
        let writer = born_by(&bytes)?;
        let actor = actor(&self.space, &self.name, &writer);
        sign(&mut bytes, actor.to_bytes())?;
        let decoded = decode(&bytes).ok()?;
        if !decoded.predecessors.is_empty() {
            // Its parent came with something at that key, which was taken away since.
            return None;
        }
        if self.history.contains(&decoded.hash) {
            // It was there, and was taken away since.
            return None;
        }
        let change = Change::from_bytes(bytes.clone()).ok()?;
        self.doc.apply_changes([change]).ok()?;
        self.history.push(&decoded, Some(writer), None);
        self.bytes += bytes.len();
        self.local.push_uncut(bytes);
        Some(())
    }
}

/// Where in a chunk its author stands.
fn author_at(bytes: &[u8]) -> Option<usize> {
    let (_, body) = open_chunk(bytes).ok()?;
    let mut reader = Reader::new(body);
    for _ in 0..reader.size().ok()? {
        reader.take(size_of::<ChangeHash>()).ok()?;
    }
    let author = reader.prefixed().ok().filter(|author| author.len() == ACTOR)?;
    // Both are parts of one slice, the body its end.
    let before = body.len() - reader.left() - author.len();
    Some(bytes.len() - body.len() + before)
}

/// The writer whose beginning a change is, if it is one: it follows from all but its actor.
fn born_by(bytes: &[u8]) -> Option<WriterId> {
    let at = author_at(bytes)?;
    let (before, behind) = (bytes.get(FRAME..at)?, bytes.get(at + ACTOR..)?);
    Some(nobody(&hash::hash(BIRTH, &[before, behind])))
}

/// Puts an author into a change.
fn sign(bytes: &mut [u8], author: &[u8]) -> Option<()> {
    let at = author_at(bytes)?;
    bytes.get_mut(at..at + ACTOR)?.copy_from_slice(author);
    let hash = hash::sha256(bytes.get(FRAME..)?);
    bytes.get_mut(4..FRAME)?.copy_from_slice(hash.get(..4)?);
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_is_told_from_every_device() {
        assert!(is_nobody(&nobody(&[9; 32])));
        let writer = WriterId { device: DeviceId::of_signing_key(&[1; 32]), incarnation: 0 };
        assert!(!is_nobody(&writer));
    }
}
