#![no_main]

fuzz::target!("link_words", sync_core::engine::fuzz::TARGETS);
