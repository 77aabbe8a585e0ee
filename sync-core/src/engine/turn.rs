//! One turn of the engine: what an input may use, and what it leaves behind.
//!
//! A machine is given the turn with each event. It takes time and chance from it, and puts into it
//! what is to be written, asked for, told or done next. [`Engine::finish`](super::Engine) ends the
//! turn: it writes the batch and lets go of the rest.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::frames::ClientFrame;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, SpaceId, WriterId};

use crate::api::{Command, CommandId, Event, Failure, Output, Response};
use crate::records::{Batch, Load};

/// What one input may use, and what it leaves behind.
pub(super) struct Turn {
    pub(super) rng: ChaCha20Rng,
    /// The engine's own time, in ms: never goes back. What waits, waits by this.
    pub(super) now: u64,
    /// The host's clock as last told, Unix ms: what people are shown.
    pub(super) wall: u64,
    /// Offset from the host's clock to the engine's time: a clock that is set back moves it.
    skew: i64,
    /// What is to be written at the end of the turn, as one.
    pub(super) batch: Batch,
    /// Rows in memory that the batch is still to have.
    pub(super) unsaved: Unsaved,
    /// What is to be done next, in order.
    pub(super) tasks: VecDeque<Task>,
    /// Records to be read once the batch is written, so that what is read has it.
    pub(super) loads: Vec<Load>,
    /// What is there that parked tasks lacked.
    pub(super) found: Vec<Need>,
    /// What ended during this step, and is to be cleared away before the next.
    pub(super) lapsed: Lapsed,
    /// Whether the app hears at the end of the turn how things stand.
    pub(super) tells_status: bool,
    /// Outputs that leave before all else of this turn.
    pub(super) urgent: Vec<Output>,
    /// Outputs that leave once the batch is durable.
    pub(super) pending: Vec<Output>,
}

impl Turn {
    pub(super) fn new(seed: [u8; 32], now_ms: u64) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed(seed),
            now: now_ms,
            wall: now_ms,
            skew: 0,
            batch: Batch::default(),
            unsaved: Unsaved::default(),
            tasks: VecDeque::new(),
            loads: Vec::new(),
            found: Vec::new(),
            lapsed: Lapsed::default(),
            tells_status: false,
            urgent: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Takes the host's clock. A clock that was set back must not stop everything that waits: the
    /// engine's time goes on from where it was.
    pub(super) fn tell_time(&mut self, now_ms: u64) {
        self.wall = now_ms;
        let now = now_ms.saturating_add_signed(self.skew);
        if now < self.now {
            self.skew = self.now.cast_signed().wrapping_sub(now_ms.cast_signed());
        } else {
            self.now = now;
        }
    }

    /// What the host's clock shows at a time of the engine's.
    pub(super) fn host_time(&self, at: u64) -> u64 {
        at.saturating_add_signed(self.skew.wrapping_neg())
    }

    /// Sent, told or answered once everything written so far is durable.
    pub(super) fn after_durable(&mut self, output: Output) {
        self.pending.push(output);
    }

    /// Sends a frame once everything written so far is durable.
    pub(super) fn send(&mut self, frame: &ClientFrame) {
        self.after_durable(Output::Send(frame.to_bytes()));
    }

    /// What parked tasks lack is there: they go on before any that came later.
    pub(super) fn found(&mut self, need: Need) {
        self.found.push(need);
    }

    /// At the end of the turn the app hears how things stand.
    pub(super) fn tell_status(&mut self) {
        self.tells_status = true;
    }

    pub(super) fn respond(&mut self, id: CommandId, result: Result<Response, Failure>) {
        self.after_durable(Output::Respond(id, result));
    }

    pub(super) fn notify(&mut self, event: Event) {
        self.after_durable(Output::Notify(event));
    }

    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    pub(super) fn nonzero(&mut self) -> u64 {
        loop {
            let number = self.rng.next_u64();
            if number != 0 {
                return number;
            }
        }
    }

    pub(super) fn save_space(&mut self, id: &SpaceId) {
        self.unsaved.spaces.insert(*id);
    }

    pub(super) fn save_state(&mut self, id: &SpaceId) {
        self.unsaved.states.insert(*id);
    }
}

/// What ended during a step. The machines that it concerns are told before the next step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lapsed {
    /// The session: what was asked is not answered any more.
    pub(super) session: bool,
    /// The account: nothing of it stays on this device.
    pub(super) account: bool,
}

/// Rows changed in memory during this input, to be written once at its end.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    pub(super) spaces: SortedSet<SpaceId>,
    pub(super) states: SortedSet<SpaceId>,
    pub(super) writers: SortedSet<(SpaceId, WriterId)>,
    pub(super) session: bool,
    pub(super) account: bool,
}

/// What a task cannot go on without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
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
pub(super) enum Task {
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
    /// Look for what the account's other devices call for.
    Calls,
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
pub(super) type Step<T> = Result<T, Stop>;

/// Why a step did not complete: for now, or for good.
#[derive(Debug)]
pub(super) enum Stop {
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
