//! This device's account: founding it, and who this device is.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::{self, DeviceKeys, DeviceLog, Founding, RecoveryKeys};
use sync_protocol::hash::{self, Domain};
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, DeviceId, WriterId, codec};
use zeroize::Zeroize;

use crate::api::{CommandId, Failure, NewAccount, Response};
use crate::engine::rows::{AccountRow, FORMAT, PersonRow, check_format};
use crate::engine::{Engine, OpenError, Step, escrow, read_row, seal, words};
use crate::group::Identity;

const RECOVERY_SIGNING: Domain = Domain::new("rejoinder recovery signing v1");
const RECOVERY_HPKE: Domain = Domain::new("rejoinder recovery hpke v1");

/// How long a sign-up waits for the relay to confirm the address before it answers anyway.
pub(super) const SIGN_UP_WAIT_MS: u64 = 5_000;

/// Who this device is.
pub(super) struct Me {
    pub(super) row: AccountRow,
    pub(super) identity: Identity,
    pub(super) writer: WriterId,
}

impl Me {
    pub(super) fn read(value: &[u8], incarnation: u64) -> Result<Self, OpenError> {
        let row: AccountRow = read_row("account", value)?;
        check_format(row.format)?;
        Ok(Self::new(row, incarnation))
    }

    pub(super) fn new(row: AccountRow, incarnation: u64) -> Self {
        let identity = Identity::new(row.account, SigningKey::from_bytes(&row.signing));
        let writer = WriterId { device: identity.device, incarnation };
        Self { row, identity, writer }
    }

    pub(super) fn account(&self) -> AccountId {
        self.row.account
    }

    pub(super) fn device(&self) -> DeviceId {
        self.identity.device
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

impl Engine {
    pub(super) fn me(&self) -> Result<&Me, Failure> {
        self.me.as_ref().ok_or(Failure::NoAccount)
    }

    /// The writer of everything cut here.
    pub(super) fn writer(&self) -> Result<WriterId, Failure> {
        self.me().map(|me| me.writer)
    }

    pub(super) fn create_account(
        &mut self,
        id: CommandId,
        address: &Address,
        name: &str,
    ) -> Step<Option<Response>> {
        if let Some(me) = &self.me {
            // The address was taken: the same account may claim another.
            if me.row.claimed || !self.session.address_taken {
                return Err(Failure::HasAccount.into());
            }
            self.set_name(name)?;
            let me = self.me.as_mut().ok_or(Failure::NoAccount)?;
            me.row.address = address.to_string();
            self.session.address_taken = false;
            self.unsaved.account = true;
            let new = self.new_account(self.session.recovery_code.clone().unwrap_or_default())?;
            self.session.sign_up = Some((id, self.now + SIGN_UP_WAIT_MS, new));
            self.claim_address();
            return Ok(None);
        }
        let code = self.found_account(address, name)?;
        let new = self.new_account(code)?;
        self.session.recovery_code = Some(new.recovery_code.clone());
        self.session.sign_up = Some((id, self.now + SIGN_UP_WAIT_MS, new));
        self.start_session();
        Ok(None)
    }

    fn new_account(&self, recovery_code: String) -> Result<NewAccount, Failure> {
        let me = self.me()?;
        Ok(NewAccount { account: me.account(), device: me.device(), recovery_code })
    }

    /// Draws all keys, signs the genesis with the root key and forgets that key.
    fn found_account(&mut self, address: &Address, name: &str) -> Result<String, Failure> {
        let root = SigningKey::from_bytes(&self.seed());
        let signing = SigningKey::from_bytes(&self.seed());
        let (hpke, hpke_public) = seal::hpke_pair(&self.seed());
        let (join, join_public) = seal::hpke_pair(&self.seed());
        let (code, recovery) = RecoverySecrets::draw(&self.seed());
        let recovery = recovery.public();
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        let device = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: hpke_public };
        let secrets = [join.as_slice()];
        let escrow = escrow::seal_secrets(&recovery.hpke, (&account, 0), &secrets, &mut self.rng);
        let founding = Founding { device, join: join_public, recovery, escrow };
        let entry = device_log::found(&root, &signing, founding);
        DeviceLog::verify(&account, std::slice::from_ref(&entry))
            .map_err(|error| Failure::Invalid(error.to_string()))?;
        let row = AccountRow {
            format: FORMAT,
            account,
            signing: signing.to_bytes(),
            hpke: *hpke,
            joins: vec![Blob(join.to_vec())],
            address: address.to_string(),
            name: name.to_owned(),
            claimed: false,
            device_name: name.to_owned(),
            complete: true,
            recovering: Vec::new(),
            linking: Vec::new(),
            named: None,
            blocked: Vec::new(),
            signed: None,
            unwanted: Vec::new(),
        };
        self.session.row.incarnation = self.nonzero();
        self.me = Some(Me::new(row, self.session.row.incarnation));
        self.unsaved.account = true;
        self.unsaved.session = true;
        let person = PersonRow {
            log: vec![Blob(entry)],
            address: Some(address.to_string()),
            name: name.to_owned(),
            confirmed: false,
            named: None,
        };
        self.learn_person(&account, person)?;
        self.found_account_space()?;
        let device = self.me()?.device();
        self.owe_profile();
        self.record_device(&device, name, true);
        self.call_vault();
        Ok(code)
    }
}

/// What a recovery code derives.
pub(super) struct RecoverySecrets {
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
    pub(super) fn draw(seed: &[u8; 32]) -> (String, Self) {
        let entropy = seed.first_chunk().expect("32 bytes begin with 16");
        (words::spell(entropy), Self::derive(entropy))
    }

    /// Reads a code as typed: in any case, with any blanks.
    pub(super) fn parse(code: &str) -> Option<Self> {
        words::read(code).map(|entropy| Self::derive(&entropy))
    }

    pub(super) fn public(&self) -> RecoveryKeys {
        let signing = self.signing.verifying_key().to_bytes();
        RecoveryKeys { signing, hpke: self.hpke_public }
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(super) fn hpke(&self) -> &seal::Secret {
        &self.hpke
    }
}

/// What a device signs goes through here only for values that are hashed as encoded.
pub(super) fn encoded<T: minicbor::Encode<()>>(value: &T) -> Blob {
    Blob(codec::encode(value))
}
