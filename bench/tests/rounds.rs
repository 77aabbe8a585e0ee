//! Every family runs, in its smallest size, so that none of them rots.

#![allow(clippy::unwrap_used, clippy::panic)]

use bench::{GROUPS, Measure, Scale, json_lines, machine, table};

/// Runs one family; every figure and floor must be a number.
fn run(name: &str) -> Vec<Measure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let measures = runtime.block_on(bench::run(Scale::Tiny, name, |name, measured| {
        if let Err(error) = measured {
            panic!("{name}: {error}");
        }
    }));
    assert!(!measures.is_empty(), "{name} measures nothing");
    for measure in &measures {
        assert!(measure.value.is_finite(), "{measure:?}");
        assert!(measure.floor.as_ref().is_none_or(|floor| floor.value.is_finite()), "{measure:?}");
    }
    let machine = machine::this();
    assert_eq!(table(&machine, &measures).lines().count(), measures.len() + 2);
    assert_eq!(json_lines(&machine, &measures).unwrap().lines().count(), measures.len() + 1);
    measures
}

#[test]
fn an_engine_can_be_measured() {
    run("engine");
    run("apply");
}

#[test]
fn a_reconnect_is_one_round_trip() {
    let measures = run("account");
    let trips = measures.iter().find(|measure| measure.what.contains("round trips")).unwrap();
    assert_eq!(trips.is_met(), Some(true), "{trips:?}");
}

#[test]
fn a_device_that_comes_back_to_many_spaces_can_be_measured() {
    run("hello");
}

/// What `cargo xtask load` takes.
#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    load: bench::load::Options,
}

#[test]
#[cfg(target_os = "linux")]
fn people_talk_beside_those_who_attack() {
    use clap::Parser as _;
    let words = "load --people 20 --every-ms 200 --skew 0.5 --seconds 1 --attackers 1 --accounts 2 \
                 --attack signatures --attack heads --attack questions";
    let cli = Cli::parse_from(words.split_whitespace());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // However long anybody waits on this machine: nobody honest is refused.
    assert!(runtime.block_on(bench::load::run(&cli.load)).unwrap());
}

#[test]
fn sizes_can_be_measured() {
    run("size");
}

#[test]
fn a_catch_up_can_be_measured() {
    run("catch-up");
}

#[test]
fn appends_and_a_restart_can_be_measured() {
    run("appends");
    run("durable");
    run("restart");
}

#[test]
fn fan_out_and_latency_can_be_measured() {
    run("fan-out");
    run("latency");
}

#[test]
fn a_crowd_can_be_measured() {
    run("crowd");
}

#[test]
fn a_flood_can_be_measured() {
    run("flood");
}

#[test]
fn memory_can_be_measured() {
    run("memory");
}

#[test]
fn names_of_families_are_unique() {
    let names: std::collections::BTreeSet<_> = GROUPS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), GROUPS.len());
}
