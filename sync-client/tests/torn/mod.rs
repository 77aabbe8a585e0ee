//! A store's file that something has cut short or written over, whatever kind of store it is.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use sync_client::StoreError;
use sync_client::store::{RecordStore as _, RedbStore};
use sync_core::records::Batch;

/// Whatever happened to the file, it is told by a type, and nothing crashes.
pub(crate) fn is_told_and_never_a_crash(
    path: &Path,
    cuts: &[usize],
    another: &Batch,
    open: impl Fn() -> Result<RedbStore, StoreError>,
) {
    let good = fs::read(path).unwrap();
    for cut in cuts.iter().copied().chain([good.len() / 2]) {
        fs::write(path, &good[..cut]).unwrap();
        let error = open().unwrap_err();
        let is_typed = matches!(error, StoreError::Damaged(_) | StoreError::Foreign(_));
        assert!(is_typed, "cut at {cut}: {error:?}");
    }
    for start in (512..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        let end = bad.len().min(start + 64);
        bad[start..end].fill(0xa5);
        fs::write(path, &bad).unwrap();
        if let Ok(mut store) = open() {
            // Whatever comes of it, it comes as a result.
            let _ = store.read(b"");
            let _ = store.write(std::slice::from_ref(another));
        }
    }
}
