//! What a store is asked to do, beside the loop: batches that wait while it is at work share the next
//! transaction; reads see exactly the batches asked for before them.

use crate::records::{Batch, Load, Records};

/// Batches in one transaction at most: bounds how long the first waits for the last.
const GROUP: usize = 512;

/// What the store is asked to do.
#[derive(Debug)]
pub enum Job {
    /// Make durable.
    Write(Batch),
    /// Read.
    Load(Load),
}

/// What the store did.
#[derive(Debug)]
pub enum Done<E> {
    /// This batch and all before it are durable.
    Written(u64),
    /// What was read.
    Loaded(Load, Records),
    /// The store is of no more use; nothing asked for after the last `Written` happened.
    Failed(E),
}

/// The batches that share a transaction with the first, and the job behind them that was taken out of
/// the queue and is none. `next` gives what waits already.
pub fn gather(first: Batch, mut next: impl FnMut() -> Option<Job>) -> (Vec<Batch>, Option<Job>) {
    let mut batches = vec![first];
    while batches.len() < GROUP {
        match next() {
            Some(Job::Write(batch)) => batches.push(batch),
            other => return (batches, other),
        }
    }
    (batches, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: u64) -> Batch {
        Batch { number, ..Batch::default() }
    }

    fn numbers(batches: &[Batch]) -> Vec<u64> {
        batches.iter().map(|batch| batch.number).collect()
    }

    #[test]
    fn batches_that_wait_go_together_up_to_a_read() {
        let mut queue = vec![
            Job::Write(batch(2)),
            Job::Write(batch(3)),
            Job::Load(Load::KeyPackages),
            Job::Write(batch(4)),
        ]
        .into_iter();
        let (batches, held) = gather(batch(1), || queue.next());
        assert_eq!(numbers(&batches), [1, 2, 3]);
        assert!(matches!(held, Some(Job::Load(Load::KeyPackages))));
        assert!(matches!(queue.next(), Some(Job::Write(batch)) if batch.number == 4));
    }

    #[test]
    fn a_long_queue_is_written_in_groups() {
        let mut queue = (2..).map(|number| Job::Write(batch(number)));
        let (batches, held) = gather(batch(1), || queue.next());
        assert_eq!(batches.len(), GROUP);
        assert!(held.is_none());
        assert!(matches!(queue.next(), Some(Job::Write(next)) if next.number == GROUP as u64 + 1));
    }

    #[test]
    fn a_batch_that_waits_alone_goes_alone() {
        let (batches, held) = gather(batch(7), || None);
        assert_eq!((numbers(&batches), held.is_none()), (vec![7], true));
    }
}
