//! This device's account: founding it, and who this device is.

pub(in crate::engine) mod devices;
pub(in crate::engine) mod dormancy;
pub(in crate::engine) mod escrow;
pub(in crate::engine) mod key_packages;
pub(in crate::engine) mod lodging;
pub(in crate::engine) mod own_log;
pub(in crate::engine) mod vault;
pub(in crate::engine) mod words;

use std::collections::VecDeque;

use serde_json::Value;
use sync_protocol::address::Address;
use sync_protocol::codec::{self, Blob};
use sync_protocol::device_log::{self, Action, DeviceKeys, DeviceLog, Founding, RecoveryKeys};
use sync_protocol::hash::{self, Domain};
use sync_protocol::signing::SigningKey;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, SpaceId, WriterId};
use zeroize::Zeroize;

use crate::api::{CommandId, Failure, NewAccount, Response, Space};
use crate::document::Name;
use crate::engine::account::key_packages::Keys;
use crate::engine::account::lodging::Lodging;
use crate::engine::account::own_log::Wish;
use crate::engine::account::vault::Vaulting;
use crate::engine::commands::accepted_key;
use crate::engine::people::People;
use crate::engine::rows::{AccountRow, PersonRow, SignedRow, check_format};
use crate::engine::session::Session;
use crate::engine::space::Spaces;
use crate::engine::space::state::SpaceState;
use crate::engine::{Engine, OpenError, Step, read_row, seal};
use crate::group::Identity;

const RECOVERY_SIGNING: Domain = Domain::new("rejoinder recovery signing v1");
const RECOVERY_HPKE: Domain = Domain::new("rejoinder recovery hpke v1");

/// How long a sign-up waits for the relay to confirm the address before it answers anyway.
pub(in crate::engine) const SIGN_UP_WAIT_MS: u64 = 5_000;

/// Who this device is, and what it owes its account.
#[derive(Default)]
pub(in crate::engine) struct Account {
    /// None while this device has no account.
    me: Option<Me>,
    /// What is wanted in the own log and waits for what comes before it.
    wishes: VecDeque<(Action, Wish)>,
    /// Devices of the account that are still to come into its space.
    pub(in crate::engine) lodging: Lodging,
    pub(in crate::engine) vaulting: Vaulting,
    /// Key packages, published and private.
    pub(in crate::engine) keys: Keys,
    /// When the relay last saw the account's devices, once asked.
    seen: Option<Vec<(DeviceId, u64)>>,
    /// The app was told that this device is revoked.
    told_revoked: bool,
}

/// Who this device is.
pub(in crate::engine) struct Me {
    row: AccountRow,
    identity: Identity,
    writer: WriterId,
}

impl Me {
    pub(in crate::engine) fn read(value: &[u8], incarnation: u64) -> Result<Self, OpenError> {
        let row: AccountRow = read_row("account", value)?;
        check_format(row.format)?;
        Ok(Self::new(row, incarnation))
    }

    pub(in crate::engine) fn new(row: AccountRow, incarnation: u64) -> Self {
        let identity = Identity::new(row.account, SigningKey::from_bytes(&row.signing));
        let writer = WriterId { device: identity.device, incarnation };
        Self { row, identity, writer }
    }

    pub(in crate::engine) fn account(&self) -> AccountId {
        self.row.account
    }

    pub(in crate::engine) fn device(&self) -> DeviceId {
        self.identity.device
    }

    /// What is kept of the account.
    pub(in crate::engine) fn row(&self) -> &AccountRow {
        &self.row
    }

    /// What is kept of the account, to be changed: who does says so to the turn.
    pub(in crate::engine) fn row_mut(&mut self) -> &mut AccountRow {
        &mut self.row
    }

    /// Who this device is to a group.
    pub(in crate::engine) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The writer of everything cut here.
    pub(in crate::engine) fn writer(&self) -> WriterId {
        self.writer
    }

    /// From here on this device writes as somebody new.
    pub(in crate::engine) fn write_as(&mut self, incarnation: u64) {
        self.writer.incarnation = incarnation;
    }
}

impl Drop for Me {
    fn drop(&mut self) {
        self.row.signing.zeroize();
        self.row.hpke.zeroize();
        for join in &mut self.row.joins {
            join.0.zeroize();
        }
    }
}

