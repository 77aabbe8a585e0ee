//! Situations that worlds must bring about, as they are seen from outside the engine. A soak counts in
//! how many worlds each happened: what never happens was never looked at.

/// Something that happens beside something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Somebody links two devices at once.
    TwoLinks,
    /// A device is ended while another is being linked.
    RevokeBesideLink,
    /// The primary's role is passed on while a device is being linked.
    PassedOnDuringLink,
    /// An account is brought back while a device is being linked to it.
    RecoveryBesideLink,
    /// An account is brought back by two devices at once.
    TwoRecoveries,
    /// An account is brought back while somebody reaches nobody.
    RecoveryDuringPartition,
    /// An account is brought back while its devices are still in use.
    RecoveryBesideUse,
    /// A device lets itself in by a ticket while an ended one is not yet out.
    EntryBesideEviction,
    /// Somebody leaves while an ended device is not yet out.
    LeaveBesideEviction,
    /// A membership change comes after another that its author had not seen.
    TwoCommits,
    /// Settings change while a device is being linked without history.
    SettingsDuringLink,
    /// The primary loses its power between the certificate of a device and its entry.
    CrashAfterCertificate,
    /// A device that is being linked, or its primary, has a full disk.
    FullDiskDuringLink,
    /// The relay loses its power while a device is being linked.
    RelayCrashDuringLink,
    /// Somebody writes offline who does not know of a member that was added without history.
    OfflineBesideAdd,
    /// Somebody writes offline on a device that was ended meanwhile.
    OfflineOnEnded,
    /// A device comes back after an hour or more.
    BackAfterHours,
    /// A device comes back after so long that it was pointed out as dormant.
    BackAfterWeeks,
    /// A conversation is founded while one of its founder's devices is being linked.
    FoundedDuringLink,
    /// Somebody is added again who was removed or had left.
    AddedAgain,
    /// A conversation has more than a segment of messages, while somebody is away.
    SegmentDuringAbsence,
    /// A device's profile is put back to an earlier moment.
    RolledBack,
    /// A profile is put back to before a change of its account's devices.
    RolledBackPastLog,
    /// A profile is used twice at once.
    Twin,
}

impl Situation {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::TwoLinks,
        Self::RevokeBesideLink,
        Self::PassedOnDuringLink,
        Self::RecoveryBesideLink,
        Self::TwoRecoveries,
        Self::RecoveryDuringPartition,
        Self::RecoveryBesideUse,
        Self::EntryBesideEviction,
        Self::LeaveBesideEviction,
        Self::TwoCommits,
        Self::SettingsDuringLink,
        Self::CrashAfterCertificate,
        Self::FullDiskDuringLink,
        Self::RelayCrashDuringLink,
        Self::OfflineBesideAdd,
        Self::OfflineOnEnded,
        Self::BackAfterHours,
        Self::BackAfterWeeks,
        Self::FoundedDuringLink,
        Self::AddedAgain,
        Self::SegmentDuringAbsence,
        Self::RolledBack,
        Self::RolledBackPastLog,
        Self::Twin,
    ];

    /// What happens, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::TwoLinks => "two links at once",
            Self::RevokeBesideLink => "a revoke beside a link",
            Self::PassedOnDuringLink => "the primary passed on during a link",
            Self::RecoveryBesideLink => "a recovery beside a link",
            Self::TwoRecoveries => "two recoveries at once",
            Self::RecoveryDuringPartition => "a recovery during a partition",
            Self::RecoveryBesideUse => "a recovery while the account is in use",
            Self::EntryBesideEviction => "an entry by ticket beside an eviction",
            Self::LeaveBesideEviction => "a leave beside an eviction",
            Self::TwoCommits => "two commits at once in one space",
            Self::SettingsDuringLink => "settings changed during a link without history",
            Self::CrashAfterCertificate => "a crash between certificate and entry",
            Self::FullDiskDuringLink => "a full disk during a link",
            Self::RelayCrashDuringLink => "a crash of the relay during a link",
            Self::OfflineBesideAdd => "writing offline beside an add without history",
            Self::OfflineOnEnded => "writing offline on a device ended meanwhile",
            Self::BackAfterHours => "a device back after hours",
            Self::BackAfterWeeks => "a device back after weeks",
            Self::FoundedDuringLink => "a conversation founded during a link",
            Self::AddedAgain => "a member added again",
            Self::SegmentDuringAbsence => "a segment rolled over during an absence",
            Self::RolledBack => "a profile put back",
            Self::RolledBackPastLog => "a profile put back past a change of devices",
            Self::Twin => "a profile used twice",
        }
    }
}
