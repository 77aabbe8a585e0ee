//! A device that its account ended reads nothing written afterwards, and nothing that it writes
//! afterwards is in anybody's state.

use crate::book::Book;
use crate::violation::{Invariant, Violation};
use crate::world::{Remnant, Seen};

pub(super) fn check(book: &Book, seen: &[Seen], remnants: &[Remnant]) -> Result<(), Violation> {
    for one in seen {
        for view in one.messages.values().flatten() {
            if book.void.contains(&view.text) {
                let device = one.device;
                let detail = format!("{device} shows {view:?}, written by a device that had ended");
                return Err(Violation::new(Invariant::Removed, detail));
            }
        }
    }
    for remnant in remnants {
        reads_nothing_new(book, remnant)?;
    }
    Ok(())
}

fn reads_nothing_new(book: &Book, remnant: &Remnant) -> Result<(), Violation> {
    let device = remnant.device;
    if !remnant.told {
        let detail = format!("{device} was ended, is connected, and was not told");
        return Err(Violation::new(Invariant::Honest, detail));
    }
    for (space, page) in &remnant.messages {
        for view in page {
            let Some(written) = book.written.get(&(*space, view.message)) else { continue };
            if written.device != device && written.number >= remnant.ended {
                let detail = format!("{device} shows {view:?}, written after it had ended");
                return Err(Violation::new(Invariant::Removed, detail));
            }
        }
    }
    Ok(())
}
