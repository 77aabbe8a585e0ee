//! How what is kept on this device is protected: a passphrase, and when it locks.

use std::rc::Rc;

use adw::prelude::*;
use desktop::keys::PASSPHRASE_LETTERS;
use desktop::preferences::LOCK_AFTER;
use desktop::words;
use gtk::glib;

use crate::app::App;
use crate::parts::{Dialog, Fault, busy, button, clear, column, hint, password, row, weakly};

/// What there is to know and to set.
pub(super) fn protection(app: &Rc<App>) -> gtk::Box {
    let root = column(18);
    fill(&root, app);
    root
}

fn fill(root: &gtk::Box, app: &Rc<App>) {
    clear(root);
    let is_wrapped = app.safe().is_wrapped();
    let group = adw::PreferencesGroup::builder().title("What is kept on this device").build();
    let (title, text) = words::protection(&app.safe().place(), is_wrapped);
    let about = adw::ActionRow::builder()
        .title(title)
        .subtitle(glib::markup_escape_text(&text).as_str())
        .subtitle_lines(0)
        .build();
    group.add(&about);
    let passphrase = adw::ActionRow::builder()
        .title("Passphrase")
        .subtitle("It is asked for at each start, and whenever this is locked.")
        .build();
    let choices: &[(&str, Step)] = match is_wrapped {
        true => &[("Change it", Step::Change), ("Remove it", Step::Remove)],
        false => &[("Set a passphrase", Step::Set)],
    };
    for (label, step) in choices {
        let (button, step) = (button(label, &["flat"]), *step);
        button.set_valign(gtk::Align::Center);
        let (root, app) = (root.downgrade(), app.clone());
        button.connect_clicked(move |button| {
            let (root, app_) = (root.clone(), app.clone());
            Change::ask(button, &app, step, move || {
                if let Some(root) = root.upgrade() {
                    fill(&root, &app_);
                }
            });
        });
        passphrase.add_suffix(&button);
    }
    group.add(&passphrase);
    root.append(&group);
    if is_wrapped {
        root.append(&lock_after(app));
    }
}

/// When it locks by itself, and at once.
fn lock_after(app: &Rc<App>) -> gtk::Box {
    let group = adw::PreferencesGroup::builder()
        .title("Lock this device when nobody uses it")
        .description("Messages still arrive. Notifications then say only that something came.")
        .build();
    let mut first: Option<gtk::CheckButton> = None;
    for (seconds, title) in LOCK_AFTER {
        let is_it = app.preferences().lock_after_s == seconds;
        let check = gtk::CheckButton::builder().active(is_it).build();
        check.set_group(first.as_ref());
        let app = app.clone();
        check.connect_active_notify(move |check| {
            if check.is_active() {
                app.prefer(|preferences| preferences.lock_after_s = seconds);
            }
        });
        let row = adw::ActionRow::builder().title(title).build();
        row.add_prefix(&check);
        row.set_activatable_widget(Some(&check));
        group.add(&row);
        first.get_or_insert(check);
    }
    let now = button("Lock now", &["pill"]);
    now.set_halign(gtk::Align::Center);
    now.set_action_name(Some("app.lock"));
    let all = column(12);
    all.append(&group);
    all.append(&now);
    all
}

/// What is to become of the passphrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Set,
    Change,
    Remove,
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Self::Set => "Set a passphrase",
            Self::Change => "Change the passphrase",
            Self::Remove => "Remove the passphrase",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Set | Self::Change => "Save the passphrase",
            Self::Remove => "Remove the passphrase",
        }
    }
}

/// The window in which it is changed.
struct Change {
    app: Rc<App>,
    step: Step,
    window: adw::Window,
    now: adw::EntryRow,
    next: adw::EntryRow,
    again: adw::EntryRow,
    fault: Fault,
    go: gtk::Button,
    done: Box<dyn Fn()>,
}

impl Change {
    fn ask(above: &impl IsA<gtk::Widget>, app: &Rc<App>, step: Step, done: impl Fn() + 'static) {
        let dialog = Dialog::new(above, step.title());
        dialog.set_height(if step == Step::Remove { 220 } else { 380 });
        let this = Rc::new(Self {
            app: app.clone(),
            step,
            window: dialog.window.clone(),
            now: password("The passphrase so far", ""),
            next: password("New passphrase", "Eight letters or more; several words are best."),
            again: password("The new passphrase again", ""),
            fault: Fault::new(),
            go: button(step.done(), &["suggested-action"]),
            done: Box::new(done),
        });
        let group = adw::PreferencesGroup::new();
        this.fields().iter().for_each(|field| group.add(*field));
        let text = hint(
            "Whoever forgets it has lost what is kept on this device: nobody can tell it. Other devices \
             and the recovery code know nothing of it.",
        );
        text.set_visible(step != Step::Remove);
        let buttons = row(8);
        buttons.set_halign(gtk::Align::End);
        buttons.append(&this.go);
        let parts: [&gtk::Widget; 4] = [
            text.upcast_ref(),
            group.upcast_ref(),
            this.fault.root().upcast_ref(),
            buttons.upcast_ref(),
        ];
        dialog.show(&parts);
        this.connect();
        dialog.window.present();
    }

    fn fields(&self) -> Vec<&adw::EntryRow> {
        match self.step {
            Step::Set => vec![&self.next, &self.again],
            Step::Change => vec![&self.now, &self.next, &self.again],
            Step::Remove => vec![&self.now],
        }
    }

    /// The window keeps this alive, as long as it is open.
    fn connect(self: &Rc<Self>) {
        for field in self.fields() {
            field.connect_changed(weakly(self, |this| this.look()));
            field.connect_entry_activated(weakly(self, |this| this.save()));
        }
        self.go.connect_clicked(weakly(self, |this| this.save()));
        let this = std::cell::RefCell::new(Some(self.clone()));
        self.window.connect_close_request(move |_| {
            this.take();
            glib::Propagation::Proceed
        });
        self.look();
    }

    fn look(&self) {
        let is_whole = self.fields().iter().all(|field| !field.text().is_empty());
        self.go.set_sensitive(is_whole);
    }

    fn fault(&self) -> Option<&'static str> {
        if self.step == Step::Remove {
            return None;
        }
        if self.next.text().chars().count() < PASSPHRASE_LETTERS {
            return Some("A passphrase has eight letters or more.");
        }
        (self.next.text() != self.again.text()).then_some("The two are not the same.")
    }

    fn save(self: &Rc<Self>) {
        if !self.go.is_sensitive() {
            return;
        }
        let fault = self.fault();
        self.fault.say(fault);
        if fault.is_some() {
            return;
        }
        busy(&self.go, true, "One moment…");
        let this = self.clone();
        glib::spawn_future_local(async move {
            let next = (this.step != Step::Remove).then(|| this.next.text().to_string());
            match this.app.set_passphrase(this.now.text().to_string(), next).await {
                Ok(()) => {
                    (this.done)();
                    this.window.close();
                }
                Err(why) => {
                    this.fault.say(Some(&why));
                    busy(&this.go, false, this.step.done());
                }
            }
        });
    }
}
