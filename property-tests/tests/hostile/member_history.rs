//! A member that lets somebody in, and cheats with what it gives: keys that are not the log's, more
//! than is allowed, and others' names on what they did not write.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR};
use minicbor::{Decode, Encode};
use property_tests::{Plan, Violation, World, suite};
use sync_core::Command;
use sync_core::api::Response;
use sync_protocol::codec::{self, Blob};
use sync_protocol::frames::{ClientFrame, Welcomes};
use sync_protocol::hash;
use sync_protocol::ids::{Link, LogHead};
use sync_protocol::roster::Role;
use sync_protocol::signing::Signed;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, WriterId};

use crate::support::cheat::Keys;
use crate::support::{
    agree, evidence, honest_again, nothing_is_missing, says, shared, shown, the_group_goes_on,
};

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct Invitation {
    #[n(0)]
    version: u8,
    #[n(1)]
    space: SpaceId,
    #[n(2)]
    device: DeviceId,
    #[n(3)]
    epoch: EpochId,
    #[cbor(n(4), with = "minicbor::bytes")]
    common: [u8; 32],
    #[n(5)]
    grant: u8,
    #[n(6)]
    key: Blob,
}

/// What all devices that a commit lets in have alike.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct Common {
    #[n(0)]
    version: u8,
    #[n(1)]
    welcome: Blob,
    #[n(2)]
    logs: Vec<(AccountId, Vec<Blob>)>,
    #[n(3)]
    named: Vec<(AccountId, u64, LogHead)>,
    #[n(4)]
    grants: Vec<Blob>,
}

#[derive(Clone, Encode, Decode)]
pub(crate) struct EpochRow {
    #[n(0)]
    pub(crate) number: u64,
    #[n(1)]
    pub(crate) index: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) root: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) binding: [u8; 32],
    #[n(4)]
    pub(crate) era: u32,
}

#[derive(Clone, Encode, Decode)]
pub(crate) struct Hint {
    #[n(0)]
    account: AccountId,
    #[n(1)]
    address: Option<String>,
    #[n(2)]
    name: String,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Grant {
    #[n(0)]
    pub(crate) from: u64,
    #[n(1)]
    pub(crate) frontier: Vec<(WriterId, u64, Link)>,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) log_hash: [u8; 32],
    #[n(3)]
    pub(crate) epochs: Vec<(EpochId, EpochRow)>,
    #[n(4)]
    pub(crate) heads: Vec<(AccountId, u64, LogHead)>,
    #[n(5)]
    people: Vec<Hint>,
    #[n(6)]
    segment: u32,
    #[n(7)]
    pub(crate) leavers: Vec<(AccountId, Blob)>,
    #[n(8)]
    documents: Vec<(Blob, Blob)>,
}

/// The receiver's HPKE secret, so that the test can rewrite what was sealed to it.
#[derive(Decode)]
#[cbor(map)]
pub(crate) struct Secrets {
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) hpke: [u8; 32],
}

/// What a device that is being linked keeps.
#[derive(Decode)]
#[cbor(map)]
struct GuestSecrets {
    #[cbor(n(2), with = "minicbor::bytes")]
    hpke: [u8; 32],
}

const GRANT: &[u8] = b"rejoinder grant v1";

/// The key of a grant, as it was sealed to its receiver.
pub(crate) fn opened(sealed: &Blob, hpke: &[u8; 32], aad: &[u8]) -> [u8; 32] {
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(hpke).unwrap();
    let (encapped, sealed) = sealed.0.split_first_chunk::<32>().unwrap();
    let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapped).unwrap();
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapped,
        GRANT,
        sealed,
        aad,
    );
    opened.unwrap().try_into().unwrap()
}

