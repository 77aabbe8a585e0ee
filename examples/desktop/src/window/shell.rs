//! A window: it shows that the store is being opened, why it can't be, how to begin, or what is in it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use adw::prelude::*;
use gtk::{gio, glib};

use crate::app::{App, Refusal};
use crate::pages::{Locked, code_window, ended, refused, relay_page};
use crate::parts::{Menus, column, paragraph, turn};
use crate::session::{News, Session};
use crate::shortcuts;
use crate::start::Start;
use crate::view::{Route, View};

/// What keys do in a window, beside the application's own.
pub(crate) const KEYS: [(&str, &[&str]); 10] = [
    ("win.find", &["<Control>f"]),
    ("win.filter", &["<Control>k"]),
    ("win.next", &["<Alt>Down", "<Control>Page_Down"]),
    ("win.previous", &["<Alt>Up", "<Control>Page_Up"]),
    ("win.info", &["<Control>i"]),
    ("win.write", &["<Control>l"]),
    ("win.back", &["Escape", "<Alt>Left"]),
    ("win.archive", &["<Control><Shift>a"]),
    ("window.close", &["<Control>w"]),
    ("win.show-help-overlay", &["<Control>question"]),
];

/// A window.
pub(crate) struct Shell {
    id: u64,
    app: Rc<App>,
    window: adw::ApplicationWindow,
    /// What is in it, or the lock before that.
    cover: gtk::Stack,
    menus: Menus,
    toasts: adw::ToastOverlay,
    state: RefCell<State>,
    locked: RefCell<Option<Rc<Locked>>>,
    heard: RefCell<Weak<Session>>,
    is_read_only: Cell<bool>,
}

/// What a window shows.
enum State {
    /// One thing with nothing behind it.
    Alone,
    /// How to begin.
    Start(#[expect(dead_code, reason = "it lives as long as it is shown")] Rc<Start>),
    /// The account.
    View(Rc<View>),
}

const OPEN: &str = "open";
const LOCK: &str = "lock";

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

impl Shell {
    /// A window that shows that the store is being opened.
    pub(crate) fn new(app: &Rc<App>) -> Rc<Self> {
        let toasts = adw::ToastOverlay::new();
        let menus = Menus::around(&toasts);
        let cover = gtk::Stack::new();
        cover.add_named(&menus, Some(OPEN));
        let size = app.preferences().window;
        let window = adw::ApplicationWindow::builder()
            .application(app.gtk())
            .title("Rejoinder")
            .default_width(size.width)
            .default_height(size.height)
            .maximized(size.maximized)
            .width_request(360)
            .height_request(300)
            .content(&cover)
            .build();
        window.set_help_overlay(Some(&shortcuts::window()));
        let this = Rc::new(Self {
            id: NEXT.replace(NEXT.get() + 1),
            app: app.clone(),
            window,
            cover,
            menus,
            toasts,
            state: RefCell::new(State::Alone),
            locked: RefCell::default(),
            heard: RefCell::default(),
            is_read_only: Cell::new(false),
        });
        this.show_alone(&opening());
        this.add_actions();
        this.keep_until_closed();
        this
    }

    /// The window as GTK has it.
    pub(crate) fn window(&self) -> &adw::ApplicationWindow {
        &self.window
    }

    /// Which of all windows it is.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The application.
    pub(crate) fn app(&self) -> &Rc<App> {
        &self.app
    }

    /// Brings it before everything else.
    pub(crate) fn present(&self) {
        self.window.present();
    }

    /// Says something in passing.
    pub(crate) fn say(&self, text: &str) {
        // Toasts are markup, and what is said may hold names.
        let text = glib::markup_escape_text(text);
        self.toasts.add_toast(adw::Toast::builder().title(text.as_str()).timeout(5).build());
    }

    /// The store can't be opened.
    pub(crate) fn show_refusal(self: &Rc<Self>, refusal: &Refusal) {
        self.show_alone(&framed(&refused(self, refusal)));
    }

    /// The store is being opened, or given up.
    pub(crate) fn wait(&self) {
        self.is_read_only.set(false);
        self.show_alone(&opening());
    }

    /// Puts a lock before what is in it. What is behind is neither seen nor read aloud, and nobody
    /// looks at it.
    pub(crate) fn cover(self: &Rc<Self>) {
        if let Some(view) = self.view() {
            view.rest();
        }
        self.menus.close();
        let locked = Locked::new(&self.app);
        self.cover.add_named(&framed(locked.root()), Some(LOCK));
        turn(&self.cover, LOCK);
        locked.focus();
        self.locked.replace(Some(locked));
    }

    /// Takes the lock away.
    pub(crate) fn uncover(&self) {
        turn(&self.cover, OPEN);
        if let Some(lock) = self.cover.child_by_name(LOCK) {
            self.cover.remove(&lock);
        }
        self.locked.replace(None);
        if let Some(view) = self.view() {
            view.wake();
        }
    }

    /// Nobody knows yet which relay it is.
    pub(crate) fn ask_relay(self: &Rc<Self>) {
        let (app, this) = (self.app.clone(), Rc::downgrade(self));
        let page = relay_page(&self.app.relay(), move |relay| {
            if let Some(this) = this.upgrade() {
                this.wait();
            }
            app.choose_relay(relay);
        });
        self.show_alone(&framed(&page));
    }

