//! The engine: a sans-IO state machine over one account on one device.
//!
//! How an edit travels: `commands` makes it an [`crate::document::Edit`], `outbox` applies it,
//! cuts it into a numbered change set, seals and pushes it; at the other end `session` takes the
//! delivery, `deliveries` proves and opens each entry in log order, and `documents` takes in its
//! changes. `membership` and `handshakes` do the same for who is in, `inbox` for being let in.
//!
//! Work that needs records which are not in memory is parked as a task and taken up again when
//! the host has loaded them: every task asks for all it needs before it changes anything, or can
//! be continued where it stopped.

mod account;
mod additions;
mod apps;
mod carrying;
mod change_set;
mod commands;
mod commits;
mod confirmed;
mod contacts;
mod content;
mod deliveries;
mod devices;
mod digest;
mod documents;
mod dormancy;
mod doubt;
mod doubted;
mod edits;
mod ends;
mod entrances;
mod eras;
mod escrow;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guest;
mod handshakes;
mod hosting;
mod inbox;
mod introductions;
mod key_packages;
mod link;
mod lodging;
mod logs;
mod lost;
mod membership;
mod outbox;
mod own_log;
mod past;
mod people;
mod placed;
mod planning;
mod postings;
mod profile;
mod receipts;
mod renewals;
mod replies;
mod rows;
mod seal;
mod session;
mod sightings;
mod sizes;
mod space;
mod status;
mod strangers;
mod tickets;
mod unfollowed;
mod vault;
mod views;
mod welcome;
mod words;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::Action;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, SpaceId, WriterId, codec};

use crate::api::{Command, CommandId, Event, Failure, Input, Output, Response, Until};
use crate::records::{Batch, Load, Records, key};

use account::Me;
use documents::Documents;
pub use edits::EDITS;
use edits::Edits;
use guest::Guest;
use hosting::Hosting;
use key_packages::Packages;
use lodging::Lodging;
use own_log::Wish;
use people::People;
use session::Session;
use sightings::Sightings;
use space::SpaceState;
use status::Standing;
use tickets::Stray;
use vault::Vaulting;

/// Why a store's index could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A record is not readable, or this build no longer reads the store's format.
    #[error("the store is damaged: {0}")]
    Damaged(&'static str),
    /// The store was written by a newer version.
    #[error("the store is of a newer version ({found})")]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format this build reads.
        known: u32,
    },
}

/// One account on one device. See the crate's page for the order of calls.
pub struct Engine {
    rng: ChaCha20Rng,
    /// The engine's own time, in ms: never goes back. What waits, waits by this.
    now: u64,
    /// The host's clock as last told, Unix ms: what people are shown.
    wall: u64,
    /// What added to the host's clock gives the engine's time: a clock set back moves it.
    skew: i64,
    outputs: VecDeque<Output>,
    batch: Batch,
    next_batch: u64,
    durable: u64,
    /// Outputs that must not leave before the batch with this number is durable.
    held: VecDeque<(u64, Output)>,
    pending: Vec<Output>,
    /// Asked for after this input's batch, so that they see it.
    loads: Vec<Load>,
    failed: bool,
    me: Option<Me>,
    session: Session,
    people: People,
    /// How far others have read the spaces they share with this account.
    sightings: Sightings,
    spaces: SortedMap<SpaceId, Box<SpaceState>>,
    documents: Documents,
    /// Edits made under a name, and what they were answered.
    edits: Edits,
    /// Private halves of published key packages, once they were needed.
    key_packages: Option<crate::group::Records>,
    fresh_key_packages: crate::group::Records,
    packages: Packages,
    tasks: VecDeque<Task>,
    parked: SortedMap<Need, VecDeque<Task>>,
    waits: SortedMap<CommandId, Until>,
    unsaved: Unsaved,
    wake: Option<u64>,
    foreground: Option<SpaceId>,
    /// What this device does while it has no account.
    guest: Option<Guest>,
    /// A device that is being linked.
    hosting: Option<Box<Hosting>>,
    /// What is wanted in the own log and waits for what comes before it.
    wishes: VecDeque<(Action, Wish)>,
    /// Devices of the account that are still to come into its space.
    lodging: Lodging,
    /// Spaces this account is in and this device is not.
    strays: BTreeMap<SpaceId, Stray>,
    vaulting: Vaulting,
    /// When the relay last saw the account's devices, once asked.
    seen: Option<Vec<(DeviceId, u64)>>,
    told_revoked: bool,
    /// What the app was told last of how things stand, and how they stand.
    standing: Standing,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("account", &self.me.as_ref().map(|me| me.row.account))
            .field("spaces", &self.spaces.len())
            .finish_non_exhaustive()
    }
}

