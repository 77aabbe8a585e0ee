//! What stands before a window that is locked.

use std::rc::Rc;

use adw::prelude::*;
use gtk::glib;

use super::alone::erase_button;
use crate::app::App;
use crate::parts::{Fault, busy, button, column, hint, password, weakly};

const UNLOCK: &str = "Unlock";

/// The lock.
pub(crate) struct Locked {
    app: Rc<App>,
    root: adw::StatusPage,
    field: adw::EntryRow,
    fault: Fault,
    go: gtk::Button,
}

impl Locked {
    /// A lock that asks for the passphrase.
    pub(crate) fn new(app: &Rc<App>) -> Rc<Self> {
        let root = adw::StatusPage::builder()
            .icon_name("changes-prevent-symbolic")
            .title("Locked")
            .build();
        root.set_description(Some(match app.is_open() {
            true => "Messages still arrive. Your passphrase shows them.",
            false => "What is kept on this device opens by your passphrase.",
        }));
        let this = Rc::new(Self {
            app: app.clone(),
            root,
            field: password("Your passphrase", "It was set in the settings of this device."),
            fault: Fault::new(),
            go: button(UNLOCK, &["pill", "suggested-action"]),
        });
        let group = adw::PreferencesGroup::new();
        group.add(&this.field);
        let all = column(18);
        all.append(&group);
        all.append(this.fault.root());
        this.go.set_halign(gtk::Align::Center);
        all.append(&this.go);
        all.append(&this.forgotten());
        this.root.set_child(Some(&adw::Clamp::builder().maximum_size(420).child(&all).build()));
        this.connect();
        this
    }

    /// What is left to who forgot it. While the store is open, erasing takes somebody who may see it.
    fn forgotten(&self) -> gtk::Box {
        let all = column(12);
        if self.app.is_open() {
            let way = hint("If you forgot it, quit (Ctrl+Q) and start again.");
            way.set_halign(gtk::Align::Center);
            all.append(&way);
            return all;
        }
        all.append(&hint(
            "Nobody can tell you the passphrase. If you forgot it, what is kept on this device is lost; \
             your other devices, or the recovery code, bring your account back.",
        ));
        let erase = erase_button(&self.app);
        erase.set_halign(gtk::Align::Center);
        all.append(&erase);
        all
    }

    fn connect(self: &Rc<Self>) {
        self.field.connect_changed(weakly(self, |this| this.look()));
        self.field.connect_entry_activated(weakly(self, |this| this.unlock()));
        self.go.connect_clicked(weakly(self, |this| this.unlock()));
        self.look();
    }

    fn look(&self) {
        self.go.set_sensitive(!self.field.text().is_empty());
    }

    fn unlock(self: &Rc<Self>) {
        if !self.go.is_sensitive() {
            return;
        }
        busy(&self.go, true, "Unlocking…");
        self.fault.say(None);
        let (this, passphrase) = (self.clone(), self.field.text().to_string());
        glib::spawn_future_local(async move {
            let unlocked = this.app.unlock(passphrase).await;
            busy(&this.go, false, UNLOCK);
            if let Err(why) = unlocked {
                this.fault.say(Some(&why));
                this.field.set_text("");
                this.focus();
            }
        });
    }

    /// What is put into a window.
    pub(crate) fn root(&self) -> &adw::StatusPage {
        &self.root
    }

    /// Puts the cursor where the passphrase is written.
    pub(crate) fn focus(&self) {
        self.field.grab_focus();
    }
}
