//! Versions of the rules. A command activates one, and from there on the log is judged by it, by every
//! build that knows it: old logs replay alike under new builds. So what a version allows is written down
//! here as numbers, and is never changed: another number is another version.

/// The newest version that this build knows.
pub const NEWEST: u32 = 1;

/// What a version allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Devices and accounts in a space.
    pub(super) leaves: usize,
    /// Writers of one device in a space.
    pub(super) writers: usize,
    /// Stores of a device.
    pub(super) incarnations: u64,
    /// Single-use key packages of a device.
    pub(super) key_packages: u64,
    /// Items in an inbox.
    pub(super) inbox_items: u64,
    /// Room beyond that for the first way in of each who sends one.
    pub(super) inbox_last: u64,
    /// Of the items, room that is left for ways in.
    pub(super) inbox_reserve: u64,
    /// Ways in of one account that may take of that.
    pub(super) inbox_welcomes_of_one: u64,
    /// Items of one account.
    pub(super) inbox_items_of_one: u64,
    /// Bytes of one account.
    pub(super) inbox_bytes_of_one: u64,
}

const FIRST: Allowed = Allowed {
    leaves: 256,
    writers: 64,
    incarnations: 1_024,
    key_packages: 100,
    inbox_items: 4_096,
    inbox_last: 4_096,
    inbox_reserve: 1_024,
    inbox_welcomes_of_one: 4,
    inbox_items_of_one: 256,
    inbox_bytes_of_one: 8 * 1024 * 1024,
};

/// What each version allows, from 1 on.
const VERSIONS: [Allowed; NEWEST as usize] = [FIRST];

/// What a version allows. Nothing is judged by one that this build does not know: it does not go on.
pub(super) fn allowed(version: u32) -> Allowed {
    let place = usize::try_from(version).unwrap_or_default().saturating_sub(1);
    VERSIONS.get(place).copied().unwrap_or(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::limits;

    #[test]
    fn the_newest_version_allows_what_the_protocol_says() {
        let said = Allowed {
            leaves: limits::LEAVES,
            writers: limits::WRITERS,
            incarnations: limits::INCARNATIONS,
            key_packages: limits::KEY_PACKAGES as u64,
            inbox_items: limits::INBOX_ITEMS as u64,
            inbox_last: limits::INBOX_LAST as u64,
            inbox_reserve: limits::INBOX_RESERVE as u64,
            inbox_welcomes_of_one: limits::INBOX_WELCOMES_OF_ONE as u64,
            inbox_items_of_one: limits::INBOX_ITEMS_OF_ONE as u64,
            inbox_bytes_of_one: limits::INBOX_BYTES_OF_ONE as u64,
        };
        assert_eq!(allowed(NEWEST), said);
    }
}
