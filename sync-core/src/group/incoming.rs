//! Commits made by others: read, judged by what all can see, applied.

use std::fmt;

use openmls::prelude::{
    ApplyUpdatePathError, ContentType, LeafNodeIndex, MlsMessageBodyIn, MlsMessageIn,
    ProcessMessageError, ProcessedMessageContent, Proposal, ProposalOrRefType, PublicMessageIn,
    Sender, StageCommitError, StagedCommit, tls_codec::DeserializeBytes as _,
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{DeviceId, limits};
use zeroize::Zeroizing;

use super::identity::capabilities;
use super::outgoing::check_size;
use super::state::{ROOT, ROOT_LEN, group_id, to_root};
use super::{Context, Group, GroupError, Leaf, key_package};

/// Somebody else's commit, read but not applied. It is valid as far as MLS and the rules of this
/// module go; whether its committer may do what it does is for the caller to judge.
pub struct Incoming {
    /// Who made it; the newcomer itself if it enters from outside.
    pub committer: Leaf,
    /// Whether the committer enters by this very commit.
    pub enters: bool,
    /// What it authenticates besides itself.
    pub aad: Vec<u8>,
    /// Devices it adds, sorted.
    pub added: Vec<Leaf>,
    /// Devices it removes, sorted.
    pub removed: Vec<DeviceId>,
    /// The context from then on.
    pub context: Context,
    /// The root of the epoch it makes; `None` if it removes this device, which then cannot know it.
    pub child_root: Option<Zeroizing<[u8; 32]>>,
    /// Whether it removes this device.
    pub removes_me: bool,
    staged: Box<StagedCommit>,
    parent: Vec<u8>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("committer", &self.committer.device)
            .field("added", &self.added)
            .field("removed", &self.removed)
            .finish_non_exhaustive()
    }
}

/// What a commit's proposals do.
#[derive(Default)]
struct Effects {
    added: SortedSet<Leaf>,
    removed: SortedSet<DeviceId>,
}

