//! What to commit for the wishes that wait in a space.

use sync_protocol::codec::Blob;
use sync_protocol::frames::Taken;
use sync_protocol::roster::RosterChange;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::engine::rooms::Commits;
use crate::engine::rows::Intention;
use crate::engine::{Step, Task};
use crate::group::Group;

/// What the leading intentions come to.
#[derive(Default)]
pub(in crate::engine) struct Plan {
    pub(in crate::engine) changes: Vec<RosterChange>,
    /// Accounts whose logs go along, to be judged by.
    pub(in crate::engine) vouched: Vec<AccountId>,
    pub(in crate::engine) begins_era: bool,
    pub(in crate::engine) add: Vec<Taken>,
    pub(in crate::engine) added: Vec<(AccountId, DeviceId, bool)>,
    pub(in crate::engine) remove: Vec<DeviceId>,
    pub(in crate::engine) title: Option<String>,
    pub(in crate::engine) leavers: Vec<AccountId>,
    pub(in crate::engine) intents: Vec<Blob>,
    pub(in crate::engine) carries: u64,
}

impl Commits<'_> {
    /// What to commit for the leading intentions; `None` while something is being asked.
    pub(in crate::engine) fn plan(
        &mut self,
        id: &SpaceId,
        first: &Intention,
    ) -> Step<Option<Plan>> {
        let mut plan = Plan { carries: 1, ..Plan::default() };
        if let Intention::Remove(account) | Intention::LetGo(account) | Intention::Renew(account) =
            first
            && self.spaces.space(id)?.role(account).is_none()
        {
            // Who has left meanwhile. All others would pass over what names the log of a stranger.
            self.members().drop_fulfilled(id);
            return Ok(None);
        }
        match first {
            Intention::Add { .. } => return self.plan_adds(id),
            Intention::Remove(account) | Intention::LetGo(account) => {
                let space = self.spaces.space(id)?;
                if matches!(first, Intention::LetGo(_)) {
                    let leavers = space.core.iter().flat_map(|core| &core.state.leavers);
                    let leaver = leavers.filter(|(known, _)| known == account);
                    plan.intents.extend(leaver.map(|(_, hash)| hash.clone()));
                    plan.leavers.push(*account);
                    if plan.intents.is_empty() {
                        // This device came in anew, and was not told of such a wish: without it the
                        // others would pass this over.
                        self.member_rows().remove_intention(id, 0);
                        self.turn.tasks.push_back(Task::Advance(*id));
                        return Ok(None);
                    }
                }
                let leaves = space.group.as_ref().map(Group::leaves).unwrap_or_default();
                let gone = leaves.iter().filter(|leaf| leaf.account == *account);
                plan.remove.extend(gone.map(|leaf| leaf.device));
                plan.changes.push(RosterChange::Remove { account: *account });
            }
            Intention::SetRole { account, role } => {
                plan.changes.push(RosterChange::SetRole { account: *account, role: *role });
            }
            Intention::SetTitle(title) => plan.title = Some(title.clone()),
            Intention::AddDevice { device, package, history } => {
                return self.plan_device(id, *device, package, *history);
            }
            Intention::Evict { account, .. } => return Ok(self.plan_evictions(id, account)),
            Intention::NewEra => plan.begins_era = true,
            // Whoever commits after this has read the log, and knows the keys.
            Intention::Renew(account) => plan.vouched.push(*account),
            Intention::Leave => {}
        }
        Ok(Some(plan))
    }

    /// A further device of this account, with the key package that it gave while it was linked.
    fn plan_device(
        &mut self,
        id: &SpaceId,
        device: DeviceId,
        package: &Blob,
        history: bool,
    ) -> Step<Option<Plan>> {
        let account = self.account.me()?.account();
        let is_active = self.people.log(&account).is_some_and(|log| log.active(&device).is_some());
        let is_in =
            self.spaces.space(id)?.group.as_ref().is_some_and(|group| group.contains(&device));
        if !is_active || is_in {
            self.member_rows().remove_intention(id, 0);
            self.turn.tasks.push_back(Task::Advance(*id));
            return Ok(None);
        }
        let package = match package.as_slice() {
            [] => match self.published_package(id, &account, &device) {
                Some(package) => package,
                None => return Ok(None),
            },
            _ => package.clone(),
        };
        Ok(Some(Plan {
            changes: vec![RosterChange::AddDevices { account, devices: vec![device] }],
            vouched: vec![account],
            add: vec![Taken { device, package }],
            added: vec![(account, device, history)],
            carries: 1,
            ..Plan::default()
        }))
    }

    /// A key package that a device of this account has published; `None` while the relay is asked.
    /// One that has published none makes way for other wishes: it is found missing again.
    fn published_package(
        &mut self,
        id: &SpaceId,
        account: &AccountId,
        device: &DeviceId,
    ) -> Option<Blob> {
        let taken = match self.spaces.space(id).is_ok_and(|space| space.additions.refuses(account))
        {
            true => Vec::new(),
            false => self.packages_of(id, account)?,
        };
        let usable = self.people.usable(account, &taken).into_iter();
        let found =
            usable.filter(|taken| taken.device == *device).map(|taken| taken.package).next();
        if found.is_none() {
            if let Some(space) = self.spaces.get_mut(id) {
                space.additions.forget(account);
            }
            self.member_rows().remove_intention(id, 0);
            self.turn.tasks.push_back(Task::HostMissing);
            self.turn.tasks.push_back(Task::Advance(*id));
        }
        found
    }

    /// All devices of an account that its log has ended go by one commit.
    fn plan_evictions(&mut self, id: &SpaceId, account: &AccountId) -> Option<Plan> {
        let log = self.people.log(account)?;
        let space = self.spaces.get(id)?;
        let leaves = space.group.as_ref().map(Group::leaves).unwrap_or_default();
        let own = leaves.iter().filter(|leaf| leaf.account == *account);
        let gone: Vec<DeviceId> =
            own.map(|leaf| leaf.device).filter(|device| log.active(device).is_none()).collect();
        let meant = |wish: &&Intention| matches!(wish, Intention::Evict { account: of, .. } if of == account);
        let carries = space.row.intentions.iter().take_while(meant).count() as u64;
        if gone.is_empty() {
            for _ in 0..carries {
                self.member_rows().remove_intention(id, 0);
            }
            self.turn.tasks.push_back(Task::Advance(*id));
            return None;
        }
        Some(Plan {
            changes: vec![RosterChange::RemoveDevices { account: *account, devices: gone.clone() }],
            vouched: vec![*account],
            remove: gone,
            carries,
            ..Plan::default()
        })
    }
}
