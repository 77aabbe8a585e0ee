//! What people were promised: every command that was acknowledged, and those of which nobody knows,
//! because the device lost its power before the answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sync_core::api::{Member, Response};
use sync_core::document::{AppOp, OrderKey};
use sync_core::{Command, Failure};
use sync_protocol::address::Address;
use sync_protocol::{AccountId, SpaceId};

use crate::device::Asked;
use crate::remembered::Remembered;

/// Somebody in a world.
#[derive(Clone, Debug)]
pub struct Person {
    /// How others reach them.
    pub address: Address,
    /// What they are called.
    pub name: String,
    /// Their account, once founded.
    pub account: Option<AccountId>,
    /// The recovery codes that they wrote down, newest last.
    pub codes: Vec<String>,
}

/// A value that people changed: what was acknowledged last, and what was asked for after it and
/// never answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    last: T,
    maybe: Vec<T>,
    before: Vec<T>,
    confirmed: bool,
}

impl<T: PartialEq> Outcome<T> {
    /// A value that was acknowledged.
    pub fn of(value: T) -> Self {
        Self { last: value, maybe: Vec::new(), before: Vec::new(), confirmed: false }
    }

    fn settle(&mut self, value: T) {
        self.before.append(&mut self.maybe);
        self.before.push(std::mem::replace(&mut self.last, value));
    }

    /// What was acknowledged last is stored: what it was before is over.
    pub fn confirm(&mut self) {
        self.before.clear();
        self.confirmed = true;
    }

    /// What was acknowledged last may be lost, and what was there before may be there again.
    fn doubt(&mut self) {
        self.maybe.append(&mut self.before);
    }

    /// Whether some value of it is stored.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether this is a value it may have.
    pub fn allows(&self, value: &T) -> bool {
        self.last == *value || self.maybe.contains(value)
    }

    /// Whether it may ever have had this value: whoever is removed doesn't get through with what
    /// was not sent yet.
    pub fn allowed(&self, value: &T) -> bool {
        self.allows(value) || self.before.contains(value)
    }
}

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub struct Written {
    /// The device it was written on.
    pub device: usize,
    /// How many messages were acknowledged in this world before it.
    pub number: u64,
    /// Devices that changed it afterwards.
    pub touched: BTreeSet<usize>,
    /// Its first text.
    pub first: String,
    /// Its text.
    pub text: Outcome<String>,
    /// Whether it was deleted.
    pub deleted: Outcome<bool>,
    /// What it answers.
    pub reply_to: Option<OrderKey>,
    /// What its author knew.
    pub asked: Asked,
    /// Whether its author was told that it is stored.
    pub stored: bool,
    /// Whether somebody else showed it.
    pub shown: bool,
    /// Whether its device forgot what it had not sent, this perhaps with it.
    pub uncertain: bool,
    /// Whether a device forgot what it had not sent, perhaps a change of this.
    pub open: bool,
    /// Whether it was written on a profile that did not know yet that it had been put back, or that
    /// is used twice, or waits in one that is put back: it may be made anew, by a new writer and so
    /// under another key.
    pub moves: bool,
}

/// What is known of a conversation's members.
#[derive(Clone, Debug, Default)]
pub struct Company {
    /// Those who were there from the start, or added with all history.
    pub whole: BTreeSet<AccountId>,
    /// Those somebody tried to add without history.
    pub partial: BTreeSet<AccountId>,
    /// Those somebody tried to remove, and those who tried to leave.
    pub removed: BTreeSet<AccountId>,
    /// How often somebody tried to add each.
    pub adds: BTreeMap<AccountId, u32>,
    /// On which devices somebody tried to add each with history: none gives more than it has.
    pub shared_by: BTreeMap<AccountId, BTreeSet<usize>>,
    /// How many messages were acknowledged in this world when each was let in last.
    pub joined: BTreeMap<AccountId, u64>,
    /// Members that had no device in it for a while: the last one that was in ended before another of
    /// theirs had come in. Nobody gives them the keys of that time, or of what the last one had not
    /// read.
    pub deserted: BTreeSet<AccountId>,
}

impl Company {
    /// The number of the first message of which somebody has heard every change since: who was
    /// removed and put back has older ones as they were, and can't read what was said about them
    /// meanwhile.
    #[must_use]
    pub fn informed_from(&self, account: &AccountId) -> u64 {
        match self.joined.get(account) {
            _ if !self.removed.contains(account) => 0,
            Some(number) => *number,
            None => u64::MAX,
        }
    }
}

/// A device that was linked without history.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// Whose it is.
    pub person: usize,
    /// What was stored before, in conversations that the account was in: it shows none of it.
    pub before: BTreeSet<(SpaceId, OrderKey)>,
}

