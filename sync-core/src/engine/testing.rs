//! The machines that the lower rooms use, without an engine, a store or a relay.

use sync_protocol::roster::{Role, Roster, RosterChange};
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use crate::api::{Event, Output};
use crate::engine::members::commits::fresh_row;
use crate::engine::rooms::{ContentRows, Fetching, LogRows, MemberRows};
use crate::engine::session::Session;
use crate::engine::space::Spaces;
use crate::engine::space::sightings::Sightings;
use crate::engine::space::state::{Core, SpaceState};
use crate::engine::turn::{Task, Turn};
use crate::group::Context;
use crate::trust::Invalid;

/// The engine's time when a test begins, in ms.
pub(super) const NOW: u64 = 50_000;

pub(super) fn id(n: u8) -> SpaceId {
    SpaceId::from_bytes([n; 32])
}

pub(super) fn account(n: u8) -> AccountId {
    AccountId::of_root_key(&[n; 32])
}

pub(super) fn device(n: u8) -> DeviceId {
    DeviceId::of_signing_key(&[n; 32])
}

pub(super) fn writer(n: u8) -> WriterId {
    WriterId { device: device(n), incarnation: 1 }
}

pub(super) fn epoch(n: u8) -> EpochId {
    EpochId::from_bytes([n; 32])
}

/// A conversation of two accounts, of which this device has read something.
pub(super) fn space(n: u8, own: bool) -> SpaceState {
    let joins = RosterChange::Add { account: account(2), role: Role::Member, devices: Vec::new() };
    let roster = Roster::founded_by(account(1));
    let roster = roster.after(&account(1), &[joins], &[]).expect("a founder adds whom it likes");
    let context = Context { min_version: 1, title: String::new(), roster, era: 0 };
    let mut space = SpaceState::new(id(n), fresh_row(own, context, epoch(1)));
    space.core = Some(Core::default());
    space
}

/// The machines, and spaces 1 to `count`.
pub(super) struct Machines {
    pub(super) turn: Turn,
    pub(super) session: Session,
    pub(super) spaces: Spaces,
    pub(super) sightings: Sightings,
}

impl Machines {
    pub(super) fn with(count: u8) -> Self {
        let mut spaces = Spaces::default();
        for n in 1..=count {
            spaces.insert(id(n), Box::new(space(n, false)));
        }
        let (session, sightings) = (Session::default(), Sightings::default());
        Self { turn: Turn::new([7; 32], NOW), session, spaces, sightings }
    }

    pub(super) fn log_rows(&mut self) -> LogRows<'_> {
        LogRows { turn: &mut self.turn, spaces: &mut self.spaces }
    }

    pub(super) fn member_rows(&mut self) -> MemberRows<'_> {
        MemberRows { turn: &mut self.turn, spaces: &mut self.spaces }
    }

    pub(super) fn content_rows(&mut self) -> ContentRows<'_> {
        ContentRows { turn: &mut self.turn, spaces: &mut self.spaces }
    }

    pub(super) fn fetching(&mut self) -> Fetching<'_> {
        Fetching {
            turn: &mut self.turn,
            session: &mut self.session,
            sightings: &mut self.sightings,
            spaces: &mut self.spaces,
        }
    }

    pub(super) fn space(&mut self, n: u8) -> &mut SpaceState {
        self.spaces.get_mut(&id(n)).expect("a test names spaces that are there")
    }

    pub(super) fn core(&mut self, n: u8) -> &mut Core {
        self.space(n).core.as_mut().expect("a test's spaces are in memory")
    }

    /// What the app was told, and forgets it.
    pub(super) fn told(&mut self) -> Vec<Event> {
        let told = std::mem::take(&mut self.turn.pending).into_iter();
        told.filter_map(|output| match output {
            Output::Notify(event) => Some(event),
            _ => None,
        })
        .collect()
    }

    /// What the app was told that is not believed.
    pub(super) fn evidence(&mut self) -> Vec<Invalid> {
        let told = self.told().into_iter();
        told.filter_map(|event| match event {
            Event::Evidence { why, .. } => Some(why),
            _ => None,
        })
        .collect()
    }

    /// Whether a task is to be done next, of those that this finds.
    pub(super) fn has_task(&self, is_it: impl Fn(&Task) -> bool) -> bool {
        self.turn.tasks.iter().any(is_it)
    }

    pub(super) fn is_saved(&self, n: u8) -> bool {
        self.turn.unsaved.spaces.contains(&id(n))
    }
}
