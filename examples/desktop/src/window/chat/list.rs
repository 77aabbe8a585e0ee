//! The messages: only those in view have widgets, however many are loaded.

use crate::parts::weakly;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use desktop::time::Clock;
use desktop::timeline::{Line, PAGE, Timeline, difference};
use gtk::{gdk, gio, glib};
use sync_client::{ConversationView, OrderKey, SpaceId};

use super::row::{Hears, MessageRow};
use crate::parts::Spoken as _;
use crate::session::Session;
use crate::shell::Shell;

/// So near the end counts as at the end, in pixels.
const END: f64 = 60.0;
/// Older messages are asked for when so few pixels are left above.
const AHEAD: f64 = 1000.0;
/// Reading begins at the first unread message, if so many are below it.
const FAR: usize = 8;

type OnAct = Box<dyn Fn(&Line, &gtk::Widget)>;
type OnReply = Box<dyn Fn(&Line)>;
type OnShown = Box<dyn Fn()>;

/// The messages of the conversation that is open.
pub(crate) struct MessageList {
    session: Rc<Session>,
    shell: Weak<Shell>,
    root: gtk::Overlay,
    scrolled: gtk::ScrolledWindow,
    store: gio::ListStore,
    list: gtk::ListView,
    to_end: gtk::Button,
    newer: gtk::Label,
    empty: gtk::Label,
    open: Cell<Option<SpaceId>>,
    view: RefCell<Option<ConversationView>>,
    timeline: RefCell<Timeline>,
    lines: RefCell<Vec<Line>>,
    bound: RefCell<BTreeMap<usize, Rc<MessageRow>>>,
    sought: RefCell<String>,
    found: Cell<Option<OrderKey>>,
    seen: Cell<Option<OrderKey>>,
    marked: Cell<Option<OrderKey>>,
    is_shown: Cell<bool>,
    is_loaded: Cell<bool>,
    is_loading_older: Cell<bool>,
    refresh: Cell<Refresh>,
    is_at_end: Cell<bool>,
    act: RefCell<Option<OnAct>>,
    reply: RefCell<Option<OnReply>>,
    loaded: RefCell<Option<OnShown>>,
}

/// Whether the newest page is being read, and whether it has to be once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    Idle,
    UnderWay,
    Again,
}

impl MessageList {
    pub(super) fn new(session: &Rc<Session>, shell: &Rc<Shell>) -> Rc<Self> {
        let store = gio::ListStore::new::<glib::BoxedAnyObject>();
        let selection = gtk::NoSelection::new(Some(store.clone()));
        let list = gtk::ListView::builder().model(&selection).build();
        list.add_css_class("messages");
        list.set_spoken("Messages");
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .vexpand(true)
            .child(&list)
            .build();
        let (to_end, newer) = to_end();
        let empty = gtk::Label::builder()
            .label("Nothing was written here yet. Only members can read what will be.")
            .wrap(true)
            .justify(gtk::Justification::Center)
            .margin_start(24)
            .margin_end(24)
            .visible(false)
            .build();
        empty.add_css_class("dim-label");
        let root = gtk::Overlay::builder().child(&scrolled).vexpand(true).build();
        root.add_overlay(&empty);
        root.add_overlay(&to_end);
        let this = Rc::new(Self {
            session: session.clone(),
            shell: Rc::downgrade(shell),
            root,
            scrolled,
            store,
            list,
            to_end,
            newer,
            empty,
            open: Cell::default(),
            view: RefCell::default(),
            timeline: RefCell::default(),
            lines: RefCell::default(),
            bound: RefCell::default(),
            sought: RefCell::default(),
            found: Cell::default(),
            seen: Cell::default(),
            marked: Cell::default(),
            is_shown: Cell::new(false),
            is_loaded: Cell::new(false),
            is_loading_older: Cell::new(false),
            refresh: Cell::new(Refresh::Idle),
            is_at_end: Cell::new(true),
            act: RefCell::default(),
            reply: RefCell::default(),
            loaded: RefCell::default(),
        });
        this.connect();
        this
    }

