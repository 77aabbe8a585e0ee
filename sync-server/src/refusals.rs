//! Refusals: what was not done for somebody, counted by reason, and told in the log at a bounded rate.
//! Numbers and kinds only.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which bound refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Refused {
    /// The system has no room for one more connection: too few descriptors, mostly.
    System,
    /// All places for connections are taken.
    Connections,
    /// All places that one client address may have are taken.
    ConnectionsOfPeer,
    /// Connections come too fast from one client address.
    ConnectsOfPeer,
    /// HTTP requests come too fast from one client address.
    RequestsOfPeer,
    /// What should be a PROXY header is none.
    ProxyHeader,
    /// A page of a foreign origin.
    Origin,
    /// A phase of a connection took too long.
    Deadline,
    /// What came is no request, no frame or no message, or larger than any may be.
    Malformed,
    /// A socket that sends more pings than any device does.
    Pings,
    /// More than one may ask, say or try before a hello.
    Early,
    /// A hello that is not signed by the device that it names.
    Unproven,
    /// A new account that the operator does not let in.
    Registration,
    /// An invite that an account may not draw.
    Invites,
    /// An account that the operator keeps out.
    Suspended,
    /// Something new while the disk is full to its reserve.
    Full,
    /// Too many sessions that did not say hello.
    Unauthenticated,
    /// Too many of them from one client address.
    UnauthenticatedOfPeer,
    /// Too many hellos from one client address.
    HellosOfPeer,
    /// Too many new accounts.
    SignUps,
    /// Too many of them from one client address.
    SignUpsOfPeer,
    /// Too many requests before a hello.
    EarlyRequests,
    /// Too many of them from one client address.
    EarlyRequestsOfPeer,
    /// Too many rendezvous.
    Rendezvous,
    /// Too many of them from one client address.
    RendezvousOfPeer,
    /// Too many sessions of a device.
    SessionsOfDevice,
    /// Too many sessions of an account.
    SessionsOfAccount,
    /// An account has used up its share of the relay's time.
    Work,
    /// All accounts of one client address have used up theirs.
    WorkOfPeer,
    /// A device pushes too much.
    Pushes,
    /// An account has pushed as much as it may in a day.
    Daily,
    /// From one client address as much was stored in a day as may be.
    DailyOfPeer,
    /// An account has stored as much as it may.
    Stored,
    /// Any other rate of an account.
    Rates,
    /// Any other quota of an account or a space.
    Quotas,
    /// A session that went on although it was told to wait.
    Unheeding,
    /// A session whose messages are not read.
    Slow,
    /// A session that cost the most memory when there was too little.
    Memory,
}

impl Refused {
    /// All of them, in order.
    pub const ALL: [Self; 38] = [
        Self::System,
        Self::Connections,
        Self::ConnectionsOfPeer,
        Self::ConnectsOfPeer,
        Self::RequestsOfPeer,
        Self::ProxyHeader,
        Self::Origin,
        Self::Deadline,
        Self::Malformed,
        Self::Pings,
        Self::Early,
        Self::Unproven,
        Self::Registration,
        Self::Invites,
        Self::Suspended,
        Self::Full,
        Self::Unauthenticated,
        Self::UnauthenticatedOfPeer,
        Self::HellosOfPeer,
        Self::SignUps,
        Self::SignUpsOfPeer,
        Self::EarlyRequests,
        Self::EarlyRequestsOfPeer,
        Self::Rendezvous,
        Self::RendezvousOfPeer,
        Self::SessionsOfDevice,
        Self::SessionsOfAccount,
        Self::Work,
        Self::WorkOfPeer,
        Self::Pushes,
        Self::Daily,
        Self::DailyOfPeer,
        Self::Stored,
        Self::Rates,
        Self::Quotas,
        Self::Unheeding,
        Self::Slow,
        Self::Memory,
    ];

