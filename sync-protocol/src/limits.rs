//! Every limit of the protocol, in one place. Sizes are bytes unless the name says otherwise.

/// The protocol version this build speaks.
pub const VERSION: u32 = 1;
/// The oldest protocol version this build understands.
pub const MIN_VERSION: u32 = 1;

/// A WebSocket message: larger protocol messages travel in parts (`docs/protocol.md`, "Parts").
pub const PART: usize = 4096;
/// What devices cut their own messages into. A relay keeps a buffer of about twice this size for
/// each connection, for as long as it lasts.
pub const PART_UP: usize = 1024;
/// A whole message before a session is authenticated.
pub const MESSAGE_UNAUTHENTICATED: usize = 64 * 1024;
/// A whole message in an authenticated session.
pub const MESSAGE: usize = 1024 * 1024;

/// A sealed change set.
pub const ENVELOPE_CONTENT: usize = 256 * 1024;
/// A sealed handshake with its public header.
pub const ENVELOPE_HANDSHAKE: usize = 512 * 1024;
/// A signal: never stored.
pub const ENVELOPE_SIGNAL: usize = 4096;
/// Envelopes in one push.
pub const PUSH_ENVELOPES: usize = 256;

/// A change set once opened and decompressed.
pub const CHANGE_SET: usize = 1024 * 1024;
/// Items (document and changes) in one change set.
pub const CHANGE_SET_ITEMS: usize = 256;
/// Changes in one change set, over all its items.
pub const CHANGE_SET_CHANGES: usize = 4096;
/// What somebody says that they are at in a document: JSON, in a signal.
pub const PRESENCE: usize = 2048;
/// A document's name.
pub const DOCUMENT_NAME: usize = 128;

/// A device log entry.
pub const LOG_ENTRY: usize = 2048;
/// Entries in a device log.
pub const LOG_ENTRIES: usize = 1024;
/// A whole device log: one always fits into a handshake that it is judged by.
pub const LOG: usize = 256 * 1024;
/// Active devices of an account.
pub const DEVICES: usize = 10;
/// How long a device is away before its owner is warned, in ms.
pub const DORMANT_WARN_MS: u64 = 21 * DAY_MS;
/// How long a device is away before it is dormant, in ms.
pub const DORMANT_MS: u64 = 30 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// An address as typed.
pub const ADDRESS: usize = 64;

/// A space's title, in bytes: 256 characters.
pub const TITLE: usize = 1024;
/// What all members of a space agree on besides keys, as it is encoded: title and roster.
pub const CONTEXT: usize = 16 * 1024;
/// The last era of a space's documents: the number of a message segment has no room for another.
pub const LAST_ERA: u32 = 0xffff;
/// Leaves in a space's group.
pub const LEAVES: usize = 256;
/// A key package, and a leaf of a group's tree: so the tree of the largest group fits into a ticket.
pub const KEY_PACKAGE: usize = 512;
/// Key packages kept for a device.
pub const KEY_PACKAGES: usize = 100;
/// Private halves of published key packages that a device keeps.
pub const KEY_PACKAGES_HELD: usize = 200;
/// Key packages in one publication.
pub const KEY_PACKAGES_PUT: usize = 50;

/// An item in a device's inbox.
pub const INBOX_ITEM: usize = 512 * 1024;
/// Items waiting in a device's inbox.
pub const INBOX_ITEMS: usize = 4096;
/// Of them, kept for ways in: from accounts of which no more than [`INBOX_WELCOMES_OF_ONE`] items wait.
pub const INBOX_RESERVE: usize = 1024;
/// What one account may have there, the newest included.
pub const INBOX_WELCOMES_OF_ONE: usize = 4;
/// Beyond all these: ways in from accounts of which nothing waits.
pub const INBOX_LAST: usize = 4096;
/// Items waiting in a device's inbox from one account.
pub const INBOX_ITEMS_OF_ONE: usize = 256;
/// Their bytes, with what they have in common with others.
pub const INBOX_BYTES_OF_ONE: usize = 8 * 1024 * 1024;

