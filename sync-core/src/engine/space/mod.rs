//! The spaces that this device is in or was in.

pub(in crate::engine) mod another;
pub(in crate::engine) mod change_set;
pub(in crate::engine) mod confirmed;
pub(in crate::engine) mod content;
pub(in crate::engine) mod deliveries;
pub(in crate::engine) mod doubt;
pub(in crate::engine) mod doubted;
pub(in crate::engine) mod fetch;
pub(in crate::engine) mod lost;
pub(in crate::engine) mod outbox;
pub(in crate::engine) mod placed;
mod retag;
pub(in crate::engine) mod sightings;
pub(in crate::engine) mod state;
pub(in crate::engine) mod unfollowed;

use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, SpaceId, WriterId, codec};

use crate::Failure;
use crate::api::{Author, Origin};
use crate::document::Name;
use crate::engine::account::{Account, Me};
use crate::engine::people::People;
use crate::engine::rows::Grant;
use crate::engine::space::state::SpaceState;
use crate::engine::{OpenError, Step, Stop};
use crate::records::Load;

/// Spaces whose inner state may stay in memory while idle.
const RESIDENT: usize = 64;

/// All spaces, each with its index row in memory and the rest when it is needed.
#[derive(Default)]
pub(in crate::engine) struct Spaces {
    map: SortedMap<SpaceId, Box<SpaceState>>,
    /// The time of this turn: what is used now leaves memory last.
    now: u64,
}

impl Spaces {
    /// What a device needs beside the group to read a space, all of it or from here on.
    pub(in crate::engine) fn grant(
        &self,
        people: &People,
        id: &SpaceId,
        members: &[AccountId],
        history: bool,
    ) -> Step<Grant> {
        let space = self.space(id)?;
        let core = space.core.as_ref().ok_or(Stop::from(Load::Space(*id)))?;
        let people = people.hints(members.iter().copied());
        if history {
            return Ok(Grant {
                from: 0,
                frontier: Vec::new(),
                log_hash: [0; 32],
                epochs: core.epochs.iter().map(|(epoch, row)| (*epoch, row.clone())).collect(),
                heads: Vec::new(),
                people,
                segment: 0,
                leavers: Vec::new(),
                documents: Vec::new(),
            });
        }
        let tips = core.tips.iter();
        Ok(Grant {
            from: space.row.next,
            frontier: tips.map(|(writer, tip)| (*writer, tip.seq, tip.link)).collect(),
            log_hash: space.row.log_hash,
            epochs: Vec::new(),
            heads: core.state.heads.clone(),
            people,
            segment: space.row.segment,
            leavers: core.state.leavers.clone(),
            documents: Vec::new(),
        })
    }

    /// Takes up a record that says that a space has a document.
    pub(in crate::engine) fn read_name(&mut self, record: &[u8]) -> Result<(), OpenError> {
        let damaged = || OpenError::Damaged("document name");
        let (id, name) = record.split_first_chunk::<33>().ok_or_else(damaged)?;
        let id = SpaceId::try_from(&id[1..]).map_err(|_| damaged())?;
        let name = codec::decode_exact("document name", name).map_err(|_| damaged())?;
        if let Some(space) = self.get_mut(&id) {
            space.row.lists(&name);
        }
        Ok(())
    }

    /// Conversations of which some can't be read.
    pub(in crate::engine) fn unreadable(&self) -> u64 {
        self.values().filter(|space| space.row.lost.is_some()).count() as u64
    }

    /// Whether what is written in a document has to wait until an era counts.
    pub(in crate::engine) fn is_held(&self, id: &SpaceId, name: &Name) -> bool {
        let Name::App(era, _) = name else { return false };
        let Some(space) = self.get(id) else { return false };
        let core = space.core.as_ref();
        let eras = &space.row.eras;
        *era != eras.era()
            || eras.is_between()
            || core.is_some_and(|core| core.state.joining.is_some())
    }

    /// The era at the place in the log that is read now.
    pub(in crate::engine) fn era_here(&self, id: &SpaceId) -> u32 {
        let Some(space) = self.get(id) else { return 0 };
        let core = space.core.as_ref();
        match core.filter(|core| core.state.joining.is_some()) {
            // Of the past, the era of that time counts.
            Some(core) => core.epochs.get(&space.row.epoch).map_or(0, |row| row.era),
            None => space.row.context.era,
        }
    }

    /// The names of an app's documents in an era.
    pub(in crate::engine) fn apps(&self, id: &SpaceId, era: u32) -> Vec<String> {
        let names = self.get(id).map(|space| space.row.documents.as_slice());
        let of = |name: &Name| match name {
            Name::App(of, name) if *of == era => Some(name.clone()),
            _ => None,
        };
        names.unwrap_or_default().iter().filter_map(of).collect()
    }

    /// Who a writer is to this device.
    pub(in crate::engine) fn origin(
        &self,
        account: &Account,
        id: &SpaceId,
        writer: &WriterId,
    ) -> Option<Author> {
        let device = writer.device;
        let core = self.get(id).and_then(|space| space.core.as_ref());
        let me = account.me().ok()?;
        let own = device == me.device();
        let account = if own { me.account() } else { core?.account_of(&device)? };
        let origin = match account == me.account() {
            _ if own => Origin::Own,
            true => Origin::Sibling,
            false => Origin::Other,
        };
        Some(Author { origin, account, device })
    }

    /// A turn begins.
    pub(in crate::engine) fn begin_turn(&mut self, now: u64) {
        self.now = now;
    }

    pub(in crate::engine) fn get(&self, id: &SpaceId) -> Option<&SpaceState> {
        self.map.get(id).map(Box::as_ref)
    }

