//! Whole sequences, of a fuzzer's choosing, with real engines and the relay's real rules: entries of
//! a log, and what is said while a device is linked. `cargo xtask fuzz` chooses; here all that was
//! kept is gone through.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Digest, Response};
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Header, Kind};
use sync_protocol::frames::{ClientFrame, MeetEvent, MeetStep, RelayFrame};
use sync_protocol::ids::RendezvousId;
use sync_protocol::{EpochId, SpaceId};

use crate::kit::{Choices, Target};
use crate::support::cheat::{Cheat, Keys, root, stand};
use crate::support::forge::{self, Set};
use crate::support::{Shared, digest, shared, shown};

/// All targets that need a world.
pub(crate) const TARGETS: [Target; 2] = [("entries", entries), ("links", links)];

/// Entries in one input at most.
const MOST: usize = 10;

/// A member that cheats, and all that it wrote.
struct Author {
    cheat: Cheat,
    space: SpaceId,
    keys: Vec<OrderKey>,
    written: Vec<Blob>,
}

impl Author {
    fn edit(&mut self, world: &World, choices: &mut Choices<'_>) -> (Name, Edit) {
        let counter = choices.byte();
        let stamp = Stamp { ms: world.now_ms(), counter: u16::from(counter) };
        let fresh = OrderKey { stamp, tag: self.cheat.writer.tag() };
        let known = self.keys.get(usize::from(counter)).copied();
        let segment = [0, 0, 0, 1, 3, 1 << 16][choices.below(6)];
        let text = format!("{}{counter}", property_tests::MARK);
        let edit = match (choices.below(6), known) {
            (0, Some(key)) => Edit::EditMessage { key, text },
            (1, Some(key)) => Edit::DeleteMessage { key },
            (2, Some(key)) => Edit::React { key, emoji: Some("x".into()) },
            (3, Some(key)) => posted(key, text),
            _ => {
                self.keys.push(fresh);
                posted(fresh, text)
            }
        };
        (Name::Messages(segment), edit)
    }

    /// The next of its entries: good, or wrong in a way that the bytes choose.
    fn entry(&mut self, world: &World, choices: &mut Choices<'_>) -> Blob {
        let how = choices.below(12);
        if let (0, Some(again)) = (how, self.written.get(choices.below(self.written.len()))) {
            return again.clone();
        }
        let (name, edit) = self.edit(world, choices);
        let changes = match how {
            1 => Vec::new(),
            2 => vec![choices.bytes().to_vec()],
            _ => self.changes(world, &name, &edit),
        };
        let mut set = Set::of(name, changes);
        if how == 3 {
            altered(&mut set, choices);
        }
        let envelope = match how {
            4 => self.under(world, &set, choices),
            5 => {
                let commitment = set.commitment();
                self.cheat.content_of(world, self.space, choices.bytes(), commitment)
            }
            _ => self.cheat.content(world, self.space, &set),
        };
        if how == 6 { spoilt(&envelope, choices) } else { envelope }
    }

    /// What an honest device would write, where an edit fits the document at all.
    fn changes(&self, world: &World, name: &Name, edit: &Edit) -> Vec<Vec<u8>> {
        let mut document =
            crate::support::cheat::document(world, self.cheat.device, self.space, name);
        match document.edit(&self.cheat.writer, edit) {
            Ok(_) => document.cut(),
            Err(_) => Vec::new(),
        }
    }

    /// Sealed and signed under an epoch that is none, or at a cursor of its own choosing.
    fn under(&mut self, world: &World, set: &Set, choices: &mut Choices<'_>) -> Blob {
        let now = stand(world, self.cheat.device, self.space);
        let epoch =
            if choices.byte().is_multiple_of(2) { now.epoch } else { EpochId::from_bytes([9; 32]) };
        let cursor = now.next.saturating_sub(u64::from(choices.byte() % 4));
        let keys = root(world, self.cheat.device, self.space, now.epoch);
        let mut header = Header::new(Kind::Content, epoch, cursor);
        let tip = self.cheat.tip(self.space);
        let seq = tip.seq + u64::from(choices.byte() % 3);
        let commitment = set.commitment();
        let link = tip.link.next(&self.cheat.writer, seq, &commitment);
        header.chain = Some(sync_protocol::envelope::Chain { seq, commitment, link });
        let plaintext = codec::encode(&set.plaintext([0; 8]));
        let key = forge::content_key(&keys, &self.cheat.writer);
        self.cheat.sealed(self.space, header, &key, &plaintext)
    }
}