/// Writers of one device in one space, ever: a writer more means a store put back once more.
pub const WRITERS: usize = 64;
/// Stores that one device ever opened a session with.
pub const INCARNATIONS: u64 = 1024;
/// New ones in an hour.
pub const INCARNATIONS_PER_HOUR: u64 = 16;
/// And at once, after hours without any.
pub const INCARNATIONS_BURST: u64 = 64;
/// Handshakes of one account in one space in an hour.
pub const HANDSHAKES_PER_HOUR: u64 = 360;
/// And at once, after a while without any.
pub const HANDSHAKES_BURST: u64 = 100;
/// Times in an hour that one account takes key packages of one other.
pub const TAKES_OF_ONE_PER_HOUR: u64 = 1024;
/// Single-use key packages of one device that go to other accounts in an hour: beyond that they are
/// given its last resort.
pub const PACKAGES_PER_HOUR: u64 = 60;
/// Spaces that one account put another into which it has not written in.
pub const UNANSWERED: u64 = 1024;
/// The same of all who put it there; beyond that each may put it into one.
pub const UNANSWERED_OF_ALL: u64 = 4096;

/// Invites that one account draws in a day.
pub const INVITES_PER_DAY: u64 = 8;
/// How long an invite lets somebody in, in ms.
pub const INVITE_MS: u64 = 7 * DAY_MS;

/// How long a rendezvous stays open, in ms.
pub const RENDEZVOUS_MS: u64 = 120_000;
/// Messages that one side of a rendezvous may say.
pub const RENDEZVOUS_MESSAGES: usize = 8;
/// One message of a rendezvous.
pub const RENDEZVOUS_MESSAGE: usize = 16 * 1024;
/// What all devices that one handshake lets in have alike.
pub const WELCOME: usize = INBOX_ITEM;
/// What each of them has for itself.
pub const WELCOME_ITEM: usize = 4096;
/// A ticket.
pub const TICKET: usize = INBOX_ITEM;

/// What a relay sends a device before the device grants more credit.
pub const WINDOW: usize = 512 * 1024;
/// One chunk of a catch-up.
pub const CHUNK: usize = 32 * 1024;
/// Spaces a device may name as lagging when it reconnects.
pub const LAGGING_SPACES: usize = 256;
/// An opaque cursor.
pub const CURSOR: usize = 64;
/// How far a device's claimed time may lie before the relay's entry time is used instead, in ms.
pub const CLOCK_AHEAD_MS: u64 = 5 * 60 * 1000;

/// A raw change inside a change set.
pub const CHANGE: usize = CHANGE_SET;
/// Operations in one change.
pub const CHANGE_OPS: usize = 128 * 1024;
/// Operations a change may hold beyond one for each of its bytes, deletions not counted.
pub const CHANGE_OPS_SPARE: usize = 1024;
/// Dependencies of one change.
pub const CHANGE_DEPENDENCIES: usize = 1024;
/// Actors one change may name.
pub const CHANGE_ACTORS: usize = 1024;
/// The highest operation number, and sequence number, in a document.
pub const DOCUMENT_OPS: usize = 1 << 30;
/// How deep a document's objects nest.
pub const DOCUMENT_DEPTH: usize = 64;
/// One entry of a typed document: a text of 64 KiB and what goes with it.
pub const DOCUMENT_ENTRY: usize = 68 * 1024;
/// A key in a document.
pub const DOCUMENT_KEY: usize = 256;
/// A counter's first value, either way: what JavaScript counts exactly.
pub const COUNTER: u64 = 1 << 53;
/// One increment, either way: no [`DOCUMENT_OPS`] of them can overflow.
pub const COUNTER_STEP: u64 = (1 << 32) - 1;
/// One local edit: what a change set has room for whatever its form.
pub const EDIT: usize = 96 * 1024;
/// A document file to import.
pub const DOCUMENT_IMPORT: usize = 16 * 1024 * 1024;
/// Changes of one writer that wait for their dependencies in one document.
pub const WAITING_CHANGES: usize = 1024;
/// Bytes of one writer's changes that wait in one document.
pub const WAITING_BYTES: usize = CHANGE_SET;
/// Refused changes of one writer that a document remembers.
pub const REFUSED_CHANGES: usize = 64;
