//! What the recovery code needs besides the log, sealed to the recovery key in the log's own
//! entries (`docs/protocol.md`, "Recovery").
//!
//! A device can be lost between signing an entry and writing down in the vault what goes with it.
//! With the secrets in the entry itself, whoever has the newest code is never short of a key.

use rand_core::CryptoRng;
use sync_protocol::AccountId;
use sync_protocol::codec::Blob;
use sync_protocol::device_log::LogEntry;
use sync_protocol::signing::Signed;

use crate::engine::seal;

/// Bytes of a private HPKE key.
const SECRET: usize = 32;
/// Secrets in one entry that are looked at.
const SECRETS: usize = 8;

/// Seals private HPKE keys to the recovery key that is in force after the entry at `index`.
pub(in crate::engine) fn seal_secrets(
    recovery: &[u8; 32],
    (account, index): (&AccountId, u64),
    secrets: &[&[u8]],
    rng: &mut impl CryptoRng,
) -> Option<Blob> {
    if secrets.is_empty() {
        return None;
    }
    seal::seal_to(recovery, &context(account, index), &secrets.concat(), rng).ok().map(Blob)
}

/// All secrets that a log holds for a recovery key: the newest entry's open first, and may yield
/// the key that opens those before it.
pub(in crate::engine) fn open_secrets(
    account: &AccountId,
    entries: &[Blob],
    recovery: &[u8; SECRET],
) -> Vec<Blob> {
    let mut known = vec![*recovery];
    for (index, entry) in entries.iter().enumerate().rev() {
        let Ok(signed) = minicbor::decode::<Signed<LogEntry>>(entry.as_slice()) else { continue };
        let Ok(entry) = signed.peek("device log entry") else { continue };
        let Some(escrow) = entry.escrow else { continue };
        let context = context(account, index as u64);
        let open = |key| seal::open_from(key, &context, escrow.as_slice()).ok();
        let Some(opened) = known.iter().rev().find_map(open) else { continue };
        let secrets = opened.chunks_exact(SECRET).take(SECRETS);
        known.extend(secrets.filter_map(|secret| <[u8; SECRET]>::try_from(secret).ok()));
    }
    known.into_iter().map(|secret| Blob(secret.to_vec())).collect()
}

fn context(account: &AccountId, index: u64) -> Vec<u8> {
    [b"escrow".as_slice(), account.as_bytes(), &index.to_be_bytes()].concat()
}
