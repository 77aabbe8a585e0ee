//! What an app shows: the list of conversations, pages of messages, ticks.

use serde_json::Value;
use sync_protocol::sorted::{SortedMap, SortedSet};
use sync_protocol::{AccountId, SpaceId, WriterId};

use crate::api::{
    ConversationView, Event, Failure, LastMessage, MemberView, MessageView, Progress, Response,
};
use crate::document::messages::Message;
use crate::document::receipts::Mark;
use crate::document::{Name, OrderKey, Placement, Rank, contacts, settings};
use crate::engine::commands::accepted_key;
use crate::engine::rows::{Intention, LastRow, LostRow, Reach, VouchedRow};
use crate::engine::space::{Core, SpaceState};
use crate::engine::{Engine, Step};
use crate::line;

/// Messages in one page.
const PAGE: usize = 1_000;
/// Messages named in one notification.
const ANNOUNCED: usize = 4_096;
/// Unread messages counted at the most, roughly: beyond, a list says "many".
const UNREAD: usize = 2_000;
/// Text kept for the list.
const PREVIEW_CHARS: usize = 120;

impl Engine {
    pub(super) fn list_conversations(&mut self) -> Step<Response> {
        let account = self.me()?.account().space();
        let all = self.own_settings("conversation/")?;
        let stale: Vec<SpaceId> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.stale && !space.row.own)
            .map(|(id, _)| *id)
            .collect();
        for id in stale {
            self.summarise(&id)?;
        }
        let contacts = match self.spaces.contains_key(&account) {
            true => contacts::all(self.document(&account, &Name::Contacts)?),
            false => SortedMap::new(),
        };
        let known = self.acquaintances(&all, contacts.into_keys());
        let mut list: Vec<(u64, ConversationView)> = self
            .spaces
            .iter()
            .filter(|(_, space)| !space.row.own && !self.is_hidden(space, &all))
            .map(|(_, space)| (space.recency_ms(), self.conversation_view(space, &all, &known)))
            .collect();
        list.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.conversation.cmp(&y.conversation)));
        Ok(Response::Conversations(list.into_iter().map(|(_, view)| view).collect()))
    }

    /// All settings under a prefix. None, until a device that was linked is let into the account's
    /// space.
    pub(super) fn own_settings(&mut self, prefix: &str) -> Step<SortedMap<String, Value>> {
        let account = self.me()?.account().space();
        if !self.spaces.contains_key(&account) {
            return Ok(SortedMap::new());
        }
        Ok(settings::all(self.document(&account, &Name::Settings)?, prefix))
    }

    /// One setting of the account.
    pub(super) fn own_setting(&mut self, key: &str) -> Step<Option<Value>> {
        let account = self.me()?.account().space();
        if !self.spaces.contains_key(&account) {
            return Ok(None);
        }
        Ok(settings::value(self.document(&account, &Name::Settings)?, key))
    }

    /// Whoever is no stranger: contacts, and members of conversations founded or accepted here.
    fn acquaintances(
        &self,
        all: &SortedMap<String, Value>,
        contacts: impl Iterator<Item = AccountId>,
    ) -> SortedSet<AccountId> {
        let accepted = |space: &SpaceState| {
            space.row.invited_by.is_none()
                || all.get(&accepted_key(&space.id)) == Some(&Value::Bool(true))
        };
        let shared = self.spaces.values().filter(|space| space.row.active && !space.row.own);
        let members = shared
            .filter(|space| accepted(space))
            .flat_map(|space| space.row.context.roster.iter().map(|m| m.0));
        members.chain(contacts).collect()
    }

    fn conversation_view(
        &self,
        space: &SpaceState,
        all: &SortedMap<String, Value>,
        known: &SortedSet<AccountId>,
    ) -> ConversationView {
        let flag = |name: &str| {
            all.get(&format!("conversation/{}/{name}", space.id)) == Some(&Value::Bool(true))
        };
        let row = &space.row;
        let members = row.context.roster.iter().map(|(account, role)| {
            let person = self.people.get(&account);
            MemberView {
                account,
                address: person.and_then(|person| person.address.clone()),
                name: person.map(|person| person.name.clone()).unwrap_or_default(),
                role,
            }
        });
        let adding = row.intentions.iter().filter_map(|wish| match wish {
            Intention::Add { address, .. } => Some(address.clone()),
            _ => None,
        });
        ConversationView {
            conversation: space.id,
            title: line::shown_title(&row.context.title),
            members: members.collect(),
            adding: adding.collect(),
            unread: row.unread,
            last: row.last.as_ref().map(|last| LastMessage {
                message: last.key,
                author: last.author,
                text: last.text.clone(),
                at_ms: last.at_ms,
            }),
            muted: flag("muted"),
            archived: flag("archived"),
            pinned: flag("pinned"),
            pending: row.active
                && row.invited_by.is_some_and(|inviter| !known.contains(&inviter))
                && !flag("accepted"),
            active: row.active,
            unreadable: row.lost.as_ref().map(LostRow::view),
            waiting: space.waiting(),
            vouched: row.vouched.as_ref().map(VouchedRow::view),
            withheld: self.is_behind_others(&space.id),
        }
    }

    /// The message segments of a space, newest first.
    pub(super) fn segments(&self, id: &SpaceId) -> Vec<u32> {
        let Some(space) = self.spaces.get(id) else { return Vec::new() };
        let segments: SortedSet<u32> = space
            .row
            .documents
            .iter()
            .filter_map(|name| match name {
                Name::Messages(number) => Some(*number),
                _ => None,
            })
            .collect();
        segments.into_iter().rev().collect()
    }

    fn open_receipts(&mut self, id: &SpaceId) -> Step<()> {
        let names: Vec<Name> = self
            .space(id)?
            .row
            .documents
            .iter()
            .filter(|name| matches!(name, Name::Receipts(_)))
            .cloned()
            .collect();
        for name in names {
            self.document(id, &name)?;
        }
        Ok(())
    }

    pub(super) fn list_messages(
        &mut self,
        id: &SpaceId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Step<Response> {
        if self.space(id)?.row.own {
            return Err(Failure::NotFound("conversation").into());
        }
        let limit = limit.min(PAGE);
        let mut beyond = false;
        for segment in self.segments(id) {
            self.document(id, &Name::Messages(segment))?;
            // One segment more than the page needs, unless it is known to end before: the key ranges
            // of neighbours overlap.
            let page = self.page(id, before, limit)?;
            let is_full = page.len() >= limit;
            if std::mem::replace(&mut beyond, is_full)
                || (is_full && self.is_behind(id, segment, &page))
            {
                break;
            }
        }
        self.note_reach(id);
        self.open_receipts(id)?;
        let page = self.page(id, before, limit)?;
        let space = self.core_space(id)?;
        let Some(core) = &space.core else { return Ok(Response::Messages(Vec::new())) };
        let marks = marks(space, core);
        let me = self.me()?.account();
        let space = self.space(id)?;
        let Some(core) = &space.core else { return Ok(Response::Messages(Vec::new())) };
        let messages =
            page.into_iter().map(|message| message_view(message, core, &marks, &me)).collect();
        Ok(Response::Messages(messages))
    }

    pub(super) fn page(
        &mut self,
        id: &SpaceId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Step<Vec<Message>> {
        let space = self.core_space(id)?;
        let Some(core) = &space.core else { return Ok(Vec::new()) };
        Ok(space.view.page(before, limit, &|a, b| same_account(core, a, b)))
    }

    /// A message of a conversation, wherever its segment; gives its author.
    pub(super) fn find_message(&mut self, id: &SpaceId, key: &OrderKey) -> Step<AccountId> {
        let me = self.me()?.account();
        for segment in self.segments(id) {
            self.document(id, &Name::Messages(segment))?;
            let space = self.core_space(id)?;
            let Some(core) = &space.core else { break };
            let found = space.view.message(key, &|a, b| same_account(core, a, b));
            if let Some(message) = found.filter(|message| !message.deleted) {
                return Ok(core.account_of(&message.writer.device).unwrap_or(me));
            }
        }
        Err(Failure::NotFound("message").into())
    }

    /// Where a message stands in the log; an own one that has no place yet counts as the newest.
    pub(super) fn mark_of(&mut self, id: &SpaceId, key: &OrderKey) -> Step<Option<Mark>> {
        self.find_message(id, key)?;
        let space = self.core_space(id)?;
        let Some(core) = &space.core else { return Ok(None) };
        let message = space.view.message(key, &|a, b| same_account(core, a, b));
        Ok(message.and_then(|message| message.placement).map(mark).or(space.row.delivered))
    }

    /// Whether a page lies behind all that is below a segment.
    fn is_behind(&self, id: &SpaceId, segment: u32, page: &[Message]) -> bool {
        let reach = self.spaces.get(id).and_then(|space| space.row.reach);
        let reach = reach.filter(|reach| reach.segment == segment);
        reach.zip(page.first()).is_some_and(|(reach, first)| first.effective > reach.stamp)
    }

    /// Remembers where the second newest segment ends, while both are open.
    fn note_reach(&mut self, id: &SpaceId) {
        let [newest, below, ..] = self.segments(id)[..] else { return };
        let is_open = |segment| self.documents.is_open(id, &Name::Messages(segment));
        if !is_open(newest) || !is_open(below) {
            return;
        }
        let Some(space) = self.spaces.get_mut(id) else { return };
        if space.row.reach.is_some_and(|reach| reach.segment == newest) {
            // It holds until something comes to a segment below.
            return;
        }
        let Some(stamp) = space.view.last_of(below) else { return };
        space.row.reach = Some(Reach { segment: newest, stamp });
        self.save_space(id);
    }

    /// Something came to a segment that may lie below the newest.
    pub(super) fn forget_reach(&mut self, id: &SpaceId, segment: u32) {
        if let Some(space) = self.spaces.get_mut(id)
            && space.row.reach.is_some_and(|reach| segment < reach.segment)
        {
            space.row.reach = None;
            self.save_space(id);
        }
    }

    /// Brings the list's row up to date, and announces and acknowledges what is new.
    pub(super) fn summarise(&mut self, id: &SpaceId) -> Step<()> {
        let Some(space) = self.spaces.get(id).filter(|space| space.row.stale) else {
            return Ok(());
        };
        if space.row.own {
            return self.settle_own(id);
        }
        let me = self.me()?.account();
        let counted = self.open_unread(id)?;
        let newest = self.open_newest(id)?;
        self.note_reach(id);
        let blocked = self.me()?.row.blocked.clone();
        let space = self.core_space(id)?;
        let Some(core) = &space.core else { return Ok(()) };
        let rescan = std::mem::take(&mut space.rescan) || space.counted != counted;
        let changed = std::mem::take(&mut space.changed);
        let seen = space.row.delivered;
        let unread = |key: &OrderKey| {
            space.view.segment_of(key).is_some_and(|segment| counted.contains(&segment))
                && is_unread(space, core, key, &me, &blocked)
        };
        let (now_unread, others): (Vec<_>, Vec<_>) = match rescan {
            true => (space.view.keys().filter(|key| unread(key)).copied().collect(), Vec::new()),
            false => changed.iter().copied().partition(|key| unread(key)),
        };
        let last = newest_row(space, core, &newest, &me, &blocked);
        let candidates: Vec<OrderKey> = if rescan {
            space.view.keys().copied().collect()
        } else {
            changed.into_iter().collect()
        };
        let arrived: Vec<(OrderKey, Mark)> = candidates
            .into_iter()
            .filter_map(|key| {
                let (writer, _, placement) = space.view.posted(&key)?;
                (core.account_of(&writer.device) != Some(me)).then_some((key, mark(placement?)))
            })
            .collect();
        let fresh: Vec<OrderKey> =
            arrived.iter().filter(|(_, at)| Some(*at) > seen).map(|(key, _)| *key).collect();
        if rescan {
            space.unread.clear();
        }
        space.unread.retain(|key| !others.contains(key));
        space.unread.extend(now_unread);
        space.counted = counted;
        space.row.unread = space.unread.len() as u64;
        space.row.delivered = arrived.iter().map(|(_, at)| *at).max().max(seen);
        space.row.last = last;
        space.row.stale = false;
        self.save_space(id);
        if !fresh.is_empty() {
            if rescan {
                let from = fresh.len().saturating_sub(ANNOUNCED);
                let messages = fresh.get(from..).unwrap_or_default().to_vec();
                self.notify(Event::Messages { conversation: *id, messages });
            }
            self.owe_receipts(id);
        }
        Ok(())
    }

    /// Opens the segments that hold what is unread, newest first, up to what anybody counts. Which
    /// they are follows from the log and the read mark, never from what happens to be open. Who is
    /// no member any more can tell its other devices nothing: nothing is unread there.
    fn open_unread(&mut self, id: &SpaceId) -> Step<Vec<u32>> {
        let row = &self.space(id)?.row;
        let tops = row.tops.iter().rev().filter(|(_, top)| row.active && Some(*top) > row.read);
        let beyond: Vec<u32> = tops.map(|(segment, _)| *segment).collect();
        let (mut counted, mut messages) = (Vec::new(), 0);
        for segment in beyond {
            self.document(id, &Name::Messages(segment))?;
            messages += self.core_space(id)?.view.segment_len(segment);
            counted.push(segment);
            if messages >= UNREAD {
                break;
            }
        }
        Ok(counted)
    }

    /// Opens the segments that the newest message may be in: the newest that has any, and the one
    /// below unless that is known to end before.
    fn open_newest(&mut self, id: &SpaceId) -> Step<Vec<u32>> {
        let segments = self.segments(id);
        for (at, segment) in segments.iter().enumerate() {
            self.document(id, &Name::Messages(*segment))?;
            let space = self.core_space(id)?;
            let Some(stamp) = space.view.last_of(*segment) else { continue };
            let reach = space.row.reach.filter(|reach| reach.segment == *segment);
            let below = segments.get(at + 1).filter(|_| reach.is_none_or(|it| it.stamp >= stamp));
            if let Some(below) = below {
                self.document(id, &Name::Messages(*below))?;
            }
            return Ok(std::iter::once(*segment).chain(below.copied()).collect());
        }
        Ok(Vec::new())
    }

    fn settle_own(&mut self, id: &SpaceId) -> Step<()> {
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.stale = false;
        }
        self.save_space(id);
        Ok(())
    }
}

