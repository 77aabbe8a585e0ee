//! Where one writes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use desktop::compose::{Composing, Draft};
use desktop::words;
use gtk::{gdk, glib};
use sync_client::SpaceId;

use crate::parts::{Spoken as _, choose_emoji, column, icon_button, row, weakly};
use crate::session::{News, Session};

/// As high as it grows, in pixels.
const HIGHEST: i32 = 180;

type Told = Box<dyn Fn()>;

/// Where one writes.
pub(super) struct Composer {
    session: Rc<Session>,
    root: gtk::Box,
    about: gtk::Box,
    about_title: gtk::Label,
    about_text: gtk::Label,
    text: gtk::TextView,
    hint: gtk::Label,
    send: gtk::Button,
    open: Cell<Option<SpaceId>>,
    composing: RefCell<Composing>,
    draft: RefCell<Option<Draft>>,
    /// What was half written when an edit began.
    aside: RefCell<String>,
    is_preedit: Cell<bool>,
    is_filling: Cell<bool>,
    up: RefCell<Option<Told>>,
    sent: RefCell<Option<Told>>,
}

impl Composer {
    pub(super) fn new(session: &Rc<Session>) -> Rc<Self> {
        let text = gtk::TextView::builder()
            .wrap_mode(gtk::WrapMode::WordChar)
            .accepts_tab(false)
            .hexpand(true)
            .top_margin(8)
            .bottom_margin(8)
            .left_margin(10)
            .right_margin(10)
            .build();
        text.set_spoken("Write a message");
        let send = icon_button("mail-send-symbolic", "Send");
        send.add_css_class("suggested-action");
        send.add_css_class("circular");
        let this = Rc::new(Self {
            session: session.clone(),
            root: column(0),
            about: row(8),
            about_title: gtk::Label::builder().xalign(0.0).build(),
            about_text: gtk::Label::builder().xalign(0.0).build(),
            text,
            hint: gtk::Label::new(Some("Write a message")),
            send,
            open: Cell::default(),
            composing: RefCell::default(),
            draft: RefCell::default(),
            aside: RefCell::default(),
            is_preedit: Cell::new(false),
            is_filling: Cell::new(false),
            up: RefCell::default(),
            sent: RefCell::default(),
        });
        this.build();
        this.connect();
        this
    }

    fn build(self: &Rc<Self>) {
        self.build_about();
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            // A bar would make one line as high as two.
            .vscrollbar_policy(gtk::PolicyType::External)
            .propagate_natural_height(true)
            .max_content_height(HIGHEST)
            .child(&self.text)
            .hexpand(true)
            .build();
        self.hint.set_halign(gtk::Align::Start);
        self.hint.set_valign(gtk::Align::Start);
        self.hint.set_can_target(false);
        self.hint.add_css_class("hint");
        let field = gtk::Overlay::builder().child(&scrolled).build();
        field.add_overlay(&self.hint);
        field.add_css_class("field");
        let emoji = self.emoji_button();
        for button in [emoji.upcast_ref::<gtk::Widget>(), self.send.upcast_ref()] {
            button.set_valign(gtk::Align::End);
        }
        self.send.set_sensitive(false);
        let line = row(8);
        line.add_css_class("composer");
        line.append(&emoji);
        line.append(&field);
        line.append(&self.send);
        self.root.append(&self.about);
        self.root.append(&line);
    }

    fn build_about(self: &Rc<Self>) {
        for label in [&self.about_title, &self.about_text] {
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
        }
        self.about_title.add_css_class("author");
        self.about_text.add_css_class("dim-label");
        let lines = column(0);
        lines.set_hexpand(true);
        lines.append(&self.about_title);
        lines.append(&self.about_text);
        let give_up = icon_button("window-close-symbolic", "Give it up");
        give_up.add_css_class("flat");
        give_up.set_valign(gtk::Align::Center);
        let this = Rc::downgrade(self);
        give_up.connect_clicked(move |_| {
            if let Some(this) = this.upgrade() {
                this.give_up();
                this.focus();
            }
        });
        self.about.append(&lines);
        self.about.append(&give_up);
        self.about.add_css_class("about");
        self.about.set_visible(false);
    }

