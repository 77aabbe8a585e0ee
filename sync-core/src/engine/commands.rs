//! What an app asks for, carried out.

use minicbor::{Decode, Encode};
use serde_json::Value;
use sync_protocol::address::Address;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{Envelope, Header, Kind, aad};
use sync_protocol::frames::ClientFrame;
use sync_protocol::roster::Role;
use sync_protocol::{AccountId, SpaceId, WriterId, limits};

use crate::api::{
    Command, CommandId, ConversationChange, Event, Failure, Member, Response, Space, Until,
};
use crate::document::{Edit, Name, NewMessage, OrderKey, contacts};
use crate::engine::documents::SEGMENT;
use crate::engine::rows::Intention;
use crate::engine::{Engine, Need, Step, Stop, Task, seal};
use crate::line;

/// A message's text, in bytes.
const TEXT: usize = 64 * 1024;

/// A reaction, in bytes.
const EMOJI: usize = 64;

/// A signal's content.
#[derive(Encode, Decode)]
enum Signal {
    #[n(0)]
    Typing,
}

impl Engine {
    /// Carries a command out. `None` if the response comes later.
    pub(super) fn execute(&mut self, id: CommandId, command: &Command) -> Step<Option<Response>> {
        if let Command::CreateAccount { address, name } = command {
            return self.create_account(id, address, &line::name(name)?);
        }
        match command {
            Command::Once { edit, command } => return self.execute_once(id, edit, command),
            Command::ForgetEdits { edits } => {
                self.forget_edits(edits);
                return done();
            }
            Command::Status => return Ok(Some(Response::Status(self.status()))),
            Command::OfferDevice { name, join } => {
                return self.offer_device(id, &line::name(name)?, *join);
            }
            Command::JoinAccount { account } => return self.join_account(account),
            Command::CancelLink => {
                self.cancel_link();
                return done();
            }
            Command::RecoverAccount { address, code, name } => {
                return self.recover_account(id, address, code, &line::name(name)?);
            }
            _ => {}
        }
        self.me()?;
        match command {
            Command::AcceptDevice { offer, history } => self.accept_device(offer, *history),
            Command::ConfirmDevice { code } => self.confirm_device(id, code),
            Command::NewRecoveryCode => self.new_recovery_code(id),
            Command::ListDevices => self.list_devices(),
            Command::RevokeDevice { device } => self.revoke_device(id, device),
            Command::MakePrimary { device } => self.make_primary(id, device),
            Command::Wait(until) => Ok(self.wait(id, *until)),
            Command::GoOffline => {
                self.go_offline();
                done()
            }
            Command::GoOnline => {
                self.go_online();
                done()
            }
            Command::Foreground { conversation } => {
                self.foreground = *conversation;
                done()
            }
            Command::LookupContact { address } => {
                let account = self.resolve(address)?;
                Ok(Some(Response::Contact(self.contact_card(&account)?)))
            }
            Command::ShowContact { member } => self.show_contact(member).map(Some),
            Command::CompareContact { account, shown } => {
                self.compare_contact(account, shown).map(Some)
            }
            Command::VerifyContact { account, safety_number } => {
                self.verify_contact(account, safety_number.as_deref()).map(Some)
            }
            Command::AcceptAddress { address, account } => {
                self.accept_address(address, account).map(Some)
            }
            Command::AcceptRelay { relay } => {
                self.accept_relay(relay);
                done()
            }
            _ => self.execute_in_space(command).map(Some),
        }
    }

    fn wait(&mut self, id: CommandId, until: Until) -> Option<Response> {
        let holds = match until {
            Until::Stored => self.all_stored(),
            Until::UpToDate => self.is_up_to_date(),
        };
        if !holds {
            self.waits.insert(id, until);
        }
        holds.then_some(Response::Done)
    }

