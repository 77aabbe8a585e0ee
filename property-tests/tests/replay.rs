//! One seed, one world: two processes that run it decide, send and show the same.
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn replayed(seed: u64, options: &[&str]) -> String {
    let replay = Command::new(env!("CARGO_BIN_EXE_replay"))
        .args([&seed.to_string(), "--quiet"])
        .args(options)
        .output()
        .unwrap();
    String::from_utf8(replay.stdout).unwrap()
}

fn run_alike(seeds: std::ops::Range<u64>, options: &[&str]) {
    for seed in seeds {
        let first = replayed(seed, options);
        let again = format!("cargo xtask seed {seed} {}", options.join(" "));
        assert!(!first.is_empty(), "replay: {again}");
        assert_eq!(first, replayed(seed, options), "{again}");
    }
}

#[test]
fn fifty_seeds_run_alike_in_two_processes() {
    run_alike(10_000..10_050, &[]);
}

#[test]
fn ten_seeds_of_devices_run_alike_in_two_processes() {
    run_alike(10_000..10_010, &["--devices"]);
}
