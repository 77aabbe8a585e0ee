//! A conversation's messages as they are shown: day lines, the line above what is new, who begins.

use sync_client::{AccountId, ConversationView, MessageView, OrderKey, Progress};

use crate::rows::Splice;
use crate::text;
use crate::time::Clock;
use crate::words;

/// Messages of one author within this time stand together.
const TOGETHER_MS: u64 = 5 * 60 * 1000;
/// Letters of a message that an answer shows.
const QUOTED: usize = 160;
/// Letters of a message that are read aloud with its line; nobody listens to more without asking.
const SPOKEN: usize = 2000;
/// Messages at first: what a window shows, and a little more. Each has to be laid out before anything
/// is seen.
pub const FIRST: usize = 24;
/// Messages at each step back.
pub const PAGE: usize = 20;
/// Messages of the newest page that are asked for again when something changed.
pub const FRESH: usize = 200;

/// What an answer shows of what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Which message.
    pub message: OrderKey,
    /// Who wrote it; empty if it isn't loaded.
    pub author: String,
    /// Its beginning.
    pub text: String,
}

/// A message's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The message.
    pub message: MessageView,
    /// Whether it is the own account's.
    pub mine: bool,
    /// Who wrote it.
    pub author: String,
    /// The day, if it is the first message of one.
    pub day: Option<String>,
    /// When it was written.
    pub time: String,
    /// Whether the line above what is new stands before it.
    pub is_first_unread: bool,
    /// Whether it begins what one author wrote at once.
    pub begins: bool,
    /// Whether who wrote it is worth showing: there are several others.
    pub is_group: bool,
    /// What it answers.
    pub quote: Option<Quote>,
    /// Each emoji with the names of those who reacted with it.
    pub reactions: Vec<(String, Vec<String>)>,
}

impl Line {
    /// What is read aloud for the whole line.
    #[must_use]
    pub fn spoken(&self) -> String {
        // All of a message, so that a new part of it is decided on here.
        let MessageView {
            message: _,
            author: _,
            device: _,
            text: _,
            at_ms: _,
            rank: _,
            reply_to: _,
            edited,
            deleted,
            reactions: _,
            status,
            delivered: _,
            read: _,
            needs_update: _,
        } = &self.message;
        let who = if self.mine { "You" } else { &self.author };
        let words = text::preview(self.words(), SPOKEN);
        let mut said = format!("{who}, {}: {words}", self.time);
        if *edited && !*deleted {
            said.push_str(", edited");
        }
        for (emoji, names) in &self.reactions {
            said.push_str(&format!(", {emoji} from {}", words::listed(names)));
        }
        if self.mine {
            said.push_str(&format!(", {}", progress(*status)));
        }
        said
    }

    /// What the message says.
    #[must_use]
    pub fn words(&self) -> &str {
        if self.message.deleted {
            "This message was deleted"
        } else if self.message.needs_update {
            "This message needs a newer version of Rejoinder"
        } else {
            &self.message.text
        }
    }

    /// Whether what it says is the author's own words.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.message.deleted && !self.message.needs_update
    }
}

/// How far an own message has come, in words.
#[must_use]
pub fn progress(status: Progress) -> &'static str {
    match status {
        Progress::Local => "Only on this device",
        Progress::Stored => "Sent",
        Progress::Delivered => "Delivered",
        Progress::Read => "Read",
    }
}

/// The same as a mark.
#[must_use]
pub fn ticks(status: Progress) -> &'static str {
    match status {
        Progress::Local => "◷",
        Progress::Stored => "✓",
        Progress::Delivered | Progress::Read => "✓✓",
    }
}

/// The loaded part of a conversation: its newest messages, as far back as somebody read.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    messages: Vec<MessageView>,
    has_older: bool,
    unread: Option<u64>,
    first_unread: Option<OrderKey>,
}

impl Timeline {
    /// How many are loaded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether there may be older ones.
    #[must_use]
    pub fn has_older(&self) -> bool {
        self.has_older
    }

