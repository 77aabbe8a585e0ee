//! The way out: outputs in order, each after the batch that it needs.

use std::collections::VecDeque;

use crate::api::{CommandId, Failure, Output};
use crate::records::{Batch, Load};

/// Outputs on their way to the host.
#[derive(Debug)]
pub(super) struct Exit {
    outputs: VecDeque<Output>,
    next_batch: u64,
    durable: u64,
    /// Outputs that must not leave before the batch with this number is durable.
    held: VecDeque<(u64, Output)>,
    /// When the host was last asked to wake the engine.
    wake: Option<u64>,
    failed: bool,
}

impl Default for Exit {
    fn default() -> Self {
        Self {
            outputs: VecDeque::new(),
            next_batch: 1,
            durable: 0,
            held: VecDeque::new(),
            wake: None,
            failed: false,
        }
    }
}

impl Exit {
    /// The next output, in order.
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Leaves at once, whatever is durable.
    pub(super) fn now(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Whether the store failed: nothing is done any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The number that the next batch gets.
    pub(super) fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// Writes the batch, if it has anything, then reads, then lets go of what needs no waiting.
    pub(super) fn write(&mut self, mut batch: Batch, loads: Vec<Load>, pending: Vec<Output>) {
        if !batch.is_empty() {
            batch.number = self.next_batch;
            self.next_batch += 1;
            self.outputs.push_back(Output::Persist(batch));
        }
        self.outputs.extend(loads.into_iter().map(Output::Load));
        let needs = self.next_batch - 1;
        for output in pending {
            if needs <= self.durable {
                self.outputs.push_back(output);
            } else {
                self.held.push_back((needs, output));
            }
        }
    }

    /// All batches up to this one are durable.
    pub(super) fn on_persisted(&mut self, number: u64) {
        self.durable = self.durable.max(number);
        while self.held.front().is_some_and(|(needs, _)| *needs <= self.durable) {
            let output = self.held.pop_front().map(|(_, output)| output);
            self.outputs.extend(output);
        }
    }

    /// Nothing that was not durable may be built upon: of what waited, and of these, only commands
    /// hear of it. The host opens the store anew.
    pub(super) fn fail(&mut self, pending: Vec<Output>, commands: Vec<CommandId>) {
        self.failed = true;
        self.outputs.clear();
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, output)| output);
        let answers = held.chain(pending).filter_map(|output| match output {
            Output::Respond(id, _) => Some(id),
            _ => None,
        });
        let ids: Vec<_> = answers.chain(commands).collect();
        ids.into_iter().for_each(|id| self.refuse(id));
        self.outputs.push_back(Output::Disconnect);
    }

    /// Answers a command that comes after the store failed.
    pub(super) fn refuse(&mut self, id: CommandId) {
        self.outputs.push_back(Output::Respond(id, Err(Failure::Store)));
    }

    /// Asks to be woken at this time of the host's clock, unless that was asked for already.
    pub(super) fn wake_at(&mut self, at: Option<u64>) {
        if at != self.wake {
            self.wake = at;
            self.outputs.extend(at.map(Output::Wake));
        }
    }

    /// The host has woken the engine: it is to be asked again.
    pub(super) fn on_woken(&mut self) {
        self.wake = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Response;
    use crate::records::key;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.put(key::meta("session"), vec![1]);
        batch
    }

    fn answer(n: CommandId) -> Output {
        Output::Respond(n, Ok(Response::Done))
    }

    fn drain(exit: &mut Exit) -> Vec<Output> {
        std::iter::from_fn(|| exit.poll()).collect()
    }

    #[test]
    fn an_answer_waits_until_what_it_tells_of_is_durable() {
        let mut exit = Exit::default();
        exit.write(batch(), Vec::new(), vec![answer(1)]);
        let out = drain(&mut exit);
        assert!(matches!(out.as_slice(), [Output::Persist(batch)] if batch.number == 1));
        exit.on_persisted(1);
        assert!(matches!(drain(&mut exit).as_slice(), [Output::Respond(1, Ok(_))]));
    }

    #[test]
    fn what_needs_no_batch_leaves_at_once_but_never_before_what_waits() {
        let mut exit = Exit::default();
        exit.write(Batch::default(), Vec::new(), vec![answer(1)]);
        assert_eq!(drain(&mut exit).len(), 1);
        exit.write(batch(), Vec::new(), vec![answer(2)]);
        exit.write(Batch::default(), Vec::new(), vec![answer(3)]);
        assert!(matches!(drain(&mut exit).as_slice(), [Output::Persist(_)]));
        exit.on_persisted(1);
        let out = drain(&mut exit);
        let ids = out.iter().map(|output| match output {
            Output::Respond(id, _) => *id,
            _ => 0,
        });
        assert_eq!(ids.collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn after_a_failure_each_command_hears_of_it_and_nothing_else_leaves() {
        let mut exit = Exit::default();
        let told = Output::Connect;
        exit.write(batch(), Vec::new(), vec![answer(1), told]);
        exit.fail(vec![answer(2)], vec![3]);
        let out = drain(&mut exit);
        let refused = |output: &&Output| matches!(output, Output::Respond(_, Err(Failure::Store)));
        assert_eq!(out.iter().filter(refused).count(), 3);
        assert!(matches!(out.last(), Some(Output::Disconnect)));
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn the_host_is_asked_to_wake_the_engine_once_for_each_time() {
        let mut exit = Exit::default();
        for at in [Some(5), Some(5), Some(3), None, None] {
            exit.wake_at(at);
        }
        assert_eq!(drain(&mut exit).len(), 2, "for 5 and for 3");
        exit.wake_at(Some(3));
        exit.on_woken();
        exit.wake_at(Some(3));
        assert_eq!(drain(&mut exit).len(), 2, "it was asked again after it woke");
    }
}
