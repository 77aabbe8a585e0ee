//! What whoever has the keys of a member's device can do with them: a member that cheats and a thief
//! alike.

use ed25519_dalek::SigningKey;
use sync_core::document::receipts::Mark;
use sync_core::document::{Edit, Name, NewMessage, OrderKey, Row, Stamp};
use sync_core::group::{Identity, new_key_package};
use sync_core::records::Load;
use sync_protocol::codec::{self, Blob};
use sync_protocol::envelope::{CommitHeader, Cut, Header, Intent, Kind};
use sync_protocol::frames::{ClientFrame, InboxPut, Op, Push, RelayFrame, WelcomeFor, Welcomes};
use sync_protocol::ids::Commitment;
use sync_protocol::roster::{Role, RosterChange};
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use super::cheat::{Cheat, Keys, reads, roster, stand};
use super::forge::{self, Set};
use super::ways_in::{
    Fork, Handshake, Logs, SealedCommit, commit_named, epochs, group, handshake, header, log_of,
    named, real_commit,
};
use super::{Deed, Stray};
use crate::chance::Chance;
use crate::violation::Violation;
use crate::world::World;

/// How a message segment's number begins: with its era.
const ERA_SHIFT: u32 = 16;
/// Pushes of a flood.
const FLOOD: u64 = 12;

/// What both of them do. [`Deed::HollowRemoval`] is not drawn: an admin has the power
/// (`docs/threat-model.md`, "What is not promised").
pub(super) const TRICKS: [(u64, Deed); 21] = [
    (3, Deed::Overreaches),
    (6, Deed::Posts),
    (2, Deed::PostsAside),
    (2, Deed::PostsTwice),
    (3, Deed::Reseals),
    (3, Deed::Garbles),
    (3, Deed::BreaksWord),
    (2, Deed::SawOther),
    (3, Deed::ReadsAhead),
    (3, Deed::WritesLate),
    (2, Deed::Doubles),
    (4, Deed::GarbageCommit),
    (3, Deed::ClosedCommit),
    (3, Deed::LetsInStranger),
    (3, Deed::BadCut),
    (2, Deed::ForksTicket),
    (2, Deed::GarbageInvitation),
    (2, Deed::ForgesWish),
    (1, Deed::Floods),
    (1, Deed::TakesPackages),
    (1, Deed::ClaimsAddress),
];

/// One who has keys, and where they use them.
pub(super) struct Hand<'a> {
    pub(super) world: &'a mut World,
    pub(super) cheat: &'a mut Cheat,
    pub(super) space: SpaceId,
    pub(super) chance: &'a mut Chance,
    /// Whether what is written in its own name counts.
    pub(super) may: bool,
}

