//! What members say about how far a log goes: a larger word hides nobody else's.

use minicbor::Encode;
use property_tests::World;
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::RelayFrame;
use sync_protocol::hash::{self, Domain};
use sync_protocol::{SpaceId, WriterId};

use crate::relay_forks::generation;
use crate::support::cheat::Cheat;
use crate::support::forge::Set;
use crate::support::{lie_to, talk};

/// What somebody says about how far they have read another space.
#[derive(Encode)]
struct Telling {
    #[n(0)]
    codec: u8,
    #[n(1)]
    size: u32,
    #[n(2)]
    body: Blob,
    #[cbor(n(3), with = "minicbor::bytes")]
    seen: [u8; 8],
    #[n(4)]
    log: Option<u8>,
    #[n(5)]
    padding: Option<u8>,
    #[n(6)]
    at_s: Option<u64>,
    #[n(7)]
    elsewhere: Option<Vec<(Blob,)>>,
}

fn sighting(of: SpaceId, (generation, next): (u64, u64), beside: (SpaceId, WriterId, u64)) -> Blob {
    let (space, writer, seq) = beside;
    let (incarnation, seq) = (writer.incarnation.to_be_bytes(), seq.to_be_bytes());
    let at: [&[u8]; 5] =
        [of.as_bytes(), space.as_bytes(), writer.device.as_bytes(), &incarnation, &seq];
    let mask = hash::hash(Domain::new("rejoinder sighting v1"), &at);
    let said = [[0; 8], generation.to_be_bytes(), next.to_be_bytes(), [9; 8]].concat();
    Blob(said.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
}

/// A member says in one space how far it has read another.
fn tells(world: &mut World, cheat: &mut Cheat, within: SpaceId, of: SpaceId, next: u64) {
    let set = Set { blinding: [3; 16], items: Vec::new() };
    let body = set.body();
    let seq = cheat.tip(within).seq + 1;
    let generation = generation(world, of);
    let told = sighting(of, (generation, next), (within, cheat.writer, seq));
    let telling = Telling {
        codec: 0,
        size: u32::try_from(body.len()).unwrap(),
        body: Blob(body),
        seen: [0; 8],
        log: None,
        padding: None,
        at_s: None,
        elsewhere: Some(vec![(told,)]),
    };
    let plaintext = codec::encode(&telling);
    let envelope = cheat.content_of(world, within, &plaintext, set.commitment());
    let heard = cheat.push(world, within, vec![envelope]);
    assert!(heard.iter().any(|frame| matches!(frame, RelayFrame::Stored(_))), "{heard:?}");
    world.pass(10_000).unwrap();
}

/// A member says that it has read further than anybody, and takes that back once others have said how far
/// they are. What they said stands.
#[test]
fn who_takes_back_what_they_read_takes_back_nobody_elses_word() {
    let (mut world, space) = talk(982, 3, &[1, 2]);
    let other = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    lie_to(&mut world, 1, space, |_| Vec::new());
    tells(&mut world, &mut cheat, other, space, u64::MAX);
    assert!(!world.status(1).unwrap().up_to_date);
    world.say(0, space).unwrap();
    world.pass(10_000).unwrap();
    world.say(0, other).unwrap();
    world.pass(10_000).unwrap();
    tells(&mut world, &mut cheat, other, space, 0);
    assert!(!world.status(1).unwrap().up_to_date, "Ada's word is gone with Mallory's");
}
