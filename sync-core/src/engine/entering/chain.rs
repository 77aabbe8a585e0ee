//! The epochs of the account's own space, as its ticket has them: each is sealed for who knows the one before,
//! and the root of the first for who knows it, and for the recovery code. So a device reads on from where it was let in, and nothing before: one
//! that was linked without history opens none of those that it was not to read.

use rand_core::CryptoRng;
use sync_protocol::EpochId;
use sync_protocol::codec::{self, Blob};

use crate::engine::rows::EpochRow;
use crate::engine::seal;

/// Seals epochs, from the oldest on, and the root of the oldest to the recovery key.
pub(super) fn sealed(
    mut epochs: Vec<(EpochId, EpochRow)>,
    recovery: &[u8; 32],
    context: &[u8],
    rng: &mut impl CryptoRng,
) -> (Blob, Vec<(EpochId, Blob)>) {
    epochs.sort_unstable_by_key(|(epoch, row)| (row.number, *epoch));
    let mut before = epochs.first().map(|(_, row)| row.root).unwrap_or_default();
    // Whoever can't seal to the recovery key could leave no ticket either.
    let first = seal::seal_to(recovery, context, &before, rng).unwrap_or_default();
    let mut all = Vec::with_capacity(epochs.len());
    for (epoch, row) in epochs {
        let bytes = codec::encode(&row);
        all.push((epoch, Blob(seal::seal(&seal::chain_key(&before), context, &bytes, rng))));
        before = row.root;
    }
    (Blob(first), all)
}

/// Opens those that follow one that is known. Any of these may be the first one's root, or open it.
pub(super) fn opened(
    (first, chain): (&Blob, &[(EpochId, Blob)]),
    known: impl Fn(&EpochId) -> Option<EpochRow>,
    secrets: &[Blob],
    context: &[u8],
) -> Vec<(EpochId, EpochRow)> {
    let secrets = secrets.iter().filter_map(|secret| <[u8; 32]>::try_from(secret.as_slice()).ok());
    let mut roots: Vec<[u8; 32]> = secrets.collect();
    for at in 0..roots.len() {
        let opened = roots.get(at).and_then(|secret| {
            let root = seal::open_from(secret, context, first.as_slice()).ok()?;
            <[u8; 32]>::try_from(root).ok()
        });
        roots.extend(opened);
    }
    let mut all = Vec::new();
    for (epoch, sealed) in chain {
        let open = |root: &[u8; 32]| {
            let bytes = seal::open(&seal::chain_key(root), context, sealed.as_slice()).ok()?;
            codec::decode_exact("epoch", &bytes).ok()
        };
        let row: Option<EpochRow> = roots.iter().find_map(open).or_else(|| known(epoch));
        roots = row.iter().map(|row| row.root).collect();
        all.extend(row.map(|row| (*epoch, row)));
    }
    all
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    const CONTEXT: &[u8] = b"here";

    fn epoch(number: u64) -> (EpochId, EpochRow) {
        let n = u8::try_from(number).unwrap();
        let row = EpochRow { number, index: number, root: [n; 32], binding: [n; 32], era: 0 };
        (EpochId::from_bytes([100 - n; 32]), row)
    }

    /// Epochs 0 to 4 in a ticket, and the private half of the recovery key.
    fn ticket() -> (Blob, Vec<(EpochId, Blob)>, Blob) {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let (secret, public) = seal::hpke_pair(&[4; 32]);
        let epochs = [3, 0, 4, 1, 2].map(epoch).to_vec();
        let (first, chain) = sealed(epochs, &public, CONTEXT, &mut rng);
        (first, chain, Blob(secret.to_vec()))
    }

    fn numbers(found: &[(EpochId, EpochRow)]) -> Vec<u64> {
        found.iter().map(|(_, row)| row.number).collect()
    }

    #[test]
    fn who_knows_one_opens_those_after_it_alone() {
        let (first, chain, _) = ticket();
        for from in 0..5 {
            let (id, row) = epoch(from);
            let knows = |epoch: &EpochId| (*epoch == id).then(|| row.clone());
            let found = opened((&first, &chain), knows, &[], CONTEXT);
            assert_eq!(numbers(&found), (from..5).collect::<Vec<_>>());
            // A later root is none of the first epoch.
            let found = opened((&first, &chain), |_| None, &[Blob(row.root.to_vec())], CONTEXT);
            assert_eq!(found.len(), if from == 0 { 5 } else { 0 });
        }
        assert!(opened((&first, &chain), |_| None, &[], CONTEXT).is_empty());
    }

    #[test]
    fn the_recovery_code_opens_all_and_no_other_key_does() {
        let (first, chain, secret) = ticket();
        let other = Blob(seal::hpke_pair(&[5; 32]).0.to_vec());
        let keys = [other.clone(), secret];
        let open =
            |keys: &[Blob], context: &[u8]| opened((&first, &chain), |_| None, keys, context);
        assert_eq!(numbers(&open(&keys, CONTEXT)), [0, 1, 2, 3, 4]);
        assert!(open(&[other], CONTEXT).is_empty());
        assert!(open(&keys, b"elsewhere").is_empty());
    }

    #[test]
    fn one_that_is_garbled_ends_what_can_be_opened() {
        let (first, mut chain, secret) = ticket();
        chain[2].1.0[20] ^= 1;
        let secrets = [secret];
        let found = opened((&first, &chain), |_| None, &secrets, CONTEXT);
        assert_eq!(numbers(&found), [0, 1]);
        // Who was there goes on behind it.
        let (id, row) = epoch(3);
        let knows = |epoch: &EpochId| (*epoch == id).then(|| row.clone());
        assert_eq!(numbers(&opened((&first, &chain), knows, &secrets, CONTEXT)), [0, 1, 3, 4]);
    }
}
