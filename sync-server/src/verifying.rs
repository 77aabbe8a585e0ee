//! Signatures of what devices push, verified beside the relay's thread. A push has up to 256 of them,
//! which take a processor some ten milliseconds: so large ones wait for one another, those of one
//! account first of all, and whoever pushes little waits for none of them.

use tokio::sync::Semaphore;

use crate::relay::{Incoming, Speaker};

/// Signatures that are verified at once, where the push was read.
const FEW: usize = 4;
/// Accounts are told apart by so many lines that they wait in.
const LINES: usize = 64;

/// Where large pushes are verified.
#[derive(Debug)]
pub(crate) struct Verifying {
    /// One at a time of each line.
    lines: Vec<Semaphore>,
    /// Of all lines: no more than half of the machine.
    all: Semaphore,
}

impl Verifying {
    /// On this machine.
    pub(crate) fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lines = (0..LINES).map(|_| Semaphore::new(1)).collect();
        Self { lines, all: Semaphore::new((cores / 2).max(1)) }
    }

    /// Verifies what a frame pushes; `None` if the process ends meanwhile.
    pub(crate) async fn verify(&self, mut frame: Incoming, speaker: Speaker) -> Option<Incoming> {
        if frame.signatures() <= FEW {
            frame.verify(&speaker);
            return Some(frame);
        }
        // What follows the first byte of an id is a hash.
        let line = speaker.account.as_bytes().last().copied().map_or(0, usize::from) % LINES;
        let _in_line = self.lines.get(line)?.acquire().await.ok()?;
        let _at_work = self.all.acquire().await.ok()?;
        let verified = move || {
            frame.verify(&speaker);
            frame
        };
        tokio::task::spawn_blocking(verified).await.ok()
    }
}
