//! Which of the account's devices nobody used for long, by the relay's time (`docs/protocol.md`,
//! "Dormancy").

use sync_protocol::DeviceId;
use sync_protocol::dormancy::Dormancy;
use sync_protocol::frames::{Answer, Op, Welcome};

use crate::api::AwayView;
use crate::engine::session::Asked;
use crate::engine::{Engine, Need};

impl Engine {
    pub(super) fn ask_seen(&mut self) {
        if self.session.is_open() {
            self.ask(Op::LastSeen, Asked::Seen);
        } else {
            self.on_seen(Answer::Seen(Vec::new()));
        }
    }

    pub(super) fn on_seen(&mut self, answer: Answer) {
        let seen = match answer {
            Answer::Seen(seen) => seen,
            _ => Vec::new(),
        };
        if let Some(now_ms) = self.relay_time(&seen)
            && self.note_away(&seen, now_ms)
        {
            self.report_status();
        }
        self.seen = Some(seen);
        self.unpark(&Need::Seen);
    }

    /// The relay's time when it said who was there: this device was.
    pub(super) fn relay_time(&self, seen: &[(DeviceId, u64)]) -> Option<u64> {
        let own = self.me().ok()?.device();
        seen.iter().find(|(device, _)| *device == own).map(|(_, at_ms)| *at_ms)
    }

    pub(super) fn hear_who_is_away(&mut self, welcome: &Welcome) {
        let away = welcome.away.as_deref().unwrap_or_default();
        self.note_away(away, welcome.time_ms);
    }

    /// Whether that changes anything.
    fn note_away(&mut self, seen: &[(DeviceId, u64)], now_ms: u64) -> bool {
        let view = |(device, last_seen_ms): &(DeviceId, u64)| {
            let dormancy = Dormancy::of(*last_seen_ms, now_ms)?;
            Some(AwayView { device: *device, last_seen_ms: *last_seen_ms, dormancy })
        };
        let away = seen.iter().filter_map(view).collect();
        std::mem::replace(&mut self.session.away, away) != self.session.away
    }

    /// Devices that were away for long, and did not end since.
    pub(super) fn away(&self) -> Vec<AwayView> {
        let log = self.me().ok().and_then(|me| self.people.log(&me.account()));
        let active = |view: &&AwayView| log.is_some_and(|log| log.active(&view.device).is_some());
        self.session.away.iter().filter(active).copied().collect()
    }
}
