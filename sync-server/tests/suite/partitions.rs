//! Commands of two partitions commute: every interleaving leads to the same state.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{WelcomeFor, Welcomes};
use sync_protocol::ids::{AccountId, RelayId, SpaceId};
use sync_server::relay::Identity;
use sync_server::rules::{
    AccountDevice, Action, Command, CommandId, Effect, Fault, InboxFrom, Invite, Logged, Position,
    Sealed, State, TokenHash, apply, apply_at,
};
use sync_server::store::{MemoryStore, Table};

use crate::support::{Device, add, join, remove, space};

const IDENTITY: Identity = Identity { relay: RelayId::from_bytes([1; 32]), generation: 5 };

fn push(device: &Device, space: SpaceId, envelopes: Vec<Blob>, time_ms: u64) -> Command {
    let envelopes = envelopes.into_iter().map(|bytes| Sealed::parse(bytes).unwrap()).collect();
    let action = Action::Push {
        space,
        account: device.account,
        writer: device.writer(),
        envelopes,
        welcomes: None,
        ticket: None,
    };
    Command::new(time_ms, action)
}

/// What a space's commands are made of: two writers, a join, a removal, duplicates and gaps.
fn space_story(id: SpaceId, seed: u64) -> Vec<Command> {
    let (mut ada, mut bob) = (Device::new(seed), Device::new(seed + 1));
    let found = ada.found(id);
    let first = ada.content(id, 1);
    let join = ada.handshake(id, 2, vec![add(&bob)]);
    let words = vec![bob.content(id, 3), bob.content(id, 3)];
    let out = ada.handshake(id, 5, vec![remove(&bob)]);
    vec![
        push(&ada, id, vec![found], 10),
        push(&ada, id, vec![first.clone()], 11),
        push(&ada, id, vec![join], 9),
        push(&bob, id, words.clone(), 13),
        push(&ada, id, vec![first], 14),
        push(&ada, id, vec![out], 15),
        push(&bob, id, words, 16),
    ]
}

fn device_story(seed: u64) -> Vec<Command> {
    let ada = Device::new(seed);
    let from = InboxFrom { account: ada.account, device: ada.id, handshake: None, common: 0 };
    let device = AccountDevice { account: ada.account, device: ada.id };
    let once = vec![Blob(vec![1]), Blob(vec![2])];
    let actions = vec![
        Action::Fence { device, incarnation: 1, fence: 0, next_fence: 5 },
        Action::PutKeyPackages { device, once, last_resort: Some(Blob(vec![3])) },
        Action::PutInbox { device, from, item: Blob(vec![9]) },
        Action::TakeKeyPackage { device, once: true },
        Action::Fence { device, incarnation: 1, fence: 4, next_fence: 6 },
        Action::AckInbox { device, number: 1 },
    ];
    actions.into_iter().zip(20..).map(|(action, at)| Command::new(at, action)).collect()
}

/// A second device that comes, writes, and is removed: with a cut that comes short, one that is
/// not its own, and the right one, which brings a ticket and a way in.
fn cut_story(id: SpaceId, seed: u64) -> Vec<Command> {
    let mut ada = Device::new(seed);
    let (mut phone, _) = ada.link(seed + 50);
    let found = ada.found(id);
    let comes = ada.handshake(id, 1, vec![join(&phone)]);
    let first = phone.content(id, 2);
    let second = phone.content(id, 2);
    let [short, wrong, right] = [(2, 2), (4, 5), (4, 4)]
        .map(|(cursor, end)| ada.remove_devices(id, cursor, &[&phone], vec![phone.cut(end)]));
    let mut right = push(&ada, id, vec![right, first.clone()], 16);
    let way_in = WelcomeFor { account: ada.account, device: ada.id, item: Blob(vec![3]) };
    if let Action::Push { welcomes, ticket, .. } = &mut right.action {
        let ways_in = Welcomes { common: Blob(vec![5]), items: vec![way_in] };
        (*welcomes, *ticket) = (Some(ways_in), Some(Blob(vec![4])));
    }
    vec![
        push(&ada, id, vec![found, comes], 10),
        push(&phone, id, vec![first, second], 12),
        push(&ada, id, vec![short], 14),
        push(&ada, id, vec![wrong], 15),
        right,
    ]
}

