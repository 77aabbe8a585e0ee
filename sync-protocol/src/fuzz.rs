//! What a fuzzer does to everything here that reads others' bytes. Built for tests, which go through
//! all that was kept, and for `cargo xtask fuzz`.
//!
//! Each function panics if something does not hold. What a fuzzer's bytes alone would never get
//! past, a signature or a hash, is made from choices: the bytes say what is written and by whom.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc)]

#[path = "../../fuzz/kit.rs"]
mod kit;

use crate::codec::{self, Assembler, Blob};
use crate::device_log::{
    Action, DeviceKeys, DeviceLog, Founding, LogEntry, RecoveryKeys, countersign, found, sign_entry,
};
use crate::envelope::Envelope;
use crate::frames::{ClientFrame, RelayFrame};
use crate::ids::LogHead;
use crate::roster::Roster;
use crate::signing::SigningKey;
use crate::{AccountId, SpaceId, WriterId, limits};
use kit::{Choices, Target};

/// All targets of this crate.
pub const TARGETS: [Target; 3] =
    [("frames", frames), ("envelopes", envelopes), ("device_logs", device_logs)];

/// What devices and relays say, whole and in parts.
pub fn frames(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 3 {
        0 => {
            let Ok(frame) = ClientFrame::parse(bytes) else { return };
            let once = frame.to_bytes();
            let again = ClientFrame::parse(&once).expect("reads what it wrote");
            assert_eq!(again.to_bytes(), once);
            if let ClientFrame::Push(push) = frame {
                push.envelopes.iter().for_each(|bytes| drop(Envelope::parse(bytes.as_slice())));
            }
        }
        1 => {
            let Ok(frame) = RelayFrame::parse(bytes) else { return };
            let once = frame.to_bytes();
            let again = RelayFrame::parse(&once).expect("reads what it wrote");
            assert_eq!(again.to_bytes(), once);
            let parts = parted(&frame.to_parts(), limits::PART);
            assert_eq!(parts.as_deref(), Some(once.as_slice()), "in parts as in one");
        }
        _ => {
            // Bytes as they come, cut where they say, against a small limit.
            let mut assembler = Assembler::default();
            let mut rest = bytes;
            while let Some((&len, after)) = rest.split_first() {
                let (part, after) = after.split_at(usize::from(len).min(after.len()));
                if let Ok(Some(whole)) = assembler.push(part, 600) {
                    assert!(whole.len() <= 600);
                }
                rest = after;
            }
        }
    }
}

fn parted(row: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut assembler = Assembler::default();
    row.chunks(most).find_map(|part| assembler.push(part, limits::MESSAGE).ok().flatten())
}

/// Sealed change sets and handshakes: their public side.
pub fn envelopes(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert_eq!(envelope.as_bytes(), data, "kept as received");
    assert_eq!(codec::encode(&envelope.header), envelope.header_bytes(), "one spelling");
    let (space, key) = (SpaceId::from_bytes([1; 32]), SigningKey::from_bytes(&[2; 32]));
    let writer = writer(&key);
    assert!(envelope.verify(&space, &writer, &key.verifying_key().to_bytes()).is_err());
    let _ = (envelope.names_its_epoch(&space), envelope.intent_hash(&space, &writer));
    let Ok(commit) = envelope.commit() else { return };
    let _ = (commit.ended().count(), commit.cuts_fit(envelope.header.cursor));
    let account = AccountId::of_root_key(&[1; 32]);
    // A roster follows from changes or does not; it never grows past its limit.
    if let Ok(after) = Roster::founded_by(account).after(&account, &commit.roster, &[]) {
        assert!(after.len() <= commit.roster.len() + 1);
    }
    // The same, said by a member: it holds under that member's key alone.
    let payload = envelope.payload().to_vec();
    let signed = Envelope::sign(&space, &writer, envelope.header, payload, &key);
    assert!(signed.verify(&space, &writer, &key.verifying_key().to_bytes()).is_ok());
    let read = Envelope::parse(signed.as_bytes());
    assert_eq!(read.map(Envelope::into_bytes), Ok(signed.to_bytes()), "a member can say it");
}

fn writer(key: &SigningKey) -> WriterId {
    let device = DeviceKeys { signing: key.verifying_key().to_bytes(), hpke: [0; 32] }.id();
    WriterId { device, incarnation: 1 }
}

/// Somebody's device log, entry by entry: by the right key and by wrong ones, at the right place
/// and at others, altered after it was signed.
pub fn device_logs(data: &[u8]) {
    let mut choices = Choices::new(data);
    let keys: Vec<SigningKey> = (1..8).map(|n| SigningKey::from_bytes(&[n; 32])).collect();
    let root = SigningKey::from_bytes(&[99; 32]);
    let account = AccountId::of_root_key(&root.verifying_key().to_bytes());
    let founding = Founding {
        device: keys_of(&keys[0]),
        join: [2; 32],
        recovery: recovery(&keys, 6),
        escrow: None,
    };
    let genesis = found(&root, &keys[0], founding);
    let mut log = DeviceLog::verify(&account, &[&genesis]).expect("is founded by the book");
    for _ in 0..40 {
        if choices.is_over() {
            break;
        }
        let entry = entry(&mut choices, &keys, &log);
        let before = log.clone();
        match log.append(&entry) {
            Ok(()) => {
                assert_eq!(log.len(), before.len() + 1);
                assert!(log.active(&log.primary()).is_some(), "the primary is a device");
                assert_eq!(log.head_at(before.len()), Some(before.head()));
                assert!(log.devices().count() <= limits::DEVICES);
            }
            Err(_) => assert_eq!(log, before, "what is refused changes nothing"),
        }
    }
    assert_eq!(DeviceLog::verify(&account, log.entries()).as_ref(), Ok(&log));
}

