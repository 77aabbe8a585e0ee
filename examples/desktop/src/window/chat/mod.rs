//! A conversation: its head, what there is to say of it, its messages, and where one writes.

mod actions;
mod composer;
mod emoji;
mod finder;
mod head;
mod list;
mod notes;
mod row;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use adw::prelude::*;
use desktop::compose::Composing;
use desktop::time::Clock;
use desktop::timeline::Line;
use desktop::words;
use gtk::glib;
use sync_client::{ConversationView, SpaceId};

use crate::parts::{Spoken as _, button, column, paragraph, row, turn, weakly};
use crate::session::{News, Session};
use crate::shell::Shell;

use actions::Act;
use composer::Composer;
use finder::Finder;
use head::Head;
use list::MessageList;
use notes::Notes;

type Left = Box<dyn Fn()>;

/// A conversation.
pub(crate) struct Chat {
    session: Rc<Session>,
    shell: Weak<Shell>,
    root: gtk::Box,
    head: Head,
    notes: Rc<Notes>,
    finder: Rc<Finder>,
    list: Rc<MessageList>,
    composer: Rc<Composer>,
    bottom: gtk::Stack,
    invitation: gtk::Label,
    open: Cell<Option<SpaceId>>,
    left: RefCell<Option<Left>>,
}

const WRITE: &str = "write";
const ANSWER: &str = "answer";
const CLOSED: &str = "closed";

impl Chat {
    /// No conversation yet.
    pub(crate) fn new(session: &Rc<Session>, shell: &Rc<Shell>) -> Rc<Self> {
        let list = MessageList::new(session, shell);
        let this = Rc::new(Self {
            session: session.clone(),
            shell: Rc::downgrade(shell),
            root: column(0),
            head: Head::new(),
            notes: Notes::new(session),
            finder: Finder::new(session, &list),
            list,
            composer: Composer::new(session),
            bottom: gtk::Stack::new(),
            invitation: paragraph(""),
            open: Cell::default(),
            left: RefCell::default(),
        });
        this.build();
        this.connect(shell);
        this
    }

    fn build(self: &Rc<Self>) {
        self.bottom.add_named(self.composer.root(), Some(WRITE));
        self.bottom.add_named(&self.answers(), Some(ANSWER));
        let closed =
            paragraph("You are no longer in this conversation. What you have of it stays here.");
        closed.add_css_class("closed");
        self.bottom.add_named(&closed, Some(CLOSED));
        self.bottom.set_vhomogeneous(false);
        for part in [
            self.head.root().upcast_ref::<gtk::Widget>(),
            self.finder.root().upcast_ref(),
            self.notes.root().upcast_ref(),
            self.list.root().upcast_ref(),
            self.bottom.upcast_ref(),
        ] {
            self.root.append(part);
        }
    }

    fn connect(self: &Rc<Self>, shell: &Rc<Shell>) {
        self.session.tell_to(self, |this, news| {
            let open = this.open.get();
            match news {
                News::Conversations | News::Settings => this.look(),
                News::Messages(id) if Some(*id) == open => this.list.refresh(),
                News::Typing(id) | News::History(id) if Some(*id) == open => this.look(),
                _ => {}
            }
        });
        let this = Rc::downgrade(self);
        self.head.back().connect_clicked(move |_| {
            if let Some(this) = this.upgrade()
                && let Some(left) = this.left.borrow().as_ref()
            {
                left();
            }
        });
        let this = Rc::downgrade(self);
        self.list.connect_act(move |line, widget| {
            if let Some(this) = this.upgrade() {
                actions::popup(&this, line, widget);
            }
        });
        let this = Rc::downgrade(self);
        self.list.connect_reply(move |line| {
            if let Some(this) = this.upgrade() {
                this.act(line, Act::Reply);
            }
        });
        let list = Rc::downgrade(&self.list);
        self.composer.connect_up(move || {
            if let Some(list) = list.upgrade() {
                list.focus_last();
            }
        });
        let list = Rc::downgrade(&self.list);
        self.composer.connect_sent(move || {
            if let Some(list) = list.upgrade() {
                list.follow_own();
            }
        });
        let this = Rc::downgrade(self);
        shell.window().connect_is_active_notify(move |_| {
            if let Some(this) = this.upgrade() {
                this.tell_looking();
            }
        });
    }

    /// What is put into a window.
    pub(crate) fn root(&self) -> &gtk::Box {
        &self.root
    }

    /// The messages.
    pub(crate) fn list(&self) -> &Rc<MessageList> {
        &self.list
    }

    /// Hears that somebody wants back.
    pub(crate) fn connect_left(&self, left: impl Fn() + 'static) {
        self.left.replace(Some(Box::new(left)));
    }

    /// Whether the list is beside it.
    pub(crate) fn set_folded(&self, is_folded: bool) {
        self.head.back().set_visible(is_folded);
    }

    /// Shows a conversation, or none.
    pub(crate) fn show(self: &Rc<Self>, id: Option<SpaceId>) {
        if self.open.get() != id {
            self.composer.rest();
            self.finder.close();
            self.open.set(id);
            if let Some(id) = id {
                self.list.open(id);
                self.composer.open(id);
            }
            self.look();
        }
        self.list.set_shown(id.is_some());
        self.tell_looking();
        if id.is_some() {
            self.write();
        }
    }

