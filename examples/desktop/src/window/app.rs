//! The application: one instance for each store, its windows, and what it does without one.

mod locking;
mod opening;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::{Rc, Weak};
use std::str::FromStr as _;
use std::time::Instant;

use adw::prelude::*;
use desktop::announce::Announcement;
use desktop::autostart;
use desktop::invite::Invite;
use desktop::preferences::{Keeper, Preferences, Theme, data_folder};
use gtk::{gdk, gio, glib};
use sync_client::{OrderKey, SpaceId};

use crate::badge;
use crate::measure;
use crate::safe::Safe;
use crate::session::{News, Session};
use crate::shell::Shell;
use crate::view::Route;
use crate::{Arguments, Keyring};

use locking::Lock;
pub(crate) use opening::Refusal;

/// The application's name on the session's bus; a store that is not the usual one adds to it.
pub(crate) const ID: &str = "org.rejoinder.Desktop";

/// The application.
pub(crate) struct App {
    gtk: adw::Application,
    runtime: tokio::runtime::Runtime,
    arguments: Arguments,
    safe: Safe,
    lock: Lock,
    keeper: Keeper,
    preferences: RefCell<Preferences>,
    session: RefCell<Option<Rc<Session>>>,
    refused: RefCell<Option<Refusal>>,
    is_opening: Cell<bool>,
    had_account: Cell<bool>,
    shells: RefCell<Vec<Weak<Shell>>>,
    waiting: RefCell<Vec<Invite>>,
    hold: RefCell<Option<gio::ApplicationHoldGuard>>,
    begun: Instant,
}

/// Runs until the last window is closed and nothing is to go on in the background.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let begun = Instant::now();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("rejoinder-net")
        .enable_all()
        .build()
    else {
        return ExitCode::FAILURE;
    };
    let id = arguments.data.as_ref().map_or_else(|| ID.to_owned(), |folder| id_of(folder));
    let gtk = adw::Application::builder()
        .application_id(id.as_str())
        .flags(gio::ApplicationFlags::HANDLES_OPEN)
        .build();
    if let Err(error) = gtk.register(gio::Cancellable::NONE) {
        eprintln!("rejoinder-desktop: the session's bus can't be used: {error}");
        return ExitCode::FAILURE;
    }
    if gtk.is_remote() && arguments.background {
        return ExitCode::SUCCESS;
    }
    let links = arguments.links.clone();
    let folder = arguments.data.clone().unwrap_or_else(data_folder);
    let keeper = Keeper::in_folder(&folder);
    let preferences = RefCell::new(keeper.read());
    let safe = Safe::of(&folder, arguments.keyring == Keyring::System);
    let app = Rc::new(App {
        gtk: gtk.clone(),
        runtime,
        arguments,
        safe,
        lock: Lock::default(),
        keeper,
        preferences,
        session: RefCell::default(),
        refused: RefCell::default(),
        is_opening: Cell::new(false),
        had_account: Cell::new(false),
        shells: RefCell::default(),
        waiting: RefCell::default(),
        hold: RefCell::default(),
        begun,
    });
    app.clone().connect();
    let words: Vec<String> = std::iter::once("rejoinder-desktop".to_owned()).chain(links).collect();
    let code = gtk.run_with_args(&words);
    app.end();
    if code == glib::ExitCode::SUCCESS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One store is one application, so that it is used once, and each of several has windows.
fn id_of(folder: &std::path::Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    // FNV-1a: the same for ever, and no more than a name.
    let hash = whole.to_string_lossy().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{ID}.Store{hash:016x}")
}

impl App {
    fn connect(self: Rc<Self>) {
        // `register` has started it already, where it is the first.
        if !self.gtk.is_remote() {
            self.start();
        }
        let this = self.clone();
        self.gtk.connect_activate(move |_| this.activate());
        let this = self.clone();
        self.gtk.connect_open(move |_, files, _| {
            let links = files.iter().filter_map(|file| Invite::parse(&file.uri()));
            this.waiting.borrow_mut().extend(links);
            this.activate();
        });
    }

    fn start(self: &Rc<Self>) {
        let style = gtk::CssProvider::new();
        style.load_from_data(include_str!("style.css"));
        if let Some(display) = gdk::Display::default() {
            gtk::style_context_add_provider_for_display(
                &display,
                &style,
                gtk::STYLE_PROVIDER_PRIORITY_APPLICATION,
            );
        }
        gtk::Window::set_default_icon_name(ID);
        self.show_theme();
        self.add_actions();
        self.look_for_use();
        self.hold_if_wished();
    }

    fn activate(self: &Rc<Self>) {
        self.open_store();
        if self.arguments.background && self.hold.borrow().is_none() {
            self.hold.replace(Some(self.gtk.hold()));
            return;
        }
        match self.shells().into_iter().next() {
            Some(shell) => shell.present(),
            None => self.new_window(),
        }
        self.follow_invites();
    }

    fn shells(&self) -> Vec<Rc<Shell>> {
        self.shells.borrow_mut().retain(|shell| shell.strong_count() > 0);
        self.shells.borrow().iter().filter_map(Weak::upgrade).collect()
    }