/// Whether a message of somebody else lies beyond the read mark, and is shown.
fn is_unread(
    space: &SpaceState,
    core: &Core,
    key: &OrderKey,
    me: &AccountId,
    blocked: &[AccountId],
) -> bool {
    let Some((writer, _, Some(placement))) = space.view.posted(key) else { return false };
    let author = core.account_of(&writer.device);
    author != Some(*me)
        && author.is_none_or(|author| !blocked.contains(&author))
        && Some(mark(placement)) > space.row.read
        && !space.view.is_deleted(key, &|a, b| same_account(core, a, b))
}

/// The newest message of these segments that is shown.
fn newest_row(
    space: &SpaceState,
    core: &Core,
    segments: &[u32],
    me: &AccountId,
    blocked: &[AccountId],
) -> Option<LastRow> {
    let is_shown = |key: &&OrderKey| {
        let of = space.view.segment_of(key).is_some_and(|segment| segments.contains(&segment));
        let author = space.view.posted(key).and_then(|posted| core.account_of(&posted.0.device));
        of && author.is_none_or(|author| !blocked.contains(&author))
    };
    let key = space.view.keys().rev().find(is_shown)?;
    let message = space.view.message(key, &|a, b| same_account(core, a, b))?;
    Some(LastRow {
        key: message.key,
        author: core.account_of(&message.writer.device).unwrap_or(*me),
        text: message.text.chars().take(PREVIEW_CHARS).collect(),
        at_ms: message.effective.ms,
    })
}

