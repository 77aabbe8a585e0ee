//! What an app shows: devices, accounts, conversations, messages, fingerprints.

use serde_json::Value;
use sync_protocol::dormancy::Dormancy;
use sync_protocol::ids::RelayId;
use sync_protocol::roster::Role;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, DeviceId, Rejection, SpaceId, WriterId};

use crate::api::Author;
use crate::document::{OrderKey, Rank};

/// A device of the own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Which.
    pub device: DeviceId,
    /// What it is called.
    pub name: String,
    /// `primary` or `companion`.
    pub role: &'static str,
    /// Whether it is this one.
    pub current: bool,
    /// When it was linked, Unix milliseconds, where known.
    pub linked_ms: Option<u64>,
    /// When the relay last saw it, Unix milliseconds; `None` while offline.
    pub last_seen_ms: Option<u64>,
    /// Whether that is long ago, by the relay's time.
    pub dormancy: Option<Dormancy>,
    /// Whether it ended.
    pub revoked: bool,
}

/// A device of the own account that was away for long, by the relay's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwayView {
    /// Which.
    pub device: DeviceId,
    /// When the relay last saw it, Unix milliseconds.
    pub last_seen_ms: u64,
    /// What that means.
    pub dormancy: Dormancy,
}

/// A fresh account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// Its first device.
    pub device: DeviceId,
    /// To be written down: brings the account back when all devices are lost.
    pub recovery_code: String,
}

/// An invite, which lets one new account in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteView {
    /// To be given to somebody: it goes to the relay with its address, as `?token=` and the code.
    pub code: String,
    /// Until about when it is good, Unix milliseconds.
    pub until_ms: u64,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Status {
    /// The account, once there is one.
    pub account: Option<AccountId>,
    /// This device.
    pub device: Option<DeviceId>,
    /// Its address.
    pub address: Option<String>,
    /// The person's name.
    pub name: String,
    /// The account has no name, and none of its devices knows one: it was brought back, and lost
    /// its first devices before they told. Ask the person, and set it.
    pub nameless: bool,
    /// `primary` or `companion`.
    pub role: &'static str,
    /// Whether a session with the relay is open.
    pub connected: bool,
    /// Whether everything the relay had is here.
    pub up_to_date: bool,
    /// When that was last confirmed by the relay, Unix milliseconds by this device's clock.
    pub last_confirmed_ms: Option<u64>,
    /// Changes not yet durable at the relay.
    pub waiting: u64,
    /// Spaces, the account's own included.
    pub spaces: u64,
    /// Conversations of which some can't be read on the account's devices any more; see
    /// [`ConversationView::unreadable`].
    pub unreadable: u64,
    /// Spaces of which somebody has read more than the relay gives to this device; see
    /// [`ConversationView::withheld`].
    pub withheld: u64,
    /// Devices of the account that were away for long when the relay last said so.
    pub away: Vec<AwayView>,
    /// When this device last found that the relay had lost what it had confirmed, as after a backup
    /// was put back, and wrote its own part of that again: Unix milliseconds by its clock.
    pub put_back_ms: Option<u64>,
    /// What keeps the device from the relay, or the address from the account; shown as it is.
    pub problem: Option<Problem>,
}

/// What an app should tell its user about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The relay refused the session for this reason.
    Session(Rejection),
    /// The address belongs to another account: choose another.
    AddressTaken,
    /// The relay is another than the one that this account was at. It is told nothing until the
    /// person accepts it.
    OtherRelay {
        /// The one that was here before.
        was: RelayId,
        /// The one that is here now.
        now: RelayId,
    },
    /// What answers is not a relay, or not one this version understands.
    NotARelay,
    /// The relay refused what was written in a space for this reason; it is kept here.
    Space(SpaceId, Rejection),
}

/// A person, as an address leads to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactCard {
    /// The account.
    pub account: AccountId,
    /// The address.
    pub address: Option<String>,
    /// The name, where known.
    pub name: String,
    /// Equal on both sides when nobody stands between: to be compared aloud.
    pub safety_number: String,
    /// The same to be scanned by the other person.
    pub shown: String,
    /// Whether it was compared, on any of the account's devices.
    pub compared: Compared,
}

/// Whether a safety number was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Never.
    Never,
    /// It was, and the devices are the same since.
    Same,
    /// It was, and the devices changed since: to be compared anew.
    Changed,
}

/// How two safety numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same: nobody stands between.
    Same,
    /// One of the two has not heard yet of a change of devices: to be compared again.
    Behind,
    /// They are not: somebody may stand between.
    Differs,
}