    pub(in crate::engine) fn get_mut(&mut self, id: &SpaceId) -> Option<&mut SpaceState> {
        self.map.get_mut(id).map(Box::as_mut)
    }

    pub(in crate::engine) fn contains_key(&self, id: &SpaceId) -> bool {
        self.map.contains_key(id)
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.map.len()
    }

    pub(in crate::engine) fn insert(&mut self, id: SpaceId, space: Box<SpaceState>) {
        self.map.insert(id, space);
    }

    pub(in crate::engine) fn remove(&mut self, id: &SpaceId) -> Option<Box<SpaceState>> {
        self.map.remove(id)
    }

    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (&SpaceId, &SpaceState)> {
        self.map.iter().map(|(id, space)| (id, space.as_ref()))
    }

    pub(in crate::engine) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (&SpaceId, &mut SpaceState)> {
        self.map.iter_mut().map(|(id, space)| (id, space.as_mut()))
    }

    pub(in crate::engine) fn values(&self) -> impl Iterator<Item = &SpaceState> {
        self.map.values().map(Box::as_ref)
    }

    pub(in crate::engine) fn values_mut(&mut self) -> impl Iterator<Item = &mut SpaceState> {
        self.map.values_mut().map(Box::as_mut)
    }

    /// A space by its index row.
    pub(in crate::engine) fn space(&self, id: &SpaceId) -> Result<&SpaceState, Stop> {
        self.get(id).ok_or(Stop::Fail(Failure::NotFound("conversation")))
    }

    /// The space with its core in memory.
    pub(in crate::engine) fn core(&mut self, id: &SpaceId) -> Step<&mut SpaceState> {
        let now = self.now;
        let space = self.get_mut(id).ok_or(Failure::NotFound("conversation"))?;
        if space.core.is_none() {
            return Err(Load::Space(*id).into());
        }
        space.used = now;
        Ok(space)
    }

    /// The space with core and group in memory.
    pub(in crate::engine) fn group(&mut self, id: &SpaceId) -> Step<&mut SpaceState> {
        let space = self.core(id)?;
        if space.group.is_none() {
            return Err(Load::Group(*id).into());
        }
        Ok(space)
    }

    /// Whether it is another device of this account.
    pub(in crate::engine) fn is_sibling(&self, id: &SpaceId, me: &Me, device: &DeviceId) -> bool {
        let core = self.get(id).and_then(|space| space.core.as_ref());
        *device != me.device()
            && core.and_then(|core| core.account_of(device)) == Some(me.account())
    }

    /// Lets go of the longest unused spaces that have nothing under way and no open document.
    pub(in crate::engine) fn evict(&mut self, has_open: impl Fn(&SpaceId) -> bool) {
        if self.map.len() <= RESIDENT {
            return;
        }
        let idle: SortedSet<_> = self
            .iter()
            .filter(|(_, space)| space.core.is_some() && space.in_session.deliveries.is_empty())
            .filter(|(id, space)| !space.is_busy() && !has_open(id))
            .map(|(id, space)| (space.used, *id))
            .collect();
        let surplus = idle.len().saturating_sub(RESIDENT);
        for (_, id) in idle.into_iter().take(surplus) {
            if let Some(space) = self.get_mut(&id) {
                space.core = None;
                space.group = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::roster::Roster;
    use sync_protocol::{AccountId, EpochId};

    use super::*;
    use crate::engine::members::commits::fresh_row;
    use crate::engine::space::state::Core;
    use crate::engine::turn::Need;
    use crate::group::Context;

    fn id(n: u64) -> SpaceId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        SpaceId::from_bytes(bytes)
    }

    fn spaces(count: u64) -> Spaces {
        let mut spaces = Spaces::default();
        for n in 0..count {
            let roster = Roster::founded_by(AccountId::of_root_key(&[1; 32]));
            let context = Context { min_version: 1, title: String::new(), roster, era: 0 };
            let space = SpaceState::new(id(n), fresh_row(false, context, EpochId::NONE));
            spaces.insert(id(n), Box::new(space));
        }
        spaces
    }

    #[test]
    fn what_is_not_in_memory_is_asked_for_once_it_is_needed() {
        let mut spaces = spaces(1);
        let lacks =
            |stop: Stop, load: Load| matches!(stop, Stop::Need(Need::Load(what)) if what == load);
        assert!(spaces.space(&id(0)).is_ok());
        assert!(spaces.core(&id(0)).err().is_some_and(|stop| lacks(stop, Load::Space(id(0)))));
        spaces.get_mut(&id(0)).unwrap().core = Some(Core::default());
        assert!(spaces.group(&id(0)).err().is_some_and(|stop| lacks(stop, Load::Group(id(0)))));
    }

    #[test]
    fn a_space_that_is_not_there_is_told_of_as_that() {
        let mut spaces = spaces(0);
        let missing = Failure::NotFound("conversation");
        assert!(matches!(spaces.core(&id(0)), Err(Stop::Fail(failure)) if failure == missing));
    }

    #[test]
    fn the_longest_unused_leave_memory_and_none_with_an_open_document() {
        let count = RESIDENT as u64 + 3;
        let mut spaces = spaces(count);
        for n in 0..count {
            spaces.get_mut(&id(n)).unwrap().core = Some(Core::default());
            spaces.begin_turn(100 + n);
            spaces.core(&id(n)).unwrap();
        }
        spaces.evict(|space| *space == id(0));
        let gone: Vec<_> = (0..count).filter(|n| spaces.core(&id(*n)).is_err()).collect();
        assert_eq!(gone, [1, 2], "the first has an open document");
    }
}

#[cfg(test)]
mod rows_tests;
