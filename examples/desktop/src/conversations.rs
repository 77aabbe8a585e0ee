//! The list of conversations: which, in what order, and what each line says.

use sync_client::{AccountId, ConversationView, SortedMap, SpaceId};

use crate::text;
use crate::time::Clock;
use crate::words;

/// Letters of a last message that a line of the list may show.
const PREVIEW: usize = 120;

/// What is looked at in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What a title or a member has to hold; everything fits an empty one.
    pub words: String,
    /// Whether the archive is shown instead of what is not in it.
    pub archive: bool,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which conversation.
    pub id: SpaceId,
    /// What it is called.
    pub title: String,
    /// What was written last, or what else there is to say of it.
    pub preview: String,
    /// Whether the preview says how it stands, and not what somebody wrote.
    pub is_about: bool,
    /// When something was written last, in words; empty if nothing was.
    pub time: String,
    /// Messages not read.
    pub unread: u64,
    /// Whether it is muted.
    pub muted: bool,
    /// Whether it stays on top.
    pub pinned: bool,
    /// Whether it is an invitation that waits for an answer.
    pub pending: bool,
    /// Whether it is put away.
    pub archived: bool,
}

impl Row {
    /// How many messages are not read, as a badge shows it; empty for none.
    #[must_use]
    pub fn badge(&self) -> String {
        match self.unread {
            0 => String::new(),
            1..=999 => self.unread.to_string(),
            _ => "999+".to_owned(),
        }
    }

    /// What is read aloud for the line.
    #[must_use]
    pub fn spoken(&self) -> String {
        let mut parts = vec![self.title.clone()];
        if self.unread > 0 {
            parts.push(words::count(self.unread, "unread message"));
        }
        let marks = [(self.pending, "invitation"), (self.pinned, "pinned"), (self.muted, "muted")];
        parts.extend(marks.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
        parts.extend(
            [&self.preview, &self.time].into_iter().filter(|part| !part.is_empty()).cloned(),
        );
        parts.join(", ")
    }
}

/// All conversations of the account, and who is typing in them.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    all: Vec<ConversationView>,
    me: Option<AccountId>,
    typing: SortedMap<SpaceId, Vec<AccountId>>,
}

impl Conversations {
    /// Takes what the client lists, newest activity first.
    pub fn take(&mut self, all: Vec<ConversationView>, me: Option<AccountId>) {
        (self.all, self.me) = (all, me);
    }

    /// Takes who is typing in one of them now.
    pub fn set_typing(&mut self, conversation: SpaceId, who: Vec<AccountId>) {
        if who.is_empty() {
            self.typing.remove(&conversation);
        } else {
            self.typing.insert(conversation, who);
        }
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: SpaceId) -> Option<&ConversationView> {
        self.all.iter().find(|view| view.conversation == id)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[ConversationView] {
        &self.all
    }

    /// Messages not read, over all that are neither muted nor put away.
    #[must_use]
    pub fn unread(&self) -> u64 {
        let counted = self.all.iter().filter(|view| !view.muted && !view.archived);
        counted.map(|view| view.unread).fold(0, u64::saturating_add)
    }

    /// How many are put away.
    #[must_use]
    pub fn archived(&self) -> usize {
        self.all.iter().filter(|view| view.archived && !view.pending).count()
    }

    /// The lines to show: invitations first, then what is pinned, then the newest.
    #[must_use]
    pub fn rows(&self, filter: &Filter, clock: &Clock) -> Vec<Row> {
        let sought = filter.words.trim().to_lowercase();
        let is_shown = |view: &&ConversationView| match view.pending {
            true => !filter.archive,
            false => view.archived == filter.archive,
        };
        let mut shown: Vec<_> =
            self.all.iter().filter(is_shown).filter(|view| self.fits(view, &sought)).collect();
        // What stood before another stays before it: the client's order is kept within each part.
        shown.sort_by_key(|view| (!view.pending, !view.pinned));
        shown.into_iter().map(|view| self.row(view, clock)).collect()
    }

    fn fits(&self, view: &ConversationView, sought: &str) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(sought);
        sought.is_empty()
            || holds(&words::title_of(view, self.me))
            || view
                .members
                .iter()
                .any(|member| holds(&member.name) || member.address.as_deref().is_some_and(holds))
    }

    fn row(&self, view: &ConversationView, clock: &Clock) -> Row {
        let (preview, is_about) = self.preview(view);
        Row {
            id: view.conversation,
            title: words::title_of(view, self.me),
            preview,
            is_about,
            time: view.last.as_ref().map(|last| clock.short(last.at_ms)).unwrap_or_default(),
            unread: view.unread,
            muted: view.muted,
            pinned: view.pinned,
            pending: view.pending,
            archived: view.archived,
        }
    }

