//! One seed, one world: two processes that run it decide, send and show the same.

use std::process::Command;

use property_tests::draws;

fn replayed(seed: u64) -> String {
    let replay = Command::new(env!("CARGO_BIN_EXE_replay"))
        .args([&seed.to_string(), "--quiet"])
        .output()
        .unwrap();
    String::from_utf8(replay.stdout).unwrap()
}

#[test]
fn fifty_seeds_run_alike_in_two_processes() {
    for seed in (10_000..10_050).map(draws::newest) {
        let first = replayed(seed);
        assert!(first.starts_with("Report"), "{first}replay: cargo xtask seed {seed}");
        assert_eq!(first, replayed(seed), "cargo xtask seed {seed}");
    }
}
