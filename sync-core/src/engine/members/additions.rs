//! Adding people: who of those that are wished for goes into the next commit, who has to wait for
//! one after it, and who is told that it can't be.
//!
//! As many of the leading wishes as fit become one commit. What makes no difference to the others
//! is decided here, one by one: nobody known under an address, nothing published, no room in the
//! group. What only the relay can say, it says of the whole commit: then the next one has half as
//! many, down to one, of whom it must be true.

use sync_protocol::address::Address;
use sync_protocol::frames::{Answer, Op, Taken};
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, limits};

use crate::api::Failure;
use crate::engine::account::devices::{RECORDS, record_key};
use crate::engine::documents::sizes::Estimate;
use crate::engine::members::planning::Plan;
use crate::engine::rooms::{Commits, MemberRows};
use crate::engine::rows::{Intention, PendingRow};
use crate::engine::session::Asked;
use crate::engine::{Step, Stop, Task};
use crate::group::read_key_package;

/// How long to wait before asking again what the relay did not want to answer.
const ASK_AGAIN_MS: u64 = 2_000;
/// What is refused for longer than this is not waited for: it is told.
const PATIENCE_MS: u64 = 10_000;

/// Entries of a space in which nothing was written yet.
const FOUNDING: u64 = 1;

/// What is known of those who are to be added to a space.
#[derive(Default)]
pub(in crate::engine) struct Additions {
    /// Key packages taken for them, each read and verified.
    pub(super) packages: SortedMap<AccountId, Vec<Taken>>,
    /// Why there are none to be had.
    pub(super) refused: SortedMap<AccountId, Rejection>,
    pub(super) asked: SortedSet<AccountId>,
    /// How many go by one commit, since the relay or its limits refused one of more.
    pub(super) most: Option<usize>,
}

impl Additions {
    pub(in crate::engine) fn on_disconnected(&mut self) {
        self.asked.clear();
    }

    /// Whether the relay would not give key packages of an account.
    pub(in crate::engine) fn refuses(&self, account: &AccountId) -> bool {
        self.refused.contains_key(account)
    }

    /// Lets them be asked for again.
    pub(in crate::engine) fn forget(&mut self, account: &AccountId) {
        self.packages.remove(account);
        self.refused.remove(account);
    }

    /// A commit stands: what was taken for those whom it let in is used up. The next may have more
    /// again.
    pub(in crate::engine) fn on_decided(&mut self, pending: &PendingRow) {
        for item in pending.welcomes.iter().flat_map(|welcomes| &welcomes.items) {
            self.packages.remove(&item.account);
        }
        self.refused.clear();
        let carried = pending.carries as usize;
        self.most = self.most.map(|most| most.max(carried).saturating_mul(2));
    }
}

/// What becomes of one who is to be added.
enum Verdict {
    /// Comes with these devices.
    Comes(AccountId, Vec<Taken>),
    /// Is in already.
    IsIn,
    /// Something is being asked.
    Waits,
    /// Can't come, which is told.
    Stays(Failure),
}

