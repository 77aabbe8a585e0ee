//! Logs of before: kept as they were written, and applied by every build since to the same rows.
//!
//! `tests/kept/rules-1.log` is the file of a log that [`story`] made; `rules-1.rows` has the hash of the
//! rows that followed. Neither is ever made anew: another number in the rules is another version.

use std::io;
use std::sync::{Arc, Mutex};

use sync_protocol::codec::Blob;
use sync_protocol::frames::{WelcomeFor, Welcomes};
use sync_protocol::hash::{self, Domain};
use sync_protocol::ids::RelayId;
use sync_server::log::{Disk, FileLog, Log as _};
use sync_server::rules::{
    AccountDevice, Action, Command, CommandId, Fault, InboxFrom, Invite, NEWEST_RULES, Position,
    Sealed, State, Swept, Token, TokenHash, apply_at,
};
use sync_server::store::{MemoryStore, StoreError};

use crate::support::{Device, add, join, remove, space};

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kept");

#[derive(Clone, Debug, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl File {
    fn of(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(bytes.to_vec())))
    }
}

impl Disk for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        out.copy_from_slice(&bytes[offset as usize..offset as usize + out.len()]);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut bytes, end) = (self.0.lock().unwrap(), offset as usize + data.len());
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[offset as usize..end].copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Something of everything that a log can hold.
fn story() -> Vec<Action> {
    let (mut ada, mut bob, id) = (Device::new(1), Device::new(2), space(1));
    let (mut phone, entry) = ada.link(3);
    let device = |one: &Device| AccountDevice { account: one.account, device: one.id };
    let fence = |one: &Device| Action::Fence {
        device: device(one),
        incarnation: one.incarnation,
        fence: one.fence,
        next_fence: one.next_fence,
    };
    let log = |one: &Device| Action::AppendLog {
        account: one.account,
        index: 0,
        entries: one.log.clone(),
    };
    let push = |by: &Device, envelopes: Vec<Blob>, welcomes: Option<Welcomes>| Action::Push {
        space: id,
        account: by.account,
        writer: by.writer(),
        envelopes: envelopes.into_iter().map(|one| Sealed::parse(one).unwrap()).collect(),
        ticket: welcomes.as_ref().map(|_| Blob(vec![4; 90])),
        welcomes,
    };
    let way_in = |to: &Device| WelcomeFor {
        account: to.account,
        device: to.id,
        item: Blob(vec![to.seq(id) as u8; 40]),
    };
    let welcomes =
        |to: &Device| Some(Welcomes { common: Blob(vec![5; 70]), items: vec![way_in(to)] });
    let from = InboxFrom { account: ada.account, device: ada.id, handshake: None, common: 0 };
    let token = Token { uses: 2, until_ms: Some(9_000_000), note: "team".to_owned() };
    let (hash, address) = (TokenHash::of("abc"), "ada".parse().unwrap());
    let mut told = vec![Action::AddToken { hash, token }, Action::SpendToken { hash }, log(&ada)];
    told.extend([fence(&ada), log(&bob), fence(&bob)]);
    let entries = vec![entry.clone()];
    told.push(Action::AppendLog { account: ada.account, index: 1, entries });
    ada.log.push(entry);
    told.push(push(&ada, vec![ada.clone().found(id)], None));
    let mut pushes = |told: &mut Vec<Action>| {
        ada.found(id);
        let join_phone = ada.handshake(id, 1, vec![join(&phone)]);
        told.push(push(&ada, vec![join_phone], welcomes(&phone)));
        let join_bob = ada.handshake(id, 2, vec![add(&bob)]);
        told.push(push(&ada, vec![join_bob], welcomes(&bob)));
        let words = (0..5).map(|_| bob.content(id, 3)).collect();
        told.push(push(&bob, words, None));
        let register = bob.register(id, 8, 7);
        told.push(push(&bob, vec![register], None));
        let first = phone.content(id, 3);
        told.extend([push(&phone, vec![first.clone()], None), push(&phone, vec![first], None)]);
        let late = bob.content(id, 1);
        let out = ada.handshake(id, 10, vec![remove(&bob)]);
        told.extend([push(&ada, vec![out], None), push(&bob, vec![late], None)]);
        let leaves = ada.leave(id, 11);
        told.push(push(&ada, vec![leaves], None));
    };
    pushes(&mut told);
    let bobs = device(&bob);
    let once = (1..=3).map(|n| Blob(vec![n; 30])).collect();
    told.push(Action::PutKeyPackages { device: bobs, once, last_resort: Some(Blob(vec![9])) });
    told.extend((0..2).map(|_| Action::TakeKeyPackage { device: bobs, once: true }));
    told.extend((1..=3).map(|n| Action::PutInbox { device: bobs, from, item: Blob(vec![n; 20]) }));
    told.push(Action::AckInbox { device: bobs, number: 3 });
    told.push(Action::ClaimAddress { address, account: ada.account });
    told.push(Action::ClaimAddress { address: "ada2".parse().unwrap(), account: ada.account });
    told.push(Action::ReleaseAddress { address: "ada2".parse().unwrap() });
    told.push(Action::CountStored { account: ada.account, bytes: 12_345 });
    let end = ada.revoke(phone.id);
    told.push(Action::AppendLog { account: ada.account, index: 2, entries: vec![end] });
    told.push(Action::Suspend { account: bob.account, suspended: true });
    told.push(Action::EndSpace { space: id });
    told.push(Action::Sweep { swept: Swept::Space(id) });
    told.push(Action::EndAccount { account: bob.account });
    told.push(Action::Sweep { swept: Swept::Account(bob.account) });
    told
}

