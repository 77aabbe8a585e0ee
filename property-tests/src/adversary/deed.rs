//! What liars do, by name.

/// Something that a liar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// The relay keeps a conversation's new entries from a device, and says that there are none.
    Withholds,
    /// The relay keeps everything from a device, and says that there is nothing.
    Freezes,
    /// The relay shows later entries at the place of one that it keeps back.
    Skips,
    /// The relay swaps two entries.
    Reorders,
    /// The relay shows entries once more, as if they were new.
    Repeats,
    /// The relay shows one space's entries in another.
    Mixes,
    /// The relay alters a bit of an envelope.
    Alters,
    /// The relay says that an entry is somebody else's.
    Attributes,
    /// The relay shows another time than that of an entry.
    Dates,
    /// The relay takes what a device pushes, and loses it.
    Loses,
    /// The relay says that what it lost is stored.
    ForgesStored,
    /// The relay refuses what it has no reason to refuse.
    Refuses,
    /// The relay answers with an older ticket, or with that of another space.
    OldTicket,
    /// The relay shows less of a device log than there is.
    ShortLog,
    /// The relay hands out another account's key packages.
    OtherPackages,
    /// The relay delivers an old invitation once more.
    OldInvitation,
    /// The relay keeps back what lies in an inbox.
    KeepsInbox,
    /// The relay puts a liar's envelope into a device's log.
    Smuggles,
    /// The relay says that a log began anew.
    BeginsAnew,
    /// The relay says that a device is not in a space any more.
    SaysRemoved,
    /// A member or thief writes what they may.
    Posts,
    /// They write in a segment or an era that is not there yet.
    PostsAside,
    /// They write one message twice, in two segments.
    PostsTwice,
    /// They seal another's words as their own.
    Reseals,
    /// They seal what nobody can decode.
    Garbles,
    /// They sign what they did not commit to.
    BreaksWord,
    /// They say that they saw another log.
    SawOther,
    /// They say that they have received and read what is not there yet.
    ReadsAhead,
    /// They write under keys that had ended.
    WritesLate,
    /// They give one number to two change sets.
    Doubles,
    /// They push a change of members that nobody can read.
    GarbageCommit,
    /// They push a real change of members whose name commits to something else.
    ClosedCommit,
    /// They change members without the right to.
    Overreaches,
    /// They let in a device that nobody certified.
    LetsInStranger,
    /// They end an honest device, with a cut before what it wrote.
    BadCut,
    /// They push a removal that is none behind its header.
    HollowRemoval,
    /// They leave a ticket to a group of their own.
    ForksTicket,
    /// They put what makes no sense into an inbox.
    GarbageInvitation,
    /// They wish in another's name.
    ForgesWish,
    /// They push much that is worth nothing.
    Floods,
    /// They take an account's key packages.
    TakesPackages,
    /// They claim another's address.
    ClaimsAddress,
    /// A thief writes into what the account's devices keep for one another.
    PoisonsVault,
    /// A thief signs an entry for its account's device log.
    ForksLog,
    /// A thief comes to the relay after its device was ended.
    ComesBack,
    /// An owner ends the device that was stolen.
    OwnerEnds,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 46] = [
        Self::Withholds,
        Self::Freezes,
        Self::Skips,
        Self::Reorders,
        Self::Repeats,
        Self::Mixes,
        Self::Alters,
        Self::Attributes,
        Self::Dates,
        Self::Loses,
        Self::ForgesStored,
        Self::Refuses,
        Self::OldTicket,
        Self::ShortLog,
        Self::OtherPackages,
        Self::OldInvitation,
        Self::KeepsInbox,
        Self::Smuggles,
        Self::BeginsAnew,
        Self::SaysRemoved,
        Self::Posts,
        Self::PostsAside,
        Self::PostsTwice,
        Self::Reseals,
        Self::Garbles,
        Self::BreaksWord,
        Self::SawOther,
        Self::ReadsAhead,
        Self::WritesLate,
        Self::Doubles,
        Self::GarbageCommit,
        Self::ClosedCommit,
        Self::Overreaches,
        Self::LetsInStranger,
        Self::BadCut,
        Self::HollowRemoval,
        Self::ForksTicket,
        Self::GarbageInvitation,
        Self::ForgesWish,
        Self::Floods,
        Self::TakesPackages,
        Self::ClaimsAddress,
        Self::PoisonsVault,
        Self::ForksLog,
        Self::ComesBack,
        Self::OwnerEnds,
    ];

    /// Whether a device is shown another log by it than others are.
    #[must_use]
    pub fn shows_another_log(self) -> bool {
        matches!(
            self,
            Self::Skips
                | Self::Reorders
                | Self::Repeats
                | Self::Mixes
                | Self::Alters
                | Self::Attributes
                | Self::Smuggles
                | Self::BeginsAnew
                | Self::ForgesStored
        )
    }

    /// What is done, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Withholds => "relay: withholds a conversation",
            Self::Freezes => "relay: freezes all",
            Self::Skips => "relay: shows later entries in place of one",
            Self::Reorders => "relay: swaps entries",
            Self::Repeats => "relay: repeats entries",
            Self::Mixes => "relay: shows one space's entries in another",
            Self::Alters => "relay: alters a bit",
            Self::Attributes => "relay: names another author",
            Self::Dates => "relay: names another time",
            Self::Loses => "relay: loses what is pushed",
            Self::ForgesStored => "relay: says stored of what it lost",
            Self::Refuses => "relay: refuses without a reason",
            Self::OldTicket => "relay: answers with an old ticket",
            Self::ShortLog => "relay: shows less of a device log",
            Self::OtherPackages => "relay: hands out others' key packages",
            Self::OldInvitation => "relay: delivers an old invitation",
            Self::KeepsInbox => "relay: keeps back an inbox",
            Self::Smuggles => "relay: puts a liar's envelope in a log",
            Self::BeginsAnew => "relay: says a log began anew",
            Self::SaysRemoved => "relay: says removed",
            Self::Posts => "writes",
            Self::PostsAside => "writes in a segment that is not there",
            Self::PostsTwice => "writes one message in two segments",
            Self::Reseals => "seals another's words as its own",
            Self::Garbles => "seals garbage",
            Self::BreaksWord => "signs what it did not commit to",
            Self::SawOther => "says it saw another log",
            Self::ReadsAhead => "says it read what is not there",
            Self::WritesLate => "writes under keys that had ended",
            Self::Doubles => "gives one number to two change sets",
            Self::GarbageCommit => "commits garbage",
            Self::ClosedCommit => "commits to something else",
            Self::Overreaches => "changes members without the right to",
            Self::LetsInStranger => "lets in an uncertified device",
            Self::BadCut => "cuts an honest device",
            Self::HollowRemoval => "removes by a header alone",
            Self::ForksTicket => "leaves a ticket elsewhere",
            Self::GarbageInvitation => "invites to nonsense",
            Self::ForgesWish => "wishes in another's name",
            Self::Floods => "floods",
            Self::TakesPackages => "takes key packages",
            Self::ClaimsAddress => "claims another's address",
            Self::PoisonsVault => "thief: poisons the vault",
            Self::ForksLog => "thief: signs for the device log",
            Self::ComesBack => "thief: comes back after its end",
            Self::OwnerEnds => "an owner ends the stolen device",
        }
    }
}
