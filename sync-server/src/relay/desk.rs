//! The desk: where a frame is looked at before it is proposed. What is found here is only the early
//! answer: it reads the rules' state and counts what everybody may do, and changes no row.

use sync_protocol::error::Rejection;
use sync_protocol::frames::Answer;
use sync_protocol::ids::AccountId;

use crate::refusals::Refused;
use crate::relay::bounds::Bounds;
use crate::relay::damage::Damage;
use crate::relay::gate::Gate;
use crate::relay::proposals::Then;
use crate::relay::rendezvous::Meetings;
use crate::relay::sessions::Sessions;
use crate::relay::times::Times;
use crate::rules::{Action, State};
use crate::store::{Store, StoreError};

/// What a frame is looked at with.
pub(super) struct Desk<'a, S> {
    pub(super) state: &'a mut State<S>,
    pub(super) sessions: &'a mut Sessions,
    pub(super) bounds: &'a mut Bounds,
    pub(super) damage: &'a mut Damage,
    pub(super) gate: &'a Gate,
    pub(super) meetings: &'a Meetings,
    pub(super) times: Times,
}

/// What comes of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and never kept")]
pub(super) enum Step {
    /// It is answered at once.
    Say(Answer),
    /// It is answered after entries.
    Later,
    /// A command is proposed. The rest follows when it is applied.
    Propose(Action, Then),
}

impl<S: Store> Desk<'_, S> {
    /// Whether an account may be put into one more space by another, or found one itself. What strangers
    /// put it into, and it never answered, takes no room from its own spaces.
    pub(super) fn may_be_in_one_more(
        &self,
        added: &AccountId,
        by: &AccountId,
    ) -> Result<bool, StoreError> {
        let settings = self.bounds.settings();
        let (answered, unanswered) = self.state.spaces_of(added)?;
        if answered >= settings.spaces_per_account {
            return Ok(false);
        }
        if added == by {
            return Ok(true);
        }
        let of_one = self.state.unanswered(added, by)?;
        let over = |count, most| most > 0 && count >= most;
        let crowded = over(unanswered, settings.unanswered_of_all) && of_one > 0;
        Ok(!crowded && !over(of_one, settings.unanswered_of_one))
    }

    /// Whether something new may be kept: not while the disk is full to its reserve.
    pub(super) fn has_room(&mut self) -> Result<(), Rejection> {
        self.gate.has_room().map_err(|reason| self.bounds.refused(Refused::Full, reason))
    }

    /// An account has these bytes stored from here on.
    pub(super) fn stored(&mut self, account: AccountId, bytes: u64) -> Result<(), StoreError> {
        let state = &self.state;
        self.bounds.stored((account, bytes), |account| state.stored(account))
    }
}
