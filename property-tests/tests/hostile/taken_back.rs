//! What members say about how far a log goes: a larger word hides nobody else's.

use minicbor::Encode;
use property_tests::World;
use sync_core::Command;
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::RelayFrame;
use sync_protocol::hash::{self, Domain};
use sync_protocol::{SpaceId, WriterId};

use crate::device_logs::keep_back;
use crate::relay_forks::generation;
use crate::support::cheat::Cheat;
use crate::support::forge::Set;
use crate::support::{account, lie_to, says, talk};

/// What somebody says that they know of a device log.
#[derive(Encode)]
struct Known {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 4],
    #[n(1)]
    len: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    head: [u8; 8],
}

/// What somebody says about how far they have read another space.
#[derive(Encode, Default)]
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
    log: Option<Known>,
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
    let seq = cheat.tip(within).seq + 1;
    let generation = generation(world, of);
    let told = sighting(of, (generation, next), (within, cheat.writer, seq));
    says_beside(
        world,
        cheat,
        within,
        Telling { elsewhere: Some(vec![(told,)]), ..Telling::default() },
    );
}

/// A member says something beside a change set with nothing in it.
fn says_beside(world: &mut World, cheat: &mut Cheat, within: SpaceId, telling: Telling) {
    let set = Set { blinding: [3; 16], items: Vec::new() };
    let body = set.body();
    let size = u32::try_from(body.len()).unwrap();
    let plaintext = codec::encode(&Telling { size, body: Blob(body), ..telling });
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

/// A member says that there is more of Ada's log than there is: of that Bob is told. Then a relay keeps back
/// what there is of it, and Ada says so.
#[test]
fn who_says_too_much_of_a_log_takes_nobody_elses_word_along() {
    let (mut world, space) = talk(983, 3, &[1, 2]);
    let mut cheat = Cheat::with_keys_of(&mut world, 2, 0);
    let ada = account(&world, 0);
    let known = Known { account: ada.as_bytes()[1..5].try_into().unwrap(), len: 99, head: [9; 8] };
    says_beside(&mut world, &mut cheat, space, Telling { log: Some(known), ..Telling::default() });
    let told = |world: &mut World| -> Vec<String> {
        let all = std::mem::take(&mut world.device_mut(1).evidence);
        all.into_iter().map(|(_, why)| why).collect()
    };
    let by_mallory = told(&mut world);
    assert!(says(&by_mallory, "keeps back a part of a device log"), "{by_mallory:?}");
    keep_back(&mut world, 1, ada);
    world.expect(0, Command::NewRecoveryCode).unwrap();
    world.pass(10_000).unwrap();
    // One change set tells of one member's log, the next of another's.
    for _ in 0..3 {
        world.say(0, space).unwrap();
        world.pass(10_000).unwrap();
    }
    let by_ada = told(&mut world);
    assert!(says(&by_ada, "keeps back a part of a device log"), "{by_ada:?}");
}