impl Hand<'_> {
    /// Does one of the tricks. `false` if there is nothing to do it with.
    pub(super) fn does(&mut self, deed: Deed) -> Result<bool, Violation> {
        if !reads(self.world, self.cheat.device, self.space) {
            return Ok(false);
        }
        match deed {
            Deed::Posts | Deed::PostsAside | Deed::PostsTwice => self.posts(deed),
            Deed::Reseals => self.reseals(),
            Deed::Garbles | Deed::BreaksWord | Deed::SawOther => self.misleads(deed),
            Deed::ReadsAhead => self.reads_ahead(),
            Deed::WritesLate => self.writes_late(),
            Deed::Doubles => self.doubles(),
            Deed::GarbageCommit => self.commits_garbage(),
            Deed::ClosedCommit => self.commits_to_something_else(),
            Deed::Overreaches => self.overreaches(),
            Deed::LetsInStranger => self.lets_in_a_stranger(),
            Deed::BadCut => self.cuts(),
            Deed::HollowRemoval => self.removes_by_header(),
            Deed::ForksTicket => self.leaves_a_ticket(),
            Deed::GarbageInvitation => self.invites(),
            Deed::ForgesWish => Ok(self.wishes()),
            Deed::Floods => self.floods(),
            Deed::TakesPackages => self.takes_packages(),
            Deed::ClaimsAddress => self.claims(),
            _ => Ok(false),
        }
    }

    /// A text that is the liar's to write, or nobody's.
    fn text(&mut self, counts: bool) -> String {
        let text = self.world.adversary_mut().text();
        let book = self.world.book_mut();
        match counts && self.may {
            true => drop(book.lies.insert(text.clone(), self.cheat.keys.account)),
            false => drop(book.void.insert(text.clone())),
        }
        text
    }

    fn key(&mut self) -> OrderKey {
        let counter = u16::try_from(self.chance.below(60_000)).unwrap_or_default();
        let stamp = Stamp { ms: self.world.now_ms(), counter };
        OrderKey { stamp, tag: self.cheat.writer.tag() }
    }

    /// The era of the space's documents.
    pub(super) fn era_number(&self) -> u32 {
        group(self.world, self.cheat.device, self.space).context().era
    }

    /// The first segment of the era.
    fn era(&self) -> u32 {
        self.era_number() << ERA_SHIFT
    }

    fn message(&self, segment: u32, key: OrderKey, text: &str) -> Set {
        let message = NewMessage::new(key, text);
        self.edit(Name::Messages(segment), Edit::Message(message))
    }

    fn edit(&self, name: Name, edit: Edit) -> Set {
        Set::of(name.clone(), self.cheat.changes(self.world, self.space, &name, &[edit]))
    }

    /// Pushes a change set, and keeps for a relay that helps what an honest one does not take.
    pub(super) fn writes(&mut self, set: &Set) -> Result<bool, Violation> {
        let before = self.cheat.tip(self.space);
        let envelope = self.cheat.content(self.world, self.space, set);
        self.offers(before, envelope)
    }

    fn offers(
        &mut self,
        before: sync_protocol::frontier::Tip,
        envelope: Blob,
    ) -> Result<bool, Violation> {
        let offered = (before, vec![envelope.clone()]);
        let taken = self.cheat.offers(self.world, self.space, offered)?;
        if !taken {
            self.stray(envelope);
        }
        Ok(true)
    }

    fn stray(&mut self, envelope: Blob) {
        let (space, writer) = (self.space, self.cheat.writer);
        self.world.adversary_mut().keep(Stray { space, writer, envelope });
    }

    fn posts(&mut self, deed: Deed) -> Result<bool, Violation> {
        let (era, key, text) = (self.era(), self.key(), self.text(true));
        let aside = match self.chance.below(3) {
            0 => era + 1,
            1 => era + 7,
            _ => era + (1 << ERA_SHIFT),
        };
        if deed != Deed::PostsAside {
            let set = self.message(era, key, &text);
            self.writes(&set)?;
        }
        if deed != Deed::Posts {
            let other = self.text(true);
            let set = self.message(aside, key, &other);
            self.writes(&set)?;
        }
        Ok(true)
    }

    /// Another's changes, out of its own store.
    fn reseals(&mut self) -> Result<bool, Violation> {
        let name = Name::Messages(self.era());
        let prefix = Load::Document(self.space, name.clone()).prefix();
        let records = self.world.device(self.cheat.device).disk.read(&prefix);
        let rows = records.values().filter_map(|row| codec::decode::<Row>("row", row).ok());
        let others: Vec<Vec<u8>> = rows
            .filter(|row| row.writer.device != self.cheat.writer.device)
            .map(|row| row.change)
            .collect();
        let Some(change) = self.chance.pick(&others).cloned() else { return Ok(false) };
        self.writes(&Set::of(name, vec![change]))
    }

    fn misleads(&mut self, deed: Deed) -> Result<bool, Violation> {
        let (era, key, text) = (self.era(), self.key(), self.text(deed == Deed::SawOther));
        let set = self.message(era, key, &text);
        let before = self.cheat.tip(self.space);
        let (world, space) = (&*self.world, self.space);
        let envelope = match deed {
            Deed::SawOther => {
                let seen = self.chance.number().to_be_bytes();
                let plaintext = codec::encode(&set.plaintext(seen));
                self.cheat.content_of(world, space, &plaintext, set.commitment())
            }
            Deed::Garbles => {
                let bytes = self.chance.bytes();
                let garbage = match self.chance.below(3) {
                    0 => Set::of(Name::Messages(era), vec![bytes.to_vec()]),
                    1 => Set::of(Name::App(0, "notes".into()), vec![bytes.to_vec(); 3]),
                    _ => Set { blinding: [3; 16], items: Vec::new() },
                };
                self.cheat.content(world, space, &garbage)
            }
            _ => {
                let wrong = self.chance.one_in(2);
                let plaintext = codec::encode(&set.plaintext([0; 8]));
                let (plaintext, commitment) = match wrong {
                    true => (plaintext, Commitment::from_bytes([3; 32])),
                    false => (b"no change set".to_vec(), set.commitment()),
                };
                self.cheat.content_of(world, space, &plaintext, commitment)
            }
        };
        self.offers(before, envelope)
    }

    fn reads_ahead(&mut self) -> Result<bool, Violation> {
        let index = match self.chance.one_in(2) {
            true => u64::MAX,
            false => stand(self.world, self.cheat.device, self.space).next + 3,
        };
        let mark = Mark { index, ordinal: 0 };
        let edit = Edit::Receipt { delivered: Some(mark), read: Some(mark) };
        let set = self.edit(Name::Receipts(self.era()), edit);
        self.writes(&set)
    }

    fn writes_late(&mut self) -> Result<bool, Violation> {
        let now = stand(self.world, self.cheat.device, self.space);
        let all = epochs(self.world, self.cheat.device, self.space);
        let old: Vec<_> = all.into_iter().filter(|(epoch, _)| *epoch != now.epoch).collect();
        let Some((epoch, row)) = self.chance.pick(&old).cloned() else { return Ok(false) };
        let (era, key, text) = (self.era(), self.key(), self.text(false));
        let set = self.message(era, key, &text);
        let before = self.cheat.tip(self.space);
        let commitment = set.commitment();
        // The next of its chain, under keys that had ended.
        self.cheat.content_of(self.world, self.space, b"", commitment);
        let tip = self.cheat.tip(self.space);
        let chain = sync_protocol::envelope::Chain { seq: tip.seq, commitment, link: tip.link };
        let mut header = Header::new(Kind::Content, epoch, now.next);
        header.chain = Some(chain);
        let sealing = forge::content_key(&row.root, &self.cheat.writer);
        let plaintext = codec::encode(&set.plaintext([0; 8]));
        let envelope = self.cheat.sealed(self.space, header, &sealing, &plaintext);
        self.offers(before, envelope)
    }

    fn doubles(&mut self) -> Result<bool, Violation> {
        let (era, one, other) = (self.era(), self.key(), self.key());
        let (first, second) = (self.text(true), self.text(true));
        let (first, second) = (self.message(era, one, &first), self.message(era, other, &second));
        let before = self.cheat.tip(self.space);
        self.writes(&first)?;
        let after = self.cheat.tip(self.space);
        self.cheat.set_tip(self.space, before);
        let envelope = self.cheat.content(self.world, self.space, &second);
        self.cheat.set_tip(self.space, after);
        self.offers(after, envelope)
    }

    /// A header that changes nothing.
    fn header(&self) -> CommitHeader {
        header(self.world, self.cheat.device, self.space)
    }

    fn garbage(&mut self, header: &CommitHeader) -> Blob {
        let commitment = self.chance.bytes();
        let payload = match self.chance.below(3) {
            0 => Vec::new(),
            1 => vec![0xff; 300],
            _ => codec::encode(&SealedCommit {
                message: Blob(vec![0, 1, 0, 1, 9, 9]),
                logs: Vec::new(),
                people: Vec::new(),
            }),
        };
        handshake(self.world, self.cheat, self.space, header, (commitment, &payload)).0
    }

    fn commits(&mut self, envelope: Blob, ticket: Option<Blob>) -> Result<bool, Violation> {
        let envelopes = vec![envelope.clone()];
        let push = Push { space: self.space, envelopes, welcomes: None, ticket };
        let heard = self.cheat.tells(self.world, &ClientFrame::Push(push))?;
        if !heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))) {
            self.stray(envelope);
        }
        Ok(true)
    }

    fn commits_garbage(&mut self) -> Result<bool, Violation> {
        let header = self.header();
        let envelope = self.garbage(&header);
        self.commits(envelope, None)
    }

    fn real(
        &mut self,
        header: CommitHeader,
        change: (Vec<Vec<u8>>, Vec<DeviceId>),
        logs: Logs,
    ) -> Handshake {
        let roster = roster(self.world, self.cheat.device, self.space);
        real_commit(self.world, self.cheat, self.space, header, change, (roster, logs))
    }

    /// A real change, under a name that commits to something else: it opens and leads nowhere.
    fn commits_to_something_else(&mut self) -> Result<bool, Violation> {
        let roster = roster(self.world, self.cheat.device, self.space);
        let other = self.chance.bytes();
        let (what, change) = ((self.space, self.header()), (vec![], vec![]));
        let into = (roster, Logs::new());
        let made = commit_named(self.world, self.cheat, what, change, into, |_| other);
        self.commits(made.envelope, None)
    }

    /// A real change that its author has no right to: it puts somebody out, or makes itself an admin.
    fn overreaches(&mut self) -> Result<bool, Violation> {
        let before = roster(self.world, self.cheat.device, self.space);
        let own = self.cheat.keys.account;
        let admin = before.iter().find(|(_, role)| *role == Role::Admin);
        let Some((admin, _)) = admin.filter(|_| before.role(&own) == Some(Role::Member)) else {
            return Ok(false);
        };
        let Some(victim) = self.victim() else { return Ok(false) };
        let (change, gone) = match self.chance.one_in(2) {
            true => (RosterChange::SetRole { account: own, role: Role::Admin }, Vec::new()),
            false => {
                let group = group(self.world, self.cheat.device, self.space);
                let leaves = group.leaves().into_iter().filter(|leaf| leaf.account == victim);
                let gone = leaves.map(|leaf| leaf.device).collect();
                (RosterChange::Remove { account: victim }, gone)
            }
        };
        let Ok(after) = before.after(&admin, std::slice::from_ref(&change), &[]) else {
            return Ok(false);
        };
        let header = CommitHeader { roster: vec![change], ..self.header() };
        let (world, cheat, space) = (&*self.world, &*self.cheat, self.space);
        let made = real_commit(world, cheat, space, header, (vec![], gone), (after, Logs::new()));
        self.commits(made.envelope, None)
    }

    /// All members' logs, as anybody can read them.
    fn logs(&self) -> Logs {
        let roster = roster(self.world, self.cheat.device, self.space);
        let logs = self.world.logs().filter(|(account, _)| roster.role(account).is_some());
        logs.map(|(account, log)| {
            (*account, log.entries().iter().map(|entry| Blob(entry.clone())).collect())
        })
        .collect()
    }

    /// A member's account that is not the liar's.
    fn victim(&mut self) -> Option<AccountId> {
        let roster = roster(self.world, self.cheat.device, self.space);
        let own = self.cheat.keys.account;
        let book = self.world.book();
        let all: Vec<AccountId> = book.people.iter().filter_map(|one| one.account).collect();
        let others: Vec<AccountId> = all
            .into_iter()
            .filter(|account| *account != own && roster.role(account).is_some())
            .collect();
        self.chance.pick(&others).copied()
    }

    fn lets_in_a_stranger(&mut self) -> Result<bool, Violation> {
        let of = match self.chance.one_in(2) {
            true => self.cheat.keys.account,
            false => self.victim().unwrap_or(self.cheat.keys.account),
        };
        let stranger = Identity::new(of, SigningKey::from_bytes(&self.chance.bytes()));
        let Ok(package) = new_key_package(&stranger, self.chance.bytes(), false) else {
            return Ok(false);
        };
        let logs = self.logs();
        let devices = vec![stranger.device];
        let header = CommitHeader {
            roster: vec![RosterChange::AddDevices { account: of, devices }],
            logs: named(&logs),
            ..self.header()
        };
        let made = self.real(header, (vec![package.bytes], vec![]), logs);
        self.commits(made.envelope, None)
    }

    /// Ends a device of somebody else that its account did not end.
    fn cuts(&mut self) -> Result<bool, Violation> {
        let Some(victim) = self.victim() else { return Ok(false) };
        let logs = self.logs();
        if !logs.iter().any(|(account, _)| *account == victim) {
            return Ok(false);
        }
        let log = log_of(&logs, victim);
        let group = group(self.world, self.cheat.device, self.space);
        let leaves = log.devices().map(|(id, _)| *id).filter(|id| group.contains(id));
        let leaves: Vec<DeviceId> = leaves.collect();
        let Some(device) = self.chance.pick(&leaves).copied() else { return Ok(false) };
        let header = CommitHeader {
            roster: vec![RosterChange::RemoveDevices { account: victim, devices: vec![device] }],
            cuts: vec![Cut { device, index: 0, seen: [0; 8] }],
            logs: named(&logs),
            ..self.header()
        };
        let made = self.real(header, (vec![], vec![device]), logs);
        self.commits(made.envelope, None)
    }

    /// A removal that the relay reads off its header, and behind which there is nothing.
    fn removes_by_header(&mut self) -> Result<bool, Violation> {
        let Some(account) = self.victim() else { return Ok(false) };
        let header =
            CommitHeader { roster: vec![RosterChange::Remove { account }], ..self.header() };
        let envelope = self.garbage(&header);
        self.commits(envelope, None)
    }

    /// A change that all pass over leaves a ticket to where the liar alone is.
    fn leaves_a_ticket(&mut self) -> Result<bool, Violation> {
        let logs = self.logs();
        let mut fork = Fork::of(self.world, self.cheat, self.space);
        let number = fork.group.epoch() + 1;
        fork.until(number);
        let joins = logs.iter().map(|(account, _)| *log_of(&logs, *account).join());
        let joins: Vec<[u8; 32]> = joins.collect();
        let epoch = EpochId::from_bytes(self.chance.bytes());
        let ticket = fork.ticket(epoch, number, &logs, &joins);
        let header = CommitHeader { ticket: Some(ticket.clone()), ..self.header() };
        let envelope = self.garbage(&header);
        self.commits(envelope, Some(ticket))
    }

    fn invites(&mut self) -> Result<bool, Violation> {
        let Some(account) = self.victim() else { return Ok(false) };
        let logs = self.logs();
        if !logs.iter().any(|(of, _)| *of == account) {
            return Ok(false);
        }
        let devices: Vec<DeviceId> = log_of(&logs, account).devices().map(|(id, _)| *id).collect();
        let Some(device) = self.chance.pick(&devices).copied() else { return Ok(false) };
        let bytes = Blob(self.chance.bytes().repeat(9));
        if self.chance.one_in(2) {
            let put = InboxPut { account, device, item: bytes };
            return self.cheat.requests(self.world, Op::PutInbox(put)).map(|_| true);
        }
        let header = self.header();
        let envelope = self.garbage(&header);
        let items = vec![WelcomeFor { account, device, item: bytes.clone() }];
        let welcomes = Some(Welcomes { common: bytes, items });
        let push = Push { space: self.space, envelopes: vec![envelope], welcomes, ticket: None };
        self.cheat.tells(self.world, &ClientFrame::Push(push)).map(|_| true)
    }

    /// Somebody else's wish to leave, signed with the liar's key: for a relay that helps.
    fn wishes(&mut self) -> bool {
        let Some(victim) = self.victim() else { return false };
        let devices = self.world.devices();
        let slots = (0..devices).filter_map(|device| Keys::found(self.world, device));
        let of: Vec<DeviceId> =
            slots.filter(|keys| keys.account == victim).map(|keys| keys.device()).collect();
        let Some(device) = self.chance.pick(&of).copied() else { return false };
        let now = stand(self.world, self.cheat.device, self.space);
        let mut header = Header::new(Kind::Intent, now.epoch, now.next);
        header.intent = Some(Intent::Leave);
        let own = std::mem::replace(&mut self.cheat.writer, WriterId { device, incarnation: 1 });
        let envelope = self.cheat.sealed(self.space, header, &[1; 32], b"");
        self.stray(envelope);
        self.cheat.writer = own;
        true
    }

    fn floods(&mut self) -> Result<bool, Violation> {
        for _ in 0..FLOOD {
            let before = self.cheat.tip(self.space);
            let set = Set { blinding: [3; 16], items: Vec::new() };
            let mut bytes = self.cheat.content(self.world, self.space, &set).0;
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            let push = Push {
                space: self.space,
                envelopes: vec![Blob(bytes)],
                welcomes: None,
                ticket: None,
            };
            self.cheat.set_tip(self.space, before);
            self.cheat.shouts(self.world, &ClientFrame::Push(push))?;
        }
        for _ in 0..FLOOD {
            let header = self.header();
            let envelope = self.garbage(&header);
            let push =
                Push { space: self.space, envelopes: vec![envelope], welcomes: None, ticket: None };
            self.cheat.shouts(self.world, &ClientFrame::Push(push))?;
        }
        Ok(true)
    }

    fn takes_packages(&mut self) -> Result<bool, Violation> {
        let Some(account) = self.victim() else { return Ok(false) };
        for _ in 0..4 {
            self.cheat.requests(self.world, Op::TakeKeyPackages { account })?;
        }
        Ok(true)
    }

    fn claims(&mut self) -> Result<bool, Violation> {
        let people: Vec<_> = self.world.book().people.iter().collect();
        let others = people.iter().filter(|one| one.account != Some(self.cheat.keys.account));
        let others: Vec<_> = others.map(|one| one.address.clone()).collect();
        let Some(address) = self.chance.pick(&others).cloned() else { return Ok(false) };
        self.cheat.requests(self.world, Op::ClaimAddress { address }).map(|_| true)
    }
}
