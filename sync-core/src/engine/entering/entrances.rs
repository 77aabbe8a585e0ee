//! Whether this device comes in by what it was sent or given: asked of `trust`, from what the account
//! knows, before anything is written.

use sync_protocol::device_log::DeviceLog;
use sync_protocol::frames::InboxItem;
use sync_protocol::roster::Roster;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, SpaceId};

use crate::engine::account::vault::Noted;
use crate::engine::members::welcome::{Invitation, Unfit};
use crate::engine::rooms::{Invitations, MemberRows};
use crate::engine::rows::{Anchor, NOT_SHOWN};
use crate::engine::{Step, seal};
use crate::group::{Joined, Leaf};
use crate::trust::Invalid;
use crate::trust::entrance::{self, Guide, Known, Standing};

/// A group that somebody shows.
pub(in crate::engine) struct Shown<'a> {
    pub(in crate::engine) guide: Guide,
    pub(in crate::engine) leaves: &'a [Leaf],
    pub(in crate::engine) roster: &'a Roster,
    pub(in crate::engine) logs: &'a SortedMap<AccountId, DeviceLog>,
}

impl Invitations<'_> {
    /// Whether to come in by an invitation; and if so, whether its epoch is after all that the
    /// account knows. `None` where another way in has to be found: somebody else's word is not
    /// enough.
    ///
    /// # Errors
    /// Why it is nobody's to come in by; that is told.
    pub(in crate::engine) fn may_join(
        &mut self,
        invitation: &Invitation,
        joined: &Joined,
        binding: &[u8; 32],
        logs: &SortedMap<AccountId, DeviceLog>,
        item: &InboxItem,
    ) -> Step<Option<bool>> {
        let id = invitation.space;
        if joined.welcomed_by.device != item.device || joined.welcomed_by.account != item.account {
            return Err(Unfit::OtherWelcome.into());
        }
        let own = self.account.me()?.account();
        let guide = Guide { account: item.account, device: item.device };
        let (leaves, group) = (joined.group.leaves(), &joined.group);
        let roster = &group.context().roster;
        roster.role(&own).ok_or(Unfit::Outside)?;
        let shown = Shown { guide, leaves: &leaves, roster, logs };
        self.check_shown(&id, &shown)?;
        let known = self.known_epochs(&id)?;
        let commitment = seal::key_commitment(&group.root(), binding);
        let placed = known.place(&invitation.epoch, group.epoch(), &commitment);
        match placed.map_err(|why| self.member_rows().not_believed(&id, why))? {
            Standing::Proven => Ok(Some(false)),
            Standing::First => Ok(Some(true)),
            Standing::Ahead => {
                // This very device saw the account go, and may see it come back. Whoever only reads
                // of the space in the vault asks the account's own devices first.
                let was_in = self.spaces.contains_key(&id);
                let by_own = item.account == own;
                if was_in
                    || by_own
                    || id == own.space()
                    || self.strays.comes_alone(self.account, self.people, &id)
                {
                    return Ok(Some(true));
                }
                self.tickets().note_stray(&id);
                Ok(None)
            }
        }
    }

    /// Whether the device that invites this one into the account's own space was ended since. What it
    /// leads into may be a group that the account has left, so this device comes in by the newest
    /// ticket instead. A ticket tells all that the account has: only a device that was to read it all
    /// takes it.
    pub(in crate::engine) fn is_outdated(
        &mut self,
        id: &SpaceId,
        item: &InboxItem,
        history: bool,
    ) -> bool {
        let Ok(own) = self.account.me().map(|me| me.account()) else { return false };
        let log = self.people.log(&own).filter(|_| own.space() == *id && item.account == own);
        let is_ended = log.is_some_and(|log| {
            log.known(&item.device).is_some() && log.active(&item.device).is_none()
        });
        if is_ended && history {
            self.strays.want_own(id);
        }
        is_ended
    }

    /// Whether a group may be what it is shown as, by who is in it.
    pub(in crate::engine) fn check_shown(&mut self, id: &SpaceId, shown: &Shown<'_>) -> Step<()> {
        let me = self.account.me()?;
        let (own, device) = (me.account(), me.device());
        let recovers = self.account.recovers();
        let Shown { guide, leaves, roster, logs } = *shown;
        let mut verdict = entrance::members(&guide, leaves, roster, logs, Some(&device));
        if own.space() == *id && verdict.is_ok() {
            let log = self.people.log(&own).or(logs.get(&own));
            verdict = log.map_or(Err(Invalid::OwnSpace), |log| {
                entrance::own_space(&guide, leaves, roster, log, recovers)
            });
        }
        verdict.map_err(|why| self.member_rows().not_believed(id, why).into())
    }

    /// What the account knows of a space: from its vault, and because this device was in.
    pub(in crate::engine) fn known_epochs(&mut self, id: &SpaceId) -> Step<Known> {
        let mut known = Known::default();
        let own = self.account.me()?.account().space();
        // What the log turned out not to have is no place to be at.
        let given_up = match self.spaces.contains_key(id) {
            true => self.spaces.core(id)?.core.as_ref().map(|core| core.state.abandoned.clone()),
            false => None,
        };
        let given_up = given_up.unwrap_or_default();
        if *id != own && self.spaces.contains_key(&own) {
            for Noted { anchor: Anchor { epoch, number, commitment }, counts, .. } in
                self.vault().noted_in_vault(id)?
            {
                if given_up.contains(&epoch) {
                    continue;
                }
                known.add(epoch, number, commitment);
                if counts {
                    known.count(epoch, number);
                }
            }
        }
        if !self.spaces.contains_key(id) {
            return Ok(known);
        }
        let space = self.spaces.core(id)?;
        if let Some(core) = &space.core {
            let stands = core.epochs.get(&space.row.epoch).filter(|_| core.state.joining.is_none());
            if let Some(row) = stands {
                // Where it is by its own reading.
                known.count(space.row.epoch, row.number);
            }
            // What was never seen in the log is this device's own attempt to come in, or somebody's word.
            for (epoch, row) in core.epochs.iter().filter(|(_, row)| row.index != NOT_SHOWN) {
                known.add(*epoch, row.number, row.commitment());
            }
        }
        Ok(known)
    }
}

impl MemberRows<'_> {
    /// Tells that something is not believed, and gives it as a failure.
    pub(in crate::engine) fn not_believed(&mut self, id: &SpaceId, why: Invalid) -> crate::Failure {
        let failure = crate::Failure::Invalid(why.to_string());
        // That a newer epoch is known may be a matter of who was asked first; a device may have been
        // ended after it invited this one.
        if !matches!(why, Invalid::Older | Invalid::EndedGuide) {
            self.log_rows().evidence(id, why);
        }
        failure
    }
}
