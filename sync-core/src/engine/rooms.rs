//! The rooms of the engine: who may use what, and who may ask whom.
//!
//! A machine owns its data. A room is work that needs several machines: it borrows those it names
//! for as long as it is at work, and no other. The lower rooms know the turn and the spaces alone;
//! the upper ones know everything that an account has. Each room names the rooms that may ask it
//! for something. The compiler holds both.

use crate::engine::Engine;
use crate::engine::account::Account;
use crate::engine::documents::Documents;
use crate::engine::entering::strays::Strays;
use crate::engine::linking::Linking;
use crate::engine::people::People;
use crate::engine::requests::Requests;
use crate::engine::session::Session;
use crate::engine::space::Spaces;
use crate::engine::space::sightings::Sightings;
use crate::engine::turn::Turn;

/// The type of a machine, by the name that all rooms have for it.
macro_rules! machine {
    (turn) => {
        Turn
    };
    (session) => {
        Session
    };
    (account) => {
        Account
    };
    (people) => {
        People
    };
    (sightings) => {
        Sightings
    };
    (spaces) => {
        Spaces
    };
    (strays) => {
        Strays
    };
    (documents) => {
        Documents
    };
    (linking) => {
        Linking
    };
    (requests) => {
        Requests
    };
}

/// A room: its door, the machines that it may use, and the rooms that may ask it for something.
macro_rules! room {
    // All that an account has.
    (
        $(#[$doc:meta])*
        $room:ident as $door:ident uses everything for [$($host:ty),+]
    ) => {
        room! {
            $(#[$doc])*
            $room as $door
            uses [turn, session, account, people, sightings, spaces, strays, documents, linking]
            for [$($host),+]
        }
    };
    (
        $(#[$doc:meta])*
        $room:ident as $door:ident uses [$($machine:ident),+] for [$($host:ty),+]
    ) => {
        $(#[$doc])*
        pub(super) struct $room<'e> {
            $(pub(super) $machine: &'e mut machine!($machine)),+
        }

        room!(@doors $door $room [$($machine),+] $($host),+);
    };
    (@doors $door:ident $room:ident $machines:tt $($host:ty),+) => {
        $(room!(@door $door $room $machines $host);)+
    };
    (@door $door:ident $room:ident [$($machine:ident),+] $host:ty) => {
        impl $host {
            pub(super) fn $door(&mut self) -> $room<'_> {
                $room { $($machine: &mut self.$machine),+ }
            }
        }
    };
}

room! {
    /// What a space keeps of its log: how far it is read, what was passed over, what waits.
    LogRows as log_rows
    uses [turn, spaces]
    for [
        Engine, MemberRows<'_>, ContentRows<'_>, Fetching<'_>, Contacts<'_>, Profile<'_>,
        Intake<'_>, Checks<'_>, Members<'_>, Tickets<'_>, Outbox<'_>, Content<'_>
    ]
}

room! {
    /// What a space keeps of its members: wishes, a change that is under way, what is closed.
    MemberRows as member_rows
    uses [turn, spaces]
    for [
        Engine, Devices<'_>, HostSide<'_>, Intake<'_>, Checks<'_>, Members<'_>, Commits<'_>,
        Tickets<'_>, Invitations<'_>, Outbox<'_>, Commands<'_>
    ]
}

room! {
    /// What a space keeps of its documents: which there are, what is unread, what is owed.
    ContentRows as content_rows
    uses [turn, spaces]
    for [
        Engine, Library<'_>, Profile<'_>, Intake<'_>, Members<'_>, Invitations<'_>, Outbox<'_>,
        Content<'_>, Views<'_>, Commands<'_>
    ]
}

room! {
    /// Asks the relay for what a space lacks, by what others say of how far they have read.
    Fetching as fetching
    uses [turn, session, sightings, spaces]
    for [Engine, Intake<'_>, Checks<'_>, Members<'_>, Tickets<'_>, Invitations<'_>, Outbox<'_>]
}

room! {
    /// What this device reads in its documents: settings, pages, who is known.
    Library as library
    uses [turn, account, spaces, documents]
    for [
        Engine, Devices<'_>, Profile<'_>, Commits<'_>, Tickets<'_>, Content<'_>, Views<'_>,
        Apps<'_>, Commands<'_>
    ]
}

room! {
    /// Key packages, by which others let this device in.
    OwnPackages as own_packages
    uses [turn, session, account]
    for [Engine, Invitations<'_>]
}

room! {
    /// Everybody else: addresses, device logs, safety numbers.
    Contacts as contacts
    uses everything
    for [
        Engine, Devices<'_>, GuestSide<'_>, Profile<'_>, Intake<'_>, Members<'_>, Commits<'_>,
        Tickets<'_>, Invitations<'_>, Commands<'_>
    ]
}

room! {
    /// The account's devices: its own log, and what follows when that grows.
    Devices as devices
    uses everything
    for [
        Engine, Contacts<'_>, HostSide<'_>, Profile<'_>, Vault<'_>, Members<'_>, Commits<'_>,
        Tickets<'_>, Commands<'_>
    ]
}

room! {
    /// A device without an account, which is linked or brings its account back.
    GuestSide as guest_side
    uses [turn, session, account, people, sightings, spaces, strays, documents, linking, requests]
    for [Engine]
}

room! {
    /// A device that links another one.
    HostSide as host_side
    uses everything
    for [Engine, Devices<'_>, GuestSide<'_>]
}

room! {
    /// What people call themselves, and who is no stranger.
    Profile as profile
    uses everything
    for [Engine, Devices<'_>, Intake<'_>, Content<'_>, Views<'_>, Commands<'_>]
}

room! {
    /// What the account writes down for its other devices, so that they read what it reads.
    Vault as vault
    uses everything
    for [
        Engine, Devices<'_>, Intake<'_>, Checks<'_>, Members<'_>, Commits<'_>, Tickets<'_>,
        Invitations<'_>, Outbox<'_>
    ]
}

room! {
    /// Takes in what is delivered, entry by entry.
    Intake as intake
    uses everything
    for [Engine, Checks<'_>]
}

room! {
    /// What is done when the relay, or an entry, turns out not to hold.
    Checks as checks
    uses everything
    for [Engine, Intake<'_>, Members<'_>, Outbox<'_>]
}

room! {
    /// Moves membership forward: own changes, and those of others.
    Members as members
    uses everything
    for [Engine, Intake<'_>, Checks<'_>, Commits<'_>, Tickets<'_>]
}

room! {
    /// Builds a change of members, with what lets the new ones in.
    Commits as commits
    uses everything
    for [Engine, Profile<'_>, Members<'_>, Tickets<'_>, Commands<'_>]
}

room! {
    /// Tickets: left for own devices, and entered by.
    Tickets as tickets
    uses everything
    for [Engine, Intake<'_>, Members<'_>, Commits<'_>, Invitations<'_>, Outbox<'_>]
}

room! {
    /// Invitations: proven, and entered by.
    Invitations as invitations
    uses everything
    for [Engine, Checks<'_>, Members<'_>, Commits<'_>, Tickets<'_>]
}

room! {
    /// Edits on their way out: applied, cut into change sets, sealed, pushed.
    Outbox as outbox
    uses everything
    for [
        Engine, Contacts<'_>, Devices<'_>, Profile<'_>, Vault<'_>, Checks<'_>, Members<'_>,
        Commits<'_>, Content<'_>, Views<'_>, Apps<'_>, Commands<'_>
    ]
}

room! {
    /// Documents that change, and what follows from what they say.
    Content as content
    uses everything
    for [Engine, Intake<'_>, Members<'_>, Outbox<'_>, Views<'_>]
}

room! {
    /// What the app is shown, and what others are told of it.
    Views as views
    uses everything
    for [Engine, Outbox<'_>, Commands<'_>]
}

room! {
    /// Commands upon an app's documents.
    Apps as apps
    uses everything
    for [Commands<'_>]
}

room! {
    /// What is told to those who are here now.
    Signals as signals
    uses [turn, session, account, spaces]
    for [Engine, Commands<'_>]
}

room! {
    /// Commands upon conversations.
    Commands as commands
    uses everything
    for [Engine, Vault<'_>]
}