/// What somebody does with a member.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Adds them, with history or without; by the device that then shares it, unless it founds the
    /// conversation with them.
    Added { with_history: bool, by: Option<usize> },
    /// Removes them.
    Removed,
}

/// A counter that many people count up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By account and device: acknowledged.
    pub counted: BTreeMap<(AccountId, usize), u64>,
    /// Asked for and never answered.
    pub maybe: u64,
}

/// Everything promised in a world.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Everybody.
    pub people: Vec<Person>,
    /// Messages by conversation and key.
    pub written: BTreeMap<(SpaceId, OrderKey), Written>,
    /// Texts of which nobody knows whether they were written.
    pub doubtful: BTreeSet<String>,
    /// Conversations.
    pub companies: BTreeMap<SpaceId, Company>,
    /// Who founded each conversation.
    pub founders: BTreeMap<SpaceId, AccountId>,
    /// Conversations whose counter somebody began.
    pub begun: BTreeSet<SpaceId>,
    /// Settings by device and key; `Null` for one that was taken away.
    pub settings: BTreeMap<(usize, String), Outcome<Value>>,
    /// Counters by conversation.
    pub tallies: BTreeMap<SpaceId, Tally>,
    /// Reactions by message and account.
    pub reactions: BTreeMap<(SpaceId, OrderKey, AccountId), Outcome<Option<String>>>,
    /// On which of the account's devices somebody reacted.
    pub reacted_on: BTreeMap<(SpaceId, OrderKey, AccountId), BTreeSet<usize>>,
    /// Reactions made on a device that forgot what it had not sent.
    pub forgotten: BTreeSet<(SpaceId, OrderKey, AccountId)>,
    /// Devices that were put back, or copied, and were not up to date since.
    pub unaware: BTreeSet<usize>,
    /// Devices that were put back at any time.
    pub restored: BTreeSet<usize>,
    /// Whose each device is.
    pub owners: BTreeMap<usize, AccountId>,
    /// Devices that were lost or ended: what they had not sent is lost with them.
    pub gone: BTreeSet<usize>,
    /// Accounts that were brought back after their devices were lost: what only these had is lost.
    pub bereaved: BTreeSet<AccountId>,
    /// Devices that were linked without history.
    pub newcomers: BTreeMap<usize, Newcomer>,
    /// What was written on devices after they had been ended, or by liars who had no right to: nobody
    /// else shows it.
    pub void: BTreeSet<String>,
    /// The relay lied about times. Times are its word, and the order of what is said at one time
    /// follows them: people may well differ in both.
    pub misdated: bool,
    /// What liars wrote in their own name, as they may: whose it is.
    pub lies: BTreeMap<String, AccountId>,
    /// What was done with members whose accounts are not known yet.
    unknown: Vec<(SpaceId, Address, Step)>,
    /// The number of the first message that was written when everybody was at rest.
    pub rested_from: Option<u64>,
}

impl Book {
    /// The account of whoever has this address.
    #[must_use]
    pub fn account_at(&self, address: &Address) -> Option<AccountId> {
        self.people.iter().find(|person| person.address == *address)?.account
    }

    /// The account of whoever uses a device of this person.
    #[must_use]
    pub fn account_of(&self, person: usize) -> Option<AccountId> {
        self.people.get(person)?.account
    }

    /// Whether what a device acknowledged last of something may not have got through: it is gone, or
    /// another one changed the same thing, and the log's order decided.
    #[must_use]
    pub fn is_open(&self, touched: &BTreeSet<usize>) -> bool {
        touched.len() > 1 || touched.iter().any(|device| self.gone.contains(device))
    }

    /// Whether somebody wrote this text on a profile that did not know that it had been put back.
    #[must_use]
    pub fn has_moved(&self, space: SpaceId, text: &str) -> bool {
        let moved = |written: &Written| written.moves && written.text.allowed(&text.to_owned());
        self.written.iter().any(|((of, _), written)| *of == space && moved(written))
    }

    /// Everything that a device acknowledged is stored.
    pub fn confirmed(&mut self, device: usize) {
        let own = (device, String::new())..(device + 1, String::new());
        for (_, setting) in self.settings.range_mut(own) {
            setting.confirm();
        }
    }

    /// A device's profile is used twice from here on: whichever comes second to the relay makes anew
    /// what it had not sent, as a new writer.
    pub fn doubled(&mut self, device: usize, copy: usize) {
        self.unaware.extend([device, copy]);
        for written in self.written.values_mut() {
            written.moves |= written.device == device && !written.stored;
        }
    }

