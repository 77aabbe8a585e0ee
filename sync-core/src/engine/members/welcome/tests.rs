use rand_core::SeedableRng as _;
use sync_protocol::device_log::{DeviceKeys, Founding, RecoveryKeys, found};
use sync_protocol::signing::SigningKey;

use super::*;

const SPACE: SpaceId = SpaceId::from_bytes([5; 32]);

/// An inviter and a receiver, who know nothing of each other.
struct Cast {
    account: AccountId,
    signing: SigningKey,
    log: Vec<Blob>,
    receiver: DeviceId,
    secret: seal::Secret,
    public: [u8; 32],
}

fn device_of(key: &SigningKey) -> DeviceId {
    DeviceId::of_signing_key(&key.verifying_key().to_bytes())
}

impl Cast {
    fn new() -> Self {
        let (root, signing) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
        let keys = DeviceKeys { signing: signing.verifying_key().to_bytes(), hpke: [3; 32] };
        let founding = Founding {
            device: keys,
            join: [4; 32],
            recovery: RecoveryKeys { signing: [6; 32], hpke: [7; 32] },
            escrow: None,
        };
        let log = vec![Blob(found(&root, &signing, founding))];
        let (secret, public) = seal::hpke_pair(&[8; 32]);
        let receiver = device_of(&SigningKey::from_bytes(&[9; 32]));
        Self { account, signing, log, receiver, secret, public }
    }

    fn common(&self, epoch: &EpochId) -> Common {
        let grant = codec::encode(&Grant {
            from: 3,
            frontier: Vec::new(),
            log_hash: [0; 32],
            epochs: Vec::new(),
            heads: Vec::new(),
            people: Vec::new(),
            segment: 0,
            leavers: Vec::new(),
            documents: Vec::new(),
        });
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        let grant = seal::seal(&[7; 32], &grant_aad(&SPACE, epoch), &grant, &mut rng);
        Common {
            version: VERSION,
            welcome: Blob(vec![1; 10]),
            logs: vec![(self.account, self.log.clone())],
            named: Vec::new(),
            grants: vec![Blob(grant)],
        }
    }

    /// An item of this inviter's for these bytes, with a change before it is signed.
    fn item(&self, common: Vec<u8>, change: impl FnOnce(&mut Invitation)) -> InboxItem {
        let (device, epoch) = (self.receiver, EpochId::from_bytes([6; 32]));
        let mut rng = rand_chacha::ChaCha20Rng::from_seed([2; 32]);
        let aad = key_aad(&SPACE, &device, &epoch);
        let key = seal::seal_to(&self.public, &aad, &[7; 32], &mut rng).unwrap();
        let mut invitation = Invitation {
            version: VERSION,
            space: SPACE,
            device,
            epoch,
            common: hash::hash(hash::WELCOME, &[&common]),
            grant: 0,
            key: Blob(key),
        };
        change(&mut invitation);
        let signed =
            Signed::seal(&invitation, &self.signing, hash::INBOX, &[self.account.as_bytes()]);
        InboxItem {
            number: 1,
            account: self.account,
            device: device_of(&self.signing),
            time_ms: 0,
            space: Some(SPACE),
            item: encoded(&signed),
            common: Some(Blob(common)),
        }
    }

    fn read(&self, item: &InboxItem) -> Result<u64, Unfit> {
        let reader = Reader { device: self.receiver, hpke: &self.secret };
        read(item, &reader).map(|word| word.grant.from)
    }
}

const EPOCH: EpochId = EpochId::from_bytes([6; 32]);

#[test]
fn an_item_and_what_all_have_alike_are_read_together() {
    let cast = Cast::new();
    let good = cast.item(codec::encode(&cast.common(&EPOCH)), |_| {});
    assert_eq!(cast.read(&good), Ok(3));
}

#[test]
fn what_all_have_alike_must_be_the_one_that_was_signed() {
    let cast = Cast::new();
    let mine = codec::encode(&cast.common(&EPOCH));
    let item = cast.item(mine.clone(), |_| {});
    let with = |common: Option<Vec<u8>>| InboxItem { common: common.map(Blob), ..item.clone() };
    assert_eq!(cast.read(&with(None)), Err(Unfit::Bare));
    let mut other = cast.common(&EPOCH);
    other.welcome = Blob(vec![2; 10]);
    assert_eq!(cast.read(&with(Some(codec::encode(&other)))), Err(Unfit::OtherCommon));
    assert_eq!(cast.read(&with(Some(Vec::new()))), Err(Unfit::OtherCommon));
    assert_eq!(cast.read(&with(Some(vec![0; limits::WELCOME + 1]))), Err(Unfit::TooLarge));
    let too_large = vec![0; limits::WELCOME + 1];
    assert_eq!(cast.read(&cast.item(too_large, |_| {})), Err(Unfit::TooLarge));
    let garbage = cast.item(b"garbage".to_vec(), |_| {});
    assert_eq!(cast.read(&garbage), Err(Unfit::Malformed("welcome")));
}

#[test]
fn nothing_of_another_space_or_epoch_fits() {
    let cast = Cast::new();
    let mine = codec::encode(&cast.common(&EPOCH));
    let elsewhere = cast.item(mine.clone(), |item| item.space = SpaceId::from_bytes([1; 32]));
    assert_eq!(cast.read(&elsewhere), Err(Unfit::OtherSpace));
    let later = cast.item(mine, |item| item.epoch = EpochId::from_bytes([1; 32]));
    assert_eq!(cast.read(&later), Err(Unfit::Grant));
    let grant_of_another = codec::encode(&cast.common(&EpochId::from_bytes([1; 32])));
    assert_eq!(cast.read(&cast.item(grant_of_another, |_| {})), Err(Unfit::Grant));
    let no_such_grant = cast.item(codec::encode(&cast.common(&EPOCH)), |item| item.grant = 1);
    assert_eq!(cast.read(&no_such_grant), Err(Unfit::Grant));
}

#[test]
fn only_the_inviters_own_signature_makes_it_its_word() {
    let cast = Cast::new();
    let mine = codec::encode(&cast.common(&EPOCH));
    let mut forged = cast.item(mine.clone(), |_| {});
    *forged.item.0.last_mut().unwrap() ^= 1;
    assert_eq!(cast.read(&forged), Err(Unfit::Signature));
    let mut bare = cast.common(&EPOCH);
    bare.logs.clear();
    assert_eq!(cast.read(&cast.item(codec::encode(&bare), |_| {})), Err(Unfit::Inviter));
    let by_another = InboxItem { device: cast.receiver, ..cast.item(mine.clone(), |_| {}) };
    assert_eq!(cast.read(&by_another), Err(Unfit::Inviter));
    let for_another = cast.item(mine, |item| item.device = device_of(&cast.signing));
    assert_eq!(cast.read(&for_another), Err(Unfit::NotOurs));
}

#[test]
fn lists_have_a_limit() {
    let cast = Cast::new();
    let mut many = cast.common(&EPOCH);
    let head = LogHead::from_bytes([1; 32]);
    many.named = (0..=limits::LEAVES).map(|_| (cast.account, 1, head)).collect();
    let item = cast.item(codec::encode(&many), |_| {});
    assert_eq!(cast.read(&item), Err(Unfit::Malformed("welcome")));
}