    fn execute_in_space(&mut self, command: &Command) -> Step<Response> {
        match command {
            Command::SetName { name } => self.set_name(name),
            Command::CreateConversation { title, members } => {
                self.create_conversation(title, members)
            }
            Command::ListConversations => self.list_conversations(),
            Command::AddMember { conversation, address, share_history } => {
                self.add_member(conversation, address, *share_history)
            }
            Command::RemoveMember { conversation, member } => {
                let account = self.member(conversation, member)?;
                self.wish_as_admin(conversation, Intention::Remove(account))
            }
            Command::SetRole { conversation, member, role } => {
                let account = self.member(conversation, member)?;
                let admin = *role == Role::Admin;
                self.wish_as_admin(conversation, Intention::SetRole { account, admin })
            }
            Command::SetTitle { conversation, title } => {
                self.wish_as_admin(conversation, Intention::SetTitle(line::title(title)?))
            }
            Command::Leave { conversation } => {
                self.active_conversation(conversation)?;
                self.intend(conversation, Intention::Leave);
                Ok(Response::Done)
            }
            Command::AcceptConversation { conversation } => {
                self.active_conversation(conversation)?;
                self.keep_setting(&accepted_key(conversation), &Value::Bool(true))?;
                self.core_space(conversation)?.answered = true;
                self.call_acceptance();
                self.introduce(conversation)?;
                self.tasks.push_back(Task::Contacts(*conversation));
                Ok(Response::Done)
            }
            Command::DeclineConversation { conversation, block } => {
                self.decline(conversation, *block)
            }
            Command::SetBlocked { member, blocked } => {
                let account = match member {
                    Member::Account(account) => *account,
                    Member::Address(address) => self.resolve_shown(address)?,
                };
                self.set_blocked(&account, *blocked)?;
                Ok(Response::Done)
            }
            Command::MarkRead { conversation, message } => self.mark_read(conversation, message),
            Command::ListMessages { conversation, before, limit } => {
                self.list_messages(conversation, before.as_ref(), *limit)
            }
            Command::Typing { conversation } => self.typing(conversation),
            Command::SendMessage { conversation, text, reply_to } => {
                self.send_message(conversation, text, *reply_to)
            }
            Command::EditMessage { conversation, message, text } => {
                self.edit_message(conversation, message, text)
            }
            Command::DeleteMessage { conversation, message } => {
                self.amend(conversation, message, Edit::DeleteMessage { key: *message }, true)
            }
            Command::React { conversation, message, emoji } => {
                self.react(conversation, message, emoji.as_deref())
            }
            _ => self.execute_document(command),
        }
    }

    fn edit_message(&mut self, id: &SpaceId, message: &OrderKey, text: &str) -> Step<Response> {
        written("text", text)?;
        limit("text", text.len(), TEXT)?;
        let edit = Edit::EditMessage { key: *message, text: text.to_owned() };
        self.amend(id, message, edit, true)
    }

    fn react(&mut self, id: &SpaceId, message: &OrderKey, emoji: Option<&str>) -> Step<Response> {
        if let Some(emoji) = emoji {
            written("emoji", emoji)?;
            limit("emoji", emoji.len(), EMOJI)?;
        }
        let edit = Edit::React { key: *message, emoji: emoji.map(str::to_owned) };
        self.amend(id, message, edit, false)
    }

