//! Moving through messages by keys, so that every line of every message can be seen.
//!
//! A message that is taller than its pane is passed line by line, or page by page, before the next
//! one is chosen.

use super::draw::{self, Shown};
use super::model::{Effect, Focus, Model};

/// How near to the oldest message older ones are asked for.
const NEAR: usize = 8;
/// The end of a message, however tall it is.
pub(crate) const TO_END: usize = usize::MAX;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To what was written before.
    Back,
    /// To what was written after.
    On,
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A message, or a line of a tall one.
    Step,
    /// As much as is seen at once.
    Page,
}

impl Model {
    /// Chooses the newest message, its end in view.
    pub(super) fn choose_newest(&mut self) -> Vec<Effect> {
        self.choose(self.messages.len().saturating_sub(1), TO_END)
    }

    /// Chooses the oldest message that is here.
    pub(super) fn choose_oldest(&mut self) -> Vec<Effect> {
        self.choose(0, 0)
    }

    /// Goes through the messages.
    pub(super) fn go(&mut self, way: Way, far: Far) -> Vec<Effect> {
        let at =
            self.selected.and_then(|key| self.messages.iter().position(|view| view.message == key));
        let Some(at) = at else { return self.choose_newest() };
        let shown = draw::shown(self);
        let lines = match far {
            Far::Step => 1,
            Far::Page => shown.height.saturating_sub(1).max(1),
        };
        if self.scrolls(&shown, at, way, lines) {
            return Vec::new();
        }
        let place = match (far, way) {
            (Far::Step, Way::Back) => at.saturating_sub(1),
            (Far::Step, Way::On) => at + 1,
            (Far::Page, way) => page(&shown, at, way),
        };
        if place >= self.messages.len() || place == at {
            return if way == Way::Back { self.ask_older() } else { Vec::new() };
        }
        self.choose(place, if way == Way::Back { TO_END } else { 0 })
    }

    fn choose(&mut self, place: usize, scroll: usize) -> Vec<Effect> {
        self.selected = self.messages.get(place).map(|view| view.message);
        self.scroll = scroll;
        self.focus = Focus::Messages;
        if place < NEAR { self.ask_older() } else { Vec::new() }
    }

    /// Moves within the chosen message, if something of it is out of view that way.
    fn scrolls(&mut self, shown: &Shown, at: usize, way: Way, lines: usize) -> bool {
        let hidden = shown.hidden(at);
        let now = self.scroll.min(hidden);
        let next = match way {
            Way::Back => now.saturating_sub(lines),
            Way::On => now.saturating_add(lines).min(hidden),
        };
        self.scroll = next;
        next != now
    }
}

/// The message to go to so that nothing between is passed over unseen.
fn page(shown: &Shown, at: usize, way: Way) -> usize {
    let first = |place: usize| shown.spans.get(place).map_or(0, |span| span.0);
    match way {
        Way::On => {
            let bottom = first(at).saturating_add(shown.height);
            let below = shown.spans.iter().position(|span| span.1 > bottom);
            below.unwrap_or(shown.spans.len().saturating_sub(1)).max(at + 1)
        }
        Way::Back => {
            let top = first(at).saturating_sub(shown.height);
            let seen = (0..at).find(|place| first(*place) >= top);
            seen.unwrap_or(at).min(at.saturating_sub(1))
        }
    }
}