    /// Shows what is in an open store: how to begin, the end, or the account.
    pub(crate) fn show_session(self: &Rc<Self>, session: &Rc<Session>) {
        self.hear_from(session);
        if !session.has_account() {
            self.is_read_only.set(false);
            if !matches!(*self.state.borrow(), State::Start(_)) {
                self.begin(session);
            }
        } else if let (Some(unsent), false) = (session.unsent(), self.is_read_only.get()) {
            let (this, session_) = (Rc::downgrade(self), session.clone());
            let page = ended(session, unsent, move || {
                let Some(this) = this.upgrade() else { return };
                this.is_read_only.set(true);
                this.show_session(&session_);
            });
            self.show_alone(&framed(&page));
        } else if matches!(*self.state.borrow(), State::Alone) {
            self.show_view(session);
        }
    }

    fn begin(self: &Rc<Self>, session: &Rc<Session>) {
        let (this, session_) = (Rc::downgrade(self), session.clone());
        // The last step says when beginning ends: a recovery code has to be read after the account
        // is there.
        let start = Start::new(session, move || {
            let Some(this) = this.upgrade() else { return };
            this.show_view(&session_);
        });
        self.toasts.set_child(Some(start.root()));
        self.state.replace(State::Start(start));
    }

    fn show_view(self: &Rc<Self>, session: &Rc<Session>) {
        let view = View::new(self, session);
        self.toasts.set_child(Some(view.root()));
        self.state.replace(State::View(view));
        self.show_unread(session.conversations().unread());
        self.app.shown(self);
    }

    fn show_alone(&self, page: &impl IsA<gtk::Widget>) {
        self.toasts.set_child(Some(page));
        self.state.replace(State::Alone);
    }

    fn hear_from(self: &Rc<Self>, session: &Rc<Session>) {
        // After a log-out it is another one.
        let before = self.heard.replace(Rc::downgrade(session));
        if before.upgrade().is_some_and(|before| Rc::ptr_eq(&before, session)) {
            return;
        }
        session.tell_to(self, |this, news| match news {
            News::Say(text) => this.say(text),
            News::RecoveryCode(code) => this.app.show_above(&code_window(&this.window, code)),
            _ => {}
        });
    }

    /// The number of unread messages.
    pub(crate) fn show_unread(&self, unread: u64) {
        let title = match unread {
            0 => "Rejoinder".to_owned(),
            unread => format!("({unread}) Rejoinder"),
        };
        self.window.set_title(Some(&title));
    }

    /// The account, if it is shown and not locked.
    pub(crate) fn view(&self) -> Option<Rc<View>> {
        if self.locked.borrow().is_some() {
            return None;
        }
        match &*self.state.borrow() {
            State::View(view) => Some(view.clone()),
            State::Alone | State::Start(_) => None,
        }
    }

    /// Shows a place.
    pub(crate) fn go(&self, route: Route) {
        if let Some(view) = self.view() {
            view.go(route);
        }
    }

    /// Puts the cursor where one writes.
    pub(crate) fn write(&self) {
        if let Some(view) = self.view() {
            view.write();
        }
    }

    fn add_actions(self: &Rc<Self>) {
        self.add_action("find", View::find);
        self.add_action("filter", View::filter);
        self.add_action("next", |view| view.step(1));
        self.add_action("previous", |view| view.step(-1));
        self.add_action("info", View::about);
        self.add_action("write", View::write);
        self.add_action("back", View::back);
        self.add_action("archive", View::archive);
    }

    fn add_action(self: &Rc<Self>, name: &str, act: impl Fn(&Rc<View>) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let this = Rc::downgrade(self);
        action.connect_activate(move |_, _| {
            if let Some(view) = this.upgrade().and_then(|this| this.view()) {
                act(&view);
            }
        });
        self.window.add_action(&action);
    }

    /// The window keeps this alive, until it is closed: then its size is kept, and what was written.
    fn keep_until_closed(self: &Rc<Self>) {
        let this = RefCell::new(Some(self.clone()));
        self.window.connect_close_request(move |window| {
            let Some(this) = this.take() else { return glib::Propagation::Proceed };
            this.app.prefer(|preferences| {
                preferences.window.maximized = window.is_maximized();
                if !window.is_maximized() {
                    preferences.window.width = window.width();
                    preferences.window.height = window.height();
                }
            });
            if let Some(view) = this.view() {
                view.rest();
            }
            glib::Propagation::Proceed
        });
    }
}

/// A screen of its own, with what closes the window.
fn framed(page: &impl IsA<gtk::Widget>) -> gtk::Box {
    let header = adw::HeaderBar::new();
    header.add_css_class("flat");
    let all = column(0);
    all.append(&header);
    page.set_vexpand(true);
    all.append(page);
    all
}

fn opening() -> gtk::Box {
    let spinner =
        gtk::Spinner::builder().spinning(true).width_request(32).height_request(32).build();
    let all = column(12);
    all.set_valign(gtk::Align::Center);
    all.append(&spinner);
    let label = paragraph("Opening…");
    label.set_halign(gtk::Align::Center);
    all.append(&label);
    framed(&all)
}
