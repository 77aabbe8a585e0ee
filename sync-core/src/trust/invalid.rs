//! Why something is not believed.

use sync_protocol::AccountId;
use thiserror::Error;

use crate::document::Name;

/// Why something that came is not believed, for people and for programs.
///
/// Each is told to the app as evidence, with the space it came in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Two change sets of one writer have one number.
    #[error("a writer used one number for two change sets")]
    TwoForOneNumber,
    /// Content is sealed under an epoch that this log does not lead to.
    #[error("an author writes under keys that this log does not lead to")]
    ForeignEpoch,
    /// Content stands where its keys had ended, or where its author had seen more.
    #[error("content stands where its author did not put it")]
    Misplaced,
    /// Content of a device that is not in the group at that place.
    #[error("content stands where its author could not write")]
    NotAMember,
    /// Content that its author signed is not what its chain commits to.
    #[error("an author signed what it had not committed to")]
    NotCommitted,
    /// A removed device wrote on beyond the place that its removal goes by.
    #[error("a removed device wrote beyond its cut")]
    BeyondCut,
    /// An author saw another log than this one.
    #[error("the relay shows its users different histories")]
    OtherHistory,
    /// An author saw more of the log than there is.
    #[error("an author has seen more of the log than there is")]
    MoreThanThereIs,
    /// A log that was longer begins at its start again.
    #[error("the relay's log began anew")]
    LogBeganAnew,
    /// An entry stands where another stood.
    #[error("the relay puts an entry where it had shown another")]
    OtherEntry,
    /// What was confirmed is not in the log.
    #[error("the relay lost what it had confirmed")]
    LostConfirmed,
    /// A device log contradicts the one that is known: two were signed for one account, or what
    /// the relay shows is none.
    #[error("the relay shows a device log that does not follow")]
    LogForks {
        /// Whose log.
        account: AccountId,
    },
    /// Somebody knows more of a device log than the relay shows here.
    #[error("the relay keeps back a part of a device log")]
    LogWithheld {
        /// Whose log.
        account: AccountId,
    },
    /// Somebody has read more of a space's log than the relay shows here.
    #[error("the relay keeps back entries that somebody else was shown")]
    Withheld {
        /// Who says so.
        by: AccountId,
    },
    /// A signature is wrong, or a writer is not known.
    #[error("an entry's signature is wrong")]
    Signature,
    /// A writer's chain has a hole.
    #[error("an earlier entry of a writer is missing")]
    Missing,
    /// A device has more writers than it may have in one space.
    #[error("a device writes under more names than it may have")]
    TooManyWriters,
    /// An entry is no envelope.
    #[error("an entry does not parse")]
    Unparsable,
    /// Content without a place in its writer's chain.
    #[error("content has no number")]
    NoChain,
    /// An entry is not what its author wrote.
    #[error("an entry was altered")]
    Altered,
    /// No copy of an entry is good.
    #[error("an entry is passed over: the relay has no good copy of it")]
    NoGoodCopy,
    /// Keys that were given for the past are not those of this log.
    #[error("a shared history does not fit the log")]
    HistoryDoesNotFit,
    /// The handshakes of a log do not lead to where a device was let in.
    #[error("the log does not show how the group came to be")]
    BrokenLine,
    /// An epoch that is known has another root, or another group.
    #[error("a group is not the one that is known under its name")]
    OtherGroup,
    /// A later epoch is known.
    #[error("an older group is shown than the one that is known")]
    Older,
    /// Whoever leads in is not in the group.
    #[error("whoever leads into a group is not in it")]
    Stranger,
    /// A leaf is no device of its account.
    #[error("nobody certified a member")]
    Uncertified,
    /// A group in which others are, or into which another leads, in place of the account's own space.
    #[error("a group is not this account's own space")]
    OwnSpace,
    /// The device that leads into the account's own space was ended since.
    #[error("whoever leads into this account's own space is no device of it any more")]
    EndedGuide,
    /// The members that the log shows are not the group's.
    #[error("a group has other members than its log shows")]
    OtherMembers,
    /// A log is shorter than it was known to be.
    #[error("an older device log of {0} is shown than the one that is known")]
    OlderLog(AccountId),
    /// A ticket can't be used.
    #[error("a ticket leads nowhere: {0}")]
    Ticket(String),
    /// A document's own record can't be read.
    #[error("the document {name} is damaged here: {error}")]
    Damaged {
        /// Which.
        name: Name,
        /// What is wrong.
        error: String,
    },
    /// Changes break their document's rules.
    #[error("{count} changes to {name} were refused")]
    Refused {
        /// Which document.
        name: Name,
        /// How many.
        count: usize,
    },
}

impl Invalid {
    /// The account that it is about, or that says so, where there is one.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::LogForks { account }
            | Self::LogWithheld { account }
            | Self::Withheld { by: account } => Some(*account),
            _ => None,
        }
    }

    /// The reason as programs tell it apart, in lower case with dashes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TwoForOneNumber => "two-for-one-number",
            Self::ForeignEpoch => "foreign-epoch",
            Self::Misplaced => "misplaced",
            Self::NotAMember => "not-a-member",
            Self::NotCommitted => "not-committed",
            Self::BeyondCut => "beyond-cut",
            Self::OtherHistory => "other-history",
            Self::MoreThanThereIs => "more-than-there-is",
            Self::LogBeganAnew => "log-began-anew",
            Self::OtherEntry => "other-entry",
            Self::LostConfirmed => "lost-confirmed",
            Self::LogForks { .. } => "log-forks",
            Self::LogWithheld { .. } => "log-withheld",
            Self::Withheld { .. } => "withheld",
            Self::Signature => "signature",
            Self::Missing => "missing",
            Self::TooManyWriters => "too-many-writers",
            Self::Unparsable => "unparsable",
            Self::NoChain => "no-chain",
            Self::Altered => "altered",
            Self::NoGoodCopy => "no-good-copy",
            Self::HistoryDoesNotFit => "history-does-not-fit",
            Self::BrokenLine => "broken-line",
            Self::OtherGroup => "other-group",
            Self::Older => "older",
            Self::Stranger => "stranger",
            Self::Uncertified => "uncertified",
            Self::OwnSpace => "own-space",
            Self::EndedGuide => "ended-guide",
            Self::OtherMembers => "other-members",
            Self::OlderLog(_) => "older-log",
            Self::Ticket(_) => "ticket",
            Self::Damaged { .. } => "damaged",
            Self::Refused { .. } => "refused",
        }
    }
}