fn posted(key: OrderKey, text: String) -> Edit {
    Edit::Message(NewMessage::new(key, text))
}

/// A change set that says something else than a device would: another schema, name or change.
fn altered(set: &mut Set, choices: &mut Choices<'_>) {
    for item in &mut set.items {
        match choices.below(3) {
            0 => item.schema = choices.byte(),
            1 => item.name = Name::Unknown { kind: 77, argument: vec![0] },
            _ => {
                for change in &mut item.changes {
                    let at = choices.below(change.0.len());
                    change.0.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 5);
                }
            }
        }
    }
}

fn spoilt(envelope: &Blob, choices: &mut Choices<'_>) -> Blob {
    let mut bytes = envelope.0.clone();
    let at = (usize::from(choices.byte()) << 2) % bytes.len();
    bytes[at] ^= choices.byte() | 1;
    Blob(bytes)
}

fn same(one: &Digest, other: &Digest, what: &str) {
    assert_eq!(one.documents, other.documents, "documents {what}");
    assert_eq!(one.frontier, other.frontier, "frontiers {what}");
    assert_eq!(one.view, other.view, "what is shown {what}");
}

/// What a cheating member writes between what others write: read live, late and after a restart it
/// is the same.
pub(crate) fn entries(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::with(7, Plan::calm(3).with_devices()).unhashed();
    world.cheat();
    world.set_bender(Some(Box::new(|_, frame| vec![frame])));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    for device in 0..3 {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let mut author = Author { cheat, space, keys: Vec::new(), written: Vec::new() };
    world.expect(1, Command::GoOffline).unwrap();
    for n in 0..MOST {
        if choices.is_over() {
            break;
        }
        let tip = author.cheat.tip(space);
        let envelope = author.entry(&world, &mut choices);
        author.written.push(envelope.clone());
        let heard = author.cheat.push(&mut world, space, vec![envelope]);
        if !heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))) {
            // It is in no log, and the next has its number.
            author.cheat.set_tip(space, tip);
        }
        match choices.below(6) {
            0 => drop(world.say(0, space).unwrap()),
            1 => {
                let title = format!("{}{n}", property_tests::MARK);
                world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
            }
            2 => {
                world.crash_device(0, 100);
                world.pass(1_000).unwrap();
            }
            _ => {}
        }
        world.pass(3_000).unwrap();
    }
    world.expect(1, Command::GoOnline).unwrap();
    world.settle().unwrap();
    world.say(0, space).unwrap();
    world.settle().unwrap();
    let (live, faces) = (digest(&mut world, 0, space), shown(&mut world, 0, space));
    same(&live, &digest(&mut world, 1, space), "late");
    assert_eq!(faces, shown(&mut world, 1, space), "late");
    world.crash_device(0, 100);
    world.pass(3_000).unwrap();
    world.settle().unwrap();
    same(&live, &digest(&mut world, 0, space), "after a restart");
    assert_eq!(faces, shown(&mut world, 0, space), "after a restart");
}

/// What was said at one rendezvous, and what was heard of it, from the host and from the guest.
#[derive(Default)]
struct Talk {
    said: [Vec<Blob>; 2],
    heard: [Vec<Blob>; 2],
}

/// Somebody at the relay, who keeps, repeats and alters what two devices say to each other.
struct Between {
    data: Vec<u8>,
    at: usize,
    talks: Vec<(RendezvousId, Talk)>,
}

impl Between {
    fn byte(&mut self) -> u8 {
        let byte = self.data.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        byte
    }

