//! What part of a screen was made of.

use std::cell::RefCell;

/// What a part of a screen was made of last. A part that is made anew of the same loses the focus, and
/// whatever is being pressed in it.
#[derive(Debug)]
pub(crate) struct Kept<T>(RefCell<Option<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: PartialEq> Kept<T> {
    /// Whether this is something else than last time; from now on it is what was last.
    pub(crate) fn is_new(&self, of: T) -> bool {
        let mut last = self.0.borrow_mut();
        let is_new = last.as_ref() != Some(&of);
        *last = Some(of);
        is_new
    }
}
