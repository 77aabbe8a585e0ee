//! Commits that MLS allows and our rules do not, made by a member with a free hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use openmls::prelude::{
    BasicCredential, CredentialWithKey, Extension, Extensions, ExternalSender, KeyPackage,
    LeafNodeParameters, Lifetime, MlsMessageOut,
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::roster::Roster;
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, SpaceId};

use super::identity::capabilities;
use super::storage::Overlay;
use super::*;
use crate::crypto::mls::SUITE;

const SPACE: SpaceId = SpaceId::from_bytes([3; 32]);

fn identity(n: u8) -> Identity {
    Identity::new(AccountId::of_root_key(&[n; 32]), SigningKey::from_bytes(&[n; 32]))
}

fn context() -> Context {
    let roster = Roster::founded_by(identity(1).account);
    Context { min_version: 1, title: String::new(), roster, era: 0 }
}

/// A hostile founder and an honest member.
fn pair() -> (Group, Group) {
    let mut founder = Group::create(&identity(1), SPACE, &context(), [1; 32]).unwrap();
    let made = new_key_package(&identity(2), [2; 32], false).unwrap();
    let mut records = Records::new();
    made.records.apply_to(&mut records);
    let change = Change { add: vec![made.bytes], remove: vec![], context: context() };
    let commit = founder.commit(&identity(1), &change, b"", [3; 32]).unwrap();
    founder.merge_pending().unwrap();
    let welcome = commit.welcome.unwrap();
    let mut member = Group::join(SPACE, &welcome, &records, [4; 32]).unwrap().group;
    member.diff();
    (founder, member)
}

fn refused(member: &mut Group, message: &MlsMessageOut, why: &GroupError) {
    let error = member.read_commit(&message.to_bytes().unwrap()).unwrap_err();
    assert_eq!(error, *why);
    assert!(member.diff().is_empty() && member.epoch() == 1);
}

#[test]
fn a_standalone_proposal_is_refused() {
    let (mut founder, mut member) = pair();
    let provider = founder.overlay.seeded(&[5; 32]);
    let me = identity(1);
    let update = founder.mls.propose_self_update(&provider, &me, LeafNodeParameters::default());
    refused(&mut member, &update.unwrap().0, &GroupError::Invalid("not a commit"));
}

#[test]
fn a_commit_that_renews_no_keys_is_refused() {
    let (mut founder, mut member) = pair();
    let made = new_key_package(&identity(4), [6; 32], false).unwrap();
    let (key_package, _) = super::key_package::validated(&made.bytes).unwrap();
    let provider = founder.overlay.seeded(&[5; 32]);
    let bundle = founder
        .mls
        .commit_builder()
        .propose_adds([key_package])
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &identity(1), |_| true)
        .unwrap()
        .stage_commit(&provider)
        .unwrap();
    let why = GroupError::Invalid("a commit that renews no keys");
    refused(&mut member, bundle.commit(), &why);
}

#[test]
fn a_commit_that_lets_outsiders_in_is_refused() {
    let (mut founder, mut member) = pair();
    let outsider = ExternalSender::new(vec![1; 32].into(), BasicCredential::new(vec![]).into());
    let mut extensions: Vec<_> = context().to_extensions().unwrap().iter().cloned().collect();
    extensions.push(Extension::ExternalSenders(vec![outsider]));
    let provider = founder.overlay.seeded(&[5; 32]);
    let bundle = founder
        .mls
        .commit_builder()
        .force_self_update(true)
        .propose_group_context_extensions(Extensions::from_vec(extensions).unwrap())
        .unwrap()
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &identity(1), |_| true)
        .unwrap()
        .stage_commit(&provider)
        .unwrap();
    let why = GroupError::Invalid("unexpected extensions in the group context");
    refused(&mut member, bundle.commit(), &why);
}

#[test]
fn a_commit_that_takes_another_name_is_refused() {
    let (mut founder, mut member) = pair();
    let key = identity(1).credential().signature_key;
    let credential = identity(2).credential().credential;
    let leaf = LeafNodeParameters::builder()
        .with_credential_with_key(CredentialWithKey { credential, signature_key: key })
        .build();
    let provider = founder.overlay.seeded(&[5; 32]);
    let bundle = founder
        .mls
        .commit_builder()
        .leaf_node_parameters(leaf)
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &identity(1), |_| true)
        .unwrap()
        .stage_commit(&provider)
        .unwrap();
    refused(&mut member, bundle.commit(), &GroupError::Credential);
}

#[test]
fn whoever_enters_from_outside_adds_itself_and_nobody_else() {
    let (mut founder, mut member) = pair();
    let info = founder.group_info(&identity(1)).unwrap();
    let space = founder.space;
    let entered = Group::enter(&identity(5), space, &info, b"aad", [7; 32]).unwrap();
    for group in [&mut founder, &mut member] {
        let incoming = group.read_commit(&entered.message).unwrap();
        assert!(incoming.enters && incoming.removed.is_empty());
        assert_eq!((incoming.aad.as_slice(), incoming.added.len()), (b"aad".as_slice(), 1));
        assert_eq!(incoming.committer.device, identity(5).device);
        group.apply(incoming).unwrap();
        assert_eq!(*group.root(), *entered.group.root());
    }
    // The same device again takes its own leaf's place.
    let info = founder.group_info(&identity(1)).unwrap();
    assert!(Group::info_names(&info, &identity(5).device));
    let again = Group::enter(&identity(5), space, &info, b"", [8; 32]).unwrap();
    let incoming = member.read_commit(&again.message).unwrap();
    assert_eq!(incoming.removed, [identity(5).device]);
    // A group info of another space, cut short, or altered lets nobody in.
    let elsewhere = sync_protocol::SpaceId::from_bytes([0x44; 32]);
    assert!(Group::enter(&identity(6), elsewhere, &info, b"", [9; 32]).is_err());
    assert!(Group::enter(&identity(6), space, &info[..info.len() - 1], b"", [9; 32]).is_err());
    let mut altered = info.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    assert!(Group::enter(&identity(6), space, &altered, b"", [9; 32]).is_err());
}

#[test]
fn a_key_package_that_ends_is_refused() {
    let overlay = Overlay::empty();
    let provider = overlay.seeded(&[8; 32]);
    let made = KeyPackage::builder()
        .leaf_node_capabilities(capabilities())
        .key_package_lifetime(Lifetime::init(0, u64::MAX - 1))
        .build(SUITE, &provider, &identity(6), identity(6).credential())
        .unwrap();
    let bytes = MlsMessageOut::from(made.into_key_package()).to_bytes().unwrap();
    let why = GroupError::Invalid("a leaf's lifetime is limited");
    assert_eq!(read_key_package(&bytes).unwrap_err(), why);
}