impl Group {
    /// Reads a commit by somebody else without applying it, also while a commit of our own is
    /// pending.
    ///
    /// # Errors
    /// `WrongEpoch`, `Own`, `Inactive`; `Malformed`, `TooLarge`, `Invalid` and `Credential` are
    /// verdicts that all members share; `Unopenable` is this device's own misfortune: to others the
    /// commit may be good. The group stays exactly as it was.
    pub fn read_commit(&mut self, message: &[u8]) -> Result<Incoming, GroupError> {
        self.require_active()?;
        let public = parse(message)?;
        let committer = match self.check_frame(&public)? {
            Some(sender) => Some(
                self.leaf_at(sender)
                    .ok_or(GroupError::Invalid("the committer is not in the group"))?,
            ),
            None => None,
        };
        let processed =
            self.mls.process_message(&self.overlay.provider(), public).map_err(verdict)?;
        let aad = processed.aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.judge(committer, aad, staged)
            }
            ProcessedMessageContent::OwnPendingCommit => Err(GroupError::Own),
            _ => Err(GroupError::Invalid("not a commit")),
        }
    }

    /// Applies a commit just read; a pending commit of our own is dropped. If it removes this device,
    /// all records of the group go: the next diff deletes them.
    ///
    /// # Errors
    /// `Usage` if the group moved on since the commit was read; `Local`.
    pub fn apply(&mut self, incoming: Incoming) -> Result<(), GroupError> {
        self.require_active()?;
        if incoming.parent != self.branch() {
            return Err(GroupError::Usage("the commit was read in another epoch"));
        }
        self.drop_pending()?;
        self.mls
            .merge_staged_commit(&self.overlay.provider(), *incoming.staged)
            .map_err(GroupError::local)?;
        if !incoming.removes_me {
            return self.refresh();
        }
        self.context = incoming.context;
        self.leaves.retain(|(leaf, _)| !incoming.removed.contains(&leaf.device));
        self.mls.delete(self.overlay.storage()).map_err(GroupError::local)?;
        self.overlay.clear();
        Ok(())
    }

    /// Refuses what is not a commit to this epoch, before any cryptography; gives the member who
    /// made it, or `None` if somebody enters from outside (RFC 9420 section 12.4.3.2).
    fn check_frame(&self, message: &PublicMessageIn) -> Result<Option<LeafNodeIndex>, GroupError> {
        if *message.group_id() != group_id(&self.space) {
            return Err(GroupError::Invalid("a message to another space"));
        }
        let (expected, found) = (self.epoch(), message.epoch().as_u64());
        if expected != found {
            return Err(GroupError::WrongEpoch { expected, found });
        }
        if message.content_type() != ContentType::Commit {
            return Err(GroupError::Invalid("not a commit"));
        }
        match message.sender() {
            Sender::Member(index) => Ok(Some(*index)),
            Sender::NewMemberCommit => Ok(None),
            _ => Err(GroupError::Invalid("a commit from outside the group")),
        }
    }

    fn judge(
        &self,
        member: Option<Leaf>,
        aad: Vec<u8>,
        staged: Box<StagedCommit>,
    ) -> Result<Incoming, GroupError> {
        let path = staged
            .update_path_leaf_node()
            .ok_or(GroupError::Invalid("a commit that renews no keys"))?;
        let committer = Leaf::of(path)?;
        if member.is_some_and(|member| member != committer) {
            return Err(GroupError::Credential);
        }
        let Effects { added, removed } = match member {
            Some(_) => self.effects(&staged)?,
            None => {
                if path.capabilities() != &capabilities() {
                    return Err(GroupError::Invalid("a leaf of other capabilities"));
                }
                self.entrance(&staged, committer)?
            }
        };
        check_size(self.leaves.len(), added.len(), removed.len())?;
        let context = Context::read(staged.group_context().extensions())?;
        let removes_me = staged.self_removed();
        let child_root = if removes_me { None } else { Some(self.child_root(&staged)?) };
        let parent = self.branch();
        Ok(Incoming {
            committer,
            enters: member.is_none(),
            aad,
            added: added.into_iter().collect(),
            removed: removed.into_iter().collect(),
            context,
            child_root,
            removes_me,
            staged,
            parent,
        })
    }

    /// Every proposal must be by value and of a kind we know: adds, removes and one new context. So
    /// pre-shared keys, updates, re-initialisation and whatever MLS may yet invent are refused.
    fn effects(&self, staged: &StagedCommit) -> Result<Effects, GroupError> {
        let mut effects = Effects::default();
        let mut devices = SortedSet::new();
        for queued in staged.queued_proposals() {
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(GroupError::Invalid("a proposal by reference"));
            }
            match queued.proposal() {
                Proposal::Add(add) => {
                    let leaf = key_package::check(add.key_package())?;
                    if self.contains(&leaf.device) || !devices.insert(leaf.device) {
                        return Err(GroupError::Invalid("a device added twice"));
                    }
                    effects.added.insert(leaf);
                }
                Proposal::Remove(remove) => {
                    let leaf = self.leaf_at(remove.removed());
                    let leaf = leaf.ok_or(GroupError::Invalid("a removal of nobody"))?;
                    effects.removed.insert(leaf.device);
                }
                Proposal::GroupContextExtensions(_) => {}
                _ => return Err(GroupError::Invalid("a proposal of another kind")),
            }
        }
        Ok(effects)
    }

    /// Whoever enters from outside adds itself, and at most takes its own earlier leaf away.
    fn entrance(&self, staged: &StagedCommit, newcomer: Leaf) -> Result<Effects, GroupError> {
        let mut effects = Effects { added: [newcomer].into(), removed: SortedSet::new() };
        for queued in staged.queued_proposals() {
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(GroupError::Invalid("a proposal by reference"));
            }
            match queued.proposal() {
                Proposal::ExternalInit(_) => {}
                Proposal::Remove(remove) => {
                    let leaf = self.leaf_at(remove.removed());
                    let leaf = leaf.ok_or(GroupError::Invalid("a removal of nobody"))?;
                    if leaf != newcomer {
                        return Err(GroupError::Invalid("an entrance that removes another"));
                    }
                    effects.removed.insert(leaf.device);
                }
                _ => return Err(GroupError::Invalid("a proposal of another kind")),
            }
        }
        if self.contains(&newcomer.device) && effects.removed.is_empty() {
            return Err(GroupError::Invalid("a device added twice"));
        }
        Ok(effects)
    }

    fn child_root(&self, staged: &StagedCommit) -> Result<Zeroizing<[u8; 32]>, GroupError> {
        let provider = self.provider();
        let root = staged.export_secret(provider.crypto(), ROOT, self.space.as_bytes(), ROOT_LEN);
        to_root(root.map_err(GroupError::local)?)
    }

    /// What tells this epoch from any other, also from one of the same number on another branch.
    fn branch(&self) -> Vec<u8> {
        self.mls.epoch_authenticator().as_slice().to_vec()
    }
}

fn parse(bytes: &[u8]) -> Result<PublicMessageIn, GroupError> {
    if bytes.len() > limits::ENVELOPE_HANDSHAKE {
        return Err(GroupError::TooLarge { what: "commit", limit: limits::ENVELOPE_HANDSHAKE });
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok();
    match message.map(MlsMessageIn::extract) {
        Some(MlsMessageBodyIn::PublicMessage(message)) => Ok(message),
        _ => Err(GroupError::Malformed { what: "commit" }),
    }
}

/// Tells what everybody sees wrong with a commit from what only this device can't open.
fn verdict<E: fmt::Display>(error: ProcessMessageError<E>) -> GroupError {
    use ApplyUpdatePathError as Path;
    match error {
        ProcessMessageError::StorageError(error) => GroupError::local(error),
        ProcessMessageError::InvalidCommit(error) => match error {
            StageCommitError::OwnCommitMismatch => GroupError::Own,
            StageCommitError::ConfirmationTagMismatch
            | StageCommitError::MissingDecryptionKey
            | StageCommitError::UpdatePathError(
                Path::UnableToDecrypt
                | Path::PathMismatch
                | Path::MissingCiphertext
                | Path::MissingOwnLeaf,
            ) => GroupError::Unopenable,
            _ => GroupError::Invalid("a commit that breaks a rule of MLS"),
        },
        _ => GroupError::Invalid("a commit that does not verify"),
    }
}
