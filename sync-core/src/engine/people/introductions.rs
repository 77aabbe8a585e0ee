//! What people call themselves, told in each conversation that they take part in.
//!
//! Whoever begins a conversation knows an address. The name comes from its owner alone, with the
//! first change set that this account sends there in an era: who was let in without history reads
//! from there on. Who has not accepted an invitation says nothing of themselves.
//!
//! A new name is said at once, by the device that it was chosen on (`profile`), wherever the account
//! is called something else. What is still to be said follows from what was heard, so nothing that
//! interrupts it is forgotten.
//!
//! The primary keeps names and addresses in the account's contacts, for devices that come later and
//! may not read where they were told.

use serde_json::Value;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, SpaceId};

use crate::api::{ConversationChange, Event};
use crate::document::contacts::{self, Contact};
use crate::document::people::{self, Person};
use crate::document::{Edit, Name};
use crate::engine::commands::accepted_key;
use crate::engine::rooms::{ContentRows, Library, Profile};
use crate::engine::rows::{Hint, Introduced, Named};
use crate::engine::space::state::SpaceState;
use crate::engine::{Step, Task};
use crate::line;

impl Profile<'_> {
    /// Says a name that is new, at once.
    pub(in crate::engine) fn introduce_again(&mut self, id: &SpaceId) -> Step<()> {
        if !self.library().takes_part(id)? {
            return Ok(());
        }
        let space = self.spaces.core(id)?;
        let joining = space.core.as_ref().is_some_and(|core| core.state.joining.is_some());
        if space.row.lagging || joining {
            // Called again once the conversation was read.
            return Ok(());
        }
        self.introduce(id)
    }

    /// The edit by which this account says its name, unless one of its devices has said it. From
    /// here on it counts as said. The document must be open.
    pub(in crate::engine) fn introduction(&mut self, id: &SpaceId, name: &Name) -> Option<Edit> {
        let me = self.account.me().ok()?;
        let (account, own) = (me.account(), me.row().name.clone());
        if own.is_empty() {
            // A device that has just been linked hears from its siblings what it is called.
            return None;
        }
        let (version, tag) = me.row().named.map(|named| named.rank()).unwrap_or_default();
        if let Some((named, said)) = self.said(id, name).remove(&account)
            && (said == own
                || named.rank() >= (version, tag)
                || !self.account.tells_name(self.people))
        {
            // A later name that another device says, the settings will have soon.
            self.content_rows().note_introduced(id, &said);
            return None;
        }
        self.content_rows().note_introduced(id, &own);
        Some(Edit::Person(Person { name: own, version, tag }))
    }

    /// Says this account's name in a conversation, at once.
    pub(in crate::engine) fn introduce(&mut self, id: &SpaceId) -> Step<()> {
        let Some(name) = self.account.introduction_due(self.spaces, self.people, self.session, id)
        else {
            return Ok(());
        };
        self.documents.document(self.spaces, id, &name)?;
        if let Some(edit) = self.introduction(id, &name) {
            self.outbox().edit(id, &name, edit)?;
        }
        Ok(())
    }

    /// Opens what the name is written in, if it is still to be said: it then goes along with what
    /// is written next.
    pub(in crate::engine) fn prepare_introduction(&mut self, id: &SpaceId) -> Step<()> {
        if let Some(name) =
            self.account.introduction_due(self.spaces, self.people, self.session, id)
        {
            self.documents.document(self.spaces, id, &name)?;
        }
        Ok(())
    }

    /// Takes in what the members of a conversation say of themselves.
    pub(in crate::engine) fn hear_names(&mut self, id: &SpaceId, era: u32) -> Step<()> {
        let me = self.account.me()?.account();
        if *id == me.space() {
            self.keep_profile()?;
            return self.commits().heed_calls();
        }
        let name = Name::People(era);
        self.documents.document(self.spaces, id, &name)?;
        let mut said = self.said(id, &name);
        if let Some((_, own)) = said.remove(&me)
            && self.spaces.space(id)?.row.context.era == era
        {
            // Another device of this account said it, or this one before it was put back.
            self.content_rows().note_introduced(id, &own);
            if self.account.tells_name(self.people)
                && self.account.is_called_otherwise(self.spaces, id)
            {
                self.turn.tasks.push_back(Task::Introduce(*id));
            }
        }
        let renamed: Vec<AccountId> = said
            .into_iter()
            .filter(|(account, (named, name))| {
                self.contacts().learn_name(account, name.clone(), *named)
            })
            .map(|(account, _)| account)
            .collect();
        self.content_rows().tell_renamed(id, &renamed);
        let all_kept = self.keep_contacts(id)?;
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.unheard = space.row.unheard.filter(|owed| *owed != era || !all_kept);
        }
        self.turn.save_space(id);
        Ok(())
    }

    /// Writes those that this account talks to into its contacts. Strangers are none yet. Whether all of it
    /// was written: who is called something else again so soon is written down later.
    pub(in crate::engine) fn keep_contacts(&mut self, id: &SpaceId) -> Step<bool> {
        let me = self.account.me()?.account();
        let space = self.spaces.space(id)?;
        let (invited, roster) = (space.row.invited_by.is_some(), space.row.context.roster.clone());
        if !self.account.is_primary(self.people) || !self.spaces.contains_key(&me.space()) {
            return Ok(true);
        }
        let accepted = accepted_key(id);
        if invited && self.library().own_setting(&accepted)? != Some(Value::Bool(true)) {
            return Ok(true);
        }
        let known =
            contacts::all(self.documents.document(self.spaces, &me.space(), &Name::Contacts)?);
        let (mut all_kept, now) = (true, self.turn.now);
        for (account, _) in roster.iter().filter(|(account, _)| *account != me) {
            let Some(person) = self.people.get(&account) else { continue };
            let before = known.get(&account).cloned().unwrap_or_default();
            let (name, address) = (person.name.clone(), person.address.clone());
            // A pin is never replaced by what another member calls somebody.
            let address = if before.pinned { before.address.clone() } else { address };
            let pinned = before.pinned || person.is_confirmed();
            let contact = Contact { name, address, pinned, ..before.clone() };
            if contact == before || contact.name.is_empty() {
                continue;
            }
            let is_name = !before.name.is_empty()
                && before == Contact { name: before.name.clone(), ..contact.clone() };
            if is_name && !self.people.may_rename(&account, now) {
                all_kept = false;
                continue;
            }
            let edit = Edit::Contact { account, contact: Some(contact) };
            self.outbox().edit(&me.space(), &Name::Contacts, edit)?;
            if is_name {
                self.people.renamed.insert(account, now);
            }
        }
        Ok(all_kept)
    }

    /// What each account calls itself in an open document.
    fn said(&mut self, id: &SpaceId, name: &Name) -> SortedMap<AccountId, (Named, String)> {
        let said = self.documents.peek(id, name).map(|document| people::all(document));
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let mut newest: SortedMap<AccountId, (Named, String)> = SortedMap::new();
        let Some((said, core)) = said.zip(core) else { return newest };
        for (by, Person { name, version, tag }) in said {
            let Some(account) = core.account_of(&by.device) else { continue };
            let name = line::shown_name(&name);
            let log = self.people.log(&account);
            if name.is_empty() || !log.is_some_and(|log| Person::counts(version, &by.device, log)) {
                continue;
            }
            let word = (Named { version, tag, by: by.device }, name);
            if newest.get(&account).is_none_or(|known| *known < word) {
                newest.insert(account, word);
            }
        }
        newest
    }
}