    fn preview(&self, view: &ConversationView) -> (String, bool) {
        let name = |account| words::name_of(words::member_of(view, account));
        if let Some(typing) = self.typing.get(&view.conversation) {
            let names: Vec<_> = typing.iter().map(|account| name(*account)).collect();
            return (words::typing(&names), true);
        }
        if view.pending {
            return ("Wants to talk with you".to_owned(), true);
        }
        if !view.active {
            return ("You are no longer in it".to_owned(), true);
        }
        let Some(last) = &view.last else {
            let adding = words::listed(&view.adding);
            let said = match adding.is_empty() {
                true => "No messages yet".to_owned(),
                false => format!("Adding {adding}…"),
            };
            return (said, true);
        };
        let author = match (Some(last.author) == self.me, view.members.len() <= 2) {
            (true, _) => "You: ".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!("{}: ", name(last.author)),
        };
        match last.text.is_empty() {
            true => (format!("{author}deleted"), true),
            false => (format!("{author}{}", text::preview(&last.text, PREVIEW)), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::timeline::made::{account, conversation, message_key};

    fn clock() -> Clock {
        Clock::at(TimeZone::UTC, 1_700_049_600_000)
    }

    fn list(views: Vec<ConversationView>) -> Conversations {
        let mut list = Conversations::default();
        list.take(views, Some(account(1)));
        list
    }

    fn titles(list: &Conversations, filter: &Filter) -> Vec<String> {
        list.rows(filter, &clock()).into_iter().map(|row| row.title).collect()
    }

    #[test]
    fn invitations_come_first_then_pinned_ones_then_the_newest() {
        let mut views = vec![
            conversation(1, "new"),
            conversation(2, "older"),
            conversation(3, "pinned"),
            conversation(4, "asks"),
            conversation(5, "away"),
        ];
        views[2].pinned = true;
        views[3].pending = true;
        views[4].archived = true;
        let list = list(views);
        assert_eq!(titles(&list, &Filter::default()), ["asks", "pinned", "new", "older"]);
        let archive = Filter { archive: true, ..Filter::default() };
        assert_eq!(titles(&list, &archive), ["away"]);
        assert_eq!(list.archived(), 1);
    }

    #[test]
    fn a_filter_finds_titles_and_members_in_whatever_case() {
        let list = list(vec![conversation(1, "Tea"), conversation(2, "Milk")]);
        let find = |words: &str| titles(&list, &Filter { words: words.to_owned(), archive: false });
        assert_eq!(find(" tEA "), ["Tea"]);
        assert_eq!(find("bob").len(), 2, "bob is a member of both");
        assert!(find("zed").is_empty());
    }

    #[test]
    fn muted_and_archived_ones_are_not_counted() {
        let mut views = vec![conversation(1, "a"), conversation(2, "b"), conversation(3, "c")];
        for view in &mut views {
            view.unread = 2;
        }
        views[1].muted = true;
        views[2].archived = true;
        assert_eq!(list(views).unread(), 2);
    }

    #[test]
    fn a_line_says_who_wrote_last_or_types() {
        let mut view = conversation(1, "a");
        let last = |author, text: &str| {
            let text = text.to_owned();
            Some(sync_client::LastMessage { message: message_key(1), author, text, at_ms: 1 })
        };
        view.last = last(account(1), "one\ntwo");
        let line = |view: &ConversationView| {
            list(vec![view.clone()]).rows(&Filter::default(), &clock())[0].preview.clone()
        };
        assert_eq!(line(&view), "You: one two");
        view.last = last(account(2), "");
        assert_eq!(line(&view), "deleted");
        view.last = None;
        assert_eq!(line(&view), "No messages yet");
        let mut all = list(vec![view.clone()]);
        all.set_typing(view.conversation, vec![account(2)]);
        assert_eq!(all.rows(&Filter::default(), &clock())[0].preview, "Bob is typing…");
    }

    #[test]
    fn a_line_is_read_aloud_with_its_marks() {
        let mut view = conversation(1, "Team");
        (view.unread, view.pinned, view.muted) = (1000, true, true);
        let row = list(vec![view]).rows(&Filter::default(), &clock()).remove(0);
        assert_eq!(row.spoken(), "Team, 1000 unread messages, pinned, muted, No messages yet");
        assert_eq!(row.badge(), "999+");
    }
}
