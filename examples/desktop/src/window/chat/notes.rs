//! What there is to say of a conversation above its messages.

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use desktop::time::Clock;
use desktop::words;
use sync_client::{AccountId, ConversationView};

use crate::pages::SafetyNumber;
use crate::parts::{Banner, Spoken as _, column, row};
use crate::session::Session;

/// The notes.
pub(super) struct Notes {
    session: Rc<Session>,
    root: gtk::Box,
    changed: Banner,
    withheld: Banner,
    unreadable: Banner,
    history: gtk::Box,
    bar: gtk::ProgressBar,
    whose: RefCell<Option<(AccountId, String)>>,
}

impl Notes {
    pub(super) fn new(session: &Rc<Session>) -> Rc<Self> {
        let bar = gtk::ProgressBar::builder().hexpand(true).valign(gtk::Align::Center).build();
        let label = "Earlier messages of this conversation are arriving";
        bar.set_spoken(label);
        let history = row(10);
        history.add_css_class("banner");
        history.append(&gtk::Label::new(Some("Earlier messages are arriving")));
        history.append(&bar);
        history.set_visible(false);
        let this = Rc::new_cyclic(|this: &std::rc::Weak<Self>| {
            let this = this.clone();
            let changed = Banner::new("security-medium-symbolic", true).button(
                "Compare the safety number",
                move || {
                    if let Some(this) = this.upgrade() {
                        this.compare();
                    }
                },
            );
            Self {
                session: session.clone(),
                root: column(0),
                changed,
                withheld: Banner::new("dialog-warning-symbolic", true),
                unreadable: Banner::new("dialog-information-symbolic", false),
                history,
                bar,
                whose: RefCell::default(),
            }
        });
        for banner in [&this.changed, &this.withheld, &this.unreadable] {
            this.root.append(banner.root());
        }
        this.root.append(&this.history);
        this
    }

    pub(super) fn root(&self) -> &gtk::Box {
        &self.root
    }

    pub(super) fn show(&self, view: &ConversationView, history: Option<(u64, u64)>, clock: &Clock) {
        let me = self.session.me();
        let marks = self.session.marks();
        let mut others = view.members.iter().filter(|member| Some(member.account) != me);
        let changed = others.find(|member| marks.changed.get(&member.account).is_some());
        let said = changed.map(|member| {
            let name = words::quoted(&words::name_of(Some(member)));
            format!("The devices of {name} changed.")
        });
        self.changed.say(said.as_deref());
        self.whose.replace(changed.map(|member| (member.account, words::name_of(Some(member)))));
        let withheld =
            "The relay keeps something back: others have read more of this conversation.";
        self.withheld.say(view.withheld.then_some(withheld));
        let unreadable = view.unreadable.as_ref().map(|of| words::unreadable(of, clock));
        self.unreadable.say(unreadable.as_deref());
        self.history.set_visible(history.is_some());
        if let Some((read, total)) = history {
            let part = f64::from(u32::try_from(read * 1000 / total.max(1)).unwrap_or(1000));
            self.bar.set_fraction(part / 1000.0);
        }
    }

    fn compare(&self) {
        if let Some((account, name)) = self.whose.borrow().clone() {
            SafetyNumber::show(&self.root, &self.session, account, &name);
        }
    }
}
