//! A stolen device in its account's own space, where each device may do what an admin may: it takes nobody
//! in and puts nobody out, with a relay's help or without. Once it is ended, all is as it was.

use property_tests::World;
use sync_core::Command;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::{CommitHeader, Envelope, Header, Intent, Kind};
use sync_protocol::frames::{ClientFrame, Push};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::{AccountId, SpaceId};

use crate::support::cheat::{Cheat, stand};
use crate::support::ways_in::{
    group, handshake, header, named, read_logs, real_commit, take_packages, writer,
};
use crate::support::{account, all_are_heard, honest_again, swap, with_laptop_of};

/// Ada, whose laptop a thief has, Bob, and a stranger.
struct Theft {
    world: World,
    /// Where Ada and Bob talk.
    space: SpaceId,
    ada: AccountId,
    /// Ada's own space.
    own: SpaceId,
    laptop: usize,
    thief: Cheat,
}

impl Theft {
    fn begin(seed: u64) -> Self {
        let (mut world, space, laptop) = with_laptop_of(0, seed, 3, &[1]);
        for device in [0, 1, laptop] {
            world.say(device, space).unwrap();
            world.settle().unwrap();
        }
        let thief = Cheat::with_keys_of(&mut world, laptop, 0);
        let ada = account(&world, 0);
        Self { world, space, ada, own: ada.space(), laptop, thief }
    }

    /// The thief says something in the own space; a relay that helps shows it to all, whatever its rules
    /// say.
    fn says(&mut self, envelope: Blob, relay_helps: bool) {
        let (world, own) = (&mut self.world, self.own);
        if relay_helps {
            let author = writer(world, self.laptop).unwrap();
            let author =
                sync_protocol::WriterId { incarnation: self.thief.writer.incarnation, ..author };
            let at = stand(world, 0, own).next;
            swap(world, own, at, author, envelope);
            // Something has to stand there.
            let header = header(world, self.laptop, own);
            let (garbage, _) = handshake(world, &self.thief, own, &header, ([1; 32], b"x"));
            self.thief.say(world, &pushing(own, garbage));
        } else {
            self.thief.say(world, &pushing(own, envelope));
        }
        world.pass(20_000).unwrap();
    }

    /// Ada ends the laptop, and links a tablet: it has all, and nobody else does.
    fn ends_well(self) {
        let Self { mut world, space, ada, own, laptop, .. } = self;
        let id = world.device(laptop).id.unwrap();
        world.expect(0, Command::RevokeDevice { device: id }).unwrap();
        world.retire(laptop);
        honest_again(&mut world);
        let tablet = world.link(0, true).unwrap();
        world.settle().unwrap();
        all_are_heard(&mut world, &[0, 1, tablet], space);
        for device in [0, tablet] {
            let leaves = group(&world, device, own).leaves();
            assert!(leaves.iter().all(|leaf| leaf.account == ada && leaf.device != id));
        }
    }
}

fn pushing(space: SpaceId, envelope: Blob) -> ClientFrame {
    ClientFrame::Push(Push { space, envelopes: vec![envelope], welcomes: None, ticket: None })
}

/// The thief adds a stranger to the own space by a commit that is good in all else: the stranger would go
/// on to read all that the account's devices keep for one another, after the laptop was ended.
#[test]
fn a_stolen_device_takes_no_stranger_into_its_accounts_own_space() {
    for relay_helps in [false, true] {
        let mut theft = Theft::begin(960);
        let Theft { world, own, laptop, thief, .. } = &mut theft;
        let stranger = account(world, 2);
        let taken = take_packages(world, thief, stranger);
        let devices = taken.iter().map(|taken| taken.device).collect();
        let packages = taken.into_iter().map(|taken| taken.package.0).collect();
        let logs = read_logs(world, thief, &[stranger]);
        let add = RosterChange::Add { account: stranger, role: Role::Admin, devices };
        let mut roster = group(world, *laptop, *own).context().roster.clone();
        roster.follow(std::slice::from_ref(&add));
        let header =
            CommitHeader { roster: vec![add], logs: named(&logs), ..header(world, *laptop, *own) };
        let made = real_commit(world, thief, *own, header, (packages, vec![]), (roster, logs));
        theft.says(made.envelope, relay_helps);
        let leaves = group(&theft.world, 0, theft.own).leaves();
        let is_alone = leaves.iter().all(|leaf| leaf.account == theft.ada);
        assert!(is_alone, "{relay_helps}: a stranger is in the account's own space");
        theft.ends_well();
    }
}

/// The thief says that the account leaves its own space.
#[test]
fn a_stolen_device_leaves_its_accounts_own_space_in_nobodys_name() {
    for relay_helps in [false, true] {
        let mut theft = Theft::begin(961);
        let now = stand(&theft.world, theft.laptop, theft.own);
        let mut header = Header::new(Kind::Intent, now.epoch, now.next);
        header.intent = Some(Intent::Leave);
        let signing = theft.thief.keys.signing();
        let wish = Envelope::sign(&theft.own, &theft.thief.writer, header, Vec::new(), &signing);
        theft.says(Blob(wish.to_bytes()), relay_helps);
        theft.ends_well();
    }
}

/// The thief signs a change that puts the account out of its own space, and behind which there is nothing.
#[test]
fn a_change_that_puts_an_account_out_of_its_own_space_counts_nowhere() {
    for relay_helps in [false, true] {
        let mut theft = Theft::begin(962);
        let Theft { world, own, laptop, thief, ada, .. } = &mut theft;
        let roster = vec![RosterChange::Remove { account: *ada }];
        let header = CommitHeader { roster, ..header(world, *laptop, *own) };
        let (envelope, _) = handshake(world, thief, *own, &header, ([1; 32], b"x"));
        theft.says(envelope, relay_helps);
        theft.ends_well();
    }
}
