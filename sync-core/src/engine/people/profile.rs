//! What this account is called: chosen on any of its devices, kept in its settings, told in each
//! conversation by one device (`introductions`).
//!
//! Each device writes the names that are chosen on it under a key of its own. The one with the
//! highest number counts, so that all devices agree, and so do those who hear of it elsewhere.

use serde_json::{Value, json};
use sync_protocol::SpaceId;
use sync_protocol::device_log::DeviceLog;

use crate::api::{Failure, Response};
use crate::document::people::Person;
use crate::document::{Edit, Name, settings};
use crate::engine::rooms::Profile;
use crate::engine::rows::Named;
use crate::engine::{Step, Task};
use crate::line;

/// Settings under this prefix are the engine's own: the names that each device has given.
pub(in crate::engine) const PROFILE: &str = "profile/";

impl Profile<'_> {
    /// Names that were not read yet when the account was closed last.
    pub(in crate::engine) fn resume_names(&mut self) {
        let owed = self.spaces.iter().filter_map(|(id, space)| Some((*id, space.row.unheard?)));
        self.turn.tasks.extend(owed.map(|(id, era)| Task::Names(id, era)));
        if self.profile_is_owed() {
            self.owe_profile();
        }
    }

    /// The person is called something else from now on.
    pub(in crate::engine) fn set_name(&mut self, name: &str) -> Step<Response> {
        let name = line::name(name)?;
        if !self.spaces.contains_key(&self.account.me()?.account().space()) {
            let why = "this device was not let into its account's space yet";
            return Err(Failure::Denied(why).into());
        }
        self.read_profile()?;
        if self.account.me()?.row().name != name {
            self.choose_name(&name)?;
        }
        Ok(Response::Done)
    }

    /// Chooses a name, in place of all that were chosen so far.
    fn choose_name(&mut self, name: &str) -> Step<()> {
        let me = self.account.me()?;
        let (space, device) = (me.account().space(), me.device());
        let known = me.row().named.map(|named| named.version);
        let log_len = self.people.log(&me.account()).map_or(0, DeviceLog::len);
        let settings = self.documents.document(self.spaces, &space, &Name::Settings)?;
        let given = settings::written(settings, PROFILE).into_iter();
        let given = given.filter_map(|(_, value)| value.get("version")?.as_u64()).chain(known);
        let version = Person::version_after(given, log_len);
        let value = json!({ "name": name, "version": version });
        let key = format!("{PROFILE}name/{device}");
        let value = Some(value.to_string().into_bytes().into());
        self.outbox().edit(&space, &Name::Settings, Edit::Setting { key, value })?;
        Ok(())
    }

    /// The account's settings or contacts came while they were closed: they may bring another name,
    /// or block somebody.
    pub(in crate::engine) fn owe_profile(&mut self) {
        let Ok(own) = self.account.me().map(|me| me.account().space()) else { return };
        self.content_rows().owe_names(&own, 0);
    }

    /// Reads from the settings what the account is called, and writes it there if they don't say:
    /// who founded it may have been interrupted.
    pub(in crate::engine) fn keep_profile(&mut self) -> Step<()> {
        let own = self.account.me()?.account().space();
        self.read_profile()?;
        let row = &self.account.me()?.row();
        let (name, is_kept) = (row.name.clone(), row.named.is_some());
        let space = self.spaces.core(&own)?;
        let joining = space.core.as_ref().is_some_and(|core| core.state.joining.is_some());
        if !is_kept && !name.is_empty() && !space.row.lagging && !joining {
            self.choose_name(&name)?;
        }
        // Opened, they are taken note of.
        self.documents.document(self.spaces, &own, &Name::Contacts)?;
        if let Some(space) = self.spaces.get_mut(&own) {
            space.row.unheard = None;
        }
        self.turn.save_space(&own);
        Ok(())
    }

    /// Whether the settings don't say yet what the account is called, and may be read by now.
    pub(in crate::engine) fn profile_is_owed(&self) -> bool {
        self.account.own().is_some_and(|me| {
            let own = self.spaces.get(&me.account().space());
            me.row().named.is_none()
                && !me.row().name.is_empty()
                && own.is_some_and(|own| own.row.active && !own.row.lagging)
        })
    }

    fn read_profile(&mut self) -> Step<()> {
        let own = self.account.me()?.account().space();
        self.documents.document(self.spaces, &own, &Name::Settings)?;
        self.adopt_profile();
        Ok(())
    }

    /// Takes on the name that the open settings have, if they have one.
    pub(in crate::engine) fn adopt_profile(&mut self) {
        let Ok(account) = self.account.me().map(|me| me.account()) else { return };
        let document = self.documents.peek(&account.space(), &Name::Settings);
        let given = document.map(|settings| settings::written(settings, PROFILE));
        let Some((given, log)) = given.zip(self.people.log(&account)) else { return };
        let newest = given
            .into_iter()
            .filter_map(|(by, value)| {
                let name = line::shown_name(value.get("name")?.as_str()?);
                let version = value.get("version").and_then(Value::as_u64)?;
                let named = Named { version, tag: by.tag(), by: by.device };
                let counts = !name.is_empty() && Person::counts(version, &by.device, log);
                counts.then_some((named, name))
            })
            .max();
        if let Some((named, name)) = newest {
            self.take_on(named, name);
        }
    }

    fn take_on(&mut self, named: Named, name: String) {
        let Some(me) = self.account.own_mut() else { return };
        if me.row().named == Some(named) && me.row().name == name {
            return;
        }
        let is_new = me.row().name != name;
        me.row_mut().named = Some(named);
        me.row_mut().name.clone_from(&name);
        let account = me.account();
        self.turn.unsaved.account = true;
        self.contacts().rename_person(&account, name, named);
        if is_new {
            self.turn.tell_status();
        }
        self.call_introductions();
    }

    /// Says the account's name wherever it is called something else, if that falls to this device
    /// and it has heard what the others said.
    pub(in crate::engine) fn call_introductions(&mut self) {
        if !self.session.caught_up() || !self.account.tells_name(self.people) {
            return;
        }
        let others = self.spaces.iter().filter(|(_, space)| !space.row.own);
        let due = others
            .filter(|(id, _)| self.account.is_called_otherwise(self.spaces, id))
            .map(|(id, _)| *id);
        let due: Vec<_> = due.collect();
        self.turn.tasks.extend(due.into_iter().map(Task::Introduce));
    }

    /// Another device may have asked for a ticket into a space that this one could not renew then,
    /// because it had not read it, or nobody had accepted it: it looks again.
    pub(in crate::engine) fn look_for_calls(&mut self) {
        if !self.turn.tasks.iter().any(|task| matches!(task, Task::Calls)) {
            self.turn.tasks.push_back(Task::Calls);
        }
    }

    /// A space was read as far as it goes: what waited for that goes on.
    pub(in crate::engine) fn has_read(&mut self, id: &SpaceId) {
        self.log_rows().call_what_was_lost();
        if self.session.caught_up() {
            self.look_for_calls();
        }
        if self.spaces.get(id).is_some_and(|space| space.row.own) {
            self.turn.tasks.push_back(Task::Invitations);
            self.content_rows().resume_inviters();
            self.call_introductions();
            if self.profile_is_owed() {
                self.owe_profile();
            }
        } else if self.session.caught_up()
            && self.account.tells_name(self.people)
            && self.account.is_called_otherwise(self.spaces, id)
        {
            self.turn.tasks.push_back(Task::Introduce(*id));
        }
    }
}
