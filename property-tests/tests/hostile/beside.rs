//! Lies beside those that are known: by what somebody signs twice, leaves out, leaves undone, or says
//! in another order.

use property_tests::{Plan, World};
use sync_core::Command;
use sync_core::api::{Response, Space};
use sync_core::document::{AppOp, Document, Edit, Name, Step};
use sync_core::group::{Change, Context, Group, Identity};
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{Action, LogEntry, RecoveryKeys, sign_entry};
use sync_protocol::envelope::{Chain, CommitHeader, Header, Kind};
use sync_protocol::frames::{
    Answer, ClientFrame, Op, Push, RelayFrame, Reply, WelcomeFor, Welcomes,
};
use sync_protocol::frontier::Tip;
use sync_protocol::ids::Link;
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::text::BASE64;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use crate::support::cheat::{Cheat, Keys, stand};
use crate::support::forge::{self, Set};
use crate::support::ways_in::{
    Grant, Guest, Logs, SealedCommit, Tap, group, handshake, head_of, header, invitation, log_of,
    named, read_log, read_logs, real_commit, take_packages, writer,
};
use crate::support::{account, digest, talk, with_laptop_of};
use crate::told::{frontier, leaves_a_ticket};

/// How far apart numbers are that nobody comes to by counting.
const LAST: u64 = u64::MAX;

/// A log with one more entry, signed by its primary.
fn grown(log: &[Blob], keys: &Keys, action: Action) -> Vec<Blob> {
    let (index, previous) = (log.len() as u64, head_of(log));
    let entry = LogEntry { version: 1, index, previous, action, escrow: None };
    let entry = Blob(sign_entry(&keys.account, &entry, &keys.signing()));
    [log, &[entry]].concat()
}

/// Another recovery code: an entry that changes nothing for others.
fn another_code(n: u8) -> Action {
    Action::SetRecovery { recovery: RecoveryKeys { signing: [n; 32], hpke: [n; 32] } }
}

/// The relay takes the last entry of a log.
fn publish(world: &mut World, cheat: &mut Cheat, log: &[Blob]) {
    let (entry, before) = log.split_last().unwrap();
    let index = before.len() as u64;
    let heard = cheat.ask(world, Op::AppendLog { index, entry: entry.clone(), rendezvous: None });
    let is_done =
        |frame: &RelayFrame| matches!(frame, RelayFrame::Reply(Reply { answer: Answer::Done, .. }));
    assert!(heard.iter().any(is_done), "{heard:?}");
}

/// The relay takes a push.
fn push(world: &mut World, cheat: &mut Cheat, push: Push) {
    let heard = cheat.say(world, &ClientFrame::Push(push));
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
}

fn handshake_alone(space: SpaceId, envelope: Blob) -> Push {
    Push { space, envelopes: vec![envelope], welcomes: None, ticket: None }
}

/// Whether a device shows a message.
fn shows(
    world: &mut World,
    device: usize,
    space: SpaceId,
    said: sync_core::document::OrderKey,
) -> bool {
    world.messages(device, space).is_ok_and(|all| all.iter().any(|one| one.message == said))
}