impl Account {
    /// Who this device is, if it has an account.
    pub(in crate::engine) fn own(&self) -> Option<&Me> {
        self.me.as_ref()
    }

    /// Who this device is, to be changed.
    pub(in crate::engine) fn own_mut(&mut self) -> Option<&mut Me> {
        self.me.as_mut()
    }

    /// This device has an account from here on.
    pub(in crate::engine) fn take_up(&mut self, me: Me) {
        self.me = Some(me);
    }

    /// Whether the app was told that this device is revoked.
    pub(in crate::engine) fn was_told_revoked(&self) -> bool {
        self.told_revoked
    }

    /// The relay's time when it said who was there: this device was.
    pub(in crate::engine) fn relay_time(&self, seen: &[(DeviceId, u64)]) -> Option<u64> {
        let own = self.me().ok()?.device();
        seen.iter().find(|(device, _)| *device == own).map(|(_, at_ms)| *at_ms)
    }

    /// Whether a conversation is left out of the list: somebody blocked invited this account, which
    /// never accepted.
    pub(in crate::engine) fn is_hidden(
        &self,
        space: &SpaceState,
        all: &SortedMap<String, Value>,
    ) -> bool {
        space.row.invited_by.is_some_and(|inviter| self.blocks(&inviter))
            && all.get(&accepted_key(&space.id)) != Some(&Value::Bool(true))
    }

    pub(in crate::engine) fn blocks(&self, account: &AccountId) -> bool {
        self.me.as_ref().is_some_and(|me| me.row.blocked.contains(account))
    }

    /// Whether the account's own space is read as far as it goes.
    pub(in crate::engine) fn is_settled(&self, spaces: &Spaces) -> bool {
        let own = self.me().ok().and_then(|me| spaces.get(&me.account().space()));
        own.is_some_and(|own| own.row.active && !own.row.lagging && !own.footing.is_lost())
    }

    /// Whether the account has no name, and nobody is about to tell this device of one.
    pub(in crate::engine) fn is_nameless(&self, spaces: &Spaces) -> bool {
        self.me.as_ref().is_some_and(|me| {
            let own = spaces.get(&me.account().space());
            let read = own
                .is_some_and(|own| own.row.active && !own.row.lagging && own.row.unheard.is_none());
            me.row.name.is_empty() && read
        })
    }

    /// The document in which this account is still to say its name, if there is anybody to hear it.
    pub(in crate::engine) fn introduction_due(
        &self,
        spaces: &Spaces,
        people: &People,
        session: &Session,
        id: &SpaceId,
    ) -> Option<Name> {
        let space = spaces.get(id)?;
        let row = &space.row;
        let takes_part = row.active && !row.own && (row.invited_by.is_none() || space.answered);
        let era = row.context.era;
        let is_unknown = row.introduced.as_ref().is_none_or(|said| said.era != era);
        let due = takes_part
            && self.is_called_otherwise(spaces, id)
            && (is_unknown || (self.tells_name(people) && session.caught_up()));
        due.then_some(Name::People(era))
    }

    /// Whether this device is the one that tells others of a new name: it was chosen here, or where
    /// it was chosen is gone and this is the primary.
    pub(in crate::engine) fn tells_name(&self, people: &People) -> bool {
        let Some(me) = &self.me else { return false };
        let by = me.row.named.map(|named| named.by);
        let log = people.log(&me.account());
        match by.filter(|by| log.is_some_and(|log| log.active(by).is_some())) {
            Some(by) => by == me.device(),
            None => self.is_primary(people),
        }
    }

    /// Whether somebody may hear something in a conversation that this account is not called.
    pub(in crate::engine) fn is_called_otherwise(&self, spaces: &Spaces, id: &SpaceId) -> bool {
        let Some((space, me)) = spaces.get(id).zip(self.me.as_ref()) else {
            return false;
        };
        let row = &space.row;
        let is_told = row
            .introduced
            .as_ref()
            .is_some_and(|said| said.era == row.context.era && said.name == me.row.name);
        row.active && row.context.roster.len() > 1 && !is_told
    }

