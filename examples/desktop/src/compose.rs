//! What is being written: something new, an answer, or an own message anew; and the draft of it.

use sync_client::{OrderKey, SpaceId};

/// What is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Composing {
    /// Something new.
    #[default]
    New,
    /// An answer.
    Reply {
        /// To which message.
        to: OrderKey,
        /// Whose that is.
        author: String,
        /// Its beginning.
        text: String,
    },
    /// An own message, anew.
    Edit {
        /// Which.
        message: OrderKey,
        /// What it says.
        text: String,
    },
}

impl Composing {
    /// What stands above the line that is written in: what it is about, and the words it is about.
    #[must_use]
    pub fn about(&self) -> Option<(String, &str)> {
        match self {
            Self::New => None,
            Self::Reply { author, text, .. } => Some((format!("Answer to {author}"), text)),
            Self::Edit { text, .. } => Some(("Edit your message".to_owned(), text)),
        }
    }

    /// Whether it is a message that was written before.
    #[must_use]
    pub fn is_edit(&self) -> bool {
        matches!(self, Self::Edit { .. })
    }
}

/// What is half written in a conversation. It is a setting of the account, so it stays, on all own
/// devices, until it is sent.
#[derive(Clone, Debug)]
pub struct Draft {
    key: String,
    kept: String,
}

impl Draft {
    /// The draft of a conversation, of which nothing is known yet.
    #[must_use]
    pub fn of(conversation: SpaceId) -> Self {
        Self { key: format!("conversation/{conversation}/draft"), kept: String::new() }
    }

    /// The setting that it is kept in.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Takes what is kept, and says what to show beside what somebody has typed since: what is typed
    /// already is never taken away.
    pub fn take(&mut self, kept: &serde_json::Value, typed: &str) -> Option<String> {
        let kept = kept.as_str().unwrap_or_default();
        let was = std::mem::replace(&mut self.kept, kept.to_owned());
        let is_untouched = typed.is_empty() || typed.trim() == was;
        (is_untouched && typed.trim() != kept).then(|| kept.to_owned())
    }

    /// What to keep now, if that is something else than before; `Null` for nothing.
    pub fn keep(&mut self, typed: &str) -> Option<serde_json::Value> {
        let typed = typed.trim();
        if typed == self.kept {
            return None;
        }
        typed.clone_into(&mut self.kept);
        Some(match typed {
            "" => serde_json::Value::Null,
            text => serde_json::Value::from(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::timeline::made::message_key;

    fn draft() -> Draft {
        Draft::of(SpaceId::from_bytes([1; 32]))
    }

    #[test]
    fn a_draft_is_kept_once_and_taken_away_when_it_is_sent() {
        let mut draft = draft();
        assert_eq!(draft.keep(" tea "), Some(json!("tea")));
        assert_eq!(draft.keep("tea"), None);
        assert_eq!(draft.keep(""), Some(Value::Null));
        assert_eq!(draft.keep("  "), None);
    }

    #[test]
    fn what_another_device_wrote_does_not_take_away_what_is_typed_here() {
        let mut draft = draft();
        assert_eq!(draft.take(&json!("there"), ""), Some("there".to_owned()));
        assert_eq!(
            draft.take(&json!("there, and more"), "there"),
            Some("there, and more".to_owned())
        );
        assert_eq!(draft.take(&json!("else"), "typed here"), None);
        assert_eq!(draft.keep("typed here"), Some(json!("typed here")));
    }

    #[test]
    fn what_is_written_about_is_told() {
        assert_eq!(Composing::New.about(), None);
        let to = message_key(1);
        let reply = Composing::Reply { to, author: "Bob".to_owned(), text: "tea?".to_owned() };
        assert_eq!(reply.about(), Some(("Answer to Bob".to_owned(), "tea?")));
    }
}
