//! One message, with what stands above it: the day, the mark of what is new, the author.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use desktop::text;
use desktop::timeline::{Line, progress, ticks};
use gtk::glib;
use sync_client::{OrderKey, Progress};

use crate::parts::{Spoken as _, column, icon_button, row};

/// Letters in a line of a bubble, at most.
const WIDTH_CHARS: i32 = 56;

/// What a message's line tells its list.
pub(super) trait Hears {
    /// Something is to be done with the message at a place.
    fn act(&self, at: usize, beside: &gtk::Widget);
    /// A message is to be brought into view.
    fn show(&self, message: OrderKey);
}

/// The widgets of one line. Rare ones are made when they are first needed.
pub(super) struct MessageRow {
    item: glib::WeakRef<gtk::ListItem>,
    root: gtk::Box,
    day: gtk::Label,
    mark: gtk::Label,
    line: gtk::Box,
    bubble: gtk::Box,
    text: gtk::Label,
    meta: gtk::Label,
    act: gtk::Button,
    author: RefCell<Option<gtk::Label>>,
    avatar: RefCell<Option<adw::Avatar>>,
    quote: RefCell<Option<(gtk::Button, gtk::Label, gtk::Label)>>,
    reactions: RefCell<Option<gtk::Label>>,
    quoted: Cell<Option<OrderKey>>,
    list: std::rc::Weak<dyn Hears>,
}

impl MessageRow {
    pub(super) fn new(item: &gtk::ListItem, list: std::rc::Weak<dyn Hears>) -> Rc<Self> {
        let [day, mark, text, meta] = std::array::from_fn(|_| gtk::Label::new(None));
        for (label, class) in [(&day, "day"), (&mark, "new-mark")] {
            label.add_css_class(class);
            label.set_visible(false);
        }
        mark.set_label("New messages");
        text.set_xalign(0.0);
        text.set_wrap(true);
        text.set_wrap_mode(gtk::pango::WrapMode::WordChar);
        text.set_natural_wrap_mode(gtk::NaturalWrapMode::None);
        text.set_max_width_chars(WIDTH_CHARS);
        meta.add_css_class("meta");
        meta.set_xalign(1.0);
        let bubble = column(2);
        bubble.add_css_class("bubble");
        bubble.append(&text);
        bubble.append(&meta);
        let line = row(6);
        line.append(&bubble);
        let act = icon_button("view-more-symbolic", "Actions for this message");
        act.set_valign(gtk::Align::Center);
        act.add_css_class("flat");
        act.add_css_class("act");
        act.set_focusable(false);
        line.append(&act);
        let root = column(0);
        root.add_css_class("message");
        root.append(&day);
        root.append(&mark);
        root.append(&line);
        item.set_child(Some(&root));
        item.set_selectable(false);
        let this = Rc::new(Self {
            item: item.downgrade(),
            root,
            day,
            mark,
            line,
            bubble,
            text,
            meta,
            act,
            author: RefCell::default(),
            avatar: RefCell::default(),
            quote: RefCell::default(),
            reactions: RefCell::default(),
            quoted: Cell::default(),
            list,
        });
        this.connect();
        this
    }

    fn connect(self: &Rc<Self>) {
        let this = Rc::downgrade(self);
        self.act.connect_clicked(move |button| {
            if let Some(this) = this.upgrade() {
                this.tell_act(button.upcast_ref());
            }
        });
        let menu = gtk::GestureClick::builder().button(gtk::gdk::BUTTON_SECONDARY).build();
        let this = Rc::downgrade(self);
        menu.connect_pressed(move |gesture, _, _, _| {
            gesture.set_state(gtk::EventSequenceState::Claimed);
            if let Some(this) = this.upgrade() {
                this.tell_act(this.bubble.upcast_ref());
            }
        });
        self.line.add_controller(menu);
    }

    fn tell_act(&self, beside: &gtk::Widget) {
        if let (Some(at), Some(list)) = (self.place(), self.list.upgrade()) {
            list.act(at, beside);
        }
    }

    /// Where in the list it is shown.
    pub(super) fn place(&self) -> Option<usize> {
        let at = self.item.upgrade()?.position();
        (at != gtk::INVALID_LIST_POSITION).then(|| usize::try_from(at).ok()).flatten()
    }

    /// What of it is focused and pointed at.
    pub(super) fn bubble(&self) -> &gtk::Box {
        &self.bubble
    }

    /// Puts the focus on it.
    pub(super) fn focus(&self) {
        if let Some(widget) = self.root.parent() {
            widget.grab_focus();
        }
    }

