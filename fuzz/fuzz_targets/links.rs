#![no_main]
#![allow(dead_code)]

#[path = "../kit.rs"]
mod kit;
#[path = "../../property-tests/tests/hostile/sequences.rs"]
mod sequences;
#[path = "../../property-tests/tests/hostile/support/mod.rs"]
mod support;

fuzz::target!("links", crate::sequences::TARGETS);
