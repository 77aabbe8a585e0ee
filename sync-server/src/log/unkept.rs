//! A log that keeps nothing: for relays whose store makes durable, with each commit, all that was
//! applied.

use std::collections::VecDeque;

use super::Log;
use crate::rules::{Command, Position};
use crate::store::StoreError;

/// Commands on their way to being applied, in the order in which they were proposed.
#[derive(Debug, Default)]
pub struct Unkept {
    waiting: VecDeque<Command>,
}

impl Log for Unkept {
    fn append(&mut self, command: Command) -> Result<(), StoreError> {
        self.waiting.push_back(command);
        Ok(())
    }

    fn next(&mut self, after: Position) -> Result<Option<(Position, Command)>, StoreError> {
        Ok(self.waiting.pop_front().map(|command| (after.next(), command)))
    }

    fn sync(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn keeps(&self) -> bool {
        false
    }

    fn wants_checkpoint(&self) -> bool {
        true
    }

    fn trim(&mut self, _: Position) -> Result<(), StoreError> {
        Ok(())
    }
}
