//! What things cost of the relay's time, in about microseconds, as they were measured. An account has
//! a share of it ([`Settings::work_us_per_s`](super::Settings)): what many sessions of one do together
//! costs others no more than that.

/// Any frame: most of it is spent where sockets are read and written, by the same machine.
pub(super) const FRAME: u64 = 10;
/// A hello, with what is looked up for it.
pub(super) const HELLO: u64 = 150;
/// A space that is looked at when a device comes back.
pub(super) const HELLO_SPACE: u64 = 4;
/// A signature that is verified here: two for each new entry of a device log.
pub(super) const SIGNATURE: u64 = 60;
/// Whoever has to hear that a device log grew: a space's members are looked up for it.
pub(super) const NOTICE_SPACE: u64 = 4;
/// A push, and each of its envelopes. Its signature is verified beside the relay's thread, but by the
/// same machine: about half of that is counted.
pub(super) const PUSH: u64 = 10;
pub(super) const ENVELOPE: u64 = 30;
/// A command that a request leads to: it goes through the log, and is applied.
pub(super) const COMMAND: u64 = 40;
/// A session that a signal goes to.
pub(super) const SIGNAL: u64 = 2;
/// A command that others' partitions hear of: a founding, an addition.
pub(super) const CHANGE: u64 = 150;

/// So many small rows that are read in a row.
pub(super) fn rows(count: u64) -> u64 {
    count.div_ceil(3)
}

/// So many bytes that are read or encoded.
pub(super) fn bytes(count: u64) -> u64 {
    count / 256
}

/// So many bytes that go through the log and into the store: disks are slow.
pub(super) fn written(count: u64) -> u64 {
    count / 64
}
