//! A lock over all windows, which opens by a passphrase: at once, or after a while without a key or a
//! pointer. Behind it messages still arrive.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use adw::prelude::*;
use desktop::keys::{Kept, KeyFault, Wrapped};
use gtk::{gio, glib};
use sync_client::StoreKey;
use zeroize::Zeroizing;

use super::App;
use crate::view::Route;

/// The notification that says that something came, and no more.
const SOMETHING: &str = "something";

/// Whether it is locked, and since when nobody did anything.
pub(super) struct Lock {
    is_locked: Cell<bool>,
    used: Cell<Instant>,
    timer: RefCell<Option<glib::SourceId>>,
    /// Windows above others, which are hidden while it is locked.
    hidden: RefCell<Vec<gtk::Window>>,
    /// Where somebody wanted to go meanwhile.
    wanted: RefCell<Option<Route>>,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            is_locked: Cell::new(false),
            used: Cell::new(Instant::now()),
            timer: RefCell::default(),
            hidden: RefCell::default(),
            wanted: RefCell::default(),
        }
    }
}

impl App {
    /// Whether it is locked.
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_locked.get()
    }

    /// Whether what is kept here opens at once, without a passphrase.
    pub(crate) fn is_open(&self) -> bool {
        self.session.borrow().is_some()
    }

    /// Locks all windows, where there is a passphrase to open them by.
    pub(crate) fn lock(self: &Rc<Self>) {
        if !self.safe.is_wrapped() || self.lock.is_locked.replace(true) {
            return;
        }
        let shells = self.shells();
        let ours: Vec<gtk::Window> =
            shells.iter().map(|shell| shell.window().clone().upcast()).collect();
        let above = gtk::Window::list_toplevels().into_iter().filter_map(|one| one.downcast().ok());
        let above: Vec<gtk::Window> =
            above.filter(|one: &gtk::Window| one.is_visible() && !ours.contains(one)).collect();
        above.iter().for_each(|window| window.set_visible(false));
        self.lock.hidden.replace(above);
        shells.iter().for_each(|shell| shell.cover());
        self.withdraw_all();
    }

    /// What is on the desktop already says who wrote what.
    fn withdraw_all(&self) {
        let Some(session) = self.session.borrow().clone() else { return };
        let conversations = session.conversations();
        let unread = conversations.all().iter().filter(|view| view.unread > 0);
        unread.for_each(|view| self.gtk.withdraw_notification(&view.conversation.to_string()));
    }

    /// Opens by the passphrase what is locked, and the store, if that is still closed.
    ///
    /// # Errors
    /// In words, if it does not.
    pub(crate) async fn unlock(self: &Rc<Self>, passphrase: String) -> Result<(), String> {
        let key = self.key_by(passphrase).await?;
        if !self.is_open() {
            self.refused.replace(None);
            self.open_with(key).await;
        }
        self.uncover();
        self.show_states();
        if let Some(route) = self.lock.wanted.take() {
            self.go(route);
        }
        Ok(())
    }

    /// The key, by the passphrase that it takes. Finding out takes a moment, on another thread.
    async fn key_by(&self, passphrase: String) -> Result<StoreKey, String> {
        let wrapped = match self.safe.kept() {
            Some(Kept::Wrapped(wrapped)) => wrapped,
            Some(Kept::Bare(key)) => return Ok(key),
            None => return Err("There is no key any more.".to_owned()),
        };
        let passphrase = Zeroizing::new(passphrase);
        let opening = self.runtime.spawn_blocking(move || wrapped.open(&passphrase));
        opening.await.unwrap_or(Err(KeyFault::System)).map_err(|fault| said(fault).to_owned())
    }

    /// Shows the windows again.
    pub(super) fn uncover(self: &Rc<Self>) {
        if self.lock.is_locked.replace(false) {
            self.gtk.withdraw_notification(SOMETHING);
            self.shells().iter().for_each(|shell| shell.uncover());
            self.lock.hidden.take().iter().for_each(gtk::Window::present);
        }
        self.used();
        self.watch();
    }

    /// Sets a passphrase, another one, or none. It takes the one that counts now.
    ///
    /// # Errors
    /// In words; then nothing has changed.
    pub(crate) async fn set_passphrase(
        self: &Rc<Self>,
        now: String,
        next: Option<String>,
    ) -> Result<(), String> {
        let key = self.key_by(now).await?;
        let kept = match next {
            None => Kept::Bare(key),
            Some(next) => {
                let next = Zeroizing::new(next);
                let wrapping =
                    self.runtime.spawn_blocking(move || Wrapped::around(&key, &next)).await;
                let wrapped = wrapping.unwrap_or(Err(KeyFault::System)).map_err(said)?;
                Kept::Wrapped(wrapped)
            }
        };
        self.safe.keep(kept).await.map_err(|why| format!("It could not be kept: {why}."))?;
        self.watch();
        Ok(())
    }

    /// Somebody is here.
    pub(crate) fn used(&self) {
        self.lock.used.set(Instant::now());
    }

    /// Hears of each key and each move of the pointer in a window.
    pub(super) fn look_for_use(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        self.gtk.connect_window_added(move |_, window| {
            let events = gtk::EventControllerLegacy::new();
            events.set_propagation_phase(gtk::PropagationPhase::Capture);
            let this = this.clone();
            events.connect_event(move |_, _| {
                if let Some(this) = this.upgrade() {
                    this.used();
                }
                glib::Propagation::Proceed
            });
            window.add_controller(events);
        });
    }

    /// Sets the clock by which it locks, or stops it. Nothing runs while it is not to lock.
    pub(super) fn watch(self: &Rc<Self>) {
        if let Some(timer) = self.lock.timer.take() {
            timer.remove();
        }
        let after = Duration::from_secs(self.preferences.borrow().lock_after_s);
        if after.is_zero() || self.is_locked() || !self.is_open() || !self.safe.is_wrapped() {
            return;
        }
        let left = after.saturating_sub(self.lock.used.get().elapsed());
        let this = Rc::downgrade(self);
        let timer = glib::timeout_add_local_once(left, move || {
            let Some(this) = this.upgrade() else { return };
            this.lock.timer.replace(None);
            match this.lock.used.get().elapsed() < after {
                true => this.watch(),
                false => this.lock(),
            }
        });
        self.lock.timer.replace(Some(timer));
    }

    /// Shows a window above others, once it is open.
    pub(crate) fn show_above(&self, window: &impl IsA<gtk::Window>) {
        match self.is_locked() {
            true => self.lock.hidden.borrow_mut().push(window.clone().upcast()),
            false => window.present(),
        }
    }

    /// Where to go once it is open.
    pub(super) fn want(&self, route: Route) {
        self.lock.wanted.replace(Some(route));
    }

    /// Says that something came, and neither what nor from whom.
    pub(super) fn announce_something(&self) {
        let notification = gio::Notification::new("Rejoinder");
        notification.set_body(Some("Something new came"));
        self.gtk.send_notification(Some(SOMETHING), &notification);
    }
}

fn said(fault: KeyFault) -> &'static str {
    match fault {
        KeyFault::Passphrase => "That is not the passphrase.",
        KeyFault::System => {
            "This device has no memory left for that. Close something, then try again."
        }
    }
}
