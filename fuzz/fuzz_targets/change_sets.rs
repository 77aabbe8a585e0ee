#![no_main]

fuzz::target!("change_sets", sync_core::engine::fuzz::TARGETS);