fn keys_of(key: &SigningKey) -> DeviceKeys {
    DeviceKeys { signing: key.verifying_key().to_bytes(), hpke: [1; 32] }
}

fn recovery(keys: &[SigningKey], n: usize) -> RecoveryKeys {
    RecoveryKeys { signing: keys[n % keys.len()].verifying_key().to_bytes(), hpke: [3; 32] }
}

fn entry(choices: &mut Choices<'_>, keys: &[SigningKey], log: &DeviceLog) -> Vec<u8> {
    let odd = choices.byte();
    let by = &keys[choices.below(keys.len())];
    let of = &keys[choices.below(keys.len())];
    let account = log.account();
    let index = if odd & 1 == 0 { log.len() } else { u64::from(choices.byte()) };
    let previous = if odd & 2 == 0 { log.head() } else { LogHead::from_bytes([7; 32]) };
    let device = keys_of(of);
    let signer = if odd & 4 == 0 { of } else { by };
    let countersignature = countersign(&account, index, &previous, &device, signer).to_vec();
    let join = [choices.byte(); 32];
    let action = match choices.below(7) {
        0 => Action::AddDevice { device, countersignature },
        1 => Action::Revoke { device: device.id(), join, cuts: Vec::new() },
        2 => Action::RotateJoinKey { join },
        3 => Action::SetRecovery { recovery: recovery(keys, choices.below(7)) },
        4 => Action::ChangePrimary { device: device.id() },
        5 => {
            let recovery = recovery(keys, choices.below(7));
            Action::Recover { device, join, recovery, countersignature }
        }
        _ => {
            let (root, recovery) = (by.verifying_key().to_bytes(), recovery(keys, 1));
            Action::Genesis { root, device, join, recovery, countersignature }
        }
    };
    let escrow = (odd & 8 != 0).then(|| Blob(choices.bytes().to_vec()));
    let version = if odd & 16 == 0 { 1 } else { choices.byte() };
    let entry = LogEntry { version, index, previous, action, escrow };
    let mut bytes = match odd & 32 {
        0 => sign_entry(&account, &entry, by),
        // As another account's.
        _ => sign_entry(&AccountId::of_root_key(&[5; 32]), &entry, by),
    };
    if odd & 64 != 0 {
        let at = choices.below(bytes.len());
        bytes[at] ^= choices.byte();
    }
    if odd & 128 != 0 {
        bytes.extend_from_slice(choices.bytes());
    }
    bytes
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::kit::{replay, seeds};
    use super::*;

    #[test]
    fn what_is_kept_of_fuzzing_still_holds() {
        all_seeds();
        replay(&TARGETS);
    }

    /// What a fuzzer begins with: the protocol's vectors, and logs that use each kind of entry.
    fn all_seeds() {
        let mut frames = Vec::new();
        for bytes in vectors(include_str!("../../docs/vectors/frames.json")) {
            let is_client = ClientFrame::parse(&bytes).is_ok();
            let is_relay = RelayFrame::parse(&bytes).is_ok();
            frames.extend(is_client.then(|| [&[0], bytes.as_slice()].concat()));
            frames.extend(is_relay.then(|| [&[1], bytes.as_slice()].concat()));
        }
        frames.push(vec![2, 3, 1, 7, 7, 2, 0, 7]);
        seeds("frames", frames);
        let envelopes = vectors(include_str!("../../docs/vectors/envelopes.json"));
        seeds("envelopes", envelopes.into_iter().filter(|bytes| Envelope::parse(bytes).is_ok()));
        // [odd, by, of, join, what, ..]: a device comes, another, the primary changes, one ends,
        // recovery, and what is not right.
        let logs: [&[u8]; 5] = [
            &[0, 0, 1, 9, 0, 0, 0, 2, 9, 0, 0, 0, 1, 9, 4, 0, 1, 2, 8, 1],
            &[0, 0, 1, 9, 0, 0, 6, 2, 9, 5, 5, 0, 5, 3, 9, 5, 6],
            &[0, 0, 0, 9, 2, 0, 0, 0, 9, 3, 4, 8, 0, 0, 7, 2, 3, 0, 1, 2, 3],
            &[0, 0, 1, 9, 0, 0, 1, 1, 9, 1, 4, 0, 2, 9, 0, 32, 0, 2, 9, 0],
            &[16, 0, 0, 9, 2, 2, 64, 0, 0, 9, 2, 30, 7, 128, 0, 0, 9, 2, 1, 0, 5],
        ];
        seeds("device_logs", logs.map(<[u8]>::to_vec));
    }

    /// Every text of hex digits under `bytes`, wherever it is.
    fn vectors(json: &str) -> Vec<Vec<u8>> {
        fn walk(value: &serde_json::Value, out: &mut Vec<Vec<u8>>) {
            match value {
                serde_json::Value::Array(all) => all.iter().for_each(|value| walk(value, out)),
                serde_json::Value::Object(all) => {
                    let bytes = all.get("bytes").and_then(|text| text.as_str());
                    out.extend(bytes.and_then(|text| crate::text::HEX.decode(text).ok()));
                    all.values().for_each(|value| walk(value, out));
                }
                _ => {}
            }
        }
        let mut out = Vec::new();
        walk(&serde_json::from_str(json).expect("is JSON"), &mut out);
        out
    }
}
