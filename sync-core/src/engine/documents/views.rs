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
use crate::engine::Step;
use crate::engine::commands::accepted_key;
use crate::engine::rooms::{ContentRows, Library, Views};
use crate::engine::rows::{Intention, LastRow, LostRow, Reach, VouchedRow};
use crate::engine::space::state::{Core, SpaceState};
use crate::line;

/// Messages in one page.
const PAGE: usize = 1_000;
/// Messages named in one notification.
const ANNOUNCED: usize = 4_096;
/// Unread messages counted at the most, roughly: beyond, a list says "many".
const UNREAD: usize = 2_000;
/// Text kept for the list.
const PREVIEW_CHARS: usize = 120;

impl Views<'_> {
    pub(in crate::engine) fn list_conversations(&mut self) -> Step<Response> {
        let account = self.account.me()?.account().space();
        let all = self.library().own_settings("conversation/")?;
        let stale: Vec<SpaceId> = self
            .spaces
            .iter()
            .filter(|(_, space)| space.row.stale && !space.row.own)
            .map(|(id, _)| *id)
            .collect();
        for id in stale {
            self.library().summarise(&id)?;
        }
        let contacts = match self.spaces.contains_key(&account) {
            true => {
                contacts::all(self.documents.document(self.spaces, &account, &Name::Contacts)?)
            }
            false => SortedMap::new(),
        };
        let known = self.content_rows().acquaintances(&all, contacts.into_keys());
        let mut list: Vec<(u64, ConversationView)> = self
            .spaces
            .iter()
            .filter(|(_, space)| !space.row.own && !self.account.is_hidden(space, &all))
            .map(|(_, space)| (space.recency_ms(), self.conversation_view(space, &all, &known)))
            .collect();
        list.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.conversation.cmp(&y.conversation)));
        Ok(Response::Conversations(list.into_iter().map(|(_, view)| view).collect()))
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
            withheld: self.sightings.is_behind_others(self.spaces, &space.id),
        }
    }
}

