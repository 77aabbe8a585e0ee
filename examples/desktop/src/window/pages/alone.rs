//! Screens with nothing behind them: which relay, why nothing opens, and the end of a device.

use std::rc::Rc;

use adw::prelude::*;
use desktop::words;
use gtk::glib;

use crate::app::{App, ID, Refusal};
use crate::parts::{Question, ask, button, column, entry, weakly};
use crate::session::Session;
use crate::shell::Shell;

/// Asks which relay it is.
pub(crate) fn relay_page(relay: &str, chosen: impl Fn(&str) + 'static) -> adw::StatusPage {
    let page = adw::StatusPage::builder()
        .icon_name("network-server-symbolic")
        .title("Which relay?")
        .description(
            "It carries what you write to your other devices and other people, and can't read it. \
             Whoever runs it tells you its address.",
        )
        .build();
    let group = adw::PreferencesGroup::new();
    let field = entry("The relay's address", "It begins with wss:// or ws://.");
    field.set_text(if relay.is_empty() { "wss://" } else { relay });
    group.add(&field);
    let go = button("Continue", &["pill", "suggested-action"]);
    go.set_halign(gtk::Align::Center);
    let is_whole =
        |text: &str| text.trim().split_once("://").is_some_and(|(_, host)| !host.is_empty());
    go.set_sensitive(is_whole(&field.text()));
    let button_ = go.clone();
    field.connect_changed(move |field| button_.set_sensitive(is_whole(&field.text())));
    let chosen = Rc::new(chosen);
    let (chosen_, field_) = (chosen.clone(), field.clone());
    go.connect_clicked(move |_| chosen_(field_.text().trim()));
    field.connect_entry_activated(move |field| {
        if is_whole(&field.text()) {
            chosen(field.text().trim());
        }
    });
    let all = column(18);
    all.append(&group);
    all.append(&go);
    let clamp = adw::Clamp::builder().maximum_size(420).child(&all).build();
    page.set_child(Some(&clamp));
    page
}

/// Why the store can't be opened, and what to do about it.
pub(crate) fn refused(shell: &Rc<Shell>, refusal: &Refusal) -> adw::StatusPage {
    let page = adw::StatusPage::builder()
        .icon_name("dialog-error-symbolic")
        .title("Rejoinder can't open here")
        .description(glib::markup_escape_text(&refusal.text()).as_str())
        .build();
    let buttons = column(12);
    buttons.set_halign(gtk::Align::Center);
    let again = button("Try again", &["pill", "suggested-action"]);
    again.connect_clicked(weakly(shell, |shell| {
        shell.wait();
        shell.app().open_store();
    }));
    buttons.append(&again);
    let relay = button("Another relay", &["pill"]);
    relay.connect_clicked(weakly(shell, |shell| shell.ask_relay()));
    buttons.append(&relay);
    if refusal.is_for_good() {
        buttons.append(&erase_button(shell.app()));
    }
    page.set_child(Some(&buttons));
    page
}

/// Gives up what nobody can open any more, once the person says so.
pub(crate) fn erase_button(app: &Rc<App>) -> gtk::Button {
    let erase = button("Erase and begin anew", &["pill", "destructive-action"]);
    let app = app.clone();
    erase.connect_clicked(move |button| {
        let (app, button) = (app.clone(), button.clone());
        glib::spawn_future_local(async move {
            let question = Question {
                title: "Erase what is here?",
                text: "Everything that this device has of the account is erased. Other devices keep \
                       theirs, and one of them can remove this one; without another, it takes the \
                       recovery code.",
                yes: "Erase and begin anew",
                is_dangerous: true,
            };
            if ask(&button, question).await {
                app.begin_anew();
            }
        });
    });
    erase
}

/// What a removed device says: what was lost, what is left, and how to go on.
pub(crate) fn ended(
    session: &Rc<Session>,
    unsent: u64,
    look: impl Fn() + 'static,
) -> adw::StatusPage {
    let lost = match unsent {
        0 => String::new(),
        unsent => format!("\n\n{} made here reached nobody.", words::count(unsent, "change")),
    };
    let page = adw::StatusPage::builder()
        .icon_name("action-unavailable-symbolic")
        .title("This device was removed")
        .description(format!(
            "Another device of the account took it out. Nothing new arrives here, and nothing written \
             here is sent.{lost}"
        ))
        .build();
    let buttons = column(12);
    buttons.set_halign(gtk::Align::Center);
    let erase = button("Erase and begin anew", &["pill", "destructive-action"]);
    let session = session.clone();
    erase.connect_clicked(move |button| {
        let (session, button) = (session.clone(), button.clone());
        glib::spawn_future_local(async move {
            let question = Question {
                title: "Erase what is here?",
                text: "Everything that this device still has of the account is erased. Other devices \
                       keep theirs.",
                yes: "Erase and begin anew",
                is_dangerous: true,
            };
            if ask(&button, question).await {
                session.log_out().await;
            }
        });
    });
    buttons.append(&erase);
    let read = button("Read what is left", &["pill"]);
    read.connect_clicked(move |_| look());
    buttons.append(&read);
    page.set_child(Some(&buttons));
    page
}

/// What this is.
pub(crate) fn about(window: &adw::ApplicationWindow) {
    let about = adw::AboutWindow::builder()
        .transient_for(window)
        .modal(true)
        .application_name("Rejoinder")
        .application_icon(ID)
        .version(env!("CARGO_PKG_VERSION"))
        .comments(
            "Conversations that are the same on all of your devices, written even without a \
             connection, and read by nobody in between.",
        )
        .license("MIT or Apache-2.0, at your choice.")
        .build();
    about.present();
}
