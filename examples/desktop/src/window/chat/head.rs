//! What stands above a conversation: what it is called, and who is in it.

use adw::prelude::*;

use crate::parts::icon_button;

/// The head.
pub(super) struct Head {
    root: adw::HeaderBar,
    title: adw::WindowTitle,
    back: gtk::Button,
}

impl Head {
    pub(super) fn new() -> Self {
        let title = adw::WindowTitle::new("", "");
        let root = adw::HeaderBar::new();
        root.set_title_widget(Some(&title));
        let back = icon_button("go-previous-symbolic", "Back to the list");
        root.pack_start(&back);
        let about = icon_button("help-about-symbolic", "About this conversation");
        about.set_action_name(Some("win.info"));
        root.pack_end(&about);
        let find = icon_button("system-search-symbolic", "Search in messages");
        find.set_action_name(Some("win.find"));
        root.pack_end(&find);
        Self { root, title, back }
    }

    pub(super) fn root(&self) -> &adw::HeaderBar {
        &self.root
    }

    pub(super) fn back(&self) -> &gtk::Button {
        &self.back
    }

    pub(super) fn show(&self, title: &str, subtitle: &str) {
        self.title.set_title(title);
        self.title.set_subtitle(subtitle);
    }
}
