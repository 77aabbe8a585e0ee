//! Accounts known to this device: their verified device logs, addresses and names.

pub(in crate::engine) mod contacts;
pub(in crate::engine) mod introductions;
pub(in crate::engine) mod logs;
pub(in crate::engine) mod profile;
pub(in crate::engine) mod strangers;

use sync_protocol::address::Address;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::frames::{Answer, Op, Taken};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, Rejection, SpaceId};

use crate::api::Failure;
use crate::document::people::Person as SaidName;
use crate::engine::rooms::Contacts;
use crate::engine::rows::{Hint, Named, PersonRow};
use crate::engine::session::Asked;
use crate::engine::{Need, OpenError, read_row};
use crate::line;
use crate::records::key;
use crate::trust::Invalid;
use crate::trust::logs::{KnownLog, Said, Standing};

/// How long a new name in the account's contacts stands before the next one: each is an entry in its space.
const RENAMED_MS: u64 = 10 * 60 * 1000;

/// Somebody, with the log verified.
pub(in crate::engine) struct Person {
    pub(in crate::engine) log: DeviceLog,
    pub(in crate::engine) address: Option<String>,
    pub(in crate::engine) name: String,
    /// Whether the relay's directory gave the address. What another member says it is, is shown
    /// and never followed: who is written to by an address would be that member's choice.
    confirmed: bool,
    /// Which of its names it is; `None` while it is what another member says.
    named: Option<Named>,
}

impl Person {
    /// Whether the relay's directory gave the address.
    pub(in crate::engine) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    fn row(&self) -> PersonRow {
        PersonRow {
            log: self.log.entries().iter().map(|entry| Blob(entry.clone())).collect(),
            address: self.address.clone(),
            name: self.name.clone(),
            confirmed: self.confirmed,
            named: self.named,
        }
    }
}

/// Everybody known.
#[derive(Default)]
pub(in crate::engine) struct People {
    by_account: SortedMap<AccountId, Person>,
    by_address: SortedMap<String, AccountId>,
    /// Addresses the relay said lead nowhere, in this session.
    missing: SortedMap<String, Rejection>,
    /// Whom the relay's directory has for an address, in this session.
    directory: SortedMap<String, AccountId>,
    /// Whom the account's contacts pin addresses to, until they change.
    pins: Option<SortedMap<String, AccountId>>,
    /// Addresses of which it was told that they lead elsewhere now.
    moved: SortedSet<String>,
    /// Addresses that the relay was asked for and did not answer yet.
    asked: SortedSet<String>,
    /// Accounts whose log the relay was asked for because something waits for it, and whether it
    /// answered.
    reading: SortedMap<AccountId, bool>,
    /// What others know of logs that is more than the relay has shown here: of whose log, by whose
    /// word. Nobody's takes the place of another's.
    said: SortedMap<(AccountId, AccountId), KnownLog>,
    /// When a name that somebody took in place of another was written down last.
    renamed: SortedMap<AccountId, u64>,
    /// Whose logs were told to fork, or by whose word to be withheld.
    told: SortedSet<(AccountId, Option<AccountId>)>,
}

impl People {
    /// The relay did not say whose an address is.
    pub(in crate::engine) fn is_not_told(&mut self, address: &Address, why: Rejection) {
        self.missing.insert(address.to_string(), why);
    }

    /// Whether something waits for an account's log.
    pub(in crate::engine) fn waits_for_log(&self, account: &AccountId) -> bool {
        self.reading.contains_key(account)
    }

    /// An account's log is asked for, because something waits for it.
    pub(in crate::engine) fn log_is_asked(&mut self, account: AccountId) {
        self.reading.insert(account, false);
    }

    /// A log that something waits for has come.
    pub(in crate::engine) fn log_came(&mut self, account: AccountId) {
        self.reading.insert(account, true);
    }

    /// Whether it is time to write down another name of somebody's.
    fn may_rename(&self, account: &AccountId, now: u64) -> bool {
        let last = self.renamed.get(account);
        last.is_none_or(|at| now.saturating_sub(*at) >= RENAMED_MS)
    }

    /// The packages of devices that their account's log has.
    pub(in crate::engine) fn usable(&self, account: &AccountId, taken: &[Taken]) -> Vec<Taken> {
        let Some(log) = self.log(account) else { return Vec::new() };
        taken.iter().filter(|taken| log.active(&taken.device).is_some()).cloned().collect()
    }

