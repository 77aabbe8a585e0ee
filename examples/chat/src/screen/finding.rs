//! Search in all conversations: a page of messages that hold a text.

use crossterm::event::{KeyCode, KeyEvent};
use sync_core::Command;
use sync_core::api::MessageView;
use sync_core::document::OrderKey;
use sync_protocol::SpaceId;

use super::field::Field;
use super::model::{Effect, Focus, Model, Purpose};
use super::pages::Page;
use crate::everything::{Hit, folded};

/// Messages looked through at once.
const PAGE: usize = 500;
/// Messages found that are kept: the newest.
const HITS: usize = 200;

/// A search, as far as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    /// What is being typed.
    pub(crate) field: Field,
    /// What is looked for; empty before the first search.
    pub(crate) text: String,
    /// The newest messages found so far, newest first.
    pub(crate) hits: Vec<Hit>,
    /// Conversations still to be looked through, the one under way first.
    left: Vec<SpaceId>,
    /// Which search it is: answers to an earlier one count no more.
    number: u64,
}

impl Search {
    /// Whether it goes on.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.left.is_empty()
    }

    /// Asks for messages of the conversation under way, those before one.
    fn ask(&self, before: Option<OrderKey>) -> Vec<Effect> {
        let Some(conversation) = self.left.first().copied() else { return Vec::new() };
        let purpose = Purpose::Search(self.number);
        vec![Effect(purpose, Command::ListMessages { conversation, before, limit: PAGE })]
    }

    fn take(&mut self, page: Vec<MessageView>) -> Vec<Effect> {
        let Some(conversation) = self.left.first().copied() else { return Vec::new() };
        let next = page.first().map(|message| message.message).filter(|_| page.len() == PAGE);
        let words = folded(&self.text);
        let holds =
            |message: &MessageView| !message.deleted && folded(&message.text).contains(&words);
        let found = page.into_iter().filter(holds);
        self.hits.extend(found.map(|message| Hit { conversation, message }));
        let place = |hit: &Hit| std::cmp::Reverse((hit.message.at_ms, hit.message.message));
        self.hits.sort_by_key(place);
        self.hits.truncate(HITS);
        if next.is_none() {
            self.left.remove(0);
        }
        self.ask(next)
    }
}

impl Model {
    /// Opens the page.
    pub(super) fn open_search(&mut self) {
        self.page = Some(Page::Search(0));
    }

    pub(super) fn press_search(&mut self, at: usize, key: KeyEvent) -> Vec<Effect> {
        let last = self.search.hits.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => {
                // What is under way comes to nothing; what was found is there again next time.
                self.search.left.clear();
                self.page = None;
                return self.ask_everything();
            }
            KeyCode::Up => self.page = Some(Page::Search(at.saturating_sub(1))),
            KeyCode::Down => self.page = Some(Page::Search((at + 1).min(last))),
            KeyCode::Enter if self.search.field.text().trim() == self.search.text => {
                return self.open_hit(at);
            }
            KeyCode::Enter => return self.begin_search(),
            _ => {
                self.search.field.press(key);
            }
        }
        Vec::new()
    }

    fn begin_search(&mut self) -> Vec<Effect> {
        let left = self.conversations.iter().map(|view| view.conversation).collect();
        let search = &mut self.search;
        search.text = search.field.text().trim().to_owned();
        search.number += 1;
        search.hits.clear();
        search.left = if search.text.is_empty() { Vec::new() } else { left };
        self.page = Some(Page::Search(0));
        self.search.ask(None)
    }

    /// Messages came that were to be looked through.
    pub(super) fn take_searched(&mut self, number: u64, page: Vec<MessageView>) -> Vec<Effect> {
        if number == self.search.number { self.search.take(page) } else { Vec::new() }
    }

    fn open_hit(&mut self, at: usize) -> Vec<Effect> {
        let Some(Hit { conversation, message }) = self.search.hits.get(at).cloned() else {
            return Vec::new();
        };
        self.search.left.clear();
        self.page = None;
        let effects = self.open(conversation);
        if let Some(place) =
            self.conversations.iter().position(|view| view.conversation == conversation)
        {
            self.chosen = place;
        }
        self.sought = Some(message.message);
        effects
    }

    /// Chooses the message that was looked for once it is here; asks for older ones until then.
    pub(super) fn seek(&mut self) -> Vec<Effect> {
        let Some(sought) = self.sought else { return Vec::new() };
        if let Some(view) = self.messages.iter().find(|view| view.message == sought) {
            // Of a tall message, where it was found: long lines take more rows than are counted, so
            // it is not passed.
            let words = folded(&self.search.text);
            let line = view.text.lines().position(|line| folded(line).contains(&words));
            (self.sought, self.selected) = (None, Some(sought));
            (self.scroll, self.focus) = (line.unwrap_or(0), Focus::Messages);
            return Vec::new();
        }
        if !self.has_older {
            self.sought = None;
        }
        self.ask_older()
    }
}