    fn execute_document(&mut self, command: &Command) -> Step<Response> {
        match command {
            Command::Setting { key } => {
                let value = self.own_settings(key)?.remove(key);
                Ok(Response::Value(value.unwrap_or(Value::Null)))
            }
            Command::Settings => {
                let mut all = self.own_settings("")?;
                all.retain(|key, _| !is_engines(key));
                Ok(Response::Settings(all))
            }
            Command::SetSetting { key, value } => self.set_setting(key, value),
            Command::ReadDocument { .. }
            | Command::AskDocument { .. }
            | Command::ChangeDocument { .. }
            | Command::ExportDocument { .. }
            | Command::ImportDocument { .. }
            | Command::ListDocuments { .. }
            | Command::ArchiveDocument { .. }
            | Command::DeleteDocument { .. } => self.execute_app(command),
            Command::Digest { space } => {
                let space = self.space_id(*space)?;
                self.digest(&space)
            }
            // All that is left was taken before. It is listed, so that no command is forgotten.
            Command::CreateAccount { .. }
            | Command::SetName { .. }
            | Command::OfferDevice { .. }
            | Command::JoinAccount { .. }
            | Command::CancelLink
            | Command::AcceptDevice { .. }
            | Command::ConfirmDevice { .. }
            | Command::ListDevices
            | Command::RevokeDevice { .. }
            | Command::MakePrimary { .. }
            | Command::NewRecoveryCode
            | Command::RecoverAccount { .. }
            | Command::AcceptConversation { .. }
            | Command::DeclineConversation { .. }
            | Command::SetBlocked { .. }
            | Command::Status
            | Command::LookupContact { .. }
            | Command::ShowContact { .. }
            | Command::CompareContact { .. }
            | Command::VerifyContact { .. }
            | Command::AcceptAddress { .. }
            | Command::AcceptRelay { .. }
            | Command::CreateConversation { .. }
            | Command::ListConversations
            | Command::AddMember { .. }
            | Command::RemoveMember { .. }
            | Command::SetRole { .. }
            | Command::SetTitle { .. }
            | Command::Leave { .. }
            | Command::MarkRead { .. }
            | Command::SendMessage { .. }
            | Command::EditMessage { .. }
            | Command::DeleteMessage { .. }
            | Command::React { .. }
            | Command::ListMessages { .. }
            | Command::Typing { .. }
            | Command::Foreground { .. }
            | Command::Wait(_)
            | Command::Once { .. }
            | Command::ForgetEdits { .. }
            | Command::GoOffline
            | Command::GoOnline => Err(Failure::Invalid("no command of a document".into()).into()),
        }
    }

    pub(super) fn space_id(&self, space: Space) -> Result<SpaceId, Failure> {
        match space {
            Space::Account => Ok(self.me()?.account().space()),
            Space::Conversation(id) if self.spaces.contains_key(&id) => Ok(id),
            Space::Conversation(_) => Err(Failure::NotFound("conversation")),
        }
    }

    fn active_conversation(&self, id: &SpaceId) -> Result<(), Failure> {
        match self.spaces.get(id) {
            Some(space) if space.row.own => Err(Failure::NotFound("conversation")),
            Some(space) if !space.row.active || space.intends(&Intention::Leave) => {
                Err(Failure::Denied("no longer a member"))
            }
            Some(_) => Ok(()),
            None => Err(Failure::NotFound("conversation")),
        }
    }

    fn create_conversation(&mut self, title: &str, members: &[Address]) -> Step<Response> {
        let title = if title.is_empty() { String::new() } else { line::title(title)? };
        limit("members", members.len(), limits::LEAVES - 1)?;
        self.look_up_ahead(members);
        for address in members {
            self.known_if_online(address)?;
        }
        let id = self.random_space();
        self.found_space(id, title, false)?;
        let own = self.me()?.row.address.clone();
        for address in members.iter().filter(|address| address.as_str() != own) {
            let address = address.to_string();
            self.intend(&id, Intention::Add { address, history: true });
        }
        let change = ConversationChange::Founded;
        self.notify(Event::Conversation { conversation: id, change });
        Ok(Response::Conversation(id))
    }

    /// Connected, an address that leads nowhere is told at once; offline, later.
    fn known_if_online(&mut self, address: &Address) -> Step<()> {
        match self.resolve(address) {
            Ok(_) | Err(Stop::Fail(Failure::Offline | Failure::Refused(_))) => Ok(()),
            Err(Stop::Need(Need::Lookup(address))) => Err(Stop::Need(Need::Lookup(address))),
            Err(stop) => Err(stop),
        }
    }

    fn add_member(&mut self, id: &SpaceId, address: &Address, history: bool) -> Step<Response> {
        self.active_conversation(id)?;
        self.known_if_online(address)?;
        let account = self.people.account(address.as_str());
        if account
            .is_some_and(|account| self.spaces.get(id).is_some_and(|s| s.role(&account).is_some()))
        {
            return Ok(Response::Done);
        }
        if history && !self.core_space(id)?.reads_all() {
            return Err(Failure::Partial.into());
        }
        self.wish_as_admin(id, Intention::Add { address: address.to_string(), history })
    }

