//! Screens beside the list, and windows above them.

mod alone;
mod code;
mod devices;
mod info;
mod link_other;
mod locked;
mod members;
mod new;
mod passphrase;
mod safety;
mod settings;

use std::any::Any;
use std::rc::{Rc, Weak};

use adw::prelude::*;

use crate::parts::Page;
use crate::session::Session;
use crate::shell::Shell;
use crate::view::{Route, View};

pub(crate) use alone::{about, ended, refused, relay_page};
pub(crate) use code::{code_window, words as recovery_words};
pub(crate) use devices::devices;
pub(crate) use info::info;
pub(crate) use locked::Locked;
pub(crate) use new::new_conversation;
pub(crate) use safety::SafetyNumber;
pub(crate) use settings::settings;

/// What a screen is given.
#[derive(Clone)]
pub(crate) struct Context {
    /// The client.
    pub(crate) session: Rc<Session>,
    /// Where it is shown.
    pub(crate) view: Weak<View>,
    /// The window.
    pub(crate) shell: Weak<Shell>,
}

/// A screen, and what has to live as long as it is shown.
pub(crate) type Shown = (gtk::Box, Rc<dyn Any>);

impl Context {
    /// Shows another place.
    pub(crate) fn go(&self, route: Route) {
        if let Some(view) = self.view.upgrade() {
            view.go(route);
        }
    }

    /// A screen with a way back to a place.
    pub(crate) fn page(&self, title: &str, back: Route) -> Page {
        let page = Page::new(title);
        let context = self.clone();
        page.back.connect_clicked(move |_| context.go(back.clone()));
        page
    }
}
