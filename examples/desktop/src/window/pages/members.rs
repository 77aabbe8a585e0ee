//! Somebody in a conversation, and what one can do about them.

use adw::prelude::*;
use desktop::words;
use gtk::glib;
use sync_client::{MemberView, Role, SpaceId};

use super::{Context, SafetyNumber};
use crate::parts::{Menu, Question, ask, avatar, icon_button};

/// Somebody in a conversation. `may_change` says whether one may remove people and change roles.
pub(super) fn member_row(
    context: &Context,
    conversation: SpaceId,
    member: &MemberView,
    may_change: bool,
) -> adw::ActionRow {
    let session = &context.session;
    let is_me = Some(member.account) == session.me();
    let is_blocked = session.marks().is_blocked(member.account);
    let name = words::name_of(Some(member));
    let facts = [
        member.address.clone(),
        (member.role == Role::Admin).then(|| "admin".to_owned()),
        is_blocked.then(|| "blocked".to_owned()),
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let title = if is_me { format!("{name} (you)") } else { name.clone() };
    let row = adw::ActionRow::builder()
        .title(glib::markup_escape_text(&title).as_str())
        .subtitle(glib::markup_escape_text(&facts.join(" · ")).as_str())
        .build();
    row.add_prefix(&avatar(&name, 36));
    if !is_me {
        let person = Person {
            context: context.clone(),
            conversation,
            member: member.clone(),
            name,
            may_change,
            is_blocked,
        };
        row.add_suffix(&person.menu());
    }
    row
}

#[derive(Clone)]
struct Person {
    context: Context,
    conversation: SpaceId,
    member: MemberView,
    name: String,
    may_change: bool,
    is_blocked: bool,
}

impl Person {
    fn menu(&self) -> gtk::Button {
        let button =
            icon_button("view-more-symbolic", &format!("What one can do about {}", self.name));
        button.set_valign(gtk::Align::Center);
        button.add_css_class("flat");
        let this = self.clone();
        button.connect_clicked(move |button| this.open_menu(button));
        button
    }

    fn open_menu(&self, button: &gtk::Button) {
        let menu = Menu::new(&format!("What one can do about {}", self.name));
        let has_changed = self.context.session.marks().changed.get(&self.member.account).is_some();
        let safety = if has_changed { "Compare the safety number again" } else { "Safety number" };
        let is_admin = self.member.role == Role::Admin;
        let role = if is_admin { "Make a member" } else { "Make an admin" };
        let block = if self.is_blocked { "Unblock" } else { "Block" };
        let add = |label: &str, is_dangerous: bool, act: fn(&Self, gtk::Button)| {
            let (this, button) = (self.clone(), button.clone());
            menu.add(label, is_dangerous, move || act(&this, button.clone()));
        };
        add(safety, false, |this, above| {
            let session = &this.context.session;
            SafetyNumber::show(&above, session, this.member.account, &this.name);
        });
        if self.may_change {
            add(role, false, |this, _| this.change_role());
            add("Remove", true, |this, above| {
                let this = this.clone();
                glib::spawn_future_local(async move { this.remove(&above).await });
            });
        }
        add(block, !self.is_blocked, |this, above| {
            let this = this.clone();
            glib::spawn_future_local(async move { this.block(&above).await });
        });
        menu.open(button, None);
    }

    fn change_role(&self) {
        let (conversation, account) = (self.conversation, self.member.account);
        let role = if self.member.role == Role::Admin { Role::Member } else { Role::Admin };
        self.context.session.begin_to(|client| async move {
            client.conversation(conversation).set_role(account, role).await
        });
    }

    async fn remove(&self, above: &gtk::Button) {
        let question = Question {
            title: &format!("Remove {}?", words::quoted(&self.name)),
            text: "They read nothing that is written from now on. What they have read they keep.",
            yes: "Remove",
            is_dangerous: true,
        };
        if ask(above, question).await {
            let session = &self.context.session;
            let conversation = session.client().conversation(self.conversation);
            session.attempt(conversation.remove(self.member.account)).await;
        }
    }

    async fn block(&self, above: &gtk::Button) {
        let question = Question {
            title: &format!("Block {}?", words::quoted(&self.name)),
            text: "You see nothing more of them: neither what they write nor their invitations. They \
                   are not told.",
            yes: "Block",
            is_dangerous: true,
        };
        if self.is_blocked || ask(above, question).await {
            let session = &self.context.session;
            session.attempt(session.set_blocked(self.member.account, !self.is_blocked)).await;
        }
    }
}
