//! The own account's devices.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use desktop::time::Clock;
use desktop::words;
use gtk::glib;
use sync_client::{DeviceId, DeviceView};

use super::{Context, Shown, code, link_other};
use crate::parts::{Kept, Question, Spoken as _, ask, button, clear, column, paragraph};
use crate::session::News;
use crate::view::Route;

struct Devices {
    context: Context,
    all: gtk::Box,
    made_of: Kept<(bool, Vec<Standing>)>,
    rows: RefCell<Vec<adw::ActionRow>>,
}

/// What a device's line is made of.
#[derive(PartialEq)]
struct Standing {
    device: DeviceId,
    name: String,
    role: &'static str,
    is_ended: bool,
    is_this: bool,
}

impl Standing {
    fn of(device: &DeviceView) -> Self {
        Self {
            device: device.device,
            name: words::device_name(device),
            role: device.role,
            is_ended: device.revoked,
            is_this: device.current,
        }
    }
}

/// The own devices; and at once the one that shows a code, if a link said so.
pub(crate) fn devices(context: &Context, code: Option<String>) -> Shown {
    let page = context.page("Devices", Route::List);
    let this = Rc::new(Devices {
        context: context.clone(),
        all: column(18),
        made_of: Kept::default(),
        rows: RefCell::default(),
    });
    page.content.append(&this.all);
    context.session.tell_to(&this, |this, news| {
        if matches!(news, News::Devices | News::Status) {
            this.look();
        }
    });
    this.look();
    if let Some(code) = code {
        link_other::show(&this.all, &context.session, &code);
    }
    (page.root, this)
}

impl Devices {
    fn is_primary(&self) -> bool {
        self.context.session.status().role == "primary"
    }

    fn look(self: &Rc<Self>) {
        let this = self.clone();
        glib::spawn_future_local(async move {
            match this.context.session.client().devices().list().await {
                Ok(devices) => this.show(&devices),
                Err(failure) => this.context.session.say(words::failure(&failure)),
            }
        });
    }

    fn show(self: &Rc<Self>, devices: &[DeviceView]) {
        let is_primary = self.is_primary();
        let (ended, here): (Vec<_>, Vec<_>) = devices.iter().partition(|device| device.revoked);
        let standings = devices.iter().map(Standing::of).collect();
        if self.made_of.is_new((is_primary, standings)) {
            self.make(&here, &ended, is_primary);
        }
        // When one was last seen changes often, and nothing else does.
        let clock = Clock::system();
        for (row, device) in self.rows.borrow().iter().zip(here) {
            let facts = words::device_facts(device, &clock);
            row.set_subtitle(glib::markup_escape_text(&facts).as_str());
        }
    }

    fn make(self: &Rc<Self>, here: &[&DeviceView], ended: &[&DeviceView], is_primary: bool) {
        clear(&self.all);
        let who = match is_primary {
            true => "This is the first device: it links and removes the others.",
            false => "Your first device links and removes the others.",
        };
        self.all.append(&paragraph(&format!(
            "All of them show the same, and each writes on its own. {who}"
        )));
        if is_primary {
            self.all.append(&self.link());
        }
        let group = adw::PreferencesGroup::builder().title("Devices of your account").build();
        let rows: Vec<_> = here.iter().map(|device| self.row(device, is_primary)).collect();
        rows.iter().for_each(|row| group.add(row));
        self.rows.replace(rows);
        self.all.append(&group);
        if is_primary {
            self.all.append(&self.recovery());
        }
        if !ended.is_empty() {
            let group = adw::PreferencesGroup::builder().title("Removed").build();
            for device in ended {
                let name = words::device_name(device);
                let row = adw::ActionRow::builder()
                    .title(glib::markup_escape_text(&name).as_str())
                    .subtitle("Removed")
                    .build();
                row.add_css_class("dim-label");
                group.add(&row);
            }
            self.all.append(&group);
        }
    }

    fn link(self: &Rc<Self>) -> gtk::Button {
        let link = button("Link a device", &["suggested-action", "pill"]);
        link.set_halign(gtk::Align::Center);
        let session = self.context.session.clone();
        link.connect_clicked(move |link| link_other::show(link, &session, ""));
        link
    }

    fn recovery(self: &Rc<Self>) -> adw::PreferencesGroup {
        let group = adw::PreferencesGroup::builder()
            .title("Recovery code")
            .description(
                "Brings your account back if you lose all devices. If you lost it, or somebody saw it, \
                 draw a new one: the one before counts no more.",
            )
            .build();
        let draw = button("New recovery code", &[]);
        draw.set_halign(gtk::Align::Start);
        let session = self.context.session.clone();
        draw.connect_clicked(move |draw| code::draw(draw, &session));
        group.add(&draw);
        group
    }

    fn row(self: &Rc<Self>, device: &DeviceView, is_primary: bool) -> adw::ActionRow {
        let name = words::device_name(device);
        let title = if device.current { format!("{name} (this one)") } else { name.clone() };
        let row =
            adw::ActionRow::builder().title(glib::markup_escape_text(&title).as_str()).build();
        row.add_prefix(&gtk::Image::from_icon_name("computer-symbolic"));
        let add = |label: &str, class: &str, act: fn(Rc<Self>, DeviceView, gtk::Button)| {
            let item = button(label, &[class]);
            item.set_valign(gtk::Align::Center);
            item.set_more_spoken(&name);
            let (this, device) = (Rc::downgrade(self), device.clone());
            item.connect_clicked(move |item| {
                if let Some(this) = this.upgrade() {
                    act(this, device.clone(), item.clone());
                }
            });
            row.add_suffix(&item);
        };
        if is_primary && !device.current {
            add("Make it the first", "flat", |this, device, above| {
                glib::spawn_future_local(async move { this.pass(&device, &above).await });
            });
            add("Remove", "destructive", |this, device, above| {
                glib::spawn_future_local(async move { this.remove(&device, &above).await });
            });
        }
        if device.current {
            add("Log out", "destructive", |this, _, above| {
                glib::spawn_future_local(async move { this.leave(&above).await });
            });
        }
        row
    }

    async fn pass(&self, device: &DeviceView, above: &gtk::Button) {
        let name = words::quoted(&words::device_name(device));
        let question = Question {
            title: &format!("Make {name} the first device?"),
            text: &format!("From then on {name} links and removes devices, and this one does not."),
            yes: "Make it the first",
            is_dangerous: false,
        };
        let session = &self.context.session;
        if ask(above, question).await {
            session.attempt(session.client().devices().make_primary(device.device)).await;
        }
    }

    async fn remove(self: Rc<Self>, device: &DeviceView, above: &gtk::Button) {
        let name = words::quoted(&words::device_name(device));
        let question = Question {
            title: &format!("Remove {name}?"),
            text: "It is closed at once and reads nothing more. What it wrote so far stays; what it has \
                   not sent yet is lost.",
            yes: "Remove",
            is_dangerous: true,
        };
        let session = &self.context.session;
        if ask(above, question).await
            && session.attempt(session.client().devices().revoke(device.device)).await
        {
            self.look();
        }
    }

    async fn leave(&self, above: &gtk::Button) {
        let question = Question {
            title: "Log this device out?",
            text: "Everything is erased from this device. Your other devices keep theirs.",
            yes: "Log out",
            is_dangerous: true,
        };
        if ask(above, question).await {
            self.context.session.log_out().await;
        }
    }
}
