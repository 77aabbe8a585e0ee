//! The account in a window: the list beside what was chosen in it; in a narrow one, one of the two.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use sync_client::SpaceId;

use crate::banners::Banners;
use crate::chat::Chat;
use crate::pages::{self, Context};
use crate::parts::{button, column, turn, weakly};
use crate::session::{News, Session};
use crate::shell::Shell;
use crate::sidebar::Sidebar;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The list, with nothing chosen.
    List,
    /// A conversation.
    Chat(SpaceId),
    /// What there is to know of one.
    Info(SpaceId),
    /// To begin one, with somebody.
    New(Option<String>),
    /// The own devices; and at once the one that shows this code.
    Devices(Option<String>),
    /// Settings.
    Settings,
}

/// The account in a window.
pub(crate) struct View {
    session: Rc<Session>,
    shell: Weak<Shell>,
    root: gtk::Box,
    leaflet: adw::Leaflet,
    content: gtk::Stack,
    sidebar: Rc<Sidebar>,
    chat: Rc<Chat>,
    route: RefCell<Route>,
    /// What answers to news lives as long as it is shown.
    shown: RefCell<Option<Rc<dyn std::any::Any>>>,
    _banners: Rc<Banners>,
}

const CHAT: &str = "chat";
const PAGE: &str = "page";
const NOTHING: &str = "nothing";

impl View {
    /// The account, at its list.
    pub(crate) fn new(shell: &Rc<Shell>, session: &Rc<Session>) -> Rc<Self> {
        let sidebar = Sidebar::new(session);
        let chat = Chat::new(session, shell);
        let banners = Banners::new(session, shell);
        let content = gtk::Stack::new();
        content.set_hexpand(true);
        content.add_named(&nothing(), Some(NOTHING));
        content.add_named(chat.root(), Some(CHAT));
        turn(&content, NOTHING);
        let leaflet = adw::Leaflet::builder()
            .can_navigate_back(true)
            .transition_type(adw::LeafletTransitionType::Slide)
            .vexpand(true)
            .build();
        leaflet.append(sidebar.root());
        let line = gtk::Separator::new(gtk::Orientation::Vertical);
        leaflet.append(&line).set_navigatable(false);
        leaflet.append(&content);
        let root = column(0);
        root.append(banners.root());
        root.append(&leaflet);
        let this = Rc::new(Self {
            session: session.clone(),
            shell: Rc::downgrade(shell),
            root,
            leaflet,
            content,
            sidebar,
            chat,
            route: RefCell::new(Route::List),
            shown: RefCell::default(),
            _banners: banners,
        });
        this.connect();
        this
    }

    fn connect(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        self.sidebar.connect_chosen(move |id| {
            if let Some(this) = this.upgrade() {
                this.go(Route::Chat(id));
            }
        });
        let this = Rc::downgrade(self);
        self.chat.connect_left(move || {
            if let Some(this) = this.upgrade() {
                this.back();
            }
        });
        self.leaflet.connect_folded_notify(weakly(self, |this| this.show_side()));
        self.session.tell_to(self, |this, news| {
            if let News::Conversations = news {
                this.leave_what_is_gone();
            }
        });
        self.show_side();
    }

    /// What is put into the window.
    pub(crate) fn root(&self) -> &gtk::Box {
        &self.root
    }

    /// The conversation that is shown.
    pub(crate) fn chat(&self) -> &Rc<Chat> {
        &self.chat
    }

    /// The list.
    pub(crate) fn sidebar(&self) -> &Rc<Sidebar> {
        &self.sidebar
    }

    /// Shows a place.
    pub(crate) fn go(self: &Rc<Self>, route: Route) {
        self.route.replace(route.clone());
        let chosen = match &route {
            Route::Chat(id) | Route::Info(id) => Some(*id),
            _ => None,
        };
        self.sidebar.choose(chosen);
        let mut shown: Option<Rc<dyn std::any::Any>> = None;
        match route {
            Route::List => {
                self.chat.show(None);
                turn(&self.content, NOTHING);
            }
            Route::Chat(id) => {
                self.chat.show(Some(id));
                turn(&self.content, CHAT);
            }
            Route::Info(id) => shown = Some(self.show_page(pages::info(&self.context(), id))),
            Route::New(with) => {
                shown = Some(self.show_page(pages::new_conversation(&self.context(), with)));
            }
            Route::Devices(code) => {
                shown = Some(self.show_page(pages::devices(&self.context(), code)));
            }
            Route::Settings => shown = Some(self.show_page(pages::settings(&self.context()))),
        }
        self.shown.replace(shown);
        self.show_side();
    }

