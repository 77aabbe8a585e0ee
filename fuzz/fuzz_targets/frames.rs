#![no_main]

fuzz::target!("frames", sync_protocol::fuzz::TARGETS);