/// How far one device has come: whose it is, what it has, what was read there.
type Reached = (AccountId, Option<Mark>, Option<Mark>);

/// How far every device has come.
type Marks = Vec<Reached>;

fn marks(space: &SpaceState, core: &Core) -> Marks {
    let receipts = space.receipts.values().flat_map(|view| view.iter());
    receipts
        .filter_map(|(writer, receipt)| {
            let account = core.account_of(&writer.device)?;
            Some((account, receipt.delivered, receipt.read))
        })
        .collect()
}

pub(super) fn same_account(core: &Core, a: &WriterId, b: &WriterId) -> bool {
    a.device == b.device
        || core.account_of(&a.device).is_some_and(|one| core.account_of(&b.device) == Some(one))
}

fn mark(place: Placement) -> Mark {
    Mark { index: place.index, ordinal: place.ordinal }
}

fn message_view(message: Message, core: &Core, marks: &Marks, me: &AccountId) -> MessageView {
    let author = core.account_of(&message.writer.device).unwrap_or(*me);
    let place = message.placement.map(mark);
    let reached = |pick: fn(&Reached) -> Option<Mark>| {
        let there = marks.iter().filter(|entry| entry.0 != author);
        there
            .filter(|entry| place.is_some() && pick(entry) >= place)
            .map(|entry| entry.0)
            .collect::<SortedSet<AccountId>>()
    };
    let read = reached(|entry| entry.2);
    let mut delivered = reached(|entry| entry.1);
    delivered.extend(&read);
    let status = match place {
        None => Progress::Local,
        Some(_) if !read.is_empty() => Progress::Read,
        Some(_) if !delivered.is_empty() => Progress::Delivered,
        Some(_) => Progress::Stored,
    };
    let reactions = message.reactions.into_iter();
    let reactions = reactions
        .filter_map(|(writer, emoji)| Some((core.account_of(&writer.device)?, emoji)))
        .collect();
    MessageView {
        message: message.key,
        author,
        device: message.writer.device,
        text: message.text,
        at_ms: message.effective.ms,
        rank: Rank::of(message.key, message.placement.as_ref()),
        reply_to: message.reply_to,
        edited: message.edited,
        deleted: message.deleted,
        reactions,
        status,
        delivered,
        read,
        needs_update: message.needs_update,
    }
}