impl Library<'_> {
    /// All settings under a prefix. None, until a device that was linked is let into the account's
    /// space.
    pub(in crate::engine) fn own_settings(
        &mut self,
        prefix: &str,
    ) -> Step<SortedMap<String, Value>> {
        let account = self.account.me()?.account().space();
        if !self.spaces.contains_key(&account) {
            return Ok(SortedMap::new());
        }
        Ok(settings::all(self.documents.document(self.spaces, &account, &Name::Settings)?, prefix))
    }

    /// One setting of the account.
    pub(in crate::engine) fn own_setting(&mut self, key: &str) -> Step<Option<Value>> {
        let account = self.account.me()?.account().space();
        if !self.spaces.contains_key(&account) {
            return Ok(None);
        }
        Ok(settings::value(self.documents.document(self.spaces, &account, &Name::Settings)?, key))
    }

    fn open_receipts(&mut self, id: &SpaceId) -> Step<()> {
        let names: Vec<Name> = self
            .spaces
            .space(id)?
            .row
            .documents
            .iter()
            .filter(|name| matches!(name, Name::Receipts(_)))
            .cloned()
            .collect();
        for name in names {
            self.documents.document(self.spaces, id, &name)?;
        }
        Ok(())
    }

    pub(in crate::engine) fn list_messages(
        &mut self,
        id: &SpaceId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Step<Response> {
        if self.spaces.space(id)?.row.own {
            return Err(Failure::NotFound("conversation").into());
        }
        let limit = limit.min(PAGE);
        let mut beyond = false;
        for segment in self.content_rows().segments(id) {
            self.documents.document(self.spaces, id, &Name::Messages(segment))?;
            // One segment more than the page needs, unless it is known to end before: the key ranges
            // of neighbours overlap.
            let page = self.content_rows().page(id, before, limit)?;
            let is_full = page.len() >= limit;
            if std::mem::replace(&mut beyond, is_full)
                || (is_full && self.content_rows().is_behind(id, segment, &page))
            {
                break;
            }
        }
        self.note_reach(id);
        self.open_receipts(id)?;
        let page = self.content_rows().page(id, before, limit)?;
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(Response::Messages(Vec::new())) };
        let marks = marks(space, core);
        let me = self.account.me()?.account();
        let space = self.spaces.space(id)?;
        let Some(core) = &space.core else { return Ok(Response::Messages(Vec::new())) };
        let messages =
            page.into_iter().map(|message| message_view(message, core, &marks, &me)).collect();
        Ok(Response::Messages(messages))
    }

    /// A message of a conversation, wherever its segment; gives its author.
    pub(in crate::engine) fn find_message(
        &mut self,
        id: &SpaceId,
        key: &OrderKey,
    ) -> Step<AccountId> {
        let me = self.account.me()?.account();
        for segment in self.content_rows().segments(id) {
            self.documents.document(self.spaces, id, &Name::Messages(segment))?;
            let space = self.spaces.core(id)?;
            let Some(core) = &space.core else { break };
            let found = space.view.message(key, &|a, b| same_account(core, a, b));
            if let Some(message) = found.filter(|message| !message.deleted) {
                return Ok(core.account_of(&message.writer.device).unwrap_or(me));
            }
        }
        Err(Failure::NotFound("message").into())
    }

    /// Where a message stands in the log; an own one that has no place yet counts as the newest.
    pub(in crate::engine) fn mark_of(
        &mut self,
        id: &SpaceId,
        key: &OrderKey,
    ) -> Step<Option<Mark>> {
        self.find_message(id, key)?;
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(None) };
        let message = space.view.message(key, &|a, b| same_account(core, a, b));
        Ok(message.and_then(|message| message.placement).map(mark).or(space.row.delivered))
    }

    /// Remembers where the second newest segment ends, while both are open.
    fn note_reach(&mut self, id: &SpaceId) {
        let [newest, below, ..] = self.content_rows().segments(id)[..] else { return };
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
        self.turn.save_space(id);
    }

    /// Brings the list's row up to date, and announces and acknowledges what is new.
    pub(in crate::engine) fn summarise(&mut self, id: &SpaceId) -> Step<()> {
        let Some(space) = self.spaces.get(id).filter(|space| space.row.stale) else {
            return Ok(());
        };
        if space.row.own {
            return self.content_rows().settle_own(id);
        }
        let me = self.account.me()?.account();
        let counted = self.open_unread(id)?;
        let newest = self.open_newest(id)?;
        self.note_reach(id);
        let blocked = self.account.me()?.row().blocked.clone();
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(()) };
        let changed = space.unread.begin(&counted);
        let seen = space.row.delivered;
        let unread = |key: &OrderKey| {
            space.view.segment_of(key).is_some_and(|segment| counted.contains(&segment))
                && is_unread(space, core, key, &me, &blocked)
        };
        let (now_unread, others): (Vec<_>, Vec<_>) = match &changed {
            None => (space.view.keys().filter(|key| unread(key)).copied().collect(), Vec::new()),
            Some(changed) => changed.iter().copied().partition(|key| unread(key)),
        };
        let last = newest_row(space, core, &newest, &me, &blocked);
        let rescan = changed.is_none();
        let candidates: Vec<OrderKey> = match changed {
            None => space.view.keys().copied().collect(),
            Some(changed) => changed.into_iter().collect(),
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
        space.row.unread = space.unread.end(now_unread, &others);
        space.row.delivered = arrived.iter().map(|(_, at)| *at).max().max(seen);
        space.row.last = last;
        space.row.stale = false;
        self.turn.save_space(id);
        if !fresh.is_empty() {
            if rescan {
                let from = fresh.len().saturating_sub(ANNOUNCED);
                let messages = fresh.get(from..).unwrap_or_default().to_vec();
                self.turn.notify(Event::Messages { conversation: *id, messages });
            }
            self.content_rows().owe_receipts(id);
        }
        Ok(())
    }

    /// Opens the segments that hold what is unread, newest first, up to what anybody counts. Which
    /// they are follows from the log and the read mark, never from what happens to be open. Who is
    /// no member any more can tell its other devices nothing: nothing is unread there.
    fn open_unread(&mut self, id: &SpaceId) -> Step<Vec<u32>> {
        let row = &self.spaces.space(id)?.row;
        let tops = row.tops.iter().rev().filter(|(_, top)| row.active && Some(*top) > row.read);
        let beyond: Vec<u32> = tops.map(|(segment, _)| *segment).collect();
        let (mut counted, mut messages) = (Vec::new(), 0);
        for segment in beyond {
            self.documents.document(self.spaces, id, &Name::Messages(segment))?;
            messages += self.spaces.core(id)?.view.segment_len(segment);
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
        let segments = self.content_rows().segments(id);
        for (at, segment) in segments.iter().enumerate() {
            self.documents.document(self.spaces, id, &Name::Messages(*segment))?;
            let space = self.spaces.core(id)?;
            let Some(stamp) = space.view.last_of(*segment) else { continue };
            let reach = space.row.reach.filter(|reach| reach.segment == *segment);
            let below = segments.get(at + 1).filter(|_| reach.is_none_or(|it| it.stamp >= stamp));
            if let Some(below) = below {
                self.documents.document(self.spaces, id, &Name::Messages(*below))?;
            }
            return Ok(std::iter::once(*segment).chain(below.copied()).collect());
        }
        Ok(Vec::new())
    }
}