    fn wish_as_admin(&mut self, id: &SpaceId, intention: Intention) -> Step<Response> {
        self.active_conversation(id)?;
        let me = self.me()?.account();
        if self.space(id)?.role(&me) != Some(Role::Admin) {
            return Err(Failure::Denied("only an admin may do this").into());
        }
        self.intend(id, intention);
        Ok(Response::Done)
    }

    fn member(&mut self, id: &SpaceId, member: &Member) -> Step<AccountId> {
        let account = match member {
            Member::Account(account) => *account,
            Member::Address(address) => self.resolve_shown(address)?,
        };
        if self.space(id)?.role(&account).is_none() {
            return Err(Failure::NotFound("member").into());
        }
        Ok(account)
    }

    fn send_message(
        &mut self,
        id: &SpaceId,
        text: &str,
        reply_to: Option<OrderKey>,
    ) -> Step<Response> {
        written("text", text)?;
        limit("text", text.len(), TEXT)?;
        self.active_conversation(id)?;
        let name = self.open_segment(id)?;
        self.answer(id);
        self.prepare_introduction(id)?;
        let writer = self.writer()?;
        let now = self.wall;
        let space = self.core_space(id)?;
        let key = OrderKey { stamp: space.row.clock.tick(now), tag: writer.tag() };
        let message = NewMessage { reply_to, ..NewMessage::new(key, text) };
        self.edit(id, &name, Edit::Message(message))?;
        Ok(Response::Message(key))
    }

    /// Whoever answers an invitation has accepted it.
    pub(super) fn answer(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.invited_by.is_some() && !std::mem::replace(&mut space.answered, true) {
            self.tasks.push_back(Task::Setting(accepted_key(id), Value::Bool(true)));
            self.tasks.push_back(Task::Contacts(*id));
            self.call_acceptance();
        }
    }

    /// The segment that takes the next message or amendment, open.
    fn open_segment(&mut self, id: &SpaceId) -> Step<Name> {
        loop {
            let space = self.core_space(id)?;
            let first = space.row.context.era << crate::trust::posting::ERA_SHIFT;
            space.row.segment = space.row.segment.max(first);
            let segment = space.row.segment;
            self.document(id, &Name::Messages(segment))?;
            let space = self.core_space(id)?;
            if space.view.segment_len(segment) < SEGMENT {
                return Ok(Name::Messages(segment));
            }
            space.row.segment = segment + 1;
            self.save_space(id);
        }
    }

    fn amend(&mut self, id: &SpaceId, message: &OrderKey, edit: Edit, own: bool) -> Step<Response> {
        self.active_conversation(id)?;
        let author = self.find_message(id, message)?;
        if own && author != self.me()?.account() {
            return Err(Failure::Denied("not your message").into());
        }
        let name = self.open_segment(id)?;
        self.edit(id, &name, edit)?;
        Ok(Response::Done)
    }

    fn decline(&mut self, id: &SpaceId, block: bool) -> Step<Response> {
        self.active_conversation(id)?;
        if let Some(inviter) = self.space(id)?.row.invited_by.filter(|_| block) {
            self.set_blocked(&inviter, true)?;
        }
        self.intend(id, Intention::Leave);
        Ok(Response::Done)
    }

    fn set_blocked(&mut self, account: &AccountId, blocked: bool) -> Step<()> {
        let space = self.space_id(Space::Account)?;
        let known = contacts::contact(self.document(&space, &Name::Contacts)?, account);
        let person = self.people.get(account);
        let contact = known.unwrap_or_else(|| contacts::Contact {
            name: person.map(|person| person.name.clone()).unwrap_or_default(),
            address: person.and_then(|person| person.address.clone()),
            ..contacts::Contact::default()
        });
        let contact = contacts::Contact { blocked, ..contact };
        let edit = Edit::Contact { account: *account, contact: Some(contact) };
        self.edit(&space, &Name::Contacts, edit)?;
        Ok(())
    }

