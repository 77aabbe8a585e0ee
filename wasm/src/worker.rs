//! The task that owns the store. Batches that queue up while it is at work share the next
//! transaction; reads see exactly the batches asked for before them.

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_channel::oneshot;
use futures_util::StreamExt as _;
use sync_core::host::{Done, Job, gather};
use sync_store::{AsyncRecordStore, StoreError};
use wasm_bindgen_futures::spawn_local;

use crate::browser;

/// The store, at the other end of a queue. Dropping it finishes what is queued and closes it.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: UnboundedSender<Job>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Gives the store its task; `done` is called in the order of the jobs.
    pub(crate) fn start(
        store: impl AsyncRecordStore + 'static,
        done: impl FnMut(Done<StoreError>) + 'static,
    ) -> Self {
        let (jobs, queue) = unbounded();
        let (end, ended) = oneshot::channel();
        spawn_local(async move {
            run(store, queue, done).await;
            let _ = end.send(());
        });
        Self { jobs, ended }
    }

    /// Queues a job. After a failure nothing happens to it.
    pub(crate) fn ask(&self, job: Job) {
        let _ = self.jobs.unbounded_send(job);
    }

    /// Finishes what is queued and closes the store.
    pub(crate) async fn finish(self) {
        drop(self.jobs);
        let _ = self.ended.await;
    }
}

async fn run(
    mut store: impl AsyncRecordStore,
    mut queue: UnboundedReceiver<Job>,
    mut done: impl FnMut(Done<StoreError>),
) {
    let mut held = None;
    loop {
        let job = match held.take() {
            Some(job) => job,
            None => match queue.next().await {
                Some(job) => job,
                None => return,
            },
        };
        match carry_out(&mut store, job, &mut queue, &mut held).await {
            Ok(outcome) => done(outcome),
            // What is queued behind a failed batch must not be written without it.
            Err(error) => {
                drop(store);
                return done(Done::Failed(error));
            }
        }
    }
}

async fn carry_out(
    store: &mut impl AsyncRecordStore,
    job: Job,
    queue: &mut UnboundedReceiver<Job>,
    held: &mut Option<Job>,
) -> Result<Done<StoreError>, StoreError> {
    match job {
        Job::Write(first) => {
            // Whatever has arrived meanwhile may share the transaction.
            browser::turn().await;
            let (batches, next) = gather(first, || queue.try_recv().ok());
            *held = next;
            let last = batches.last().map_or(0, |batch| batch.number);
            store.write(&batches).await.map(|()| Done::Written(last))
        }
        Job::Load(load) => {
            store.read(&load.prefix()).await.map(|records| Done::Loaded(load, records))
        }
    }
}
