//! People as this account knows them: whom an address is pinned to, and whose safety number was
//! compared. Both are kept in the account's contacts, for all its devices.

use sync_protocol::AccountId;
use sync_protocol::address::Address;
use sync_protocol::sorted::SortedMap;

use crate::api::{Comparison, ContactCard, ContactChange, Event, Failure, Member, Response};
use crate::document::contacts::{self, Contact, LogSeen};
use crate::document::{Edit, Name};
use crate::engine::rooms::Contacts;
use crate::engine::{Need, Step, Stop};
use crate::trust::pins::{self, Lead};
use crate::trust::safety::{self, Shown};

impl Contacts<'_> {
    /// The account behind an address: whom it led to before, and the directory agrees, or whom the
    /// directory names first. Which it is, is pinned.
    ///
    /// # Errors
    /// `Need` while the relay is asked, `NotFound` if it knows none, `Moved` if it is another than
    /// before, `Offline`.
    pub(in crate::engine) fn resolve(&mut self, address: &Address) -> Step<AccountId> {
        let text = address.as_str();
        let pinned = self.pinned(address)?;
        let directory = self.people.directory(text);
        let is_asked = directory.is_some() || self.people.missing.contains_key(text);
        if self.session.is_open() && !is_asked {
            return Err(Stop::Need(Need::Lookup(address.clone())));
        }
        match pins::lead(pinned, directory) {
            Lead::To(account) => {
                self.people.missing.remove(text);
                if directory.is_some() {
                    self.confirm_address(address, &account);
                    self.pin(address, &account)?;
                }
                Ok(account)
            }
            Lead::Moved { was, now } => {
                if self.people.tell_moved(text) {
                    let change = ContactChange::Moved { address: address.to_string(), now };
                    self.turn.notify(Event::Contact { account: was, change });
                }
                Err(Failure::Moved { was, now }.into())
            }
            Lead::Unknown => Err(self.not_found(text).into()),
        }
    }

    /// Who is meant by an address that is on the screen: whom it led to before, and who else is
    /// shown under it.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub(in crate::engine) fn resolve_shown(&mut self, address: &Address) -> Step<AccountId> {
        if let Some(account) = self.pinned(address)? {
            return Ok(account);
        }
        match self.resolve(address) {
            Err(Stop::Fail(Failure::Offline)) => {
                self.people.shown(address.as_str()).ok_or(Failure::Offline.into())
            }
            resolved => resolved,
        }
    }

    /// Whom an address led to before: as the account's contacts have it for all its devices, else
    /// as this device found it.
    fn pinned(&mut self, address: &Address) -> Step<Option<AccountId>> {
        let here = self.people.account(address.as_str());
        let own = self.account.me()?.account().space();
        if !self.spaces.contains_key(&own) {
            return Ok(here);
        }
        let kept = self.pins()?.get(address.as_str()).copied();
        Ok(kept.or(here))
    }

    /// Whom the account's contacts pin addresses to. Read once until they change: whoever adds many
    /// people asks for each of them.
    fn pins(&mut self) -> Step<&SortedMap<String, AccountId>> {
        let own = self.account.me()?.account().space();
        // Opened in any case, so that what is read here is what there is.
        self.documents.document(self.spaces, &own, &Name::Contacts)?;
        if self.people.pins.is_none() {
            let all = contacts::all(self.documents.document(self.spaces, &own, &Name::Contacts)?);
            self.people.pins = Some(pins::by_address(&all));
        }
        Ok(self.people.pins.get_or_insert_default())
    }

    /// Keeps for all own devices whom an address leads to.
    fn pin(&mut self, address: &Address, account: &AccountId) -> Step<()> {
        let own = self.account.me()?.account();
        if *account == own || !self.spaces.contains_key(&own.space()) {
            return Ok(());
        }
        if self.pins()?.get(address.as_str()) == Some(account) {
            return Ok(());
        }
        let all =
            contacts::all(self.documents.document(self.spaces, &own.space(), &Name::Contacts)?);
        for (other, contact) in &all {
            if other != account && contact.address.as_deref() == Some(address.as_str()) {
                let contact = Contact { address: None, pinned: false, ..contact.clone() };
                self.keep_contact(other, contact)?;
            }
        }
        let before = all.get(account).cloned();
        let name = self.people.get(account).map(|person| person.name.clone()).unwrap_or_default();
        let known = before.clone().unwrap_or_else(|| Contact { name, ..Contact::default() });
        let contact = Contact { address: Some(address.to_string()), pinned: true, ..known };
        if before.as_ref() != Some(&contact) {
            self.keep_contact(account, contact)?;
        }
        Ok(())
    }

    fn keep_contact(&mut self, account: &AccountId, contact: Contact) -> Step<()> {
        let own = self.account.me()?.account().space();
        let edit = Edit::Contact { account: *account, contact: Some(contact) };
        self.outbox().edit(&own, &Name::Contacts, edit)?;
        self.people.pins = None;
        Ok(())
    }

    /// The person accepts that an address leads to another account now.
    pub(in crate::engine) fn accept_address(
        &mut self,
        address: &Address,
        now: &AccountId,
    ) -> Step<Response> {
        let text = address.as_str();
        if self.people.directory(text).is_none() && self.session.is_open() {
            let is_missing = self.people.missing.contains_key(text);
            return Err(match is_missing {
                true => self.not_found(text).into(),
                false => Stop::Need(Need::Lookup(address.clone())),
            });
        }
        match self.people.directory(text) {
            Some(account) if account == *now => {}
            Some(_) => return Err(Failure::Denied("the address leads to another account").into()),
            None => return Err(Failure::Offline.into()),
        }
        self.pin(address, now)?;
        self.confirm_address(address, now);
        Ok(Response::Done)
    }

    /// What is known of somebody, with the safety number.
    pub(in crate::engine) fn contact_card(&mut self, account: &AccountId) -> Step<ContactCard> {
        let own = self.account.me()?.account();
        let known = match self.spaces.contains_key(&own.space()) {
            true => contacts::contact(
                self.documents.document(self.spaces, &own.space(), &Name::Contacts)?,
                account,
            ),
            false => None,
        };
        let mine = self.people.log(&own).ok_or(Failure::NotFound("account"))?;
        let person = self.people.get(account).ok_or(Failure::NotFound("contact"))?;
        let at = known.and_then(|contact| contact.compared).map(|at| (at.entries, at.head));
        Ok(ContactCard {
            account: *account,
            address: person.address.clone(),
            name: person.name.clone(),
            safety_number: safety::number(mine, &person.log),
            shown: Shown::of(mine, &person.log).to_text(),
            compared: pins::compared(at, &person.log),
        })
    }

    pub(in crate::engine) fn show_contact(&mut self, member: &Member) -> Step<Response> {
        let account = match member {
            Member::Account(account) => *account,
            Member::Address(address) => self.resolve_shown(address)?,
        };
        Ok(Response::Contact(self.contact_card(&account)?))
    }

    /// Compares what somebody shows with what is known here.
    pub(in crate::engine) fn compare_contact(
        &mut self,
        account: &AccountId,
        shown: &str,
    ) -> Step<Response> {
        let shown = Shown::parse(shown).map_err(|error| Failure::Invalid(error.to_string()))?;
        let mine =
            self.people.log(&self.account.me()?.account()).ok_or(Failure::NotFound("account"))?;
        let theirs = self.people.log(account).ok_or(Failure::NotFound("contact"))?;
        let comparison = shown.compare(mine, theirs);
        match comparison {
            Comparison::Same => self.keep_compared(account, true)?,
            // What the other knows is asked for, so that the next try may tell.
            Comparison::Behind => self.devices().read_log(*account),
            Comparison::Differs => {}
        }
        Ok(Response::Comparison(comparison))
    }

    /// The person says that the numbers are the same, or takes that back.
    pub(in crate::engine) fn verify_contact(
        &mut self,
        account: &AccountId,
        number: Option<&str>,
    ) -> Step<Response> {
        let mine =
            self.people.log(&self.account.me()?.account()).ok_or(Failure::NotFound("account"))?;
        let theirs = self.people.log(account).ok_or(Failure::NotFound("contact"))?;
        if let Some(number) = number {
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            if digits(number) != digits(&safety::number(mine, theirs)) {
                return Err(Failure::Denied("the safety number is another by now").into());
            }
        }
        self.keep_compared(account, number.is_some())?;
        Ok(Response::Done)
    }

    fn keep_compared(&mut self, account: &AccountId, is_same: bool) -> Step<()> {
        let own = self.account.me()?.account().space();
        let before = contacts::contact(
            self.documents.document(self.spaces, &own, &Name::Contacts)?,
            account,
        );
        let person = self.people.get(account).ok_or(Failure::NotFound("contact"))?;
        let seen = LogSeen { entries: person.log.len(), head: person.log.head() };
        let known = before.unwrap_or_else(|| Contact {
            name: person.name.clone(),
            address: person.address.clone(),
            ..Contact::default()
        });
        let contact = Contact { compared: is_same.then_some(seen), ..known };
        self.keep_contact(account, contact)
    }

    /// Somebody's devices changed: told, if their safety number had been compared.
    pub(in crate::engine) fn tell_compared(&mut self, account: &AccountId) -> Step<()> {
        let own = self.account.me()?.account().space();
        if !self.spaces.contains_key(&own) {
            return Ok(());
        }
        let contact = contacts::contact(
            self.documents.document(self.spaces, &own, &Name::Contacts)?,
            account,
        );
        if contact.is_some_and(|contact| contact.compared.is_some()) {
            let change = ContactChange::Devices;
            self.turn.notify(Event::Contact { account: *account, change });
        }
        Ok(())
    }
}
