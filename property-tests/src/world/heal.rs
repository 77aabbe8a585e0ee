//! Healing: everything that is broken is mended, everybody comes online, and the world rests.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::Command;
use sync_core::api::{
    ConversationView, Digest, DocumentDigest, MessageView, Response, Space, Status,
};
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, SpaceId};

use super::{Event, World};
use crate::network::Side;
use crate::suite;
use crate::violation::{Invariant, Violation};

/// Devices that came to rest stay so for so long, in ms.
const REST_MS: u64 = 10_000;
/// How long whoever came later waits for an app's documents, in ms, and how often one may begin to.
const HAND_OVER_MS: u64 = 65 * 60 * 1000;
const HAND_OVERS: usize = 3;
/// How often they may be found not at rest.
const ROUNDS: u64 = 120;

/// What one device shows in the end.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The device, by the world's number.
    pub device: usize,
    /// Its account.
    pub account: AccountId,
    /// How things stand.
    pub status: Status,
    /// Its conversations.
    pub conversations: BTreeMap<SpaceId, ConversationView>,
    /// The fingerprints of conversations that it is still in.
    pub digests: BTreeMap<SpaceId, Digest>,
    /// All messages of each conversation, in display order.
    pub messages: BTreeMap<SpaceId, Vec<MessageView>>,
    /// The count of each conversation's counter, where there is one.
    pub tallies: BTreeMap<SpaceId, u64>,
    /// The fingerprint of the account's own space, in a world in which accounts have many devices.
    pub own: Option<Digest>,
    /// Settings.
    pub settings: SortedMap<String, serde_json::Value>,
}

impl Seen {
    /// The fingerprints of what apps share in a conversation.
    #[must_use]
    pub fn app_documents(&self, space: &SpaceId) -> BTreeMap<String, DocumentDigest> {
        let documents = self.digests.get(space).map(|digest| &digest.documents);
        let all = documents.into_iter().flat_map(|documents| documents.iter());
        let apps = all.filter(|(name, _)| name.starts_with("app/"));
        apps.map(|(name, digest)| (name.clone(), digest.clone())).collect()
    }
}

/// What a device shows that its account has ended.
#[derive(Clone, Debug)]
pub struct Remnant {
    /// The device, by the world's number.
    pub device: usize,
    /// How many messages were acknowledged in the world when it ended.
    pub ended: u64,
    /// Whether its user was told.
    pub told: bool,
    /// All messages of each conversation, in display order.
    pub messages: BTreeMap<SpaceId, Vec<MessageView>>,
}

impl World {
    /// Mends everything: nothing goes wrong from here on.
    ///
    /// # Errors
    /// If something does not start again.
    pub fn heal(&mut self) -> Result<(), Violation> {
        self.note(format_args!("heal"));
        self.tell(|_| Some("nothing goes wrong from here on, and everybody comes online".into()));
        self.stop_lying();
        self.chaos = false;
        self.held = None;
        self.drop_copies()?;
        self.boot_relay()?;
        self.relay.calm();
        for id in self.network.all() {
            let flows = self.network.connection(id).is_some_and(|connection| connection.flows);
            if !flows || self.plan.faults.hostile > 0 || self.plan.relay_lies > 0 {
                self.network.cut(id);
                self.closed(id, Side::Relay)?;
                self.closed(id, Side::Device)?;
            }
        }
        for device in 0..self.devices.len() {
            self.devices[device].reachable = true;
            self.devices[device].disk.set_full(false);
            self.agenda.after(0, Event::Boot { device });
        }
        // What stalled arrives before anybody's claim to be up to date is taken at its word.
        let under_way_ms = self.network.last_due_ms().saturating_sub(self.agenda.now_ms());
        self.pass(5_000 + under_way_ms)?;
        if self.has_churn() {
            self.gather()?;
        }
        for device in self.living() {
            self.give(device, Command::GoOnline)?;
        }
        self.end_what_was_stolen()
    }

    /// Everybody meets the relay once more. What a lie made a device pass over it reads again in its
    /// next session (`docs/protocol.md`, section 5), and that it was lied to it may learn only from
    /// what others say.
    pub(super) fn meet_anew(&mut self) -> Result<(), Violation> {
        self.pass(REST_MS)?;
        for device in self.living() {
            self.give(device, Command::GoOffline)?;
        }
        self.pass(REST_MS)?;
        for device in self.living() {
            self.give(device, Command::GoOnline)?;
        }
        self.pass(REST_MS)
    }

    /// Devices in use that have an account.
    fn living(&self) -> Vec<usize> {
        let slots = self.devices.iter().enumerate();
        let living = slots.filter(|(_, slot)| {
            !slot.retired && self.book.account_of(slot.person).is_some() && slot.engine.is_some()
        });
        let living = living.map(|(device, _)| device);
        let living = living.filter(|device| !self.has_churn() || self.belongs(*device));
        living.filter(|device| !self.is_liar(*device)).collect()
    }

    /// Lets the world go on until nobody waits for anything.
    ///
    /// # Errors
    /// `Robust` if that never comes.
    pub fn settle(&mut self) -> Result<(), Violation> {
        let mut restless = Vec::new();
        let mut calm = 0;
        for _ in 0..ROUNDS {
            self.pass(REST_MS)?;
            restless.clear();
            let apart = self.apart();
            for device in self.living() {
                let status = self.status(device)?;
                if !self.is_at_rest(device, &status, &apart) {
                    restless.push((device, status));
                }
            }
            calm = if restless.is_empty() { calm + 1 } else { 0 };
            if calm == 2 {
                return Ok(());
            }
        }
        let why = |status: &Status| match (status.connected, status.up_to_date) {
            (false, _) => "not connected",
            (true, false) if status.spaces == 0 => "in no space",
            (true, false) => "not up to date",
            (true, true) => "not stored",
        };
        let whys: BTreeSet<&str> = restless.iter().map(|(_, status)| why(status)).collect();
        let whys: Vec<&str> = whys.into_iter().collect();
        let whys = whys.join(", ");
        let detail = format!("the world never comes to rest ({whys}): {restless:?}");
        Err(Violation::new(Invariant::Robust, detail))
    }

