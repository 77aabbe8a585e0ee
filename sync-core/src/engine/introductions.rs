//! What people call themselves, told in each conversation that they take part in.
//!
//! Whoever begins a conversation knows an address. The name comes from its owner alone, with the
//! first change set that this account sends there in an era: who was let in without history reads
//! from there on. Who has not accepted an invitation says nothing of themselves.
//!
//! The primary keeps names and addresses in the account's contacts, for devices that come later and
//! may not read where they were told.

use serde_json::Value;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, SpaceId, WriterId};

use crate::api::{ConversationChange, Event};
use crate::document::contacts::{self, Contact};
use crate::document::people::{self, Person};
use crate::document::{Edit, Name};
use crate::engine::commands::accepted_key;
use crate::engine::rows::Hint;
use crate::engine::{Engine, Step, Task};

impl Engine {
    /// The document in which this account is still to say its name, if there is anybody to hear it.
    pub(super) fn introduction_due(&self, id: &SpaceId) -> Option<Name> {
        let space = self.spaces.get(id)?;
        let row = &space.row;
        let takes_part = row.active && !row.own && (row.invited_by.is_none() || space.answered);
        let era = row.context.era;
        let due = takes_part && row.context.roster.len() > 1 && row.introduced != Some(era);
        due.then_some(Name::People(era))
    }

    /// The edit by which this account says its name, unless one of its devices has said it. From
    /// here on it counts as said. The document must be open.
    pub(super) fn introduction(&mut self, id: &SpaceId, name: &Name) -> Option<Edit> {
        let me = self.me().ok()?;
        let (account, person) = (me.account(), Person { name: me.row.name.clone() });
        if person.name.is_empty() {
            // A device that has just been linked hears from its siblings what it is called.
            return None;
        }
        let said = self.said(id, name).remove(&account);
        let space = self.spaces.get_mut(id)?;
        space.row.introduced = Some(space.row.context.era);
        self.save_space(id);
        (said.as_ref() != Some(&person)).then_some(Edit::Person(person))
    }

    /// Says this account's name in a conversation, at once.
    pub(super) fn introduce(&mut self, id: &SpaceId) -> Step<()> {
        let Some(name) = self.introduction_due(id) else { return Ok(()) };
        self.document(id, &name)?;
        if let Some(edit) = self.introduction(id, &name) {
            self.edit(id, &name, edit)?;
        }
        Ok(())
    }

    /// Opens what the name is written in, if it is still to be said: it then goes along with what
    /// is written next.
    pub(super) fn prepare_introduction(&mut self, id: &SpaceId) -> Step<()> {
        if let Some(name) = self.introduction_due(id) {
            self.document(id, &name)?;
        }
        Ok(())
    }

    /// Somebody has said a name: it is read soon.
    pub(super) fn owe_names(&mut self, id: &SpaceId, era: u32) {
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.unheard = Some(era);
        }
        self.save_space(id);
        self.tasks.push_back(Task::Names(*id, era));
    }

    /// Names that were not read yet when the account was closed last.
    pub(super) fn resume_names(&mut self) {
        let owed = self.spaces.iter().filter_map(|(id, space)| Some((*id, space.row.unheard?)));
        self.tasks.extend(owed.map(|(id, era)| Task::Names(id, era)));
    }

    /// Takes in what the others of a conversation say of themselves.
    pub(super) fn hear_names(&mut self, id: &SpaceId, era: u32) -> Step<()> {
        let name = Name::People(era);
        self.document(id, &name)?;
        let me = self.me()?.account();
        let said = self.said(id, &name).into_iter().filter(|(account, _)| *account != me);
        let mut news = false;
        for (account, person) in said {
            news |= self.learn_name(&account, &person.name);
        }
        if news {
            let change = ConversationChange::Changed;
            self.notify(Event::Conversation { conversation: *id, change });
        }
        self.keep_contacts(id)?;
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.unheard = space.row.unheard.filter(|owed| *owed != era);
        }
        self.save_space(id);
        Ok(())
    }

    /// Writes those that this account talks to into its contacts. Strangers are none yet.
    pub(super) fn keep_contacts(&mut self, id: &SpaceId) -> Step<()> {
        let me = self.me()?.account();
        let space = self.space(id)?;
        let (invited, roster) = (space.row.invited_by.is_some(), space.row.context.roster.clone());
        if !self.is_primary() || !self.spaces.contains_key(&me.space()) {
            return Ok(());
        }
        let accepted = accepted_key(id);
        if invited && self.own_settings(&accepted)?.get(&accepted) != Some(&Value::Bool(true)) {
            return Ok(());
        }
        let known = contacts::all(self.document(&me.space(), &Name::Contacts)?);
        for (account, _) in roster.iter().filter(|(account, _)| *account != me) {
            let Some(person) = self.people.get(&account) else { continue };
            let before = known.get(&account).cloned().unwrap_or_default();
            let (name, address) = (person.name.clone(), person.address.clone());
            let contact = Contact { name, address, ..before.clone() };
            if contact != before && !contact.name.is_empty() {
                let edit = Edit::Contact { account, contact: Some(contact) };
                self.edit(&me.space(), &Name::Contacts, edit)?;
            }
        }
        Ok(())
    }

    /// What the account's contacts say of these people.
    pub(super) fn recall(&mut self, accounts: &[AccountId]) -> Step<Vec<Hint>> {
        let own = self.me()?.account().space();
        let document = self.document(&own, &Name::Contacts)?;
        let hint = |account: &AccountId| {
            let Contact { name, address, .. } = contacts::contact(document, account)?;
            Some(Hint { account: *account, address, name })
        };
        Ok(accounts.iter().filter_map(hint).collect())
    }

    /// The newest word of each account about itself, in an open document.
    fn said(&mut self, id: &SpaceId, name: &Name) -> SortedMap<AccountId, Person> {
        let said = self.documents.peek(id, name).map(|document| people::all(document));
        let core = self.spaces.get(id).and_then(|space| space.core.as_ref());
        let Some((said, core)) = said.zip(core) else { return SortedMap::new() };
        let of_account =
            |(writer, person): (WriterId, Person)| Some((core.account_of(&writer.device)?, person));
        said.into_iter().filter_map(of_account).collect()
    }
}