    /// The window that was used last, or any; a new one if there is none.
    fn shell(self: &Rc<Self>) -> Option<Rc<Shell>> {
        if self.shells().is_empty() {
            self.new_window();
        }
        let shells = self.shells();
        let active = shells.iter().find(|shell| shell.window().is_active());
        active.or(shells.first()).cloned()
    }

    /// Another window.
    pub(crate) fn new_window(self: &Rc<Self>) {
        let shell = Shell::new(self);
        self.shells.borrow_mut().push(Rc::downgrade(&shell));
        self.show_state(&shell);
        if self.is_locked() {
            shell.cover();
        }
        shell.present();
    }

    fn show_state(self: &Rc<Self>, shell: &Rc<Shell>) {
        let session = self.session.borrow().clone();
        if let Some(session) = session {
            shell.show_session(&session);
        } else if let Some(refusal) = self.refused.borrow().as_ref() {
            shell.show_refusal(refusal);
        } else if self.relay().is_empty() {
            shell.ask_relay();
        }
    }

    /// The relay: as it was asked for, else as it was chosen.
    pub(crate) fn relay(&self) -> String {
        let given = self.arguments.relay.clone();
        given.unwrap_or_else(|| self.preferences.borrow().relay.clone())
    }

    /// Takes another relay, from the next start on if a store is open.
    pub(crate) fn choose_relay(self: &Rc<Self>, relay: &str) {
        self.prefer(|preferences| relay.clone_into(&mut preferences.relay));
        self.open_store();
    }

    /// What is chosen for this device.
    pub(crate) fn preferences(&self) -> Preferences {
        self.preferences.borrow().clone()
    }

    /// Chooses something for this device.
    pub(crate) fn prefer(self: &Rc<Self>, change: impl FnOnce(&mut Preferences)) {
        let mut next = self.preferences();
        change(&mut next);
        if next == self.preferences() {
            return;
        }
        if let Err(error) = self.keeper.write(&next)
            && let Some(session) = self.session.borrow().as_ref()
        {
            session.say(format!("What you chose could not be kept: {error}."));
        }
        self.preferences.replace(next);
        self.show_theme();
        self.hold_if_wished();
        self.watch();
    }

    fn show_theme(&self) {
        let scheme = match self.preferences.borrow().theme {
            Theme::System => adw::ColorScheme::Default,
            Theme::Light => adw::ColorScheme::ForceLight,
            Theme::Dark => adw::ColorScheme::ForceDark,
        };
        adw::StyleManager::default().set_color_scheme(scheme);
    }

    fn hold_if_wished(self: &Rc<Self>) {
        let wished = self.preferences.borrow().background || self.arguments.background;
        let is_held = self.hold.borrow().is_some();
        if wished != is_held && !self.arguments.background {
            self.hold.replace(wished.then(|| self.gtk.hold()));
        }
    }

    /// Whether it is started with the session.
    pub(crate) fn starts_with_session(&self) -> bool {
        autostart::is_on(&self.autostart_file())
    }

    /// Has it started with the session, or not any more.
    ///
    /// # Errors
    /// Those of the file that says so.
    pub(crate) fn start_with_session(&self, on: bool) -> std::io::Result<()> {
        let program = std::env::current_exe()?;
        let mut words = Vec::new();
        if let Some(folder) = &self.arguments.data {
            let folder = std::path::absolute(folder)?;
            words.extend(["--data".to_owned(), folder.to_string_lossy().into_owned()]);
        }
        if let Some(relay) = &self.arguments.relay {
            words.extend(["--relay".to_owned(), relay.clone()]);
        }
        autostart::set(&self.autostart_file(), on, &program, &words)
    }

    fn autostart_file(&self) -> PathBuf {
        autostart::file(&self.gtk.application_id().unwrap_or_default())
    }

    /// The application as GTK has it.
    pub(crate) fn gtk(&self) -> &adw::Application {
        &self.gtk
    }

    /// When the program began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether it is to measure itself.
    pub(crate) fn measures(&self) -> bool {
        self.arguments.measure
    }

    fn hear(self: &Rc<Self>, news: &News) {
        match news {
            News::Conversations => self.show_badge(),
            News::Announce(told) => self.announce(told),
            News::Account => {
                let has_account =
                    self.session.borrow().as_ref().is_some_and(|session| session.has_account());
                if self.had_account.replace(has_account) && !has_account {
                    return self.begin_anew();
                }
                self.shells().iter().for_each(|shell| self.show_state(shell));
            }
            _ => {}
        }
    }

    fn show_badge(&self) {
        let Some(session) = self.session.borrow().clone() else { return };
        let unread = session.conversations().unread();
        badge::show(&self.gtk, unread);
        self.shells().iter().for_each(|shell| shell.show_unread(unread));
        let read = session.conversations();
        let read = read.all().iter().filter(|view| view.unread == 0);
        read.for_each(|view| self.gtk.withdraw_notification(&view.conversation.to_string()));
    }

