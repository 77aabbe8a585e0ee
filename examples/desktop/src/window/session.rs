//! The client as the window sees it: what it said last, and who wants to hear when that changes.
//!
//! The client does its work on threads of its own; its calls are futures that any executor may await,
//! so they are awaited by the main loop. Nothing here waits for anything.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::time::Duration;

use desktop::announce::{Announcement, announcement};
use desktop::conversations::Conversations;
use desktop::marks::{self, Marks};
use desktop::time::Clock;
use desktop::words;
use gtk::glib;
use serde_json::Value;
use sync_client::{
    AccountId, Client, ContactChange, ConversationChange, Event, Events, Failure, LinkEvent,
    Notice, OrderKey, Problem, SpaceId, Status,
};

/// A sign of typing lasts so long.
const TYPING: Duration = Duration::from_secs(6);
/// The list is read again at most once in this time, however much happens.
const LIST_EVERY: Duration = Duration::from_millis(120);
/// Messages looked at for an announcement.
const NEWS: usize = 20;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// How the sync stands, or what is wrong.
    Status,
    /// The list of conversations, or something in a line of it.
    Conversations,
    /// Messages or receipts of a conversation.
    Messages(SpaceId),
    /// Somebody types, or no longer does.
    Typing(SpaceId),
    /// What was written before arrives.
    History(SpaceId),
    /// A link moved on.
    Link(LinkEvent),
    /// Settings changed.
    Settings,
    /// Devices of the own account came or went.
    Devices,
    /// Something to be said in passing.
    Say(String),
    /// A new recovery code counts.
    RecoveryCode(String),
    /// The desktop is to be told.
    Announce(Announcement),
    /// This account is gone from the device, or came to it.
    Account,
}

type Listener = Box<dyn Fn(&News) -> bool>;

/// An address that leads to another account than it did.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// Which.
    pub(crate) address: String,
    /// Where it leads now.
    pub(crate) now: AccountId,
}

/// The client, and what it said last.
pub(crate) struct Session {
    client: Client,
    runtime: tokio::runtime::Handle,
    status: RefCell<Status>,
    conversations: RefCell<Conversations>,
    marks: RefCell<Marks>,
    typing: RefCell<BTreeMap<(SpaceId, AccountId), u64>>,
    history: RefCell<BTreeMap<SpaceId, (u64, u64)>>,
    looked_at: RefCell<BTreeMap<u64, SpaceId>>,
    moved: RefCell<Option<Moved>>,
    is_away: Cell<bool>,
    store_failed: Cell<bool>,
    unsent: Cell<Option<u64>>,
    list: Cell<Reading>,
    news: RefCell<Vec<(SpaceId, Vec<OrderKey>)>>,
    signs: Cell<u64>,
    listeners: RefCell<Vec<Listener>>,
}

/// Whether the list is being read, and whether it has to be once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Idle,
    UnderWay,
    Again,
}

impl Session {
    /// A session over an open client, which has read how things stand.
    ///
    /// # Errors
    /// Those of the first reading.
    pub(crate) async fn begin(
        client: Client,
        runtime: tokio::runtime::Handle,
    ) -> Result<Rc<Self>, Failure> {
        let events = client.events();
        let status = client.status().await?;
        let this = Rc::new(Self {
            client,
            runtime,
            status: RefCell::new(status),
            conversations: RefCell::default(),
            marks: RefCell::default(),
            typing: RefCell::default(),
            history: RefCell::default(),
            looked_at: RefCell::default(),
            moved: RefCell::default(),
            is_away: Cell::new(false),
            store_failed: Cell::new(false),
            unsent: Cell::new(None),
            list: Cell::new(Reading::Idle),
            news: RefCell::default(),
            signs: Cell::new(0),
            listeners: RefCell::default(),
        });
        this.look_for_end();
        if this.has_account() {
            this.read_list().await;
            this.read_marks().await;
        }
        glib::spawn_future_local(Self::follow(Rc::downgrade(&this), events));
        Ok(this)
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How the sync stands.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether there is an account on this device.
    pub(crate) fn has_account(&self) -> bool {
        self.status.borrow().account.is_some()
    }

    /// The own account.
    pub(crate) fn me(&self) -> Option<AccountId> {
        self.status.borrow().account
    }

    /// All conversations.
    pub(crate) fn conversations(&self) -> std::cell::Ref<'_, Conversations> {
        self.conversations.borrow()
    }

