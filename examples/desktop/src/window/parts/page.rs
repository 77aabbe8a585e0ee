//! Screens with a title, and windows above them.

use adw::prelude::*;

use super::{column, icon_button};

/// A screen with a title, a way back, and a column of what is on it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The whole.
    pub(crate) root: gtk::Box,
    /// What is on it.
    pub(crate) content: gtk::Box,
    /// The way back.
    pub(crate) back: gtk::Button,
}

impl Page {
    /// A screen with nothing on it yet.
    pub(crate) fn new(title: &str) -> Self {
        let back = icon_button("go-previous-symbolic", "Back");
        let header = adw::HeaderBar::new();
        header.set_title_widget(Some(&adw::WindowTitle::new(title, "")));
        header.pack_start(&back);
        let content = column(18);
        content.add_css_class("page");
        let clamp = adw::Clamp::builder().maximum_size(600).child(&content).build();
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .vexpand(true)
            .child(&clamp)
            .build();
        let root = column(0);
        root.append(&header);
        root.append(&scrolled);
        Self { root, content, back }
    }
}

/// A window above another, closed by Escape.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// The window.
    pub(crate) window: adw::Window,
    /// What is in it.
    pub(crate) content: gtk::Box,
}

impl Dialog {
    /// A window with nothing in it yet.
    pub(crate) fn new(above: &impl IsA<gtk::Widget>, title: &str) -> Self {
        let header = adw::HeaderBar::new();
        header.set_title_widget(Some(&adw::WindowTitle::new(title, "")));
        let content = column(14);
        content.add_css_class("page");
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .propagate_natural_height(true)
            .vexpand(true)
            .child(&content)
            .build();
        let all = column(0);
        all.append(&header);
        all.append(&scrolled);
        let window = adw::Window::builder()
            .title(title)
            .modal(true)
            .default_width(400)
            .width_request(320)
            .content(&all)
            .build();
        window.set_transient_for(above.root().and_downcast::<gtk::Window>().as_ref());
        let keys = gtk::EventControllerKey::new();
        keys.connect_key_pressed(|keys, key, _, _| {
            if key != gtk::gdk::Key::Escape {
                return gtk::glib::Propagation::Proceed;
            }
            if let Some(window) = keys.widget().and_downcast::<gtk::Window>() {
                window.close();
            }
            gtk::glib::Propagation::Stop
        });
        window.add_controller(keys);
        Self { window, content }
    }

    /// At least so high, for steps that need more room than the first.
    pub(crate) fn set_height(&self, height: i32) {
        self.window.set_default_height(height);
    }

    /// Puts other things in it.
    pub(crate) fn show(&self, parts: &[&gtk::Widget]) {
        super::clear(&self.content);
        for part in parts {
            self.content.append(*part);
        }
    }
}