    /// Something else is shown: what was written is kept, and nobody looks.
    pub(crate) fn rest(self: &Rc<Self>) {
        self.composer.rest();
        self.list.set_shown(false);
        if let Some(shell) = self.shell.upgrade() {
            self.session.set_looking(shell.id(), None);
        }
    }

    fn tell_looking(self: &Rc<Self>) {
        let Some(shell) = self.shell.upgrade() else { return };
        let is_looking = shell.window().is_active() && self.list.is_shown();
        self.session.set_looking(shell.id(), self.open.get().filter(|_| is_looking));
        self.list.look();
    }

    fn view(&self) -> Option<ConversationView> {
        self.session.conversations().find(self.open.get()?).cloned()
    }

    fn look(self: &Rc<Self>) {
        let Some(view) = self.view() else { return };
        let me = self.session.me();
        let name = |account| words::name_of(words::member_of(&view, account));
        let typists = self.session.typists(view.conversation);
        let names: Vec<_> = typists.into_iter().map(name).collect();
        let subtitle = match names.is_empty() {
            true => words::subtitle_of(&view, me),
            false => words::typing(&names),
        };
        let title = words::title_of(&view, me);
        self.head.show(&title, &subtitle);
        self.root.set_spoken(&format!("Conversation: {title}"));
        self.notes.show(&view, self.session.history(view.conversation), &Clock::system());
        let bottom = match (view.pending, view.active) {
            (true, _) => ANSWER,
            (false, true) => WRITE,
            (false, false) => CLOSED,
        };
        turn(&self.bottom, bottom);
        if view.pending {
            self.invitation.set_label(&invitation(&view, self.session.me()));
        }
        self.list.set_view(view);
    }

    fn answers(self: &Rc<Self>) -> gtk::Box {
        let all = column(10);
        all.add_css_class("invitation");
        all.append(&self.invitation);
        let buttons = row(8);
        buttons.set_halign(gtk::Align::End);
        let choices: [(&str, &[&str], Answer); 3] = [
            ("Decline and block", &["destructive-action"], Answer::Block),
            ("Decline", &[], Answer::Decline),
            ("Accept", &["suggested-action"], Answer::Accept),
        ];
        for (label, classes, answer) in choices {
            let button = button(label, classes);
            button.connect_clicked(weakly(self, move |this| this.answer(answer)));
            buttons.append(&button);
        }
        all.append(&buttons);
        all
    }

    fn answer(self: &Rc<Self>, answer: Answer) {
        let (Some(id), session) = (self.open.get(), self.session.clone()) else { return };
        let this = Rc::downgrade(self);
        glib::spawn_future_local(async move {
            let conversation = session.client().conversation(id);
            match answer {
                Answer::Accept => {
                    session.attempt(conversation.accept()).await;
                }
                Answer::Decline | Answer::Block => {
                    let is_block = answer == Answer::Block;
                    if session.attempt(conversation.decline(is_block)).await {
                        // What was left stays on the device; nobody wants to see this one again.
                        session.attempt(conversation.set_archived(true)).await;
                        if let Some(this) = this.upgrade()
                            && let Some(left) = this.left.borrow().as_ref()
                        {
                            left();
                        }
                    }
                }
            }
        });
    }

    /// Gives up what is nearest: a search, an answer, an edit. Whether there was anything.
    pub(crate) fn give_up(&self) -> bool {
        self.finder.close() || self.composer.give_up()
    }

    /// Searches in the messages.
    pub(crate) fn find(&self) {
        self.finder.open();
    }

    /// Puts the cursor where one writes.
    pub(crate) fn write(&self) {
        if self.bottom.visible_child_name().as_deref() == Some(WRITE) {
            self.composer.focus();
        }
    }

    /// Does something with a message.
    fn act(self: &Rc<Self>, line: &Line, act: Act) {
        let (id, message) = (line.message.message, line.message.clone());
        let Some(conversation) = self.open.get() else { return };
        match act {
            Act::Reply => {
                let author = if line.mine { "yourself".to_owned() } else { line.author.clone() };
                let text = desktop::text::preview(&message.text, 160);
                self.composer.compose(Composing::Reply { to: id, author, text });
            }
            Act::Edit => self.composer.compose(Composing::Edit { message: id, text: message.text }),
            Act::React(emoji) => {
                let own = self.session.me().and_then(|me| message.reactions.get(&me).cloned());
                let next = (own.as_deref() != Some(&emoji)).then_some(emoji);
                self.session.begin_to(|client| async move {
                    client.conversation(conversation).react(id, next.as_deref()).await
                });
            }
            Act::Delete => self.session.begin_to(|client| async move {
                client.conversation(conversation).delete(id).await
            }),
        }
    }
}

/// An answer to an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Decline,
    Block,
}

fn invitation(view: &ConversationView, me: Option<sync_client::AccountId>) -> String {
    let inviter = view.members.iter().find(|member| Some(member.account) != me);
    let name = words::quoted(&words::name_of(inviter));
    let address = inviter.filter(|member| !member.name.trim().is_empty());
    let address = address.and_then(|member| member.address.as_deref());
    let address = address.map(|address| format!(", and is at the address {address}"));
    format!(
        "{name} wants to talk with you{}. Until you accept, they do not learn that you read it.",
        address.unwrap_or_default()
    )
}
