//! Small pieces of which the screens are made.

mod ask;
mod banner;
mod form;
mod kept;
mod menu;
mod page;
mod qr;
mod spoken;

use std::rc::Rc;

use adw::prelude::*;

pub(crate) use ask::{Question, ask};
pub(crate) use banner::Banner;
pub(crate) use form::{Fault, busy, entry, password, switch};
pub(crate) use kept::Kept;
pub(crate) use menu::{Menu, Menus, choose_emoji};
pub(crate) use page::{Dialog, Page};
pub(crate) use qr::qr;
pub(crate) use spoken::Spoken;

/// A button of one picture, with its name for whoever can't see it.
pub(crate) fn icon_button(icon: &str, name: &str) -> gtk::Button {
    let button = gtk::Button::builder().icon_name(icon).tooltip_text(name).build();
    button.set_spoken(name);
    button
}

/// A button of words.
pub(crate) fn button(label: &str, classes: &[&str]) -> gtk::Button {
    let button = gtk::Button::builder().label(label).build();
    for class in classes {
        button.add_css_class(class);
    }
    button
}

/// A paragraph.
pub(crate) fn paragraph(text: &str) -> gtk::Label {
    gtk::Label::builder()
        .label(text)
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::WordChar)
        .xalign(0.0)
        .build()
}

/// A paragraph that says less than others.
pub(crate) fn hint(text: &str) -> gtk::Label {
    let label = paragraph(text);
    label.add_css_class("dim-label");
    label
}

/// A column, with this much between its parts.
pub(crate) fn column(spacing: i32) -> gtk::Box {
    gtk::Box::new(gtk::Orientation::Vertical, spacing)
}

/// A row, with this much between its parts.
pub(crate) fn row(spacing: i32) -> gtk::Box {
    gtk::Box::new(gtk::Orientation::Horizontal, spacing)
}

/// Takes all parts out of a box.
pub(crate) fn clear(of: &impl IsA<gtk::Box>) {
    let of = of.upcast_ref();
    while let Some(child) = of.first_child() {
        of.remove(&child);
    }
}

/// Shows one page of a stack, and hides the others: what stands behind is read aloud otherwise.
pub(crate) fn turn(stack: &gtk::Stack, page: &str) {
    let Some(next) = stack.child_by_name(page) else { return };
    next.set_visible(true);
    stack.set_visible_child(&next);
    let mut child = stack.first_child();
    while let Some(one) = child {
        child = one.next_sibling();
        one.set_visible(one == next);
    }
}

/// A person or conversation as a disc with initials. The name stands beside it.
pub(crate) fn avatar(name: &str, size: i32) -> adw::Avatar {
    let initials = desktop::text::initials(name);
    // libadwaita draws the initials of what it is told, and chooses the colour by it.
    let shown = if initials == "·" { "·" } else { name };
    let avatar = adw::Avatar::builder().size(size).text(shown).show_initials(true).build();
    avatar.set_valign(gtk::Align::Center);
    avatar
}

/// Puts a text on the clipboard.
pub(crate) fn copy(widget: &impl IsA<gtk::Widget>, text: &str) {
    widget.clipboard().set_text(text);
}

/// A button that copies a text, and says that it did.
pub(crate) fn copy_button(label: &str, text: &str) -> gtk::Button {
    let (button, text) = (button(label, &[]), text.to_owned());
    button.connect_clicked(move |button| {
        copy(button, &text);
        button.set_label("Copied");
    });
    button
}

/// Does something with a part of the screen while that is there: what it is connected to may outlive
/// it, and must not keep it.
pub(crate) fn weakly<T, W, F>(part: &Rc<T>, does: F) -> impl Fn(&W) + 'static + use<T, W, F>
where
    T: 'static,
    F: Fn(&Rc<T>) + 'static,
{
    let part = Rc::downgrade(part);
    move |_| {
        if let Some(part) = part.upgrade() {
            does(&part);
        }
    }
}