    /// Who brought an account back of which nobody could know the name says it again.
    pub(super) fn say_names(&mut self) -> Result<(), Violation> {
        self.note_kin();
        let mut said = BTreeSet::new();
        for device in self.living() {
            let person = self.devices[device].person;
            let account = self.book.account_of(person);
            let came_back = account.is_some_and(|account| self.book.bereaved.contains(&account));
            if came_back && self.status(device)?.name.is_empty() && said.insert(person) {
                let name = self.book.people[person].name.clone();
                self.expect(device, Command::SetName { name })?;
            }
        }
        if said.is_empty() { Ok(()) } else { self.settle() }
    }

    /// Everybody says one more thing everywhere, so that who was kept from something learns of it.
    pub(super) fn speak_once_more(&mut self) -> Result<(), Violation> {
        self.book.rested_from = Some(self.book.written.len() as u64);
        for device in self.living() {
            let Response::Conversations(views) = self.expect(device, Command::ListConversations)?
            else {
                continue;
            };
            for view in views.iter().filter(|view| view.active) {
                self.say(device, view.conversation)?;
            }
        }
        self.settle()
    }

    /// Where nobody is left who read all of an app's documents, whoever is there waits for an hour for
    /// somebody who did, before it goes on with what it has. The world is at rest after that.
    pub(super) fn wait_for_documents(&mut self) -> Result<(), Violation> {
        for _ in 0..HAND_OVERS {
            if !self.documents_differ()? {
                break;
            }
            self.pass(HAND_OVER_MS)?;
            self.settle()?;
        }
        Ok(())
    }

    fn documents_differ(&mut self) -> Result<bool, Violation> {
        let mut shown = BTreeMap::new();
        for device in self.living() {
            let seen = self.look(device)?;
            for space in seen.digests.keys() {
                let documents = seen.app_documents(space);
                if *shown.entry(*space).or_insert_with(|| documents.clone()) != documents {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Looks at every screen.
    ///
    /// # Errors
    /// If a device does not answer.
    pub fn look_everywhere(&mut self) -> Result<Vec<Seen>, Violation> {
        self.living().into_iter().map(|device| self.look(device)).collect()
    }

    /// Looks at the screens of those that answer.
    pub(super) fn look_where_possible(&mut self) -> Vec<Seen> {
        let living = self.living().into_iter();
        living.filter_map(|device| suite::guarded(|| self.look(device)).ok()).collect()
    }

    fn look(&mut self, device: usize) -> Result<Seen, Violation> {
        let account = self.book.account_of(self.devices[device].person);
        let account = account.expect("who lives has an account");
        let status = self.status(device)?;
        let views = match self.expect(device, Command::ListConversations)? {
            Response::Conversations(views) => views,
            _ => Vec::new(),
        };
        let settings = match self.expect(device, Command::Settings)? {
            Response::Settings(settings) => settings,
            _ => SortedMap::new(),
        };
        let mut seen = Seen {
            device,
            account,
            status,
            conversations: BTreeMap::new(),
            digests: BTreeMap::new(),
            messages: BTreeMap::new(),
            tallies: BTreeMap::new(),
            own: None,
            settings,
        };
        if self.has_churn() {
            seen.own = Some(self.digest(device, Space::Account)?);
        }
        for view in views {
            let space = view.conversation;
            seen.messages.insert(space, self.messages(device, space)?);
            if view.active {
                seen.digests.insert(space, self.digest(device, Space::Conversation(space))?);
                if let Some(count) = self.tally(device, space)? {
                    seen.tallies.insert(space, count);
                }
            }
            seen.conversations.insert(space, view);
        }
        self.note(format_args!("{device} sees {seen:?}"));
        Ok(seen)
    }

    /// Looks at what devices show that were ended and not emptied.
    pub(super) fn look_at_remnants(&mut self) -> Result<Vec<Remnant>, Violation> {
        let mut remnants = Vec::new();
        for device in 0..self.devices.len() {
            let slot = &self.devices[device];
            let told = slot.told_revoked;
            let Some(ended) = slot.id.and_then(|id| self.registry.ended(&id)) else { continue };
            // Who logged out, and found after a crash that the account had heard it, is empty, too.
            if slot.engine.is_none() || self.status(device)?.account.is_none() {
                continue;
            }
            // What a liar's device shows is no promise.
            if self.is_liar(device) {
                continue;
            }
            let mut messages = BTreeMap::new();
            if let Response::Conversations(views) =
                self.expect(device, Command::ListConversations)?
            {
                for view in views {
                    let page = self.messages(device, view.conversation)?;
                    messages.insert(view.conversation, page);
                }
            }
            let remnant = Remnant { device, ended, told, messages };
            self.note(format_args!("{device} shows {remnant:?}"));
            remnants.push(remnant);
        }
        Ok(remnants)
    }

    fn tally(&mut self, device: usize, space: SpaceId) -> Result<Option<u64>, Violation> {
        let command = Command::ReadDocument {
            space: Space::Conversation(space),
            name: "tally".into(),
            path: vec![sync_core::document::Step::Key("n".into())],
        };
        let answer = self.ask(device, command)?;
        Ok(match answer {
            Ok(Response::Value(value)) => value.as_u64(),
            _ => None,
        })
    }
}
