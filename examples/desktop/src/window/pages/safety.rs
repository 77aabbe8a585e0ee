//! The number that is equal on both sides when nobody stands between.

use std::rc::Rc;

use adw::prelude::*;
use desktop::marks;
use desktop::time::Clock;
use desktop::words;
use gtk::glib;
use serde_json::Value;
use sync_client::{AccountId, Compared, Comparison, ContactCard};

use crate::parts::{
    Dialog, Fault, Spoken as _, button, copy_button, entry, hint, paragraph, qr, row,
};
use crate::session::Session;

/// The window of a safety number.
#[derive(Clone)]
pub(crate) struct SafetyNumber {
    session: Rc<Session>,
    dialog: Dialog,
    account: AccountId,
    name: String,
    fault: Fault,
}

impl SafetyNumber {
    /// Shows the safety number of somebody.
    pub(crate) fn show(
        above: &impl IsA<gtk::Widget>,
        session: &Rc<Session>,
        account: AccountId,
        name: &str,
    ) {
        let name = words::quoted(name);
        let dialog = Dialog::new(above, "Safety number");
        let (session, fault) = (session.clone(), Fault::new());
        let this = Self { session, dialog, account, name, fault };
        this.dialog.content.append(this.fault.root());
        glib::spawn_future_local(async move {
            match this.session.client().contacts().show(account).await {
                Ok(card) => this.fill(&card),
                Err(failure) => this.fault.say(Some(&words::failure(&failure))),
            }
            // A window takes its size from what is in it when it comes.
            this.dialog.window.present();
        });
    }

    fn fill(&self, card: &ContactCard) {
        let changed = self.session.marks().changed.get(&self.account).copied();
        if let Some(ms) = changed {
            let when = Clock::system().date_time(ms);
            let said = format!("Their devices changed on {when}: the number is a new one.");
            self.fault.say(Some(&said));
        }
        let add = |part: &gtk::Widget| self.dialog.content.append(part);
        add(paragraph(&format!(
            "Compare it with what {} sees, side by side or in a call. If it is the same, only the two \
             of you can read what you write.",
            self.name
        ))
        .upcast_ref());
        add(number(&card.safety_number).upcast_ref());
        add(qr(&card.shown, "Safety number as a code, to be scanned by them").upcast_ref());
        let compared = match card.compared {
            Compared::Never => "You have not compared it yet.",
            Compared::Same => "You compared it, and their devices are the same since.",
            Compared::Changed => "You compared it, and their devices changed since.",
        };
        add(hint(compared).upcast_ref());
        add(self.scanned().upcast_ref());
        let buttons = row(8);
        buttons.set_halign(gtk::Align::End);
        buttons.append(&copy_button("Copy the code", &card.shown));
        if card.compared != Compared::Same || changed.is_some() {
            let same = button("It is the same", &["suggested-action"]);
            let (this, number) = (self.clone(), card.safety_number.clone());
            same.connect_clicked(move |_| {
                let (this, number) = (this.clone(), number.clone());
                glib::spawn_future_local(async move { this.verify(&number).await });
            });
            buttons.append(&same);
        }
        add(buttons.upcast_ref());
    }

    /// What the other person's device shows, pasted instead of scanned.
    fn scanned(&self) -> adw::PreferencesGroup {
        let group = adw::PreferencesGroup::new();
        let field = entry("Or paste the code that they show", "Their device copies it as a text.");
        let compare = button("Compare", &["flat"]);
        compare.set_valign(gtk::Align::Center);
        field.add_suffix(&compare);
        group.add(&field);
        let (this, field_) = (self.clone(), field.clone());
        let begin = move || {
            let (this, text) = (this.clone(), field_.text().trim().to_owned());
            glib::spawn_future_local(async move { this.compare(&text).await });
        };
        let begin_ = begin.clone();
        compare.connect_clicked(move |_| begin_());
        field.connect_entry_activated(move |_| begin());
        group
    }

    async fn compare(&self, text: &str) {
        let name = &self.name;
        let said = match self.session.client().contacts().compare(self.account, text).await {
            Ok(Comparison::Same) => return self.same().await,
            Ok(Comparison::Behind) => format!(
                "You or {name} have not heard of a new device yet. Wait a moment, and compare again."
            ),
            Ok(Comparison::Differs) => format!(
                "It is another number. Somebody may stand between you and {name}, or it is somebody \
                 else's."
            ),
            Err(failure) => words::failure(&failure),
        };
        self.fault.say(Some(&said));
    }

    async fn verify(&self, number: &str) {
        match self.session.client().contacts().verify(self.account, Some(number)).await {
            Ok(()) => self.same().await,
            Err(failure) => self.fault.say(Some(&words::failure(&failure))),
        }
    }

    async fn same(&self) {
        let key = marks::changed_key(self.account);
        if self.session.attempt(self.session.client().settings().set(&key, Value::Null)).await {
            let name = &self.name;
            self.session
                .say(format!("You and {name} have the same number: nobody stands between you."));
            self.dialog.window.close();
        }
    }
}

/// The number in groups, as it is read aloud.
fn number(number: &str) -> gtk::FlowBox {
    let grid = gtk::FlowBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .homogeneous(true)
        .min_children_per_line(4)
        .max_children_per_line(4)
        .build();
    grid.add_css_class("safety");
    let groups = words::in_groups(number);
    let spoken = groups.join(" ");
    grid.set_spoken_with("Safety number", &spoken);
    for group in groups {
        let label = gtk::Label::new(Some(&group));
        label.add_css_class("numeric");
        let child = gtk::FlowBoxChild::builder().child(&label).focusable(false).build();
        grid.insert(&child, -1);
    }
    grid
}
