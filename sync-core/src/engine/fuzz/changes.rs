//! Changes to documents: well-formed as far as a hash goes, and of any content.

use sync_protocol::hash::sha256;
use sync_protocol::ids::WriterId;
use sync_protocol::{DeviceId, SpaceId};

use super::SPACE;
use super::kit::Choices;
use crate::document::{Document, Name, Placement, Row, change_hash};

/// Changes in one input at most.
const MOST: usize = 24;

pub(super) fn writer(n: usize) -> WriterId {
    let n = u8::try_from(n % 3).unwrap_or_default();
    WriterId { device: DeviceId::of_signing_key(&[n; 32]), incarnation: u64::from(n) }
}

pub(super) fn name(n: u8) -> Name {
    match n % 7 {
        0 => Name::Messages(0),
        1 => Name::Receipts(0),
        2 => Name::Settings,
        3 => Name::Contacts,
        4 => Name::Vault(0),
        5 => Name::People(0),
        _ => Name::App(0, "notes".into()),
    }
}

/// A chunk around a body, by its hash: what no fuzzer would guess.
pub(super) fn chunk(body: &[u8]) -> Vec<u8> {
    let mut framed = vec![1];
    let mut len = body.len();
    while len >= 0x80 {
        framed.push(0x80 | u8::try_from(len & 0x7f).unwrap_or_default());
        len >>= 7;
    }
    framed.push(u8::try_from(len).unwrap_or_default());
    framed.extend_from_slice(body);
    let hash = sha256(&framed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &framed].concat()
}

/// Takes changes in as they come, and all at once: twice the same document, which a snapshot keeps.
pub(super) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let name = name(choices.byte());
    let mut rows = Vec::new();
    while !choices.is_over() && rows.len() < MOST {
        let by = choices.byte();
        let change = chunk(choices.bytes());
        assert!(change_hash(&change).is_ok(), "it is named by its hash, whatever it holds");
        let index = rows.len() as u64;
        let placement = Placement { index, time_ms: 1_700_000_000_000 + index, ordinal: 0 };
        rows.push(Row { writer: writer(usize::from(by)), placement: Some(placement), change });
    }
    let space = SpaceId::from_bytes(SPACE);
    let mut one_by_one = Document::new(space, name.clone());
    for row in &rows {
        one_by_one.receive(vec![row.clone()]);
    }
    let mut at_once = Document::new(space, name.clone());
    at_once.receive(rows);
    assert_eq!(one_by_one.heads(), at_once.heads(), "live and late the same");
    assert_eq!(one_by_one.change_count(), at_once.change_count());
    let kept = at_once.snapshot().expect("nothing of its own is uncut, and it is faithful");
    assert_eq!(one_by_one.snapshot().as_ref(), Ok(&kept), "equal documents are kept alike");
    let (again, refused) =
        Document::load(space, name, Some(&kept), Vec::new()).expect("what was kept is read again");
    assert_eq!((again.heads(), refused.len()), (at_once.heads(), 0));
}