    /// Shows a line; what is searched for in it is marked.
    pub(super) fn show(self: &Rc<Self>, line: &Line, sought: &str, is_found: bool) {
        self.day.set_visible(line.day.is_some());
        self.day.set_label(line.day.as_deref().unwrap_or_default());
        self.mark.set_visible(line.is_first_unread);
        self.line.set_halign(if line.mine { gtk::Align::End } else { gtk::Align::Start });
        let class = |widget: &gtk::Box, class: &str, is: bool| match is {
            true => widget.add_css_class(class),
            false => widget.remove_css_class(class),
        };
        class(&self.root, "begin", line.begins);
        class(&self.bubble, "mine", line.mine);
        class(&self.bubble, "gone", !line.is_plain());
        class(&self.bubble, "found", is_found);
        self.show_author(line);
        self.show_quote(line);
        self.show_text(line, sought);
        self.show_reactions(line);
        if let Some(widget) = self.root.parent() {
            widget.set_spoken(&line.spoken());
        }
    }

    fn show_text(&self, line: &Line, sought: &str) {
        let is_large = line.is_plain() && text::is_only_emoji(line.words());
        match is_large {
            true => self.text.add_css_class("large-emoji"),
            false => self.text.remove_css_class("large-emoji"),
        }
        let markup = text::markup(line.words(), if line.is_plain() { sought } else { "" });
        self.text.set_markup(&markup);
        let edited = if line.message.edited && !line.message.deleted { "edited · " } else { "" };
        let (mark, status) = match line.mine {
            true => (ticks(line.message.status), line.message.status),
            false => ("", Progress::Local),
        };
        let mark = match (line.mine, status) {
            (true, Progress::Read) => {
                format!(" <span foreground=\"#3584e4\" weight=\"bold\">{mark}</span>")
            }
            (true, _) => format!(" {mark}"),
            (false, _) => String::new(),
        };
        self.meta.set_markup(&format!("{edited}{}{mark}", line.time));
        self.meta.set_tooltip_text(line.mine.then(|| progress(status)));
    }

    fn show_author(&self, line: &Line) {
        let is_shown = line.is_group && !line.mine;
        let mut author = self.author.borrow_mut();
        if is_shown && author.is_none() {
            let label = gtk::Label::builder().xalign(0.0).build();
            label.add_css_class("author");
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
            self.bubble.prepend(&label);
            let avatar = crate::parts::avatar("·", 30);
            avatar.set_valign(gtk::Align::End);
            self.line.prepend(&avatar);
            (*author, *self.avatar.borrow_mut()) = (Some(label), Some(avatar));
        }
        if let Some(label) = author.as_ref() {
            label.set_visible(is_shown && line.begins);
            label.set_label(&line.author);
        }
        if let Some(avatar) = self.avatar.borrow().as_ref() {
            avatar.set_visible(is_shown);
            avatar.set_opacity(if line.begins { 1.0 } else { 0.0 });
            avatar.set_text(Some(&line.author));
        }
    }

    fn show_quote(self: &Rc<Self>, line: &Line) {
        self.quoted.set(line.quote.as_ref().map(|quote| quote.message));
        let mut widgets = self.quote.borrow_mut();
        if line.quote.is_some() && widgets.is_none() {
            *widgets = Some(self.new_quote());
        }
        let Some((button, author, text)) = widgets.as_ref() else { return };
        button.set_visible(line.quote.is_some());
        if let Some(quote) = &line.quote {
            author.set_visible(!quote.author.is_empty());
            author.set_label(&quote.author);
            text.set_label(&quote.text);
            let name = format!("In answer to {}: {}", quote.author, quote.text);
            button.set_spoken(&name);
        }
    }

    fn new_quote(self: &Rc<Self>) -> (gtk::Button, gtk::Label, gtk::Label) {
        let [author, text] = std::array::from_fn(|_| {
            let label = gtk::Label::builder().xalign(0.0).max_width_chars(44).build();
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
            label
        });
        author.add_css_class("author");
        text.add_css_class("dim-label");
        let parts = column(0);
        parts.append(&author);
        parts.append(&text);
        let button = gtk::Button::builder().child(&parts).focusable(false).build();
        button.add_css_class("flat");
        button.add_css_class("quote");
        let this = Rc::downgrade(self);
        button.connect_clicked(move |_| {
            let Some(this) = this.upgrade() else { return };
            if let (Some(message), Some(list)) = (this.quoted.get(), this.list.upgrade()) {
                list.show(message);
            }
        });
        self.bubble.insert_child_after(&button, self.author.borrow().as_ref());
        (button, author, text)
    }

    fn show_reactions(&self, line: &Line) {
        let mut reactions = self.reactions.borrow_mut();
        if !line.reactions.is_empty() && reactions.is_none() {
            let label = gtk::Label::new(None);
            label.add_css_class("reactions");
            self.bubble.append(&label);
            *reactions = Some(label);
        }
        let Some(label) = reactions.as_ref() else { return };
        label.set_visible(!line.reactions.is_empty());
        let shown = line.reactions.iter().map(|(emoji, names)| match names.len() {
            1 => emoji.clone(),
            many => format!("{emoji} {many}"),
        });
        label.set_label(&shown.collect::<Vec<_>>().join("  "));
        label.set_halign(gtk::Align::Start);
        let who = line
            .reactions
            .iter()
            .map(|(emoji, names)| format!("{emoji} {}", desktop::words::listed(names)));
        label.set_tooltip_text(Some(&who.collect::<Vec<_>>().join("\n")));
    }
}