    /// A device's profile is put back to an earlier moment, or a copy of it is dropped: what was not
    /// stored is lost, or waits in what was put back and is made anew by a new writer, and nobody knows
    /// how much that is. What was stored is kept like anything else, and so is what the device writes
    /// from here on.
    pub fn put_back(&mut self, device: usize) {
        self.unaware.insert(device);
        for written in self.written.values_mut() {
            written.uncertain |= written.device == device;
            written.moves |= written.device == device && !written.stored;
            written.open |= written.touched.contains(&device);
        }
        for ((of, _), setting) in &mut self.settings {
            if *of == device {
                setting.doubt();
            }
        }
        let reacted = self.reacted_on.iter().filter(|(_, devices)| devices.contains(&device));
        self.forgotten.extend(reacted.map(|(key, _)| *key));
        for tally in self.tallies.values_mut() {
            let own = tally.counted.iter_mut().filter(|((_, of), _)| *of == device);
            for (_, counted) in own {
                tally.maybe += std::mem::take(counted);
            }
        }
    }

    /// Takes note of what a device was asked for after it had been ended.
    pub fn in_vain(&mut self, command: &Command) {
        match Remembered::of(command) {
            Remembered::Message(text) | Remembered::Text(_, _, text) => {
                self.void.insert(text.to_owned());
            }
            Remembered::Deletion(..)
            | Remembered::Reaction(..)
            | Remembered::Setting(..)
            | Remembered::Document(..)
            | Remembered::Nothing => {}
        }
    }

    /// Takes note of a device that is being linked without history, while the account is in these
    /// conversations. What others share with the account later is not of before, however old it is.
    pub fn comes_new(&mut self, device: usize, person: usize, within: &BTreeSet<SpaceId>) {
        let stored = self.written.iter().filter(|(_, written)| written.stored || written.shown);
        let before = stored.map(|(key, _)| *key).filter(|(space, _)| within.contains(space));
        let newcomer = Newcomer { person, before: before.collect() };
        self.newcomers.entry(device).or_insert(newcomer);
    }

    /// Somebody adds an account to a conversation with all history: its devices may read that,
    /// whatever they were linked without.
    fn shares(&mut self, device: usize, account: AccountId, space: SpaceId) {
        let company = self.companies.entry(space).or_default();
        company.shared_by.entry(account).or_default().insert(device);
        let people = &self.people;
        for newcomer in self.newcomers.values_mut() {
            if people.get(newcomer.person).and_then(|person| person.account) == Some(account) {
                newcomer.before.retain(|(of, _)| *of != space);
            }
        }
    }

    /// Takes note of what somebody is about to ask for: what counts even if no answer comes.
    pub fn attempted(&mut self, (device, person): (usize, usize), asked: &Asked) {
        match &asked.command {
            Command::AddMember { conversation, address, share_history } => {
                let account = self.account_at(address);
                let present = account.is_some_and(|account| asked.members.contains(&account));
                let by = (*share_history && !present).then_some(device);
                let step = Step::Added { with_history: *share_history, by };
                self.step(*conversation, address, step);
            }
            Command::RemoveMember { conversation, member } => match member {
                Member::Account(account) => {
                    self.companies.entry(*conversation).or_default().removed.insert(*account);
                }
                Member::Address(address) => self.step(*conversation, address, Step::Removed),
            },
            Command::Leave { conversation } => {
                let account = self.account_of(person);
                self.companies.entry(*conversation).or_default().removed.extend(account);
            }
            _ => {}
        }
    }

    /// Takes note of what happens to a member, now or when it is known whose the address is: an
    /// account may be at the relay, and its owner not yet told.
    fn step(&mut self, space: SpaceId, address: &Address, step: Step) {
        let Some(account) = self.account_at(address) else {
            self.unknown.push((space, address.clone(), step));
            return;
        };
        if let Step::Added { by: Some(device), .. } = step {
            self.shares(device, account, space);
        }
        let company = self.companies.entry(space).or_default();
        match step {
            Step::Added { with_history, .. } => {
                *company.adds.entry(account).or_default() += 1;
                let side = if with_history { &mut company.whole } else { &mut company.partial };
                side.insert(account);
            }
            Step::Removed => {
                company.removed.insert(account);
            }
        }
    }

    /// Takes note of what happened to members whose accounts were not known then.
    pub fn catch_up(&mut self) {
        for (space, address, step) in std::mem::take(&mut self.unknown) {
            self.step(space, &address, step);
        }
    }

    /// Takes note of somebody being let into a conversation.
    pub fn joined(&mut self, person: usize, space: SpaceId) {
        let Some(account) = self.account_of(person) else { return };
        let number = self.written.len() as u64;
        self.companies.entry(space).or_default().joined.insert(account, number);
    }

