//! This device joins an account that another device has.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use desktop::words;
use gtk::glib;
use sync_client::{Join, LinkEvent, Whose};

use super::Start;
use crate::parts::{
    Fault, Page, Spoken as _, busy, button, clear, column, copy_button, entry, hint, paragraph, qr,
    row,
};
use crate::session::News;

/// The step. Taken back when another is shown instead, unless it was done.
pub(super) struct Link {
    start: Weak<Start>,
    content: gtk::Box,
    is_offered: Cell<bool>,
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(start) = self.start.upgrade().filter(|_| self.is_offered.get()) else { return };
        let client = start.session().client().clone();
        glib::spawn_future_local(async move { client.devices().cancel().await.ok() });
    }
}

impl Link {
    pub(super) fn new(start: &Rc<Start>, page: &Page) -> Rc<Self> {
        let content = column(18);
        page.content.append(&content);
        let this =
            Rc::new(Self { start: Rc::downgrade(start), content, is_offered: Cell::new(false) });
        start.session().tell_to(&this, |this, news| {
            if let News::Link(event) = news {
                this.hear(event);
            }
        });
        this.ask_name(None);
        this
    }

    fn show(&self, parts: &[&gtk::Widget]) {
        clear(&self.content);
        parts.iter().for_each(|part| self.content.append(*part));
    }

    fn hear(self: &Rc<Self>, event: &LinkEvent) {
        match event {
            LinkEvent::Account(whose) => self.ask_whose(whose),
            LinkEvent::Code { code, whose } => self.show_digits(code, whose),
            LinkEvent::Done { .. } => {
                self.is_offered.set(false);
                if let Some(start) = self.start.upgrade() {
                    start.finish();
                }
            }
            LinkEvent::Failed(failure) => {
                self.is_offered.set(false);
                self.ask_name(Some(&words::link_failure(failure)));
            }
        }
    }

    fn ask_name(self: &Rc<Self>, failed: Option<&str>) {
        let group = adw::PreferencesGroup::new();
        let name = entry("What to call this device", "");
        name.set_text(&super::device_name());
        group.add(&name);
        let fault = Fault::new();
        fault.say(failed);
        let label = if failed.is_some() { "Show a new code" } else { "Show the code" };
        let go = button(label, &["suggested-action", "pill"]);
        go.set_halign(gtk::Align::Center);
        let go_ = go.clone();
        name.connect_changed(move |name| go_.set_sensitive(!name.text().trim().is_empty()));
        let go_ = go.clone();
        name.connect_entry_activated(move |_| go_.emit_clicked());
        self.show(&[group.upcast_ref(), fault.root().upcast_ref(), go.upcast_ref()]);
        let this = Rc::downgrade(self);
        go.connect_clicked(move |go| {
            let Some((this, start)) = this.upgrade().and_then(|this| {
                let start = this.start.upgrade()?;
                Some((this, start))
            }) else {
                return;
            };
            busy(go, true, "One moment…");
            let (go, fault, name) = (go.clone(), fault.clone(), name.text().trim().to_owned());
            glib::spawn_future_local(async move {
                match start.session().client().devices().offer(&name, Join::Ask).await {
                    Ok(offer) => {
                        this.is_offered.set(true);
                        this.show_offer(&offer);
                    }
                    Err(failure) => {
                        fault.say(Some(&words::link_failure(&failure)));
                        busy(&go, false, label);
                    }
                }
            });
        });
    }

    fn show_offer(&self, offer: &str) {
        let steps = paragraph(
            "1. On your first device, open Devices and choose “Link a device”.\n2. Scan this code there, \
             or copy it over as text. It is good for two minutes.",
        );
        let code = qr(offer, "Code to be scanned by your other device");
        let text = gtk::Label::builder()
            .label(offer)
            .selectable(true)
            .wrap(true)
            .wrap_mode(gtk::pango::WrapMode::Char)
            .xalign(0.0)
            .build();
        text.add_css_class("monospace");
        text.set_spoken(&format!("The code as text: {offer}"));
        text.set_visible(false);
        let expander = gtk::ToggleButton::with_label("As text");
        expander.set_halign(gtk::Align::Center);
        expander.bind_property("active", &text, "visible").sync_create().build();
        let copy = copy_button("Copy the text", offer);
        let waiting = waiting("Waiting for your other device…");
        copy.set_halign(gtk::Align::Center);
        self.show(&[
            steps.upcast_ref(),
            code.upcast_ref(),
            copy.upcast_ref(),
            expander.upcast_ref(),
            text.upcast_ref(),
            waiting.upcast_ref(),
        ]);
    }

    /// Whoever saw the code on this screen may have scanned it first.
    fn ask_whose(self: &Rc<Self>, whose: &Whose) {
        let address = whose.address.clone();
        let address = address.unwrap_or_else(|| "an account without an address".to_owned());
        let who = paragraph(&format!("{address} ({})", words::quoted(&whose.name)));
        who.add_css_class("title-3");
        let id = hint(&whose.account.to_string());
        id.add_css_class("monospace");
        let (yes, no) =
            (button("Yes, it is mine", &["suggested-action"]), button("No, go back", &[]));
        let buttons = row(8);
        buttons.set_halign(gtk::Align::End);
        buttons.append(&no);
        buttons.append(&yes);
        let fault = Fault::new();
        self.show(&[
            paragraph("A device of this account scanned the code:").upcast_ref(),
            who.upcast_ref(),
            id.upcast_ref(),
            paragraph(
                "Is it yours? If not, somebody else saw your screen, and would read what you write on \
                 this device.",
            )
            .upcast_ref(),
            fault.root().upcast_ref(),
            buttons.upcast_ref(),
        ]);
        let start = self.start.clone();
        no.connect_clicked(move |_| {
            if let Some(start) = start.upgrade() {
                start.choose();
            }
        });
        let (this, account) = (Rc::downgrade(self), whose.account);
        yes.connect_clicked(move |yes| {
            let Some(this) = this.upgrade() else { return };
            let Some(start) = this.start.upgrade() else { return };
            busy(yes, true, "One moment…");
            let fault = fault.clone();
            glib::spawn_future_local(async move {
                if let Err(failure) = start.session().client().devices().join(account).await {
                    fault.say(Some(&words::link_failure(&failure)));
                }
            });
        });
    }

    fn show_digits(&self, code: &str, whose: &Whose) {
        let who = whose.address.clone().unwrap_or_else(|| words::quoted(&whose.name));
        let text = paragraph(&format!(
            "Type these digits on your other device, to join the account of {who}:"
        ));
        let shown = words::digits(code);
        let digits = gtk::Label::builder().label(&shown).selectable(true).build();
        digits.add_css_class("digits");
        let spoken: Vec<_> = code.chars().map(String::from).collect();
        digits.set_spoken(&format!("Digits: {}", spoken.join(" ")));
        let note = hint(
            "They prove that nobody stands between the two. Type them only on a device of your own.",
        );
        let waiting = waiting("Waiting for the digits…");
        self.show(&[
            text.upcast_ref(),
            digits.upcast_ref(),
            note.upcast_ref(),
            waiting.upcast_ref(),
        ]);
    }
}

fn waiting(text: &str) -> gtk::Box {
    let all = row(8);
    all.set_halign(gtk::Align::Center);
    all.append(&gtk::Spinner::builder().spinning(true).build());
    all.append(&hint(text));
    all
}
