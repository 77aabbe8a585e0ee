//! What to commit for the wishes that wait in a space.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::frames::{Answer, Op, Taken};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId};

use crate::api::Failure;
use crate::engine::rows::Intention;
use crate::engine::session::Asked;
use crate::engine::{Engine, Step, Stop, Task};
use crate::group::{Group, read_key_package};

/// How long to wait before taking key packages again for somebody who has none.
const ASK_AGAIN_MS: u64 = 2_000;

/// What the leading intentions come to.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<RosterChange>,
    /// Accounts whose logs go along, to be judged by.
    pub(super) vouched: Vec<AccountId>,
    pub(super) begins_era: bool,
    pub(super) add: Vec<Taken>,
    pub(super) added: Vec<(AccountId, DeviceId, bool)>,
    pub(super) remove: Vec<DeviceId>,
    pub(super) title: Option<String>,
    pub(super) leavers: Vec<AccountId>,
    pub(super) intents: Vec<Blob>,
    pub(super) carries: u64,
}

impl Engine {
    /// What to commit for the leading intentions; `None` while something is being asked.
    pub(super) fn plan(&mut self, id: &SpaceId, first: &Intention) -> Step<Option<Plan>> {
        let mut plan = Plan { carries: 1, ..Plan::default() };
        match first {
            Intention::Add { .. } => return self.plan_adds(id),
            Intention::Remove(account) | Intention::LetGo(account) => {
                let space = self.space(id)?;
                if space.role(account).is_none() {
                    self.drop_fulfilled(id);
                    return Ok(None);
                }
                if matches!(first, Intention::LetGo(_))
                    && let Some(core) = &space.core
                {
                    let leaver = core.state.leavers.iter().filter(|(known, _)| known == account);
                    plan.intents.extend(leaver.map(|(_, hash)| hash.clone()));
                    plan.leavers.push(*account);
                }
                let leaves = space.group.as_ref().map(Group::leaves).unwrap_or_default();
                let gone = leaves.iter().filter(|leaf| leaf.account == *account);
                plan.remove.extend(gone.map(|leaf| leaf.device));
                plan.changes.push(RosterChange::Remove { account: *account });
            }
            Intention::SetRole { account, admin } => {
                let role = if *admin { Role::Admin } else { Role::Member };
                plan.changes.push(RosterChange::SetRole { account: *account, role });
            }
            Intention::SetTitle(title) => plan.title = Some(title.clone()),
            Intention::AddDevice { device, package, history } => {
                return self.plan_device(id, *device, package, *history);
            }
            Intention::Evict { account, .. } => return Ok(self.plan_evictions(id, account)),
            Intention::NewEra => plan.begins_era = true,
            Intention::Leave | Intention::Renew => {}
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
        let account = self.me()?.account();
        let is_active = self.people.log(&account).is_some_and(|log| log.active(&device).is_some());
        let is_in = self.space(id)?.group.as_ref().is_some_and(|group| group.contains(&device));
        if !is_active || is_in {
            self.remove_intention(id, 0);
            self.tasks.push_back(Task::Advance(*id));
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
        let taken = self.packages_of(id, account)?;
        let usable = self.usable(account, &taken).into_iter();
        let found =
            usable.filter(|taken| taken.device == *device).map(|taken| taken.package).next();
        if found.is_none() {
            if let Some(space) = self.spaces.get_mut(id) {
                space.packages.remove(account);
            }
            self.remove_intention(id, 0);
            self.tasks.push_back(Task::HostMissing);
            self.tasks.push_back(Task::Advance(*id));
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
                self.remove_intention(id, 0);
            }
            self.tasks.push_back(Task::Advance(*id));
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

    /// The other devices of this account, which shall be in wherever it is.
    fn plan_siblings(&mut self, id: &SpaceId, plan: &mut Plan) -> Step<bool> {
        let me = self.me()?;
        let (account, device) = (me.account(), me.device());
        let Some(log) = self.people.log(&account) else { return Ok(true) };
        let group = self.space(id)?.group.as_ref();
        let missing: Vec<DeviceId> = log
            .devices()
            .map(|(id, _)| *id)
            .filter(|id| *id != device && group.is_some_and(|group| !group.contains(id)))
            .collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let Some(taken) = self.packages_of(id, &account) else { return Ok(false) };
        let usable = self.usable(&account, &taken).into_iter();
        let found: Vec<Taken> = usable.filter(|taken| missing.contains(&taken.device)).collect();
        if !found.is_empty() {
            let devices = found.iter().map(|taken| taken.device).collect();
            plan.changes.push(RosterChange::AddDevices { account, devices });
            plan.added.extend(found.iter().map(|taken| (account, taken.device, true)));
            plan.vouched.push(account);
            plan.add.extend(found);
        }
        Ok(true)
    }

    /// All leading additions become one commit.
    fn plan_adds(&mut self, id: &SpaceId) -> Step<Option<Plan>> {
        let mut plan = Plan::default();
        loop {
            let at = plan.carries as usize;
            let next = self.space(id)?.row.intentions.get(at).cloned();
            let Some(Intention::Add { address, history }) = next else { break };
            if history && !self.core_space(id)?.reads_all() {
                // It had all when this was wished, and came in anew since.
                self.not_added(id, at, &address, &Failure::Partial);
                continue;
            }
            let account = match self.resolve_text(&address) {
                Ok(account) => account,
                Err(Stop::Fail(Failure::Offline)) => return Ok(None),
                Err(Stop::Fail(failure)) if failure.retry() => {
                    self.try_again(id);
                    return Ok(None);
                }
                Err(Stop::Fail(failure)) => {
                    self.not_added(id, at, &address, &failure);
                    continue;
                }
                Err(stop) => return Err(stop),
            };
            if self.space(id)?.role(&account).is_some() {
                self.remove_intention(id, at);
                continue;
            }
            let Some(taken) = self.packages_of(id, &account) else { return Ok(None) };
            let devices = self.usable(&account, &taken);
            if devices.is_empty() {
                let failure = Failure::Refused(Rejection::Unavailable { retry_ms: 0 });
                self.not_added(id, at, &address, &failure);
                continue;
            }
            plan.added.extend(devices.iter().map(|taken| (account, taken.device, history)));
            let ids = devices.iter().map(|taken| taken.device).collect();
            plan.changes.push(RosterChange::Add { account, role: Role::Member, devices: ids });
            plan.vouched.push(account);
            plan.add.extend(devices);
            plan.carries += 1;
        }
        if plan.carries > 0 && !self.plan_siblings(id, &mut plan)? {
            return Ok(None);
        }
        Ok(Some(plan))
    }

    fn try_again(&mut self, id: &SpaceId) {
        let at = self.now + ASK_AGAIN_MS;
        if let Some(space) = self.spaces.get_mut(id) {
            space.retry_at = Some(at);
        }
    }

    fn resolve_text(&mut self, address: &str) -> Step<AccountId> {
        let address: Address =
            address.parse().map_err(|_| Failure::Invalid("not an address".to_owned()))?;
        self.resolve(&address)
    }

    fn packages_of(&mut self, id: &SpaceId, account: &AccountId) -> Option<Vec<Taken>> {
        let space = self.spaces.get_mut(id)?;
        if let Some(taken) = space.packages.get(account) {
            return Some(taken.clone());
        }
        if !space.packages_asked.contains(account) {
            space.packages_asked.push(*account);
            self.ask(Op::TakeKeyPackages { account: *account }, Asked::Packages(*id, *account));
        }
        None
    }

    pub(super) fn on_packages(&mut self, id: &SpaceId, account: &AccountId, answer: Answer) {
        let now = self.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        space.packages_asked.retain(|asked| asked != account);
        match answer {
            Answer::KeyPackages(taken) => {
                space.packages.insert(*account, taken);
            }
            Answer::Refused(Rejection::NotFound) => {
                space.packages.insert(*account, Vec::new());
            }
            _ => space.retry_at = Some(now + ASK_AGAIN_MS),
        }
        self.tasks.push_back(Task::Advance(*id));
    }

    /// The packages that are what they claim, of devices their account's log certifies.
    fn usable(&self, account: &AccountId, taken: &[Taken]) -> Vec<Taken> {
        let Some(log) = self.people.log(account) else { return Vec::new() };
        let good = taken.iter().filter(|taken| {
            read_key_package(taken.package.as_slice()).is_ok_and(|leaf| {
                leaf.account == *account
                    && leaf.device == taken.device
                    && log.active(&leaf.device).is_some()
            })
        });
        good.cloned().collect()
    }
}
