//! The list of conversations, and the way to everything else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use desktop::conversations::{Filter, Row};
use desktop::rows::Splice;
use desktop::time::Clock;
use desktop::words;
use gtk::{gio, glib};
use sync_client::SpaceId;

use crate::parts::{Menu, Spoken as _, avatar, column, icon_button, row, turn};
use crate::session::{News, Session};

/// "5 minutes ago" is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Lines that are shown at once; the rest come when these have been drawn.
const FIRST: usize = 30;
/// The rest come after so long.
const REST: Duration = Duration::from_millis(200);

type Chosen = Box<dyn Fn(SpaceId)>;

/// The list.
pub(crate) struct Sidebar {
    session: Rc<Session>,
    root: gtk::Box,
    header: adw::HeaderBar,
    title: adw::WindowTitle,
    search: gtk::SearchEntry,
    store: gio::ListStore,
    selection: gtk::SingleSelection,
    list: gtk::ListView,
    stack: gtk::Stack,
    empty: adw::StatusPage,
    archive: gtk::Button,
    sync: gtk::Label,
    rows: RefCell<Vec<Row>>,
    bound: RefCell<BTreeMap<usize, (Option<u32>, Line)>>,
    filter: RefCell<Filter>,
    wished: Cell<Option<SpaceId>>,
    is_taking: Cell<bool>,
    is_whole: Cell<bool>,
    chosen: RefCell<Option<Chosen>>,
}

impl Sidebar {
    /// The list of an account's conversations.
    pub(crate) fn new(session: &Rc<Session>) -> Rc<Self> {
        let store = gio::ListStore::new::<glib::BoxedAnyObject>();
        let selection = gtk::SingleSelection::builder()
            .model(&store)
            .autoselect(false)
            .can_unselect(true)
            .build();
        let list = gtk::ListView::builder().model(&selection).single_click_activate(true).build();
        list.add_css_class("navigation-sidebar");
        list.set_spoken("Conversations");
        let search = gtk::SearchEntry::builder().placeholder_text("Find a conversation").build();
        search.set_spoken("Find a conversation");
        let this = Rc::new(Self {
            session: session.clone(),
            root: column(0),
            header: adw::HeaderBar::new(),
            title: adw::WindowTitle::new("Rejoinder", ""),
            search,
            store,
            selection,
            list,
            stack: gtk::Stack::new(),
            empty: adw::StatusPage::new(),
            archive: gtk::Button::new(),
            sync: gtk::Label::builder().xalign(0.0).wrap(true).build(),
            rows: RefCell::default(),
            bound: RefCell::default(),
            filter: RefCell::default(),
            wished: Cell::default(),
            is_taking: Cell::new(false),
            is_whole: Cell::new(false),
            chosen: RefCell::default(),
        });
        this.build();
        this.connect();
        this.look();
        this
    }

    fn build(self: &Rc<Self>) {
        let header = &self.header;
        header.set_title_widget(Some(&self.title));
        let new = icon_button("list-add-symbolic", "New conversation");
        new.set_action_name(Some("app.new-conversation"));
        header.pack_start(&new);
        header.pack_end(&menu());
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .vexpand(true)
            .child(&self.list)
            .build();
        self.stack.add_named(&scrolled, Some("rows"));
        self.stack.add_named(&self.empty, Some("empty"));
        self.stack.set_vexpand(true);
        self.empty.add_css_class("compact");
        self.search.add_css_class("filter");
        self.archive.add_css_class("flat");
        self.archive.add_css_class("archive");
        self.sync.add_css_class("sync");
        self.sync.add_css_class("caption");
        for part in [
            header.upcast_ref::<gtk::Widget>(),
            self.search.upcast_ref(),
            self.stack.upcast_ref(),
            self.archive.upcast_ref(),
            self.sync.upcast_ref(),
        ] {
            self.root.append(part);
        }
        self.root.set_width_request(300);
        // What is in it wants all the room there is, which is the conversation's.
        self.root.set_hexpand(false);
        self.root.add_css_class("sidebar-pane");
    }

