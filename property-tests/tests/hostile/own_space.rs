//! A stolen device in its account's own space, where each device may do what an admin may: it takes nobody
//! in and puts nobody out, with a relay's help or without. Once it is ended, all is as it was.

use property_tests::World;
use sync_core::Command;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Envelope, Header, Intent, Kind};
use sync_protocol::frames::{Answer, ClientFrame, Op, Push, RelayFrame, Reply};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::signing::Signed;
use sync_protocol::{AccountId, SpaceId};

use crate::member_history::{Secrets, opened};
use crate::support::cheat::{Cheat, stand};
use crate::support::ways_in::{
    Ticket, TicketBody, TicketPast, epochs, group, handshake, header, log_of, named, read_logs,
    real_commit, take_packages, writer,
};
use crate::support::{account, all_are_heard, forge, honest_again, swap, with_laptop_of};

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

/// Who runs on a device that was linked without history asks for the ticket of the account's own space, which no
/// honest device of that kind needs. It is sealed to each device, and says what came before the link to none
/// that was not there.
#[test]
fn the_ticket_of_the_own_space_tells_a_device_without_history_nothing_from_before_it() {
    let (mut world, space, _) = with_laptop_of(0, 9, 2, &[1]);
    let own = account(&world, 0).space();
    world.say(0, space).unwrap();
    let phone = world.link(0, false).unwrap();
    world.settle().unwrap();
    // The account goes on, and the ticket says how.
    world.link(0, true).unwrap();
    world.settle().unwrap();
    let first = epochs(&world, phone, own).iter().map(|(_, row)| row.number).min().unwrap();
    let before: Vec<_> =
        epochs(&world, 0, own).into_iter().filter(|(_, row)| row.number < first).collect();
    assert!(!before.is_empty(), "there was something before");
    let mut thief = Cheat::with_keys_of(&mut world, phone, 0);
    let (ticket, body) = read_ticket(&mut world, &mut thief, phone, own);
    assert!(codec::decode::<TicketBody>("body", &body).unwrap().grant.epochs.is_empty());
    let tells = |bytes: &[u8], root: &[u8; 32]| bytes.windows(32).any(|window| window == root);
    assert!(before.iter().all(|(_, row)| !tells(&body, &row.root)));
    // Each epoch opens with the root of the one before, and with no other.
    let TicketPast { past: (_, past) } = codec::decode("body", &body).unwrap();
    assert!(before.iter().all(|(epoch, _)| past.iter().any(|(one, _)| one == epoch)));
    let context = [b"ticket".as_slice(), own.as_bytes(), ticket.epoch.as_bytes()].concat();
    let known = epochs(&world, phone, own);
    for (epoch, sealed) in &past {
        let opens = known.iter().any(|(_, row)| {
            let key = forge::chain_key(&row.root);
            forge::try_open(&key, &context, sealed.as_slice()).is_some()
        });
        let number = epochs(&world, 0, own).iter().find(|(one, _)| one == epoch).unwrap().1.number;
        assert_eq!(opens, number > first, "epoch {number}, where the device came in at {first}");
    }
}

/// A space's ticket, opened by the keys of a device.
fn read_ticket(
    world: &mut World,
    by: &mut Cheat,
    device: usize,
    space: SpaceId,
) -> (Ticket, Vec<u8>) {
    let heard = by.ask(world, Op::ReadTicket { space });
    let bytes = heard.into_iter().find_map(|frame| match frame {
        RelayFrame::Reply(Reply { answer: Answer::Ticket { ticket, .. }, .. }) => Some(ticket),
        _ => None,
    });
    let signed: Signed<Ticket> = codec::decode("ticket", bytes.unwrap().as_slice()).unwrap();
    let ticket = signed.peek("ticket").unwrap();
    let records = world.device(device).disk.read(b"iaccount");
    let Secrets { hpke } = codec::decode("account", &records[b"iaccount".as_slice()]).unwrap();
    let id = world.device(device).id.unwrap();
    let log = read_logs(world, by, &[ticket.account]);
    let public = log_of(&log, ticket.account).active(&id).unwrap().keys.hpke;
    let (_, sealed) = ticket.keys.iter().find(|(hint, _)| hint.as_slice() == &public[..8]).unwrap();
    let context = [b"ticket".as_slice(), space.as_bytes(), ticket.epoch.as_bytes()].concat();
    let body = forge::open(&opened(sealed, &hpke, &context), &context, ticket.body.as_slice());
    (ticket, body)
}