    pub(in crate::engine) fn log_blobs(&self, account: &AccountId) -> Vec<Blob> {
        let entries = self.log(account).map(DeviceLog::entries).unwrap_or_default();
        entries.iter().map(|entry| Blob(entry.clone())).collect()
    }

    pub(in crate::engine) fn hints(&self, accounts: impl Iterator<Item = AccountId>) -> Vec<Hint> {
        accounts
            .filter_map(|account| {
                let person = self.get(&account)?;
                let address = person.address.clone();
                Some(Hint { account, address, name: person.name.clone() })
            })
            .collect()
    }

    pub(in crate::engine) fn read(&mut self, record: &[u8], value: &[u8]) -> Result<(), OpenError> {
        let damaged = OpenError::Damaged("device log");
        let account = record.get(1..).and_then(|id| AccountId::try_from(id).ok());
        let account = account.ok_or(damaged.clone())?;
        let row: PersonRow = read_row("person", value)?;
        let log = DeviceLog::verify(&account, &blobs(&row.log)).map_err(|_| damaged)?;
        let PersonRow { address, name, confirmed, named, .. } = row;
        self.insert(account, Person { log, address, name, confirmed, named });
        Ok(())
    }

    fn insert(&mut self, account: AccountId, person: Person) {
        if let Some(address) = person.address.as_ref().filter(|_| person.confirmed) {
            self.by_address.insert(address.clone(), account);
        }
        self.by_account.insert(account, person);
    }

    pub(in crate::engine) fn log(&self, account: &AccountId) -> Option<&DeviceLog> {
        self.by_account.get(account).map(|person| &person.log)
    }

    /// What a change set of this number tells of a member's log: of one member after the other.
    pub(in crate::engine) fn head_of_one(
        &self,
        members: &[AccountId],
        seq: u64,
    ) -> Option<KnownLog> {
        let at = seq.checked_rem(members.len() as u64)?;
        let account = members.get(usize::try_from(at).ok()?)?;
        self.log(account).map(KnownLog::of)
    }

    pub(in crate::engine) fn get(&self, account: &AccountId) -> Option<&Person> {
        self.by_account.get(account)
    }

    /// The account that an address led to before, here.
    pub(in crate::engine) fn account(&self, address: &str) -> Option<AccountId> {
        self.by_address.get(address).copied()
    }

    /// Whom the relay's directory has for an address, as it said in this session.
    pub(in crate::engine) fn directory(&self, address: &str) -> Option<AccountId> {
        self.directory.get(address).copied()
    }

    /// A new session: what the relay said in the one before is asked for again.
    pub(in crate::engine) fn forget_directory(&mut self) {
        self.missing.clear();
        self.directory.clear();
    }

    /// Whether it is news that an address leads elsewhere.
    pub(in crate::engine) fn tell_moved(&mut self, address: &str) -> bool {
        self.moved.insert(address.to_owned())
    }

    /// The only one who is shown under an address, whoever said so.
    pub(in crate::engine) fn shown(&self, address: &str) -> Option<AccountId> {
        let is_it =
            |(_, person): &(&AccountId, &Person)| person.address.as_deref() == Some(address);
        let mut shown = self.by_account.iter().filter(is_it).map(|(account, _)| *account);
        shown.next().filter(|_| shown.next().is_none())
    }
}

fn blobs(log: &[Blob]) -> Vec<&[u8]> {
    log.iter().map(Blob::as_slice).collect()
}