    fn emoji_button(self: &Rc<Self>) -> gtk::Button {
        let button = icon_button("face-smile-symbolic", "Emoji");
        button.add_css_class("flat");
        let this = Rc::downgrade(self);
        button.connect_clicked(move |button| {
            let this = this.clone();
            choose_emoji(button, move |emoji| {
                if let Some(this) = this.upgrade() {
                    this.text.buffer().insert_at_cursor(emoji);
                    this.focus();
                }
            });
        });
        button
    }

    fn connect(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        self.text.buffer().connect_changed(move |_| {
            if let Some(this) = this.upgrade() {
                this.typed();
            }
        });
        let this = Rc::downgrade(self);
        self.text.connect_preedit_changed(move |_, preedit| {
            if let Some(this) = this.upgrade() {
                this.is_preedit.set(!preedit.is_empty());
                this.show_hint();
            }
        });
        let keys = gtk::EventControllerKey::new();
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let this = Rc::downgrade(self);
        keys.connect_key_pressed(move |_, key, _, state| {
            this.upgrade().map_or(glib::Propagation::Proceed, |this| this.press(key, state))
        });
        self.text.add_controller(keys);
        self.send.connect_clicked(weakly(self, |this| this.send()));
        self.session.tell_to(self, |this, news| {
            if let News::Settings = news {
                this.read_draft();
            }
        });
    }

    pub(super) fn root(&self) -> &gtk::Box {
        &self.root
    }

    /// Hears that an empty line was left upwards.
    pub(super) fn connect_up(&self, up: impl Fn() + 'static) {
        self.up.replace(Some(Box::new(up)));
    }

    /// Hears that something was sent.
    pub(super) fn connect_sent(&self, sent: impl Fn() + 'static) {
        self.sent.replace(Some(Box::new(sent)));
    }

    fn press(self: &Rc<Self>, key: gdk::Key, state: gdk::ModifierType) -> glib::Propagation {
        let is_bare = !state.intersects(
            gdk::ModifierType::SHIFT_MASK
                | gdk::ModifierType::CONTROL_MASK
                | gdk::ModifierType::ALT_MASK,
        );
        match key {
            // While an input method composes, its keys are its own.
            _ if self.is_preedit.get() || !is_bare => return glib::Propagation::Proceed,
            gdk::Key::Return | gdk::Key::KP_Enter => self.send(),
            gdk::Key::Up if self.typed_text().is_empty() => {
                if let Some(up) = self.up.borrow().as_ref() {
                    up();
                }
            }
            _ => return glib::Propagation::Proceed,
        }
        glib::Propagation::Stop
    }

    fn typed_text(&self) -> String {
        let buffer = self.text.buffer();
        buffer.text(&buffer.start_iter(), &buffer.end_iter(), false).to_string()
    }

    fn fill(&self, text: &str) {
        self.is_filling.set(true);
        self.text.buffer().set_text(text);
        self.is_filling.set(false);
    }

    fn typed(self: &Rc<Self>) {
        let text = self.typed_text();
        self.send.set_sensitive(!text.trim().is_empty());
        self.show_hint();
        let is_new = !text.is_empty() && !self.composing.borrow().is_edit();
        let Some(id) = self.open.get().filter(|_| is_new && !self.is_filling.get()) else { return };
        let client = self.session.client().clone();
        // Nobody has to learn that it could not be told.
        glib::spawn_future_local(async move { client.conversation(id).typing().await.ok() });
    }

    fn show_hint(&self) {
        self.hint.set_visible(self.typed_text().is_empty() && !self.is_preedit.get());
    }

    /// Begins to write in a conversation: with what was half written there.
    pub(super) fn open(self: &Rc<Self>, id: SpaceId) {
        self.open.set(Some(id));
        self.draft.replace(Some(Draft::of(id)));
        self.show_composing(Composing::New);
        self.fill("");
        self.read_draft();
    }

