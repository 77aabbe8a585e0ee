//! Lies about the past, told to whoever comes in: words that nobody wrote, a change that is left out
//! or another in its place, and device logs that are longer than they are.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Stamp};
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Envelope, Kind};
use sync_protocol::frames::{ClientFrame, Delivery, Push, RelayFrame, Welcomes};
use sync_protocol::ids::LogHead;
use sync_protocol::{EpochId, SpaceId};

use crate::member_history::{Grant as Given, Secrets, regrant};
use crate::support::cheat::{Cheat, Keys, document, stand};
use crate::support::ways_in::{
    Grant, Handshake, TicketBody, group, header, log_of, read_logs, real_commit, ticket, writer,
};
use crate::support::{
    account, agree, all_are_heard, entries_frame, evidence, honest_again, says, shared, shown,
};

/// So many people of whom the first and some others talk, with a change of title in between.
fn talk(seed: u64, people: usize, with: &[usize]) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(people).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, with).unwrap();
    world.settle().unwrap();
    for n in 0..3 {
        let title = format!("{}{n}", property_tests::MARK);
        world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        world.settle().unwrap();
        for device in [&[0], with].concat() {
            world.say(device, space).unwrap();
        }
        world.settle().unwrap();
    }
    (world, space)
}

/// A message of somebody else's making, as one more of that person's, in a document as it is.
fn put_into_a_mouth(world: &World, device: usize, space: SpaceId, of: usize) -> (Name, Blob) {
    let author = writer(world, of).unwrap();
    let name = Name::Messages(0);
    let mut document = document(world, device, space, &name);
    let stamp = Stamp { ms: world.now_ms(), counter: 1 };
    let message = NewMessage::new(OrderKey { stamp, tag: author.tag() }, "the house is yours");
    document.edit(&author, &Edit::Message(message)).unwrap();
    document.cut();
    (name, Blob(document.snapshot().unwrap()))
}

#[test]
fn a_members_good_commit_puts_no_words_into_anothers_mouth() {
    for (seed, history) in [(1, true), (2, false)] {
        let (mut world, space) = talk(seed, 3, &[1, 2]);
        let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
        let accounts = [account(&world, 0), account(&world, 1), account(&world, 2)];
        let logs = read_logs(&mut world, &mut cheat, &accounts);
        let forged = put_into_a_mouth(&world, 2, space, 1);
        let roster = group(&world, 2, space).context().roster.clone();
        let header = header(&world, 2, space);
        let number = header.number;
        let now = stand(&world, 2, space);
        let made = real_commit(&world, &cheat, space, header, (vec![], vec![]), (roster, vec![]));
        let Handshake { envelope, child, root, group_info, .. } = made;
        let grant = Grant {
            from: now.next,
            log_hash: now.log_hash,
            documents: vec![forged],
            ..Grant::default()
        };
        let join = *log_of(&logs, accounts[0]).join();
        let body =
            TicketBody { group_info: Blob(group_info), root, number, grant, logs, named: vec![] };
        let left = Some(ticket(space, &cheat.keys, child, &body, &[join]));
        let push = Push { space, envelopes: vec![envelope], welcomes: None, ticket: left };
        let heard = cheat.say(&mut world, &ClientFrame::Push(push));
        assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
        world.pass(3_000).unwrap();
        assert_eq!(stand(&world, 0, space).epoch, child, "it is a good commit");
        let laptop = world.link(0, history).unwrap();
        world.pass(60_000).unwrap();
        for device in [0, 1, laptop] {
            world.say(device, space).unwrap();
            world.settle().unwrap();
        }
        let words = shown(&mut world, laptop, space);
        assert!(words.iter().all(|face| !face.text.starts_with("the house")), "{words:?}");
        if history {
            agree(&mut world, &[0, 1, laptop], space);
        }
    }
}

/// The places of a space's handshakes, as the relay shows them to anybody.
fn handshakes(world: &mut World, space: SpaceId) -> Vec<(u64, EpochId, Envelope)> {
    let store = shared(Vec::new());
    let heard = store.clone();
    world.set_meddler(Some(Box::new(move |_, frame| {
        if let RelayFrame::Delivery(Delivery::Entries(entries)) = &frame
            && entries.space == space
        {
            for (at, entry) in (entries.first..).zip(&entries.entries) {
                let envelope = Envelope::parse(entry.envelope.as_slice()).unwrap();
                if envelope.header.kind == Kind::Handshake {
                    heard.borrow_mut().push((at, envelope.header.child.unwrap(), envelope));
                }
            }
        }
        vec![frame]
    })));
    let laptop = world.link(0, true).unwrap();
    world.pass(30_000).unwrap();
    world.settle().unwrap();
    let id = world.device(laptop).id.unwrap();
    world.expect(0, Command::RevokeDevice { device: id }).unwrap();
    world.retire(laptop);
    world.settle().unwrap();
    let mut found = store.borrow().clone();
    found.sort_by_key(|(at, ..)| *at);
    found.dedup_by_key(|(at, ..)| *at);
    found
}

