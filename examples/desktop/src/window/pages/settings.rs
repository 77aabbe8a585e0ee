//! What can be set, and what there is to know.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use desktop::preferences::Theme;
use desktop::words;
use gtk::glib;
use sync_client::AccountId;

use super::{Context, Shown, passphrase};
use crate::app::App;
use crate::parts::{
    Fault, Kept, Spoken as _, avatar, button, clear, column, entry, switch, weakly,
};
use crate::session::News;
use crate::view::Route;

struct Settings {
    context: Context,
    name: adw::EntryRow,
    save: gtk::Button,
    shown: RefCell<String>,
    fault: Fault,
    blocked: gtk::Box,
    blocked_of: Kept<Vec<Blocked>>,
}

/// Somebody who is blocked.
#[derive(Clone, PartialEq)]
struct Blocked {
    account: AccountId,
    name: String,
    address: String,
}

/// Settings.
pub(crate) fn settings(context: &Context) -> Shown {
    let page = context.page("Settings", Route::List);
    let name = entry("Your name", "What others call you, on all your devices.");
    let this = Rc::new(Settings {
        context: context.clone(),
        name,
        save: button("Save", &["flat"]),
        shown: RefCell::default(),
        fault: Fault::new(),
        blocked: column(0),
        blocked_of: Kept::default(),
    });
    let content = &page.content;
    content.append(&this.me());
    content.append(this.fault.root());
    if let Some(app) = context.shell.upgrade().map(|shell| shell.app().clone()) {
        content.append(&appearance(&app));
        content.append(&notices(&app));
        content.append(&habits(context, &app));
        content.append(&passphrase::protection(&app));
        content.append(&this.connection(&app));
    }
    content.append(&this.blocked);
    let devices = button("Devices and recovery", &["pill"]);
    devices.set_halign(gtk::Align::Center);
    devices.set_action_name(Some("app.devices"));
    content.append(&devices);
    this.connect();
    this.look();
    (page.root, this)
}

impl Settings {
    fn me(&self) -> adw::PreferencesGroup {
        let status = self.context.session.status();
        let group = adw::PreferencesGroup::new();
        let address = status.address.unwrap_or_default();
        let row = adw::ActionRow::builder()
            .title(glib::markup_escape_text(&address).as_str())
            .subtitle("Your address, by which others find you")
            .focusable(false)
            .build();
        row.add_prefix(&avatar(if status.name.is_empty() { &address } else { &status.name }, 44));
        group.add(&row);
        self.save.set_valign(gtk::Align::Center);
        self.name.add_suffix(&self.save);
        group.add(&self.name);
        group
    }

    fn connect(self: &Rc<Self>) {
        self.context.session.tell_to(self, |this, news| {
            if matches!(news, News::Status | News::Settings | News::Conversations) {
                this.look();
            }
        });
        self.name.connect_changed(weakly(self, |this| this.show_save()));
        self.name.connect_entry_activated(weakly(self, |this| this.save()));
        self.save.connect_clicked(weakly(self, |this| this.save()));
    }

    fn show_save(&self) {
        let typed = self.name.text();
        self.save.set_visible(!typed.trim().is_empty() && typed.trim() != *self.shown.borrow());
    }

    fn save(self: &Rc<Self>) {
        let (this, name) = (self.clone(), self.name.text().trim().to_owned());
        glib::spawn_future_local(async move {
            let done = this.context.session.client().account().set_name(&name).await;
            this.fault.say(done.err().map(|failure| words::failure(&failure)).as_deref());
        });
    }

    fn look(self: &Rc<Self>) {
        let name = self.context.session.status().name;
        let was = self.shown.replace(name.clone());
        // What somebody is typing is not taken away by what another device did.
        if self.name.text() == was && was != name {
            self.name.set_text(&name);
        }
        self.show_save();
        self.show_blocked();
    }