impl Commits<'_> {
    /// The leading additions that go by one commit; `None` while something is being asked.
    pub(in crate::engine) fn plan_adds(&mut self, id: &SpaceId) -> Step<Option<Plan>> {
        self.ask_ahead(id);
        let mut plan = Plan::default();
        let mut estimate = self.member_rows().estimate(id)?;
        let most = self.spaces.space(id)?.additions.most.unwrap_or(usize::MAX).max(1);
        while (plan.carries as usize) < most {
            let at = plan.carries as usize;
            let next = self.spaces.space(id)?.row.intentions.get(at).cloned();
            let Some(Intention::Add { address, history }) = next else { break };
            if history && !self.spaces.core(id)?.reads_all() {
                // It had all when this was wished, and came in anew since.
                self.member_rows().not_added(id, at, &address, &Failure::Partial);
                continue;
            }
            match self.addition(id, &address, &plan)? {
                Verdict::Waits => return Ok(None),
                Verdict::IsIn => self.member_rows().remove_intention(id, at),
                Verdict::Stays(failure) => self.member_rows().not_added(id, at, &address, &failure),
                Verdict::Comes(account, devices) => {
                    let packages: Vec<usize> =
                        devices.iter().map(|taken| taken.package.0.len()).collect();
                    let log = self.people.log(&account).map_or(0, |log| log.size());
                    // Whoever is alone goes in any case: only then is it certain that it can't.
                    if !estimate.add(&packages, log) && plan.carries > 0 {
                        break;
                    }
                    plan.add_member(account, devices, history);
                }
            }
        }
        if plan.carries > 0 && !self.plan_siblings(id, &mut plan)? {
            return Ok(None);
        }
        Ok(Some(plan))
    }

    fn addition(&mut self, id: &SpaceId, address: &str, plan: &Plan) -> Step<Verdict> {
        let leaving = self.spaces.space(id)?.intends(&Intention::Leave);
        let account = match self.resolve_text(address) {
            Ok(account) => account,
            Err(Stop::Fail(Failure::Offline)) => return Ok(Verdict::Waits),
            // Whoever leaves waits for nobody who may never come.
            Err(Stop::Fail(failure)) if failure.retry() && !leaving => {
                self.member_rows().try_again(id);
                return Ok(Verdict::Waits);
            }
            Err(Stop::Fail(failure)) => return Ok(Verdict::Stays(failure)),
            Err(stop) => return Err(stop),
        };
        if self.spaces.space(id)?.role(&account).is_some() || plan.adds(&account) {
            return Ok(Verdict::IsIn);
        }
        if let Some(reason) = self.spaces.space(id)?.additions.refused.get(&account) {
            return Ok(Verdict::Stays(Failure::Refused(reason.clone())));
        }
        let Some(taken) = self.packages_of(id, &account) else { return Ok(Verdict::Waits) };
        let devices = self.people.usable(&account, &taken);
        if devices.is_empty() {
            let nothing = Rejection::Unavailable { retry_ms: 0 };
            return Ok(Verdict::Stays(Failure::Refused(nothing)));
        }
        if !self.member_rows().has_room(id, plan, devices.len())? {
            return Ok(Verdict::Stays(Failure::Refused(Rejection::Quota)));
        }
        Ok(Verdict::Comes(account, devices))
    }

    /// The other devices of this account, which shall be in wherever it is, as far as there is
    /// room.
    fn plan_siblings(&mut self, id: &SpaceId, plan: &mut Plan) -> Step<bool> {
        let mut missing = self.missing_siblings(id)?;
        if self.spaces.space(id)?.row.next > FOUNDING {
            // Who was linked without history must not be given what was written here before, and
            // comes by ticket. So does a device of which nobody has written down how it was linked.
            let records = self.library().own_settings(RECORDS)?;
            missing.retain(|device| {
                let record = records.get(&record_key(device));
                record.and_then(|record| record.get("history")?.as_bool()) == Some(true)
            });
        }
        let account = self.account.me()?.account();
        if missing.is_empty() || self.spaces.space(id)?.additions.refused.contains_key(&account) {
            return Ok(true);
        }
        if !self.spaces.core(id)?.reads_all() {
            // What this device lacks it can't give: they come by ticket, with what they have.
            return Ok(true);
        }
        let Some(taken) = self.packages_of(id, &account) else { return Ok(false) };
        let usable = self.people.usable(&account, &taken).into_iter();
        let found: Vec<Taken> = usable.filter(|taken| missing.contains(&taken.device)).collect();
        if !found.is_empty() && self.member_rows().has_room(id, plan, found.len())? {
            let devices = found.iter().map(|taken| taken.device).collect();
            plan.changes.push(RosterChange::AddDevices { account, devices });
            plan.added.extend(found.iter().map(|taken| (account, taken.device, true)));
            plan.vouched.push(account);
            plan.add.extend(found);
        }
        Ok(true)
    }

    fn missing_siblings(&self, id: &SpaceId) -> Step<Vec<DeviceId>> {
        let me = self.account.me()?;
        let device = me.device();
        let Some(log) = self.people.log(&me.account()) else { return Ok(Vec::new()) };
        let group = self.spaces.space(id)?.group.as_ref();
        let others = log.devices().map(|(id, _)| *id).filter(|id| *id != device);
        Ok(others.filter(|id| group.is_some_and(|group| !group.contains(id))).collect())
    }

    /// Asks at once for all that the leading additions need, whoever is looked at first.
    fn ask_ahead(&mut self, id: &SpaceId) {
        let Ok(space) = self.spaces.space(id) else { return };
        let leading = space.row.intentions.iter().map_while(|wish| match wish {
            Intention::Add { address, .. } => Some(address.parse::<Address>()),
            _ => None,
        });
        let addresses: Vec<Address> = leading.flatten().take(limits::LEAVES).collect();
        self.contacts().look_up_ahead(&addresses);
        let known = addresses.iter().filter_map(|one| self.people.account(one.as_str()));
        let roster = self.spaces.space(id).ok().map(|space| &space.row.context.roster);
        let outside = |account: &AccountId| roster.is_some_and(|all| all.role(account).is_none());
        let mut accounts: Vec<AccountId> = known.filter(outside).collect();
        if !accounts.is_empty() && self.missing_siblings(id).is_ok_and(|some| !some.is_empty()) {
            accounts.extend(self.account.me().ok().map(|me| me.account()));
        }
        for account in accounts {
            self.ask_packages(id, &account);
        }
    }

    fn resolve_text(&mut self, address: &str) -> Step<AccountId> {
        let address: Address =
            address.parse().map_err(|_| Failure::Invalid("not an address".to_owned()))?;
        self.contacts().resolve(&address)
    }

    pub(in crate::engine) fn packages_of(
        &mut self,
        id: &SpaceId,
        account: &AccountId,
    ) -> Option<Vec<Taken>> {
        let taken = self.spaces.get(id)?.additions.packages.get(account).cloned();
        if taken.is_none() {
            self.ask_packages(id, account);
        }
        taken
    }

    fn ask_packages(&mut self, id: &SpaceId, account: &AccountId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        let Additions { packages, refused, asked, .. } = &mut space.additions;
        let is_known = packages.contains_key(account) || refused.contains_key(account);
        if !is_known && asked.insert(*account) {
            // What ended since it was heard of is not let in: the answers come in this order.
            self.devices().read_log(*account);
            self.session.ask(
                self.turn,
                Op::TakeKeyPackages { account: *account },
                Asked::Packages(*id, *account),
            );
        }
    }
}

