//! What an app asks for, carried out.

use serde_json::Value;
use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::roster::Role;
use sync_protocol::{AccountId, SpaceId, limits};

use crate::api::{
    Command, CommandId, ConversationChange, Event, Failure, Member, Response, Space, Until,
};
use crate::document::{Edit, Name, NewMessage, OrderKey, contacts};
use crate::engine::documents::SEGMENT;
use crate::engine::rooms::Commands;
use crate::engine::rows::Intention;
use crate::engine::{Engine, Need, Step, Stop, Task};
use crate::line;
use crate::trust::posting::ERA_SHIFT;

/// A message's text, in bytes.
const TEXT: usize = 64 * 1024;

/// A reaction, in bytes.
const EMOJI: usize = 64;

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
                return self.guest_side().offer_device(id, &line::name(name)?, *join);
            }
            Command::JoinAccount { account } => return self.guest_side().join_account(account),
            Command::CancelLink => {
                self.guest_side().cancel_link();
                return done();
            }
            Command::RecoverAccount { address, code, name } => {
                return self.guest_side().recover_account(id, address, code, &line::name(name)?);
            }
            _ => {}
        }
        self.account.me()?;
        match command {
            Command::AcceptDevice { offer, history } => {
                self.host_side().accept_device(offer, *history)
            }
            Command::ConfirmDevice { code } => self.host_side().confirm_device(id, code),
            Command::NewRecoveryCode => self.devices().new_recovery_code(id),
            Command::DrawInvite => self.session.draw_invite(&mut self.turn, id),
            Command::ListDevices => self.devices().list_devices(),
            Command::RevokeDevice { device } => self.devices().revoke_device(id, device),
            Command::MakePrimary { device } => self.devices().make_primary(id, device),
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
                self.session.show(*conversation);
                done()
            }
            Command::LookupContact { address } => {
                let account = self.contacts().resolve(address)?;
                Ok(Some(Response::Contact(self.contacts().contact_card(&account)?)))
            }
            Command::ShowContact { member } => self.contacts().show_contact(member).map(Some),
            Command::CompareContact { account, shown } => {
                self.contacts().compare_contact(account, shown).map(Some)
            }
            Command::VerifyContact { account, safety_number } => {
                self.contacts().verify_contact(account, safety_number.as_deref()).map(Some)
            }
            Command::AcceptAddress { address, account } => {
                self.contacts().accept_address(address, account).map(Some)
            }
            Command::AcceptRelay { relay } => {
                self.accept_relay(relay);
                done()
            }
            _ => self.commands().execute_in_space(command).map(Some),
        }
    }

    fn wait(&mut self, id: CommandId, until: Until) -> Option<Response> {
        let holds = match until {
            Until::Stored => self.all_stored(),
            Until::UpToDate => self.is_up_to_date(),
        };
        if !holds {
            self.requests.wait(id, until);
        }
        holds.then_some(Response::Done)
    }
}

