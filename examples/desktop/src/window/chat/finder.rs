//! Searches the messages that are loaded, and loads more of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use desktop::words;
use gtk::glib;
use sync_client::OrderKey;

use super::list::MessageList;
use crate::parts::{Spoken as _, button, icon_button, row, weakly};
use crate::session::{News, Session};

/// A search.
pub(super) struct Finder {
    root: gtk::SearchBar,
    entry: gtk::SearchEntry,
    count: gtk::Label,
    older: gtk::Button,
    newer: gtk::Button,
    load: gtk::Button,
    end: gtk::Button,
    list: Rc<MessageList>,
    found: RefCell<Vec<OrderKey>>,
    at: Cell<Option<OrderKey>>,
}

impl Finder {
    pub(super) fn new(session: &Rc<Session>, list: &Rc<MessageList>) -> Rc<Self> {
        let entry = gtk::SearchEntry::builder()
            .placeholder_text("Search in loaded messages")
            .hexpand(true)
            .build();
        entry.set_spoken("Search in loaded messages");
        let count = gtk::Label::new(None);
        count.add_css_class("dim-label");
        let this = Rc::new(Self {
            root: gtk::SearchBar::new(),
            entry,
            count,
            older: icon_button("go-up-symbolic", "Older match"),
            newer: icon_button("go-down-symbolic", "Newer match"),
            load: button("Load older", &["flat"]),
            end: icon_button("window-close-symbolic", "Close the search"),
            list: list.clone(),
            found: RefCell::default(),
            at: Cell::default(),
        });
        let line = row(6);
        for part in [
            this.entry.upcast_ref::<gtk::Widget>(),
            this.count.upcast_ref(),
            this.older.upcast_ref(),
            this.newer.upcast_ref(),
            this.load.upcast_ref(),
            this.end.upcast_ref(),
        ] {
            line.append(part);
        }
        this.root.set_child(Some(&line));
        this.root.connect_entry(&this.entry);
        this.connect(session);
        this
    }

    fn connect(self: &Rc<Self>, session: &Rc<Session>) {
        let this = Rc::downgrade(self);
        self.entry.connect_search_changed(move |_| {
            if let Some(this) = this.upgrade() {
                this.at.set(None);
                this.look(true);
            }
        });
        for (button, by) in [(&self.older, -1), (&self.newer, 1)] {
            button.connect_clicked(weakly(self, move |this| this.step(by)));
        }
        self.end.connect_clicked(weakly(self, |this| {
            this.close();
        }));
        self.entry.connect_activate(weakly(self, |this| this.step(-1)));
        let this = Rc::downgrade(self);
        self.load.connect_clicked(move |_| {
            let Some(this) = this.upgrade() else { return };
            glib::spawn_future_local(async move {
                this.load.set_sensitive(false);
                this.list.load_older().await;
                this.load.set_sensitive(true);
                this.look(false);
            });
        });
        let this = Rc::downgrade(self);
        self.root.connect_search_mode_enabled_notify(move |root| {
            if let Some(this) = this.upgrade()
                && !root.is_search_mode()
            {
                this.entry.set_text("");
                this.list.mark("", None);
            }
        });
        session.tell_to(self, |this, news| {
            if let News::Messages(_) = news
                && this.root.is_search_mode()
            {
                this.look(false);
            }
        });
    }

    pub(super) fn root(&self) -> &gtk::SearchBar {
        &self.root
    }

    /// Opens it.
    pub(super) fn open(&self) {
        self.root.set_search_mode(true);
        self.entry.grab_focus();
        self.look(false);
    }

    /// Closes it. Whether it was open.
    pub(super) fn close(&self) -> bool {
        let was_open = self.root.is_search_mode();
        self.root.set_search_mode(false);
        was_open
    }

    fn look(&self, is_shown: bool) {
        let text = self.entry.text();
        let found = self.list.search(&text);
        let at = self.at.get().filter(|at| found.contains(at)).or(found.last().copied());
        self.at.set(at);
        let place = at.and_then(|at| found.iter().position(|one| *one == at));
        let count = match (text.trim().is_empty(), place) {
            (true, _) => {
                words::count(u64::try_from(self.list.len()).unwrap_or_default(), "message")
            }
            (false, None) => "None".to_owned(),
            (false, Some(place)) => format!("{} of {}", place + 1, found.len()),
        };
        self.count.set_label(&count);
        for button in [&self.older, &self.newer] {
            button.set_sensitive(found.len() > 1);
        }
        self.load.set_visible(self.list.has_older());
        self.found.replace(found);
        if is_shown || at.is_some() {
            self.list.mark(&text, at);
        }
    }

    fn step(&self, by: isize) {
        let found = self.found.borrow().clone();
        let Some(at) = self.at.get().and_then(|at| found.iter().position(|one| *one == at)) else {
            return;
        };
        let last = isize::try_from(found.len()).unwrap_or(isize::MAX);
        let next = isize::try_from(at).unwrap_or(0).saturating_add(by).rem_euclid(last);
        self.at.set(usize::try_from(next).ok().and_then(|next| found.get(next).copied()));
        self.look(true);
    }
}