    /// Notes about people.
    pub(crate) fn marks(&self) -> std::cell::Ref<'_, Marks> {
        self.marks.borrow()
    }

    /// An address that leads elsewhere, until the person decides.
    pub(crate) fn moved(&self) -> Option<Moved> {
        self.moved.borrow().clone()
    }

    /// The person decided.
    pub(crate) fn forget_moved(&self) {
        self.moved.replace(None);
        self.tell(&News::Status);
    }

    /// Whether the person chose to be offline.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.get()
    }

    /// Whether the store can't be written at the moment.
    pub(crate) fn store_failed(&self) -> bool {
        self.store_failed.get()
    }

    /// If this device was removed from its account: changes made here that nobody took in.
    pub(crate) fn unsent(&self) -> Option<u64> {
        self.unsent.get()
    }

    /// How much of the past of a conversation is here, while it arrives: so many entries of so many.
    pub(crate) fn history(&self, conversation: SpaceId) -> Option<(u64, u64)> {
        let history = self.history.borrow().get(&conversation).copied();
        history.filter(|(read, total)| read < total)
    }

    /// How much of all that was written before is here, while it arrives.
    pub(crate) fn all_history(&self) -> Option<(u64, u64)> {
        let sum = self
            .history
            .borrow()
            .values()
            .fold((0, 0), |(read, total), one| (one.0 + read, one.1 + total));
        Some(sum).filter(|(read, total)| read < total)
    }

    /// Hears what happens, until it says that it no longer wants to.
    pub(crate) fn listen(&self, listener: impl Fn(&News) -> bool + 'static) {
        self.listeners.borrow_mut().push(Box::new(listener));
    }

    /// Hears what happens as long as `target` is there.
    pub(crate) fn tell_to<T: 'static>(
        &self,
        target: &Rc<T>,
        hear: impl Fn(&Rc<T>, &News) + 'static,
    ) {
        let target = Rc::downgrade(target);
        self.listen(move |news| target.upgrade().inspect(|target| hear(target, news)).is_some());
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, news: &News) {
        // Who hears may begin to listen, too.
        let mut listeners = self.listeners.take();
        listeners.retain(|listener| listener(news));
        listeners.append(&mut self.listeners.borrow_mut());
        self.listeners.replace(listeners);
    }

    /// Says something in passing.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.tell(&News::Say(text.into()));
    }

    /// Does something, and says so if it fails. True if it didn't.
    pub(crate) async fn attempt<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> bool {
        match work.await {
            Ok(_) => true,
            Err(failure) => {
                self.say(words::failure(&failure));
                false
            }
        }
    }

    /// Does something in the background, and says so if it fails.
    pub(crate) fn begin_to<T: 'static, F>(self: &Rc<Self>, work: impl FnOnce(Client) -> F)
    where
        F: Future<Output = Result<T, Failure>> + 'static,
    {
        let (this, work) = (self.clone(), work(self.client.clone()));
        glib::spawn_future_local(async move { this.attempt(work).await });
    }

    /// Goes offline, or comes back.
    pub(crate) async fn set_away(&self, away: bool) -> Result<(), Failure> {
        match away {
            true => self.client.go_offline().await?,
            false => self.client.go_online().await?,
        }
        self.is_away.set(away);
        self.tell(&News::Status);
        Ok(())
    }

    /// A window shows a conversation to somebody who looks, or none.
    pub(crate) fn set_looking(self: &Rc<Self>, window: u64, conversation: Option<SpaceId>) {
        let mut looked_at = self.looked_at.borrow_mut();
        let before = match conversation {
            Some(conversation) => looked_at.insert(window, conversation),
            None => looked_at.remove(&window),
        };
        if before != conversation {
            let first = conversation.or_else(|| looked_at.values().next().copied());
            drop(looked_at);
            self.begin_to(|client| async move { client.conversations().foreground(first).await });
        }
    }

    /// Who types in a conversation.
    pub(crate) fn typists(&self, conversation: SpaceId) -> Vec<AccountId> {
        let typing = self.typing.borrow();
        typing.keys().filter(|(where_, _)| *where_ == conversation).map(|(_, who)| *who).collect()
    }

    /// Notes that somebody is blocked, or is not, after the client has seen to it.
    pub(crate) async fn set_blocked(
        &self,
        account: AccountId,
        blocked: bool,
    ) -> Result<(), Failure> {
        self.client.contacts().set_blocked(account, blocked).await?;
        let value = if blocked { Value::Bool(true) } else { Value::Null };
        self.client.settings().set(&marks::blocked_key(account), value).await
    }

    /// Ends this device, which empties its store.
    pub(crate) async fn log_out(self: &Rc<Self>) {
        let Some(device) = self.status().device else { return };
        if self.attempt(self.client.devices().revoke(device)).await
            && let Ok(status) = self.client.status().await
        {
            self.take_status(status);
        }
    }

    /// Closes the client: everything is durable then, and the store is let go.
    pub(crate) async fn close(&self) {
        let client = self.client.clone();
        let _ = self.runtime.spawn(client.close()).await;
    }

    async fn follow(this: Weak<Self>, mut events: Events) {
        while let Some(notice) = events.next().await {
            let Some(this) = this.upgrade() else { return };
            this.hear(notice);
        }
    }

    fn hear(self: &Rc<Self>, notice: Notice) {
        match notice {
            Notice::Event(event) => self.hear_event(event),
            Notice::Unreachable(_) => self.tell(&News::Status),
            Notice::StoreFailed(_) => {
                self.store_failed.set(true);
                self.tell(&News::Status);
            }
            Notice::StoreBack => {
                self.store_failed.set(false);
                self.read_everything();
            }
            Notice::Lagged(_) => self.read_everything(),
        }
    }

    fn hear_event(self: &Rc<Self>, event: Event) {
        match event {
            Event::Status(status) => self.take_status(*status),
            Event::Messages { conversation, messages } => {
                self.stop_typing(conversation);
                self.tell(&News::Messages(conversation));
                self.news.borrow_mut().push((conversation, messages));
                self.refresh_list();
            }
            Event::Receipts { conversation, .. } => {
                self.tell(&News::Messages(conversation));
                self.refresh_list();
            }
            Event::Conversation { change, .. } => {
                if let ConversationChange::NotAdded { address, reason } = change {
                    self.say(words::not_added(&address, &reason));
                }
                self.refresh_list();
            }
            Event::Settings { .. } => {
                self.refresh_list();
                self.refresh_marks();
            }
            Event::Typing { conversation, account } => self.take_typing(conversation, account),
            Event::Link(link) => self.tell(&News::Link(link)),
            Event::Devices { account, added, revoked } => {
                self.take_devices(account, !added.is_empty(), !revoked.is_empty());
            }
            Event::Contact { change: ContactChange::Moved { address, now }, .. } => {
                self.moved.replace(Some(Moved { address, now }));
                self.tell(&News::Status);
            }
            Event::Contact { change: ContactChange::Devices, .. } => self.refresh_marks(),
            Event::RecoveryCode(code) => self.tell(&News::RecoveryCode(code)),
            Event::Revoked { unsent } => {
                self.unsent.set(Some(unsent));
                self.tell(&News::Account);
            }
            Event::History { conversation, read, total } => {
                self.history.borrow_mut().insert(conversation, (read, total));
                self.tell(&News::History(conversation));
            }
            Event::Evidence { why, .. } => self.say(format!(
                "Something that came is not believed: {why}. Ask whoever runs the relay."
            )),
            // Nothing of an app's own documents is shown here, nor yet who is there.
            Event::Document { .. } | Event::Presence { .. } => {}
        }
    }

    fn take_status(self: &Rc<Self>, status: Status) {
        let before = self.status.replace(status);
        self.look_for_end();
        if before.account == self.me() {
            return self.tell(&News::Status);
        }
        if self.me().is_none() {
            self.unsent.set(None);
            self.history.borrow_mut().clear();
            self.conversations.replace(Conversations::default());
        }
        self.tell(&News::Account);
        self.read_everything();
    }

    /// A device that was removed while nobody looked says so by what the relay refuses.
    fn look_for_end(&self) {
        let status = self.status.borrow();
        let is_ended =
            matches!(&status.problem, Some(Problem::Session(why)) if why.kind() == "revoked");
        if is_ended && self.unsent.get().is_none() {
            self.unsent.set(Some(status.waiting));
        }
    }

    fn take_devices(self: &Rc<Self>, account: AccountId, added: bool, revoked: bool) {
        self.tell(&News::Devices);
        if Some(account) == self.me() {
            match (added, revoked) {
                (true, _) => self.say("A device was linked to your account."),
                (false, true) => self.say("A device was removed from your account."),
                (false, false) => {}
            }
            return;
        }
        let (key, now) = (marks::changed_key(account), Clock::system().now_ms());
        self.begin_to(|client| async move { client.settings().set(&key, now).await });
    }

    fn take_typing(self: &Rc<Self>, conversation: SpaceId, account: AccountId) {
        let sign = self.signs.get() + 1;
        self.signs.set(sign);
        self.typing.borrow_mut().insert((conversation, account), sign);
        self.show_typing(conversation);
        let this = Rc::downgrade(self);
        glib::timeout_add_local_once(TYPING, move || {
            let Some(this) = this.upgrade() else { return };
            let is_last = this.typing.borrow().get(&(conversation, account)) == Some(&sign);
            if is_last {
                this.typing.borrow_mut().remove(&(conversation, account));
                this.show_typing(conversation);
            }
        });
    }

    fn stop_typing(&self, conversation: SpaceId) {
        let before = self.typing.borrow().len();
        self.typing.borrow_mut().retain(|(where_, _), _| *where_ != conversation);
        if self.typing.borrow().len() != before {
            self.show_typing(conversation);
        }
    }

    fn show_typing(&self, conversation: SpaceId) {
        let who = self.typists(conversation);
        self.conversations.borrow_mut().set_typing(conversation, who);
        self.tell(&News::Typing(conversation));
        self.tell(&News::Conversations);
    }

    /// Announces what came since, by the list as it is now.
    async fn announce_news(&self) {
        for (conversation, messages) in self.news.take() {
            let page = self.client.conversation(conversation).messages(None, NEWS).await;
            let mut news = page.unwrap_or_default();
            news.retain(|view| messages.contains(&view.message) && Some(view.author) != self.me());
            let is_looked_at = self.looked_at.borrow().values().any(|one| *one == conversation);
            let told = self
                .conversations
                .borrow()
                .find(conversation)
                .and_then(|view| announcement(view, &news, self.me(), is_looked_at));
            if let Some(told) = told {
                self.tell(&News::Announce(told));
            }
        }
    }

    /// Has a conversation in the list, which was founded this moment.
    pub(crate) async fn know(&self, conversation: SpaceId) {
        if self.conversations.borrow().find(conversation).is_none() {
            self.read_list().await;
        }
    }

    /// Everything may look different.
    fn read_everything(self: &Rc<Self>) {
        let this = self.clone();
        glib::spawn_future_local(async move {
            if let Ok(status) = this.client.status().await {
                this.status.replace(status);
                this.tell(&News::Status);
            }
            this.read_list().await;
            this.read_marks().await;
            let all: Vec<_> = this.looked_at.borrow().values().copied().collect();
            for conversation in all {
                this.tell(&News::Messages(conversation));
            }
        });
    }

    fn refresh_list(self: &Rc<Self>) {
        if self.list.replace(Reading::Again) != Reading::Idle {
            return;
        }
        let this = self.clone();
        glib::spawn_future_local(async move {
            while this.list.replace(Reading::UnderWay) == Reading::Again {
                this.read_list().await;
                this.announce_news().await;
                glib::timeout_future(LIST_EVERY).await;
            }
            this.list.set(Reading::Idle);
        });
    }

    async fn read_list(&self) {
        if let Ok(all) = self.client.conversations().list().await {
            self.conversations.borrow_mut().take(all, self.me());
            self.tell(&News::Conversations);
        }
    }

    fn refresh_marks(self: &Rc<Self>) {
        let this = self.clone();
        glib::spawn_future_local(async move { this.read_marks().await });
    }

    async fn read_marks(&self) {
        if let Ok(settings) = self.client.settings().all().await {
            self.marks.replace(Marks::of(&settings));
            self.tell(&News::Settings);
        }
    }
}
