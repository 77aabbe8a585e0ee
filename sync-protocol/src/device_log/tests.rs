//! What a device log accepts and refuses.

use super::*;

struct Person {
    account: AccountId,
    primary: SigningKey,
    recovery: SigningKey,
    log: DeviceLog,
}

fn keys(key: &SigningKey) -> DeviceKeys {
    DeviceKeys { signing: key.verifying_key().to_bytes(), hpke: [1; 32] }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn recovery_keys(key: &SigningKey) -> RecoveryKeys {
    RecoveryKeys { signing: key.verifying_key().to_bytes(), hpke: [2; 32] }
}

fn person() -> Person {
    let (root, primary, recovery) = (key(1), key(2), key(3));
    let public = root.verifying_key().to_bytes();
    let account = AccountId::of_root_key(&public);
    let founding = Founding {
        device: keys(&primary),
        join: [4; 32],
        recovery: recovery_keys(&recovery),
        escrow: None,
    };
    let log = DeviceLog::verify(&account, &[found(&root, &primary, founding)]);
    Person { account, primary, recovery, log: log.expect("a good genesis") }
}

impl Person {
    fn next(&self, action: Action, key: &SigningKey) -> Vec<u8> {
        let previous = self.log.head();
        let entry = LogEntry { version: 1, index: self.log.len(), previous, action, escrow: None };
        sign_entry(&self.account, &entry, key)
    }

    fn add(&self, device: &SigningKey) -> Action {
        let (index, head) = (self.log.len(), self.log.head());
        let signature = countersign(&self.account, index, &head, &keys(device), device);
        Action::AddDevice { device: keys(device), countersignature: signature.to_vec() }
    }
}

#[test]
fn an_account_begins_with_no_device_that_did_not_say_so() {
    let (root, victim) = (key(11), person());
    let public = root.verifying_key().to_bytes();
    let account = AccountId::of_root_key(&public);
    let (device, join) = (keys(&victim.primary), [4; 32]);
    let recovery = recovery_keys(&key(12));
    let Action::Genesis { countersignature: elsewhere, .. } =
        parse(&victim.log.entries()[0]).unwrap().peek("entry").unwrap().action
    else {
        panic!("a log begins with a genesis")
    };
    for countersignature in [vec![0; SIGNATURE], elsewhere] {
        let action = Action::Genesis { root: public, device, join, recovery, countersignature };
        let previous = LogHead::from_bytes([0; 32]);
        let entry = LogEntry { version: 1, index: 0, previous, action, escrow: None };
        let log = DeviceLog::verify(&account, &[sign_entry(&account, &entry, &root)]);
        assert_eq!(log, Err(ProtocolError::BadSignature("countersignature")));
    }
}

#[test]
fn an_entry_has_one_spelling() {
    let ada = person();
    let entry = &ada.log.entries()[0];
    let longer = [&[0xa2, 0x18, 0x00], &entry[2..]].concat();
    let log = DeviceLog::verify(&ada.account, &[longer]);
    assert_eq!(log, Err(ProtocolError::Spelling("device log entry")));
}

#[test]
fn a_device_joins_with_both_signatures_and_no_less() {
    let mut ada = person();
    let companion = key(7);
    let good = ada.add(&companion);
    assert!(ada.log.append(&ada.next(good.clone(), &companion)).is_err());
    let forged =
        Action::AddDevice { device: keys(&companion), countersignature: vec![0; SIGNATURE] };
    assert!(ada.log.append(&ada.next(forged, &ada.primary)).is_err());
    assert_eq!(ada.log.len(), 1);
    let entry = ada.next(good, &ada.primary);
    assert_eq!(ada.log.append(&entry), Ok(()));
    assert!(ada.log.active(&keys(&companion).id()).is_some());
    assert_eq!(DeviceLog::verify(&ada.account, ada.log.entries()), Ok(ada.log.clone()));
    assert!(ada.log.append(&entry).is_err(), "an entry does not follow itself");
}

#[test]
fn a_revoked_device_signs_nothing_and_never_returns() {
    let mut ada = person();
    let companion = key(7);
    let add = ada.next(ada.add(&companion), &ada.primary);
    ada.log.append(&add).expect("a good entry");
    let id = keys(&companion).id();
    let revoke = Action::Revoke { device: id, join: [5; 32], cuts: Vec::new() };
    let by_itself = ada.next(revoke, &companion);
    ada.log.append(&by_itself).expect("a device may log itself out");
    assert_eq!(ada.log.join(), &[5; 32]);
    assert!(ada.log.active(&id).is_none());
    let change = Action::ChangePrimary { device: id };
    assert!(ada.log.append(&ada.next(change, &ada.primary)).is_err());
    let again = ada.next(ada.add(&companion), &ada.primary);
    assert!(ada.log.append(&again).is_err());
}

#[test]
fn recovery_ends_all_earlier_devices() {
    let mut ada = person();
    let fresh = key(8);
    let (index, head) = (ada.log.len(), ada.log.head());
    let signature = countersign(&ada.account, index, &head, &keys(&fresh), &fresh);
    let recover = Action::Recover {
        device: keys(&fresh),
        join: [6; 32],
        recovery: recovery_keys(&key(9)),
        countersignature: signature.to_vec(),
    };
    assert!(ada.log.append(&ada.next(recover.clone(), &ada.primary)).is_err());
    ada.log.append(&ada.next(recover, &ada.recovery)).expect("the code's key may recover");
    assert_eq!(ada.log.primary(), keys(&fresh).id());
    assert_eq!(ada.log.devices().count(), 1);
    let old = Action::RotateJoinKey { join: [7; 32] };
    assert!(ada.log.append(&ada.next(old, &ada.primary)).is_err());
}

#[test]
fn a_log_belongs_to_one_account() {
    let ada = person();
    let other = AccountId::of_root_key(&[1; 32]);
    assert!(DeviceLog::verify(&other, ada.log.entries()).is_err());
    assert!(DeviceLog::verify::<Vec<u8>>(&ada.account, &[]).is_err());
}

#[test]
fn a_log_cut_short_or_reordered_has_another_head() {
    let mut ada = person();
    let before = ada.log.head();
    let rotate = ada.next(Action::RotateJoinKey { join: [7; 32] }, &ada.primary);
    ada.log.append(&rotate).expect("a good entry");
    assert_ne!(before, ada.log.head());
    let swapped: Vec<_> = ada.log.entries().iter().rev().cloned().collect();
    assert!(DeviceLog::verify(&ada.account, &swapped).is_err());
}