/// A device that is given things, ends, and is given more.
fn ending_story(seed: u64) -> Vec<Command> {
    let ada = Device::new(seed);
    let from = InboxFrom { account: ada.account, device: ada.id, handshake: None, common: 0 };
    let device = AccountDevice { account: ada.account, device: ada.id };
    let fence = || Action::Fence { device, incarnation: 1, fence: 0, next_fence: 5 };
    let put = || Action::PutInbox { device, from, item: Blob(vec![9]) };
    let once = vec![Blob(vec![1])];
    let actions = vec![
        fence(),
        Action::PutKeyPackages { device, once, last_resort: Some(Blob(vec![3])) },
        put(),
        Action::EndDevice { device },
        put(),
        fence(),
        Action::TakeKeyPackage { device, once: true },
    ];
    actions.into_iter().zip(20..).map(|(action, at)| Command::new(at, action)).collect()
}

/// A device that comes and is revoked, told twice.
fn revoking_story(seed: u64) -> Vec<Command> {
    let mut ada = Device::new(seed);
    let (phone, entry) = ada.link(seed + 50);
    let account = ada.account;
    ada.log.push(entry);
    let with_phone = ada.log.clone();
    let end = ada.revoke(phone.id);
    let actions = vec![
        Action::AppendLog { account, index: 0, entries: with_phone },
        Action::AppendLog { account, index: 2, entries: vec![end.clone()] },
        Action::AppendLog { account, index: 2, entries: vec![end] },
    ];
    actions.into_iter().zip(30..).map(|(action, at)| Command::new(at, action)).collect()
}

fn membership(account: AccountId, index: u64, until: Option<u64>) -> Action {
    Action::SetMembership { account, space: space(1), from: index, until, by: None, index }
}

fn draw(account: AccountId, code: &str, most: u64) -> Action {
    Action::DrawInvite { account, hash: TokenHash::of(code), until_ms: 1_000, most }
}

/// A code that becomes good, lets somebody in and nobody else, and is withdrawn.
fn code_story(seed: u64) -> Vec<Command> {
    let [ada, bob] = [seed, seed + 1].map(|seed| Device::new(seed).account);
    let hash = TokenHash::of("code");
    let invite = Invite { by: Some(ada), until_ms: 1_000, used_by: None };
    let actions = vec![
        Action::RedeemInvite { hash, account: bob },
        Action::AddInvite { hash, invite },
        Action::RedeemInvite { hash, account: bob },
        Action::AddInvite { hash, invite },
        Action::RedeemInvite { hash, account: ada },
        Action::RemoveInvite { hash },
        Action::RedeemInvite { hash, account: bob },
    ];
    actions.into_iter().zip(30..).map(|(action, at)| Command::new(at, action)).collect()
}

fn account_story(seed: u64) -> Vec<Command> {
    let ada = Device::new(seed);
    let (_, entry) = ada.link(seed + 50);
    let account = ada.account;
    let address = "ada".parse().unwrap();
    let whole: Vec<_> = ada.log.iter().cloned().chain([entry.clone()]).collect();
    let actions = vec![
        Action::AppendLog { account, index: 1, entries: vec![entry] },
        Action::AppendLog { account, index: 0, entries: ada.log.clone() },
        Action::AppendLog { account, index: 0, entries: whole },
        membership(account, 3, None),
        membership(account, 8, Some(9)),
        Action::NoteAddress { account, address, leads: true, at: Position(7) },
        draw(account, "code", 2),
    ];
    actions.into_iter().zip(30..).map(|(action, at)| Command::new(at, action)).collect()
}

/// What an outcome says, without names that are local to a store.
fn outcome(done: Result<Effect, Fault>) -> String {
    match done {
        Ok(effect) => format!("{effect:?}"),
        Err(Fault::Rejected(reason)) => format!("{reason:?}"),
        Err(Fault::Store(error)) => panic!("{error}"),
    }
}

/// Everything that follows from the commands: logs, rosters, rows, facts, without positions and
/// numbers.
fn picture(state: &mut State<MemoryStore>) -> BTreeMap<String, String> {
    let mut picture = BTreeMap::new();
    let mut spaces = Vec::new();
    let mut facts = Vec::new();
    for (table, key, value) in state.store().durable().rows() {
        match table {
            Table::Spaces => spaces.push(SpaceId::try_from(key).unwrap()),
            Table::Outbox => facts.push(format!("{value:?}")),
            Table::Meta
            | Table::Tips
            | Table::Index
            | Table::Entries
            | Table::Writers
            | Table::WriterIds
            | Table::Registers
            | Table::Active
            | Table::ActiveAt
            | Table::Noted => {}
            _ => {
                picture.insert(format!("{table:?} {key:?}"), format!("{value:?}"));
            }
        }
    }
    facts.sort();
    picture.insert("facts".to_owned(), facts.concat());
    for id in spaces {
        let mut log: Vec<Logged> = Vec::new();
        state
            .read_log(&id, 0, u64::MAX, &mut |index, entry| {
                assert_eq!(index, log.len() as u64);
                log.push(entry);
                true
            })
            .unwrap();
        let named: Vec<_> = log
            .into_iter()
            .map(|entry| (state.writer(entry.writer).unwrap(), entry.time_ms, entry.envelope))
            .collect();
        picture.insert(format!("log {id}"), format!("{named:?}"));
    }
    picture
}

