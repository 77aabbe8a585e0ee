//! What waits to go on: commands, and steps that lack a record or an answer.

use std::collections::VecDeque;

use sync_protocol::AccountId;
use sync_protocol::address::Address;
use sync_protocol::sorted::SortedMap;

use crate::api::{CommandId, Until};
use crate::engine::edits::Edits;
use crate::engine::turn::{Need, Task};

/// What waits to go on.
#[derive(Default)]
pub(super) struct Requests {
    /// Tasks by what they lack.
    parked: SortedMap<Need, VecDeque<Task>>,
    /// Commands that wait for a state of things.
    waits: SortedMap<CommandId, Until>,
    /// Edits made under a name, and what they were answered.
    edits: Edits,
}

impl Requests {
    /// Keeps a task until what it lacks is there. Gives whether it is the first that lacks this.
    pub(super) fn park(&mut self, need: Need, task: Task) -> bool {
        let first = !self.parked.contains_key(&need);
        self.parked.entry(need).or_default().push_back(task);
        first
    }

    /// A command waits for a state of things.
    pub(super) fn wait(&mut self, id: CommandId, until: Until) {
        self.waits.insert(id, until);
    }

    /// Nobody wants to know any more.
    pub(super) fn cancel(&mut self, id: &CommandId) {
        self.waits.remove(id);
    }

    pub(super) fn has_waits(&self) -> bool {
        !self.waits.is_empty()
    }

    /// Takes out the commands whose state is reached.
    pub(super) fn take_reached(&mut self, is_reached: impl Fn(Until) -> bool) -> Vec<CommandId> {
        let reached = self.waits.iter().filter(|(_, until)| is_reached(**until));
        let reached: Vec<_> = reached.map(|(id, _)| *id).collect();
        reached.iter().for_each(|id| {
            self.waits.remove(id);
        });
        reached
    }

    pub(super) fn edits(&self) -> &Edits {
        &self.edits
    }

    pub(super) fn edits_mut(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// No edit was made under a name.
    pub(super) fn forget_edits(&mut self) {
        self.edits = Edits::default();
    }

    /// Takes out the tasks that lack this, and puts them before any that came later.
    pub(super) fn unpark(&mut self, need: &Need, tasks: &mut VecDeque<Task>) {
        for task in self.parked.remove(need).unwrap_or_default().into_iter().rev() {
            tasks.push_front(task);
        }
    }

    pub(super) fn is_parked(&self, need: &Need) -> bool {
        self.parked.contains_key(need)
    }

    pub(super) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// The addresses whose owner is asked for.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let address = |need: &Need| match need {
            Need::Lookup(address) => Some(address.clone()),
            Need::Load(_) | Need::Log(_) | Need::Seen | Need::Vaulted => None,
        };
        self.parked.keys().filter_map(address).collect()
    }

    /// The accounts whose device log is asked for.
    pub(super) fn logs(&self) -> Vec<AccountId> {
        let account = |need: &Need| match need {
            Need::Log(account) => Some(*account),
            Need::Load(_) | Need::Lookup(_) | Need::Seen | Need::Vaulted => None,
        };
        self.parked.keys().filter_map(account).collect()
    }

    /// Forgets all parked tasks, and gives them.
    pub(super) fn take_parked(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.parked).into_values().flatten().collect()
    }
}
