//! What concerns the whole account, above everything else in a window.

use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use desktop::time::Clock;
use desktop::words;
use gtk::glib;
use sync_client::{Problem, RelayId};

use crate::parts::{Banner, Spoken as _, column};
use crate::session::{News, Session};
use crate::shell::Shell;
use crate::view::Route;

/// "5 minutes ago" is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// A connection that is back within this time was never worth a word.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The banners of a window.
pub(crate) struct Banners {
    session: Rc<Session>,
    root: gtk::Box,
    offline: Banner,
    ended: Banner,
    trouble: Banner,
    moved: Banner,
    nameless: Banner,
    store: Banner,
    history: gtk::Box,
    bar: gtk::ProgressBar,
}

impl Banners {
    /// The banners of a window.
    pub(crate) fn new(session: &Rc<Session>, shell: &Rc<Shell>) -> Rc<Self> {
        let root = column(0);
        let (history, bar) = arriving();
        let this = Rc::new(Self {
            session: session.clone(),
            offline: offline(session),
            ended: Banner::new("dialog-warning-symbolic", true),
            trouble: trouble(session),
            moved: moved(session),
            nameless: nameless(shell),
            store: Banner::new("drive-harddisk-symbolic", true),
            history,
            bar,
            root,
        });
        for banner in this.all() {
            this.root.append(banner.root());
        }
        this.root.append(&this.history);
        session.tell_to(&this, |this, news| match news {
            News::Status | News::Account => this.look(),
            News::History(_) => this.look_at_history(),
            _ => {}
        });
        let weak = Rc::downgrade(&this);
        glib::timeout_add_local(LOOK_AGAIN, move || match weak.upgrade() {
            Some(this) => {
                this.look();
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
        // A start is not offline before it had time to connect.
        let weak = Rc::downgrade(&this);
        glib::timeout_add_local_once(PATIENCE, move || {
            if let Some(this) = weak.upgrade() {
                this.look();
            }
        });
        this
    }

    fn all(&self) -> [&Banner; 6] {
        [&self.ended, &self.offline, &self.trouble, &self.moved, &self.nameless, &self.store]
    }

    /// What is put into a window.
    pub(crate) fn root(&self) -> &gtk::Box {
        &self.root
    }

    fn look(&self) {
        let (status, clock) = (self.session.status(), Clock::system());
        let is_ended = self.session.unsent().is_some();
        let ended = "This device was removed from the account. Nothing new arrives or is sent.";
        self.ended.say(is_ended.then_some(ended));
        let why = self.session.client().connection_problem().map(|why| why.to_string());
        let is_away = self.session.is_away();
        let offline = words::offline(&status, is_away, why.as_deref(), &clock);
        self.offline.say((!is_ended && !status.connected).then_some(offline.as_str()));
        self.offline.set_buttons_visible(is_away);
        let trouble = status.problem.as_ref().and_then(words::trouble);
        self.trouble.say(trouble.as_deref().filter(|_| !is_ended));
        let is_other = matches!(status.problem, Some(Problem::OtherRelay { .. }));
        self.trouble.set_buttons_visible(is_other);
        let moved = self.session.moved().map(|moved| format!(
            "The relay says that {} is another account than before. Ask the person by another way: \
             somebody may have taken their address.",
            words::quoted(&moved.address)
        ));
        self.moved.say(moved.as_deref());
        let nameless = "Others can’t see your name: it was lost with your devices.";
        self.nameless.say((status.nameless && !is_ended).then_some(nameless));
        let store = "This device can't write to its disk. What you write now is tried again; free some \
                     space.";
        self.store.say(self.session.store_failed().then_some(store));
    }

    fn look_at_history(&self) {
        let history = self.session.all_history();
        self.history.set_visible(history.is_some());
        if let Some((read, total)) = history {
            let part = f64::from(u32::try_from(read * 1000 / total.max(1)).unwrap_or(1000));
            self.bar.set_fraction(part / 1000.0);
        }
    }
}

fn arriving() -> (gtk::Box, gtk::ProgressBar) {
    let bar = gtk::ProgressBar::builder().hexpand(true).valign(gtk::Align::Center).build();
    bar.set_spoken("Earlier messages are arriving");
    let all = crate::parts::row(10);
    all.add_css_class("banner");
    all.append(&gtk::Label::new(Some("Earlier messages are arriving")));
    all.append(&bar);
    all.set_visible(false);
    (all, bar)
}

fn offline(session: &Rc<Session>) -> Banner {
    let session = session.clone();
    Banner::new("network-offline-symbolic", false).button("Connect", move || {
        let session = session.clone();
        glib::spawn_future_local(async move { session.attempt(session.set_away(false)).await });
    })
}

fn trouble(session: &Rc<Session>) -> Banner {
    let session = session.clone();
    Banner::new("dialog-warning-symbolic", true).button("Go on with it", move || {
        if let Some(relay) = other_relay(&session) {
            session.begin_to(|client| async move { client.account().accept_relay(relay).await });
        }
    })
}

fn other_relay(session: &Session) -> Option<RelayId> {
    match session.status().problem {
        Some(Problem::OtherRelay { now, .. }) => Some(now),
        _ => None,
    }
}

fn moved(session: &Rc<Session>) -> Banner {
    let (keep, take) = (session.clone(), session.clone());
    Banner::new("dialog-warning-symbolic", true)
        .button("Keep the one before", move || keep.forget_moved())
        .button("It is theirs", move || {
            let Some(moved) = take.moved() else { return };
            let take = take.clone();
            glib::spawn_future_local(async move {
                let accepting = take.client().contacts().accept_address(&moved.address, moved.now);
                if take.attempt(accepting).await {
                    take.forget_moved();
                }
            });
        })
}

fn nameless(shell: &Rc<Shell>) -> Banner {
    let shell = Rc::downgrade(shell);
    Banner::new("dialog-warning-symbolic", true).button("Give it again", move || {
        if let Some(shell) = shell.upgrade() {
            shell.go(Route::Settings);
        }
    })
}