impl Library<'_> {
    /// Whether this account takes part in a conversation: it founded it, or has accepted it.
    pub(in crate::engine) fn takes_part(&mut self, id: &SpaceId) -> Step<bool> {
        let space = self.spaces.space(id)?;
        if space.row.own || !space.row.active {
            return Ok(false);
        }
        if space.row.invited_by.is_none() || space.answered {
            return Ok(true);
        }
        let accepted = accepted_key(id);
        let answered = self.own_setting(&accepted)? == Some(Value::Bool(true));
        if let Some(space) = self.spaces.get_mut(id) {
            space.answered |= answered;
        }
        Ok(answered)
    }

    /// What the account's contacts say of these people.
    pub(in crate::engine) fn recall(&mut self, accounts: &[AccountId]) -> Step<Vec<Hint>> {
        let own = self.account.me()?.account().space();
        let document = self.documents.document(self.spaces, &own, &Name::Contacts)?;
        let hint = |account: &AccountId| {
            let Contact { name, address, .. } = contacts::contact(document, account)?;
            Some(Hint { account: *account, address, name })
        };
        Ok(accounts.iter().filter_map(hint).collect())
    }
}

impl ContentRows<'_> {
    fn note_introduced(&mut self, id: &SpaceId, name: &str) {
        if let Some(space) = self.spaces.get_mut(id) {
            let era = space.row.context.era;
            space.row.introduced = Some(Introduced { era, name: name.to_owned() });
        }
        self.turn.save_space(id);
    }

    /// Somebody has said a name: it is read soon.
    pub(in crate::engine) fn owe_names(&mut self, id: &SpaceId, era: u32) {
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.unheard = Some(era);
        }
        self.turn.save_space(id);
        self.turn.tasks.push_back(Task::Names(*id, era));
    }

    /// A name that was heard in one conversation is shown in all that the person is in.
    fn tell_renamed(&mut self, heard_in: &SpaceId, renamed: &[AccountId]) {
        let shows = |id: &SpaceId, space: &SpaceState| {
            let member = |account| space.role(account).is_some();
            id == heard_in || (!space.row.own && renamed.iter().any(member))
        };
        let shown = self.spaces.iter().filter(|(id, space)| shows(id, space));
        let shown: Vec<SpaceId> = shown.map(|(id, _)| *id).collect();
        for conversation in shown.into_iter().filter(|_| !renamed.is_empty()) {
            let change = ConversationChange::Changed;
            self.turn.notify(Event::Conversation { conversation, change });
        }
    }
}
