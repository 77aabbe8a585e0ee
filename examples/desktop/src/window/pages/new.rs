//! Whom to talk with, and about what.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use desktop::address::addresses;
use desktop::words;
use gtk::{gdk, glib};

use super::{Context, Shown};
use crate::parts::{Fault, Spoken as _, busy, button, entry, hint, icon_button, row, weakly};
use crate::view::Route;

struct New {
    context: Context,
    people: adw::EntryRow,
    title: adw::EntryRow,
    chips: gtk::FlowBox,
    begin: gtk::Button,
    fault: Fault,
    chosen: RefCell<Vec<String>>,
}

const BEGIN: &str = "Begin conversation";

/// Begins a conversation, with somebody at once if a link said so.
pub(crate) fn new_conversation(context: &Context, with: Option<String>) -> Shown {
    let page = context.page("New conversation", Route::List);
    let group = adw::PreferencesGroup::new();
    let people = entry("With whom", "Addresses of one or several people.");
    let title = entry("Title", "May be left empty.");
    group.add(&people);
    group.add(&title);
    let chips = gtk::FlowBox::builder().selection_mode(gtk::SelectionMode::None).build();
    chips.set_spoken("Chosen people");
    let begin = button(BEGIN, &["suggested-action", "pill"]);
    begin.set_halign(gtk::Align::Center);
    let this = Rc::new(New {
        context: context.clone(),
        people,
        title,
        chips,
        begin,
        fault: Fault::new(),
        chosen: RefCell::default(),
    });
    page.content.append(&group);
    page.content.append(&hint(
        "Addresses are phone numbers or words. A comma or Enter adds one; who is not found is told \
         later.",
    ));
    page.content.append(&this.chips);
    page.content.append(this.fault.root());
    page.content.append(&this.begin);
    this.connect();
    if let Some(address) = with {
        this.people.set_text(&address);
    }
    this.look();
    (page.root, this)
}

impl New {
    fn connect(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        self.people.connect_changed(move |people| {
            let Some(this) = this.upgrade() else { return };
            if people.text().contains([',', ';']) {
                this.take();
            }
            this.look();
        });
        let this = Rc::downgrade(self);
        self.people.connect_entry_activated(move |people| {
            let Some(this) = this.upgrade() else { return };
            match people.text().trim().is_empty() {
                true => this.begin(),
                false => this.take(),
            }
            this.look();
        });
        self.title.connect_changed(weakly(self, |this| this.look()));
        self.title.connect_entry_activated(weakly(self, |this| this.begin()));
        let keys = gtk::EventControllerKey::new();
        let this = Rc::downgrade(self);
        keys.connect_key_pressed(move |_, key, _, _| {
            let this = this.upgrade().filter(|this| this.people.text().is_empty());
            let Some(this) = this.filter(|_| key == gdk::Key::BackSpace) else {
                return glib::Propagation::Proceed;
            };
            this.chosen.borrow_mut().pop();
            this.look();
            glib::Propagation::Stop
        });
        self.people.add_controller(keys);
        self.begin.connect_clicked(weakly(self, |this| this.begin()));
    }

    fn all(&self) -> Vec<String> {
        let mut all = self.chosen.borrow().clone();
        for address in addresses(&self.people.text()) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    fn take(&self) {
        let all = self.all();
        self.chosen.replace(all);
        self.people.set_text("");
    }

    fn look(self: &Rc<Self>) {
        while let Some(child) = self.chips.first_child() {
            self.chips.remove(&child);
        }
        for address in self.chosen.borrow().iter() {
            self.chips.insert(&self.chip(address), -1);
        }
        self.chips.set_visible(!self.chosen.borrow().is_empty());
        let is_ready = !self.all().is_empty() || !self.title.text().trim().is_empty();
        self.begin.set_sensitive(is_ready);
    }

    fn chip(self: &Rc<Self>, address: &str) -> gtk::FlowBoxChild {
        let chip = row(4);
        chip.add_css_class("chip");
        chip.append(&gtk::Label::new(Some(address)));
        let out = icon_button("window-close-symbolic", &format!("Take {address} out"));
        out.add_css_class("flat");
        out.add_css_class("circular");
        let (this, address) = (Rc::downgrade(self), address.to_owned());
        out.connect_clicked(move |_| {
            if let Some(this) = this.upgrade() {
                this.chosen.borrow_mut().retain(|other| *other != address);
                this.look();
            }
        });
        chip.append(&out);
        gtk::FlowBoxChild::builder().child(&chip).focusable(false).build()
    }

    fn begin(self: &Rc<Self>) {
        if !self.begin.is_sensitive() {
            return;
        }
        busy(&self.begin, true, "Beginning…");
        self.fault.say(None);
        let (this, all) = (self.clone(), self.all());
        let title = self.title.text().trim().to_owned();
        glib::spawn_future_local(async move {
            let members: Vec<_> = all.iter().map(String::as_str).collect();
            let client = this.context.session.client();
            match client.conversations().create(&title, &members).await {
                Ok(conversation) => {
                    this.context.session.know(conversation.id()).await;
                    this.context.go(Route::Chat(conversation.id()));
                }
                Err(failure) => {
                    this.fault.say(Some(&words::failure(&failure)));
                    busy(&this.begin, false, BEGIN);
                }
            }
        });
    }
}
