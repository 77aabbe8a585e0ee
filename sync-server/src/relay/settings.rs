//! Quotas and rates. The defaults leave room for honest bursts of thousands of messages a second.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
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
    /// Spaces an account may be in, those not counted that others put it into and it never wrote in.
    pub spaces_per_account: u64,
    /// Spaces an account may found in one second.
    pub foundings_per_s: u64,
    /// Addresses an account may claim.
    pub addresses_per_account: u64,
    /// Invites that an account may draw in a day, where `registration` wants them; 0: none.
    pub invites_per_account_per_day: u64,
    /// Accounts that an account may add to spaces in one hour, with as much as a burst. The default
    /// fills the largest space there is, twice.
    pub invitations_per_hour: u64,
    /// Spaces that an account may have put another into which that has not written in.
    pub unanswered_of_one: u64,
    /// The same of all who put it there; beyond that each may have put it into one.
    pub unanswered_of_all: u64,
    /// Rendezvous open at once, over all; ids used in the last two minutes count.
    pub rendezvous: u64,
    /// Rendezvous that an account may come to.
    pub rendezvous_per_s: u64,
    /// Requests from sessions that are not authenticated, over all.
    pub early_requests_per_s: u64,
    /// Sessions that are not authenticated yet.
    pub unauthenticated_sessions: u64,
    /// The same of one client address (an IPv4 address, an IPv6 network of 64 bits; a site of 48 bits
    /// may have four times as much of each limit of an address): beyond that the oldest of them goes.
    pub unauthenticated_per_address: u64,
    /// Connections of one client address.
    pub connections_per_address: u64,
    /// Connections that one client address may begin in a second.
    pub connects_per_address_per_s: u64,
    /// And at once.
    pub connects_per_address_at_once: u64,
    /// HTTP requests of one client address in a second, the web app's files and openings of sockets
    /// among them.
    pub http_requests_per_address_per_s: u64,
    /// And at once.
    pub http_requests_per_address_at_once: u64,
    /// Hellos of one client address, each counted with the device log entries that are new in it.
    pub hellos_per_address_per_s: u64,
    /// And at once: after a restart, all who share an address come back together.
    pub hellos_per_address_at_once: u64,
    /// New accounts from one client address in an hour, and at once.
    pub sign_ups_per_address_per_hour: u64,
    /// Requests before a hello from one client address.
    pub early_requests_per_address_per_s: u64,
    /// Rendezvous that are opened from one client address in an hour, and at once, by whichever
    /// accounts or before a hello.
    pub rendezvous_per_address_per_hour: u64,
    /// MiB that an account may have stored, in its own spaces and others'.
    pub stored_mib_per_account: u64,
    /// The same in one day.
    pub stored_mib_per_day: u64,
    /// The same from one client address: accounts are free.
    pub stored_mib_per_address_per_day: u64,
    /// Microseconds of the relay's time that an account may take in a second: one second is all there
    /// is.
    pub work_us_per_s: u64,
    /// The same of all accounts of one client address together: accounts are free.
    pub work_us_per_address_per_s: u64,
    /// Bytes that are delivered to an account in a second.
    pub delivered_bytes_per_s: u64,
    /// Sessions of one device.
    pub sessions_per_device: u64,
    /// Sessions of one account.
    pub sessions_per_account: u64,
    /// Times in a second that a session may be told to wait: one that goes on all the same is ended.
    pub waits_per_s: u64,
    /// MiB of memory that messages on their way to devices may take; above it the sessions that take
    /// the most of it end. 0: no limit.
    pub queued_mib: u64,
    /// Milliseconds until a session that is not authenticated is closed.
    #[serde(deserialize_with = "time")]
    pub hello_timeout_ms: u64,
    /// Milliseconds that a connection may take for what a proxy says first, for TLS, and for the head
    /// of each request, and that it may be idle between them.
    #[serde(deserialize_with = "time")]
    pub handshake_timeout_ms: u64,
    /// Milliseconds in which something has to be taken of what is written to a connection.
    #[serde(deserialize_with = "time")]
    pub write_timeout_ms: u64,
    /// Milliseconds that a message may take from its first part to its last: long enough for the
    /// largest over the slowest link.
    #[serde(deserialize_with = "time")]
    pub message_timeout_ms: u64,
    /// Milliseconds after which a connection ends that has not become a socket, whatever goes on in it:
    /// long enough for a web app over the slowest link.
    #[serde(deserialize_with = "time")]
    pub http_timeout_ms: u64,
}

/// A time that everybody is given. In less than this nobody could say anything, and the operator would
/// not hear why.
const TIME_LEAST_MS: u64 = 100;

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let ms = u64::deserialize(from)?;
    let short = || D::Error::custom(format!("{ms} ms let nobody in: the least is {TIME_LEAST_MS}"));
    (ms >= TIME_LEAST_MS).then_some(ms).ok_or_else(short)
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
            inbox_puts_per_s: 50,
            signals_per_s: 100,
            sign_ups_per_s: 100,
            spaces_per_account: 20_000,
            foundings_per_s: 50,
            addresses_per_account: 8,
            invites_per_account_per_day: limits::INVITES_PER_DAY,
            invitations_per_hour: 512,
            unanswered_of_one: limits::UNANSWERED,
            unanswered_of_all: limits::UNANSWERED_OF_ALL,
            rendezvous: 4_096,
            rendezvous_per_s: 1,
            early_requests_per_s: 1_000,
            unauthenticated_sessions: 4_096,
            unauthenticated_per_address: 256,
            connections_per_address: 1_024,
            connects_per_address_per_s: 100,
            connects_per_address_at_once: 2_048,
            http_requests_per_address_per_s: 200,
            http_requests_per_address_at_once: 8_192,
            hellos_per_address_per_s: 100,
            hellos_per_address_at_once: 2_048,
            sign_ups_per_address_per_hour: 200,
            early_requests_per_address_per_s: 10,
            rendezvous_per_address_per_hour: 120,
            stored_mib_per_account: 16 * 1024,
            stored_mib_per_day: 512,
            stored_mib_per_address_per_day: 4 * 1024,
            work_us_per_s: 50_000,
            work_us_per_address_per_s: 200_000,
            delivered_bytes_per_s: 8 * 1024 * 1024,
            sessions_per_device: 4,
            sessions_per_account: 20,
            waits_per_s: 100,
            queued_mib: 512,
            hello_timeout_ms: 10_000,
            handshake_timeout_ms: 10_000,
            write_timeout_ms: 30_000,
            message_timeout_ms: 300_000,
            http_timeout_ms: 600_000,
        }
    }
}
