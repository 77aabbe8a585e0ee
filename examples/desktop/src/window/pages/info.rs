//! About a conversation: title, people, what is set for it, and the way out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use desktop::marks::Marks;
use desktop::time::Clock;
use desktop::words;
use gtk::glib;
use sync_client::{ConversationView, MemberView, Role, SpaceId};

use super::members::member_row;
use super::{Context, Shown};
use crate::parts::{
    Dialog, Fault, Kept, Question, ask, busy, button, clear, column, entry, row, switch, weakly,
};
use crate::session::News;
use crate::sidebar::Switch;
use crate::view::Route;

struct Info {
    context: Context,
    id: SpaceId,
    title: adw::EntryRow,
    save: gtk::Button,
    fault: Fault,
    switches: [(gtk::Switch, Switch); 3],
    people: gtk::Box,
    people_of: Kept<(Vec<MemberView>, Vec<String>, bool, Marks)>,
    current: [gtk::Label; 2],
    leave: gtk::Button,
    shown: RefCell<Option<ConversationView>>,
    is_taking: Rc<Cell<bool>>,
}

/// About a conversation.
pub(crate) fn info(context: &Context, id: SpaceId) -> Shown {
    let page = context.page("About this conversation", Route::Chat(id));
    let title = entry("Title", "May be left empty.");
    let is_taking = Rc::new(Cell::new(false));
    let (group, switches) = switches(context, id, &is_taking);
    let this = Rc::new(Info {
        context: context.clone(),
        id,
        title,
        save: button("Save the title", &["suggested-action"]),
        fault: Fault::new(),
        switches,
        people: column(0),
        people_of: Kept::default(),
        current: std::array::from_fn(|_| crate::parts::hint("")),
        leave: button("Leave the conversation", &["destructive-action", "pill"]),
        shown: RefCell::default(),
        is_taking,
    });
    let titles = adw::PreferencesGroup::new();
    titles.add(&this.title);
    this.save.set_halign(gtk::Align::End);
    this.leave.set_halign(gtk::Align::Center);
    for part in [
        titles.upcast_ref::<gtk::Widget>(),
        this.save.upcast_ref(),
        this.fault.root().upcast_ref(),
        group.upcast_ref(),
        this.people.upcast_ref(),
        this.current[0].upcast_ref(),
        this.current[1].upcast_ref(),
        this.leave.upcast_ref(),
    ] {
        page.content.append(part);
    }
    this.connect();
    this.look();
    (page.root, this)
}

fn switches(
    context: &Context,
    id: SpaceId,
    is_taking: &Rc<Cell<bool>>,
) -> (adw::PreferencesGroup, [(gtk::Switch, Switch); 3]) {
    let group = adw::PreferencesGroup::new();
    let all = [
        ("Muted", "No notifications, and not counted as unread elsewhere.", Switch::Muted),
        ("Pinned", "Stays on top of the list.", Switch::Pinned),
        ("Archived", "Out of the list, but not gone.", Switch::Archived),
    ];
    let switches = all.map(|(title, hint, which)| {
        let (session, is_taking) = (context.session.clone(), is_taking.clone());
        let (row, switch) = switch(title, hint, false, move |is_on| {
            if !is_taking.get() {
                which.to(&session, id, is_on);
            }
        });
        group.add(&row);
        (switch, which)
    });
    (group, switches)
}

impl Info {
    fn connect(self: &Rc<Self>) {
        self.context.session.tell_to(self, |this, news| match news {
            News::Conversations => this.look(),
            News::Settings => {
                this.shown.replace(None);
                this.look();
            }
            _ => {}
        });
        self.title.connect_changed(weakly(self, |this| this.show_save()));
        self.title.connect_entry_activated(weakly(self, |this| this.save()));
        self.save.connect_clicked(weakly(self, |this| this.save()));
        let this = Rc::downgrade(self);
        self.leave.connect_clicked(move |_| {
            let Some(this) = this.upgrade() else { return };
            glib::spawn_future_local(async move { this.leave().await });
        });
    }

    fn look(self: &Rc<Self>) {
        let Some(view) = self.context.session.conversations().find(self.id).cloned() else {
            return;
        };
        let before = self.shown.replace(Some(view.clone()));
        if before.as_ref() == Some(&view) {
            return;
        }
        let may_change = view.active && !view.pending;
        // What somebody is typing is not taken away by what others did.
        let was = before.map(|before| before.title).unwrap_or_default();
        if self.title.text() == was {
            self.title.set_text(&view.title);
        }
        self.title.set_sensitive(may_change);
        self.show_save();
        self.is_taking.set(true);
        for (switch, which) in &self.switches {
            switch.set_active(match which {
                Switch::Muted => view.muted,
                Switch::Pinned => view.pinned,
                Switch::Archived => view.archived,
            });
        }
        self.is_taking.set(false);
        self.show_people(&view);
        self.show_currency(&view);
        self.leave.set_visible(may_change);
    }