    fn connect(self: &Rc<Self>) {
        self.list.set_factory(Some(&self.factory()));
        let this = Rc::downgrade(self);
        self.scrolled.vadjustment().connect_value_changed(move |_| {
            if let Some(this) = this.upgrade() {
                this.look_where();
            }
        });
        self.to_end.connect_clicked(weakly(self, |this| this.scroll_to_end()));
        let this = Rc::downgrade(self);
        self.list.connect_activate(move |_, at| {
            let Some(this) = this.upgrade() else { return };
            if let Some(row) = usize::try_from(at).ok().and_then(|at| this.row_at(at)) {
                this.act(usize::try_from(at).unwrap_or_default(), row.bubble().upcast_ref());
            }
        });
        let keys = gtk::EventControllerKey::new();
        let this = Rc::downgrade(self);
        keys.connect_key_pressed(move |_, key, _, state| {
            let is_plain =
                !state.intersects(gdk::ModifierType::CONTROL_MASK | gdk::ModifierType::ALT_MASK);
            let focused = this.upgrade().filter(|_| is_plain).and_then(|this| {
                let line = this.focused()?;
                Some((this, line))
            });
            match (focused, key) {
                (Some((this, (_, line))), gdk::Key::r | gdk::Key::R) => this.tell_reply(&line),
                (Some((this, (at, _))), gdk::Key::Menu) => {
                    if let Some(row) = this.row_at(at) {
                        this.act(at, row.bubble().upcast_ref());
                    }
                }
                _ => return glib::Propagation::Proceed,
            }
            glib::Propagation::Stop
        });
        self.list.add_controller(keys);
    }

    fn factory(self: &Rc<Self>) -> gtk::SignalListItemFactory {
        let factory = gtk::SignalListItemFactory::new();
        let this = Rc::downgrade(self);
        let with = move |item: &glib::Object| {
            Some((this.upgrade()?, item.downcast_ref::<gtk::ListItem>()?.clone()))
        };
        let at_setup = with.clone();
        factory.connect_setup(move |_, item| {
            if let Some((this, item)) = at_setup(item.upcast_ref()) {
                let hears: Weak<dyn Hears> = Rc::<Self>::downgrade(&this);
                let row = MessageRow::new(&item, hears);
                this.bound.borrow_mut().insert(item.as_ptr().addr(), row);
            }
        });
        let at_bind = with.clone();
        factory.connect_bind(move |_, item| {
            if let Some((this, item)) = at_bind(item.upcast_ref()) {
                let row = this.bound.borrow().get(&item.as_ptr().addr()).cloned();
                if let Some(row) = row {
                    this.show_row(&row);
                }
            }
        });
        factory.connect_teardown(move |_, item| {
            if let Some((this, item)) = with(item.upcast_ref()) {
                this.bound.borrow_mut().remove(&item.as_ptr().addr());
            }
        });
        factory
    }

    /// What is put into a window.
    pub(super) fn root(&self) -> &gtk::Overlay {
        &self.root
    }

    /// How it is scrolled.
    pub(crate) fn scrolled(&self) -> &gtk::ScrolledWindow {
        &self.scrolled
    }

    /// How many messages are loaded.
    pub(crate) fn len(&self) -> usize {
        self.timeline.borrow().len()
    }

    /// Hears, once, that the first page is there.
    pub(crate) fn once_loaded(&self, loaded: impl Fn() + 'static) {
        self.loaded.replace(Some(Box::new(loaded)));
    }

    /// Hears that something is to be done with a message.
    pub(super) fn connect_act(&self, act: impl Fn(&Line, &gtk::Widget) + 'static) {
        self.act.replace(Some(Box::new(act)));
    }

    /// Hears that a message is to be answered.
    pub(super) fn connect_reply(&self, reply: impl Fn(&Line) + 'static) {
        self.reply.replace(Some(Box::new(reply)));
    }

    /// Whether somebody could see it.
    pub(super) fn set_shown(&self, is_shown: bool) {
        self.is_shown.set(is_shown);
    }

