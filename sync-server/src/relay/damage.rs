//! Damaged rows: the trouble of whom they belong to, and of nobody else.
//!
//! What needs a row that can't be read is refused, counted and logged by the table and a name of the
//! row that does not tell whose it is. Everything else goes on.

use std::collections::BTreeSet;

use sync_protocol::error::Rejection;

use crate::rules::Fault;
use crate::store::StoreError;

/// What somebody who needs a damaged row is told to wait, in ms: its operator has to repair it.
const RETRY_MS: u64 = 60_000;
/// Rows that are logged: each once.
const LOGGED: usize = 1_024;

/// What was met so far.
#[derive(Debug, Default)]
pub(super) struct Damage {
    count: u64,
    logged: BTreeSet<String>,
}

impl Damage {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes note of a damaged row.
    ///
    /// # Errors
    /// The error, if it is of another kind: then the store can't be used.
    pub(super) fn note(&mut self, error: StoreError) -> Result<(), StoreError> {
        if !error.is_damage() {
            return Err(error);
        }
        self.count += 1;
        let said = error.to_string();
        if self.logged.len() < LOGGED && !self.logged.contains(&said) {
            tracing::error!("{said}");
            self.logged.insert(said);
        }
        Ok(())
    }

    /// How who needs it is refused.
    pub(super) fn refuses(&mut self, error: StoreError) -> Result<Rejection, StoreError> {
        self.note(error).map(|()| Rejection::Unavailable { retry_ms: RETRY_MS })
    }

    /// What a command came to: refused, if it met a damaged row.
    pub(super) fn contained<T>(&mut self, done: Result<T, Fault>) -> Result<T, Fault> {
        match done {
            Err(Fault::Store(error)) => Err(self.refuses(error)?.into()),
            done => done,
        }
    }

    /// What was read; `None` where it is damaged and the others go on without it.
    pub(super) fn skips<T>(
        &mut self,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => self.note(error).map(|()| None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_refused_and_a_broken_disk_is_not() {
        let mut damage = Damage::default();
        for error in [StoreError::row("space"), StoreError::Corrupt("a page".to_owned())] {
            let refused = damage.contained::<()>(Err(Fault::Store(error.clone())));
            assert!(matches!(refused, Err(Fault::Rejected(Rejection::Unavailable { .. }))));
            assert_eq!(damage.skips::<()>(Err(error)), Ok(None));
        }
        assert_eq!((damage.count(), damage.logged.len()), (4, 2));
        assert_eq!(damage.skips(Ok(7)), Ok(Some(7)));
        for error in [StoreError::Full, StoreError::Io("gone".to_owned())] {
            assert_eq!(damage.skips::<()>(Err(error.clone())), Err(error.clone()));
            assert!(matches!(damage.contained::<()>(Err(error.into())), Err(Fault::Store(_))));
        }
        assert_eq!(damage.count(), 4);
    }
}
