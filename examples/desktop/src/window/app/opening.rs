//! The store is opened with its key, and given up with it.

use std::rc::Rc;

use desktop::keys::Kept;
use desktop::words;
use gtk::glib;
use sync_client::{Client, OpenError, Options, StoreError, StoreKey};

use super::App;
use crate::badge;
use crate::session::Session;

/// Why there is nothing to be shown.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The store can't be opened.
    Store(OpenError),
    /// Its key can't be had, in words.
    Key(String),
}

impl Refusal {
    /// What is said of it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Store(error) => {
                let said = words::sentence(&error.to_string());
                match error.kind() {
                    "relay_url" => {
                        format!("{said} The relay's address begins with ws:// or wss://.")
                    }
                    "in_use" => format!("{said} Another program has it open: close that first."),
                    _ => said,
                }
            }
            Self::Key(why) => format!(
                "The key to what is kept here can't be had: {why}. If your keyring is closed, open it \
                 and try again. Without the key nobody can read it any more."
            ),
        }
    }

    /// Whether all that is left may be to begin anew.
    pub(crate) fn is_for_good(&self) -> bool {
        match self {
            Self::Key(_) => true,
            Self::Store(error) => {
                matches!(error, OpenError::Store(StoreError::OtherKey(_) | StoreError::Damaged(_)))
            }
        }
    }
}

impl App {
    /// Opens the store, unless that is done or under way, takes a passphrase first, or nobody knows yet
    /// with which relay.
    pub(crate) fn open_store(self: &Rc<Self>) {
        let is_done = self.session.borrow().is_some() || self.is_locked();
        if is_done || self.relay().is_empty() || self.is_opening.replace(true) {
            return;
        }
        self.refused.replace(None);
        let this = self.clone();
        glib::spawn_future_local(async move {
            match this.safe.find().await {
                Ok(Kept::Bare(key)) => this.open_with(key).await,
                Ok(Kept::Wrapped(_)) => this.lock(),
                Err(why) => {
                    this.refused.replace(Some(Refusal::Key(why)));
                }
            }
            this.is_opening.set(false);
            this.show_states();
        });
    }

    /// Opens the store with its key.
    pub(super) async fn open_with(self: &Rc<Self>, key: StoreKey) {
        let (folder, relay) = (self.safe.store().to_owned(), self.relay());
        let options = Options {
            extra_roots: self.arguments.ca_file.clone(),
            store_key: Some(key),
            ..Options::default()
        };
        let opening = async move { Client::open(&folder, &relay, options).await };
        let opened = self.runtime.spawn(opening).await;
        let opened = opened.unwrap_or_else(|gone| Err(OpenError::Thread(gone.to_string())));
        self.take_opened(opened).await;
        self.watch();
    }

    async fn take_opened(self: &Rc<Self>, opened: Result<Client, OpenError>) {
        let client = match opened {
            Ok(client) => client,
            Err(error) => {
                self.refused.replace(Some(Refusal::Store(error)));
                return;
            }
        };
        match Session::begin(client, self.runtime.handle().clone()).await {
            Ok(session) => {
                let this = Rc::downgrade(self);
                session
                    .listen(move |news| this.upgrade().inspect(|this| this.hear(news)).is_some());
                self.had_account.set(session.has_account());
                self.session.replace(Some(session));
                self.show_badge();
            }
            Err(failure) => {
                let error = OpenError::Thread(failure.to_string());
                self.refused.replace(Some(Refusal::Store(error)));
            }
        }
    }

    /// All windows show what there is.
    pub(super) fn show_states(self: &Rc<Self>) {
        for shell in self.shells() {
            self.show_state(&shell);
        }
        self.follow_invites();
    }

    /// Takes store and key away, after a log-out or because nobody can read it any more, and begins
    /// with new ones.
    pub(crate) fn begin_anew(self: &Rc<Self>) {
        self.shells().iter().for_each(|shell| shell.wait());
        let this = self.clone();
        glib::spawn_future_local(async move {
            let session = this.session.take();
            if let Some(session) = session {
                session.close().await;
            }
            this.had_account.set(false);
            badge::show(&this.gtk, 0);
            if let Err(error) = this.safe.erase().await {
                this.refused.replace(Some(Refusal::Store(error.into())));
                return this.show_states();
            }
            this.uncover();
            this.open_store();
        });
    }
}
