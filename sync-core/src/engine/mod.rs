//! The engine: a sans-IO state machine over one account on one device.
//!
//! How an edit travels: `commands` makes it an [`crate::document::Edit`], `space::outbox` applies
//! it, cuts it into a numbered change set, seals and pushes it; at the other end `session` takes the
//! delivery, `space::deliveries` proves and opens each entry in log order, and `documents` takes in
//! its changes. `members` does the same for who is in, `entering` for being let in. `rooms` says
//! which of them may use what.
//!
//! Work that needs records which are not in memory is parked as a task and taken up again when
//! the host has loaded them: every task asks for all it needs before it changes anything, or can
//! be continued where it stopped.

mod account;
mod commands;
mod documents;
mod edits;
mod entering;
mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod linking;
mod members;
mod people;
mod requests;
mod rooms;
mod rows;
mod seal;
mod session;
mod signals;
mod space;
#[cfg(test)]
mod testing;
mod turn;

use sync_protocol::{SpaceId, codec};

use crate::api::{Input, Output, Response, Until};
use crate::records::{Load, Records, key};

use account::{Account, Me};
use documents::Documents;
pub use edits::EDITS;
use entering::strays::Strays;
use exit::Exit;
use linking::Linking;
use people::People;
use requests::Requests;
use session::Session;
use session::status::Standing;
use space::Spaces;
use space::sightings::Sightings;
use space::state::SpaceState;
use turn::{Need, Step, Stop, Task, Turn};

