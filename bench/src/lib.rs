//! Measures Rejoinder, each figure beside the least that the same machine needs for the same work,
//! in the same run.
//!
//! A family of measures is a module with one function that takes a [`Scale`] and gives
//! [`Measure`]s; [`run`] runs those that a filter picks. The machines of issue reports are noisy,
//! so rounds are short and the middle one counts, and what is compared is run by turns.

mod account;
mod appends;
mod apply;
mod author;
mod catch_up;
mod crowd;
mod documents;
mod durable;
pub mod echo;
mod engine;
mod fan_out;
mod flood;
mod floors;
mod hello;
mod latency;
mod link;
pub mod load;
pub mod machine;
mod memory;
mod people;
mod process;
mod report;
mod restart;
mod rounds;
mod size;
mod town;

use std::time::Duration;

pub use report::{Floor, Machine, Measure, Target, json_lines, table};
pub use rounds::Scale;

/// A family that is not done by then hangs: several times what each takes on a busy machine.
const TINY_WITHIN: Duration = Duration::from_secs(90);
const QUICK_WITHIN: Duration = Duration::from_secs(10 * 60);
const FULL_WITHIN: Duration = Duration::from_secs(40 * 60);

/// What went wrong, in words: a benchmark has nobody to match on it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A result, or what went wrong.
pub type Outcome<T> = Result<T, Failure>;

pub(crate) fn failed(what: impl ToString) -> Failure {
    what.to_string().into()
}

/// The families, in the order in which they run: the name that a filter picks, and what is in it.
pub const GROUPS: [(&str, &str); 15] = [
    ("engine", "append, seal, open"),
    ("apply", "changes into a document, alone and in a batch"),
    ("documents", "an app's document of many edits"),
    ("account", "opening and reconnecting with many conversations"),
    ("hello", "a device that comes back to many spaces"),
    ("size", "bytes of a message on disk and on the wire"),
    ("catch-up", "a native client that was away"),
    ("appends", "durable appends through the relay's hub"),
    ("durable", "the relay's log beside commits of its store, in turn"),
    ("fan-out", "one writer to seven readers"),
    ("latency", "a message's way at 50 a second"),
    ("memory", "an idle connection"),
    ("restart", "a killed relay"),
    ("crowd", "many people and devices put into a conversation at once"),
    ("flood", "many people beside some who flood the relay"),
];

/// Runs the families whose name contains `filter`; `seen` is told of each figure as it comes. A
/// family that fails is told as an error, and the others still run.
pub async fn run(
    scale: Scale,
    filter: &str,
    mut seen: impl FnMut(&str, &Outcome<Vec<Measure>>),
) -> Vec<Measure> {
    let mut all = Vec::new();
    for (name, _) in GROUPS.iter().filter(|(name, _)| name.contains(filter)) {
        let measured = family(name, scale).await;
        seen(name, &measured);
        all.extend(measured.unwrap_or_default());
    }
    all
}

/// Measures a family. One that hangs fails, and says so.
async fn family(name: &str, scale: Scale) -> Outcome<Vec<Measure>> {
    let deadline = scale.pick(TINY_WITHIN, QUICK_WITHIN, FULL_WITHIN);
    match tokio::time::timeout(deadline, measured(name, scale)).await {
        Ok(measured) => measured,
        Err(_) => Err(failed(format!("not done within {} s", deadline.as_secs()))),
    }
}

async fn measured(name: &str, scale: Scale) -> Outcome<Vec<Measure>> {
    match name {
        "engine" => aside(move || engine::measure(scale)).await,
        "apply" => aside(move || apply::measure(scale)).await,
        "documents" => aside(move || documents::measure(scale)).await,
        "account" => aside(move || account::measure(scale)).await,
        "hello" => aside(move || hello::measure(scale)).await,
        "size" => aside(move || size::measure(scale)).await,
        "catch-up" => catch_up::measure(scale).await,
        "appends" => appends::measure(scale).await,
        "durable" => durable::measure(scale).await,
        "fan-out" => fan_out::measure(scale).await,
        "latency" => latency::measure(scale).await,
        "memory" => memory::measure(scale).await,
        "restart" => restart::measure(scale).await,
        "crowd" => crowd::measure(scale).await,
        "flood" => flood::measure(scale).await,
        _ => Err(failed("no such family")),
    }
}

/// Runs what never yields on a thread of its own, so that a deadline can pass meanwhile. The thread
/// is left to itself then: no runtime waits for it.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("family".to_owned()).spawn(move || {
        // Nobody waits any more once the deadline has passed.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| failed("the family panicked"))?
}