impl ContentRows<'_> {
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

    /// The message segments of a space, newest first.
    pub(in crate::engine) fn segments(&self, id: &SpaceId) -> Vec<u32> {
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

    pub(in crate::engine) fn page(
        &mut self,
        id: &SpaceId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Step<Vec<Message>> {
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else { return Ok(Vec::new()) };
        Ok(space.view.page(before, limit, &|a, b| same_account(core, a, b)))
    }

    /// Whether a page lies behind all that is below a segment.
    fn is_behind(&self, id: &SpaceId, segment: u32, page: &[Message]) -> bool {
        let reach = self.spaces.get(id).and_then(|space| space.row.reach);
        let reach = reach.filter(|reach| reach.segment == segment);
        reach.zip(page.first()).is_some_and(|(reach, first)| first.effective > reach.stamp)
    }

    /// Something came to a segment that may lie below the newest.
    pub(in crate::engine) fn forget_reach(&mut self, id: &SpaceId, segment: u32) {
        if let Some(space) = self.spaces.get_mut(id)
            && space.row.reach.is_some_and(|reach| segment < reach.segment)
        {
            space.row.reach = None;
            self.turn.save_space(id);
        }
    }

    fn settle_own(&mut self, id: &SpaceId) -> Step<()> {
        if let Some(space) = self.spaces.get_mut(id) {
            space.row.stale = false;
        }
        self.turn.save_space(id);
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

pub(in crate::engine) fn same_account(core: &Core, a: &WriterId, b: &WriterId) -> bool {
    a.device == b.device
        || core.account_of(&a.device).is_some_and(|one| core.account_of(&b.device) == Some(one))
}

fn mark(place: Placement) -> Mark {
    Mark { index: place.index, ordinal: place.ordinal }
}

fn message_view(message: Message, core: &Core, marks: &Marks, me: &AccountId) -> MessageView {
    // Nothing fills attachments and times to vanish yet, so no app is shown any.
    let Message {
        key,
        writer,
        effective,
        placement,
        text,
        reply_to,
        attachments: _,
        expires_ms: _,
        edited,
        deleted,
        reactions,
        needs_update,
    } = message;
    let author = core.account_of(&writer.device).unwrap_or(*me);
    let place = placement.map(mark);
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
    let reactions = reactions
        .into_iter()
        .filter_map(|(writer, emoji)| Some((core.account_of(&writer.device)?, emoji)))
        .collect();
    MessageView {
        message: key,
        author,
        device: writer.device,
        text,
        at_ms: effective.ms,
        rank: Rank::of(key, placement.as_ref()),
        reply_to,
        edited,
        deleted,
        reactions,
        status,
        delivered,
        read,
        needs_update,
    }
}
