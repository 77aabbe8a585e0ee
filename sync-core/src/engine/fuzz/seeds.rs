//! What a fuzzer begins with: one good input for each thing that is read.

use sync_protocol::codec::{self, Blob};
use sync_protocol::ids::{Commitment, Link, LogHead};
use sync_protocol::signing::Signed;
use sync_protocol::{DeviceId, EpochId, SpaceId, hash};

use crate::document::every_edit::{every_edit, whole_message};
use crate::document::{AppOp, Document, Edit, NewMessage, OrderKey, Stamp, Step};
use crate::engine::linking::link::Onward;
use crate::engine::members::welcome::{Common, Invitation};
use crate::engine::rows::{
    Anchor, FORMAT, Grant, GuestRow, Hint, SealedCommit, SessionRow, Ticket, TicketBody,
};
use crate::engine::space::change_set::{ChangeSet, Item, Seen};
use crate::group::Change;

use super::kit::seeds;
use super::{SPACE, changes, group, identity, linking, package};

fn led<T: minicbor::Encode<()>>(kind: u8, value: &T) -> Vec<u8> {
    [&[kind], codec::encode(value).as_slice()].concat()
}

fn raw(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

pub(super) fn all() {
    link_words();
    ways_in();
    let (sets, bodies) = documents();
    seeds("change_sets", sets);
    seeds("changes", bodies);
    rows();
    // [which offer, step..]: an honest talk; one through somebody in between; what is repeated.
    let honest = [1, 0, 6, 0, 0, 0, 3, 7, 1, 0, 0, 6, 2, 0, 0];
    let between = [0, 0, 1, 7, 7, 6, 1, 0, 0, 3, 5, 2, 0, 0, 2, 7, 6, 3, 0, 0, 4, 9, 7, 4, 0, 0];
    let again = [1, 0, 6, 0, 0, 0, 6, 0, 0, 0, 3, 7, 1, 220, 3, 7, 1, 0, 0, 6, 2, 210, 9];
    seeds("linking", [honest.to_vec(), between.to_vec(), again.to_vec()]);
}

fn link_words() {
    let offer = linking::offer(3).0;
    let inputs = [
        raw(0, offer.to_text().as_bytes()),
        led(1, &linking::invite(1)),
        led(2, &linking::reply(2)),
        led(3, &Onward::Reveal([6; 32])),
        led(3, &Onward::Linked),
        raw(4, b"REJOINDER-SAFETY:"),
        raw(5, &[7; 90]),
    ];
    seeds("link_words", inputs);
}

fn ways_in() {
    let (me, space, epoch) =
        (identity(1), SpaceId::from_bytes(SPACE), EpochId::from_bytes([2; 32]));
    let mut group = group();
    let info = group.group_info(&me).expect("a member gives it");
    let (package, _) = package();
    let context = group.context().clone();
    let change =
        Change { add: vec![package.clone()], remove: Vec::new(), context: context.clone() };
    let made = group.commit(&me, &change, b"", [4; 32]).expect("a member adds");
    let welcome = made.welcome.unwrap_or_default();
    let logs = vec![(me.account, vec![Blob(vec![1; 20])])];
    let named = vec![(me.account, 1, LogHead::from_bytes([3; 32]))];
    let frontier = vec![(changes::writer(1), 3, Link::START)];
    let grant = Grant {
        from: 4,
        frontier,
        log_hash: [1; 32],
        epochs: Vec::new(),
        heads: Vec::new(),
        people: Vec::new(),
        segment: 1,
        leavers: Vec::new(),
        documents: vec![(changes::name(2), Blob(vec![1; 9]))],
    };
    let body = TicketBody {
        group_info: Blob(info.clone()),
        root: [1; 32],
        number: 1,
        grant: grant.clone(),
        logs: logs.clone(),
        named: named.clone(),
        past: Some((Blob(vec![5; 80]), vec![(epoch, Blob(vec![4; 100]))])),
    };
    let ticket = Ticket {
        version: 2,
        space,
        epoch,
        account: me.account,
        device: DeviceId::of_signing_key(&me.signing.verifying_key().to_bytes()),
        keys: vec![(Blob(vec![1; 8]), Blob(vec![2; 48]))],
        body: Blob(vec![3; 40]),
    };
    let invitation = Invitation {
        version: 2,
        space,
        device: DeviceId::of_signing_key(&me.signing.verifying_key().to_bytes()),
        epoch,
        common: [1; 32],
        grant: 0,
        key: Blob(vec![5; 48]),
    };
    let common = Common {
        version: 2,
        welcome: Blob(welcome.clone()),
        logs: logs.clone(),
        named,
        grants: vec![Blob(vec![1; 30])],
    };
    let people =
        vec![Hint { account: me.account, address: Some("ada".into()), name: "Ada".into() }];
    let sealed = SealedCommit { message: Blob(made.message.clone()), logs, people };
    let anchor = Anchor { epoch, number: 1, commitment: Commitment::from_bytes([4; 32]) };
    let signed = Signed::seal(&ticket, &me.signing, hash::TICKET, &[space.as_bytes()]);
    let inputs = [
        led(0, &signed),
        led(1, &ticket),
        led(2, &body),
        led(3, &grant),
        led(4, &invitation),
        led(5, &common),
        led(6, &sealed),
        led(7, &context),
        led(9, &anchor),
        raw(10, &package),
        raw(11, &info),
        raw(12, &made.message),
        raw(13, &welcome),
        raw(14, &info),
        raw(15, &[1; 60]),
    ];
    seeds("ways_in", inputs);
}

fn key(ms: u64) -> OrderKey {
    OrderKey { stamp: Stamp { ms, counter: 0 }, tag: changes::writer(1).tag() }
}

/// Edits by document, as `changes::name` numbers them.
fn edits() -> Vec<(u8, Vec<Edit>)> {
    let message = |ms, text: &str| Edit::Message(NewMessage::new(key(ms), text));
    let put = |field: &str, value: &[u8]| {
        let (path, value) = (vec![Step::Key(field.into())], Blob(value.to_vec()));
        Edit::App { ops: vec![AppOp::Put { path, value }] }
    };
    let mut all = vec![
        (0, vec![message(1_700_000_000_000, "hello"), message(1_700_000_000_500, "again")]),
        (
            0,
            vec![
                message(1_700_000_000_000, "a"),
                Edit::EditMessage { key: key(1_700_000_000_000), text: "b".into() },
            ],
        ),
        (2, vec![Edit::Setting { key: "theme".into(), value: Some(Blob(b"\"dark\"".to_vec())) }]),
        (6, vec![put("a", b"{\"b\":[1,2.5,\"c\"]}"), put("d", b"{\"$text\":\"words\"}")]),
    ];
    all.extend(every_edit(key(1_700_000_000_000)).into_iter().map(alone));
    all
}

/// An edit in the kind of document that takes it, behind the message that it may be about.
fn alone(edit: Edit) -> (u8, Vec<Edit>) {
    let (space, writer) = (SpaceId::from_bytes(SPACE), changes::writer(1));
    let takes = |kind: &u8| Document::new(space, changes::name(*kind)).edit(&writer, &edit).is_ok();
    let kind = (0..7).find(takes).expect("some kind of document takes it");
    let of = key(1_700_000_000_000);
    let first = (kind == 0).then(|| Edit::Message(whole_message(of, of)));
    (kind, first.into_iter().chain([edit]).collect())
}

fn documents() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (space, writer) = (SpaceId::from_bytes(SPACE), changes::writer(1));
    let (mut sets, mut bodies) = (Vec::new(), Vec::new());
    for (kind, edits) in edits() {
        let name = changes::name(kind);
        let mut document = Document::new(space, name.clone());
        let mut input = vec![kind];
        let mut all = Vec::new();
        for edit in edits {
            document.edit(&writer, &edit).expect("a good edit");
            for change in document.cut() {
                // Behind magic, checksum and kind: the length, then the body.
                let head = 9 + change.iter().skip(9).take_while(|byte| **byte >= 0x80).count() + 1;
                let body = &change[head..];
                assert_eq!(changes::chunk(body), change);
                input.push(1);
                input.extend(u16::try_from(body.len()).expect("is small").to_le_bytes());
                input.extend_from_slice(body);
                all.push(Blob(change));
            }
        }
        let set =
            ChangeSet { blinding: [1; 16], items: vec![Item { name, schema: 1, changes: all }] };
        sets.push(set.to_plaintext(Seen::default()));
        bodies.push(input);
    }
    (sets, bodies)
}

fn rows() {
    let guest = GuestRow {
        format: FORMAT,
        signing: [2; 32],
        hpke: [3; 32],
        account: identity(1).account,
        head: LogHead::from_bytes([4; 32]),
        index: 1,
        name: "Laptop".into(),
        rendezvous: sync_protocol::ids::RendezvousId::from_bytes([6; 16]),
    };
    let mut group = group();
    let mut records = crate::records::Records::new();
    group.diff().apply_to(&mut records);
    let records = (0..).zip(records.into_values()).map(|(at, value)| raw(at, &value));
    let inputs = [led(1, &SessionRow::default()), led(2, &guest)];
    seeds("rows", inputs.into_iter().chain(records));
}
