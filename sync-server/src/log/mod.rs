//! The log of commands: one order, from which the relay's whole state follows.
//!
//! A relay appends what it proposes, and takes commands back in the log's order; only then are they
//! applied. What it says of them goes out once the log has synced. Whoever keeps the log decides the
//! order: a file of this relay's own ([`FileLog`]), or, in time, several nodes together.

mod disk;
mod file;
mod frames;
mod unkept;

pub use self::disk::{Disk, FileDisk};
pub use self::file::{FileLog, LOG_FILES};
pub use self::frames::LogId;
pub use self::unkept::Unkept;

use crate::rules::{Command, Position};
use crate::store::StoreError;

/// Any of them.
pub type AnyLog = Box<dyn Log + Send>;

/// An order of commands.
pub trait Log: std::fmt::Debug {
    /// Proposes a command. It comes back by [`next`](Log::next), in the log's order: once, twice if
    /// the log had to ask again, or never if it had to give up.
    ///
    /// # Errors
    /// If it can't be taken.
    fn append(&mut self, command: Command) -> Result<(), StoreError>;

    /// The first command that was ordered after a position, with its own. It may not be durable yet.
    ///
    /// # Errors
    /// If the log can't be read there.
    fn next(&mut self, after: Position) -> Result<Option<(Position, Command)>, StoreError>;

    /// Makes durable all that was given so far: once for everything that waits. Says whether there
    /// was anything.
    ///
    /// # Errors
    /// Then nothing since the last sync counts, and the log must not be used any more.
    fn sync(&mut self) -> Result<bool, StoreError>;

    /// Whether it keeps what was not written down elsewhere yet.
    fn keeps(&self) -> bool;

    /// Whether it is time to write down what was applied, so that the log need not keep it.
    fn wants_checkpoint(&self) -> bool;

    /// Everything up to a position is durable elsewhere: the log need not keep it.
    ///
    /// # Errors
    /// As [`sync`](Log::sync).
    fn trim(&mut self, upto: Position) -> Result<(), StoreError>;
}

impl Log for AnyLog {
    fn append(&mut self, command: Command) -> Result<(), StoreError> {
        (**self).append(command)
    }

    fn next(&mut self, after: Position) -> Result<Option<(Position, Command)>, StoreError> {
        (**self).next(after)
    }

    fn sync(&mut self) -> Result<bool, StoreError> {
        (**self).sync()
    }

    fn keeps(&self) -> bool {
        (**self).keeps()
    }

    fn wants_checkpoint(&self) -> bool {
        (**self).wants_checkpoint()
    }

    fn trim(&mut self, upto: Position) -> Result<(), StoreError> {
        (**self).trim(upto)
    }
}