/// Rows changed in memory during this input, to be written once at its end.
#[derive(Debug, Default)]
struct Unsaved {
    spaces: SortedSet<SpaceId>,
    states: SortedSet<SpaceId>,
    writers: SortedSet<(SpaceId, WriterId)>,
    session: bool,
    account: bool,
}

/// What a task cannot go on without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Load(Load),
    /// The relay's answer about an address.
    Lookup(Address),
    /// The relay's answer about an account's device log.
    Log(AccountId),
    /// The relay's answer about when devices were last seen.
    Seen,
    /// The vault, with all that this device owes it, at the relay.
    Vaulted,
}

/// Something to be done, now or when what it needs is there.
#[derive(Debug)]
enum Task {
    Command(CommandId, Command),
    /// Take in what was delivered for a space, in order.
    TakeIn(SpaceId),
    /// Take in what came into the inbox, in order.
    Invitations,
    /// Take up an invitation that came before the removal it undoes.
    Rejoin(SpaceId),
    /// Send what waits in a space, or move its membership forward.
    Advance(SpaceId),
    /// Bring the list's row up to date and announce what is new.
    Summarise(SpaceId),
    /// Write a space's receipts.
    Receipts(SpaceId),
    /// Place what the relay stored.
    Place(sync_protocol::frames::Stored),
    /// Enter a space by its ticket, left with the handshake at this index.
    Enter(SpaceId, Blob, u64),
    /// Bring the vault up to date.
    Vault,
    /// Keep a setting of the engine's own.
    Setting(String, serde_json::Value),
    /// Read how far the account's other devices have come in a receipts document.
    Siblings(SpaceId, u32),
    /// Read what people call themselves in a conversation, from an era on; in the account's own
    /// space, what the account is called.
    Names(SpaceId, u32),
    /// Write down who invited this account into a conversation.
    Inviter(SpaceId),
    /// Go on with conversations that may have been accepted.
    Accepted,
    /// Say a new name in a conversation.
    Introduce(SpaceId),
    /// Keep for the account's other devices who is in a conversation.
    Contacts(SpaceId),
    /// Let in the account's devices that are not in its space.
    HostMissing,
    /// Go on with an app's documents as they were handed over.
    TakeUp(SpaceId),
    /// Read what was passed over for want of keys, if another device has written them down.
    ReadLost,
    /// Tell that somebody's devices changed, if their safety number had been compared.
    Compared(AccountId),
}

/// The outcome of a step that may lack something.
type Step<T> = Result<T, Stop>;