impl MemberRows<'_> {
    fn estimate(&self, id: &SpaceId) -> Step<Estimate> {
        let space = self.spaces.space(id)?;
        let leaves = space.group.as_ref().map_or(0, |group| group.leaves().len());
        let members = space.row.context.roster.len();
        let granted = space.core.as_ref().map_or(0, |core| {
            core.epochs.len() * 100 + core.state.writers.len() * 130 + members * 200
        });
        Ok(Estimate::of(leaves, members, granted))
    }

    /// Whether the group takes so many devices of one more account after those of the plan.
    fn has_room(&self, id: &SpaceId, plan: &Plan, devices: usize) -> Step<bool> {
        let space = self.spaces.space(id)?;
        let leaves = space.group.as_ref().map_or(0, |group| group.leaves().len());
        let members = space.row.context.roster.len() + plan.changes.len();
        Ok(leaves + plan.add.len() + devices <= limits::LEAVES && members < limits::LEAVES)
    }

    fn try_again(&mut self, id: &SpaceId) {
        let at = self.turn.now + ASK_AGAIN_MS;
        if let Some(space) = self.spaces.get_mut(id) {
            space.retry_at = Some(at);
        }
    }

    pub(in crate::engine) fn on_packages(
        &mut self,
        id: &SpaceId,
        account: &AccountId,
        answer: Answer,
    ) {
        let now = self.turn.now;
        let Some(space) = self.spaces.get_mut(id) else { return };
        let leaving = space.intends(&Intention::Leave);
        let additions = &mut space.additions;
        additions.asked.remove(account);
        match answer {
            Answer::KeyPackages(taken) => {
                additions.packages.insert(*account, verified(account, taken));
            }
            Answer::Refused(Rejection::NotFound) => {
                additions.packages.insert(*account, Vec::new());
            }
            Answer::Refused(reason) if leaving || !reason.passes() => {
                additions.refused.insert(*account, reason);
            }
            _ => space.retry_at = Some(now + ASK_AGAIN_MS),
        }
        self.turn.tasks.push_back(Task::Advance(*id));
    }

    /// A commit that adds people can't be: `failure` says why. Fewer of them are tried, or the one
    /// it was about is told. False if it was about no addition.
    pub(in crate::engine) fn fewer_additions(
        &mut self,
        id: &SpaceId,
        count: usize,
        failure: &Failure,
    ) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let leads = space.row.intentions.first();
        let Some(Intention::Add { address, .. }) = leads.cloned() else { return false };
        if count > 1 {
            space.additions.most = Some(count / 2);
        } else if matches!(failure, Failure::Refused(Rejection::Rate { .. })) {
            // It would be true of the others as well.
            self.no_more_additions(id, failure);
        } else {
            self.not_added(id, 0, &address, failure);
        }
        self.turn.tasks.push_back(Task::Advance(*id));
        true
    }

    fn no_more_additions(&mut self, id: &SpaceId, failure: &Failure) {
        loop {
            let first = self.spaces.get(id).and_then(|space| space.row.intentions.first().cloned());
            let Some(Intention::Add { address, .. }) = first else { return };
            self.not_added(id, 0, &address, failure);
        }
    }

    /// Whether the relay's refusal of the commit under way says that not all of those can be added
    /// whom it adds.
    pub(in crate::engine) fn refuses_additions(
        &mut self,
        id: &SpaceId,
        reason: &Rejection,
    ) -> bool {
        let Some(space) = self.spaces.get_mut(id) else { return false };
        let pending = space.core.as_ref().and_then(|core| core.pending.as_ref());
        let adds = pending.is_some_and(|pending| pending.carries > 0 && pending.child.is_some())
            && matches!(space.row.intentions.first(), Some(Intention::Add { .. }));
        let leaving = space.intends(&Intention::Leave);
        let lasts = match reason {
            Rejection::Rate { retry_ms } => leaving || *retry_ms > PATIENCE_MS,
            Rejection::Unavailable { .. } | Rejection::Full { .. } => false,
            Rejection::Quota
            | Rejection::TooLarge { .. }
            | Rejection::NotFound
            | Rejection::Denied
            | Rejection::Invalid => true,
            Rejection::Behind { .. }
            | Rejection::Ahead { .. }
            | Rejection::Revoked
            | Rejection::Unsupported { .. }
            | Rejection::Gap { .. }
            | Rejection::Equivocation
            | Rejection::Taken
            | Rejection::Fenced => false,
        };
        if adds && lasts {
            space.in_session.rebuild = true;
            space.in_session.refused = Some(reason.clone());
        }
        adds && lasts
    }
}

impl Plan {
    fn add_member(&mut self, account: AccountId, devices: Vec<Taken>, history: bool) {
        self.added.extend(devices.iter().map(|taken| (account, taken.device, history)));
        let ids = devices.iter().map(|taken| taken.device).collect();
        self.changes.push(RosterChange::Add { account, role: Role::Member, devices: ids });
        self.vouched.push(account);
        self.add.extend(devices);
        self.carries += 1;
    }

    fn adds(&self, account: &AccountId) -> bool {
        self.vouched.contains(account)
    }
}

/// The packages that are what they claim, each verified once.
fn verified(account: &AccountId, taken: Vec<Taken>) -> Vec<Taken> {
    let is_good = |taken: &Taken| {
        read_key_package(taken.package.as_slice())
            .is_ok_and(|leaf| leaf.account == *account && leaf.device == taken.device)
    };
    taken.into_iter().take(limits::DEVICES).filter(is_good).collect()
}
