//! Which of the account's devices nobody used for long, by the relay's time (`docs/protocol.md`,
//! "Dormancy").

use sync_protocol::DeviceId;
use sync_protocol::dormancy::Dormancy;
use sync_protocol::frames::{Answer, Op, Welcome};

use crate::api::AwayView;
use crate::engine::Need;
use crate::engine::rooms::Devices;
use crate::engine::session::Asked;

impl Devices<'_> {
    pub(in crate::engine) fn ask_seen(&mut self) {
        if self.session.is_open() {
            self.session.ask(self.turn, Op::LastSeen, Asked::Seen);
        } else {
            self.on_seen(Answer::Seen(Vec::new()));
        }
    }

    pub(in crate::engine) fn on_seen(&mut self, answer: Answer) {
        let seen = match answer {
            Answer::Seen(seen) => seen,
            _ => Vec::new(),
        };
        if let Some(now_ms) = self.account.relay_time(&seen)
            && self.note_away(&seen, now_ms)
        {
            self.turn.tell_status();
        }
        self.account.seen = Some(seen);
        self.turn.found(Need::Seen);
    }

    pub(in crate::engine) fn hear_who_is_away(&mut self, welcome: &Welcome) {
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
        self.session.set_away(away)
    }
}
