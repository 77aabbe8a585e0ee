//! The same entries, read as they come, late, from history and after a restart: four times the same.
//!
//! A cheating member writes what is good, what is not, and what is in between; chance says which.

use property_tests::chance::Chance;
use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Digest, Member};
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_protocol::EpochId;
use sync_protocol::SpaceId;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Chain, Envelope, Header, Kind};
use sync_protocol::frames::RelayFrame;
use sync_protocol::ids::Commitment;

use crate::support::cheat::{Cheat, Stand, root, stand};
use crate::support::forge::{self, Set};
use crate::support::{digest, shown};

const WORLDS: u64 = 6;
const ENTRIES: usize = 14;

/// What the cheat's next entry is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Good,
    /// Of a segment of an era that may begin later.
    NextEra,
    /// Of a segment further on.
    FurtherOn,
    /// A message that is there, in any segment.
    Again,
    /// An edit of a message of its own.
    Edited,
    /// Signed under keys that do not count any more.
    OldKeys,
    /// Signed under keys of no epoch.
    NoKeys,
    /// A payload that is not what it commits to.
    OtherPayload,
    /// A signature that does not hold, if the relay takes it.
    Unsigned,
    /// A change set without changes.
    Empty,
    /// Bytes that are no change.
    NoChange,
}

const ALL: [Entry; 11] = [
    Entry::Good,
    Entry::NextEra,
    Entry::FurtherOn,
    Entry::Again,
    Entry::Edited,
    Entry::OldKeys,
    Entry::NoKeys,
    Entry::OtherPayload,
    Entry::Unsigned,
    Entry::Empty,
    Entry::NoChange,
];

/// A cheat, and what it did.
struct Author {
    cheat: Cheat,
    space: SpaceId,
    /// Where its device stood before the last change of members.
    before: Stand,
    keys: Vec<OrderKey>,
    number: u16,
}

impl Author {
    fn edit(&mut self, world: &World, chance: &mut Chance, kind: Entry) -> (Name, Edit) {
        self.number += 1;
        let era = 1 << 16;
        let segment = match kind {
            Entry::NextEra => era,
            Entry::FurtherOn | Entry::Again => u32::try_from(chance.below(4)).unwrap(),
            _ => 0,
        };
        let stamp = Stamp { ms: world.now_ms(), counter: self.number };
        let fresh = OrderKey { stamp, tag: self.cheat.writer.tag() };
        let known = (!self.keys.is_empty()).then(|| self.keys[chance.index(self.keys.len())]);
        let text = format!("{kind:?} {}", self.number);
        let edit = match (kind, known) {
            (Entry::Edited, Some(key)) => Edit::EditMessage { key, text },
            (Entry::Again, Some(key)) => posted(key, text),
            _ => {
                self.keys.push(fresh);
                posted(fresh, text)
            }
        };
        (Name::Messages(segment), edit)
    }

    fn set(&mut self, world: &World, chance: &mut Chance, kind: Entry) -> Set {
        let (name, edit) = self.edit(world, chance, kind);
        let changes = match kind {
            Entry::Empty => Vec::new(),
            Entry::NoChange => vec![vec![7; 40]],
            _ => self.cheat.changes(world, self.space, &name, &[edit]),
        };
        Set::of(name, changes)
    }

    fn envelope(&mut self, world: &World, chance: &mut Chance, kind: Entry) -> Blob {
        let set = self.set(world, chance, kind);
        let tip = self.cheat.tip(self.space);
        let good = self.cheat.content(world, self.space, &set);
        let chain = Envelope::parse(&good.0).unwrap().header.chain.unwrap();
        match kind {
            Entry::OldKeys => self.under(world, self.before.epoch, chain, &set),
            Entry::NoKeys => self.under(world, EpochId::from_bytes([9; 32]), chain, &set),
            Entry::OtherPayload => self.cheat.chained(world, self.space, b"something", chain),
            Entry::Unsigned => {
                let mut bytes = good.0;
                let end = bytes.len();
                bytes[end - 3] ^= 1;
                Blob(bytes)
            }
            _ => {
                assert_eq!(chain.seq, tip.seq + 1);
                good
            }
        }
    }

    /// Sealed and signed under an epoch, as one who has seen everything.
    fn under(&self, world: &World, epoch: EpochId, chain: Chain, set: &Set) -> Blob {
        let now = stand(world, self.cheat.device, self.space);
        let known = epoch == self.before.epoch || epoch == now.epoch;
        let of = if known { epoch } else { now.epoch };
        let root = root(world, self.cheat.device, self.space, of);
        let mut header = Header::new(Kind::Content, epoch, now.next);
        header.chain = Some(chain);
        let plaintext = codec::encode(&set.plaintext([0; 8]));
        let key = forge::content_key(&root, &self.cheat.writer);
        self.cheat.sealed(self.space, header, &key, &plaintext)
    }
}

