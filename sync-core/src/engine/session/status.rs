//! How things stand, as an app shows it.

use sync_protocol::SpaceId;
use sync_protocol::sorted::SortedMap;

use crate::api::{Event, Problem, Status};
use crate::engine::Engine;

/// What decides whether the app hears how things stand.
#[derive(Debug, Default)]
pub(in crate::engine) struct Standing {
    /// Spaces with changes that the relay has not confirmed, and how many.
    waiting: SortedMap<SpaceId, u64>,
    /// How many of them the app was told of, and whether it was told that all is up to date.
    told: u64,
    up_to_date: bool,
}

impl Engine {
    pub(in crate::engine) fn is_up_to_date(&self) -> bool {
        self.session.caught_up()
            && !self.requests.has_parked()
            && !self.strays.any()
            && self.account.own().is_some_and(|me| self.spaces.contains_key(&me.account().space()))
            && self.spaces.values().all(|space| {
                space.in_session.deliveries.is_empty()
                    && (!space.row.lagging || !space.row.active)
                    && !self.sightings.is_behind_others(&self.spaces, &space.id)
            })
    }

    pub(in crate::engine) fn all_stored(&self) -> bool {
        self.account.own().is_some_and(|me| me.row().claimed)
            && self.spaces.values().all(|space| !space.is_busy())
    }

    pub(in crate::engine) fn status(&self) -> Status {
        let me = self.account.own();
        let primary = me.and_then(|me| {
            let log = self.people.log(&me.account())?;
            Some(log.primary() == me.device())
        });
        Status {
            account: me.map(|me| me.account()),
            device: me.map(|me| me.device()),
            address: me.map(|me| me.row().address.clone()),
            name: me.map(|me| me.row().name.clone()).unwrap_or_default(),
            nameless: self.account.is_nameless(&self.spaces),
            role: if primary == Some(false) { "companion" } else { "primary" },
            connected: self.session.is_open(),
            up_to_date: self.is_up_to_date(),
            // A clock that was set back since would have it in the future.
            last_confirmed_ms: self
                .session
                .row
                .last_confirmed_ms
                .map(|at_ms| at_ms.min(self.turn.wall)),
            waiting: self.spaces.values().map(|space| space.waiting()).sum(),
            spaces: self.spaces.len() as u64,
            unreadable: self.spaces.unreadable(),
            withheld: self.sightings.withheld(&self.spaces),
            away: self.session.away(&self.account, &self.people),
            put_back_ms: self.session.row.put_back_ms,
            problem: self.problem(),
        }
    }

    fn problem(&self) -> Option<Problem> {
        let space = || {
            self.spaces.iter().find_map(|(id, space)| {
                let reason = space.in_session.problem.clone()?;
                Some(Problem::Space(*id, reason))
            })
        };
        self.session.problem.clone().or_else(space)
    }

    pub(in crate::engine) fn report_status(&mut self) {
        let status = Box::new(self.status());
        (self.standing.up_to_date, self.standing.told) = (status.up_to_date, status.waiting);
        self.turn.notify(Event::Status(status));
    }

    /// Looks again at how many of a space's changes wait.
    pub(in crate::engine) fn note_waiting(&mut self, id: &SpaceId) {
        match self.spaces.get(id).map_or(0, |space| space.waiting()) {
            0 => self.standing.waiting.remove(id),
            changes => self.standing.waiting.insert(*id, changes),
        };
    }

    /// The app hears by itself when the last thing that was missing has come, when this device
    /// finds that it can't read a conversation yet, and how many changes wait: each without a
    /// connection, and with one when there are none any more, and each time that they double or
    /// halve.
    pub(in crate::engine) fn report_turn(&mut self) {
        let waiting: u64 = self.standing.waiting.values().sum();
        let told = self.standing.told;
        let is_away = !self.session.is_open();
        let turned = if self.standing.up_to_date {
            self.strays.any()
        } else {
            self.session.caught_up() && self.is_up_to_date()
        };
        if turned || (is_away && waiting != told) || waiting.checked_ilog2() != told.checked_ilog2()
        {
            self.turn.tell_status();
        }
        if std::mem::take(&mut self.turn.tells_status) {
            self.report_status();
        }
    }
}