/// Why a step did not complete: for now, or for good.
#[derive(Debug)]
enum Stop {
    Need(Need),
    Fail(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<Load> for Stop {
    fn from(load: Load) -> Self {
        Self::Need(Need::Load(load))
    }
}

impl Engine {
    /// Opens an engine over the records under [`crate::records::index_prefixes`], all in one map.
    /// `seed` must be fresh randomness at every opening.
    ///
    /// # Errors
    /// `Damaged` or `Newer`; the store is left as it is.
    pub fn open(seed: [u8; 32], now_ms: u64, index: Records) -> Result<Self, OpenError> {
        let mut engine = Self {
            rng: ChaCha20Rng::from_seed(seed),
            now: now_ms,
            wall: now_ms,
            skew: 0,
            outputs: VecDeque::new(),
            batch: Batch::default(),
            next_batch: 1,
            durable: 0,
            held: VecDeque::new(),
            pending: Vec::new(),
            loads: Vec::new(),
            failed: false,
            me: None,
            session: Session::default(),
            people: People::default(),
            sightings: Sightings::default(),
            spaces: SortedMap::new(),
            documents: Documents::default(),
            edits: Edits::default(),
            key_packages: None,
            fresh_key_packages: crate::group::Records::new(),
            packages: Packages::default(),
            tasks: VecDeque::new(),
            parked: SortedMap::new(),
            waits: SortedMap::new(),
            unsaved: Unsaved::default(),
            wake: None,
            foreground: None,
            guest: None,
            hosting: None,
            wishes: VecDeque::new(),
            lodging: Lodging::default(),
            strays: BTreeMap::new(),
            vaulting: Vaulting::default(),
            seen: None,
            told_revoked: false,
            standing: Standing::default(),
        };
        engine.read_index(&index)?;
        engine.resume_receipts();
        engine.resume_names();
        engine.resume_inviters();
        engine.resume_taking_up();
        engine.note_vaulted();
        engine.call_vault_if_owed();
        engine.start_session();
        engine.finish();
        Ok(engine)
    }

    fn read_index(&mut self, index: &Records) -> Result<(), OpenError> {
        for (record, value) in index {
            match record.first() {
                Some(b'a') => self.people.read(record, value)?,
                Some(b'x') => {
                    let id = record.get(1..).and_then(|id| SpaceId::try_from(id).ok());
                    let id = id.ok_or(OpenError::Damaged("space"))?;
                    let row = read_row("space", value)?;
                    self.spaces.insert(id, Box::new(SpaceState::new(id, row)));
                    self.note_waiting(&id);
                }
                Some(b'e') => self.edits.read(record, value)?,
                _ => {}
            }
        }
        if let Some(value) = index.get(&key::meta("session")) {
            self.session.row = read_row("session", value)?;
        }
        if let Some(value) = index.get(&key::meta("account")) {
            self.me = Some(Me::read(value, self.session.row.incarnation)?);
        }
        if let Some(value) = index.get(&key::meta("packages")) {
            self.packages = Packages::read(value);
        }
        if let Some(value) = index.get(&key::meta("guest")).filter(|_| self.me.is_none()) {
            let row: rows::GuestRow = read_row("guest", value)?;
            rows::check_format(row.format)?;
            self.resume_guest(row);
        }
        Ok(())
    }

    /// Takes one input. Drain [`poll_output`](Self::poll_output) after it.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.tell_time(now_ms);
        if self.failed {
            if let Input::Command(id, _) = input {
                self.outputs.push_back(Output::Respond(id, Err(Failure::Store)));
            }
            return;
        }
        match input {
            Input::Command(id, command) => self.tasks.push_back(Task::Command(id, command)),
            Input::Cancel(id) => {
                self.waits.remove(&id);
            }
            Input::Connected => self.on_connected(),
            Input::Disconnected => self.on_disconnected(),
            Input::Received(message) => self.on_message(&message),
            Input::Persisted(number) => self.on_persisted(number),
            Input::Loaded(load, records) => self.on_loaded(load, records),
            Input::Woken => {
                self.wake = None;
                self.on_woken();
            }
            Input::StoreFailed => self.on_store_failed(),
        }
        self.run_tasks();
        self.finish();
    }

    /// A clock that was set back must not stop everything that waits: the engine's time goes on
    /// from where it was.
    fn tell_time(&mut self, now_ms: u64) {
        self.wall = now_ms;
        let now = now_ms.saturating_add_signed(self.skew);
        if now < self.now {
            self.skew = self.now.cast_signed().wrapping_sub(now_ms.cast_signed());
        } else {
            self.now = now;
        }
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn run_tasks(&mut self) {
        while let Some(task) = self.tasks.pop_front() {
            if let Err(Stop::Need(need)) = self.run(&task) {
                self.park(need, task);
            }
        }
    }

    fn run(&mut self, task: &Task) -> Step<()> {
        match task {
            Task::Command(id, command) => match self.execute(*id, command) {
                Ok(Some(response)) => self.respond(*id, Ok(response)),
                Ok(None) => {}
                Err(Stop::Fail(failure)) => self.respond(*id, Err(failure)),
                Err(stop) => return Err(stop),
            },
            Task::TakeIn(space) => self.take_in(space)?,
            Task::Invitations => self.take_invitations()?,
            Task::Rejoin(space) => self.rejoin(space)?,
            Task::Advance(space) => self.advance(space)?,
            Task::Summarise(space) => self.summarise(space)?,
            Task::Receipts(space) => self.write_receipts(space)?,
            Task::Place(stored) => self.place(stored)?,
            Task::Enter(space, ticket, index) => self.enter_by_ticket(space, ticket, *index)?,
            Task::Vault => self.write_vault()?,
            Task::Setting(key, value) => self.keep_setting(key, value)?,
            Task::Siblings(space, segment) => self.follow_siblings(space, *segment)?,
            Task::Names(space, era) => self.hear_names(space, *era)?,
            Task::Inviter(space) => self.keep_inviter(space)?,
            Task::Accepted => self.heed_acceptance()?,
            Task::Introduce(space) => self.introduce_again(space)?,
            Task::Contacts(space) => self.keep_contacts(space)?,
            Task::HostMissing => self.host_missing()?,
            Task::TakeUp(space) => self.take_up(space)?,
            Task::ReadLost => self.read_what_was_lost()?,
            Task::Compared(account) => self.tell_compared(account)?,
        }
        Ok(())
    }

    fn park(&mut self, need: Need, task: Task) {
        let first = !self.parked.contains_key(&need);
        match &need {
            Need::Load(load) if first => {
                if let Load::Document(id, name) = load {
                    self.documents.start_loading(id, name);
                }
                self.loads.push(load.clone());
            }
            _ => {}
        }
        self.parked.entry(need.clone()).or_default().push_back(task);
        match need {
            Need::Lookup(address) if first => self.ask_lookup(address),
            Need::Seen if first => self.ask_seen(),
            _ => {}
        }
    }

    /// Takes parked tasks up again, before any that came later.
    fn unpark(&mut self, need: &Need) {
        for task in self.parked.remove(need).unwrap_or_default().into_iter().rev() {
            self.tasks.push_front(task);
        }
    }

    fn on_loaded(&mut self, load: Load, records: Records) {
        // What came into memory while the store was read is newer than what was read.
        match &load {
            Load::Space(id) => {
                if let Some(space) = self.spaces.get_mut(id).filter(|space| space.core.is_none()) {
                    space.read_core(records);
                }
            }
            Load::Group(id) => {
                if let Some(space) = self.spaces.get_mut(id).filter(|space| space.group.is_none()) {
                    space.read_group(records);
                }
            }
            Load::Document(id, name) => self.open_document(id, name, &records),
            Load::KeyPackages => self.read_key_packages(records),
        }
        self.unpark(&Need::Load(load));
    }

    fn on_persisted(&mut self, number: u64) {
        self.durable = self.durable.max(number);
        while self.held.front().is_some_and(|(needs, _)| *needs <= self.durable) {
            let output = self.held.pop_front().map(|(_, output)| output);
            self.outputs.extend(output);
        }
    }

    /// Nothing that was not durable may be built upon: the host opens the store anew.
    fn on_store_failed(&mut self) {
        self.failed = true;
        self.outputs.clear();
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, output)| output);
        for output in held.chain(std::mem::take(&mut self.pending)) {
            if let Output::Respond(id, _) = output {
                self.outputs.push_back(Output::Respond(id, Err(Failure::Store)));
            }
        }
        let parked = std::mem::take(&mut self.parked).into_values().flatten();
        for task in parked.chain(std::mem::take(&mut self.tasks)) {
            if let Task::Command(id, _) = task {
                self.outputs.push_back(Output::Respond(id, Err(Failure::Store)));
            }
        }
        self.outputs.push_back(Output::Disconnect);
    }

