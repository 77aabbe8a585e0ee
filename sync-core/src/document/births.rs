//! Beginnings that are the same whoever makes them.
//!
//! Two who begin a list at one place at once would make two, of which one shows. What is made by
//! [`AppOp::Ensure`](super::AppOp::Ensure) is a change of its own instead, whose bytes follow from the
//! place and the value alone, its author included: it is nobody's. The actor is drawn from the rest of
//! the change, so one actor has one change, and what stands under it can only be what it says.

use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::{DeviceId, WriterId};

use super::ChangeHash;
use super::columns::Reader;
use super::decode::open_chunk;

/// The writer of a beginning, from its change.
const BIRTH: Domain = Domain::new("rejoinder document birth v1");
/// An actor's length.
pub(super) const ACTOR: usize = 16;
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
pub(super) fn born_by(bytes: &[u8]) -> Option<WriterId> {
    let at = author_at(bytes)?;
    let (before, behind) = (bytes.get(FRAME..at)?, bytes.get(at + ACTOR..)?);
    Some(nobody(&hash::hash(BIRTH, &[before, behind])))
}

/// Puts an author into a change.
pub(super) fn sign(bytes: &mut [u8], author: &[u8]) -> Option<()> {
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