/// A conversation in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationView {
    /// Which.
    pub conversation: SpaceId,
    /// Its title.
    pub title: String,
    /// Its members, this account included.
    pub members: Vec<MemberView>,
    /// Addresses whose addition is still under way.
    pub adding: Vec<String>,
    /// Messages of others not read yet, of those that are shown: not deleted, by nobody blocked, not
    /// from before this device may read. 0 once this account is no member.
    pub unread: u64,
    /// The newest message by anybody who isn't blocked.
    pub last: Option<LastMessage>,
    /// Muted in the settings.
    pub muted: bool,
    /// Archived in the settings.
    pub archived: bool,
    /// Pinned in the settings.
    pub pinned: bool,
    /// A stranger's invitation that waits for an answer.
    pub pending: bool,
    /// Whether this account is still a member.
    pub active: bool,
    /// What was written under keys that the account has lost, if anything was.
    pub unreadable: Option<Unreadable>,
    /// Changes not yet durable at the relay.
    pub waiting: u64,
    /// By whose word, besides the relay's, this device has what there is, and since when.
    pub vouched: Option<Vouched>,
    /// Somebody in it has read more of it than the relay gives to this device.
    pub withheld: bool,
}

/// The last that is known of another device: it had read no more of a conversation than this one has.
/// A relay alone can hold back what is new; whoever is told by nobody else for long may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Whose device.
    pub account: AccountId,
    /// Which.
    pub device: DeviceId,
    /// When it said so, Unix milliseconds by its own clock, and not after this device's.
    pub at_ms: u64,
}

/// What was written in a conversation while the account had no device, and under keys that it never
/// got: it can't be read, and neither can what others wrote in answer before it was back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// How many changes: messages, and what else people change in a conversation.
    pub changes: u64,
    /// When the relay got the first of them, Unix milliseconds; `None` if nothing of what was
    /// written before this device came can be read.
    pub first_ms: Option<u64>,
    /// When it got the last.
    pub last_ms: Option<u64>,
}

/// A member in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Who.
    pub account: AccountId,
    /// The address, where known.
    pub address: Option<String>,
    /// The name, where known.
    pub name: String,
    /// The role.
    pub role: Role,
}

/// The newest message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Which.
    pub message: OrderKey,
    /// Who wrote it.
    pub author: AccountId,
    /// Its text; empty when deleted.
    pub text: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Here.
    Local,
    /// Durable at the relay.
    Stored,
    /// On a device of another member.
    Delivered,
    /// Read by another member.
    Read,
}

/// A message in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its id.
    pub message: OrderKey,
    /// Who wrote it.
    pub author: AccountId,
    /// On which device.
    pub device: DeviceId,
    /// Its text, edits folded in; empty when deleted.
    pub text: String,
    /// When, Unix milliseconds: the author's claim, held to the relay's time.
    pub at_ms: u64,
    /// Where it stands among the others: messages are shown by it.
    pub rank: Rank,
    /// The message it answers.
    pub reply_to: Option<OrderKey>,
    /// Whether it was edited.
    pub edited: bool,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
    /// Emoji by account.
    pub reactions: SortedMap<AccountId, String>,
    /// How far it has come.
    pub status: Progress,
    /// Accounts it was delivered to.
    pub delivered: SortedSet<AccountId>,
    /// Accounts that read it.
    pub read: SortedSet<AccountId>,
    /// Something in it is newer than this version.
    pub needs_update: bool,
}

/// A fingerprint of a space's state: equal on any two devices that have the same entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Writer by writer, the last number stored and its link.
    pub frontier: SortedMap<WriterId, (u64, [u8; 32])>,
    /// By document name.
    pub documents: SortedMap<String, DocumentDigest>,
    /// SHA-256 of what a message list shows, receipts left out.
    pub view: [u8; 32],
}

/// A document's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentDigest {
    /// Its heads.
    pub heads: Vec<[u8; 32]>,
    /// SHA-256 of its canonical JSON.
    pub content: [u8; 32],
}

/// An app's documents in a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentsView {
    /// Those there are, by name, without deleted ones.
    pub documents: Vec<DocumentView>,
    /// Whether they are not handed over yet to this device, which came in without them.
    pub waiting: bool,
}

/// An app's document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentView {
    /// By what an app opens it.
    pub name: String,
    /// What people call it, if somebody has said so.
    pub title: Option<String>,
    /// Whether somebody has put it away.
    pub archived: bool,
}

/// A change of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    /// What names it.
    pub change: [u8; 32],
    /// Who wrote it; `None` for what everybody makes alike, or was handed over.
    pub author: Option<Author>,
    /// The relay's time, Unix milliseconds; `None` while it is not stored.
    pub at_ms: Option<u64>,
}

/// One of several values that were put at a place at once.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictView {
    /// The value, with everything tagged that JSON has no word for.
    pub value: Value,
    /// Who put it there; `None` for what everybody makes alike, or was handed over.
    pub author: Option<Author>,
}
