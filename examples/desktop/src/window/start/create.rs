//! A new account on this device.

use std::rc::{Rc, Weak};

use adw::prelude::*;
use desktop::words;
use gtk::glib;

use super::Start;
use crate::parts::{Fault, Page, busy, button, entry, hint, weakly};

const CREATE: &str = "Create account";

/// The step.
pub(super) struct Create {
    start: Weak<Start>,
    name: adw::EntryRow,
    address: adw::EntryRow,
    fault: Fault,
    create: gtk::Button,
}

impl Create {
    pub(super) fn new(start: &Rc<Start>, page: &Page) -> Rc<Self> {
        let this = Rc::new(Self {
            start: Rc::downgrade(start),
            name: entry("Your name", "Only people you talk with see it."),
            address: entry(
                "Your address",
                "By which others find you: a phone number, or a word of three letters or more.",
            ),
            fault: Fault::new(),
            create: button(CREATE, &["suggested-action", "pill"]),
        });
        let group = adw::PreferencesGroup::new();
        group.add(&this.name);
        group.add(&this.address);
        page.content.append(&group);
        page.content.append(&hint(
            "Only people you talk with see your name. Others find you by your address: a phone number, \
             or a word of three letters or more.",
        ));
        page.content.append(this.fault.root());
        this.create.set_halign(gtk::Align::Center);
        page.content.append(&this.create);
        this.connect();
        this.look();
        this
    }

    fn connect(self: &Rc<Self>) {
        for field in [&self.name, &self.address] {
            field.connect_changed(weakly(self, |this| this.look()));
            field.connect_entry_activated(weakly(self, |this| this.go()));
        }
        self.create.connect_clicked(weakly(self, |this| this.go()));
    }

    fn look(&self) {
        let is_whole =
            [&self.name, &self.address].iter().all(|field| !field.text().trim().is_empty());
        self.create.set_sensitive(is_whole);
    }

    fn go(self: &Rc<Self>) {
        let Some(start) = self.start.upgrade().filter(|_| self.create.is_sensitive()) else {
            return;
        };
        busy(&self.create, true, "Creating…");
        let this = self.clone();
        let (address, name) = (self.address.text(), self.name.text());
        glib::spawn_future_local(async move {
            let account = start.session().client().account();
            match account.create(address.trim(), name.trim()).await {
                Ok(made) => start.show_code(&made.recovery_code, false),
                Err(failure) => {
                    this.fault.say(Some(&words::failure(&failure)));
                    busy(&this.create, false, CREATE);
                }
            }
        });
    }
}
