//! Commands: what the relay's state is made of, in order.

use minicbor::{Decode, Encode};

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::envelope::Envelope;
use sync_protocol::frames::Welcomes;
use sync_protocol::ids::{AccountId, DeviceId, RelayId, SpaceId, WriterId};

use crate::rules::admission::{Token, TokenHash};
use crate::rules::ends::Swept;
use crate::rules::invites::Invite;
use crate::rules::version;

/// One step of one partition.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Command {
    /// Who proposed it: the same command twice does nothing twice.
    #[n(0)]
    pub id: CommandId,
    /// The relay's clock when the command was made, Unix milliseconds.
    #[n(1)]
    pub time_ms: u64,
    /// The version of the rules that were in force where it was made.
    #[n(2)]
    pub rules: u32,
    /// What happens.
    #[n(3)]
    pub action: Action,
}

/// Names a command: what a node proposes in one of its lives, it numbers from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct CommandId {
    /// The node.
    #[n(0)]
    pub node: u64,
    /// Its life: later ones are greater.
    #[n(1)]
    pub life: u64,
    /// The number. 0 is nobody's: such a command is new each time.
    #[n(2)]
    pub n: u64,
}

/// Where a command stands in the log: 1, 2, 3, ... 0 is before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Position(#[n(0)] pub u64);

impl Position {
    /// Entries that one command can append, as a power of two.
    const ENTRIES: u32 = 12;

    /// The one behind it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position of an entry that this command appends: the same wherever it is applied.
    #[must_use]
    pub fn entry(self, n: u64) -> u64 {
        (self.0 << Self::ENTRIES) | n
    }

    /// The command that appended the entry at a position.
    #[must_use]
    pub fn of_entry(position: u64) -> Self {
        Self(position >> Self::ENTRIES)
    }
}

/// Names a fact: the command that it follows from, and its number among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct FactId {
    /// The command's position.
    #[n(0)]
    pub cause: Position,
    /// The number.
    #[n(1)]
    pub n: u32,
}

/// What a command reads and writes, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// A space: log, tips, roster, ticket, ways in.
    Space(SpaceId),
    /// An account: device log, memberships, counts.
    Account(AccountId),
    /// An address.
    Address(Address),
    /// A device: inbox, key packages, fences.
    Device(AccountDevice),
    /// A token that lets new accounts in, or an invite's code.
    Token(TokenHash),
    /// The relay itself: who it is, and by which rules it goes.
    Relay,
}

/// A device of an account. Anybody can write down anybody's key: what is kept for a device is kept
/// for it in one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct AccountDevice {
    /// Whose it is.
    #[n(0)]
    pub account: AccountId,
    /// Which.
    #[n(1)]
    pub device: DeviceId,
}

impl AccountDevice {
    /// Bytes of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = AccountId::LEN + DeviceId::LEN;

