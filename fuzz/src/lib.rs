//! What all targets share: the ceiling on memory, measured allocation by allocation.
//!
//! What a target does lies beside the code it is about (`fuzz.rs` in `sync-protocol`, `engine/fuzz`
//! in `sync-core`, `sequences.rs` among the hostile tests), where ordinary tests replay all that was
//! found.

use std::sync::OnceLock;

#[doc(hidden)]
pub use libfuzzer_sys;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one input may take of memory at its worst: the largest message, held a few times over.
pub const CEILING: usize = 64 * 1024 * 1024;

/// Runs a target on an input, within the ceiling.
pub fn run(target: fn(&[u8]), data: &[u8]) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    target(data);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < CEILING, "an input of {} bytes takes {taken} bytes", data.len());
}

/// The target of a name.
pub fn find(targets: &[(&'static str, fn(&[u8]))], name: &str) -> fn(&[u8]) {
    static FOUND: OnceLock<fn(&[u8])> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = targets.iter().find(|(known, _)| *known == name);
        found.expect("a target of this name").1
    })
}

/// A program for one target out of a list.
#[macro_export]
macro_rules! target {
    ($name:literal, $targets:expr) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            $crate::run($crate::find(&$targets, $name), data);
        });
    };
}
