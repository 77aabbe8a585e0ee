//! What holds of every frame, whatever is in it.

use proptest::prelude::*;
use sync_protocol::codec::{self, Assembler};
use sync_protocol::envelope::Envelope;
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame};
use sync_protocol::limits;

use crate::draw::{CLIENT, Draw, RELAY};

/// What one entry of a delivery may take beyond the 16 bytes that credit counts for it.
const ENTRY_SLACK: usize = 4;
/// The same for an inbox item and its 128 bytes.
const ITEM_SLACK: usize = 8;
/// A writer in a delivery's list.
const WRITER: usize = 45;
/// All other fields of a delivery.
const DELIVERY_HEAD: usize = 320;

fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..6)
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_went(seed: u64, nth in 0..CLIENT.len().max(RELAY.len())) {
        let client = Draw(seed).client_frame(nth % CLIENT.len());
        prop_assert_eq!(ClientFrame::parse(&client.to_bytes()), Ok(client));
        let relay = Draw(seed).relay_frame(nth % RELAY.len());
        prop_assert_eq!(RelayFrame::parse(&relay.to_bytes()), Ok(relay));
    }

    #[test]
    fn no_frame_parses_cut_short_or_with_more_behind_it(
        seed: u64,
        nth in 0..CLIENT.len().max(RELAY.len()),
        cut: prop::sample::Index,
    ) {
        let client = Draw(seed).client_frame(nth % CLIENT.len()).to_bytes();
        let relay = Draw(seed).relay_frame(nth % RELAY.len()).to_bytes();
        prop_assert!(ClientFrame::parse(&client[..cut.index(client.len())]).is_err());
        prop_assert!(RelayFrame::parse(&relay[..cut.index(relay.len())]).is_err());
        prop_assert!(ClientFrame::parse(&[client.as_slice(), &[0]].concat()).is_err());
        prop_assert!(RelayFrame::parse(&[relay.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn an_altered_frame_is_an_error_or_another_whole_frame(
        seed: u64,
        nth in 0..CLIENT.len().max(RELAY.len()),
        changes in changes(),
    ) {
        let client = changed(Draw(seed).client_frame(nth % CLIENT.len()).to_bytes(), &changes);
        if let Ok(frame) = ClientFrame::parse(&client) {
            prop_assert_eq!(ClientFrame::parse(&frame.to_bytes()), Ok(frame));
        }
        let relay = changed(Draw(seed).relay_frame(nth % RELAY.len()).to_bytes(), &changes);
        if let Ok(frame) = RelayFrame::parse(&relay) {
            prop_assert_eq!(RelayFrame::parse(&frame.to_bytes()), Ok(frame));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ClientFrame::parse(&bytes);
        let _ = RelayFrame::parse(&bytes);
        let _ = Envelope::parse(&bytes);
    }

    #[test]
    fn credit_counts_what_a_delivery_takes(seed: u64, nth in 0..3usize) {
        let delivery = Draw(seed).delivery(nth);
        let slack = match &delivery {
            Delivery::Entries(entries) => {
                entries.entries.len() * ENTRY_SLACK + entries.writers.len() * WRITER
            }
            Delivery::Inbox(items) => items.len() * ITEM_SLACK,
            Delivery::UpToDate { .. } => 0,
        };
        let cost = delivery.cost() as usize;
        let length = RelayFrame::Delivery(delivery).to_bytes().len();
        prop_assert!(length <= cost + slack + DELIVERY_HEAD, "{length} for {cost}");
    }

    #[test]
    fn parts_take_one_byte_each_and_no_more(length in 0usize..30_000) {
        let parts: Vec<_> = codec::parts(&vec![7; length]).collect();
        let total: usize = parts.iter().map(Vec::len).sum();
        prop_assert_eq!(total, length + parts.len());
        prop_assert_eq!(parts.len(), length.div_ceil(limits::PART - 1).max(1));
    }

    #[test]
    fn arbitrary_parts_never_hold_more_than_the_limit(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
    ) {
        let mut assembler = Assembler::default();
        for part in parts {
            if let Ok(Some(whole)) = assembler.push(&part, 100) {
                prop_assert!(whole.len() <= 100);
            }
        }
    }
}