    fn show_blocked(self: &Rc<Self>) {
        let session = &self.context.session;
        let conversations = session.conversations();
        let marks = session.marks().clone();
        let blocked = marks.blocked.iter().map(|account| {
            let known =
                conversations.all().iter().find_map(|view| words::member_of(view, *account));
            let address = known.and_then(|one| one.address.clone()).unwrap_or_default();
            Blocked { account: *account, name: words::name_of(known), address }
        });
        let blocked: Vec<Blocked> = blocked.collect();
        if !self.blocked_of.is_new(blocked.clone()) {
            return;
        }
        clear(&self.blocked);
        if blocked.is_empty() {
            return;
        }
        let group = adw::PreferencesGroup::builder().title("Blocked people").build();
        for Blocked { account, name, address } in blocked {
            let row = adw::ActionRow::builder()
                .title(glib::markup_escape_text(&name).as_str())
                .subtitle(glib::markup_escape_text(&address).as_str())
                .build();
            let unblock = button("Unblock", &["flat"]);
            unblock.set_valign(gtk::Align::Center);
            unblock.set_more_spoken(&name);
            let session = session.clone();
            unblock.connect_clicked(move |_| {
                let session = session.clone();
                glib::spawn_future_local(async move {
                    session.attempt(session.set_blocked(account, false)).await
                });
            });
            row.add_suffix(&unblock);
            group.add(&row);
        }
        self.blocked.append(&group);
    }

    fn connection(&self, app: &Rc<App>) -> adw::PreferencesGroup {
        let group = adw::PreferencesGroup::builder().title("Connection").build();
        let session = self.context.session.clone();
        let (row, _) = switch(
            "Stay offline",
            "What you write waits on this device until you are back.",
            self.context.session.is_away(),
            move |is_away| {
                let session = session.clone();
                glib::spawn_future_local(async move {
                    session.attempt(session.set_away(is_away)).await
                });
            },
        );
        group.add(&row);
        let relay = adw::ActionRow::builder()
            .title("Relay")
            .subtitle(glib::markup_escape_text(&app.relay()).as_str())
            .subtitle_lines(2)
            .build();
        group.add(&relay);
        group
    }
}

fn appearance(app: &Rc<App>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title("Appearance on this device").build();
    let mut first: Option<gtk::CheckButton> = None;
    for (theme, title) in Theme::ALL {
        let check = gtk::CheckButton::builder().active(app.preferences().theme == theme).build();
        check.set_group(first.as_ref());
        let app = app.clone();
        check.connect_active_notify(move |check| {
            if check.is_active() {
                app.prefer(|preferences| preferences.theme = theme);
            }
        });
        let row = adw::ActionRow::builder().title(title).build();
        row.add_prefix(&check);
        row.set_activatable_widget(Some(&check));
        group.add(&row);
        first.get_or_insert(check);
    }
    group
}

fn notices(app: &Rc<App>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title("Notifications").build();
    let preferences = app.preferences();
    let app_ = app.clone();
    let (row, _) = switch(
        "Announce new messages on this device",
        "Muted conversations stay silent.",
        preferences.notify,
        move |is_on| app_.prefer(|preferences| preferences.notify = is_on),
    );
    group.add(&row);
    let app_ = app.clone();
    let (row, _) = switch(
        "Show what was written",
        "Otherwise a notification says only where something is new.",
        preferences.notify_text,
        move |is_on| app_.prefer(|preferences| preferences.notify_text = is_on),
    );
    group.add(&row);
    group
}

fn habits(context: &Context, app: &Rc<App>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title("On this desktop").build();
    let app_ = app.clone();
    let (row, _) = switch(
        "Go on in the background",
        "Messages arrive and are announced after the window is closed. Ctrl+Q quits.",
        app.preferences().background,
        move |is_on| app_.prefer(|preferences| preferences.background = is_on),
    );
    group.add(&row);
    let (app_, session) = (app.clone(), context.session.clone());
    let (row, _) = switch(
        "Start with the session",
        "Without a window, to announce what arrives.",
        app.starts_with_session(),
        move |is_on| {
            if let Err(error) = app_.start_with_session(is_on) {
                session.say(format!("That could not be set: {error}."));
            }
        },
    );
    group.add(&row);
    group
}
