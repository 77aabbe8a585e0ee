//! Attacks: a relay that lies and members that cheat, against real engines. Each test is named for
//! what must hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod beside;
mod copies;
mod device_logs;
mod entrances;
mod entries;
mod floods;
mod frozen;
mod granted;
mod handshakes;
mod kept_invitations;
#[path = "../../../fuzz/kit.rs"]
mod kit;
mod member_changes;
mod member_content;
mod member_handshakes;
mod member_history;
mod numbers;
mod own_space;
mod past;
mod people;
mod put_back;
mod readings;
mod relay_forgery;
mod relay_forks;
mod relay_order;
mod renamed;
mod replayed;
mod rights;
mod sequences;
mod sequences_kept;
mod stolen;
mod support;
mod taken_back;
mod told;
mod unfollowed;
mod uninvited;
mod vault;
mod weights;
