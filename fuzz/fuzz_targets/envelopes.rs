#![no_main]

fuzz::target!("envelopes", sync_protocol::fuzz::TARGETS);
