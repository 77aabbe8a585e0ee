#![no_main]

fuzz::target!("ways_in", sync_core::engine::fuzz::TARGETS);