    fn show_page(&self, (page, keeps): (gtk::Box, Rc<dyn std::any::Any>)) -> Rc<dyn std::any::Any> {
        self.chat.rest();
        let before = self.content.child_by_name(PAGE);
        turn(&self.content, NOTHING);
        if let Some(before) = before {
            self.content.remove(&before);
        }
        self.content.add_named(&page, Some(PAGE));
        turn(&self.content, PAGE);
        page.child_focus(gtk::DirectionType::TabForward);
        keeps
    }

    fn context(self: &Rc<Self>) -> Context {
        Context {
            session: self.session.clone(),
            view: Rc::downgrade(self),
            shell: self.shell.clone(),
        }
    }

    fn show_side(&self) {
        let is_list = *self.route.borrow() == Route::List;
        match is_list {
            true => self.leaflet.set_visible_child(self.sidebar.root()),
            false => self.leaflet.set_visible_child(&self.content),
        }
        self.chat.set_folded(self.leaflet.is_folded());
        self.sidebar.set_folded(self.leaflet.is_folded());
    }

    /// One step back.
    pub(crate) fn back(self: &Rc<Self>) {
        let route = self.route.borrow().clone();
        match route {
            Route::List => self.sidebar.forget_filter(),
            Route::Chat(_) if self.chat.give_up() => {}
            Route::Chat(_) if !self.leaflet.is_folded() => self.sidebar.focus(),
            Route::Info(id) => self.go(Route::Chat(id)),
            Route::Chat(_) | Route::New(_) | Route::Devices(_) | Route::Settings => {
                self.go(Route::List);
                self.sidebar.focus();
            }
        }
    }

    /// Searches in the messages of the conversation that is shown.
    pub(crate) fn find(self: &Rc<Self>) {
        if let Route::Chat(_) = *self.route.borrow() {
            self.chat.find();
        }
    }

    /// Puts the cursor where a conversation is looked for.
    pub(crate) fn filter(self: &Rc<Self>) {
        if self.leaflet.is_folded() {
            self.go(Route::List);
        }
        self.sidebar.find();
    }

    /// The next conversation of the list, or the one before.
    pub(crate) fn step(self: &Rc<Self>, by: i32) {
        if let Some(id) = self.sidebar.beside(by) {
            self.go(Route::Chat(id));
        }
    }

    /// What there is to know of the conversation that is shown.
    pub(crate) fn about(self: &Rc<Self>) {
        let route = self.route.borrow().clone();
        if let Route::Chat(id) = route {
            self.go(Route::Info(id));
        }
    }

    /// Puts the cursor where one writes.
    pub(crate) fn write(self: &Rc<Self>) {
        self.chat.write();
    }

    /// Puts the conversation that is shown away, or back.
    pub(crate) fn archive(self: &Rc<Self>) {
        let Route::Chat(id) = *self.route.borrow() else { return };
        let is_archived = self.session.conversations().find(id).is_some_and(|view| view.archived);
        self.session.begin_to(|client| async move {
            client.conversation(id).set_archived(!is_archived).await
        });
    }

    fn leave_what_is_gone(self: &Rc<Self>) {
        let route = self.route.borrow().clone();
        if let Route::Chat(id) | Route::Info(id) = route
            && self.session.conversations().find(id).is_none()
        {
            self.go(Route::List);
        }
    }

    /// The window is closed, or locked: what was written is kept, and nobody looks any more.
    pub(crate) fn rest(&self) {
        self.chat.rest();
    }

    /// Somebody looks again.
    pub(crate) fn wake(&self) {
        if let Route::Chat(id) = *self.route.borrow() {
            self.chat.show(Some(id));
        }
    }
}

fn nothing() -> gtk::Box {
    let header = adw::HeaderBar::new();
    header.add_css_class("flat");
    header.set_title_widget(Some(&adw::WindowTitle::new("", "")));
    let page = adw::StatusPage::builder()
        .icon_name("chat-message-new-symbolic")
        .title("No conversation chosen")
        .description("Choose one in the list, or begin a new one.")
        .vexpand(true)
        .build();
    let begin = button("New conversation", &["pill", "suggested-action"]);
    begin.set_halign(gtk::Align::Center);
    begin.set_action_name(Some("app.new-conversation"));
    page.set_child(Some(&begin));
    let all = column(0);
    all.append(&header);
    all.append(&page);
    all
}