    fn set_setting(&mut self, key: &str, value: &Value) -> Step<Response> {
        if is_engines(key) {
            return Err(Failure::Denied(
                "settings under devices/ and profile/ are kept by the engine",
            )
            .into());
        }
        let space = self.space_id(Space::Account)?;
        self.document(&space, &Name::Settings)?;
        let bytes = (!value.is_null()).then(|| Blob(value.to_string().into_bytes()));
        limit("setting's key", key.len(), limits::DOCUMENT_KEY)?;
        limit("setting", bytes.as_ref().map_or(0, |bytes| bytes.0.len()), TEXT)?;
        self.edit(&space, &Name::Settings, Edit::Setting { key: key.to_owned(), value: bytes })?;
        Ok(Response::Done)
    }

    fn typing(&mut self, id: &SpaceId) -> Step<Response> {
        self.active_conversation(id)?;
        if !self.session.is_open() {
            return Ok(Response::Done);
        }
        let writer = self.writer()?;
        let signing = self.me()?.identity.signing.clone();
        let space = self.core_space(id)?;
        let header = Header::new(Kind::Signal, space.row.epoch, space.row.next);
        let epoch = space.row.epoch;
        let key = space.core.as_mut().and_then(|core| core.content_key(&epoch, &writer));
        if let Some(key) = key {
            let aad = aad(id, &writer, &codec::encode(&header));
            let payload = seal::seal(&key, &aad, &codec::encode(&Signal::Typing), &mut self.rng);
            let envelope = Envelope::sign(id, &writer, header, payload, &signing);
            let envelope = Blob(envelope.to_bytes());
            self.send(&ClientFrame::Signal { space: *id, envelope });
        }
        Ok(Response::Done)
    }

    /// A signal that can't be shown at once is worth nothing later: it is dropped.
    pub(super) fn on_signal(&mut self, id: &SpaceId, writer: &WriterId, envelope: &[u8]) {
        let Ok(envelope) = Envelope::parse(envelope) else { return };
        let Some(space) = self.spaces.get_mut(id).filter(|space| !space.row.own) else { return };
        let next = space.row.next;
        let (epoch, current) = (envelope.header.epoch, space.row.epoch);
        let Some(core) = space.core.as_mut().filter(|_| epoch == current) else { return };
        let Some(row) = core.writer_at(&writer.device, next) else { return };
        let (account, key) = (row.account, row.key);
        let Some(secret) = core.content_key(&epoch, writer) else { return };
        let aad = aad(id, writer, envelope.header_bytes());
        let typing = envelope.header.kind == Kind::Signal
            && envelope.verify(id, writer, &key).is_ok()
            && seal::open(&secret, &aad, envelope.payload())
                .is_ok_and(|content| codec::decode::<Signal>("signal", &content).is_ok());
        if typing {
            self.notify(Event::Typing { conversation: *id, account });
        }
    }
}

/// Whether a setting is the engine's own, and not an app's.
fn is_engines(key: &str) -> bool {
    let kept = [super::devices::RECORDS, super::profile::PROFILE, super::renewals::CALLS];
    kept.iter().any(|prefix| key.starts_with(prefix))
}

/// The setting that says that an invitation was accepted, on whichever device.
pub(super) fn accepted_key(id: &SpaceId) -> String {
    format!("conversation/{id}/accepted")
}

fn done() -> Step<Option<Response>> {
    Ok(Some(Response::Done))
}

/// What shows nothing is more likely a mistake than meant.
fn written(what: &'static str, text: &str) -> Result<(), Failure> {
    if line::is_empty(text) {
        return Err(Failure::Invalid(format!("the {what} is empty")));
    }
    Ok(())
}

pub(super) fn limit(what: &'static str, size: usize, limit: usize) -> Result<(), Failure> {
    if size <= limit { Ok(()) } else { Err(Failure::TooLarge { what, limit }) }
}
