//! The store that openmls works on: records in memory, each under what it is and whose.
//!
//! A key is a [`Kind`] and the [encoded](super::codec) name that openmls gives: a group's id, a key
//! package's hash, a public key.

use std::sync::{Mutex, MutexGuard, PoisonError};

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{self, Unreadable};
use super::storage::Records;

/// What a record is. The numbers are part of the store's format.
#[derive(Clone, Copy)]
enum Kind {
    JoinConfig = 0,
    OwnLeafNodes = 1,
    ProposalRefs = 2,
    Proposal = 3,
    Tree = 4,
    TranscriptHash = 5,
    Context = 6,
    ConfirmationTag = 7,
    GroupState = 8,
    MessageSecrets = 9,
    ResumptionPsks = 10,
    OwnLeafIndex = 11,
    EpochSecrets = 12,
    SignatureKeyPair = 13,
    EncryptionKeyPair = 14,
    EpochKeyPairs = 15,
    KeyPackage = 16,
    Psk = 17,
}

/// All records of one group, or a device's key-package records. openmls asks for a store that is
/// changed through a shared reference; no two threads ever meet here.
#[derive(Default)]
pub(super) struct Memory(Mutex<Records>);

type Done = Result<(), Unreadable>;
type Found<T> = Result<Option<T>, Unreadable>;

impl Memory {
    pub(super) fn new(records: Records) -> Self {
        Self(Mutex::new(records))
    }

    /// The records as they are now.
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<K: Serialize, V: Serialize>(&self, kind: Kind, name: &K, value: &V) -> Done {
        let value = codec::append(Vec::new(), value)?;
        self.records().insert(key(kind, name)?, value);
        Ok(())
    }

    fn read<K: Serialize, V: DeserializeOwned>(&self, kind: Kind, name: &K) -> Found<V> {
        let key = key(kind, name)?;
        self.records().get(&key).map(|value| codec::decode(value)).transpose()
    }

    fn read_list<K: Serialize, V: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &K,
    ) -> Result<Vec<V>, Unreadable> {
        Ok(self.read(kind, name)?.unwrap_or_default())
    }

    fn delete<K: Serialize>(&self, kind: Kind, name: &K) -> Done {
        self.records().remove(&key(kind, name)?);
        Ok(())
    }

    /// The references of queued proposals, each as it is encoded.
    fn refs<K: Serialize>(&self, group: &K) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.read_list(Kind::ProposalRefs, group)
    }
}

fn key<K: Serialize>(kind: Kind, name: &K) -> Result<Vec<u8>, Unreadable> {
    codec::append(vec![kind as u8], name)
}

/// One value under one name. The two types come in either order in openmls' trait.
macro_rules! value {
    ($kind:ident: $key:ident -> $value:ident, $write:ident, $read:ident($first:ident, $second:ident)) => {
        fn $write<K: traits::$key<CURRENT_VERSION>, V: traits::$value<CURRENT_VERSION>>(
            &self,
            name: &K,
            value: &V,
        ) -> Done {
            self.write(Kind::$kind, name, value)
        }

        value!(@read $kind: $key -> $value, $read($first, $second));
    };
    (@read $kind:ident: $key:ident -> $value:ident, $read:ident(K, V)) => {
        fn $read<K: traits::$key<CURRENT_VERSION>, V: traits::$value<CURRENT_VERSION>>(
            &self,
            name: &K,
        ) -> Found<V> {
            self.read(Kind::$kind, name)
        }
    };
    (@read $kind:ident: $key:ident -> $value:ident, $read:ident(V, K)) => {
        fn $read<V: traits::$value<CURRENT_VERSION>, K: traits::$key<CURRENT_VERSION>>(
            &self,
            name: &K,
        ) -> Found<V> {
            self.read(Kind::$kind, name)
        }
    };
}

/// Deletes what is under one name.
macro_rules! deletion {
    ($($delete:ident: $kind:ident of $key:ident),* $(,)?) => {
        $(fn $delete<K: traits::$key<CURRENT_VERSION>>(&self, name: &K) -> Done {
            self.delete(Kind::$kind, name)
        })*
    };
}

impl StorageProvider<CURRENT_VERSION> for Memory {
    type Error = Unreadable;

    value!(Tree: GroupId -> TreeSync, write_tree, tree(K, V));
    value!(TranscriptHash: GroupId -> InterimTranscriptHash, write_interim_transcript_hash, interim_transcript_hash(K, V));
    value!(Context: GroupId -> GroupContext, write_context, group_context(K, V));
    value!(ConfirmationTag: GroupId -> ConfirmationTag, write_confirmation_tag, confirmation_tag(K, V));
    value!(MessageSecrets: GroupId -> MessageSecrets, write_message_secrets, message_secrets(K, V));
    value!(ResumptionPsks: GroupId -> ResumptionPskStore, write_resumption_psk_store, resumption_psk_store(K, V));
    value!(OwnLeafIndex: GroupId -> LeafNodeIndex, write_own_leaf_index, own_leaf_index(K, V));
    value!(EpochSecrets: GroupId -> GroupEpochSecrets, write_group_epoch_secrets, group_epoch_secrets(K, V));
    value!(SignatureKeyPair: SignaturePublicKey -> SignatureKeyPair, write_signature_key_pair, signature_key_pair(K, V));
    value!(EncryptionKeyPair: EncryptionKey -> HpkeKeyPair, write_encryption_key_pair, encryption_key_pair(V, K));
    value!(KeyPackage: HashReference -> KeyPackage, write_key_package, key_package(K, V));
    value!(Psk: PskId -> PskBundle, write_psk, psk(V, K));

