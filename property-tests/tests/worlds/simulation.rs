//! Two thousand worlds, others with each release: random people on real engines and a real relay, while networks, disks and
//! clocks fail; and a quarter of a thousand in which their devices come and go. `docs/protocol.md`
//! says what must hold; `property_tests::Invariant` names it.

use property_tests::draws;
use property_tests::suite::{self, Suite};

/// Seeds a test runs.
const SEEDS: u64 = 63;
/// Seeds that a test of the suite of devices runs.
const DEVICE_SEEDS: u64 = 16;
/// Seeds that a test of the suite of adversaries runs.
const ADVERSARY_SEEDS: u64 = 6;
/// Seeds that a test of the suite of nodes runs.
const NODE_SEEDS: u64 = 16;
/// Seeds that the test of the long run runs.
const LONG_SEEDS: u64 = 2;
/// Steps that an average world takes at least: half a thousand.
const STEPS: u64 = 500;

fn share(suite: Suite, number: u64) {
    let seeds = match suite {
        Suite::People => SEEDS,
        Suite::Devices => DEVICE_SEEDS,
        Suite::Long => LONG_SEEDS,
        Suite::Adversaries => ADVERSARY_SEEDS,
        Suite::Nodes => NODE_SEEDS,
    };
    let range = (number * seeds..(number + 1) * seeds).map(draws::of_release);
    let steps = suite::hold(suite, range);
    let enough = suite != Suite::People || steps >= seeds * STEPS;
    assert!(enough, "only {steps} steps in {seeds} worlds");
}

macro_rules! shares {
    ($suite:expr; $($name:ident: $number:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            share($suite, $number);
        })*
    };
}

shares! {
    Suite::People;
    worlds_00_hold: 0, worlds_01_hold: 1, worlds_02_hold: 2, worlds_03_hold: 3,
    worlds_04_hold: 4, worlds_05_hold: 5, worlds_06_hold: 6, worlds_07_hold: 7,
    worlds_08_hold: 8, worlds_09_hold: 9, worlds_10_hold: 10, worlds_11_hold: 11,
    worlds_12_hold: 12, worlds_13_hold: 13, worlds_14_hold: 14, worlds_15_hold: 15,
    worlds_16_hold: 16, worlds_17_hold: 17, worlds_18_hold: 18, worlds_19_hold: 19,
    worlds_20_hold: 20, worlds_21_hold: 21, worlds_22_hold: 22, worlds_23_hold: 23,
    worlds_24_hold: 24, worlds_25_hold: 25, worlds_26_hold: 26, worlds_27_hold: 27,
    worlds_28_hold: 28, worlds_29_hold: 29, worlds_30_hold: 30, worlds_31_hold: 31,
}

shares! {
    Suite::Devices;
    worlds_of_devices_00_hold: 0, worlds_of_devices_01_hold: 1,
    worlds_of_devices_02_hold: 2, worlds_of_devices_03_hold: 3,
    worlds_of_devices_04_hold: 4, worlds_of_devices_05_hold: 5,
    worlds_of_devices_06_hold: 6, worlds_of_devices_07_hold: 7,
    worlds_of_devices_08_hold: 8, worlds_of_devices_09_hold: 9,
    worlds_of_devices_10_hold: 10, worlds_of_devices_11_hold: 11,
    worlds_of_devices_12_hold: 12, worlds_of_devices_13_hold: 13,
    worlds_of_devices_14_hold: 14, worlds_of_devices_15_hold: 15,
}

shares! {
    Suite::Adversaries;
    worlds_with_liars_00_hold: 0, worlds_with_liars_01_hold: 1,
    worlds_with_liars_02_hold: 2, worlds_with_liars_03_hold: 3,
}

shares! {
    Suite::Nodes;
    worlds_around_three_nodes_00_hold: 0, worlds_around_three_nodes_01_hold: 1,
    worlds_around_three_nodes_02_hold: 2, worlds_around_three_nodes_03_hold: 3,
}

shares! {
    Suite::Long;
    worlds_of_a_month_hold: 0,
}

#[test]
fn worlds_of_a_month_that_showed_a_bug_once_hold() {
    suite::hold(Suite::Long, Suite::Long.former_bugs());
}

#[test]
fn worlds_with_liars_that_showed_a_bug_once_hold() {
    suite::hold(Suite::Adversaries, Suite::Adversaries.former_bugs());
}

#[test]
fn worlds_around_three_nodes_that_showed_a_bug_once_hold() {
    suite::hold(Suite::Nodes, Suite::Nodes.former_bugs());
}

#[test]
fn worlds_that_showed_a_bug_once_hold() {
    suite::hold(Suite::People, Suite::People.former_bugs());
}

#[test]
fn worlds_of_devices_that_showed_a_bug_once_hold() {
    suite::hold(Suite::Devices, Suite::Devices.former_bugs());
}