    fn announce(&self, told: &Announcement) {
        let preferences = self.preferences.borrow();
        if !preferences.notify {
            return;
        }
        if self.is_locked() {
            return self.announce_something();
        }
        let (id, message) = (told.conversation.to_string(), told.message.to_string());
        let notification = gio::Notification::new(&told.title);
        let body = if preferences.notify_text { told.body.as_str() } else { "New messages" };
        notification.set_body(Some(body));
        let target = id.to_variant();
        notification.set_default_action_and_target_value("app.show-conversation", Some(&target));
        notification.add_button_with_target_value("Reply", "app.reply", Some(&target));
        let both = (id.as_str(), message.as_str()).to_variant();
        notification.add_button_with_target_value("Mark as read", "app.mark-read", Some(&both));
        self.gtk.send_notification(Some(&id), &notification);
    }

    fn follow_invites(self: &Rc<Self>) {
        let has_account =
            self.session.borrow().as_ref().is_some_and(|session| session.has_account());
        if !has_account || self.is_locked() {
            return;
        }
        for invite in self.waiting.take() {
            let route = match invite {
                Invite::Open => continue,
                Invite::New => Route::New(None),
                Invite::Talk(address) => Route::New(Some(address)),
                Invite::Conversation(id) => Route::Chat(id),
                Invite::Link(code) => Route::Devices(Some(code)),
            };
            self.go(route);
        }
    }

    /// Shows a place, in the window that was used last.
    pub(crate) fn go(self: &Rc<Self>, route: Route) {
        if let Some(shell) = self.shell() {
            shell.present();
            match self.is_locked() {
                true => self.want(route),
                false => shell.go(route),
            }
        }
    }

    /// Where the store's key is kept.
    pub(crate) fn safe(&self) -> &Safe {
        &self.safe
    }

    fn add_actions(self: &Rc<Self>) {
        self.add_action("quit", &["<Control>q"], |this| this.gtk.quit());
        self.add_action("new-window", &["<Control><Shift>n"], Self::new_window);
        self.add_action("new-conversation", &["<Control>n"], |this| this.go(Route::New(None)));
        self.add_action("devices", &["<Control>d"], |this| this.go(Route::Devices(None)));
        self.add_action("lock", &["<Control><Shift>l"], Self::lock);
        self.add_action("settings", &["<Control>comma"], |this| this.go(Route::Settings));
        self.add_action("about", &[], |this| {
            if let Some(shell) = this.shell() {
                crate::pages::about(shell.window());
            }
        });
        for (name, keys) in crate::shell::KEYS {
            self.gtk.set_accels_for_action(name, keys);
        }
        let text = Some(glib::VariantTy::STRING);
        self.add_targeted("show-conversation", text, |this, target| {
            if let Some(id) = target.str().and_then(|id| SpaceId::from_str(id).ok()) {
                this.go(Route::Chat(id));
            }
        });
        self.add_targeted("reply", text, |this, target| {
            if let Some(id) = target.str().and_then(|id| SpaceId::from_str(id).ok()) {
                this.go(Route::Chat(id));
                this.shells().iter().for_each(|shell| shell.write());
            }
        });
        let both = glib::VariantType::new("(ss)").ok();
        self.add_targeted("mark-read", both.as_deref(), |this, target| {
            let Some((id, message)) = target.get::<(String, String)>() else { return };
            if this.is_locked() {
                return;
            }
            let ids = SpaceId::from_str(&id).ok().zip(OrderKey::from_str(&message).ok());
            if let (Some((id, message)), Some(session)) = (ids, this.session.borrow().as_ref()) {
                session.begin_to(|client| async move {
                    client.conversation(id).mark_read(message).await
                });
            }
        });
    }

    fn add_action(self: &Rc<Self>, name: &str, keys: &[&str], act: impl Fn(&Rc<Self>) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let this = Rc::downgrade(self);
        action.connect_activate(move |_, _| {
            if let Some(this) = this.upgrade() {
                act(&this);
            }
        });
        self.gtk.add_action(&action);
        self.gtk.set_accels_for_action(&format!("app.{name}"), keys);
    }

    fn add_targeted(
        self: &Rc<Self>,
        name: &str,
        kind: Option<&glib::VariantTy>,
        act: impl Fn(&Rc<Self>, &glib::Variant) + 'static,
    ) {
        let action = gio::SimpleAction::new(name, kind);
        let this = Rc::downgrade(self);
        action.connect_activate(move |_, target| {
            if let (Some(this), Some(target)) = (this.upgrade(), target) {
                act(&this, target);
            }
        });
        self.gtk.add_action(&action);
    }

    /// A window shows what it has: the time to measure, if that is asked for.
    pub(crate) fn shown(self: &Rc<Self>, shell: &Rc<Shell>) {
        if self.measures() {
            measure::begin(self, shell);
        }
    }

    /// Closes the store, once the main loop has ended.
    fn end(&self) {
        let Some(session) = self.session.take() else { return };
        self.runtime.block_on(session.close());
    }
}