/// A member signs two entries for one place of its log: the relay has one, and a commit that all take
/// names the other. Then it changes its join key, and everybody wants to leave it a ticket.
#[test]
fn a_member_with_two_logs_parts_nobody_from_the_others() {
    let (mut world, space) = talk(950, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let keys = cheat.keys.clone();
    let log = read_log(&mut world, &mut cheat, keys.account);
    world.expect(2, Command::GoOffline).unwrap();
    let published = grown(&log, &keys, another_code(7));
    publish(&mut world, &mut cheat, &published);
    world.pass(20_000).unwrap();
    let logs: Logs = vec![(keys.account, grown(&log, &keys, another_code(8)))];
    let header = CommitHeader { logs: named(&logs), ..header(&world, 2, space) };
    let roster = group(&world, 2, space).context().roster.clone();
    let made = real_commit(&world, &cheat, space, header, (vec![], vec![]), (roster, logs));
    push(&mut world, &mut cheat, handshake_alone(space, made.envelope));
    world.pass(5_000).unwrap();
    for device in [0, 1] {
        assert_eq!(stand(&world, device, space).epoch, made.child, "all take it");
    }
    let rotated = grown(&published, &keys, Action::RotateJoinKey { join: [9; 32] });
    publish(&mut world, &mut cheat, &rotated);
    world.pass(120_000).unwrap();
    let said = [0, 1].map(|device| world.say(device, space).unwrap());
    world.pass(120_000).unwrap();
    for device in [0, 1] {
        for said in said {
            assert!(shows(&mut world, device, space, said), "{device} is alone where it is");
        }
    }
    assert_eq!(stand(&world, 0, space).epoch, stand(&world, 1, space).epoch);
}

/// A ticket that says that Bob's phone has had as many lives as a device may have, and not the one in
/// which it writes.
#[test]
fn a_ticket_that_names_writers_who_never_were_mutes_nobody() {
    let (mut world, space) = leaves_a_ticket(952, Role::Member, |world, grant| {
        let bob = writer(world, 1).unwrap();
        grant.frontier.retain(|(one, ..)| one.device != bob.device);
        let lives = (1..=64).map(|incarnation| WriterId { incarnation, ..bob });
        grant.frontier.extend(lives.map(|one| (one, 1, Link::from_bytes([7; 32]))));
    });
    let laptop = world.link(0, false).unwrap();
    world.pass(600_000).unwrap();
    let said = world.say(1, space).unwrap();
    world.pass(300_000).unwrap();
    let told = std::mem::take(&mut world.device_mut(laptop).evidence);
    assert!(shows(&mut world, laptop, space, said), "Bob is muted: {told:?}");
}

/// Whoever lets somebody in says how far they have written there themselves.
#[test]
fn a_grant_that_says_how_far_its_reader_has_written_silences_nobody() {
    for seq in [1 << 40, LAST] {
        let mut world = World::with(953, Plan::calm(4).with_devices());
        world.sign_up().unwrap();
        let tap = Tap::on(&mut world, |_, _| false);
        let space = world.converse(0, &[1, 2]).unwrap();
        for device in [0, 1, 2] {
            world.settle().unwrap();
            world.say(device, space).unwrap();
        }
        world.settle().unwrap();
        let mut frontier = frontier(&world, &tap, space, &[0, 1, 2]);
        frontier.push((writer(&world, 3).unwrap(), seq, Link::from_bytes([7; 32])));
        world.set_bender(None);
        let mut cheat = Cheat::with_keys_of(&mut world, 0, 0);
        world.expect(0, Command::GoOffline).unwrap();
        let grant = Grant {
            frontier,
            from: stand(&world, 0, space).next,
            log_hash: stand(&world, 0, space).log_hash,
            ..Grant::default()
        };
        lets_in(&mut world, &mut cheat, space, 3, &grant);
        world.pass(60_000).unwrap();
        let said = world.say(3, space).unwrap();
        world.pass(120_000).unwrap();
        let told = std::mem::take(&mut world.device_mut(3).evidence);
        assert!(shows(&mut world, 1, space, said), "{seq}: who was let in is mute: {told:?}");
        assert!(told.is_empty(), "{seq}: the relay did nothing: {told:?}");
    }
}

/// An admin's commit and invitation, good but for what the grant says.
fn lets_in(world: &mut World, cheat: &mut Cheat, space: SpaceId, person: usize, grant: &Grant) {
    let everybody: Vec<AccountId> = (0..4).map(|one| account(world, one)).collect();
    let guest = everybody[person];
    let logs = read_logs(world, cheat, &everybody);
    let taken = take_packages(world, cheat, guest).remove(0);
    let (device, package) = (taken.device, taken.package.0);
    let change = RosterChange::Add { account: guest, role: Role::Member, devices: vec![device] };
    let mut roster = group(world, cheat.device, space).context().roster.clone();
    roster.follow(std::slice::from_ref(&change));
    let of_guest: Logs = logs.iter().filter(|(of, _)| *of == guest).cloned().collect();
    let header = CommitHeader {
        roster: vec![change],
        logs: named(&of_guest),
        ..header(world, cheat.device, space)
    };
    let into = (roster, of_guest);
    let made = real_commit(world, cheat, space, header, (vec![package], vec![]), into);
    let hpke = log_of(&logs, guest).active(&device).unwrap().keys.hpke;
    let item = invitation(
        &cheat.keys,
        (space, made.child),
        &Guest { device, hpke },
        (made.welcome, logs),
        grant,
    );
    let items = vec![WelcomeFor { account: guest, device, item: item.item }];
    let welcomes = Some(Welcomes { common: item.common.unwrap(), items });
    push(world, cheat, Push { welcomes, ..handshake_alone(space, made.envelope) });
}

/// A member begins an era; gives the handshake, where it leads and that epoch's root.
fn begins_an_era(world: &World, cheat: &Cheat, space: SpaceId) -> (Blob, EpochId, [u8; 32]) {
    let mut group = group(world, cheat.device, space);
    let era = group.context().era + 1;
    let header = CommitHeader { era, ..header(world, cheat.device, space) };
    let identity = Identity::new(cheat.keys.account, cheat.keys.signing());
    let context = Context { era, ..group.context().clone() };
    let change = Change { add: vec![], remove: vec![], context };
    let hash = CommitHeader::hash(&codec::encode(&header));
    let made = group.commit(&identity, &change, &hash, [9; 32]).unwrap();
    let binding = Group::binding_of(&made.group_info).unwrap();
    let commitment = forge::key_commitment(&made.child_root, &binding);
    let sealed = SealedCommit { message: Blob(made.message), logs: vec![], people: vec![] };
    let sealed = codec::encode(&sealed);
    let (envelope, child) = handshake(world, cheat, space, &header, (commitment, &sealed));
    (envelope, child, *made.child_root)
}

/// The next of a cheat's chain, under the keys of an epoch that its device is not in yet.
fn content_in(
    cheat: &mut Cheat,
    space: SpaceId,
    (epoch, root, cursor): (EpochId, [u8; 32], u64),
    set: &Set,
) -> Blob {
    let (tip, commitment) = (cheat.tip(space), set.commitment());
    let seq = tip.seq + 1;
    let link = tip.link.next(&cheat.writer, seq, &commitment);
    cheat.set_tip(space, Tip { seq, link });
    let mut header = Header::new(Kind::Content, epoch, cursor);
    header.chain = Some(Chain { seq, commitment, link });
    let plaintext = codec::encode(&set.plaintext([0; 8]));
    cheat.sealed(space, header, &forge::content_key(&root, &cheat.writer), &plaintext)
}

fn put(key: &str, json: &str) -> AppOp {
    AppOp::Put { path: vec![Step::from(key)], value: Blob(json.as_bytes().to_vec()) }
}

fn put_bytes(key: &str, bytes: &[u8]) -> AppOp {
    put(key, &format!("{{\"$bytes\":\"{}\"}}", BASE64.encode(bytes)))
}

/// What a member hands over in two changes, of which the one that ends it builds on the other.
fn in_two_changes(space: SpaceId, by: WriterId) -> [Vec<u8>; 2] {
    let nobody = WriterId { device: DeviceId::from_bytes([0; 33]), incarnation: 0 };
    let mut plan = Document::new(space, Name::App(1, "plan".into()));
    plan.edit(&nobody, &Edit::App { ops: vec![put("by mallory", "1")] }).unwrap();
    let plan: Vec<Blob> = plan.cut().into_iter().map(Blob).collect();
    let mut carried = Document::new(space, Name::Carried(1));
    carried.edit(&by, &Edit::App { ops: vec![put("first", "1")] }).unwrap();
    let first = carried.cut().remove(0);
    let part = codec::encode(&("plan".to_owned(), plan));
    let ops = vec![put_bytes("0", &part), put_bytes("end", &[])];
    carried.edit(&by, &Edit::App { ops }).unwrap();
    [first, carried.cut().remove(0)]
}

/// A member begins an era and ends at once what it hands over, by a change that builds on another,
/// which comes later. Ada reads each as it comes, Bob all of it at once.
#[test]
fn what_is_handed_over_is_the_same_for_who_reads_at_once_and_who_reads_later() {
    let (mut world, space) = talk(954, 3, &[1, 2]);
    let of = Space::Conversation(space);
    let ops = vec![put("by ada", "1")];
    world.expect(0, Command::ChangeDocument { space: of, name: "plan".into(), ops }).unwrap();
    world.settle().unwrap();
    for device in [1, 2] {
        world.expect(device, Command::GoOffline).unwrap();
    }
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let [first, last] = in_two_changes(space, cheat.writer);
    let (envelope, child, root) = begins_an_era(&world, &cheat, space);
    let cursor = stand(&world, 2, space).next + 1;
    let set = Set::of(Name::Carried(1), vec![last]);
    let end = content_in(&mut cheat, space, (child, root, cursor), &set);
    push(&mut world, &mut cheat, Push { envelopes: vec![envelope, end], ..nothing(space) });
    world.pass(30_000).unwrap();
    assert_eq!(stand(&world, 0, space).epoch, child);
    let set = Set::of(Name::Carried(1), vec![first]);
    let before = content_in(&mut cheat, space, (child, root, cursor), &set);
    push(&mut world, &mut cheat, handshake_alone(space, before));
    world.pass(30_000).unwrap();
    world.expect(1, Command::GoOnline).unwrap();
    world.pass(60_000).unwrap();
    let plans = [0, 1].map(|device| {
        let read = Command::ReadDocument { space: of, name: "plan".into(), path: vec![] };
        match world.expect(device, read).unwrap() {
            Response::Value(value) => value,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(plans[0], plans[1], "one log, two contents");
    let documents = [0, 1].map(|device| digest(&mut world, device, space).documents);
    assert_eq!(documents[0], documents[1]);
}

fn nothing(space: SpaceId) -> Push {
    Push { space, envelopes: vec![], welcomes: None, ticket: None }
}

/// What a device calls somebody.
fn called(world: &mut World, device: usize, space: SpaceId, account: AccountId) -> String {
    let Response::Conversations(all) = world.expect(device, Command::ListConversations).unwrap()
    else {
        panic!("no list")
    };
    let view = all.into_iter().find(|view| view.conversation == space).unwrap();
    view.members.into_iter().find(|member| member.account == account).unwrap().name
}

/// A thief with Bob's laptop gives him a name with the highest number there is. Once the laptop was ended,
/// what Bob is called is his to say, as often as he likes.
#[test]
fn a_stolen_device_gives_no_name_that_stays() {
    let (mut world, space, laptop) = with_laptop_of(1, 958, 2, &[1]);
    for device in [0, 1] {
        world.say(device, space).unwrap();
        world.settle().unwrap();
    }
    let (bob, id) = (account(&world, 1), world.device(laptop).id.unwrap());
    let mut thief = Cheat::with_keys_of(&mut world, laptop, 0);
    let value = format!("{{\"name\":\"Mallory\",\"version\":{LAST}}}");
    let edit =
        Edit::Setting { key: format!("profile/name/{id}"), value: Some(Blob(value.into_bytes())) };
    let changes = thief.changes(&world, bob.space(), &Name::Settings, &[edit]);
    thief.write(&mut world, bob.space(), &Set::of(Name::Settings, changes));
    assert_eq!(called(&mut world, 0, space, bob), "Mallory");
    world.expect(1, Command::SetName { name: "meanwhile".to_owned() }).unwrap();
    world.settle().unwrap();
    world.expect(1, Command::RevokeDevice { device: id }).unwrap();
    world.retire(laptop);
    world.settle().unwrap();
    for name in ["first", "second"] {
        world.expect(1, Command::SetName { name: name.to_owned() }).unwrap();
        world.settle().unwrap();
        assert_eq!(called(&mut world, 0, space, bob), name);
    }
}
