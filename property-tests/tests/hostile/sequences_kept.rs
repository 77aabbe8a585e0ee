//! All that was kept of fuzzing whole sequences.

use crate::kit;
use crate::sequences::TARGETS;

#[test]
fn what_is_kept_of_fuzzed_sequences_still_holds() {
    all_seeds();
    kit::replay(&TARGETS);
}

/// [how, counter, segment, what, between..] for each entry; [history, (how, which)..].
fn all_seeds() {
    let good = [11, 1, 0, 5, 3];
    let entries: [Vec<u8>; 6] = [
        [good, good, good].concat(),
        [&good[..], &[1, 1, 0, 5, 0], &[2, 2, 0, 5, 3, 0, 7, 7, 7, 1], &good].concat(),
        [&good[..], &[0, 0, 3], &[11, 0, 0, 0, 2], &[11, 0, 0, 1, 3]].concat(),
        [&good[..], &[3, 3, 0, 5, 2, 9, 3], &[3, 4, 0, 5, 0, 4, 1], &good].concat(),
        [&good[..], &[4, 5, 0, 5, 1, 0, 1, 3], &[4, 6, 0, 5, 0, 2, 1, 0], &good].concat(),
        [&good[..], &[5, 7, 0, 5, 3, 0, 1, 2, 3, 3], &[6, 8, 5, 5, 30, 4, 3], &good].concat(),
    ];
    kit::seeds("entries", entries);
    let links: [&[u8]; 6] = [
        &[0, 0, 0, 0, 0],
        &[1, 2, 0, 2, 0, 2, 0],
        &[0, 0, 0, 3, 40, 0, 0],
        &[0, 1, 0],
        &[0, 0, 0, 0, 0, 5, 0],
        &[0, 6, 0, 7, 0, 4, 9],
    ];
    kit::seeds("links", links.map(<[u8]>::to_vec));
}