/// Looking for idle spaces costs with their number: once in so many batches.
const EVICT_EVERY: u64 = 32;

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
    /// What one input may use, and what it leaves behind.
    turn: Turn,
    /// Outputs on their way to the host, in order, some until a batch is durable.
    exit: Exit,
    /// What waits to go on: commands, and steps that lack a record or an answer.
    requests: Requests,
    /// The connection with the relay.
    session: Session,
    /// Who this device is, and what it owes its account.
    account: Account,
    /// Everybody whose device log is known.
    people: People,
    /// How far others have read the spaces they share with this account.
    sightings: Sightings,
    /// Conversations, and the account's own space.
    spaces: Spaces,
    /// Spaces this account is in and this device is not.
    strays: Strays,
    /// Documents in memory.
    documents: Documents,
    /// How a device gets an account, and how an account gets a device.
    linking: Linking,
    /// What the app was told last of how things stand.
    standing: Standing,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("account", &self.account.own().map(|me| me.row().account))
            .field("spaces", &self.spaces.len())
            .finish_non_exhaustive()
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
            turn: Turn::new(seed, now_ms),
            exit: Exit::default(),
            requests: Requests::default(),
            session: Session::default(),
            account: Account::default(),
            people: People::default(),
            sightings: Sightings::default(),
            spaces: Spaces::default(),
            strays: Strays::default(),
            documents: Documents::default(),
            linking: Linking::default(),
            standing: Standing::default(),
        };
        engine.read_index(&index)?;
        engine.content_rows().resume_receipts();
        engine.profile().resume_names();
        engine.content_rows().resume_inviters();
        engine.content_rows().resume_taking_up();
        engine.vault().note_vaulted();
        engine.vault().call_vault_if_owed();
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
                Some(b'y') => self.spaces.read_name(record)?,
                Some(b'e') => self.requests.edits_mut().read(record, value)?,
                _ => {}
            }
        }
        for (id, space) in self.spaces.iter_mut() {
            for name in std::mem::take(&mut space.row.documents_before) {
                space.row.lists(&name);
                self.turn.batch.put(key::named(id, &name), Vec::new());
                self.turn.unsaved.spaces.insert(*id);
            }
        }
        if let Some(value) = index.get(&key::meta("session")) {
            self.session.read(read_row("session", value)?);
        }
        if let Some(value) = index.get(&key::meta("account")) {
            self.account.take_up(Me::read(value, self.session.incarnation())?);
        }
        if let Some(value) = index.get(&key::meta("packages")) {
            self.account.keys.read(value);
        }
        if let Some(value) = index.get(&key::meta("guest")).filter(|_| self.account.own().is_none())
        {
            let row: rows::GuestRow = read_row("guest", value)?;
            rows::check_format(row.format)?;
            self.guest_side().resume_guest(row);
        }
        Ok(())
    }

    /// Takes one input. Drain [`poll_output`](Self::poll_output) after it.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.turn.tell_time(now_ms);
        self.spaces.begin_turn(self.turn.now);
        if self.exit.has_failed() {
            if let Input::Command(id, _) = input {
                self.exit.refuse(id);
            }
            return;
        }
        match input {
            Input::Command(id, command) => self.turn.tasks.push_back(Task::Command(id, command)),
            Input::Cancel(id) => self.requests.cancel(&id),
            Input::Connected => self.on_connected(),
            Input::Disconnected => self.on_disconnected(),
            Input::Received(message) => self.on_message(&message),
            Input::Persisted(number) => self.exit.on_persisted(number),
            Input::Loaded(load, records) => self.on_loaded(load, records),
            Input::Woken => {
                self.exit.on_woken();
                self.on_woken();
            }
            Input::StoreFailed => self.on_store_failed(),
        }
        self.run_tasks();
        self.finish();
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.exit.poll()
    }

    fn run_tasks(&mut self) {
        loop {
            self.settle();
            let Some(task) = self.turn.tasks.pop_front() else { return };
            if let Err(Stop::Need(need)) = self.run(&task) {
                self.park(need, task);
            }
        }
    }

    /// Clears away what ended during the last step, then lets tasks go on that have what they
    /// lacked: they must not see a session or an account that is no more.
    fn settle(&mut self) {
        loop {
            if std::mem::take(&mut self.turn.lapsed.session) {
                self.forget_session();
            } else if std::mem::take(&mut self.turn.lapsed.account) {
                self.wipe();
            } else {
                break;
            }
        }
        self.go_on();
    }

    /// Tasks go on that have what they lacked.
    fn go_on(&mut self) {
        for need in std::mem::take(&mut self.turn.found).into_iter().rev() {
            self.requests.unpark(&need, &mut self.turn.tasks);
        }
    }

    fn run(&mut self, task: &Task) -> Step<()> {
        match task {
            Task::Command(id, command) => match self.execute(*id, command) {
                Ok(Some(response)) => self.turn.respond(*id, Ok(response)),
                Ok(None) => {}
                Err(Stop::Fail(failure)) => self.turn.respond(*id, Err(failure)),
                Err(stop) => return Err(stop),
            },
            Task::TakeIn(space) => self.intake().take_in(space)?,
            Task::Invitations => self.invitations().take_invitations()?,
            Task::Rejoin(space) => self.invitations().rejoin(space)?,
            Task::Advance(space) => self.members().advance(space)?,
            Task::Summarise(space) => self.library().summarise(space)?,
            Task::Receipts(space) => self.views().write_receipts(space)?,
            Task::Place(stored) => self.intake().place(stored)?,
            Task::Enter(space, ticket, index) => {
                self.tickets().enter_by_ticket(space, ticket, *index)?
            }
            Task::Vault => self.vault().write_vault()?,
            Task::Setting(key, value) => self.devices().keep_setting(key, value)?,
            Task::Siblings(space, segment) => self.library().follow_siblings(space, *segment)?,
            Task::Names(space, era) => self.profile().hear_names(space, *era)?,
            Task::Calls => self.commits().heed_calls()?,
            Task::Inviter(space) => self.profile().keep_inviter(space)?,
            Task::Accepted => {
                self.library().heed_acceptance()?;
                self.profile().look_for_calls();
            }
            Task::Introduce(space) => self.profile().introduce_again(space)?,
            Task::Contacts(space) => self.profile().keep_contacts(space).map(drop)?,
            Task::HostMissing => self.devices().host_missing()?,
            Task::TakeUp(space) => self.library().take_up(space)?,
            Task::ReadLost => self.checks().read_what_was_lost()?,
            Task::Compared(account) => self.contacts().tell_compared(account)?,
        }
        Ok(())
    }

    fn park(&mut self, need: Need, task: Task) {
        if !self.requests.park(need.clone(), task) {
            return;
        }
        match need {
            Need::Load(load) => {
                if let Load::Document(id, name) = &load {
                    self.documents.start_loading(id, name);
                }
                self.turn.loads.push(load);
            }
            Need::Lookup(address) => self.contacts().ask_lookup(address),
            Need::Seen => self.devices().ask_seen(),
            Need::Log(_) | Need::Vaulted => {}
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
            Load::Document(id, name) => self.content().open_document(id, name, &records),
            Load::KeyPackages => self.own_packages().read_key_packages(records),
        }
        self.turn.found(Need::Load(load));
    }

    /// Nothing that was not durable may be built upon: the host opens the store anew.
    fn on_store_failed(&mut self) {
        let parked = self.requests.take_parked();
        let tasks = parked.into_iter().chain(std::mem::take(&mut self.turn.tasks));
        let commands = tasks.filter_map(|task| match task {
            Task::Command(id, _) => Some(id),
            _ => None,
        });
        let commands = commands.collect();
        self.exit.fail(std::mem::take(&mut self.turn.pending), commands);
    }

    /// Ends an input: writes what changed as one batch, and lets go of what needs no waiting.
    fn finish(&mut self) {
        if self.exit.has_failed() {
            return;
        }
        self.report_waits();
        self.save();
        self.report_turn();
        std::mem::take(&mut self.turn.urgent).into_iter().for_each(|output| self.exit.now(output));
        let turn = &mut self.turn;
        let (batch, loads) = (std::mem::take(&mut turn.batch), std::mem::take(&mut turn.loads));
        self.exit.write(batch, loads, std::mem::take(&mut turn.pending));
        self.library().evict_documents();
        if self.exit.next_batch().is_multiple_of(EVICT_EVERY) {
            self.spaces.evict(|id| self.documents.any_open(id));
        }
        self.set_wake();
    }

    fn save(&mut self) {
        let unsaved = std::mem::take(&mut self.turn.unsaved);
        for id in &unsaved.spaces {
            self.note_waiting(id);
            if let Some(space) = self.spaces.get(id) {
                self.turn.batch.put(key::index(id), codec::encode(&space.row));
            }
        }
        for id in &unsaved.states {
            if let Some(core) = self.spaces.get(id).and_then(|space| space.core.as_ref()) {
                self.turn.batch.put(key::state(id), codec::encode(&core.state));
            }
        }
        for (id, writer) in &unsaved.writers {
            if let Some(core) = self.spaces.get(id).and_then(|space| space.core.as_ref()) {
                let tip = core.tips.tip(writer);
                self.turn.batch.put(key::writer(id, writer), codec::encode(&tip));
            }
        }
        if unsaved.session {
            self.turn.batch.put(key::meta("session"), codec::encode(self.session.row()));
        }
        if let Some(me) = self.account.own().filter(|_| unsaved.account) {
            self.turn.batch.put(key::meta("account"), codec::encode(&me.row()));
        }
    }

    /// Asks to be called at the earliest of all times anything waits for.
    fn set_wake(&mut self) {
        let at = self.next_deadline().map(|at| self.turn.host_time(at));
        self.exit.wake_at(at);
    }

    fn next_deadline(&self) -> Option<u64> {
        let receipts = self.spaces.values().filter_map(|space| space.receipting.deadline());
        let spaces = self.spaces.values();
        let retries = spaces.flat_map(|space| {
            let (handover, another) = (space.handover.deadline(), space.another.deadline());
            [space.retry_at, space.shown_less_at, handover, another]
        });
        let retries = retries.flatten();
        let linking = self.linking.deadline();
        let strays = self.strays.due(self.turn.now);
        let (lodging, session) = (self.account.lodging.deadline(), self.session.deadline());
        let packages = self.account.keys.deadline().filter(|_| self.session.is_open());
        let others =
            [linking, lodging, strays, self.account.vaulting.deadline(), session, packages];
        receipts.chain(retries).chain(others.into_iter().flatten()).min()
    }

    fn on_woken(&mut self) {
        let now = self.turn.now;
        let mut others = Vec::new();
        for (id, space) in self.spaces.iter_mut() {
            if space.receipting.is_due(now) {
                self.turn.tasks.push_back(Task::Receipts(*id));
            }
            if space.retry_at.is_some_and(|at| at <= now) {
                space.retry_at = None;
                self.turn.tasks.push_back(Task::Advance(*id));
            }
            if space.another.is_due(now) {
                others.push((*id, space.row.generation));
            }
            if space.handover.is_due(now) {
                self.turn.tasks.push_back(Task::Advance(*id));
            }
            if space.shown_less_at.take_if(|at| *at <= now).is_some() && space.is_shown_less() {
                space.row.lagging = true;
                self.turn.tasks.push_back(Task::Advance(*id));
            }
        }
        for (id, generation) in others {
            self.fetching().on_new_generation(&id, generation);
        }
        if self.account.vaulting.is_due(now) {
            self.turn.tasks.push_back(Task::Vault);
        }
        if self.account.lodging.is_due(now) {
            self.turn.tasks.push_back(Task::HostMissing);
        }
        self.own_packages().packages_woken();
        self.tickets().seek();
        self.guest_side().guest_woken();
        self.host_side().hosting_woken();
        self.session_woken();
    }

    fn report_waits(&mut self) {
        if !self.requests.has_waits() {
            return;
        }
        let stored = self.all_stored();
        let up_to_date = self.is_up_to_date();
        let reached = self.requests.take_reached(|until| match until {
            Until::Stored => stored,
            Until::UpToDate => up_to_date,
        });
        for id in reached {
            self.turn.respond(id, Ok(Response::Done));
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