    /// Takes note of an answer.
    pub fn answered(
        &mut self,
        (device, person): (usize, usize),
        asked: &Asked,
        answer: &Result<Response, Failure>,
    ) {
        let Ok(response) = answer else { return };
        let account = self.account_of(person);
        match (&asked.command, response) {
            (Command::CreateAccount { .. }, Response::Account(new)) => {
                if let Some(person) = self.people.get_mut(person) {
                    person.account = Some(new.account);
                }
            }
            (Command::CreateConversation { members, .. }, Response::Conversation(space)) => {
                self.founders.extend(account.map(|account| (*space, account)));
                self.companies.entry(*space).or_default().whole.extend(account);
                for address in members {
                    self.step(*space, address, Step::Added { with_history: true, by: None });
                }
            }
            (Command::SendMessage { conversation, text, reply_to }, Response::Message(key)) => {
                let written = Written {
                    device,
                    number: self.written.len() as u64,
                    touched: BTreeSet::new(),
                    first: text.clone(),
                    text: Outcome::of(text.clone()),
                    deleted: Outcome::of(false),
                    reply_to: *reply_to,
                    asked: asked.clone(),
                    stored: false,
                    shown: false,
                    uncertain: false,
                    open: false,
                    moves: self.unaware.contains(&device),
                };
                self.written.insert((*conversation, *key), written);
            }
            _ => self.changed(device, account, &asked.command),
        }
    }

    fn changed(&mut self, device: usize, account: Option<AccountId>, command: &Command) {
        match Remembered::of(command) {
            Remembered::Text(conversation, message, text) => {
                if let Some(written) = self.written.get_mut(&(conversation, message)) {
                    written.touched.insert(device);
                    written.text.settle(text.to_owned());
                } else {
                    // A message whose author was never answered, and who saw it all the same.
                    self.doubtful.insert(text.to_owned());
                }
            }
            Remembered::Deletion(conversation, message) => {
                if let Some(written) = self.written.get_mut(&(conversation, message)) {
                    written.touched.insert(device);
                    written.deleted.settle(true);
                }
            }
            Remembered::Reaction(conversation, message, emoji) => {
                let Some(account) = account else { return };
                let outcome = Outcome::of(emoji.map(str::to_owned));
                let key = (conversation, message, account);
                self.reacted_on.entry(key).or_default().insert(device);
                self.reactions.insert(key, outcome);
            }
            Remembered::Setting(key, value) => {
                let setting = self.settings.entry((device, key.to_owned()));
                setting.or_insert_with(|| Outcome::of(Value::Null)).settle(value.clone());
            }
            Remembered::Document(space, ops) => {
                let counted = counted(ops);
                if let Some(account) = account.filter(|_| counted > 0) {
                    let tally = self.tallies.entry(space).or_default();
                    *tally.counted.entry((account, device)).or_default() += counted;
                }
            }
            // A message is noted with the answer that names it.
            Remembered::Message(_) | Remembered::Nothing => {}
        }
    }

    /// The device lost its power, or the store failed, before this was answered: it may have
    /// happened or not.
    pub fn unanswered(&mut self, device: usize, person: usize, asked: &Asked) {
        match Remembered::of(&asked.command) {
            Remembered::Message(text) => {
                self.doubtful.insert(text.to_owned());
            }
            Remembered::Text(conversation, message, text) => {
                if let Some(written) = self.written.get_mut(&(conversation, message)) {
                    written.touched.insert(device);
                    written.text.maybe.push(text.to_owned());
                } else {
                    self.doubtful.insert(text.to_owned());
                }
            }
            Remembered::Deletion(conversation, message) => {
                if let Some(written) = self.written.get_mut(&(conversation, message)) {
                    written.touched.insert(device);
                    written.deleted.maybe.push(true);
                }
            }
            Remembered::Reaction(conversation, message, emoji) => {
                let Some(account) = self.account_of(person) else { return };
                let key = (conversation, message, account);
                self.reacted_on.entry(key).or_default().insert(device);
                let outcome = self.reactions.entry(key).or_insert_with(|| Outcome::of(None));
                outcome.maybe.push(emoji.map(str::to_owned));
            }
            Remembered::Setting(key, value) => {
                let key = (device, key.to_owned());
                let outcome = self.settings.entry(key).or_insert_with(|| Outcome::of(Value::Null));
                outcome.maybe.push(value.clone());
            }
            Remembered::Document(space, ops) => {
                self.tallies.entry(space).or_default().maybe += counted(ops);
            }
            Remembered::Nothing => {}
        }
    }
}

/// How much these operations count up.
fn counted(ops: &[AppOp]) -> u64 {
    let amounts = ops.iter().map(|op| match op {
        AppOp::Increment { by, .. } => u64::try_from(*by).unwrap_or_default(),
        _ => 0,
    });
    amounts.sum()
}