    fn connect(self: &Rc<Self>) {
        self.list.set_factory(Some(&self.factory()));
        let this = Rc::downgrade(self);
        self.search.connect_search_changed(move |search| {
            let Some(this) = this.upgrade() else { return };
            this.filter.borrow_mut().words = search.text().to_string();
            this.look();
        });
        let this = Rc::downgrade(self);
        self.search.connect_activate(move |_| {
            let Some(this) = this.upgrade() else { return };
            let first = this.rows.borrow().first().map(|row| row.id);
            if let Some(id) = first {
                this.tell(id);
            }
        });
        let this = Rc::downgrade(self);
        self.list.connect_activate(move |_, at| {
            let Some(this) = this.upgrade() else { return };
            let id = usize::try_from(at)
                .ok()
                .and_then(|at| this.rows.borrow().get(at).map(|row| row.id));
            if let Some(id) = id {
                this.tell(id);
            }
        });
        let this = Rc::downgrade(self);
        self.archive.connect_clicked(move |_| {
            let Some(this) = this.upgrade() else { return };
            let is_archive = !this.filter.borrow().archive;
            this.filter.borrow_mut().archive = is_archive;
            this.look();
        });
        self.session.tell_to(self, |this, news| match news {
            News::Conversations => this.look(),
            News::Status | News::Account => this.show_sync(),
            _ => {}
        });
        let this = Rc::downgrade(self);
        glib::timeout_add_local(LOOK_AGAIN, move || match this.upgrade() {
            Some(this) => {
                this.look();
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
        let menu = gtk::GestureClick::builder().button(gtk::gdk::BUTTON_SECONDARY).build();
        let this = Rc::downgrade(self);
        menu.connect_pressed(move |gesture, _, x, y| {
            if let Some(this) = this.upgrade()
                && this.show_menu(x, y)
            {
                gesture.set_state(gtk::EventSequenceState::Claimed);
            }
        });
        self.list.add_controller(menu);
    }

    /// What is put into a window.
    pub(crate) fn root(&self) -> &gtk::Box {
        &self.root
    }

    /// Whether it is alone in the window, and closes it.
    pub(crate) fn set_folded(&self, is_folded: bool) {
        self.header.set_show_end_title_buttons(is_folded);
    }

    /// Hears which conversation is chosen.
    pub(crate) fn connect_chosen(&self, chosen: impl Fn(SpaceId) + 'static) {
        self.chosen.replace(Some(Box::new(chosen)));
    }

    fn tell(&self, id: SpaceId) {
        if let Some(chosen) = self.chosen.borrow().as_ref() {
            chosen(id);
        }
    }

    /// Shows which conversation is chosen.
    pub(crate) fn choose(&self, id: Option<SpaceId>) {
        self.wished.set(id);
        let at = id.and_then(|id| self.rows.borrow().iter().position(|row| row.id == id));
        let at = at.and_then(|at| u32::try_from(at).ok()).unwrap_or(gtk::INVALID_LIST_POSITION);
        if self.selection.selected() != at {
            self.selection.set_selected(at);
        }
    }

    /// The conversation so many below the one that is chosen.
    pub(crate) fn beside(&self, by: i32) -> Option<SpaceId> {
        let rows = self.rows.borrow();
        let last = i32::try_from(rows.len()).ok()?.checked_sub(1)?;
        let at = rows.iter().position(|row| Some(row.id) == self.wished.get());
        let next = match at {
            Some(at) => i32::try_from(at).ok()?.saturating_add(by).clamp(0, last),
            None => 0,
        };
        rows.get(usize::try_from(next).ok()?).map(|row| row.id)
    }

    /// All that are shown, from the top.
    pub(crate) fn ids(&self) -> Vec<SpaceId> {
        self.rows.borrow().iter().map(|row| row.id).collect()
    }

    /// Puts the cursor where a conversation is looked for.
    pub(crate) fn find(&self) {
        self.search.grab_focus();
    }

    /// Puts the focus on the list.
    pub(crate) fn focus(&self) {
        self.list.grab_focus();
    }

    /// Shows all, where something was looked for.
    pub(crate) fn forget_filter(&self) {
        self.search.set_text("");
        self.list.grab_focus();
    }

    fn look(self: &Rc<Self>) {
        let (filter, clock) = (self.filter.borrow().clone(), Clock::system());
        let conversations = self.session.conversations();
        let mut new = conversations.rows(&filter, &clock);
        let archived = conversations.archived();
        drop(conversations);
        if new.len() > FIRST && !self.is_whole.get() {
            new.truncate(FIRST);
            let this = Rc::downgrade(self);
            glib::timeout_add_local_once(REST, move || {
                if let Some(this) = this.upgrade().filter(|this| !this.is_whole.replace(true)) {
                    this.look();
                }
            });
        }
        self.take(new);
        self.title.set_title(if filter.archive { "Archive" } else { "Rejoinder" });
        self.archive.set_visible(archived > 0 || filter.archive);
        let label = match filter.archive {
            true => "Back to conversations".to_owned(),
            false => format!("Archive ({archived})"),
        };
        self.archive.set_label(&label);
        self.show_empty(&filter);
        self.show_sync();
    }

    /// Puts new lines in the place of the old, and touches no more than it has to.
    fn take(&self, new: Vec<Row>) {
        let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let old = self.rows.borrow().clone();
        let splice = Splice::between(&ids(&old), &ids(&new));
        self.rows.replace(new);
        self.is_taking.set(true);
        if !splice.is_empty() {
            let added: Vec<_> = (0..splice.added).map(|_| glib::BoxedAnyObject::new(())).collect();
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            self.store.splice(number(splice.at), number(splice.removed), &added);
        }
        // Places moved, and lines may look different: those in view are told anew.
        let rows = self.rows.borrow();
        for (at, line) in self.bound.borrow().values() {
            if let Some(row) = at.and_then(|_| line.place()).and_then(|at| rows.get(at)) {
                line.show(row);
            }
        }
        drop(rows);
        self.is_taking.set(false);
        self.choose(self.wished.get());
    }

    fn show_empty(&self, filter: &Filter) {
        let is_empty = self.rows.borrow().is_empty();
        let (title, text) = match (filter.words.trim().is_empty(), filter.archive) {
            (false, _) => ("Nothing fits", "No title and no member holds that."),
            (true, true) => ("The archive is empty", ""),
            (true, false) => ("No conversations yet", "Begin one with Ctrl+N."),
        };
        self.empty.set_title(title);
        self.empty.set_description(Some(text));
        turn(&self.stack, if is_empty { "empty" } else { "rows" });
    }

    fn show_sync(&self) {
        let text = words::sync(&self.session.status(), &Clock::system());
        if self.sync.label() != text {
            self.sync.set_label(&text);
        }
    }

    fn factory(self: &Rc<Self>) -> gtk::SignalListItemFactory {
        let factory = gtk::SignalListItemFactory::new();
        let this = Rc::downgrade(self);
        factory.connect_setup(move |_, item| {
            let (Some(this), Some(item)) = (this.upgrade(), item.downcast_ref::<gtk::ListItem>())
            else {
                return;
            };
            let line = Line::new(item);
            this.bound.borrow_mut().insert(place_of(item), (None, line));
        });
        let this = Rc::downgrade(self);
        factory.connect_bind(move |_, item| {
            let (Some(this), Some(item)) = (this.upgrade(), item.downcast_ref::<gtk::ListItem>())
            else {
                return;
            };
            if let Some((at, line)) = this.bound.borrow_mut().get_mut(&place_of(item)) {
                *at = Some(item.position());
                if let Some(row) = line.place().and_then(|at| this.rows.borrow().get(at).cloned()) {
                    line.show(&row);
                }
            }
        });
        let this = Rc::downgrade(self);
        factory.connect_unbind(move |_, item| {
            let (Some(this), Some(item)) = (this.upgrade(), item.downcast_ref::<gtk::ListItem>())
            else {
                return;
            };
            if let Some((at, _)) = this.bound.borrow_mut().get_mut(&place_of(item)) {
                *at = None;
            }
        });
        let this = Rc::downgrade(self);
        factory.connect_teardown(move |_, item| {
            if let (Some(this), Some(item)) = (this.upgrade(), item.downcast_ref::<gtk::ListItem>())
            {
                this.bound.borrow_mut().remove(&place_of(item));
            }
        });
        factory
    }

    /// What can be done with the conversation at a place of the list.
    fn show_menu(self: &Rc<Self>, x: f64, y: f64) -> bool {
        let Some(at) = self.list.pick(x, y, gtk::PickFlags::DEFAULT) else { return false };
        let found = self.bound.borrow().values().find_map(|(_, line)| {
            let is_it = at == *line.root.upcast_ref::<gtk::Widget>()
                || at.is_ancestor(&line.root)
                || line.root.is_ancestor(&at) && at != *self.list.upcast_ref::<gtk::Widget>();
            line.place().filter(|_| is_it)
        });
        let Some(row) = found.and_then(|at| self.rows.borrow().get(at).cloned()) else {
            return false;
        };
        let menu = Menu::new(&format!("What one can do with {}", row.title));
        for (name, is_on, set) in [
            (if row.pinned { "Unpin" } else { "Pin" }, row.pinned, Switch::Pinned),
            (if row.muted { "Unmute" } else { "Mute" }, row.muted, Switch::Muted),
            (
                if row.archived { "Take out of the archive" } else { "Archive" },
                row.archived,
                Switch::Archived,
            ),
        ] {
            let (session, id) = (self.session.clone(), row.id);
            menu.add(name, false, move || set.to(&session, id, !is_on));
        }
        menu.open(&self.list, Some((x, y)));
        true
    }
}

/// What is set for a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Switch {
    /// No notifications.
    Muted,
    /// On top of the list.
    Pinned,
    /// Out of the list.
    Archived,
}

impl Switch {
    /// Sets it.
    pub(crate) fn to(self, session: &Rc<Session>, id: SpaceId, on: bool) {
        session.begin_to(|client| async move {
            let conversation = client.conversation(id);
            match self {
                Self::Muted => conversation.set_muted(on).await,
                Self::Pinned => conversation.set_pinned(on).await,
                Self::Archived => conversation.set_archived(on).await,
            }
        });
    }
}

/// Which list item it is: the same as long as it is there.
fn place_of(item: &gtk::ListItem) -> usize {
    item.as_ptr().addr()
}

/// One line of the list.
struct Line {
    item: glib::WeakRef<gtk::ListItem>,
    root: gtk::Box,
    avatar: adw::Avatar,
    title: gtk::Label,
    time: gtk::Label,
    preview: gtk::Label,
    muted: gtk::Image,
    pinned: gtk::Image,
    badge: gtk::Label,
}

impl Line {
    fn new(item: &gtk::ListItem) -> Self {
        let cut = |label: &gtk::Label| {
            label.set_xalign(0.0);
            label.set_hexpand(true);
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
        };
        let [title, time, preview, badge] = std::array::from_fn(|_| gtk::Label::new(None));
        cut(&title);
        cut(&preview);
        preview.set_single_line_mode(true);
        title.add_css_class("row-title");
        for small in [&time, &preview] {
            small.add_css_class("caption");
            small.add_css_class("dim-label");
        }
        badge.add_css_class("badge");
        let muted = gtk::Image::from_icon_name("notifications-disabled-symbolic");
        let pinned = gtk::Image::from_icon_name("view-pin-symbolic");
        let first = row(6);
        first.append(&title);
        first.append(&time);
        let second = row(6);
        second.append(&preview);
        for mark in [&muted, &pinned] {
            mark.set_pixel_size(12);
            mark.add_css_class("dim-label");
            second.append(mark);
        }
        second.append(&badge);
        let text = column(2);
        text.set_hexpand(true);
        text.set_valign(gtk::Align::Center);
        text.append(&first);
        text.append(&second);
        let avatar = avatar("·", 40);
        let root = row(10);
        root.add_css_class("conversation-row");
        root.append(&avatar);
        root.append(&text);
        item.set_child(Some(&root));
        Self { item: item.downgrade(), root, avatar, title, time, preview, muted, pinned, badge }
    }

    /// Where in the list it is shown.
    fn place(&self) -> Option<usize> {
        let at = self.item.upgrade()?.position();
        (at != gtk::INVALID_LIST_POSITION).then(|| usize::try_from(at).ok()).flatten()
    }

    fn show(&self, row: &Row) {
        self.avatar.set_text(Some(&row.title));
        set(&self.title, &row.title);
        set(&self.time, &row.time);
        set(&self.preview, &row.preview);
        set(&self.badge, &row.badge());
        self.badge.set_visible(row.unread > 0);
        self.muted.set_visible(row.muted);
        self.pinned.set_visible(row.pinned);
        let class = |widget: &gtk::Label, class: &str, is: bool| match is {
            true => widget.add_css_class(class),
            false => widget.remove_css_class(class),
        };
        class(&self.title, "unread", row.unread > 0);
        class(&self.badge, "muted", row.muted);
        class(&self.preview, "about", row.is_about);
        if let Some(widget) = self.root.parent() {
            widget.set_spoken(&row.spoken());
        }
    }
}

fn set(label: &gtk::Label, text: &str) {
    if label.label() != text {
        label.set_label(text);
    }
}

fn menu() -> gtk::MenuButton {
    let menu = gio::Menu::new();
    let first = gio::Menu::new();
    first.append(Some("New _window"), Some("app.new-window"));
    first.append(Some("_Devices"), Some("app.devices"));
    first.append(Some("_Settings"), Some("app.settings"));
    menu.append_section(None, &first);
    let second = gio::Menu::new();
    second.append(Some("_Keyboard shortcuts"), Some("win.show-help-overlay"));
    second.append(Some("_About Rejoinder"), Some("app.about"));
    second.append(Some("_Quit"), Some("app.quit"));
    menu.append_section(None, &second);
    let button = gtk::MenuButton::builder()
        .icon_name("open-menu-symbolic")
        .menu_model(&menu)
        .tooltip_text("Main menu")
        .primary(true)
        .build();
    button.set_spoken("Main menu");
    button
}
