//! Room on the disk: a reserve is kept free, so that what is there can be read and deleted, and the
//! store closed, when there is no more.

use std::path::Path;

/// Whether the disk is full to its reserve, as it was last looked at.
#[derive(Debug)]
pub(crate) struct Reserve {
    min_free_bytes: u64,
    is_full: bool,
}

impl Reserve {
    /// Keeps so many bytes free; 0 keeps none.
    pub(crate) fn new(min_free_bytes: u64) -> Self {
        Self { min_free_bytes, is_full: false }
    }

    /// Keeps so many bytes free from here on.
    pub(crate) fn set(&mut self, min_free_bytes: u64) {
        self.min_free_bytes = min_free_bytes;
    }

    /// Whether it is full.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes note of what is free. Gives whether the disk is full, if that changed: it has room again
    /// only with an eighth more, so that it doesn't go to and fro.
    pub(crate) fn note(&mut self, free: u64) -> Option<bool> {
        let enough = match self.is_full {
            true => self.min_free_bytes.saturating_add(self.min_free_bytes / 8),
            false => self.min_free_bytes,
        };
        let is_full = free < enough;
        let changed = is_full != self.is_full;
        self.is_full = is_full;
        changed.then_some(is_full)
    }
}

/// Bytes that the relay may still write where a file or directory lies; `None` if the system does
/// not say.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_below_the_reserve_and_has_room_somewhat_above() {
        let mut reserve = Reserve::new(800);
        let said: Vec<_> = [801, 800, 799, 0, 850, 899, 900, 801, 799]
            .into_iter()
            .map(|free| reserve.note(free))
            .collect();
        let (full, room) = (Some(true), Some(false));
        assert_eq!(said, [None, None, full, None, None, None, room, None, full]);
        assert_eq!(Reserve::new(0).note(0), None);
        reserve.set(0);
        assert_eq!(reserve.note(0), Some(false));
    }

    #[test]
    fn the_system_says_how_much_is_free() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert_eq!(free_bytes(Path::new("/nowhere/at/all")), None);
    }
}