    /// The loaded messages, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[MessageView] {
        &self.messages
    }

    /// The oldest that is loaded.
    #[must_use]
    pub fn oldest(&self) -> Option<OrderKey> {
        self.messages.first().map(|message| message.message)
    }

    /// Which one is where.
    #[must_use]
    pub fn place(&self, message: OrderKey) -> Option<usize> {
        self.messages.iter().rposition(|view| view.message == message)
    }

    /// The newest message of somebody else: reading it is reading all.
    #[must_use]
    pub fn newest_of_others(&self, me: Option<AccountId>) -> Option<OrderKey> {
        self.messages.iter().rev().find(|view| Some(view.author) != me).map(|view| view.message)
    }

    /// Where the line above what is new stands.
    #[must_use]
    pub fn first_unread(&self) -> Option<usize> {
        self.first_unread.and_then(|message| self.place(message))
    }

    /// How many messages to ask for again, so that all that is loaded is as it is now, or as much of it
    /// as changes while somebody looks.
    #[must_use]
    pub fn to_refresh(&self) -> usize {
        self.messages.len().clamp(FIRST, FRESH)
    }

    /// Takes the newest page of `asked` messages. What is older than it stays as it was loaded, unless
    /// the page no longer reaches it: then everything is read anew from the end.
    pub fn take_newest(&mut self, page: Vec<MessageView>, asked: usize) {
        let is_all = page.len() < asked;
        let joint = page.first().map(|first| first.message);
        let kept = joint.and_then(|joint| self.place(joint)).filter(|_| !is_all);
        match kept {
            Some(kept) => {
                self.messages.truncate(kept);
                self.messages.extend(page);
            }
            None => {
                self.has_older = !is_all;
                self.messages = page;
            }
        }
    }

    /// Takes the page before the oldest.
    pub fn take_older(&mut self, mut page: Vec<MessageView>, before: OrderKey, asked: usize) {
        if self.oldest() != Some(before) {
            // What was loaded changed meanwhile; it is asked for again.
            return;
        }
        self.has_older = page.len() >= asked;
        page.append(&mut self.messages);
        self.messages = page;
    }

    /// Looks where the line above what is new belongs, once: at the first message that was unread when
    /// the conversation was opened.
    pub fn mark_unread(&mut self, unread: u64, me: Option<AccountId>) {
        let unread = *self.unread.get_or_insert(unread);
        if self.first_unread.is_some() || unread == 0 {
            return;
        }
        let others = self.messages.iter().rev();
        let others = others.filter(|view| Some(view.author) != me && !view.deleted);
        let nth = usize::try_from(unread - 1).unwrap_or(usize::MAX);
        self.first_unread = others.map(|view| view.message).nth(nth);
    }

    /// Takes the line above what is new away: somebody answered.
    pub fn forget_unread(&mut self) {
        (self.unread, self.first_unread) = (Some(0), None);
    }

    /// What is shown, a line a message.
    #[must_use]
    pub fn lines(
        &self,
        view: &ConversationView,
        me: Option<AccountId>,
        clock: &Clock,
    ) -> Vec<Line> {
        let before = std::iter::once(None).chain(self.messages.iter().map(Some));
        let pairs = before.zip(&self.messages);
        pairs.map(|(before, message)| self.line(before, message, view, me, clock)).collect()
    }

    fn line(
        &self,
        before: Option<&MessageView>,
        message: &MessageView,
        view: &ConversationView,
        me: Option<AccountId>,
        clock: &Clock,
    ) -> Line {
        let is_new_day =
            before.is_none_or(|before| clock.date(before.at_ms) != clock.date(message.at_ms));
        let is_first_unread = self.first_unread == Some(message.message);
        let goes_on = before.is_some_and(|before| {
            before.author == message.author
                && message.at_ms.saturating_sub(before.at_ms) <= TOGETHER_MS
        });
        Line {
            mine: Some(message.author) == me,
            author: words::name_of(words::member_of(view, message.author)),
            day: is_new_day.then(|| clock.day(message.at_ms)),
            time: clock.time(message.at_ms),
            is_first_unread,
            begins: is_new_day || is_first_unread || !goes_on,
            is_group: view.members.len() > 2,
            quote: message.reply_to.map(|reply_to| self.quote(reply_to, view, me)),
            reactions: reactions(message, view),
            message: message.clone(),
        }
    }

    fn quote(&self, of: OrderKey, view: &ConversationView, me: Option<AccountId>) -> Quote {
        let Some(quoted) = self.place(of).and_then(|place| self.messages.get(place)) else {
            let text = "An earlier message".to_owned();
            return Quote { message: of, author: String::new(), text };
        };
        let author = match Some(quoted.author) == me {
            true => "You".to_owned(),
            false => words::name_of(words::member_of(view, quoted.author)),
        };
        let text = match quoted.deleted {
            true => "deleted".to_owned(),
            false => text::preview(&quoted.text, QUOTED),
        };
        Quote { message: of, author, text }
    }

    /// Which loaded messages hold a text, oldest first.
    #[must_use]
    pub fn found(&self, sought: &str) -> Vec<OrderKey> {
        let sought = sought.trim().to_lowercase();
        if sought.is_empty() {
            return Vec::new();
        }
        let fits =
            |view: &&MessageView| !view.deleted && view.text.to_lowercase().contains(&sought);
        self.messages.iter().filter(fits).map(|view| view.message).collect()
    }
}

