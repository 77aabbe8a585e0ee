//! How much goes into one push: planned before it is built, and checked once it is.

use sync_protocol::limits;

use crate::api::Failure;

/// What a device's own item takes in a push, in bytes.
pub(in crate::engine) const WAY_IN: usize = 480;
/// What a push has beside its parts, in bytes.
const FRAME: usize = 1024;
/// What the tree has for a leaf, the nodes above it included, in bytes.
const LEAF: usize = 420;
/// What a Welcome has for each device it lets in, in bytes.
const SECRETS: usize = 220;
/// What a member account takes in a ticket, beside its log, in bytes.
const RECIPIENT: usize = 128;
/// What somebody's name and address take at most, in bytes.
const HINT: usize = 400;
/// A commit that adds nobody, in the largest group, in bytes.
const PATH: usize = 32 * 1024;

/// What is left of the bytes of one message.
pub(in crate::engine) struct Room {
    left: usize,
}

impl Room {
    /// A push that has so many bytes already.
    pub(in crate::engine) fn of_push(taken: usize) -> Self {
        Self { left: limits::MESSAGE.saturating_sub(FRAME + taken) }
    }

    pub(in crate::engine) fn left(&self) -> usize {
        self.left
    }

    pub(in crate::engine) fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// Whether something is within its limit.
///
/// # Errors
/// `TooLarge`.
pub(in crate::engine) fn fits(
    what: &'static str,
    size: usize,
    limit: usize,
) -> Result<(), Failure> {
    if size > limit { Err(Failure::TooLarge { what, limit }) } else { Ok(()) }
}

/// What a commit that adds people comes to, as far as that can be said before it is built. Device
/// logs are counted in the handshake alone: elsewhere they go along as far as there is room.
pub(in crate::engine) struct Estimate {
    leaves: usize,
    members: usize,
    handshake: usize,
    secrets: usize,
    grants: usize,
}

impl Estimate {
    /// Nobody added yet, to a group of so many leaves and members; what is granted takes so many
    /// bytes.
    pub(in crate::engine) fn of(leaves: usize, members: usize, grants: usize) -> Self {
        Self { leaves, members, handshake: PATH, secrets: 0, grants }
    }

    /// Adds somebody with these key packages and a log of so many bytes, if there is room.
    pub(in crate::engine) fn add(&mut self, packages: &[usize], log: usize) -> bool {
        let more = Self {
            leaves: self.leaves + packages.len(),
            members: self.members + 1,
            handshake: self.handshake + packages.iter().sum::<usize>() + log + HINT,
            secrets: self.secrets + packages.len() * SECRETS,
            grants: self.grants + HINT,
        };
        let fits = more.fits();
        if fits {
            *self = more;
        }
        fits
    }

    fn fits(&self) -> bool {
        let tree = self.leaves * LEAF;
        let common = tree + self.secrets + self.grants;
        let ticket = tree + self.members * (RECIPIENT + HINT);
        let items = self.secrets / SECRETS * WAY_IN;
        self.handshake <= limits::ENVELOPE_HANDSHAKE
            && common <= limits::WELCOME
            && ticket <= limits::TICKET
            && FRAME + self.handshake + common + ticket + items <= limits::MESSAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_people_with_three_devices_go_by_one_commit() {
        let mut estimate = Estimate::of(1, 1, 4096);
        let added = (0..80).take_while(|_| estimate.add(&[360; 3], 1_800)).count();
        assert_eq!(added, 80);
    }

    #[test]
    fn long_logs_make_several() {
        let mut estimate = Estimate::of(1, 1, 4096);
        let added = (0..80).take_while(|_| estimate.add(&[360; 3], 60_000)).count();
        assert!((3..10).contains(&added), "{added}");
    }

    #[test]
    fn the_largest_person_fits_into_the_largest_group() {
        let mut estimate = Estimate::of(limits::LEAVES - limits::DEVICES, 246, 64 * 1024);
        assert!(estimate.add(&[limits::KEY_PACKAGE; limits::DEVICES], limits::LOG));
    }
}