fn posted(key: OrderKey, text: String) -> Edit {
    Edit::Message(NewMessage::new(key, text))
}

/// A change of members in between, so that there are keys that do not count any more.
fn title(world: &mut World, space: SpaceId, n: usize) {
    let title = format!("{}{n}", property_tests::MARK);
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.pass(3_000).unwrap();
}

fn same(one: &Digest, other: &Digest, what: &str) {
    assert_eq!(one.documents, other.documents, "documents {what}");
    assert_eq!(one.frontier, other.frontier, "frontiers {what}");
    assert_eq!(one.view, other.view, "what is shown {what}");
}

#[test]
fn entries_of_any_kind_are_read_alike_live_late_from_history_and_after_a_restart() {
    let mut made = std::collections::BTreeMap::new();
    for seed in 0..WORLDS {
        let mut chance = Chance::new(seed);
        let mut world = World::with(100 + seed, Plan::calm(5).with_devices());
        world.cheat();
        world.set_bender(Some(Box::new(|_, frame| vec![frame])));
        world.sign_up().unwrap();
        let space = world.converse(0, &[1, 2, 3]).unwrap();
        world.settle().unwrap();
        for device in 0..4 {
            world.say(device, space).unwrap();
        }
        world.settle().unwrap();
        let before = stand(&world, 2, space);
        title(&mut world, space, 0);
        let cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let mut author = Author { cheat, space, before, keys: Vec::new(), number: 0 };
        // Who reads late is away meanwhile.
        world.expect(3, Command::GoOffline).unwrap();
        for n in 0..ENTRIES {
            let kind = ALL[chance.index(ALL.len())];
            *made.entry(kind).or_insert(0u32) += 1;
            let tip = author.cheat.tip(space);
            let envelope = author.envelope(&world, &mut chance, kind);
            let heard = author.cheat.push(&mut world, space, vec![envelope]);
            if !heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))) {
                // It is in no log, and the next has its number.
                author.cheat.set_tip(space, tip);
            }
            world.pass(20_000).unwrap();
            let who = chance.index(2);
            world.say(who, space).unwrap();
            world.pass(5_000).unwrap();
            if n == ENTRIES / 2 {
                author.before = stand(&world, 2, space);
                // An era begins: somebody comes without history, and goes.
                let address = world.book().people[4].address.clone();
                let add = Command::AddMember {
                    conversation: space,
                    address: address.clone(),
                    share_history: false,
                };
                world.expect(0, add).unwrap();
                world.pass(10_000).unwrap();
                let member = Member::Address(address);
                world.expect(0, Command::RemoveMember { conversation: space, member }).unwrap();
                world.pass(10_000).unwrap();
            }
        }
        world.expect(3, Command::GoOnline).unwrap();
        world.settle().unwrap();
        let laptop = world.link(1, true).unwrap();
        world.settle().unwrap();
        world.say(0, space).unwrap();
        world.settle().unwrap();
        let live = digest(&mut world, 0, space);
        let faces = shown(&mut world, 0, space);
        same(&live, &digest(&mut world, 1, space), "by another who was there");
        same(&live, &digest(&mut world, 3, space), "late");
        assert_eq!(faces, shown(&mut world, laptop, space), "{seed}");
        same(&live, &digest(&mut world, laptop, space), "from history");
        world.crash_device(0, 100);
        world.pass(3_000).unwrap();
        world.settle().unwrap();
        same(&live, &digest(&mut world, 0, space), "after a restart");
    }
    println!("{made:?}");
    assert_eq!(made.len(), ALL.len(), "each kind came about");
}

#[test]
fn a_commitment_that_nothing_opens_is_read_alike() {
    let mut world = World::with(99, Plan::calm(3).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let set = Set::of(Name::Messages(0), vec![vec![1]]);
    let plaintext = codec::encode(&set.plaintext([0; 8]));
    let commitment = Commitment::from_bytes([3; 32]);
    let bad = cheat.content_of(&world, space, &plaintext, commitment);
    cheat.store(&mut world, space, vec![bad]);
    let laptop = world.link(0, true).unwrap();
    world.settle().unwrap();
    same(&digest(&mut world, 0, space), &digest(&mut world, laptop, space), "from history");
}