    /// Ends an input: writes what changed as one batch, and lets go of what needs no waiting.
    fn finish(&mut self) {
        if self.failed {
            return;
        }
        self.report_waits();
        self.save();
        self.report_turn();
        if !self.batch.is_empty() {
            let mut batch = std::mem::take(&mut self.batch);
            batch.number = self.next_batch;
            self.next_batch += 1;
            self.outputs.push_back(Output::Persist(batch));
        }
        self.outputs.extend(std::mem::take(&mut self.loads).into_iter().map(Output::Load));
        let needs = self.next_batch - 1;
        for output in std::mem::take(&mut self.pending) {
            if needs <= self.durable {
                self.outputs.push_back(output);
            } else {
                self.held.push_back((needs, output));
            }
        }
        self.evict_documents();
        self.evict_spaces();
        self.set_wake();
    }

    fn save(&mut self) {
        let unsaved = std::mem::take(&mut self.unsaved);
        for id in &unsaved.spaces {
            self.note_waiting(id);
            if let Some(space) = self.spaces.get(id) {
                self.batch.put(key::index(id), codec::encode(&space.row));
            }
        }
        for id in &unsaved.states {
            if let Some(core) = self.spaces.get(id).and_then(|space| space.core.as_ref()) {
                self.batch.put(key::state(id), codec::encode(&core.state));
            }
        }
        for (id, writer) in &unsaved.writers {
            if let Some(core) = self.spaces.get(id).and_then(|space| space.core.as_ref()) {
                let tip = core.tips.tip(writer);
                self.batch.put(key::writer(id, writer), codec::encode(&tip));
            }
        }
        if unsaved.session {
            self.batch.put(key::meta("session"), codec::encode(&self.session.row));
        }
        if let Some(me) = self.me.as_ref().filter(|_| unsaved.account) {
            self.batch.put(key::meta("account"), codec::encode(&me.row));
        }
    }

