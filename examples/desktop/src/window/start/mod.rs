//! Three ways to begin: a new account, the account of another device, an account that was lost.

mod create;
mod link;
mod recover;

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use gtk::{gdk, glib};

use crate::pages::recovery_words;
use crate::parts::{Page, button, column, copy_button, paragraph, weakly};
use crate::session::Session;

use create::Create;
use link::Link;
use recover::Recover;

/// One way to begin: its picture, what it is, for whom, and its step.
type Choice = (&'static str, &'static str, &'static str, fn(&Rc<Start>));

/// How to begin.
pub(crate) struct Start {
    session: Rc<Session>,
    stack: gtk::Stack,
    /// The step that is shown: it answers to what the client says as long as it is.
    step: RefCell<Option<Rc<dyn Any>>>,
    done: Box<dyn Fn()>,
}

impl Start {
    /// Asks how to begin; `done` is called once there is an account, and its code was read.
    pub(crate) fn new(session: &Rc<Session>, done: impl Fn() + 'static) -> Rc<Self> {
        let stack = gtk::Stack::builder().hhomogeneous(false).vhomogeneous(false).build();
        let this = Rc::new(Self {
            session: session.clone(),
            stack,
            step: RefCell::default(),
            done: Box::new(done),
        });
        this.choose();
        this
    }

    /// What is put into a window.
    pub(crate) fn root(&self) -> &gtk::Stack {
        &self.stack
    }

    fn show(&self, page: &impl IsA<gtk::Widget>, step: Option<Rc<dyn Any>>) {
        let before = self.stack.visible_child();
        self.stack.add_child(page);
        self.stack.set_visible_child(page);
        if let Some(before) = before {
            self.stack.remove(&before);
        }
        self.step.replace(step);
        page.child_focus(gtk::DirectionType::TabForward);
    }

    fn page(self: &Rc<Self>, title: &str) -> Page {
        let page = Page::new(title);
        page.back.connect_clicked(weakly(self, |this| this.choose()));
        page
    }

    fn choose(self: &Rc<Self>) {
        let header = adw::HeaderBar::new();
        header.add_css_class("flat");
        header.set_title_widget(Some(&adw::WindowTitle::new("", "")));
        let page = adw::StatusPage::builder()
            .title("Rejoinder")
            .description(
                "Conversations that are the same on all of your devices, written even without a \
                 connection, and read by nobody in between.",
            )
            .vexpand(true)
            .build();
        page.set_paintable(picture().as_ref());
        let list = gtk::ListBox::builder().selection_mode(gtk::SelectionMode::None).build();
        list.add_css_class("boxed-list");
        let choices: [Choice; 3] = [
            ("contact-new-symbolic", "Create an account", "You are new here.", Self::create),
            (
                "computer-symbolic",
                "Link this device",
                "Another device of yours has your account.",
                Self::link,
            ),
            (
                "dialog-password-symbolic",
                "Recover your account",
                "All your devices are lost, and you have the recovery code.",
                Self::recover,
            ),
        ];
        for (icon, title, text, act) in choices {
            let row =
                adw::ActionRow::builder().title(title).subtitle(text).activatable(true).build();
            row.add_prefix(&gtk::Image::from_icon_name(icon));
            row.add_suffix(&gtk::Image::from_icon_name("go-next-symbolic"));
            let this = Rc::downgrade(self);
            row.connect_activated(move |_| {
                if let Some(this) = this.upgrade() {
                    act(&this);
                }
            });
            list.append(&row);
        }
        page.set_child(Some(&adw::Clamp::builder().maximum_size(420).child(&list).build()));
        let all = column(0);
        all.append(&header);
        all.append(&page);
        self.show(&all, None);
    }

    fn create(self: &Rc<Self>) {
        let page = self.page("Create an account");
        let step = Create::new(self, &page);
        self.show(&page.root, Some(step));
    }

    fn link(self: &Rc<Self>) {
        let page = self.page("Link this device");
        let step = Link::new(self, &page);
        self.show(&page.root, Some(step));
    }

    fn recover(self: &Rc<Self>) {
        let page = self.page("Recover your account");
        let step = Recover::new(self, &page);
        self.show(&page.root, Some(step));
    }

    fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// There is an account.
    fn finish(&self) {
        (self.done)();
    }

    /// There is an account, and a code to be written down before anything else.
    fn show_code(self: &Rc<Self>, code: &str, is_replaced: bool) {
        let page =
            self.page(if is_replaced { "Your new recovery code" } else { "Your recovery code" });
        page.back.set_visible(false);
        let before = if is_replaced { "The code you just used counts no more. " } else { "" };
        page.content.append(&paragraph(&format!(
            "{before}These words bring your account back if you lose all your devices. They are shown \
             only now; nobody else has them, and nobody can send them to you."
        )));
        page.content.append(&recovery_words(code));
        let copy = copy_button("Copy the words", code);
        copy.set_halign(gtk::Align::Start);
        page.content.append(&copy);
        let noted = gtk::CheckButton::with_label("I wrote them down and keep them in a safe place");
        page.content.append(&noted);
        let go = button("Continue", &["suggested-action", "pill"]);
        go.set_halign(gtk::Align::Center);
        go.set_sensitive(false);
        let go_ = go.clone();
        noted.connect_active_notify(move |noted| go_.set_sensitive(noted.is_active()));
        go.connect_clicked(weakly(self, |this| this.finish()));
        page.content.append(&go);
        self.show(&page.root, None);
    }
}

/// The program's own picture; nothing where the system can't draw it.
fn picture() -> Option<gdk::Texture> {
    let bytes = glib::Bytes::from_static(include_bytes!("../../../data/org.rejoinder.Desktop.svg"));
    gdk::Texture::from_bytes(&bytes).ok()
}

/// A good first guess at this device's name.
fn device_name() -> String {
    desktop::words::this_device(&glib::host_name())
}
