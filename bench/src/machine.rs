//! What the system says of itself and of a process: processors, memory, time on a processor.

use std::path::PathBuf;

use crate::report::Machine;
use crate::{Outcome, failed};

/// The machine that runs this.
#[must_use]
pub fn this() -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    let processor = name.map_or("unknown processor", |name| name.trim_matches([' ', '\t', ':']));
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    Machine { cores, processor: processor.to_owned(), profile }
}

/// Bytes of a process that lie in memory.
///
/// # Errors
/// If the system does not say.
pub(crate) fn resident_bytes(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib =
        line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| failed("the system does not say how much memory is used"))
}

/// Seconds that all threads of a process have spent on a processor.
///
/// # Errors
/// If the system does not say.
pub(crate) fn processor_s(pid: u32) -> Outcome<f64> {
    let mut nanos = 0u64;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path: PathBuf = thread?.path().join("schedstat");
        // A thread that ended meanwhile takes its little time with it.
        let Ok(line) = std::fs::read_to_string(path) else { continue };
        nanos += line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    if nanos == 0 {
        return Err(failed("the system does not say how long threads ran"));
    }
    Ok(nanos as f64 / 1e9)
}