impl Contacts<'_> {
    /// Takes in somebody's log. A log never gets shorter and never changes what it said: the
    /// longer of two that agree is kept, and of two that don't, the first, and that is told.
    pub(in crate::engine) fn learn_person(
        &mut self,
        account: &AccountId,
        row: PersonRow,
    ) -> Result<(), Failure> {
        let log = self.people.prove(account, &row.log);
        let log = log.map_err(|error| Failure::Invalid(error.to_string()))?;
        self.learn_log(account, log, row);
        Ok(())
    }

    /// The same of a log that is verified; what else is known of them is in the row.
    pub(in crate::engine) fn learn_log(
        &mut self,
        account: &AccountId,
        log: DeviceLog,
        row: PersonRow,
    ) {
        let (mut before, mut forks) = (None, false);
        let PersonRow { address, name, confirmed, named, .. } = row;
        let person = match self.people.by_account.remove(account) {
            // Nothing new.
            Some(known) if known.log == log && address.is_none() && name.is_empty() => {
                self.people.by_account.insert(*account, known);
                return;
            }
            None => Person { log, address, name, confirmed, named },
            Some(known) => {
                let name = if name.is_empty() { known.name } else { name };
                let standing = crate::trust::logs::compare(&known.log, &log);
                let longer = standing == Standing::Longer;
                forks = standing == Standing::Forks;
                before = longer.then(|| known.log.clone());
                let log = if longer { log } else { known.log };
                let address = if confirmed { address } else { known.address.or(address) };
                let (confirmed, named) = (confirmed || known.confirmed, named.or(known.named));
                Person { log, address, name, confirmed, named }
            }
        };
        self.keep_person(*account, person);
        if forks {
            self.tell_log(&account.space(), Invalid::LogForks { account: *account });
        }
        if let Some(before) = before {
            self.devices().log_grew(account, &before);
        }
    }

    /// Tells that somebody's log is not what it should be, once for each account.
    pub(in crate::engine) fn tell_log(&mut self, space: &SpaceId, why: Invalid) {
        self.tell_once(space, why, None);
    }

    fn tell_once(&mut self, space: &SpaceId, why: Invalid, by: Option<AccountId>) {
        if let Some(account) = why.account()
            && self.people.told.insert((account, by))
        {
            self.log_rows().evidence(space, why);
        }
    }

    /// A member tells what it knows of somebody's log. Where that is more than is known here, the
    /// relay is asked.
    pub(in crate::engine) fn hear_head(&mut self, id: &SpaceId, by: AccountId, head: KnownLog) {
        let Some(space) = self.spaces.get(id) else { return };
        let members = space.row.context.roster.iter().map(|(account, _)| account);
        let Some(account) = head.whose(members) else { return };
        let Some(log) = self.people.log(&account) else { return };
        match head.judge(log) {
            Said::NoMore => {}
            Said::Other => self.tell_log(id, Invalid::LogForks { account }),
            Said::More => {
                // Whoever says more than there is has others ask once in a session, no more.
                if self.people.said.insert((account, by), head).is_none() {
                    self.devices().read_log(account);
                }
            }
        }
    }

    /// The relay told what it has of a log of which a member knows more.
    pub(in crate::engine) fn compare_said(&mut self, account: &AccountId) {
        let (space, account) = (account.space(), *account);
        let said = self.people.said.keys().filter(|(of, _)| *of == account);
        for key in said.copied().collect::<Vec<_>>() {
            let head = self.people.said.get(&key).zip(self.people.log(&account));
            match head.map(|(head, log)| head.judge(log)) {
                None => {}
                Some(Said::NoMore) => drop(self.people.said.remove(&key)),
                Some(Said::Other) => self.tell_log(&space, Invalid::LogForks { account }),
                Some(Said::More) => {
                    self.tell_once(&space, Invalid::LogWithheld { account }, Some(key.1));
                }
            }
        }
    }

    /// Asks again, in a new session, for what members know more of.
    pub(in crate::engine) fn read_said_logs(&mut self) {
        let said: SortedSet<AccountId> = self.people.said.keys().map(|(of, _)| *of).collect();
        said.into_iter().for_each(|account| self.devices().read_log(account));
    }

    fn keep_person(&mut self, account: AccountId, person: Person) {
        self.turn.batch.put(key::account(&account), codec::encode(&person.row()));
        self.people.insert(account, person);
    }

    /// The relay's directory has this address for somebody: nobody else is shown under it.
    fn free_address(&mut self, address: &Address, owner: &AccountId) {
        let is_anothers = |(account, person): &(&AccountId, &Person)| {
            *account != owner && person.address.as_deref() == Some(address.as_str())
        };
        let others = self.people.by_account.iter().filter(is_anothers);
        for account in others.map(|(account, _)| *account).collect::<Vec<_>>() {
            if let Some(mut person) = self.people.by_account.remove(&account) {
                (person.address, person.confirmed) = (None, false);
                self.keep_person(account, person);
            }
        }
    }

    /// Takes in what somebody says they are called; true if that is new. What they said later,
    /// wherever it was, counts.
    pub(in crate::engine) fn learn_name(
        &mut self,
        account: &AccountId,
        name: String,
        said: Named,
    ) -> bool {
        let Some(person) = self.people.get(account) else { return false };
        let known =
            person.named.filter(|known| SaidName::counts(known.version, &known.by, &person.log));
        if known.map(|known| known.rank()) >= Some(said.rank()) {
            return false;
        }
        let is_new = person.name != name;
        self.rename_person(account, name, said);
        is_new
    }

    pub(in crate::engine) fn rename_person(
        &mut self,
        account: &AccountId,
        name: String,
        named: Named,
    ) {
        if let Some(person) = self.people.by_account.remove(account) {
            self.keep_person(*account, Person { name, named: Some(named), ..person });
        }
    }

    /// Takes in what another member calls somebody. Never replaces what is known.
    pub(in crate::engine) fn learn_hint(&mut self, hint: &Hint) {
        let Some(person) = self.people.get(&hint.account) else { return };
        let address = hint.address.clone().filter(|address| {
            Address::exactly(address).is_some() && self.people.account(address).is_none()
        });
        let address = person.address.clone().or(address);
        let name =
            if person.name.is_empty() { line::shown_name(&hint.name) } else { person.name.clone() };
        if person.address == address && person.name == name {
            return;
        }
        let Some(person) = self.people.by_account.remove(&hint.account) else { return };
        let person = Person { address: address.clone(), name: name.clone(), ..person };
        self.keep_person(hint.account, person);
        if self.account.is_own(&hint.account)
            && let Some(me) = self.account.own_mut()
        {
            // A linked device learns from its siblings what the person is called.
            me.row_mut().name = name;
            me.row_mut().address = address.unwrap_or_default();
            self.turn.unsaved.account = true;
        }
    }

    /// Why an address leads nowhere; it is asked for again with the next question.
    pub(in crate::engine) fn not_found(&mut self, address: &str) -> Failure {
        match self.people.missing.remove(address) {
            Some(Rejection::NotFound) => Failure::NotFound("address"),
            Some(other) => Failure::Refused(other),
            None => Failure::Offline,
        }
    }

    /// The relay's directory has this address for somebody, and nobody else had it before.
    pub(in crate::engine) fn confirm_address(&mut self, address: &Address, account: &AccountId) {
        self.free_address(address, account);
        let Some(person) = self.people.get(account) else { return };
        if person.confirmed && person.address.as_deref() == Some(address.as_str()) {
            return;
        }
        if let Some(person) = self.people.by_account.remove(account) {
            let address = Some(address.to_string());
            self.keep_person(*account, Person { address, confirmed: true, ..person });
        }
    }

    pub(in crate::engine) fn ask_lookup(&mut self, address: Address) {
        if self.session.is_open() {
            if self.people.asked.insert(address.to_string()) {
                self.session.ask(
                    self.turn,
                    Op::Lookup { address: address.clone() },
                    Asked::Lookup(address),
                );
            }
        } else {
            let unavailable = Rejection::Unavailable { retry_ms: 0 };
            self.people.missing.insert(address.to_string(), unavailable);
            self.turn.found(Need::Lookup(address));
        }
    }

    /// Asks for all of these that nothing is known of, before anybody waits for one of them.
    pub(in crate::engine) fn look_up_ahead(&mut self, addresses: &[Address]) {
        for address in addresses {
            let text = address.as_str();
            let known =
                self.people.directory(text).is_some() || self.people.missing.contains_key(text);
            if self.session.is_open() && !known {
                self.ask_lookup(address.clone());
            }
        }
    }

    /// What was asked is not answered any more.
    pub(in crate::engine) fn forget_lookups(&mut self) {
        self.people.asked.clear();
    }

    pub(in crate::engine) fn on_lookup(&mut self, address: &Address, answer: Answer) {
        self.people.asked.remove(address.as_str());
        let outcome = match answer {
            Answer::Log { account, from: 0, entries } => {
                let row = PersonRow { log: entries, ..PersonRow::default() };
                let learned = self.learn_person(&account, row);
                // What follows from it is judged by who asked.
                if learned.is_ok() {
                    self.people.directory.insert(address.to_string(), account);
                }
                learned.map_err(|_| Rejection::Invalid)
            }
            Answer::Refused(rejection) => Err(rejection),
            _ => Err(Rejection::Invalid),
        };
        if let Err(rejection) = outcome {
            self.people.missing.insert(address.to_string(), rejection);
        }
        self.turn.found(Need::Lookup(address.clone()));
    }
}