    fn show_save(&self) {
        let shown = self.shown.borrow();
        let title = shown.as_ref().map(|view| view.title.as_str()).unwrap_or_default();
        self.save.set_visible(self.title.text().trim() != title && self.title.is_sensitive());
    }

    fn save(self: &Rc<Self>) {
        let (this, title) = (self.clone(), self.title.text().trim().to_owned());
        busy(&self.save, true, "Save the title");
        glib::spawn_future_local(async move {
            let done = this.context.session.client().conversation(this.id).set_title(&title).await;
            this.fault.say(done.err().map(|failure| words::failure(&failure)).as_deref());
            busy(&this.save, false, "Save the title");
        });
    }

    fn show_people(self: &Rc<Self>, view: &ConversationView) {
        let me = self.context.session.me();
        let own = view.members.iter().find(|member| Some(member.account) == me);
        let is_admin = own.is_some_and(|member| member.role == Role::Admin);
        let may_change = is_admin && view.active && !view.pending;
        let marks = self.context.session.marks().clone();
        let members = view.members.to_vec();
        let adding = view.adding.to_vec();
        if !self.people_of.is_new((members, adding, may_change, marks)) {
            return;
        }
        clear(&self.people);
        let count = view.members.len();
        let title = if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
        let group = adw::PreferencesGroup::builder().title(title).build();
        if may_change {
            let add = button("Add somebody", &["flat"]);
            add.connect_clicked(weakly(self, |this| this.add()));
            group.set_header_suffix(Some(&add));
        }
        for member in &view.members {
            group.add(&member_row(&self.context, self.id, member, may_change));
        }
        for address in &view.adding {
            let row = adw::ActionRow::builder()
                .title(glib::markup_escape_text(address).as_str())
                .subtitle("being added…")
                .build();
            group.add(&row);
        }
        self.people.append(&group);
    }

    fn show_currency(&self, view: &ConversationView) {
        let (status, clock) = (self.context.session.status(), Clock::system());
        let relay = match status.last_confirmed_ms {
            _ if view.withheld => {
                "The relay keeps something back: others have read more of this conversation."
                    .to_owned()
            }
            None => "The relay has not confirmed yet that this is all.".to_owned(),
            Some(ms) => format!("All that the relay has is here: it said so {}.", clock.ago(ms)),
        };
        let vouched = match &view.vouched {
            None => "Nobody else has said so yet.".to_owned(),
            Some(vouched) => {
                let who = match Some(vouched.account) == status.account {
                    true => "another device of yours".to_owned(),
                    false => {
                        let member = words::member_of(view, vouched.account);
                        words::quoted(&words::name_of(member))
                    }
                };
                format!("By the word of {who}, nothing was missing {}.", clock.ago(vouched.at_ms))
            }
        };
        let [first, second] = &self.current;
        first.set_label(&relay);
        second.set_label(&vouched);
        for label in [first, second] {
            label.set_visible(view.active && !view.pending);
        }
    }

    fn add(self: &Rc<Self>) {
        let dialog = Dialog::new(&self.people, "Add somebody");
        let group = adw::PreferencesGroup::new();
        let address = entry("Their address", "A phone number, or a word.");
        let (history_row, history) = switch(
            "Show them what was written before",
            "Otherwise they see nothing older than now.",
            false,
            |_| {},
        );
        group.add(&address);
        group.add(&history_row);
        let (fault, add) = (Fault::new(), button("Add", &["suggested-action"]));
        add.set_sensitive(false);
        let add_ = add.clone();
        address.connect_changed(move |field| add_.set_sensitive(!field.text().trim().is_empty()));
        let buttons = row(8);
        buttons.set_halign(gtk::Align::End);
        buttons.append(&add);
        dialog.show(&[group.upcast_ref(), fault.root().upcast_ref(), buttons.upcast_ref()]);
        let (this, window) = (self.clone(), dialog.window.clone());
        add.connect_clicked(move |add| {
            busy(add, true, "Add");
            let (this, window, fault, add) =
                (this.clone(), window.clone(), fault.clone(), add.clone());
            let (who, history) = (address.text().trim().to_owned(), history.is_active());
            glib::spawn_future_local(async move {
                let conversation = this.context.session.client().conversation(this.id);
                match conversation.add(&who, history).await {
                    Ok(()) => window.close(),
                    Err(failure) => fault.say(Some(&words::failure(&failure))),
                }
                busy(&add, false, "Add");
            });
        });
        dialog.window.present();
    }

    async fn leave(self: &Rc<Self>) {
        let question = Question {
            title: "Leave this conversation?",
            text: "Nothing new reaches you from it. What was read so far stays on your devices.",
            yes: "Leave",
            is_dangerous: true,
        };
        let session = &self.context.session;
        if ask(&self.leave, question).await
            && session.attempt(session.client().conversation(self.id).leave()).await
        {
            self.context.go(Route::List);
        }
    }
}