    deletion! {
        delete_own_leaf_nodes: OwnLeafNodes of GroupId,
        delete_group_config: JoinConfig of GroupId,
        delete_tree: Tree of GroupId,
        delete_confirmation_tag: ConfirmationTag of GroupId,
        delete_group_state: GroupState of GroupId,
        delete_context: Context of GroupId,
        delete_interim_transcript_hash: TranscriptHash of GroupId,
        delete_message_secrets: MessageSecrets of GroupId,
        delete_all_resumption_psk_secrets: ResumptionPsks of GroupId,
        delete_own_leaf_index: OwnLeafIndex of GroupId,
        delete_group_epoch_secrets: EpochSecrets of GroupId,
        delete_signature_key_pair: SignatureKeyPair of SignaturePublicKey,
        delete_encryption_key_pair: EncryptionKeyPair of EncryptionKey,
        delete_key_package: KeyPackage of HashReference,
        delete_psk: Psk of PskId,
    }

    fn write_mls_join_config<
        K: traits::GroupId<CURRENT_VERSION>,
        Config: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        config: &Config,
    ) -> Done {
        self.write(Kind::JoinConfig, group, config)
    }

    fn mls_group_join_config<
        K: traits::GroupId<CURRENT_VERSION>,
        Config: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Found<Config> {
        let key = key(Kind::JoinConfig, group)?;
        self.records().get(&key).map(|config| codec::decode_config(config)).transpose()
    }

    fn write_group_state<
        State: traits::GroupState<CURRENT_VERSION>,
        K: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        state: &State,
    ) -> Done {
        self.write(Kind::GroupState, group, state)
    }

    value!(@read GroupState: GroupId -> GroupState, group_state(V, K));

    fn append_own_leaf_node<
        K: traits::GroupId<CURRENT_VERSION>,
        Node: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        node: &Node,
    ) -> Done {
        let mut nodes: Vec<Vec<u8>> = self.read_list(Kind::OwnLeafNodes, group)?;
        nodes.push(codec::append(Vec::new(), node)?);
        self.write(Kind::OwnLeafNodes, group, &nodes)
    }

    fn own_leaf_nodes<
        K: traits::GroupId<CURRENT_VERSION>,
        Node: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<Node>, Unreadable> {
        let nodes: Vec<Vec<u8>> = self.read_list(Kind::OwnLeafNodes, group)?;
        nodes.iter().map(|node| codec::decode(node)).collect()
    }

    fn queue_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        Ref: traits::ProposalRef<CURRENT_VERSION>,
        Proposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &Ref,
        proposal: &Proposal,
    ) -> Done {
        self.write(Kind::Proposal, &(group, reference), proposal)?;
        let mut refs = self.refs(group)?;
        refs.push(codec::append(Vec::new(), reference)?);
        self.write(Kind::ProposalRefs, group, &refs)
    }

    fn queued_proposal_refs<
        K: traits::GroupId<CURRENT_VERSION>,
        Ref: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<Ref>, Unreadable> {
        self.refs(group)?.iter().map(|reference| codec::decode(reference)).collect()
    }

    fn queued_proposals<
        K: traits::GroupId<CURRENT_VERSION>,
        Ref: traits::ProposalRef<CURRENT_VERSION>,
        Proposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<(Ref, Proposal)>, Unreadable> {
        let refs: Vec<Ref> = self.queued_proposal_refs(group)?;
        let with_proposal = |reference| {
            let proposal = self.read(Kind::Proposal, &(group, &reference))?;
            Ok((reference, proposal.ok_or(Unreadable)?))
        };
        refs.into_iter().map(with_proposal).collect()
    }

    fn remove_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        Ref: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &Ref,
    ) -> Done {
        let removed = codec::append(Vec::new(), reference)?;
        let mut refs = self.refs(group)?;
        refs.retain(|queued| *queued != removed);
        self.write(Kind::ProposalRefs, group, &refs)?;
        self.delete(Kind::Proposal, &(group, reference))
    }

    fn clear_proposal_queue<
        K: traits::GroupId<CURRENT_VERSION>,
        Ref: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Done {
        for reference in self.queued_proposal_refs::<K, Ref>(group)? {
            self.delete(Kind::Proposal, &(group, reference))?;
        }
        self.delete(Kind::ProposalRefs, group)
    }

    fn write_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        Epoch: traits::EpochKey<CURRENT_VERSION>,
        Pair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &Epoch,
        leaf: u32,
        pairs: &[Pair],
    ) -> Done {
        self.write(Kind::EpochKeyPairs, &(group, epoch, leaf), &pairs)
    }

    fn encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        Epoch: traits::EpochKey<CURRENT_VERSION>,
        Pair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &Epoch,
        leaf: u32,
    ) -> Result<Vec<Pair>, Unreadable> {
        self.read_list(Kind::EpochKeyPairs, &(group, epoch, leaf))
    }

    fn delete_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        Epoch: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &Epoch,
        leaf: u32,
    ) -> Done {
        self.delete(Kind::EpochKeyPairs, &(group, epoch, leaf))
    }
}
