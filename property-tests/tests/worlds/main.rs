//! The simulator's worlds, random and planted, and what they stand on: they can be replayed, and the
//! disk below them is as faulty as theirs.

#![allow(clippy::unwrap_used)]

mod faulty_disk;
mod faulty_log;
mod log_files;
mod planted_bugs;
mod replay;
mod simulation;