    /// Whether somebody could see it.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown.get()
    }

    /// Opens a conversation, at its first unread message, else at its end.
    pub(super) fn open(self: &Rc<Self>, id: SpaceId) {
        self.open.set(Some(id));
        self.view.replace(self.session.conversations().find(id).cloned());
        self.timeline.replace(Timeline::default());
        self.sought.replace(String::new());
        for cell in [&self.found, &self.seen, &self.marked] {
            cell.set(None);
        }
        self.is_loaded.set(false);
        self.is_at_end.set(true);
        self.refresh.set(Refresh::Idle);
        self.refresh();
    }

    /// Takes what is known of the conversation now: names, who is in it.
    pub(super) fn set_view(self: &Rc<Self>, view: ConversationView) {
        if self.view.borrow().as_ref() == Some(&view) || Some(view.conversation) != self.open.get()
        {
            return;
        }
        self.view.replace(Some(view));
        if self.is_loaded.get() {
            self.show();
        }
    }

    /// Reads the newest page again.
    pub(super) fn refresh(self: &Rc<Self>) {
        let Some(id) = self.open.get() else { return };
        if self.refresh.replace(Refresh::Again) != Refresh::Idle {
            return;
        }
        let this = self.clone();
        glib::spawn_future_local(async move {
            while this.refresh.replace(Refresh::UnderWay) == Refresh::Again {
                let limit = this.timeline.borrow().to_refresh();
                let page = this.session.client().conversation(id).messages(None, limit).await;
                if this.open.get() != Some(id) {
                    // The one that is open now has a reading of its own.
                    return;
                }
                match page {
                    Ok(page) => this.take(page, limit),
                    Err(failure) => this.session.say(desktop::words::failure(&failure)),
                }
            }
            this.refresh.set(Refresh::Idle);
        });
    }

    fn take(self: &Rc<Self>, page: Vec<sync_client::MessageView>, asked: usize) {
        let unread = self.view.borrow().as_ref().map_or(0, |view| view.unread);
        let is_first = !self.is_loaded.replace(true);
        {
            let mut timeline = self.timeline.borrow_mut();
            timeline.take_newest(page, asked);
            timeline.mark_unread(unread, self.session.me());
        }
        self.show();
        if is_first {
            self.begin_reading();
            if let Some(loaded) = self.loaded.take() {
                loaded();
            }
        }
        self.look();
    }

    fn begin_reading(self: &Rc<Self>) {
        let (first, all) = (self.timeline.borrow().first_unread(), self.len());
        match first.filter(|first| all - first > FAR) {
            Some(first) => self.scroll_to(first),
            None => self.scroll_to_end(),
        }
    }

    /// Shows what is loaded, and touches no more than it has to.
    fn show(self: &Rc<Self>) {
        let new = match self.view.borrow().as_ref() {
            Some(view) => self.timeline.borrow().lines(view, self.session.me(), &Clock::system()),
            None => Vec::new(),
        };
        let old = self.lines.replace(new);
        let (splice, changed) = difference(&old, &self.lines.borrow());
        let was_at_end = self.is_at_end.get();
        if !splice.is_empty() {
            let added: Vec<_> = (0..splice.added).map(|_| glib::BoxedAnyObject::new(())).collect();
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            self.store.splice(number(splice.at), number(splice.removed), &added);
        }
        if !changed.is_empty() {
            for row in self.rows() {
                if row.place().is_some_and(|at| changed.binary_search(&at).is_ok()) {
                    self.show_row(&row);
                }
            }
        }
        self.empty.set_visible(self.lines.borrow().is_empty() && self.is_loaded.get());
        let is_longer = splice.added > 0 && splice.at + splice.added == self.lines.borrow().len();
        if is_longer && was_at_end {
            self.scroll_to_end();
        }
        self.show_newer();
    }

    fn rows(&self) -> Vec<Rc<MessageRow>> {
        self.bound.borrow().values().cloned().collect()
    }

    fn row_at(&self, at: usize) -> Option<Rc<MessageRow>> {
        self.rows().into_iter().find(|row| row.place() == Some(at))
    }

    fn show_row(&self, row: &Rc<MessageRow>) {
        let lines = self.lines.borrow();
        let Some(line) = row.place().and_then(|at| lines.get(at)) else { return };
        let is_found = self.found.get() == Some(line.message.message);
        row.show(line, &self.sought.borrow(), is_found);
    }

    /// Marks what is searched for, and the one message that is looked at.
    pub(super) fn mark(self: &Rc<Self>, sought: &str, found: Option<OrderKey>) {
        self.sought.replace(sought.trim().to_lowercase());
        self.found.set(found);
        for row in self.rows() {
            self.show_row(&row);
        }
        if let Some(at) = found.and_then(|found| self.timeline.borrow().place(found)) {
            self.scroll_to(at);
        }
    }

    /// Which loaded messages hold a text, oldest first.
    pub(super) fn search(&self, sought: &str) -> Vec<OrderKey> {
        self.timeline.borrow().found(sought)
    }

    /// Whether there may be older messages than those that are loaded.
    pub(super) fn has_older(&self) -> bool {
        self.timeline.borrow().has_older()
    }

    /// Loads the page before the oldest.
    pub(super) async fn load_older(self: &Rc<Self>) {
        let oldest = self.timeline.borrow().oldest();
        let (Some(id), Some(before)) = (self.open.get(), oldest) else { return };
        if !self.has_older() || self.is_loading_older.replace(true) {
            return;
        }
        let page = self.session.client().conversation(id).messages(Some(before), PAGE).await;
        self.is_loading_older.set(false);
        if self.open.get() != Some(id) {
            return;
        }
        match page {
            Ok(page) => {
                self.timeline.borrow_mut().take_older(page, before, PAGE);
                self.show();
            }
            Err(failure) => self.session.say(desktop::words::failure(&failure)),
        }
    }

    /// Where the reader is: near the beginning more is loaded, at the end everything is read.
    fn look_where(self: &Rc<Self>) {
        let place = self.scrolled.vadjustment();
        let below = place.upper() - place.page_size() - place.value();
        self.is_at_end.set(below < END);
        if place.value() < AHEAD && self.is_loaded.get() && self.has_older() {
            let this = self.clone();
            glib::spawn_future_local(async move { this.load_older().await });
        }
        self.look();
    }

    /// Marks as read what was seen: the end in view, in a window that somebody looks at.
    pub(super) fn look(self: &Rc<Self>) {
        self.show_newer();
        let is_active = self.shell.upgrade().is_some_and(|shell| shell.window().is_active());
        let (may_read, unread) = match self.view.borrow().as_ref() {
            Some(view) => (view.active && !view.pending, view.unread),
            None => (false, 0),
        };
        let is_reading = self.is_at_end.get() && is_active && self.is_shown.get() && may_read;
        let newest = self.timeline.borrow().newest_of_others(self.session.me());
        let (Some(message), Some(id), true) = (newest, self.open.get(), is_reading) else { return };
        self.seen.set(Some(message));
        if unread == 0 || self.marked.get() == Some(message) {
            return;
        }
        self.marked.set(Some(message));
        let this = self.clone();
        glib::spawn_future_local(async move {
            if this.session.client().conversation(id).mark_read(message).await.is_err() {
                this.marked.set(None);
            }
        });
    }

    fn show_newer(&self) {
        let timeline = self.timeline.borrow();
        let seen = self.seen.get().and_then(|seen| timeline.place(seen));
        let me = self.session.me();
        let newer = match seen {
            Some(seen) if !self.is_at_end.get() => timeline
                .messages()
                .iter()
                .skip(seen + 1)
                .filter(|view| Some(view.author) != me)
                .count(),
            _ => 0,
        };
        self.to_end.set_visible(!self.is_at_end.get() && !timeline.is_empty());
        self.newer.set_visible(newer > 0);
        self.newer.set_label(&newer.to_string());
        let name = match newer {
            0 => "To the newest".to_owned(),
            newer => format!("To the newest, {newer} new"),
        };
        self.to_end.set_spoken(&name);
    }

    /// An own message was sent: its place is the end, and nothing is new above it any more.
    pub(super) fn follow_own(self: &Rc<Self>) {
        self.timeline.borrow_mut().forget_unread();
        self.is_at_end.set(true);
        self.scroll_to_end();
    }

    /// Shows the newest message.
    pub(crate) fn scroll_to_end(self: &Rc<Self>) {
        if let Some(last) = self.len().checked_sub(1) {
            self.scroll_to(last);
        }
    }

    fn scroll_to(self: &Rc<Self>, at: usize) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let list = self.list.clone();
        let go = move || {
            let _ = list.activate_action("list.scroll-to-item", Some(&at.to_variant()));
        };
        go();
        // Once more when what is there has its height: before, it is a guess.
        glib::idle_add_local_once(go);
    }

    /// Puts the focus on the newest message.
    pub(super) fn focus_last(self: &Rc<Self>) {
        let Some(last) = self.len().checked_sub(1) else { return };
        self.scroll_to(last);
        if let Some(row) = self.row_at(last) {
            row.focus();
        }
    }

    fn focused(&self) -> Option<(usize, Line)> {
        let focus = self.list.root().and_then(|root| root.focus())?;
        let row = self.rows().into_iter().find(|row| {
            let parent = row.bubble().ancestor(gtk::Widget::static_type());
            row.bubble().is_ancestor(&focus) || parent.as_ref() == Some(&focus)
        })?;
        let at = row.place()?;
        Some((at, self.lines.borrow().get(at)?.clone()))
    }

    fn tell_reply(&self, line: &Line) {
        if let Some(reply) = self.reply.borrow().as_ref() {
            reply(line);
        }
    }
}

impl Hears for MessageList {
    fn act(&self, at: usize, beside: &gtk::Widget) {
        let line = self.lines.borrow().get(at).cloned();
        if let (Some(line), Some(act)) = (line, self.act.borrow().as_ref()) {
            act(&line, beside);
        }
    }

    fn show(&self, message: OrderKey) {
        let Some(at) = self.timeline.borrow().place(message) else {
            return self.session.say("That message is further back than what is loaded.");
        };
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let _ = self.list.activate_action("list.scroll-to-item", Some(&at.to_variant()));
    }
}

fn to_end() -> (gtk::Button, gtk::Label) {
    let newer = gtk::Label::new(None);
    newer.add_css_class("badge");
    let parts = crate::parts::row(6);
    parts.append(&gtk::Image::from_icon_name("go-down-symbolic"));
    parts.append(&newer);
    let button = gtk::Button::builder()
        .child(&parts)
        .tooltip_text("To the newest")
        .halign(gtk::Align::End)
        .valign(gtk::Align::End)
        .margin_end(18)
        .margin_bottom(12)
        .visible(false)
        .build();
    button.add_css_class("osd");
    button.add_css_class("to-end");
    (button, newer)
}