/// Runs two stories, taking from the first where the bit is set.
fn run(a: &[Command], b: &[Command], order: u32) -> (Vec<String>, BTreeMap<String, String>) {
    let mut state = State::founded(MemoryStore::new(), IDENTITY).unwrap();
    let (mut left, mut right) = (a.iter().enumerate(), b.iter().enumerate());
    let mut said = vec![String::new(); a.len() + b.len()];
    for step in 0..a.len() + b.len() {
        let from_a = order & (1 << step) != 0;
        let next = if from_a { left.next() } else { right.next().map(|(n, c)| (n + a.len(), c)) };
        let (place, command) = next.unwrap();
        said[place] = outcome(apply(&mut state, command.clone()));
    }
    state.commit().unwrap();
    let picture = picture(&mut state);
    (said, picture)
}

fn commute(a: &[Command], b: &[Command]) {
    let partition = |story: &[Command]| {
        let first = story[0].partition();
        assert!(story.iter().all(|command| command.partition() == first));
        first
    };
    assert_ne!(partition(a), partition(b));
    let mut expected = None;
    for order in 0..1u32 << (a.len() + b.len()) {
        if order.count_ones() as usize != a.len() {
            continue;
        }
        let found = run(a, b, order);
        assert_eq!(expected.get_or_insert_with(|| found.clone()), &found, "order {order:b}");
    }
}

#[test]
fn two_spaces_commute_in_every_interleaving() {
    commute(&space_story(space(1), 1), &space_story(space(2), 1));
}

#[test]
fn a_space_and_a_device_commute_in_every_interleaving() {
    commute(&space_story(space(1), 1), &device_story(1));
}

#[test]
fn a_space_and_an_account_commute_in_every_interleaving() {
    commute(&space_story(space(1), 1), &account_story(1));
}

#[test]
fn accounts_and_devices_commute_in_every_interleaving() {
    commute(&account_story(1), &account_story(2));
    commute(&account_story(1), &device_story(1));
    commute(&device_story(1), &device_story(2));
    commute(&code_story(1), &account_story(1));
}

#[test]
fn cuts_and_endings_commute_in_every_interleaving() {
    commute(&cut_story(space(1), 1), &cut_story(space(2), 1));
    commute(&cut_story(space(1), 1), &space_story(space(2), 1));
    commute(&cut_story(space(1), 1), &ending_story(1));
    commute(&revoking_story(1), &ending_story(1));
    commute(&revoking_story(1), &cut_story(space(1), 1));
}

/// All orders of some numbers.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1).into_iter();
    let longer = shorter.flat_map(|order| {
        (0..=order.len()).map(move |at| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    });
    longer.collect()
}

/// Bob is added, answers, is removed, and is added again; ada claims an address, and loses it.
fn eventful() -> State<MemoryStore> {
    let (id, mut state) = (space(1), State::founded(MemoryStore::new(), IDENTITY).unwrap());
    let (mut ada, mut bob) = (Device::new(1), Device::new(2));
    let address: sync_protocol::address::Address = "ada".parse().unwrap();
    let claim = Action::ClaimAddress { address: address.clone(), account: ada.account };
    let found = vec![ada.found(id), ada.handshake(id, 1, vec![add(&bob)])];
    let answer = vec![bob.content(id, 2)];
    let out = vec![ada.handshake(id, 3, vec![remove(&bob)])];
    let again = vec![ada.handshake(id, 4, vec![add(&bob)])];
    for command in [
        push(&ada, id, found, 10),
        push(&bob, id, answer, 11),
        push(&ada, id, out, 12),
        push(&ada, id, again, 13),
        Command::new(14, claim),
        Command::new(15, Action::ReleaseAddress { address }),
    ] {
        apply(&mut state, command).unwrap();
    }
    state
}