/// A way in by the same inviter, with another grant.
pub(crate) fn regrant(
    welcomes: &mut Welcomes,
    inviter: &Keys,
    hpke: &[u8; 32],
    change: &dyn Fn(&mut Grant),
) {
    let [welcome] = welcomes.items.as_mut_slice() else { panic!("one at a time") };
    let signed: Signed<Invitation> = codec::decode("item", welcome.item.as_slice()).unwrap();
    let mut invitation = signed.peek("invitation").unwrap();
    let Invitation { space, device, epoch, .. } = &invitation;
    let aad = [space.as_bytes().as_slice(), device.as_bytes(), epoch.as_bytes()].concat();
    let key = opened(&invitation.key, hpke, &aad);
    let cipher = XChaCha20Poly1305::new(&key.into());
    let aad = [space.as_bytes().as_slice(), epoch.as_bytes()].concat();
    let mut common: Common = codec::decode("common", welcomes.common.as_slice()).unwrap();
    let (nonce, sealed) = common.grants[0].0.split_first_chunk::<24>().unwrap();
    let grant = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
    let mut grant: Grant = codec::decode("grant", &grant.unwrap()).unwrap();
    change(&mut grant);
    let grant = codec::encode(&grant);
    let sealed = cipher.encrypt(&XNonce::from([3; 24]), Payload { msg: &grant, aad: &aad });
    common.grants[0] = Blob([[3; 24].as_slice(), &sealed.unwrap()].concat());
    welcomes.common = Blob(codec::encode(&common));
    invitation.common = hash::hash(hash::WELCOME, &[welcomes.common.as_slice()]);
    let context: [&[u8]; 1] = [inviter.account.as_bytes()];
    let signed = Signed::seal(&invitation, &inviter.signing(), hash::INBOX, &context);
    welcome.item = Blob(codec::encode(&signed));
}

/// Three in a conversation where some epochs went by; then Dora is let in with all history, by an
/// inviter who changes what she is given.
fn lets_dora_in(
    seed: u64,
    forge: impl Fn(&mut Welcomes, &Keys, &[u8; 32]) + 'static,
) -> (World, SpaceId) {
    let mut world = World::with(seed, Plan::calm(4));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1, 2]).unwrap();
    world.settle().unwrap();
    for n in 0..3 {
        for device in 0..3 {
            world.say(device, space).unwrap();
        }
        let title = format!("{}{n}", property_tests::MARK);
        world.expect(0, Command::SetTitle { conversation: space, title }).unwrap();
        world.settle().unwrap();
    }
    let inviter = Keys::of(&world, 0);
    let records = world.device(3).disk.read(b"iaccount");
    let secrets: Secrets = codec::decode("account", &records[b"iaccount".as_slice()]).unwrap();
    let forged = shared(0);
    let count = forged.clone();
    world.set_bender(Some(Box::new(move |device, mut frame| {
        if let ClientFrame::Push(push) = &mut frame
            && device == 0
            && push.space == space
            && let Some(welcomes) = &mut push.welcomes
        {
            forge(welcomes, &inviter, &secrets.hpke);
            *count.borrow_mut() += 1;
        }
        vec![frame]
    })));
    let address = world.book().people[3].address.clone();
    world
        .expect(0, Command::AddMember { conversation: space, address, share_history: true })
        .unwrap();
    world.settle().unwrap();
    assert_eq!(*forged.borrow(), 1);
    (world, space)
}

#[test]
fn a_shared_history_with_wrong_keys_is_refused() {
    let (mut world, space) = lets_dora_in(5, |welcomes, inviter, hpke| {
        regrant(welcomes, inviter, hpke, &|grant| {
            grant.epochs.iter_mut().for_each(|(_, row)| row.root[0] ^= 1);
        })
    });
    let told = evidence(&mut world, 3, space);
    assert!(says(&told, "a shared history does not fit the log"), "{told:?}");
    assert!(shown(&mut world, 3, space).is_empty(), "nothing opens with keys that do not fit");
    world.say(1, space).unwrap();
    world.settle().unwrap();
    agree(&mut world, &[0, 1, 2], space);
}