/// What a relay does to one handshake of the past.
#[derive(Clone, Copy, Debug)]
enum Past {
    /// Another's stands in its place.
    Hidden,
    /// The header says less of it, under the real name.
    OtherHeader,
    /// The name is another.
    OtherName,
    /// One bit of the payload is another.
    OtherPayload,
}

#[test]
fn a_relay_that_bends_one_change_of_the_past_shows_no_newcomer_another_group() {
    let lies = [Past::Hidden, Past::OtherHeader, Past::OtherName, Past::OtherPayload];
    for (seed, lie) in (10..).zip(lies) {
        let (mut world, space) = talk(seed, 2, &[1]);
        let past = handshakes(&mut world, space);
        assert!(past.len() > 3);
        let (at, _, real) = past[2].clone();
        let other = past[1].2.to_bytes();
        let bytes = match lie {
            Past::Hidden => other,
            Past::OtherHeader | Past::OtherName => {
                let mut header = real.header.clone();
                if matches!(lie, Past::OtherName) {
                    header.child = Some(EpochId::from_bytes([0xaa; 32]));
                } else {
                    let mut commit = real.commit().unwrap();
                    commit.number += 1;
                    header.commit = Some(Blob(codec::encode(&commit)));
                }
                let keys = Keys::of(&world, 1);
                let writer = writer(&world, 1).unwrap();
                let payload = real.payload().to_vec();
                Envelope::sign(&space, &writer, header, payload, &keys.signing()).to_bytes()
            }
            Past::OtherPayload => {
                let mut bytes = real.to_bytes();
                let end = bytes.len();
                bytes[end - 90] ^= 1;
                bytes
            }
        };
        world.set_meddler(Some(Box::new(move |to, frame| match frame {
            RelayFrame::Delivery(Delivery::Entries(mut entries))
                if to > 2 && entries.space == space =>
            {
                let place = at.checked_sub(entries.first).map(|at| at as usize);
                if let Some(entry) = place.and_then(|at| entries.entries.get_mut(at)) {
                    entry.envelope = Blob(bytes.clone());
                }
                vec![entries_frame(entries)]
            }
            frame => vec![frame],
        })));
        let tablet = world.link(0, true).unwrap();
        world.pass(60_000).unwrap();
        let told = evidence(&mut world, tablet, space);
        let broken = says(&told, "the log does not show how the group came to be");
        assert!(broken || matches!(lie, Past::OtherPayload), "{lie:?}: {told:?}");
        honest_again(&mut world);
        world.pass(120_000).unwrap();
        world.settle().unwrap();
        all_are_heard(&mut world, &[0, 1, tablet], space);
    }
}

/// Ada lets Dora in without the past, and says of Bob's log what is not so.
fn lets_dora_in(seed: u64, lie: impl Fn(&mut Given) + 'static) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(3).with_devices());
    world.cheat();
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    for device in [0, 1] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let inviter = Keys::of(&world, 0);
    let records = world.device(2).disk.read(b"iaccount");
    let secrets: Secrets = codec::decode("account", &records[b"iaccount".as_slice()]).unwrap();
    world.set_bender(Some(Box::new(move |device, mut frame| {
        if let ClientFrame::Push(push) = &mut frame
            && device == 0
            && push.space == space
            && let Some(welcomes) = &mut push.welcomes
        {
            let welcomes: &mut Welcomes = welcomes;
            regrant(welcomes, &inviter, &secrets.hpke, &lie);
        }
        vec![frame]
    })));
    let address = world.book().people[2].address.clone();
    let add = Command::AddMember { conversation: space, address, share_history: false };
    world.expect(0, add).unwrap();
    world.settle().unwrap();
    world.set_bender(None);
    (world, space)
}

#[test]
fn an_inviter_who_says_that_a_log_is_longer_than_it_is_parts_nobody_from_the_others() {
    for (seed, len) in [(20, u64::MAX), (21, 1_000), (22, 1)] {
        let mut peek = World::with(seed, Plan::calm(3).with_devices());
        peek.sign_up().unwrap();
        let bob = account(&peek, 1);
        let (mut world, space) = lets_dora_in(seed, move |grant| {
            grant.heads = vec![(bob, len, LogHead::from_bytes([7; 32]))];
        });
        assert_eq!(account(&world, 1), bob);
        for device in [0, 1, 2] {
            world.say(device, space).unwrap();
        }
        world.settle().unwrap();
        // Bob's devices come and go.
        let laptop = world.link(1, true).unwrap();
        world.pass(60_000).unwrap();
        world.settle().unwrap();
        let epoch = stand(&world, 1, space).epoch;
        for device in [0, 2, laptop] {
            assert_eq!(stand(&world, device, space).epoch, epoch, "{device} is elsewhere ({len})");
        }
        let id = world.device(laptop).id.unwrap();
        world.expect(1, Command::RevokeDevice { device: id }).unwrap();
        world.retire(laptop);
        world.settle().unwrap();
        let title = format!("{}on", property_tests::MARK);
        world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        world.settle().unwrap();
        let said = world.say(1, space).unwrap();
        world.settle().unwrap();
        assert!(shown(&mut world, 2, space).iter().any(|face| face.message == said), "{len}");
        assert_eq!(stand(&world, 2, space).epoch, stand(&world, 1, space).epoch, "{len}");
    }
}