    /// Sent, told or answered once everything written so far is durable.
    fn after_durable(&mut self, output: Output) {
        self.pending.push(output);
    }

    fn respond(&mut self, id: CommandId, result: Result<Response, Failure>) {
        self.after_durable(Output::Respond(id, result));
    }

    fn notify(&mut self, event: Event) {
        self.after_durable(Output::Notify(event));
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    fn nonzero(&mut self) -> u64 {
        loop {
            let number = self.rng.next_u64();
            if number != 0 {
                return number;
            }
        }
    }

    /// Asks to be called at the earliest of all times anything waits for.
    fn set_wake(&mut self) {
        let at = self.next_deadline().map(|at| at.saturating_add_signed(self.skew.wrapping_neg()));
        if at != self.wake {
            self.wake = at;
            self.outputs.extend(at.map(Output::Wake));
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let receipts = self.spaces.values().filter_map(|space| space.receipts_at);
        let spaces = self.spaces.values();
        let retries =
            spaces.flat_map(|space| [space.retry_at, space.shown_less_at, space.hand_over_at]);
        let retries = retries.flatten();
        let guest = self.guest.as_ref().and_then(Guest::deadline);
        let hosting = self.hosting.as_ref().map(|hosting| hosting.deadline());
        let strays = self.strays_due();
        let (lodging, session) = (self.lodging.deadline(), self.session.deadline());
        let packages = self.packages.deadline().filter(|_| self.session.is_open());
        let others = [guest, hosting, lodging, strays, self.vaulting.at, session, packages];
        receipts.chain(retries).chain(others.into_iter().flatten()).min()
    }

    fn on_woken(&mut self) {
        let now = self.now;
        for (id, space) in self.spaces.iter_mut() {
            if space.receipts_at.is_some_and(|at| at <= now) {
                space.receipts_at = None;
                self.tasks.push_back(Task::Receipts(*id));
            }
            if space.retry_at.is_some_and(|at| at <= now) {
                space.retry_at = None;
                self.tasks.push_back(Task::Advance(*id));
            }
            if space.hand_over_at.take_if(|at| *at <= now).is_some() {
                space.its_turn = true;
                self.tasks.push_back(Task::Advance(*id));
            }
            if space.shown_less_at.take_if(|at| *at <= now).is_some() && space.is_shown_less() {
                space.row.lagging = true;
                self.tasks.push_back(Task::Advance(*id));
            }
        }
        if self.vaulting.at.is_some_and(|at| at <= now) {
            self.vaulting.at = None;
            self.tasks.push_back(Task::Vault);
        }
        if self.lodging.is_due(now) {
            self.tasks.push_back(Task::HostMissing);
        }
        self.packages_woken();
        self.seek();
        self.guest_woken();
        self.hosting_woken();
        self.session_woken();
    }

    fn report_waits(&mut self) {
        if self.waits.is_empty() {
            return;
        }
        let stored = self.all_stored();
        let up_to_date = self.is_up_to_date();
        let reached: Vec<_> = self
            .waits
            .iter()
            .filter(|(_, until)| match until {
                Until::Stored => stored,
                Until::UpToDate => up_to_date,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in reached {
            self.waits.remove(&id);
            self.respond(id, Ok(Response::Done));
        }
    }
}

fn read_row<'b, T: minicbor::Decode<'b, ()>>(
    what: &'static str,
    value: &'b [u8],
) -> Result<T, OpenError> {
    codec::decode(what, value).map_err(|_| OpenError::Damaged(what))
}

#[cfg(test)]
mod vector_tests;