    fn read_draft(self: &Rc<Self>) {
        let key = self.draft.borrow().as_ref().map(|draft| draft.key().to_owned());
        let (Some(id), Some(key)) = (self.open.get(), key) else { return };
        let this = self.clone();
        glib::spawn_future_local(async move {
            let Ok(kept) = this.session.client().settings().get(&key).await else { return };
            if this.open.get() != Some(id) || this.composing.borrow().is_edit() {
                return;
            }
            let typed = this.typed_text();
            let shown =
                this.draft.borrow_mut().as_mut().and_then(|draft| draft.take(&kept, &typed));
            if let Some(shown) = shown {
                this.fill(&shown);
            }
        });
    }

    /// Nobody writes here any more: what is half written is kept.
    pub(super) fn rest(self: &Rc<Self>) {
        if self.open.get().is_none() {
            return;
        }
        let text = match self.composing.borrow().is_edit() {
            true => self.aside.borrow().clone(),
            false => self.typed_text(),
        };
        self.keep(&text);
    }

    fn keep(self: &Rc<Self>, text: &str) {
        let mut draft = self.draft.borrow_mut();
        let Some(draft) = draft.as_mut() else { return };
        let key = draft.key().to_owned();
        if let Some(value) = draft.keep(text) {
            self.session.begin_to(|client| async move { client.settings().set(&key, value).await });
        }
    }

    /// Begins an answer or an edit.
    pub(super) fn compose(self: &Rc<Self>, composing: Composing) {
        if let Composing::Edit { text, .. } = &composing {
            if !self.composing.borrow().is_edit() {
                self.aside.replace(self.typed_text());
            }
            self.fill(text);
        } else if self.composing.borrow().is_edit() {
            self.fill(&self.aside.take());
        }
        self.show_composing(composing);
        self.focus();
    }

    /// Gives an answer or an edit up. Whether there was one.
    pub(super) fn give_up(self: &Rc<Self>) -> bool {
        match *self.composing.borrow() {
            Composing::New => return false,
            Composing::Reply { .. } => {}
            Composing::Edit { .. } => self.fill(&self.aside.take()),
        }
        self.show_composing(Composing::New);
        true
    }

    fn show_composing(&self, composing: Composing) {
        let about = composing.about().map(|(title, text)| (title, text.to_owned()));
        self.about.set_visible(about.is_some());
        if let Some((title, text)) = about {
            self.about_title.set_label(&title);
            self.about_text.set_label(&desktop::text::preview(&text, 200));
        }
        let name = if composing.is_edit() { "Save" } else { "Send" };
        self.send.set_tooltip_text(Some(name));
        self.send.set_spoken(name);
        self.composing.replace(composing);
    }

    /// Puts the cursor here.
    pub(super) fn focus(&self) {
        self.text.grab_focus();
    }

    fn send(self: &Rc<Self>) {
        let typed = self.typed_text();
        let text = typed.trim().to_owned();
        let Some(id) = self.open.get().filter(|_| !text.is_empty()) else { return };
        let composing = self.composing.take();
        let left = match composing.is_edit() {
            true => self.aside.take(),
            false => String::new(),
        };
        self.fill(&left);
        self.keep(&left);
        self.show_composing(Composing::New);
        let this = self.clone();
        glib::spawn_future_local(async move {
            let conversation = this.session.client().conversation(id);
            let done = match &composing {
                Composing::New => conversation.send(text.as_str()).await.map(drop),
                Composing::Reply { to, .. } => {
                    conversation.reply(*to, text.as_str()).await.map(drop)
                }
                Composing::Edit { message, .. } => conversation.edit(*message, text.as_str()).await,
            };
            match done {
                Ok(()) if !composing.is_edit() => {
                    if let Some(sent) = this.sent.borrow().as_ref() {
                        sent();
                    }
                }
                Ok(()) => {}
                Err(failure) => this.take_back(id, &text, &words::failure(&failure)),
            }
        });
    }

    /// What could not be sent is written again, unless somebody writes something else by now.
    fn take_back(self: &Rc<Self>, id: SpaceId, text: &str, why: &str) {
        self.session.say(why);
        if self.open.get() == Some(id) && self.typed_text().is_empty() {
            self.fill(text);
        }
    }
}
