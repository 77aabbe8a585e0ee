#![no_main]

fuzz::target!("rows", sync_core::engine::fuzz::TARGETS);
