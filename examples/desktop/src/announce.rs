//! Which news the desktop is told of.

use sync_client::{AccountId, ConversationView, MessageView, OrderKey, SpaceId};

use crate::text;
use crate::words;

/// Letters of a message that a notification shows.
const SHOWN: usize = 200;

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which conversation it leads to. A later one takes its place.
    pub conversation: SpaceId,
    /// The newest message: what "mark as read" means.
    pub message: OrderKey,
    /// The conversation.
    pub title: String,
    /// Who says what.
    pub body: String,
}

/// What to announce of new messages, if anything: not what one wrote oneself, what is old news, what is
/// muted, and not while somebody looks at the conversation.
#[must_use]
pub fn announcement(
    view: &ConversationView,
    news: &[MessageView],
    me: Option<AccountId>,
    is_looked_at: bool,
) -> Option<Announcement> {
    let last = news.iter().max_by_key(|message| message.rank)?;
    let is_newest = view.last.as_ref().is_some_and(|newest| newest.message == last.message);
    let is_news = Some(last.author) != me && !last.deleted && !last.edited && is_newest;
    if !is_news || is_looked_at || view.muted || view.archived || view.unread == 0 {
        return None;
    }
    let author = words::name_of(words::member_of(view, last.author));
    let text = match view.pending {
        true => "wants to talk with you".to_owned(),
        false => text::preview(&last.text, SHOWN),
    };
    Some(Announcement {
        conversation: view.conversation,
        message: last.message,
        title: words::title_of(view, me),
        body: format!("{author}: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use sync_client::LastMessage;

    use super::*;
    use crate::timeline::made::{account, conversation, message};

    fn told(change: impl FnOnce(&mut ConversationView, &mut MessageView)) -> Option<String> {
        let mut view = conversation(1, "Team");
        let mut news = message(7, 2, 7, "tea\nis ready");
        view.unread = 1;
        view.last = Some(LastMessage {
            message: news.message,
            author: news.author,
            text: news.text.clone(),
            at_ms: 7,
        });
        change(&mut view, &mut news);
        announcement(&view, &[message(6, 2, 6, "before"), news], Some(account(1)), false)
            .map(|announcement| announcement.body)
    }

    #[test]
    fn news_of_others_is_announced() {
        assert_eq!(told(|_, _| ()).as_deref(), Some("Bob: tea is ready"));
    }

    #[test]
    fn what_is_own_old_muted_or_away_is_not() {
        assert_eq!(told(|_, news| news.author = account(1)), None);
        assert_eq!(told(|view, _| view.muted = true), None);
        assert_eq!(told(|view, _| view.archived = true), None);
        assert_eq!(told(|view, _| view.unread = 0), None, "another device read it");
        assert_eq!(told(|view, _| view.last = None), None);
        assert_eq!(told(|_, news| news.edited = true), None);
    }

    #[test]
    fn a_strangers_words_are_not_shown_before_they_are_accepted() {
        let said = told(|view, _| view.pending = true);
        assert_eq!(said.as_deref(), Some("Bob: wants to talk with you"));
    }

    #[test]
    fn what_somebody_looks_at_is_not_announced() {
        let mut view = conversation(1, "Team");
        view.unread = 1;
        assert_eq!(announcement(&view, &[message(7, 2, 7, "x")], None, true), None);
    }
}