    /// Whether the log may still change by what this device did before.
    pub(in crate::engine) fn log_is_unsettled(&self, session: &Session, people: &People) -> bool {
        let Some(me) = &self.me else { return false };
        let log = people.log(&me.account());
        let comes = |device: &DeviceId| log.is_some_and(|log| log.active(device).is_some());
        session.is_writing_log()
            || self.signed_next(people).is_some()
            || me.row.unwanted.iter().any(comes)
            || !self.wishes.is_empty()
    }

    /// The entry that was signed for the next index of the log.
    pub(in crate::engine) fn signed_next(&self, people: &People) -> Option<&SignedRow> {
        let me = self.me.as_ref()?;
        let log = people.log(&me.account())?;
        me.row.signed.as_ref().filter(|signed| signed.index == log.len())
    }

    /// Whether no device of the account was there before this one: what its vault lacks, none can
    /// tell.
    pub(in crate::engine) fn is_oldest(&self, people: &People) -> bool {
        let Ok(me) = self.me() else { return false };
        let Some(log) = people.log(&me.account()) else { return false };
        let own = log.active(&me.device()).map(|device| device.added);
        log.devices().all(|(_, device)| Some(device.added) >= own)
    }

    /// Whether the account's other devices may lack what this one is about to write down for them.
    pub(in crate::engine) fn owes_vault(&self, spaces: &Spaces) -> bool {
        let Ok(account) = self.me().map(|me| me.account().space()) else { return false };
        let Some(own) = spaces.get(&account) else { return false };
        let writes = own.row.active && !own.footing.is_lost() && own.in_session.problem.is_none();
        let owed = spaces.values().any(|space| !space.row.unvaulted.is_empty());
        writes && (owed || !self.vaulting.is_stored(own))
    }

    /// Whether this space's numbers are the present writer's.
    pub(in crate::engine) fn numbers_are_current(&self, spaces: &Spaces, id: &SpaceId) -> bool {
        self.cut_writer(spaces, id) == self.writer().ok()
    }

    /// The writer whose numbers this space's cuts have: the present one, but for a while after a
    /// new incarnation.
    pub(in crate::engine) fn cut_writer(&self, spaces: &Spaces, id: &SpaceId) -> Option<WriterId> {
        let incarnation = spaces.get(id)?.row.cut_by;
        Some(WriterId { incarnation, ..self.me.as_ref()?.writer })
    }

    pub(in crate::engine) fn space_id(
        &self,
        spaces: &Spaces,
        space: Space,
    ) -> Result<SpaceId, Failure> {
        match space {
            Space::Account => Ok(self.me()?.account().space()),
            Space::Conversation(id) if spaces.contains_key(&id) => Ok(id),
            Space::Conversation(_) => Err(Failure::NotFound("conversation")),
        }
    }

    pub(in crate::engine) fn is_primary(&self, people: &People) -> bool {
        let Some(me) = &self.me else { return false };
        people.log(&me.account()).is_some_and(|log| log.primary() == me.device())
    }

    /// Whether this device brings the account back, and is not in its space yet.
    pub(in crate::engine) fn recovers(&self) -> bool {
        self.me.as_ref().is_some_and(|me| !me.row.recovering.is_empty())
    }

    pub(in crate::engine) fn is_own(&self, account: &AccountId) -> bool {
        self.me.as_ref().is_some_and(|me| me.account() == *account)
    }

    /// The writer of everything cut here.
    pub(in crate::engine) fn writer(&self) -> Result<WriterId, Failure> {
        self.me().map(|me| me.writer)
    }

    pub(in crate::engine) fn me(&self) -> Result<&Me, Failure> {
        self.me.as_ref().ok_or(Failure::NoAccount)
    }
}

impl Engine {
    pub(in crate::engine) fn create_account(
        &mut self,
        id: CommandId,
        address: &Address,
        name: &str,
    ) -> Step<Option<Response>> {
        if let Some(me) = &self.account.me {
            // The address was taken: the same account may claim another.
            if me.row.claimed || !self.session.address_is_taken() {
                return Err(Failure::HasAccount.into());
            }
            self.profile().set_name(name)?;
            let me = self.account.me.as_mut().ok_or(Failure::NoAccount)?;
            me.row.address = address.to_string();
            self.turn.unsaved.account = true;
            let code = self.session.claim_another();
            let new = self.new_account(code)?;
            self.session.await_address(id, self.turn.now + SIGN_UP_WAIT_MS, new);
            self.claim_address();
            return Ok(None);
        }
        let code = self.found_account(address, name)?;
        let new = self.new_account(code)?;
        self.session.await_address(id, self.turn.now + SIGN_UP_WAIT_MS, new);
        self.start_session();
        Ok(None)
    }

