//! Whom the account blocks, and who invited it where: the same on all its devices, whichever of them
//! the invitation came to.

use serde_json::Value;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, SpaceId};

use crate::api::{ConversationChange, Event};
use crate::document::{Name, contacts, settings};
use crate::engine::commands::accepted_key;
use crate::engine::rooms::{ContentRows, Library, Profile};
use crate::engine::space::state::SpaceState;
use crate::engine::{Step, Task};

impl Profile<'_> {
    /// The account's contacts are open, or have changed under these keys: what is counted follows
    /// whom they block.
    pub(in crate::engine) fn adopt_blocked(&mut self, keys: Option<&[String]>) {
        self.content_rows().call_acceptance();
        self.people.pins = None;
        let Ok(own) = self.account.me().map(|me| me.account().space()) else { return };
        let Some(contacts) = self.documents.peek(&own, &Name::Contacts) else { return };
        let Some(me) = self.account.own_mut() else { return };
        let before: SortedSet<AccountId> = me.row().blocked.iter().copied().collect();
        let mut blocked = before.clone();
        let all = || contacts::all(contacts).into_keys().collect();
        let changed = keys.map(|keys| keys.iter().filter_map(|key| key.parse().ok()).collect());
        let changed: Vec<AccountId> = changed.unwrap_or_else(all);
        for account in changed {
            match contacts::contact(contacts, &account).is_some_and(|contact| contact.blocked) {
                true => blocked.insert(account),
                false => blocked.remove(&account),
            };
        }
        if before == blocked {
            return;
        }
        me.row_mut().blocked = blocked.iter().copied().collect();
        self.turn.unsaved.account = true;
        let is_changed =
            |account: &AccountId| before.contains(account) != blocked.contains(account);
        let mut concerned = Vec::new();
        for (id, space) in self.spaces.iter_mut().filter(|(_, space)| !space.row.own) {
            let mut members = space.row.context.roster.iter();
            let invited = space.row.invited_by.is_some_and(|inviter| is_changed(&inviter));
            if invited || members.any(|(account, _)| is_changed(&account)) {
                space.row.stale = true;
                space.unread.count_anew();
                concerned.push(*id);
            }
        }
        for id in concerned {
            self.turn.save_space(&id);
            self.turn.tasks.push_back(Task::Summarise(id));
            let change = ConversationChange::Changed;
            self.turn.notify(Event::Conversation { conversation: id, change });
        }
    }

    /// Writes down who invited this account into a conversation that it has accepted: devices that
    /// come in by a ticket are told by nobody else.
    pub(in crate::engine) fn keep_inviter(&mut self, id: &SpaceId) -> Step<()> {
        let own = self.account.me()?.account().space();
        let Some(space) = self.spaces.get(id).filter(|space| !space.row.inviter_kept) else {
            return Ok(());
        };
        let Some(inviter) = space.row.invited_by else { return Ok(()) };
        if !self.spaces.contains_key(&own) {
            // Called again once this device is in the account's space.
            return Ok(());
        }
        self.devices().keep_setting(&inviter_key(id), &Value::String(inviter.to_string()))?;
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.inviter_kept = true;
        }
        self.turn.save_space(id);
        Ok(())
    }

    /// The account's settings are open, or have changed under these keys.
    pub(in crate::engine) fn adopt_inviters(&mut self, keys: Option<&[String]>) {
        let accepted = |key: &String| key.ends_with(ACCEPTED);
        if keys.is_none_or(|keys| keys.iter().any(accepted)) {
            self.content_rows().call_acceptance();
        }
        for key in keys.into_iter().flatten().filter(|key| accepted(key)) {
            let id = key.strip_prefix(PREFIX).and_then(|key| key.strip_suffix(ACCEPTED));
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                self.strays.expect(&id, self.turn.now);
            }
        }
        if keys.is_some_and(|keys| !keys.iter().any(|key| key.ends_with(INVITER))) {
            return;
        }
        let Ok(own) = self.account.me().map(|me| me.account().space()) else { return };
        let lacking = |space: &SpaceState| !space.row.own && space.row.invited_by.is_none();
        if !self.spaces.values().any(&lacking) {
            return;
        }
        let Some(settings) = self.documents.peek(&own, &Name::Settings) else { return };
        let value = |key: &String| Some((key.clone(), settings::value(settings, key)?));
        let changed = keys.map(|keys| {
            keys.iter().filter(|key| key.ends_with(INVITER)).filter_map(value).collect()
        });
        for (key, value) in changed.unwrap_or_else(|| settings::all(settings, PREFIX)) {
            let id = key.strip_prefix(PREFIX).and_then(|key| key.strip_suffix(INVITER));
            let id: Option<SpaceId> = id.and_then(|id| id.parse().ok());
            let inviter = value.as_str().and_then(|inviter| inviter.parse().ok());
            let space = id.and_then(|id| self.spaces.get_mut(&id));
            if let Some((space, inviter)) = space.zip(inviter)
                && lacking(space)
            {
                (space.row.invited_by, space.row.inviter_kept) = (Some(inviter), true);
                self.turn.unsaved.spaces.insert(space.id);
            }
        }
    }
}

