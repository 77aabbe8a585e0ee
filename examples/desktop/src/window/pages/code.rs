//! Recovery codes: shown once, and to be written down.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gtk::glib;

use crate::parts::{Dialog, Fault, Spoken as _, busy, button, column, copy_button, paragraph, row};
use crate::session::Session;

/// The words of a code, numbered.
pub(crate) fn words(code: &str) -> gtk::FlowBox {
    let grid = gtk::FlowBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .homogeneous(true)
        .min_children_per_line(2)
        .max_children_per_line(4)
        .row_spacing(4)
        .column_spacing(4)
        .build();
    grid.add_css_class("words");
    grid.set_spoken_with("Recovery code", code);
    for (at, word) in code.split_whitespace().enumerate() {
        let label = gtk::Label::builder().xalign(0.0).label(format!("{}. {word}", at + 1)).build();
        label.add_css_class("word");
        let child = gtk::FlowBoxChild::builder().child(&label).focusable(false).build();
        grid.insert(&child, -1);
    }
    grid
}

/// A window with a code that counts from now on.
pub(crate) fn code_window(above: &impl IsA<gtk::Widget>, code: &str) -> adw::Window {
    let dialog = Dialog::new(above, "New recovery code");
    show_words(&dialog, code);
    dialog.window
}

fn show_words(dialog: &Dialog, code: &str) {
    let text = paragraph("Write these words down. They are shown only now.");
    let done = button("I wrote them down", &["suggested-action"]);
    let window = dialog.window.clone();
    done.connect_clicked(move |_| window.close());
    let buttons = row(8);
    buttons.set_halign(gtk::Align::End);
    buttons.append(&copy_button("Copy the words", code));
    buttons.append(&done);
    dialog.show(&[text.upcast_ref(), words(code).upcast_ref(), buttons.upcast_ref()]);
}

/// Draws a new code, and shows it once.
pub(super) fn draw(above: &impl IsA<gtk::Widget>, session: &Rc<Session>) {
    let dialog = Dialog::new(above, "New recovery code");
    let text = paragraph(
        "The code you have now counts no more as soon as there is a new one. Have something to write \
         at hand.",
    );
    dialog.set_height(420);
    let (fault, go) = (Fault::new(), button("Show a new code", &["suggested-action"]));
    go.set_halign(gtk::Align::End);
    let parts = column(14);
    parts.append(fault.root());
    parts.append(&go);
    let (dialog_, session, is_busy) = (dialog.clone(), session.clone(), Rc::new(Cell::new(false)));
    go.connect_clicked(move |go| {
        if is_busy.replace(true) {
            return;
        }
        busy(go, true, "One moment…");
        let (dialog, session, fault) = (dialog_.clone(), session.clone(), fault.clone());
        let (go, is_busy) = (go.clone(), is_busy.clone());
        glib::spawn_future_local(async move {
            match session.client().account().new_recovery_code().await {
                Ok(code) => show_words(&dialog, &code),
                Err(failure) => fault.say(Some(&desktop::words::failure(&failure))),
            }
            is_busy.set(false);
            busy(&go, false, "Show a new code");
        });
    });
    dialog.show(&[text.upcast_ref(), parts.upcast_ref()]);
    dialog.window.present();
}