    /// The account, then the device: as rows are keyed.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (account, device) = bytes.split_at_mut(AccountId::LEN);
        account.copy_from_slice(self.account.as_bytes());
        device.copy_from_slice(self.device.as_bytes());
        bytes
    }
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Action {
    /// Envelopes enter a space's log.
    #[n(0)]
    Push {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// Whose device.
        #[n(1)]
        account: AccountId,
        /// The author of all of them.
        #[n(2)]
        writer: WriterId,
        /// The envelopes.
        #[n(3)]
        envelopes: Vec<Sealed>,
        /// With a handshake: ways in for new devices.
        #[n(4)]
        welcomes: Option<Welcomes>,
        /// With a handshake: the newest ticket.
        #[n(5)]
        ticket: Option<Blob>,
    },
    /// A device log begins or grows. Entries that are known already are skipped if they are the
    /// same.
    #[n(1)]
    AppendLog {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// The index of the first entry here.
        #[n(1)]
        index: u64,
        /// The signed entries.
        #[n(2)]
        entries: Vec<Blob>,
    },
    /// An account is in a space, or was.
    #[n(2)]
    SetMembership {
        /// Who.
        #[n(0)]
        account: AccountId,
        /// Where.
        #[n(1)]
        space: SpaceId,
        /// Index of the first entry that is the account's to read.
        #[n(2)]
        from: u64,
        /// The index after the last one, once it was removed.
        #[n(3)]
        until: Option<u64>,
        /// Who added it, if it did not come by itself.
        #[n(4)]
        by: Option<AccountId>,
        /// The index of the entry that says so: later ones stand.
        #[n(5)]
        index: u64,
    },
    /// An address is claimed for an account.
    #[n(3)]
    ClaimAddress {
        /// Which.
        #[n(0)]
        address: Address,
        /// Whose.
        #[n(1)]
        account: AccountId,
    },
    /// An address leads to an account, or does no more.
    #[n(4)]
    NoteAddress {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        address: Address,
        /// Whether it does.
        #[n(2)]
        leads: bool,
        /// The position of the command that says so: later ones stand.
        #[n(3)]
        at: Position,
    },
    /// A device's session opens.
    #[n(5)]
    Fence {
        /// Which.
        #[n(0)]
        device: AccountDevice,
        /// Its store.
        #[n(1)]
        incarnation: u64,
        /// The fence it has confirmed.
        #[n(2)]
        fence: u64,
        /// The fence it proposes.
        #[n(3)]
        next_fence: u64,
    },
    /// Key packages are published.
    #[n(6)]
    PutKeyPackages {
        /// Whose.
        #[n(0)]
        device: AccountDevice,
        /// Each is given out once.
        #[n(1)]
        once: Vec<Blob>,
        /// Given out when there is none of the others.
        #[n(2)]
        last_resort: Option<Blob>,
    },
    /// A key package is given out.
    #[n(7)]
    TakeKeyPackage {
        /// Whose.
        #[n(0)]
        device: AccountDevice,
        /// Whether one that is given out once may go, or the last resort at most.
        #[n(1)]
        once: bool,
    },
    /// An item enters an inbox.
    #[n(8)]
    PutInbox {
        /// Whose inbox.
        #[n(0)]
        device: AccountDevice,
        /// Who sent it.
        #[n(1)]
        from: InboxFrom,
        /// The item.
        #[n(2)]
        item: Blob,
    },
    /// Items leave an inbox.
    #[n(9)]
    AckInbox {
        /// Whose inbox.
        #[n(0)]
        device: AccountDevice,
        /// The last one that may go.
        #[n(1)]
        number: u64,
    },
    /// A space's id belongs to an account that may found it.
    #[n(10)]
    Reserve {
        /// Which.
        #[n(0)]
        space: SpaceId,
        /// Whose.
        #[n(1)]
        account: AccountId,
    },
    /// A device ended: what is kept for it goes, and nothing is kept for it any more.
    #[n(11)]
    EndDevice {
        /// Which.
        #[n(0)]
        device: AccountDevice,
    },
    /// One of the devices that a handshake let in has taken its way in, or never will.
    #[n(12)]
    TakeWelcome {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// The handshake's index.
        #[n(1)]
        index: u64,
    },
    /// An account has written in a space that it was put into.
    #[n(13)]
    Answer {
        /// Who.
        #[n(0)]
        account: AccountId,
        /// Where.
        #[n(1)]
        space: SpaceId,
        /// The index of what it wrote.
        #[n(2)]
        index: u64,
    },
    /// An account had so many bytes stored.
    #[n(14)]
    CountStored {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// How many more.
        #[n(1)]
        bytes: u64,
    },
    /// The operator deletes a space.
    #[n(15)]
    EndSpace {
        /// Which.
        #[n(0)]
        space: SpaceId,
    },
    /// The operator deletes an account.
    #[n(16)]
    EndAccount {
        /// Which.
        #[n(0)]
        account: AccountId,
    },
    /// An account that is in a space was deleted.
    #[n(17)]
    LeaveSpace {
        /// Where.
        #[n(0)]
        space: SpaceId,
        /// Who.
        #[n(1)]
        account: AccountId,
    },
    /// The operator keeps an account out, or lets it in again.
    #[n(18)]
    Suspend {
        /// Which.
        #[n(0)]
        account: AccountId,
        /// Whether it is kept out.
        #[n(1)]
        suspended: bool,
    },
    /// The operator takes an address away.
    #[n(19)]
    ReleaseAddress {
        /// Which.
        #[n(0)]
        address: Address,
    },
    /// Some of what ended goes.
    #[n(21)]
    Sweep {
        /// Of what.
        #[n(0)]
        swept: Swept,
    },
    /// The operator makes a token.
    #[n(22)]
    AddToken {
        /// Its hash.
        #[n(0)]
        hash: TokenHash,
        /// What it is good for.
        #[n(1)]
        token: Token,
    },
    /// The operator takes a token back.
    #[n(23)]
    RemoveToken {
        /// Its hash.
        #[n(0)]
        hash: TokenHash,
    },
    /// A new account comes in by a token.
    #[n(24)]
    SpendToken {
        /// Its hash.
        #[n(0)]
        hash: TokenHash,
    },
    /// The relay is founded. The first to be applied says who it is.
    #[n(25)]
    Found {
        /// Its name.
        #[n(0)]
        relay: RelayId,
        /// Of its logs and cursors.
        #[n(1)]
        generation: u64,
        /// The rules that it begins with.
        #[n(2)]
        rules: u32,
    },
    /// From here on other rules are in force.
    #[n(26)]
    ActivateRules {
        /// Their version.
        #[n(0)]
        version: u32,
    },
    /// What a command means for another partition than its own.
    #[n(27)]
    Fact {
        /// Which: it is applied once.
        #[n(0)]
        id: FactId,
        /// What happens.
        #[n(1)]
        action: Box<Action>,
    },
    /// An account draws an invite.
    #[n(28)]
    DrawInvite {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// The hash of its code.
        #[n(1)]
        hash: TokenHash,
        /// Until when it is good, Unix milliseconds.
        #[n(2)]
        until_ms: u64,
        /// How many the account may draw in a day.
        #[n(3)]
        most: u64,
    },
    /// The code of an invite becomes good.
    #[n(29)]
    AddInvite {
        /// Its hash.
        #[n(0)]
        hash: TokenHash,
        /// What it is good for.
        #[n(1)]
        invite: Invite,
    },
    /// The operator withdraws an invite, or its time is up.
    #[n(30)]
    RemoveInvite {
        /// The hash of its code.
        #[n(0)]
        hash: TokenHash,
    },
    /// A new account comes in by an invite, or by a token where invites are wanted.
    #[n(31)]
    RedeemInvite {
        /// The hash of what it brought.
        #[n(0)]
        hash: TokenHash,
        /// The account.
        #[n(1)]
        account: AccountId,
    },
}

