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
use crate::engine::rows::Named;
use crate::engine::{Engine, Step, Task};
use crate::line;

/// Settings under this prefix are the engine's own: the names that each device has given.
pub(super) const PROFILE: &str = "profile/";

impl Engine {
    /// The person is called something else from now on.
    pub(super) fn set_name(&mut self, name: &str) -> Step<Response> {
        let name = line::name(name)?;
        if !self.spaces.contains_key(&self.me()?.account().space()) {
            let why = "this device was not let into its account's space yet";
            return Err(Failure::Denied(why).into());
        }
        self.read_profile()?;
        if self.me()?.row.name != name {
            self.choose_name(&name)?;
        }
        Ok(Response::Done)
    }

    /// Chooses a name, in place of all that were chosen so far.
    fn choose_name(&mut self, name: &str) -> Step<()> {
        let me = self.me()?;
        let (space, device) = (me.account().space(), me.device());
        let last = me.row.named.map_or(0, |named| named.version);
        let log_len = self.people.log(&me.account()).map_or(0, DeviceLog::len);
        let value = json!({ "name": name, "version": Person::version_after(last, log_len) });
        self.document(&space, &Name::Settings)?;
        let key = format!("{PROFILE}name/{device}");
        let value = Some(value.to_string().into_bytes().into());
        self.edit(&space, &Name::Settings, Edit::Setting { key, value })?;
        Ok(())
    }

    /// The account's settings or contacts came while they were closed: they may bring another name,
    /// or block somebody.
    pub(super) fn owe_profile(&mut self) {
        let Ok(own) = self.me().map(|me| me.account().space()) else { return };
        self.owe_names(&own, 0);
    }

    /// Reads from the settings what the account is called, and writes it there if they don't say:
    /// who founded it may have been interrupted.
    pub(super) fn keep_profile(&mut self) -> Step<()> {
        let own = self.me()?.account().space();
        self.read_profile()?;
        let row = &self.me()?.row;
        let (name, is_kept) = (row.name.clone(), row.named.is_some());
        let space = self.core_space(&own)?;
        let joining = space.core.as_ref().is_some_and(|core| core.state.joining.is_some());
        if !is_kept && !name.is_empty() && !space.row.lagging && !joining {
            self.choose_name(&name)?;
        }
        // Opened, they are taken note of.
        self.document(&own, &Name::Contacts)?;
        if let Some(space) = self.spaces.get_mut(&own) {
            space.row.unheard = None;
        }
        self.save_space(&own);
        Ok(())
    }

    /// Whether the settings don't say yet what the account is called, and may be read by now.
    pub(super) fn profile_is_owed(&self) -> bool {
        self.me.as_ref().is_some_and(|me| {
            let own = self.spaces.get(&me.account().space());
            me.row.named.is_none()
                && !me.row.name.is_empty()
                && own.is_some_and(|own| own.row.active && !own.row.lagging)
        })
    }

    fn read_profile(&mut self) -> Step<()> {
        let own = self.me()?.account().space();
        self.document(&own, &Name::Settings)?;
        self.adopt_profile();
        Ok(())
    }

    /// Takes on the name that the open settings have, if they have one.
    pub(super) fn adopt_profile(&mut self) {
        let Ok(account) = self.me().map(|me| me.account()) else { return };
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
        let Some(me) = &mut self.me else { return };
        if me.row.named == Some(named) && me.row.name == name {
            return;
        }
        let is_new = me.row.name != name;
        (me.row.named, me.row.name) = (Some(named), name.clone());
        let account = me.account();
        self.unsaved.account = true;
        self.rename_person(&account, name, named);
        if is_new {
            self.report_status();
        }
        self.call_introductions();
    }

    /// Whether the account has no name, and nobody is about to tell this device of one.
    pub(super) fn is_nameless(&self) -> bool {
        self.me.as_ref().is_some_and(|me| {
            let own = self.spaces.get(&me.account().space());
            let read = own
                .is_some_and(|own| own.row.active && !own.row.lagging && own.row.unheard.is_none());
            me.row.name.is_empty() && read
        })
    }

    /// Whether this device is the one that tells others of a new name: it was chosen here, or where
    /// it was chosen is gone and this is the primary.
    pub(super) fn tells_name(&self) -> bool {
        let Some(me) = &self.me else { return false };
        let by = me.row.named.map(|named| named.by);
        let log = self.people.log(&me.account());
        match by.filter(|by| log.is_some_and(|log| log.active(by).is_some())) {
            Some(by) => by == me.device(),
            None => self.is_primary(),
        }
    }

    /// Says the account's name wherever it is called something else, if that falls to this device
    /// and it has heard what the others said.
    pub(super) fn call_introductions(&mut self) {
        if !self.session.caught_up() || !self.tells_name() {
            return;
        }
        let others = self.spaces.iter().filter(|(_, space)| !space.row.own);
        let due = others.filter(|(id, _)| self.is_called_otherwise(id)).map(|(id, _)| *id);
        let due: Vec<_> = due.collect();
        self.tasks.extend(due.into_iter().map(Task::Introduce));
    }

    /// A space was read as far as it goes: what waited for that goes on.
    pub(super) fn has_read(&mut self, id: &SpaceId) {
        self.call_what_was_lost();
        if self.spaces.get(id).is_some_and(|space| space.row.own) {
            self.tasks.push_back(Task::Invitations);
            self.resume_inviters();
            self.call_introductions();
            if self.profile_is_owed() {
                self.owe_profile();
            }
        } else if self.session.caught_up() && self.tells_name() && self.is_called_otherwise(id) {
            self.tasks.push_back(Task::Introduce(*id));
        }
    }
}
