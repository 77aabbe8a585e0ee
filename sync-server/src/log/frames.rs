//! What lies in a file of the log: a head, then frames in a row. A frame is what one sync made durable:
//! some commands, with the hash of the frame before it and its own.
//!
//! Hashes are salted with the log's id, which nobody learns: no command that somebody sends can look like a
//! frame.

use sync_protocol::hash::{self, Domain};

use crate::rules::Position;

const HEAD_HASH: Domain = Domain::new("rejoinder relay log head v1");
const FRAME_HASH: Domain = Domain::new("rejoinder relay log frame v1");

/// What every file begins with: name and format.
const MAGIC: [u8; 8] = *b"rjlog\0\0\x01";
/// Bytes of a file's head. Frames begin at multiples of it.
pub(super) const HEAD: usize = 64;
/// Bytes of a frame before its commands.
pub(super) const FRAME_HEAD: usize = 48;
/// The most bytes of a frame's commands.
pub(super) const MOST: usize = 512 * 1024 * 1024;

/// A log's name, drawn at random when it begins.
pub type LogId = [u8; 16];
/// The end of a chain of hashes.
pub(super) type Chain = [u8; 16];

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: LogId,
    /// The position of its first command.
    pub(super) first: Position,
    /// Where the chain stood before.
    pub(super) chain: Chain,
}

impl Head {
    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let parts = [&MAGIC[..], &self.id, &self.first.0.to_be_bytes(), &self.chain];
        let body = parts.concat();
        let check = hash::hash(HEAD_HASH, &[&body]);
        for (to, from) in bytes.iter_mut().zip(body.iter().chain(&check)) {
            *to = *from;
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let (_, rest) = bytes.split_at_checked(MAGIC.len())?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (chain, _) = rest.split_first_chunk::<16>()?;
        let head = Self { id: *id, first: Position(u64::from_be_bytes(*first)), chain: *chain };
        (head.to_bytes() == *bytes).then_some(head)
    }
}

/// What stands before a frame's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of its commands.
    pub(super) len: u32,
    /// How many they are.
    pub(super) count: u32,
    /// The position of the first.
    pub(super) first: Position,
    /// The hash of the frame before it.
    pub(super) before: Chain,
    /// Its own.
    pub(super) own: Chain,
}

impl FrameHead {
    /// The head of a frame of these commands; `None` if they are too many.
    pub(super) fn of(
        id: &LogId,
        (first, count): (Position, u32),
        before: Chain,
        commands: &[u8],
    ) -> Option<Self> {
        let len = u32::try_from(commands.len()).ok().filter(|len| *len as usize <= MOST)?;
        let mut head = Self { len, count, first, before, own: [0; 16] };
        head.own = head.hash(id, commands);
        Some(head)
    }

    pub(super) fn to_bytes(self) -> [u8; FRAME_HEAD] {
        let mut bytes = [0; FRAME_HEAD];
        let body = [&self.fields()[..], &self.own].concat();
        for (to, from) in bytes.iter_mut().zip(body) {
            *to = from;
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8; FRAME_HEAD]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (before, own) = rest.split_first_chunk::<16>()?;
        Some(Self {
            len: u32::from_be_bytes(*len),
            count: u32::from_be_bytes(*count),
            first: Position(u64::from_be_bytes(*first)),
            before: *before,
            own: own.try_into().ok()?,
        })
    }

    fn fields(&self) -> [u8; 32] {
        let mut fields = [0; 32];
        let parts = [
            &self.len.to_be_bytes()[..],
            &self.count.to_be_bytes(),
            &self.first.0.to_be_bytes(),
            &self.before,
        ];
        for (to, from) in fields.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        fields
    }

    fn hash(&self, id: &LogId, commands: &[u8]) -> Chain {
        let hash = hash::hash(FRAME_HASH, &[id, &self.fields(), commands]);
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Whether these are its commands.
    pub(super) fn fits(&self, id: &LogId, commands: &[u8]) -> bool {
        self.hash(id, commands) == self.own
    }

    /// Where the next frame begins, if this one begins here.
    pub(super) fn end(&self, offset: u64) -> u64 {
        aligned(offset + FRAME_HEAD as u64 + u64::from(self.len))
    }
}

/// The next place where a frame can begin.
pub(super) fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(HEAD as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_survive_and_every_flipped_bit_is_noticed() {
        let head = Head { id: [7; 16], first: Position(9), chain: [3; 16] };
        let bytes = head.to_bytes();
        assert_eq!(Head::parse(&bytes), Some(head));
        for bit in 0..HEAD * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::parse(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_fits_its_commands_in_its_place_of_its_log_alone() {
        let id = [7; 16];
        let frame = FrameHead::of(&id, (Position(9), 2), [3; 16], b"commands").unwrap();
        assert_eq!(FrameHead::parse(&frame.to_bytes()), Some(frame));
        assert!(frame.fits(&id, b"commands"));
        assert!(!frame.fits(&[8; 16], b"commands") && !frame.fits(&id, b"command"));
        let bytes = frame.to_bytes();
        for bit in 0..FRAME_HEAD * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!FrameHead::parse(&flipped).unwrap().fits(&id, b"commands"), "bit {bit}");
        }
        assert_eq!((frame.end(64), aligned(128), aligned(129)), (128, 128, 192));
    }
}
