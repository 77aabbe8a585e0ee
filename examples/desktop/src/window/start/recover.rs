//! An account comes back with its recovery code.

use std::rc::{Rc, Weak};

use adw::prelude::*;
use desktop::words;
use gtk::glib;

use super::Start;
use crate::parts::{Fault, Page, busy, button, entry, hint, weakly};

const RECOVER: &str = "Recover account";

/// The step.
pub(super) struct Recover {
    start: Weak<Start>,
    address: adw::EntryRow,
    code: adw::EntryRow,
    name: adw::EntryRow,
    fault: Fault,
    recover: gtk::Button,
}

impl Recover {
    pub(super) fn new(start: &Rc<Start>, page: &Page) -> Rc<Self> {
        let this = Rc::new(Self {
            start: Rc::downgrade(start),
            address: entry("Your address", "By which others find you."),
            code: entry("Your recovery code", "All its words, with blanks between them."),
            name: entry("What to call this device", ""),
            fault: Fault::new(),
            recover: button(RECOVER, &["suggested-action", "pill"]),
        });
        this.name.set_text(&super::device_name());
        let group = adw::PreferencesGroup::new();
        for field in this.fields() {
            group.add(field);
        }
        page.content.append(&group);
        page.content.append(&hint(
            "This needs a connection. All other devices of the account end, and you get a new code.",
        ));
        page.content.append(this.fault.root());
        this.recover.set_halign(gtk::Align::Center);
        page.content.append(&this.recover);
        this.connect();
        this.look();
        this
    }

    fn fields(&self) -> [&adw::EntryRow; 3] {
        [&self.address, &self.code, &self.name]
    }

    fn connect(self: &Rc<Self>) {
        for field in self.fields() {
            field.connect_changed(weakly(self, |this| this.look()));
            field.connect_entry_activated(weakly(self, |this| this.go()));
        }
        self.recover.connect_clicked(weakly(self, |this| this.go()));
    }

    fn look(&self) {
        let is_whole = self.fields().iter().all(|field| !field.text().trim().is_empty());
        self.recover.set_sensitive(is_whole);
    }

    fn go(self: &Rc<Self>) {
        let Some(start) = self.start.upgrade().filter(|_| self.recover.is_sensitive()) else {
            return;
        };
        busy(&self.recover, true, "Recovering…");
        let this = self.clone();
        let (address, name) = (self.address.text(), self.name.text());
        let code = self.code.text().to_lowercase();
        let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
        glib::spawn_future_local(async move {
            let account = start.session().client().account();
            match account.recover(address.trim(), &code, name.trim()).await {
                Ok(made) => start.show_code(&made.recovery_code, true),
                Err(failure) => {
                    this.fault.say(Some(&words::recovery_failure(&failure)));
                    busy(&this.recover, false, RECOVER);
                }
            }
        });
    }
}