#[test]
fn facts_come_to_the_same_in_any_order_and_however_often() {
    let count = eventful().take_facts().len();
    assert_eq!(count, 7);
    let mut expected = None;
    for order in orders(count) {
        let mut state = eventful();
        let facts = state.take_facts();
        // Each comes again at once, and once more at the end.
        let twice = order.iter().flat_map(|n| [*n, *n]).chain(order.iter().copied());
        for n in twice {
            let (id, fact) = facts[n].clone();
            let action = Action::Fact { id, action: Box::new(fact.action) };
            apply(&mut state, Command::new(20, action)).unwrap();
        }
        state.commit().unwrap();
        let found = picture(&mut state);
        assert_eq!(expected.get_or_insert_with(|| found.clone()), &found, "{order:?}");
        let bob = Device::new(2).account;
        assert_eq!(state.spaces_of(&bob).unwrap(), (0, 1), "{order:?}");
        assert_eq!(state.addresses_of(&Device::new(1).account).unwrap(), 0);
    }
}

#[test]
fn the_same_command_twice_does_nothing_twice() {
    let mut state = State::founded(MemoryStore::new(), IDENTITY).unwrap();
    let ada = Device::new(1);
    let device = AccountDevice { account: ada.account, device: ada.id };
    let from = InboxFrom { account: ada.account, device: ada.id, handshake: None, common: 0 };
    let once = vec![Blob(vec![1]), Blob(vec![2])];
    let actions = vec![
        Action::PutKeyPackages { device, once, last_resort: None },
        Action::TakeKeyPackage { device, once: true },
        Action::PutInbox { device, from, item: Blob(vec![9]) },
    ];
    let mut position = Position(0);
    for (n, action) in (1..).zip(actions) {
        let id = CommandId { node: 3, life: 1, n };
        for again in 0..3 {
            position = position.next();
            let command = Command { id, ..Command::new(5, action.clone()) };
            let done = apply_at(&mut state, position, command).unwrap();
            assert_eq!(done.is_some(), again == 0);
        }
    }
    assert_eq!(state.package_count(&device).unwrap(), 1);
    assert_eq!(state.newest_item(&device).unwrap(), 1);
    assert_eq!(state.applied(), Position(9));
}

#[test]
fn every_story_says_what_it_was_written_for() {
    let said = |story: Vec<Command>| run(&story, &[], (1 << story.len()) - 1).0;
    let cuts = said(cut_story(space(1), 1));
    assert!(cuts[2].contains("Behind { index: 3 }"), "{}", cuts[2]);
    assert!(cuts[3].contains("Invalid"), "{}", cuts[3]);
    assert!(cuts[4].contains("refused: Some((1, Equivocation)"), "{}", cuts[4]);
    let ending = said(ending_story(1));
    assert_eq!((ending[4].as_str(), ending[5].as_str()), ("Revoked", "Revoked"));
    assert!(ending[6].contains("package: None"), "{}", ending[6]);
    assert!(!said(revoking_story(1))[1].contains("ended: []"));
    let (denied, done) = ("Denied", "Done");
    assert_eq!(said(code_story(1)), [denied, done, done, done, denied, done, denied]);
    assert_eq!(said(account_story(1)).last().map(String::as_str), Some(done));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever order and repetition commands come in, replaying the same sequence gives the same
    /// outcomes and state, and each writer's entries lie in the log once and in order.
    #[test]
    fn any_sequence_replays_alike_and_keeps_every_chain(
        picks in prop::collection::vec(0..25usize, 0..60),
    ) {
        let mut all = space_story(space(1), 1);
        all.extend(device_story(1));
        all.extend(cut_story(space(1), 1));
        all.extend(ending_story(1));
        let go = || {
            let mut state = State::founded(MemoryStore::new(), IDENTITY).unwrap();
            let said: Vec<_> =
                picks.iter().map(|n| outcome(apply(&mut state, all[*n].clone()))).collect();
            state.commit().unwrap();
            (said, picture(&mut state), state)
        };
        let (said, seen, mut state) = go();
        let (again, seen_again, _) = go();
        prop_assert_eq!(said, again);
        prop_assert_eq!(seen, seen_again);
        let mut chains: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        state.read_log(&space(1), 0, u64::MAX, &mut |_, entry| {
            let envelope = sync_protocol::envelope::Envelope::parse(&entry.envelope).unwrap();
            if let Some(chain) = envelope.header.chain {
                chains.entry(entry.writer).or_default().push(chain.seq);
            }
            true
        }).unwrap();
        for chain in chains.values() {
            prop_assert!(chain.iter().copied().eq(1..=chain.len() as u64));
        }
    }
}
