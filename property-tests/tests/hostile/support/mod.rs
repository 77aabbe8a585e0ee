//! What the attacks share: a small conversation, and what its honest members must agree on.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod ways_in;

use std::cell::RefCell;
use std::rc::Rc;

pub use property_tests::adversary::{cheat, forge};
use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Digest, MessageView, Space};
use sync_core::document::OrderKey;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{ClientFrame, Delivery, Entries, RelayFrame};
use sync_protocol::{AccountId, DeviceId, SpaceId, WriterId};

/// Shared with a closure that sits on the wire.
pub type Shared<T> = Rc<RefCell<T>>;

pub fn shared<T>(value: T) -> Shared<T> {
    Rc::new(RefCell::new(value))
}

/// So many people in one conversation, each of whom said something; nothing goes wrong by itself.
pub fn conversation(seed: u64, people: usize) -> (World, SpaceId) {
    conversation_in(World::with(seed, Plan::calm(people)), people)
}

/// The same, in a world in which people have many devices.
pub fn conversation_of_devices(seed: u64, people: usize) -> (World, SpaceId) {
    conversation_in(World::with(seed, Plan::calm(people).with_devices()), people)
}

fn conversation_in(mut world: World, people: usize) -> (World, SpaceId) {
    world.sign_up().unwrap();
    let others: Vec<usize> = (1..people).collect();
    let space = world.converse(0, &others).unwrap();
    world.settle().unwrap();
    for device in 0..people {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    (world, space)
}

/// People with many devices; the first and some others talk.
pub fn talk(seed: u64, people: usize, with: &[usize]) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(people).with_devices());
    world.sign_up().unwrap();
    let space = world.converse(0, with).unwrap();
    world.settle().unwrap();
    for device in [&[0], with, &[0]].concat() {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    (world, space)
}

/// So many people, the first of whom talks with some others; one has a laptop as well, which is given. What
/// its keys can do is for a cheat to try.
pub fn with_laptop_of(
    owner: usize,
    seed: u64,
    people: usize,
    with: &[usize],
) -> (World, SpaceId, usize) {
    let mut world = World::with(seed, Plan::calm(people).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, with).unwrap();
    world.settle().unwrap();
    let laptop = world.link(owner, true).unwrap();
    world.settle().unwrap();
    (world, space, laptop)
}

/// The account that a person has.
pub fn account(world: &World, person: usize) -> AccountId {
    world.book().account_of(person).unwrap()
}

/// Whether a device has a person as a member of a conversation.
pub fn is_member(world: &World, device: usize, space: SpaceId, person: usize) -> bool {
    cheat::roster(world, device, space).role(&account(world, person)).is_some()
}

/// The relay keeps what one device says of this kind, the last of it.
fn keeps_what_is_said(world: &mut World, of: usize, kind: Kind) -> Shared<Option<Blob>> {
    let kept = shared(None);
    let heard = kept.clone();
    world.set_bender(Some(Box::new(move |device, frame| {
        if let ClientFrame::Push(push) = &frame
            && device == of
        {
            let is_it = |bytes: &&Blob| {
                Envelope::parse(bytes.as_slice()).is_ok_and(|one| one.header.kind == kind)
            };
            let last = push.envelopes.iter().rev().find(is_it);
            *heard.borrow_mut() = last.cloned().or_else(|| heard.borrow().clone());
        }
        vec![frame]
    })));
    kept
}

/// Somebody leaves a conversation and is put back; gives the wish to leave that was carried out.
pub fn leaves_and_comes_back(world: &mut World, space: SpaceId, person: usize) -> Blob {
    let wish = keeps_what_is_said(world, person, Kind::Intent);
    world.expect(person, Command::Leave { conversation: space }).unwrap();
    world.pass(60_000).unwrap();
    world.settle().unwrap();
    world.set_bender(None);
    let address = world.book().people[person].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: true };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    wish.take().unwrap()
}

/// At one place in a space's log, the relay shows everybody another entry than was pushed there.
pub fn swap(world: &mut World, space: SpaceId, at: u64, by: WriterId, envelope: Blob) {
    world.set_meddler(Some(Box::new(move |_, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(mut entries)) if entries.space == space => {
            swap_in(&mut entries, at, by, &envelope);
            vec![entries_frame(entries)]
        }
        frame => vec![frame],
    })));
}

fn swap_in(entries: &mut Entries, at: u64, by: WriterId, envelope: &Blob) {
    let Some(entry) = at.checked_sub(entries.first) else { return };
    let Some(entry) = entries.entries.get_mut(entry as usize) else { return };
    entries.writers.push(by);
    entry.writer = u32::try_from(entries.writers.len() - 1).unwrap();
    entry.envelope = envelope.clone();
}

