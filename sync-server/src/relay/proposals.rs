//! Proposals: what this node proposed, and what is done once it was applied.

use std::collections::{BTreeMap, VecDeque};

use sync_protocol::error::Rejection;
use sync_protocol::frames::{Hello, Taken};
use sync_protocol::ids::{AccountId, DeviceId, SpaceId};

use crate::relay::SessionId;
use crate::relay::incoming::Speaker;
use crate::rules::{AccountDevice, Action, CommandId, Effect, REMEMBERED};

/// Who this relay is among those that share a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub node: u64,
    /// Which of its lives this is: later ones are greater.
    pub life: u64,
}

/// Who waits for a command.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A session, to do this.
    Session(SessionId, Then),
    /// The operator, to hear what came of it.
    Operator,
}

/// Commands of this node that are under way.
#[derive(Debug)]
pub(super) struct Proposals {
    node: Node,
    newest: u64,
    waiting: BTreeMap<u64, (Waiting, u64)>,
    /// What came of what the operator asked for.
    answers: BTreeMap<u64, Result<(), Rejection>>,
}

impl Proposals {
    pub(super) fn new(node: Node) -> Self {
        Self { node, newest: 0, waiting: BTreeMap::new(), answers: BTreeMap::new() }
    }

    /// Whether others share the log.
    pub(super) fn is_of_many(&self) -> bool {
        self.node.node > 0
    }

    /// A name for a command that is proposed now.
    pub(super) fn name(&mut self) -> CommandId {
        self.newest += 1;
        let Node { node, life } = self.node;
        CommandId { node, life, n: self.newest }
    }

    /// Whether so many are under way that another one might be forgotten before it comes.
    pub(super) fn is_full(&self) -> bool {
        let oldest = self.waiting.first_key_value().map_or(self.newest, |(n, _)| *n);
        self.newest.saturating_sub(oldest) >= REMEMBERED / 2
    }

    /// Somebody waits for a command.
    pub(super) fn wait(&mut self, id: CommandId, waiting: Waiting, now_ms: u64) {
        self.waiting.insert(id.n, (waiting, now_ms));
    }

    /// Whether this node proposed a command, in this life.
    pub(super) fn is_own(&self, id: &CommandId) -> bool {
        (id.node, id.life) == (self.node.node, self.node.life)
    }

    /// A command was applied: who waited for it.
    pub(super) fn take(&mut self, id: &CommandId) -> Option<Waiting> {
        let waiting = self.is_own(id).then(|| self.waiting.remove(&id.n))??;
        Some(waiting.0)
    }

    /// What came of what the operator asked for is to be looked up.
    pub(super) fn answer(&mut self, id: &CommandId, done: Result<(), Rejection>) {
        self.answers.insert(id.n, done);
        while self.answers.len() > ANSWERS {
            self.answers.pop_first();
        }
    }

    /// What came of what the operator asked for, once it is known.
    pub(super) fn answered(&mut self, id: &CommandId) -> Option<Result<(), Rejection>> {
        self.answers.remove(&id.n)
    }

    /// Those that nothing was heard of for so long.
    pub(super) fn late(&mut self, now_ms: u64) -> Vec<Waiting> {
        let is_late = |(_, since_ms): &(Waiting, u64)| now_ms.saturating_sub(*since_ms) >= LATE_MS;
        let late: Vec<_> =
            self.waiting.iter().filter(|(_, one)| is_late(one)).map(|(n, _)| *n).collect();
        late.iter().filter_map(|n| self.waiting.remove(n)).map(|(waiting, _)| waiting).collect()
    }
}

/// Answers that are kept for an operator that does not ask for them.
const ANSWERS: usize = 64;
/// How long a session waits for a command, in ms: then its device connects anew and asks again.
const LATE_MS: u64 = 30_000;

/// What a session does once its command was applied.
#[derive(Debug)]
pub(super) enum Then {
    /// A session opens.
    Open(Box<Opening>),
    /// A push is confirmed, or refused.
    Confirm(Confirming),
    /// A request is answered with `Done`.
    Answer(Answering),
    /// A request is answered with key packages, of which there are more to take.
    Gather(Box<Gathering>),
}