impl Commands<'_> {
    fn execute_in_space(&mut self, command: &Command) -> Step<Response> {
        match command {
            Command::SetName { name } => self.profile().set_name(name),
            Command::CreateConversation { title, members } => {
                self.create_conversation(title, members)
            }
            Command::ListConversations => self.views().list_conversations(),
            Command::AddMember { conversation, address, share_history } => {
                self.add_member(conversation, address, *share_history)
            }
            Command::RemoveMember { conversation, member } => {
                let account = self.member(conversation, member)?;
                self.wish_as_admin(conversation, Intention::Remove(account))
            }
            Command::SetRole { conversation, member, role } => {
                let account = self.member(conversation, member)?;
                self.wish_as_admin(conversation, Intention::SetRole { account, role: *role })
            }
            Command::SetTitle { conversation, title } => {
                self.wish_as_admin(conversation, Intention::SetTitle(line::title(title)?))
            }
            Command::Leave { conversation } => {
                self.active_conversation(conversation)?;
                self.member_rows().intend(conversation, Intention::Leave);
                Ok(Response::Done)
            }
            Command::AcceptConversation { conversation } => {
                self.active_conversation(conversation)?;
                self.devices().keep_setting(&accepted_key(conversation), &Value::Bool(true))?;
                self.spaces.core(conversation)?.answered = true;
                self.content_rows().call_acceptance();
                self.profile().introduce(conversation)?;
                self.turn.tasks.push_back(Task::Contacts(*conversation));
                Ok(Response::Done)
            }
            Command::DeclineConversation { conversation, block } => {
                self.decline(conversation, *block)
            }
            Command::SetBlocked { member, blocked } => {
                let account = match member {
                    Member::Account(account) => *account,
                    Member::Address(address) => self.contacts().resolve_shown(address)?,
                };
                self.set_blocked(&account, *blocked)?;
                Ok(Response::Done)
            }
            Command::MarkRead { conversation, message } => {
                self.library().mark_read(conversation, message)
            }
            Command::ListMessages { conversation, before, limit } => {
                self.library().list_messages(conversation, before.as_ref(), *limit)
            }
            Command::Typing { conversation } => {
                self.active_conversation(conversation)?;
                self.signals().typing(conversation)?;
                Ok(Response::Done)
            }
            Command::SendMessage { conversation, text, reply_to } => {
                self.send_message(conversation, text, *reply_to)
            }
            Command::EditMessage { conversation, message, text } => {
                self.edit_message(conversation, message, text)
            }
            Command::DeleteMessage { conversation, message } => {
                self.amend(conversation, message, Edit::DeleteMessage { key: *message })
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
        self.amend(id, message, edit)
    }

    fn react(&mut self, id: &SpaceId, message: &OrderKey, emoji: Option<&str>) -> Step<Response> {
        if let Some(emoji) = emoji {
            written("emoji", emoji)?;
            limit("emoji", emoji.len(), EMOJI)?;
        }
        let edit = Edit::React { key: *message, emoji: emoji.map(str::to_owned) };
        self.amend(id, message, edit)
    }

    fn execute_document(&mut self, command: &Command) -> Step<Response> {
        match command {
            Command::Setting { key } => {
                let value = self.library().own_settings(key)?.remove(key);
                Ok(Response::Value(value.unwrap_or(Value::Null)))
            }
            Command::Settings => {
                let mut all = self.library().own_settings("")?;
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
            | Command::RenameDocument { .. }
            | Command::ArchiveDocument { .. }
            | Command::DeleteDocument { .. } => self.apps().execute_app(command),
            Command::SetPresence { space, name, state } => {
                let (space, name) = self.library().named(*space, name)?;
                if let Name::App(_, bare) = name {
                    self.signals().present(&space, &bare, state)?;
                }
                Ok(Response::Done)
            }
            Command::Digest { space } => {
                let space = self.account.space_id(self.spaces, *space)?;
                self.library().digest(&space)
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
            | Command::DrawInvite
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
        self.contacts().look_up_ahead(members);
        for address in members {
            self.known_if_online(address)?;
        }
        let id = self.member_rows().random_space();
        self.commits().found_space(id, title, false)?;
        let own = self.account.me()?.row().address.clone();
        for address in members.iter().filter(|address| address.as_str() != own) {
            let address = address.to_string();
            self.member_rows().intend(&id, Intention::Add { address, history: true });
        }
        let change = ConversationChange::Founded;
        self.turn.notify(Event::Conversation { conversation: id, change });
        Ok(Response::Conversation(id))
    }

    /// Connected, an address that leads nowhere is told at once; offline, later.
    fn known_if_online(&mut self, address: &Address) -> Step<()> {
        match self.contacts().resolve(address) {
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
        if history && !self.spaces.core(id)?.reads_all() {
            return Err(Failure::Partial.into());
        }
        self.wish_as_admin(id, Intention::Add { address: address.to_string(), history })
    }

    fn wish_as_admin(&mut self, id: &SpaceId, intention: Intention) -> Step<Response> {
        self.active_conversation(id)?;
        let me = self.account.me()?.account();
        if self.spaces.space(id)?.role(&me) != Some(Role::Admin) {
            return Err(Failure::Denied("only an admin may do this").into());
        }
        self.member_rows().intend(id, intention);
        Ok(Response::Done)
    }

    fn member(&mut self, id: &SpaceId, member: &Member) -> Step<AccountId> {
        let account = match member {
            Member::Account(account) => *account,
            Member::Address(address) => self.contacts().resolve_shown(address)?,
        };
        if self.spaces.space(id)?.role(&account).is_none() {
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
        self.profile().prepare_introduction(id)?;
        let writer = self.account.writer()?;
        let now = self.turn.wall;
        let space = self.spaces.core(id)?;
        let key = OrderKey { stamp: space.row.clock.tick(now), tag: writer.tag() };
        let message = NewMessage { reply_to, ..NewMessage::new(key, text) };
        self.outbox().edit(id, &name, Edit::Message(message))?;
        Ok(Response::Message(key))
    }

    /// Whoever answers an invitation has accepted it.
    pub(super) fn answer(&mut self, id: &SpaceId) {
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.invited_by.is_some() && !std::mem::replace(&mut space.answered, true) {
            self.turn.tasks.push_back(Task::Setting(accepted_key(id), Value::Bool(true)));
            self.turn.tasks.push_back(Task::Contacts(*id));
            self.content_rows().call_acceptance();
        }
    }

    /// The segment that takes the next message or amendment, open.
    fn open_segment(&mut self, id: &SpaceId) -> Step<Name> {
        loop {
            let space = self.spaces.core(id)?;
            let first = space.row.context.era << ERA_SHIFT;
            space.row.segment = space.row.segment.max(first);
            let segment = space.row.segment;
            self.documents.document(self.spaces, id, &Name::Messages(segment))?;
            let space = self.spaces.core(id)?;
            // The last one of an era takes what there is: the next number is another era's.
            let is_last = segment >> ERA_SHIFT != (segment + 1) >> ERA_SHIFT;
            if is_last || space.view.segment_len(segment) < SEGMENT {
                return Ok(Name::Messages(segment));
            }
            space.row.segment = segment + 1;
            self.turn.save_space(id);
        }
    }

    fn amend(&mut self, id: &SpaceId, message: &OrderKey, edit: Edit) -> Step<Response> {
        self.active_conversation(id)?;
        let author = self.library().find_message(id, message)?;
        if edit.is_authors() && author != self.account.me()?.account() {
            return Err(Failure::Denied("not your message").into());
        }
        let name = self.open_segment(id)?;
        self.outbox().edit(id, &name, edit)?;
        Ok(Response::Done)
    }

    fn decline(&mut self, id: &SpaceId, block: bool) -> Step<Response> {
        self.active_conversation(id)?;
        if let Some(inviter) = self.spaces.space(id)?.row.invited_by.filter(|_| block) {
            self.set_blocked(&inviter, true)?;
        }
        self.member_rows().intend(id, Intention::Leave);
        Ok(Response::Done)
    }

    fn set_blocked(&mut self, account: &AccountId, blocked: bool) -> Step<()> {
        let space = self.account.space_id(self.spaces, Space::Account)?;
        let known = contacts::contact(
            self.documents.document(self.spaces, &space, &Name::Contacts)?,
            account,
        );
        let person = self.people.get(account);
        let contact = known.unwrap_or_else(|| contacts::Contact {
            name: person.map(|person| person.name.clone()).unwrap_or_default(),
            address: person.and_then(|person| person.address.clone()),
            ..contacts::Contact::default()
        });
        let contact = contacts::Contact { blocked, ..contact };
        let edit = Edit::Contact { account: *account, contact: Some(contact) };
        self.outbox().edit(&space, &Name::Contacts, edit)?;
        Ok(())
    }

    fn set_setting(&mut self, key: &str, value: &Value) -> Step<Response> {
        if is_engines(key) {
            return Err(Failure::Denied(
                "settings under devices/ and profile/ are kept by the engine",
            )
            .into());
        }
        let space = self.account.space_id(self.spaces, Space::Account)?;
        self.documents.document(self.spaces, &space, &Name::Settings)?;
        let bytes = (!value.is_null()).then(|| Blob(value.to_string().into_bytes()));
        limit("setting's key", key.len(), limits::DOCUMENT_KEY)?;
        limit("setting", bytes.as_ref().map_or(0, |bytes| bytes.0.len()), TEXT)?;
        self.outbox().edit(
            &space,
            &Name::Settings,
            Edit::Setting { key: key.to_owned(), value: bytes },
        )?;
        Ok(Response::Done)
    }
}

/// Whether a setting is the engine's own, and not an app's.
fn is_engines(key: &str) -> bool {
    let kept = [
        crate::engine::account::devices::RECORDS,
        crate::engine::people::profile::PROFILE,
        crate::engine::members::renewals::CALLS,
    ];
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