    fn new_account(&self, recovery_code: String) -> Result<NewAccount, Failure> {
        let me = self.account.me()?;
        Ok(NewAccount { account: me.account(), device: me.device(), recovery_code })
    }

    /// Draws all keys, signs the genesis with the root key and forgets that key.
    fn found_account(&mut self, address: &Address, name: &str) -> Result<String, Failure> {
        let root = SigningKey::from_bytes(&self.turn.seed());
        let signing = SigningKey::from_bytes(&self.turn.seed());
        let (hpke, hpke_public) = seal::hpke_pair(&self.turn.seed());
        let (join, join_public) = seal::hpke_pair(&self.turn.seed());
        let (code, recovery) = RecoverySecrets::draw(&self.turn.seed());
        let recovery = recovery.public();
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        let device = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: hpke_public };
        let secrets = [join.as_slice()];
        let escrow =
            escrow::seal_secrets(&recovery.hpke, (&account, 0), &secrets, &mut self.turn.rng);
        let founding = Founding { device, join: join_public, recovery, escrow };
        let entry = device_log::found(&root, &signing, founding);
        DeviceLog::verify(&account, std::slice::from_ref(&entry))
            .map_err(|error| Failure::Invalid(error.to_string()))?;
        let row = AccountRow {
            joins: vec![Blob(join.to_vec())],
            address: address.to_string(),
            name: name.to_owned(),
            claimed: false,
            device_name: name.to_owned(),
            complete: true,
            ..AccountRow::new(account, signing.to_bytes(), *hpke)
        };
        let incarnation = self.session.begin_to_write(&mut self.turn);
        self.account.take_up(Me::new(row, incarnation));
        self.turn.unsaved.account = true;
        let person = PersonRow {
            log: vec![Blob(entry)],
            address: Some(address.to_string()),
            name: name.to_owned(),
            confirmed: false,
            named: None,
        };
        self.contacts().learn_person(&account, person)?;
        self.commits().found_account_space()?;
        let device = self.account.me()?.device();
        self.profile().owe_profile();
        self.devices().record_device(&device, name, true);
        self.vault().call_vault();
        Ok(code)
    }
}

/// What a recovery code derives.
pub(in crate::engine) struct RecoverySecrets {
    signing: SigningKey,
    hpke: seal::Secret,
    hpke_public: [u8; 32],
}

impl RecoverySecrets {
    fn derive(entropy: &[u8; words::BYTES]) -> Self {
        let signing = SigningKey::from_bytes(&hash::hash(RECOVERY_SIGNING, &[entropy]));
        let (hpke, hpke_public) = seal::hpke_pair(&hash::hash(RECOVERY_HPKE, &[entropy]));
        Self { signing, hpke, hpke_public }
    }

    /// A new code as twelve words, and what it derives.
    pub(in crate::engine) fn draw(seed: &[u8; 32]) -> (String, Self) {
        let entropy = seed.first_chunk().expect("32 bytes begin with 16");
        (words::spell(entropy), Self::derive(entropy))
    }

    /// Reads a code as typed: in any case, with any blanks.
    pub(in crate::engine) fn parse(code: &str) -> Option<Self> {
        words::read(code).map(|entropy| Self::derive(&entropy))
    }

    pub(in crate::engine) fn public(&self) -> RecoveryKeys {
        let signing = self.signing.verifying_key().to_bytes();
        RecoveryKeys { signing, hpke: self.hpke_public }
    }

    pub(in crate::engine) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(in crate::engine) fn hpke(&self) -> &seal::Secret {
        &self.hpke
    }
}

/// What a device signs goes through here only for values that are hashed as encoded.
pub(in crate::engine) fn encoded<T: minicbor::Encode<()>>(value: &T) -> Blob {
    Blob(codec::encode(value))
}