    /// As metrics and logs call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Connections => "connections",
            Self::ConnectionsOfPeer => "connections_of_address",
            Self::ConnectsOfPeer => "connects_of_address",
            Self::RequestsOfPeer => "requests_of_address",
            Self::ProxyHeader => "proxy_header",
            Self::Origin => "origin",
            Self::Deadline => "deadline",
            Self::Malformed => "malformed",
            Self::Pings => "pings",
            Self::Early => "early",
            Self::Unproven => "unproven",
            Self::Registration => "registration",
            Self::Invites => "invites",
            Self::Suspended => "suspended",
            Self::Full => "full",
            Self::Unauthenticated => "unauthenticated",
            Self::UnauthenticatedOfPeer => "unauthenticated_of_address",
            Self::HellosOfPeer => "hellos_of_address",
            Self::SignUps => "sign_ups",
            Self::SignUpsOfPeer => "sign_ups_of_address",
            Self::EarlyRequests => "early_requests",
            Self::EarlyRequestsOfPeer => "early_requests_of_address",
            Self::Rendezvous => "rendezvous",
            Self::RendezvousOfPeer => "rendezvous_of_address",
            Self::SessionsOfDevice => "sessions_of_device",
            Self::SessionsOfAccount => "sessions_of_account",
            Self::Work => "work",
            Self::WorkOfPeer => "work_of_address",
            Self::Pushes => "pushes",
            Self::Daily => "daily",
            Self::DailyOfPeer => "daily_of_address",
            Self::Stored => "stored",
            Self::Rates => "rates",
            Self::Quotas => "quotas",
            Self::Unheeding => "unheeding",
            Self::Slow => "slow",
            Self::Memory => "memory",
        }
    }
}

/// How many there were of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals([u64; Refused::ALL.len()]);

impl Default for Refusals {
    fn default() -> Self {
        Self([0; Refused::ALL.len()])
    }
}

impl Refusals {
    /// One more.
    pub(crate) fn note(&mut self, refused: Refused) {
        if let Some(count) = self.0.get_mut(refused as usize) {
            *count += 1;
        }
    }

    /// How many there were.
    #[must_use]
    pub fn of(&self, refused: Refused) -> u64 {
        self.0.get(refused as usize).copied().unwrap_or(0)
    }

    /// Both together.
    pub(crate) fn and(mut self, others: &Self) -> Self {
        for (count, other) in self.0.iter_mut().zip(others.0) {
            *count += other;
        }
        self
    }
}

/// The same, counted by many tasks at once.
#[derive(Debug)]
pub(crate) struct SharedRefusals([AtomicU64; Refused::ALL.len()]);

impl Default for SharedRefusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl SharedRefusals {
    pub(crate) fn note(&self, refused: Refused) {
        if let Some(count) = self.0.get(refused as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn so_far(&self) -> Refusals {
        Refusals(std::array::from_fn(|n| {
            self.0.get(n).map_or(0, |count| count.load(Ordering::Relaxed))
        }))
    }
}

/// How often the log tells of refusals at most, in ms.
const LINE_MS: u64 = 10_000;

/// What the log was told. One line for all refusals of ten seconds, so that an attack fills no disk.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    told: Refusals,
    at_ms: u64,
}

impl RefusalLog {
    /// What to tell now, if anything: reasons, and how many of each there were since the last time.
    pub(crate) fn line(&mut self, so_far: Refusals, now_ms: u64) -> Option<String> {
        let is_early = self.at_ms > 0 && now_ms.saturating_sub(self.at_ms) < LINE_MS;
        if is_early || so_far == self.told {
            return None;
        }
        let new = Refused::ALL.iter().map(|one| (*one, so_far.of(*one) - self.told.of(*one)));
        let new = new.filter(|(_, count)| *count > 0);
        let told: Vec<_> = new.map(|(one, count)| format!("{}={count}", one.name())).collect();
        self.told = so_far;
        self.at_ms = now_ms.max(1);
        Some(told.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place_and_its_name() {
        let mut names = std::collections::BTreeSet::new();
        for (place, reason) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert!(names.insert(reason.name()));
            let shared = SharedRefusals::default();
            shared.note(reason);
            let mut counted = Refusals::default();
            counted.note(reason);
            assert_eq!(shared.so_far(), counted);
            assert_eq!(counted.and(&shared.so_far()).of(reason), 2);
        }
    }

    #[test]
    fn the_log_has_one_line_in_ten_seconds_however_much_is_refused() {
        let (mut log, mut refusals) = (RefusalLog::default(), Refusals::default());
        let mut lines = Vec::new();
        for second in 0..60 {
            for _ in 0..100 {
                refusals.note(Refused::SignUps);
            }
            lines.extend(log.line(refusals, 5_000 + second * 1_000));
        }
        assert_eq!(lines.len(), 6);
        assert_eq!(lines.first().map(String::as_str), Some("sign_ups=100"));
        assert_eq!(lines.get(1).map(String::as_str), Some("sign_ups=1000"));
        log.line(refusals, 100_000);
        assert_eq!(log.line(refusals, 200_000), None);
    }
}