    fn talk(&mut self, of: RendezvousId) -> &mut Talk {
        if !self.talks.iter().any(|(known, _)| *known == of) {
            self.talks.push((of, Talk::default()));
        }
        let found = self.talks.iter_mut().find(|(known, _)| *known == of);
        &mut found.unwrap().1
    }

    /// What arrives of something that was said.
    fn passed(&mut self, of: RendezvousId, to: usize, message: Blob) -> Vec<Blob> {
        let (how, which) = (self.byte(), usize::from(self.byte()));
        let mut other = message.clone();
        let at = which % other.0.len().max(1);
        let known: Vec<Blob> = self.talk(of).said.concat();
        let arrives = match how % 32 {
            1 => vec![],
            2 => vec![message.clone(), message],
            3 => {
                other.0.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= how | 1);
                vec![other]
            }
            4 => {
                other.0.truncate(at);
                vec![other]
            }
            5 => known.get(which % known.len().max(1)).cloned().into_iter().collect(),
            6 => known
                .get(which % known.len().max(1))
                .cloned()
                .into_iter()
                .chain([message])
                .collect(),
            7 => {
                other.0.push(how);
                vec![other]
            }
            _ => vec![message],
        };
        self.talk(of).heard[to].extend(arrives.iter().cloned());
        arrives
    }
}

const HOST: usize = 0;
const GUEST: usize = 1;

fn set_between(world: &mut World, between: &Shared<Between>) {
    let heard = between.clone();
    world.set_bender(Some(Box::new(move |device, frame| {
        if let ClientFrame::Meet { rendezvous, step: MeetStep::Say(message) } = &frame {
            let from = if device == 0 { HOST } else { GUEST };
            heard.borrow_mut().talk(*rendezvous).said[from].push(message.clone());
        }
        vec![frame]
    })));
    let between = between.clone();
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Met { rendezvous, event: MeetEvent::Said(message) } => {
            let to = if device == 0 { HOST } else { GUEST };
            let arrives = between.borrow_mut().passed(rendezvous, to, message);
            let said = |message| RelayFrame::Met { rendezvous, event: MeetEvent::Said(message) };
            arrives.into_iter().map(said).collect()
        }
        other => vec![other],
    })));
}

/// Whether all that leads to the digits was heard as it was said.
fn is_sound(talk: &Talk) -> bool {
    let first = |heard: &[Blob], said: &[Blob], count| {
        said.len() >= count && heard.get(..count) == said.get(..count)
    };
    // An invite and the nonce one way, keys and a nonce the other.
    first(&talk.heard[GUEST], &talk.said[HOST], 2) && first(&talk.heard[HOST], &talk.said[GUEST], 1)
}

/// A device is linked while somebody at the relay has their hands on what is said: it is in the log
/// only if both heard all that was said, and the person confirmed it.
pub(crate) fn links(data: &[u8]) {
    let mut world = World::with(8, Plan::calm(1).with_devices()).unhashed();
    world.cheat();
    world.sign_up().unwrap();
    world.settle().unwrap();
    let between = shared(Between { data: data.to_vec(), at: 1, talks: Vec::new() });
    let history = data.first().is_none_or(|first| first.is_multiple_of(2));
    set_between(&mut world, &between);
    let guest = world.begin_link(0, history).unwrap();
    world.pass(400_000).unwrap();
    world.set_meddler(None);
    world.set_bender(None);
    let sound = between.borrow().talks.iter().any(|(_, talk)| is_sound(talk));
    let untouched = between.borrow().at <= 1 || data.len() <= 1;
    world.settle().unwrap();
    let Response::Devices(listed) = world.expect(0, Command::ListDevices).unwrap() else {
        panic!("a list of devices");
    };
    let linked = listed.iter().filter(|view| !view.revoked && !view.current).count();
    assert!(linked <= 1, "one device was offered");
    assert!(linked == 0 || sound, "nothing is linked unless both saw the same");
    assert!(linked == 1 || !untouched, "an honest link comes about");
    if let Some(view) = listed.iter().find(|view| !view.revoked && !view.current)
        && world.device(guest).id.is_some()
    {
        assert_eq!(view.device, Keys::of(&world, guest).device(), "the device that was offered");
    }
}