/// What the kept log has nothing of: it came later.
fn later() -> Vec<Action> {
    let (ada, hash) = (Device::new(1).account, TokenHash::of("code"));
    let newcomer = Device::new(7);
    let invite = Invite { by: None, until_ms: 9_000_000, used_by: None };
    let redeem = Action::RedeemInvite { hash, account: newcomer.account };
    let draw = |code: &str| Action::DrawInvite {
        account: ada,
        hash: TokenHash::of(code),
        until_ms: 9_000_000,
        most: 1,
    };
    vec![
        draw("code"),
        draw("one too many"),
        redeem.clone(),
        redeem,
        Action::AddInvite { hash: TokenHash::of("operator's"), invite },
        Action::RemoveInvite { hash: TokenHash::of("operator's") },
    ]
}

/// The log of the story: each command, and what follows from it, as a relay would propose it.
fn told() -> (File, State<MemoryStore>) {
    let disks = [File::default(), File::default()];
    let mut log = open(&disks, Position(0)).unwrap();
    let mut state = State::open(MemoryStore::new()).unwrap();
    let relay = RelayId::from_bytes([1; 32]);
    let found = Action::Found { relay, generation: 7, rules: NEWEST_RULES };
    let mut n = 0;
    for action in [found].into_iter().chain(story()).chain(later()) {
        let mut actions = vec![action];
        while let Some(action) = actions.pop() {
            n += 1;
            let id = CommandId { node: 0, life: 1, n };
            log.append(Command { id, ..Command::new(1_000_000 + n * 10, action) }).unwrap();
            let (position, command) = log.next(state.applied()).unwrap().unwrap();
            match apply_at(&mut state, position, command) {
                Ok(_) | Err(Fault::Rejected(_)) => {}
                Err(Fault::Store(error)) => panic!("{error}"),
            }
            let facts = state.take_facts().into_iter().rev();
            let facts = facts.map(|(id, fact)| Action::Fact { id, action: Box::new(fact.action) });
            actions.extend(facts);
        }
        log.sync().unwrap();
    }
    state.commit().unwrap();
    (disks[0].clone(), state)
}

fn open(disks: &[File; 2], applied: Position) -> Result<FileLog, StoreError> {
    let disks = disks.clone().map(|disk| Box::new(disk) as Box<dyn Disk>);
    FileLog::on(disks, None, applied, [3; 16])
}

/// Applies what a file holds, in goes of so many commands with a restart behind each.
fn replayed(file: &[u8], each: u64) -> State<MemoryStore> {
    let disks = [File::of(file), File::default()];
    let mut state = State::open(MemoryStore::new()).unwrap();
    loop {
        let mut log = open(&disks, state.applied()).unwrap();
        let mut left = each;
        while let Some((position, command)) = log.next(state.applied()).unwrap() {
            match apply_at(&mut state, position, command) {
                Ok(_) | Err(Fault::Rejected(_)) => {}
                Err(Fault::Store(error)) => panic!("{error}"),
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        state.commit().unwrap();
        if left > 0 {
            return state;
        }
        state = State::open(state.into_store()).unwrap();
    }
}

/// The hash of all rows that follow from commands.
fn rows(state: &State<MemoryStore>) -> String {
    let mut all = Vec::new();
    for (table, key, row) in state.store().rows().filter(|(table, ..)| !table.is_local()) {
        for part in [&[table as u8][..], key, row] {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part);
        }
    }
    let hash = hash::hash(Domain::new("rejoinder kept rows v1"), &[&all]);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_log_of_the_first_rules_replays_to_the_rows_that_it_had() {
    let kept = std::fs::read(format!("{KEPT}/rules-1.log")).unwrap();
    let expected = std::fs::read_to_string(format!("{KEPT}/rules-1.rows")).unwrap();
    for each in [u64::MAX, 1, 7] {
        let state = replayed(&kept, each);
        assert!(state.applied() > Position(50), "{:?}", state.applied());
        assert_eq!(rows(&state), expected.trim(), "{each} at once");
    }
}

#[test]
fn a_log_replays_to_the_rows_of_whoever_wrote_it() {
    let (file, state) = told();
    let bytes = file.0.lock().unwrap().clone();
    for each in [u64::MAX, 1, 10] {
        assert_eq!(rows(&replayed(&bytes, each)), rows(&state), "{each} at once");
    }
}

#[test]
fn a_build_goes_no_further_than_the_rules_it_knows() {
    let mut state = State::open(MemoryStore::new()).unwrap();
    let newer = Action::ActivateRules { version: NEWEST_RULES + 1 };
    match apply_at(&mut state, Position(1), Command::new(1, newer)) {
        Err(Fault::Store(StoreError::NewerRules { found, known })) => {
            assert_eq!((found, known), (NEWEST_RULES + 1, NEWEST_RULES));
        }
        other => panic!("{other:?}"),
    }
    // What was made where others are in force already waits for these.
    let mut command = Command::new(1, Action::ActivateRules { version: 1 });
    command.rules = NEWEST_RULES + 1;
    assert!(matches!(apply_at(&mut state, Position(2), command), Err(Fault::Rejected(_))));
}

#[test]
fn the_first_record_founds_the_relay_and_no_later_one() {
    let mut state = State::open(MemoryStore::new()).unwrap();
    assert!(!state.is_founded());
    for n in 1..=3 {
        let relay = RelayId::from_bytes([n; 32]);
        let found = Action::Found { relay, generation: u64::from(n), rules: 1 };
        apply_at(&mut state, Position(u64::from(n)), Command::new(1, found)).unwrap();
        assert_eq!(state.identity().relay, RelayId::from_bytes([1; 32]));
        assert_eq!((state.identity().generation, state.rules()), (1, 1));
    }
}