/// Where an inbox item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InboxFrom {
    /// The sender's account.
    #[n(0)]
    pub account: AccountId,
    /// The sender.
    #[n(1)]
    pub device: DeviceId,
    /// The space and the handshake's index there, if it came with one.
    #[n(2)]
    pub handshake: Option<(SpaceId, u64)>,
    /// Bytes of what it has in common with others of that handshake.
    #[n(3)]
    pub common: u64,
}

/// An envelope whose shape was checked, with its bytes as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed(Envelope);

impl Sealed {
    /// Parses an envelope.
    ///
    /// # Errors
    /// If it is malformed, too large or of an unknown version.
    pub fn parse(bytes: Blob) -> Result<Self, sync_protocol::ProtocolError> {
        Envelope::from_bytes(bytes.0).map(Self)
    }

    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The same, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    /// The public part.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.0
    }
}

impl Sealed {
    /// Content's number; 0 for anything else.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.header.chain.map_or(0, |chain| chain.seq)
    }
}

impl<C> Encode<C> for Sealed {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.bytes())?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Sealed {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?.to_vec();
        Self::parse(bytes.into()).map_err(|_| minicbor::decode::Error::message("envelope"))
    }
}

impl Command {
    /// A command of nobody's, under the newest rules.
    #[must_use]
    pub fn new(time_ms: u64, action: Action) -> Self {
        Self { id: CommandId::default(), time_ms, rules: version::NEWEST, action }
    }

    /// The one partition that it touches.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.action.partition()
    }
}

impl Action {
    /// The one partition that it touches.
    #[must_use]
    pub fn partition(&self) -> Partition {
        match self {
            Self::Push { space, .. }
            | Self::Reserve { space, .. }
            | Self::TakeWelcome { space, .. }
            | Self::EndSpace { space }
            | Self::LeaveSpace { space, .. }
            | Self::Sweep { swept: Swept::Space(space) } => Partition::Space(*space),
            Self::AppendLog { account, .. }
            | Self::SetMembership { account, .. }
            | Self::Answer { account, .. }
            | Self::NoteAddress { account, .. }
            | Self::CountStored { account, .. }
            | Self::DrawInvite { account, .. }
            | Self::EndAccount { account }
            | Self::Suspend { account, .. }
            | Self::Sweep { swept: Swept::Account(account) } => Partition::Account(*account),
            Self::ClaimAddress { address, .. } | Self::ReleaseAddress { address } => {
                Partition::Address(address.clone())
            }
            Self::AddToken { hash, .. }
            | Self::RemoveToken { hash }
            | Self::SpendToken { hash }
            | Self::AddInvite { hash, .. }
            | Self::RemoveInvite { hash }
            | Self::RedeemInvite { hash, .. } => Partition::Token(*hash),
            Self::Fence { device, .. }
            | Self::PutKeyPackages { device, .. }
            | Self::TakeKeyPackage { device, .. }
            | Self::PutInbox { device, .. }
            | Self::AckInbox { device, .. }
            | Self::EndDevice { device } => Partition::Device(*device),
            Self::Found { .. } | Self::ActivateRules { .. } => Partition::Relay,
            Self::Fact { action, .. } => action.partition(),
        }
    }
}
