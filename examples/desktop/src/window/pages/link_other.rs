//! Links another device: what it shows, what it may read, and the digits that prove it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use desktop::words;
use gtk::glib;

use crate::parts::{Dialog, Fault, Spoken as _, busy, button, entry, hint, paragraph, row, weakly};
use crate::session::Session;

/// The new device shows so many digits.
const DIGITS: usize = 7;

struct LinkOther {
    session: Rc<Session>,
    dialog: Dialog,
    /// Whether there is a link to take back when the window is closed.
    is_open: Cell<bool>,
    code: RefCell<String>,
}

/// Shows how to link another device; begins with what it shows, if that is known.
pub(super) fn show(above: &impl IsA<gtk::Widget>, session: &Rc<Session>, code: &str) {
    let dialog = Dialog::new(above, "Link a device");
    let this = Rc::new(LinkOther {
        session: session.clone(),
        dialog,
        is_open: Cell::new(false),
        code: RefCell::new(code.to_owned()),
    });
    let keep = this.clone();
    this.dialog.window.connect_close_request(move |_| {
        if keep.is_open.replace(false) {
            let client = keep.session.client().clone();
            glib::spawn_future_local(async move { client.devices().cancel().await.ok() });
        }
        glib::Propagation::Proceed
    });
    this.dialog.set_height(400);
    match code.is_empty() {
        true => this.ask_code(),
        false => this.ask_history(),
    }
    this.dialog.window.present();
}

fn actions(parts: &[&gtk::Button]) -> gtk::Box {
    let buttons = row(8);
    buttons.set_halign(gtk::Align::End);
    parts.iter().for_each(|part| buttons.append(*part));
    buttons
}

impl LinkOther {
    fn ask_code(self: &Rc<Self>) {
        let text = paragraph(
            "On the new device, open Rejoinder and choose “Link this device”. It shows a code, as a \
             picture and as text. Copy the text over and paste it here.",
        );
        let area = gtk::TextView::builder()
            .wrap_mode(gtk::WrapMode::Char)
            .accepts_tab(false)
            .height_request(90)
            .top_margin(8)
            .bottom_margin(8)
            .left_margin(8)
            .right_margin(8)
            .monospace(true)
            .build();
        area.set_spoken("What the new device shows, as text");
        let frame = gtk::Frame::builder().child(&area).build();
        let paste = button("Paste", &[]);
        let next = button("Continue", &["suggested-action"]);
        next.set_sensitive(false);
        let buffer = area.buffer();
        let next_ = next.clone();
        buffer.connect_changed(move |buffer| {
            next_.set_sensitive(!text_of(buffer).is_empty());
        });
        let buffer_ = buffer.clone();
        paste.connect_clicked(move |paste| {
            let (clipboard, buffer) = (paste.clipboard(), buffer_.clone());
            glib::spawn_future_local(async move {
                if let Ok(Some(text)) = clipboard.read_text_future().await {
                    buffer.set_text(&text);
                }
            });
        });
        let this = Rc::downgrade(self);
        next.connect_clicked(move |_| {
            if let Some(this) = this.upgrade() {
                this.code.replace(text_of(&buffer));
                this.ask_history();
            }
        });
        let buttons = actions(&[&paste, &next]);
        self.dialog.show(&[text.upcast_ref(), frame.upcast_ref(), buttons.upcast_ref()]);
        area.grab_focus();
    }

    fn ask_history(self: &Rc<Self>) {
        let group = adw::PreferencesGroup::builder().title("What may the new device read?").build();
        let all = gtk::CheckButton::builder().active(true).build();
        let new = gtk::CheckButton::builder().group(&all).build();
        for (check, title) in [
            (&all, "Everything, also what was written before"),
            (&new, "Only what is written from now on"),
        ] {
            let row = adw::ActionRow::builder().title(title).build();
            row.add_prefix(check);
            row.set_activatable_widget(Some(check));
            group.add(&row);
        }
        let (fault, again) = (Fault::new(), button("Begin again", &[]));
        again.set_visible(false);
        again.connect_clicked(weakly(self, |this| this.ask_code()));
        let next = button("Continue", &["suggested-action"]);
        let buttons = actions(&[&again, &next]);
        self.dialog.show(&[group.upcast_ref(), fault.root().upcast_ref(), buttons.upcast_ref()]);
        let this = Rc::downgrade(self);
        next.connect_clicked(move |next| {
            let Some(this) = this.upgrade() else { return };
            let (next, fault, again, history) =
                (next.clone(), fault.clone(), again.clone(), all.is_active());
            busy(&next, true, "Connecting…");
            glib::spawn_future_local(async move {
                let code = this.code.borrow().clone();
                match this.session.client().devices().accept(&code, history).await {
                    Ok(name) => {
                        this.is_open.set(true);
                        this.ask_digits(&name);
                    }
                    Err(failure) => {
                        fault.say(Some(&words::link_failure(&failure)));
                        again.set_visible(true);
                    }
                }
                busy(&next, false, "Continue");
            });
        });
    }

    fn ask_digits(self: &Rc<Self>, name: &str) {
        let name = match name.trim() {
            "" => "The new device".to_owned(),
            name => words::quoted(name),
        };
        let text = paragraph(&format!("{name} wants to join your account."));
        let group = adw::PreferencesGroup::new();
        let field = entry("The seven digits that it shows", "");
        field.set_input_purpose(gtk::InputPurpose::Digits);
        group.add(&field);
        let note = hint("Only link a device that you hold in your hands.");
        let (fault, link) = (Fault::new(), button("Link it", &["suggested-action"]));
        link.set_sensitive(false);
        let link_ = link.clone();
        field.connect_changed(move |field| {
            let digits = field.text().chars().filter(char::is_ascii_digit).count();
            link_.set_sensitive(digits == DIGITS);
        });
        let link_ = link.clone();
        field.connect_entry_activated(move |_| {
            if link_.is_sensitive() {
                link_.emit_clicked();
            }
        });
        let buttons = actions(&[&link]);
        self.dialog.show(&[
            text.upcast_ref(),
            group.upcast_ref(),
            note.upcast_ref(),
            fault.root().upcast_ref(),
            buttons.upcast_ref(),
        ]);
        field.grab_focus();
        let this = Rc::downgrade(self);
        link.connect_clicked(move |link| {
            let Some(this) = this.upgrade() else { return };
            let (link, fault, field, name) =
                (link.clone(), fault.clone(), field.clone(), name.clone());
            busy(&link, true, "Linking…");
            glib::spawn_future_local(async move {
                let confirmed = this.session.client().devices().confirm(&field.text()).await;
                // A wrong code ends the link: there is nothing left to take back.
                this.is_open.set(false);
                match confirmed {
                    Ok(_) => {
                        this.session.say(format!("{name} is linked."));
                        this.dialog.window.close();
                    }
                    Err(failure) => {
                        fault.say(Some(&words::link_failure(&failure)));
                        field.set_sensitive(false);
                        link.set_label("Link it");
                    }
                }
            });
        });
    }
}

fn text_of(buffer: &gtk::TextBuffer) -> String {
    let text = buffer.text(&buffer.start_iter(), &buffer.end_iter(), false);
    text.split_whitespace().collect()
}