#[test]
fn a_shared_history_that_is_too_large_or_signed_by_nobody_lets_nobody_in() {
    for (oversized, unsigned) in [(true, false), (false, true), (false, false)] {
        let (mut world, space) = lets_dora_in(6, move |welcomes, inviter, hpke| {
            if !oversized {
                // What she has for herself, or what all have alike.
                let (item, common) = (&mut welcomes.items[0].item.0, &mut welcomes.common.0);
                let bytes = if unsigned { item } else { common };
                let end = bytes.len();
                bytes[end - 5] ^= 1;
                return;
            }
            regrant(welcomes, inviter, hpke, &|grant| {
                let (epoch, row) = grant.epochs[0].clone();
                let many = (0..5_000u64).map(|n| {
                    let mut id = *epoch.as_bytes();
                    id[..8].copy_from_slice(&n.to_be_bytes());
                    (EpochId::from_bytes(id), row.clone())
                });
                grant.epochs.extend(many);
            })
        });
        if !oversized {
            // The log says that she belongs there, so a ticket lets her in: without the past.
            let told = evidence(&mut world, 3, space);
            assert!(told.is_empty(), "{told:?}");
            let command = Command::ListMessages { conversation: space, before: None, limit: 10 };
            let answer = world.ask(3, command).unwrap();
            let nothing = |page: Response| page == Response::Messages(Vec::new());
            assert!(answer.is_ok_and(nothing), "history shared by nobody");
        }
        world.set_bender(None);
        the_group_goes_on(&mut world, space, &[0, 1, 2]);
    }
}

#[test]
fn history_shared_by_somebody_it_was_shared_with_is_whole() {
    let mut world = World::with(8, Plan::calm(4));
    world.sign_up().unwrap();
    let space = world.converse(0, &[1]).unwrap();
    world.settle().unwrap();
    for device in [0, 1] {
        world.say(device, space).unwrap();
    }
    world.settle().unwrap();
    let add = |world: &mut World, by: usize, whom: usize| {
        let address = world.book().people[whom].address.clone();
        let command = Command::AddMember { conversation: space, address, share_history: true };
        world.expect(by, command).unwrap();
        world.settle().unwrap();
        world.say(by, space).unwrap();
        world.say(whom, space).unwrap();
        world.settle().unwrap();
    };
    add(&mut world, 0, 2);
    let member = sync_core::api::Member::Address(world.book().people[2].address.clone());
    let command = Command::SetRole { conversation: space, member, role: Role::Admin };
    world.expect(0, command).unwrap();
    world.settle().unwrap();
    add(&mut world, 2, 3);
    honest_again(&mut world);
    agree(&mut world, &[0, 1, 2, 3], space);
    nothing_is_missing(&mut world, 3, space);
    world.check().unwrap();
}

/// A device is linked to an account that had another in between, which ended. Whoever links it may
/// leave out the keys of that time.
fn a_laptop_comes_after_a_tablet(skips: bool) -> Result<(), Violation> {
    let mut world = World::with(4, Plan::calm(2).with_devices());
    world.sign_up()?;
    let tablet = world.link(0, true)?;
    world.settle()?;
    let space = world.converse(0, &[1])?;
    world.settle()?;
    world.say(1, space)?;
    world.settle()?;
    let device = world.device(tablet).id.unwrap();
    world.expect(0, Command::RevokeDevice { device })?;
    world.settle()?;
    let laptop = world.begin_link(0, true)?;
    while world.device(laptop).disk.read(b"iguest").is_empty() {
        world.pass(10)?;
    }
    let host = Keys::of(&world, 0);
    let records = world.device(laptop).disk.read(b"iguest");
    let guest: GuestSecrets = codec::decode("guest", &records[b"iguest".as_slice()]).unwrap();
    let skipped = shared(0);
    let count = skipped.clone();
    world.set_bender(Some(Box::new(move |device, mut frame| {
        if let ClientFrame::Push(push) = &mut frame
            && device == 0
            && skips
            && let Some(welcomes) = &mut push.welcomes
        {
            let without = |grant: &mut Grant| grant.epochs.retain(|(_, row)| row.number != 1);
            regrant(welcomes, &host, &guest.hpke, &without);
            *count.borrow_mut() += 1;
        }
        vec![frame]
    })));
    world.finish_link(laptop)?;
    world.pass(90_000)?;
    assert_eq!(*skipped.borrow() > 0, skips);
    world.heal()?;
    world.check().map(drop)
}

#[test]
fn a_planted_generation_that_a_new_device_was_not_given_is_caught() {
    suite::guarded(|| a_laptop_comes_after_a_tablet(false)).unwrap();
    let caught = suite::guarded(|| a_laptop_comes_after_a_tablet(true)).unwrap_err();
    println!("a skipped generation was caught: {caught}");
}
