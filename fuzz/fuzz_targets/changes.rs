#![no_main]

fuzz::target!("changes", sync_core::engine::fuzz::TARGETS);
