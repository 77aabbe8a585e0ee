//! How things stand, as an app shows it.

use crate::api::{Event, Problem, Status};
use crate::engine::Engine;

impl Engine {
    pub(super) fn is_up_to_date(&self) -> bool {
        self.session.caught_up()
            && self.parked.is_empty()
            && self.strays.is_empty()
            && self.me.as_ref().is_some_and(|me| self.spaces.contains_key(&me.account().space()))
            && self.spaces.values().all(|space| {
                space.deliveries.is_empty() && (!space.row.lagging || !space.row.active)
            })
    }

    pub(super) fn all_stored(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.row.claimed)
            && self.spaces.values().all(|space| !space.is_busy())
    }

    pub(super) fn status(&self) -> Status {
        let me = self.me.as_ref();
        let primary = me.and_then(|me| {
            let log = self.people.log(&me.account())?;
            Some(log.primary() == me.device())
        });
        Status {
            account: me.map(|me| me.account()),
            device: me.map(|me| me.device()),
            address: me.map(|me| me.row.address.clone()),
            name: me.map(|me| me.row.name.clone()).unwrap_or_default(),
            role: if primary == Some(false) { "companion" } else { "primary" },
            connected: self.session.is_open(),
            up_to_date: self.is_up_to_date(),
            last_confirmed_ms: self.session.row.last_confirmed_ms,
            waiting: self.spaces.values().map(|space| space.waiting()).sum(),
            spaces: self.spaces.len() as u64,
            away: self.away(),
            problem: self.problem(),
        }
    }

    fn problem(&self) -> Option<Problem> {
        let space = || {
            self.spaces.iter().find_map(|(id, space)| {
                let reason = space.problem.clone()?;
                Some(Problem::Space(*id, reason))
            })
        };
        self.session.problem.clone().or_else(space)
    }

    pub(super) fn report_status(&mut self) {
        let status = Box::new(self.status());
        self.notify(Event::Status(status));
    }
}
