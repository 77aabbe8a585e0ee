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
use crate::parts::{Dialog, Question, Spoken as _, ask, button, column, copy, row};

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
    let popover = gtk::Popover::new();
    popover.set_spoken("Actions for this message");
    let menu = Menu { chat: chat.clone(), line: line.clone(), popover: popover.clone() };
    popover.set_child(Some(&menu.parts(&view)));
    popover.set_parent(beside);
    let focus = beside.root().and_then(|root| root.focus());
    popover.connect_closed(move |popover| {
        let (popover, focus) = (popover.clone(), focus.clone());
        glib::idle_add_local_once(move || {
            popover.unparent();
            if let Some(focus) = focus.filter(|focus| focus.is_mapped()) {
                focus.grab_focus();
            }
        });
    });
    popover.popup();
}

#[derive(Clone)]
struct Menu {
    chat: Rc<Chat>,
    line: Line,
    popover: gtk::Popover,
}

impl Menu {
    fn parts(&self, view: &ConversationView) -> gtk::Box {
        let can_write = view.active && !view.pending && !self.line.message.deleted;
        let parts = column(2);
        if can_write {
            parts.append(&self.emoji());
            parts.append(&self.item("Reply", Act::Reply));
        }
        if can_write && self.line.mine {
            parts.append(&self.item("Edit", Act::Edit));
        }
        if !self.line.message.deleted {
            let item = self.plain("Copy text", |menu| {
                copy(menu.chat.root(), &menu.line.message.text);
                menu.chat.session.say("Copied.");
            });
            parts.append(&item);
        }
        let view_ = view.clone();
        parts.append(&self.plain("Details", move |menu| details(menu, &view_)));
        if can_write && self.line.mine {
            let item = self.plain("Delete for everyone", |menu| {
                let menu = menu.clone();
                glib::spawn_future_local(async move { menu.delete().await });
            });
            item.add_css_class("destructive");
            parts.append(&item);
        }
        parts
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
            let menu = self.clone();
            button.connect_clicked(move |_| menu.act(Act::React(emoji.to_owned())));
            all.append(&button);
        }
        all.append(&self.more());
        all
    }

    fn more(&self) -> gtk::MenuButton {
        let chooser = gtk::EmojiChooser::new();
        let menu = self.clone();
        chooser.connect_emoji_picked(move |_, emoji| menu.act(Act::React(emoji.to_owned())));
        let more = gtk::MenuButton::builder()
            .icon_name("list-add-symbolic")
            .tooltip_text("More emoji")
            .popover(&chooser)
            .build();
        more.add_css_class("flat");
        more.set_spoken("More emoji");
        more
    }

    fn item(&self, label: &str, act: Act) -> gtk::Button {
        self.plain(label, move |menu| menu.act(act.clone()))
    }

    fn plain(&self, label: &str, act: impl Fn(&Self) + 'static) -> gtk::Button {
        let text = gtk::Label::builder().label(label).xalign(0.0).build();
        let button = gtk::Button::builder().child(&text).build();
        button.set_spoken(label);
        button.add_css_class("flat");
        let menu = self.clone();
        button.connect_clicked(move |_| {
            menu.popover.popdown();
            act(&menu);
        });
        button
    }

    fn act(&self, act: Act) {
        self.popover.popdown();
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

fn details(menu: &Menu, view: &ConversationView) {
    let dialog = Dialog::new(menu.chat.root(), "About this message");
    let (line, clock) = (&menu.line, Clock::system());
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