fn reactions(message: &MessageView, view: &ConversationView) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (account, emoji) in message.reactions.iter() {
        let name = words::name_of(words::member_of(view, *account));
        match all.iter_mut().find(|(other, _)| other == emoji) {
            Some((_, names)) => names.push(name),
            None => all.push((emoji.clone(), vec![name])),
        }
    }
    all
}

/// What changes in a list of lines: which come and go, and which of those that stay look different.
#[must_use]
pub fn difference(old: &[Line], new: &[Line]) -> (Splice, Vec<usize>) {
    let key = |lines: &[Line]| lines.iter().map(|line| line.message.message).collect::<Vec<_>>();
    let splice = Splice::between(&key(old), &key(new));
    let after = splice.at + splice.added;
    let place =
        |at: usize| if at < splice.at { at } else { at - after + splice.at + splice.removed };
    let stay = (0..splice.at).chain(after..new.len());
    let changed = stay.filter(|at| old.get(place(*at)) != new.get(*at)).collect();
    (splice, changed)
}

#[cfg(test)]
pub(crate) mod made {
    //! Views as a client gives them, for tests.

    use sync_client::{
        AccountId, ConversationView, DeviceId, MemberView, MessageView, OrderKey, Progress, Rank,
        Role, SortedMap, SortedSet, SpaceId, Stamp,
    };

