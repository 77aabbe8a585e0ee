#![no_main]

fuzz::target!("device_logs", sync_protocol::fuzz::TARGETS);
