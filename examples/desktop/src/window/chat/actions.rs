//! What one can do with a message.

use std::rc::Rc;

use adw::prelude::*;
use desktop::time::Clock;
use desktop::timeline::Line;
use desktop::words;
use gtk::glib;
use sync_client::{AccountId, ConversationView, SortedSet};

use super::Chat;
use super::emoji::FIRST;
use crate::parts::{
    Dialog, Menu, Question, Spoken as _, ask, button, choose_emoji, copy, icon_button, row,
};

/// What is done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Answer it.
    Reply,
    /// Write it anew.
    Edit,
    /// React with this, or take it back.
    React(String),
    /// Delete it for everyone.
    Delete,
}

/// Shows what one can do with a message, beside it.
pub(super) fn popup(chat: &Rc<Chat>, line: &Line, beside: &gtk::Widget) {
    let Some(view) = chat.view() else { return };
    let actions = Actions { chat: chat.clone(), line: line.clone(), beside: beside.clone() };
    actions.menu(&view).open(beside, None);
}

#[derive(Clone)]
struct Actions {
    chat: Rc<Chat>,
    line: Line,
    beside: gtk::Widget,
}

impl Actions {
    fn menu(&self, view: &ConversationView) -> Menu {
        let can_write = view.active && !view.pending && !self.line.message.deleted;
        let menu = Menu::new("Actions for this message");
        let add = |label: &str, is_dangerous: bool, act: fn(&Self)| {
            let this = self.clone();
            menu.add(label, is_dangerous, move || act(&this));
        };
        if can_write {
            menu.append(&self.emoji());
            add("Reply", false, |this| this.act(Act::Reply));
        }
        if can_write && self.line.mine {
            add("Edit", false, |this| this.act(Act::Edit));
        }
        if !self.line.message.deleted {
            add("Copy text", false, |this| {
                copy(this.chat.root(), &this.line.message.text);
                this.chat.session.say("Copied.");
            });
        }
        add("Details", false, |this| {
            if let Some(view) = this.chat.view() {
                details(this, &view);
            }
        });
        if can_write && self.line.mine {
            add("Delete for everyone", true, |this| {
                let this = this.clone();
                glib::spawn_future_local(async move { this.delete().await });
            });
        }
        menu
    }

    fn emoji(&self) -> gtk::Box {
        let me = self.chat.session.me();
        let own = me.and_then(|me| self.line.message.reactions.get(&me).cloned());
        let all = row(2);
        for emoji in FIRST {
            let is_own = own.as_deref() == Some(emoji);
            let button = button(emoji, &["flat", "emoji"]);
            let name = match is_own {
                true => format!("Take {emoji} back"),
                false => format!("React with {emoji}"),
            };
            button.set_spoken(&name);
            button.set_tooltip_text(Some(&name));
            if is_own {
                button.add_css_class("chosen");
            }
            let this = self.clone();
            Menu::chosen(&button, move || this.act(Act::React(emoji.to_owned())));
            all.append(&button);
        }
        all.append(&self.more());
        all
    }

    fn more(&self) -> gtk::Button {
        let more = icon_button("list-add-symbolic", "More emoji");
        more.add_css_class("flat");
        let this = self.clone();
        Menu::chosen(&more, move || {
            let (this, beside) = (this.clone(), this.beside.clone());
            choose_emoji(&beside, move |emoji| this.act(Act::React(emoji.to_owned())));
        });
        more
    }

    fn act(&self, act: Act) {
        self.chat.act(&self.line, act);
    }

    async fn delete(&self) {
        let question = Question {
            title: "Delete this message?",
            text: "It is deleted for everyone in the conversation.",
            yes: "Delete",
            is_dangerous: true,
        };
        if ask(self.chat.root(), question).await {
            self.chat.act(&self.line, Act::Delete);
        }
    }
}

fn details(of: &Actions, view: &ConversationView) {
    let dialog = Dialog::new(of.chat.root(), "About this message");
    let (line, clock) = (&of.line, Clock::system());
    let group = adw::PreferencesGroup::new();
    let fact = |title: &str, text: &str| {
        let row = adw::ActionRow::builder()
            .title(title)
            .subtitle(glib::markup_escape_text(text).as_str())
            .build();
        group.add(&row);
    };
    fact("Written", &clock.date_time(line.message.at_ms));
    if line.mine {
        fact("Read by", &names(view, &line.message.read, None));
        fact("Delivered to", &names(view, &line.message.delivered, Some(&line.message.read)));
    }
    for (emoji, who) in &line.reactions {
        fact(emoji, &words::listed(who));
    }
    dialog.content.append(&group);
    dialog.window.present();
}

fn names(
    view: &ConversationView,
    accounts: &SortedSet<AccountId>,
    without: Option<&SortedSet<AccountId>>,
) -> String {
    let is_meant = |account: &AccountId| {
        accounts.contains(account) && !without.is_some_and(|others| others.contains(account))
    };
    let members = view.members.iter().filter(|member| is_meant(&member.account));
    let names: Vec<_> = members.map(|member| words::name_of(Some(member))).collect();
    if names.is_empty() { "Nobody yet".to_owned() } else { words::listed(&names) }
}