impl Library<'_> {
    /// Whether somebody whom this account does not know put it into a conversation, and it has not
    /// accepted that. Nothing is said there then.
    pub(in crate::engine) fn is_unaccepted(&mut self, id: &SpaceId) -> Step<bool> {
        Ok(self.accepted(vec![*id])?.is_empty())
    }

    /// Those of some conversations that this account takes part in, or was put into by whom it
    /// knows.
    pub(in crate::engine) fn accepted(&mut self, ids: Vec<SpaceId>) -> Step<Vec<SpaceId>> {
        let mut known = SortedMap::new();
        let mut accepted = Vec::new();
        for id in ids {
            let Some(inviter) = self.spaces.get(&id).and_then(unanswered) else {
                accepted.push(id);
                continue;
            };
            let is_known = match known.get(&inviter) {
                Some(is_known) => *is_known,
                None => self.is_known(&inviter)?,
            };
            known.insert(inviter, is_known);
            if is_known || self.own_setting(&accepted_key(&id))? == Some(Value::Bool(true)) {
                accepted.push(id);
            }
        }
        Ok(accepted)
    }

    /// Whether an account is no stranger, as [`acquaintances`](Self::acquaintances) has it.
    fn is_known(&mut self, account: &AccountId) -> Step<bool> {
        let own = self.account.me()?.account().space();
        if !self.spaces.contains_key(&own) {
            // Whom the account knows is not known here yet.
            return Ok(false);
        }
        let contacts = self.documents.document(self.spaces, &own, &Name::Contacts)?;
        if let Some(contact) = contacts::contact(contacts, account) {
            return Ok(!contact.blocked);
        }
        let is_shared = |space: &SpaceState| {
            space.row.active && !space.row.own && space.role(account).is_some()
        };
        let shared = self.spaces.values().filter(|space| is_shared(space));
        let shared: Vec<(SpaceId, bool)> =
            shared.map(|space| (space.id, unanswered(space).is_none())).collect();
        for (id, is_accepted) in shared {
            if is_accepted || self.own_setting(&accepted_key(&id))? == Some(Value::Bool(true)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(in crate::engine) fn heed_acceptance(&mut self) -> Step<()> {
        let waits = |space: &SpaceState| {
            let row = &space.row;
            let owes = row.receipts_due || !row.inviter_kept;
            row.invited_by.is_some() && row.active && owes
        };
        let waiting = self.spaces.iter().filter(|(_, space)| waits(space));
        let waiting = waiting.map(|(id, _)| *id).collect();
        for id in self.accepted(waiting)? {
            let Some(space) = self.spaces.get(&id) else { continue };
            let (is_kept, owes) = (space.row.inviter_kept, space.row.receipts_due);
            if !is_kept {
                self.turn.tasks.push_back(Task::Inviter(id));
            }
            if owes && space.receipting.deadline().is_none() {
                self.content_rows().owe_receipts(&id);
            }
        }
        Ok(())
    }

    /// Who invited this account into a conversation, as its settings say.
    pub(in crate::engine) fn inviter(&mut self, id: &SpaceId) -> Step<Option<AccountId>> {
        let kept = self.own_setting(&inviter_key(id))?;
        Ok(kept.and_then(|kept| kept.as_str()?.parse().ok()))
    }
}

impl ContentRows<'_> {
    /// The account may have accepted conversations, or come to know who invited it: what waited for
    /// that goes on.
    pub(in crate::engine) fn call_acceptance(&mut self) {
        if !self.turn.tasks.iter().any(|task| matches!(task, Task::Accepted)) {
            self.turn.tasks.push_back(Task::Accepted);
        }
    }

    /// Invitations that were not written down when the account was closed last.
    pub(in crate::engine) fn resume_inviters(&mut self) {
        let owed = self.spaces.iter().filter(|(_, space)| {
            !space.row.own && space.row.invited_by.is_some() && !space.row.inviter_kept
        });
        self.turn.tasks.extend(owed.map(|(id, _)| Task::Inviter(*id)));
    }
}

/// Who put this account into a conversation in which it has not said since that it is there to stay.
fn unanswered(space: &SpaceState) -> Option<AccountId> {
    space.row.invited_by.filter(|_| !space.row.own && !space.answered)
}

const PREFIX: &str = "conversation/";
const INVITER: &str = "/inviter";
const ACCEPTED: &str = "/accepted";

/// The setting that says who invited this account into a conversation.
fn inviter_key(id: &SpaceId) -> String {
    format!("{PREFIX}{id}{INVITER}")
}
