#![no_main]

fuzz::target!("linking", sync_core::engine::fuzz::TARGETS);