    /// An account by its number.
    pub(crate) fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 33])
    }

    /// A message's key by its number.
    pub(crate) fn message_key(n: u64) -> OrderKey {
        OrderKey { stamp: Stamp { ms: n, counter: 0 }, tag: [0; 6] }
    }

    /// A conversation of accounts 1 (Ada) and 2 (Bob).
    pub(crate) fn conversation(n: u8, title: &str) -> ConversationView {
        let member = |n, name: &str| MemberView {
            account: account(n),
            address: Some(name.to_lowercase()),
            name: name.to_owned(),
            role: Role::Member,
        };
        ConversationView {
            conversation: SpaceId::from_bytes([n; 32]),
            title: title.to_owned(),
            members: vec![member(1, "Ada"), member(2, "Bob")],
            adding: Vec::new(),
            unread: 0,
            last: None,
            muted: false,
            archived: false,
            pinned: false,
            pending: false,
            active: true,
            unreadable: None,
            waiting: 0,
            vouched: None,
            withheld: false,
        }
    }

    /// A message by its number, written so many milliseconds after the epoch.
    pub(crate) fn message(n: u64, author: u8, at_ms: u64, text: &str) -> MessageView {
        let key = message_key(n);
        MessageView {
            message: key,
            author: account(author),
            device: DeviceId::from_bytes([author; 33]),
            text: text.to_owned(),
            at_ms,
            rank: Rank { effective: key.stamp, capped: None, key },
            reply_to: None,
            edited: false,
            deleted: false,
            reactions: SortedMap::new(),
            status: Progress::Local,
            delivered: SortedSet::new(),
            read: SortedSet::new(),
            needs_update: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::made::{account, conversation, message, message_key};
    use super::*;

    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;

    fn loaded(messages: Vec<MessageView>) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.take_newest(messages, FIRST);
        timeline
    }

    fn lines(timeline: &Timeline) -> Vec<Line> {
        let clock = Clock::at(TimeZone::UTC, 10 * DAY);
        timeline.lines(&conversation(1, "a"), Some(account(1)), &clock)
    }

    #[test]
    fn a_day_begins_with_its_line_and_authors_stand_together_for_a_while() {
        let timeline = loaded(vec![
            message(1, 2, DAY, "a"),
            message(2, 2, DAY + 5 * MINUTE, "b"),
            message(3, 2, DAY + 11 * MINUTE, "c"),
            message(4, 1, DAY + 11 * MINUTE, "d"),
            message(5, 1, 10 * DAY, "e"),
        ]);
        let lines = lines(&timeline);
        let days: Vec<_> = lines.iter().map(|line| line.day.is_some()).collect();
        assert_eq!(days, [true, false, false, false, true]);
        let begin: Vec<_> = lines.iter().map(|line| line.begins).collect();
        assert_eq!(begin, [true, false, true, true, true]);
        assert_eq!(lines[4].day.as_deref(), Some("Today"));
        assert!(lines[3].mine && !lines[2].mine);
    }

    #[test]
    fn the_line_above_what_is_new_stays_where_it_was_at_first() {
        let mut timeline =
            loaded(vec![message(1, 2, 1, "a"), message(2, 1, 2, "own"), message(3, 2, 3, "b")]);
        timeline.mark_unread(2, Some(account(1)));
        assert_eq!(timeline.first_unread(), Some(0));
        timeline.mark_unread(0, Some(account(1)));
        assert_eq!(timeline.first_unread(), Some(0), "reading does not move it");
        timeline.forget_unread();
        timeline.mark_unread(2, Some(account(1)));
        assert_eq!(timeline.first_unread(), None);
    }

    #[test]
    fn what_is_older_stays_when_the_newest_page_is_read_again() {
        let all: Vec<_> = (1..=6).map(|n| message(n, 2, n, "x")).collect();
        let mut timeline = Timeline::default();
        timeline.take_newest(all[3..].to_vec(), 3);
        assert!(timeline.has_older());
        timeline.take_older(all[..3].to_vec(), message_key(4), 3);
        assert_eq!(timeline.len(), 6);
        let mut page = all[4..].to_vec();
        page[0].edited = true;
        page.push(message(7, 1, 7, "new"));
        timeline.take_newest(page, 3);
        let keys: Vec<_> = timeline.messages().iter().map(|view| view.message.stamp.ms).collect();
        assert_eq!(keys, [1, 2, 3, 4, 5, 6, 7]);
        assert!(timeline.messages()[4].edited);
    }

    #[test]
    fn a_page_that_does_not_reach_what_was_loaded_begins_anew() {
        let mut timeline = Timeline::default();
        timeline.take_newest(vec![message(1, 2, 1, "x"), message(2, 2, 2, "x")], 2);
        timeline.take_newest(vec![message(8, 2, 8, "x"), message(9, 2, 9, "x")], 2);
        assert_eq!(timeline.len(), 2);
        assert!(timeline.has_older());
        timeline.take_older(vec![message(1, 2, 1, "x")], message_key(1), 2);
        assert_eq!(timeline.len(), 2, "an answer to what is no longer loaded is passed over");
    }

    #[test]
    fn the_last_page_back_is_the_last() {
        let mut timeline = Timeline::default();
        timeline.take_newest(vec![message(5, 2, 5, "x")], 1);
        timeline.take_older(Vec::new(), message_key(5), 1);
        assert!(!timeline.has_older());
    }

    #[test]
    fn only_lines_that_look_different_are_named() {
        let old = lines(&loaded(vec![message(1, 1, 1, "a"), message(2, 1, 2, "b")]));
        let mut read = message(2, 1, 2, "b");
        read.status = Progress::Read;
        let new = lines(&loaded(vec![message(1, 1, 1, "a"), read, message(3, 2, 3, "c")]));
        let (splice, changed) = difference(&old, &new);
        assert_eq!(splice, Splice { at: 2, removed: 0, added: 1 });
        assert_eq!(changed, [1]);
        let (splice, changed) = difference(&new, &old);
        assert_eq!((splice.removed, changed), (1, vec![1]));
    }

    #[test]
    fn an_answer_shows_what_it_answers_where_that_is_loaded() {
        let mut answer = message(2, 1, 2, "yes");
        answer.reply_to = Some(message_key(1));
        let here = lines(&loaded(vec![message(1, 2, 1, "tea?"), answer.clone()]));
        let quote = here[1].quote.clone().expect("it answers");
        assert_eq!((quote.author.as_str(), quote.text.as_str()), ("Bob", "tea?"));
        let away = lines(&loaded(vec![answer]));
        assert_eq!(
            away[0].quote.as_ref().map(|quote| quote.text.as_str()),
            Some("An earlier message")
        );
    }

    #[test]
    fn a_line_is_read_aloud_whole() {
        let mut own = message(1, 1, 0, "tea");
        own.edited = true;
        own.reactions.insert(account(2), "👍".to_owned());
        let line = lines(&loaded(vec![own])).remove(0);
        assert_eq!(line.spoken(), "You, 00:00: tea, edited, 👍 from Bob, Only on this device");
    }

    #[test]
    fn a_search_finds_what_is_loaded() {
        let mut gone = message(2, 2, 2, "Tea");
        gone.deleted = true;
        let timeline = loaded(vec![message(1, 2, 1, "Tea"), gone, message(3, 2, 3, "milk")]);
        assert_eq!(timeline.found(" tEa"), [message_key(1)]);
        assert!(timeline.found(" ").is_empty());
    }
}
