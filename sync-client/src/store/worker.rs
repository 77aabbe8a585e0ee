//! The thread that owns the store. Batches that queue up while it waits for the disk share the
//! next transaction; reads see exactly the batches asked for before them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use sync_core::host::{Done, Job, gather};

use super::{RecordStore, StoreError};

/// The store, at the other end of a queue. Dropping it finishes what is queued and closes the file.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; `done` is called on it, in the order of the jobs.
    pub(crate) fn start(
        store: impl RecordStore + Send + 'static,
        done: impl FnMut(Done<StoreError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let thread = Builder::new()
            .name("rejoinder-store".to_owned())
            .spawn(move || run(store, &queue, done))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a job. After a failure nothing happens to it.
    pub(crate) fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut store: impl RecordStore, queue: &Receiver<Job>, mut done: impl FnMut(Done<StoreError>)) {
    let mut held = None;
    while let Some(job) = held.take().or_else(|| queue.recv().ok()) {
        let outcome = match job {
            Job::Write(first) => {
                let (batches, next) = gather(first, || queue.try_recv().ok());
                held = next;
                let last = batches.last().map_or(0, |batch| batch.number);
                store.write(&batches).map(|()| Done::Written(last))
            }
            Job::Load(load) => {
                store.read(&load.prefix()).map(|records| Done::Loaded(load, records))
            }
        };
        match outcome {
            Ok(outcome) => done(outcome),
            // What is queued behind a failed batch must not be written without it.
            Err(error) => {
                drop(store);
                return done(Done::Failed(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};
    use sync_core::records::{Batch, Load, Records};

    /// Counts transactions; its first write waits until it is let go; fails at a chosen one.
    struct Slow {
        gate: Option<Receiver<()>>,
        transactions: Arc<Mutex<Vec<usize>>>,
        fails_at: Option<usize>,
    }

    impl RecordStore for Slow {
        fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
            if let Some(gate) = self.gate.take() {
                gate.recv().unwrap();
            }
            let mut transactions = self.transactions.lock().unwrap();
            if self.fails_at == Some(transactions.len()) {
                return Err(StoreError::Full);
            }
            transactions.push(batches.len());
            Ok(())
        }

        fn read(&self, _: &[u8]) -> Result<Records, StoreError> {
            Ok(Records::new())
        }
    }

    fn queue_while_busy(fails_at: Option<usize>) -> (Vec<usize>, Vec<String>) {
        let (let_go, gate) = channel();
        let transactions = Arc::<Mutex<Vec<usize>>>::default();
        let outcomes = Arc::<Mutex<Vec<String>>>::default();
        let store = Slow { gate: Some(gate), transactions: transactions.clone(), fails_at };
        let seen = outcomes.clone();
        let worker =
            Worker::start(store, move |done| seen.lock().unwrap().push(format!("{done:?}")))
                .unwrap();
        for number in 1..=3 {
            worker.ask(Job::Write(Batch { number, ..Batch::default() }));
        }
        worker.ask(Job::Load(Load::KeyPackages));
        worker.ask(Job::Write(Batch { number: 4, ..Batch::default() }));
        let_go.send(()).unwrap();
        drop(worker);
        let counts = transactions.lock().unwrap().clone();
        let outcomes = outcomes.lock().unwrap().clone();
        (counts, outcomes)
    }

    #[test]
    fn a_read_comes_between_the_batches_before_and_after_it() {
        let (counts, outcomes) = queue_while_busy(None);
        assert_eq!(counts.iter().sum::<usize>(), 4);
        assert_eq!(counts.last(), Some(&1), "the batch after the read is alone");
        let at = outcomes.iter().position(|done| done.starts_with("Loaded")).unwrap();
        assert_eq!(outcomes[at - 1], "Written(3)");
        assert_eq!(outcomes[at + 1], "Written(4)");
    }

    #[test]
    fn nothing_is_written_after_a_failure() {
        let (counts, outcomes) = queue_while_busy(Some(1));
        assert_eq!(counts.len(), 1);
        assert_eq!(outcomes.last().unwrap(), "Failed(Full)");
    }
}
