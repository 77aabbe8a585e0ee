//! What opens beside something: a menu, or all emoji.
//!
//! GTK keeps in mind which widget the pointer was over last, and asks that one's surface for news when
//! a window is laid out. Where it was a popover that has been taken away since, there is no surface, and
//! the program ends. So a window has one popover of each kind, which live as long as it does.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};

use super::Spoken as _;

mod imp {
    use std::cell::RefCell;

    use adw::prelude::*;
    use adw::subclass::prelude::*;
    use gtk::glib;

    /// What is done with an emoji.
    type Picked = Box<dyn FnOnce(&str)>;

    #[derive(Default)]
    pub(crate) struct Menus {
        pub(super) menu: gtk::Popover,
        pub(super) emoji: gtk::EmojiChooser,
        pub(super) picked: RefCell<Option<Picked>>,
        /// What had the focus before one of them opened.
        pub(super) focus: glib::WeakRef<gtk::Widget>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Menus {
        const NAME: &'static str = "RejoinderMenus";
        type Type = super::Menus;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for Menus {
        fn constructed(&self) {
            self.parent_constructed();
            self.menu.set_parent(&*self.obj());
            self.emoji.set_parent(&*self.obj());
            let this = self.downgrade();
            self.menu.connect_closed(move |_| {
                if let Some(this) = this.upgrade() {
                    this.closed();
                }
            });
            let this = self.downgrade();
            self.emoji.connect_emoji_picked(move |_, emoji| {
                let Some(this) = this.upgrade() else { return };
                if let Some(picked) = this.picked.take() {
                    picked(emoji);
                }
            });
        }

        fn dispose(&self) {
            self.menu.unparent();
            self.emoji.unparent();
        }
    }

    impl Menus {
        fn closed(&self) {
            // What was pressed in it is still at work.
            let this = self.downgrade();
            glib::idle_add_local_once(move || {
                let Some(this) = this.upgrade().filter(|this| !this.menu.is_visible()) else {
                    return;
                };
                this.menu.set_child(None::<&gtk::Widget>);
                if this.emoji.is_visible() {
                    return;
                }
                if let Some(focus) = this.focus.upgrade().filter(|focus| focus.is_mapped()) {
                    focus.grab_focus();
                }
            });
        }
    }

    impl WidgetImpl for Menus {}
    impl BinImpl for Menus {}
}

glib::wrapper! {
    /// The content of a window, with what opens above it.
    pub(crate) struct Menus(ObjectSubclass<imp::Menus>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget;
}

impl Menus {
    /// Around a window's content.
    pub(crate) fn around(content: &impl IsA<gtk::Widget>) -> Self {
        glib::Object::builder().property("child", content).build()
    }

    /// Closes whatever is open.
    pub(crate) fn close(&self) {
        self.imp().menu.popdown();
        self.imp().emoji.popdown();
    }

    /// Those of the window that a widget is in.
    fn of(widget: &gtk::Widget) -> Option<Self> {
        widget.ancestor(Self::static_type()).and_downcast()
    }

    /// Where a widget is, or a point of it.
    fn place(&self, widget: &gtk::Widget, point: Option<(f64, f64)>) -> Option<gdk::Rectangle> {
        if let Some((x, y)) = point {
            let (x, y) = widget.translate_coordinates(self, x, y)?;
            return Some(gdk::Rectangle::new(x as i32, y as i32, 1, 1));
        }
        let bounds = widget.compute_bounds(self)?;
        let [x, y, width, height] = [bounds.x(), bounds.y(), bounds.width(), bounds.height()];
        Some(gdk::Rectangle::new(x as i32, y as i32, width as i32, height as i32))
    }

    fn open(&self, popover: &gtk::Popover, beside: &gtk::Widget, point: Option<(f64, f64)>) {
        popover.set_pointing_to(self.place(beside, point).as_ref());
        popover.popup();
    }
}

/// A menu, beside a widget or at a point of it. It closes before what was chosen in it is done.
pub(crate) struct Menu {
    name: String,
    parts: gtk::Box,
}

impl Menu {
    /// An empty one. `name` is what it is called for whoever can't see it.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), parts: super::column(2) }
    }

    /// Adds something that can be chosen.
    pub(crate) fn add(&self, label: &str, is_dangerous: bool, act: impl Fn() + 'static) {
        let text = gtk::Label::builder().label(label).xalign(0.0).build();
        let button = gtk::Button::builder().child(&text).build();
        button.set_spoken(label);
        button.add_css_class("flat");
        if is_dangerous {
            button.add_css_class("destructive");
        }
        Self::chosen(&button, act);
        self.parts.append(&button);
    }

    /// Adds something else, whose buttons were told to [`Self::chosen`].
    pub(crate) fn append(&self, part: &impl IsA<gtk::Widget>) {
        self.parts.append(part);
    }

    /// What choosing by a button does.
    pub(crate) fn chosen(button: &gtk::Button, act: impl Fn() + 'static) {
        button.connect_clicked(move |button| {
            if let Some(menus) = Menus::of(button.upcast_ref()) {
                menus.imp().menu.popdown();
            }
            act();
        });
    }

    /// Opens it.
    pub(crate) fn open(self, beside: &impl IsA<gtk::Widget>, point: Option<(f64, f64)>) {
        let beside = beside.upcast_ref();
        let Some(menus) = Menus::of(beside) else { return };
        let popover = &menus.imp().menu;
        menus.imp().focus.set(beside.root().and_then(|root| root.focus()).as_ref());
        popover.set_spoken(&self.name);
        popover.set_has_arrow(point.is_none());
        popover.set_child(Some(&self.parts));
        menus.open(popover, beside, point);
    }
}

/// Has an emoji chosen, beside a widget.
pub(crate) fn choose_emoji(beside: &impl IsA<gtk::Widget>, picked: impl FnOnce(&str) + 'static) {
    let beside = beside.upcast_ref();
    let Some(menus) = Menus::of(beside) else { return };
    menus.imp().picked.replace(Some(Box::new(picked)));
    menus.open(menus.imp().emoji.upcast_ref(), beside, None);
}