/// The relay turns honest, and its devices meet it anew.
pub fn honest_again(world: &mut World) {
    world.set_meddler(None);
    world.set_tamperer(None);
    world.set_bender(None);
    for device in (0..world.devices()).filter(|n| !world.device(*n).retired).collect::<Vec<_>>() {
        world.expect(device, Command::GoOffline).unwrap();
        world.expect(device, Command::GoOnline).unwrap();
    }
    world.settle().unwrap();
}

/// What a message shows to everybody alike: all but its receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    pub message: OrderKey,
    pub author: (AccountId, DeviceId),
    pub text: String,
    pub at_ms: u64,
    pub deleted: bool,
}

impl From<MessageView> for Face {
    fn from(view: MessageView) -> Self {
        let author = (view.author, view.device);
        let MessageView { message, text, at_ms, deleted, .. } = view;
        Self { message, author, text, at_ms, deleted }
    }
}

/// All that a device shows of a conversation.
pub fn shown(world: &mut World, device: usize, space: SpaceId) -> Vec<Face> {
    world.messages(device, space).unwrap().into_iter().map(Face::from).collect()
}

pub fn digest(world: &mut World, device: usize, space: SpaceId) -> Digest {
    world.digest(device, Space::Conversation(space)).unwrap()
}

/// These devices hold the same: heads, content and view; gives what they show.
pub fn agree(world: &mut World, devices: &[usize], space: SpaceId) -> Vec<Face> {
    let first = (digest(world, devices[0], space), shown(world, devices[0], space));
    for device in &devices[1..] {
        let other = (digest(world, *device, space), shown(world, *device, space));
        assert_eq!(first.0.frontier, other.0.frontier, "frontiers on {device}");
        assert_eq!(first.0.documents, other.0.documents, "documents on {device}");
        assert_eq!(first.1, other.1, "what {device} shows");
        assert_eq!(first.0.view, other.0.view, "the view on {device}");
    }
    first.1
}

/// All that was written and acknowledged in a conversation is shown by a device.
pub fn nothing_is_missing(world: &mut World, device: usize, space: SpaceId) {
    let shown = shown(world, device, space);
    let written = world.book().written.keys().filter(|(of, _)| *of == space);
    let written: Vec<OrderKey> = written.map(|(_, key)| *key).collect();
    for key in written {
        assert!(shown.iter().any(|face| face.message == key), "{device} misses {key}");
    }
}

/// Each of these says something, one after the other; all agree, and the last misses nothing.
pub fn all_are_heard(world: &mut World, devices: &[usize], space: SpaceId) {
    for device in devices {
        world.say(*device, space).unwrap();
        world.settle().unwrap();
    }
    agree(world, devices, space);
    nothing_is_missing(world, devices[devices.len() - 1], space);
}

/// Members still change what they may, write and agree.
pub fn the_group_goes_on(world: &mut World, space: SpaceId, devices: &[usize]) {
    let title = format!("{}still here", property_tests::MARK);
    world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
    world.settle().unwrap();
    for device in devices {
        world.say(*device, space).unwrap();
    }
    world.settle().unwrap();
    agree(world, devices, space);
    for device in devices {
        nothing_is_missing(world, *device, space);
    }
}

/// What a device told its user of a conversation since the last time.
pub fn evidence(world: &mut World, device: usize, space: SpaceId) -> Vec<String> {
    let told = std::mem::take(&mut world.device_mut(device).evidence);
    told.into_iter().filter(|(of, _)| *of == space).map(|(_, what)| what).collect()
}

pub fn says(evidence: &[String], what: &str) -> bool {
    evidence.iter().any(|said| said.contains(what))
}

/// A relay that passes on to one device what `lie` makes of the entries of a conversation, and to
/// all others what there is.
pub fn lie_to(
    world: &mut World,
    victim: usize,
    space: SpaceId,
    mut lie: impl FnMut(Entries) -> Vec<Entries> + 'static,
) {
    world.set_meddler(Some(Box::new(move |device, frame| match frame {
        RelayFrame::Delivery(Delivery::Entries(entries))
            if device == victim && entries.space == space =>
        {
            lie(entries).into_iter().map(entries_frame).collect()
        }
        other => vec![other],
    })));
}

pub fn entries_frame(entries: Entries) -> RelayFrame {
    RelayFrame::Delivery(Delivery::Entries(entries))
}

/// A delivery entry by entry.
pub fn one_by_one(entries: &Entries) -> Vec<Entries> {
    let each = (entries.first..).zip(&entries.entries);
    each.map(|(first, entry)| Entries { first, entries: vec![entry.clone()], ..entries.clone() })
        .collect()
}
