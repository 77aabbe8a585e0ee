//! Bugs that were mended can be put in again: what keeps a test honest must not rot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_planted_bug_still_fits_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = fs::read_dir(root.join("property-tests/planted")).unwrap();
    let patches: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    assert!(!patches.is_empty());
    for patch in patches {
        let mut check = Command::new("git");
        check.current_dir(&root).args(["apply", "--check"]).arg(&patch);
        let output = check.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", patch.display());
    }
}