/// A push that waits.
#[derive(Debug)]
pub(super) struct Confirming {
    pub(super) account: AccountId,
    pub(super) space: SpaceId,
    /// The number of its first envelope.
    pub(super) first: u64,
    /// Bytes of its envelopes.
    pub(super) bytes: u64,
    /// Why what stood behind them was not proposed.
    pub(super) refused: Option<(u64, Rejection)>,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) id: u64,
    pub(super) account: AccountId,
    /// Bytes that the account has stored by it.
    pub(super) stored: u64,
    /// What it costs of the relay's time.
    pub(super) work: u64,
}

/// A hello that waits: what it changes is proposed one by one.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) hello: Hello,
    pub(super) speaker: Speaker,
    /// What is done first, for its account to be made: a token is spent, or an invite redeemed.
    pub(super) pass: Option<Action>,
    /// How many entries of its log the relay had; `None` if it brings nothing new.
    pub(super) known: Option<usize>,
    /// What its log stores.
    pub(super) stored: u64,
}

impl Opening {
    /// What has to be proposed next; the last is its fence.
    pub(super) fn next(&mut self) -> Action {
        let Hello { account, device, incarnation, fence, next_fence, .. } = self.hello;
        if let Some(pass) = self.pass.take() {
            return pass;
        }
        if let Some(known) = self.known.take() {
            let entries: Vec<_> = self.hello.log.iter().skip(known).cloned().collect();
            self.stored = entries.iter().map(|entry| entry.0.len() as u64).sum();
            return Action::AppendLog { account, index: known as u64, entries };
        }
        let device = AccountDevice { account, device };
        Action::Fence { device, incarnation, fence, next_fence }
    }
}

/// Key packages of an account's devices, one by one.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) id: u64,
    /// Whose.
    pub(super) account: AccountId,
    /// Whether who asks takes those of its own devices.
    pub(super) is_own: bool,
    /// Devices that one is taken of still.
    pub(super) left: VecDeque<DeviceId>,
    pub(super) taken: Vec<Taken>,
}

impl Gathering {
    /// With what came of taking one more.
    pub(super) fn with(mut self, outcome: Result<Effect, Rejection>) -> Result<Self, Rejection> {
        if let Effect::Package { device, package, .. } = outcome? {
            let device = device.device;
            self.taken.extend(package.map(|package| Taken { device, package }));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_once_and_of_its_own_command_alone() {
        let mut proposals = Proposals::new(Node { node: 2, life: 7 });
        let (first, second) = (proposals.name(), proposals.name());
        for (n, id) in [(1, first), (2, second)] {
            let then = Then::Answer(Answering {
                id: n,
                account: AccountId::from_bytes([1; 33]),
                stored: 0,
                work: 0,
            });
            proposals.wait(id, Waiting::Session(SessionId(n), then), n * 1_000);
        }
        let others = CommandId { life: 6, ..first };
        assert!(!proposals.is_own(&others) && proposals.take(&others).is_none());
        let waiting = proposals.take(&first);
        assert!(matches!(waiting, Some(Waiting::Session(SessionId(1), _))));
        assert!(proposals.take(&first).is_none());
        assert!(proposals.late(LATE_MS + 1_999).is_empty());
        assert_eq!(proposals.late(LATE_MS + 2_000).len(), 1);
        assert!(proposals.take(&second).is_none());
    }

    #[test]
    fn no_more_are_under_way_than_are_remembered() {
        let mut proposals = Proposals::new(Node { node: 1, life: 1 });
        let first = proposals.name();
        proposals.wait(first, Waiting::Operator, 0);
        while !proposals.is_full() {
            proposals.name();
        }
        assert_eq!(proposals.name().n, REMEMBERED / 2 + 2);
        proposals.take(&first);
        assert!(!proposals.is_full());
    }
}
