//! Quotas and rates. The defaults leave room for honest bursts of thousands of messages a second.

use serde::{Deserialize, Serialize};
use sync_protocol::limits;

/// What sessions and accounts may use. Rates are per second, with a burst of [`Settings::BURST_S`]
/// seconds' worth, unless the name says otherwise; a rate of 0 means no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Envelopes a device may push.
    pub push_envelopes_per_s: u64,
    /// Bytes a device may push.
    pub push_bytes_per_s: u64,
    /// Requests a device may send.
    pub requests_per_s: u64,
    /// Address look-ups an account may make.
    pub lookups_per_s: u64,
    /// Times an account may take key packages.
    pub takes_per_s: u64,
    /// Times in an hour that an account may take key packages of one other, and at once.
    pub takes_of_one_per_hour: u64,
    /// Single-use key packages of one device that others are given in an hour, and at once; beyond
    /// that they are given its last resort.
    pub packages_per_hour: u64,
    /// Handshakes of an account in one space in an hour; [`limits::HANDSHAKES_BURST`] at once.
    pub handshakes_per_hour: u64,
    /// New stores of a device in an hour; [`limits::INCARNATIONS_BURST`] at once.
    pub incarnations_per_hour: u64,
    /// Items an account may put into inboxes.
    pub inbox_puts_per_s: u64,
    /// Signals a device may send, and the most that one receives.
    pub signals_per_s: u64,
    /// New accounts the relay takes in.
    pub sign_ups_per_s: u64,
    /// Spaces an account may be in.
    pub spaces_per_account: u64,
    /// Spaces an account may found in one second.
    pub foundings_per_s: u64,
    /// Addresses an account may claim.
    pub addresses_per_account: u64,
    /// Accounts that an account may add to spaces in one hour, with as much as a burst. The default
    /// fills the largest space there is, twice.
    pub invitations_per_hour: u64,
    /// Spaces that an account may have put another into which that has not written in.
    pub unanswered_of_one: u64,
    /// Rendezvous open at once, over all; ids used in the last two minutes count.
    pub rendezvous: u64,
    /// Rendezvous that an account may come to.
    pub rendezvous_per_s: u64,
    /// Requests from sessions that are not authenticated, over all.
    pub early_requests_per_s: u64,
    /// Sessions that are not authenticated yet.
    pub unauthenticated_sessions: u64,
    /// Milliseconds until such a session is closed.
    pub hello_timeout_ms: u64,
}

impl Settings {
    /// A bucket holds this many seconds of its rate.
    pub const BURST_S: u64 = 10;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            push_envelopes_per_s: 50_000,
            push_bytes_per_s: 64 * 1024 * 1024,
            requests_per_s: 5_000,
            lookups_per_s: 100,
            takes_per_s: 100,
            takes_of_one_per_hour: limits::TAKES_OF_ONE_PER_HOUR,
            packages_per_hour: limits::PACKAGES_PER_HOUR,
            handshakes_per_hour: limits::HANDSHAKES_PER_HOUR,
            incarnations_per_hour: limits::INCARNATIONS_PER_HOUR,
            inbox_puts_per_s: 200,
            signals_per_s: 100,
            sign_ups_per_s: 1_000,
            spaces_per_account: 20_000,
            foundings_per_s: 1_000,
            addresses_per_account: 8,
            invitations_per_hour: 512,
            unanswered_of_one: limits::UNANSWERED,
            rendezvous: 1_024,
            rendezvous_per_s: 1,
            early_requests_per_s: 100,
            unauthenticated_sessions: 4_096,
            hello_timeout_ms: 10_000,
        }
    }
}
