//! The ways in that one commit opens, as they are made and as they are read (`docs/protocol.md`,
//! "Invitations").
//!
//! What all devices need alike goes once: the Welcome with its tree, the members' device logs, the
//! grants, each sealed under a key of its own. A device's own item says to which of them it may
//! have the key.

use sync_protocol::codec::{self, Blob, Decode, Encode};
use sync_protocol::device_log::DeviceLog;
use sync_protocol::frames::{InboxItem, WelcomeFor, Welcomes};
use sync_protocol::ids::LogHead;
use sync_protocol::signing::Signed;
use sync_protocol::sorted::SortedSet;
use sync_protocol::{AccountId, DeviceId, EpochId, SpaceId, hash, limits};

use crate::api::Failure;
use crate::engine::account::encoded;
use crate::engine::rooms::Commits;
use crate::engine::rows::Grant;
use crate::engine::{Step, seal};
use crate::group::GroupError;

const VERSION: u8 = 2;
/// Epochs one invitation may grant.
const EPOCHS: usize = 65_536;

/// What one device has for itself: signed by whoever adds it.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Invitation {
    #[n(0)]
    pub(in crate::engine) version: u8,
    #[n(1)]
    pub(in crate::engine) space: SpaceId,
    #[n(2)]
    pub(in crate::engine) device: DeviceId,
    /// The epoch it leads to.
    #[n(3)]
    pub(in crate::engine) epoch: EpochId,
    /// The hash of what all have alike.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(in crate::engine) common: [u8; 32],
    /// Which of the grants is this device's.
    #[n(5)]
    pub(in crate::engine) grant: u8,
    /// That grant's key, sealed to the device.
    #[n(6)]
    pub(in crate::engine) key: Blob,
}

/// What all devices that a commit lets in have alike.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(map)]
pub(in crate::engine) struct Common {
    #[n(0)]
    pub(in crate::engine) version: u8,
    #[n(1)]
    pub(in crate::engine) welcome: Blob,
    /// Device logs of members, the inviter's among them.
    #[n(2)]
    pub(in crate::engine) logs: Vec<(AccountId, Vec<Blob>)>,
    /// The members' logs for which there was no room.
    #[n(3)]
    pub(in crate::engine) named: Vec<(AccountId, u64, LogHead)>,
    /// [`Grant`]s, each sealed under its own key.
    #[n(4)]
    pub(in crate::engine) grants: Vec<Blob>,
}

/// Why a device does not come in by what lies in its inbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::engine) enum Unfit {
    #[error("what all have alike is not there")]
    Bare,
    #[error("what all have alike is too large")]
    TooLarge,
    #[error("the {0} does not parse")]
    Malformed(&'static str),
    #[error("it is for another device")]
    NotOurs,
    #[error("it came with another space's handshake")]
    OtherSpace,
    #[error("what all have alike is another's")]
    OtherCommon,
    #[error("the inviter is not a device of its account")]
    Inviter,
    #[error("the inviter did not sign it")]
    Signature,
    #[error("the grant does not open")]
    Grant,
    #[error("the device log of {0} does not verify, or is not there")]
    Log(AccountId),
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("somebody else made the welcome")]
    OtherWelcome,
    #[error("this account is not in the space")]
    Outside,
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        Self::Invalid(unfit.to_string())
    }
}

impl From<Unfit> for crate::engine::Stop {
    fn from(unfit: Unfit) -> Self {
        Self::Fail(unfit.into())
    }
}

/// Who reads an item.
pub(in crate::engine) struct Reader<'a> {
    pub(in crate::engine) device: DeviceId,
    pub(in crate::engine) hpke: &'a [u8; 32],
}

/// An item that is its sender's word, with what it leads to. The group is not joined yet, and of
/// the logs only the inviter's is verified.
pub(in crate::engine) struct Word {
    pub(in crate::engine) invitation: Invitation,
    pub(in crate::engine) common: Common,
    pub(in crate::engine) grant: Grant,
}

/// Reads an item: what costs least is looked at first, and nothing but the signature makes the
/// rest worth looking at.
pub(in crate::engine) fn read(item: &InboxItem, reader: &Reader<'_>) -> Result<Word, Unfit> {
    let common = item.common.as_ref().ok_or(Unfit::Bare)?.as_slice();
    if common.len() > limits::WELCOME {
        return Err(Unfit::TooLarge);
    }
    let malformed = Unfit::Malformed("invitation");
    let signed: Signed<Invitation> =
        codec::decode_exact("invitation", item.item.as_slice()).map_err(|_| malformed.clone())?;
    let claimed = signed.peek("invitation").map_err(|_| malformed)?;
    if claimed.version != VERSION || claimed.device != reader.device {
        return Err(Unfit::NotOurs);
    }
    if item.space.is_some_and(|space| space != claimed.space) {
        return Err(Unfit::OtherSpace);
    }
    if claimed.common != hash::hash(hash::WELCOME, &[common]) {
        return Err(Unfit::OtherCommon);
    }
    let common: Common =
        codec::decode_exact("welcome", common).map_err(|_| Unfit::Malformed("welcome"))?;
    if common.version != VERSION || common.logs.len() + common.named.len() > limits::LEAVES + 1 {
        return Err(Unfit::Malformed("welcome"));
    }
    let log = common.logs.iter().find(|(account, _)| *account == item.account);
    let (_, entries) = log.ok_or(Unfit::Inviter)?;
    let entries: Vec<&[u8]> = entries.iter().map(Blob::as_slice).collect();
    let log = DeviceLog::verify(&item.account, &entries).map_err(|_| Unfit::Inviter)?;
    let inviter = log.active(&item.device).ok_or(Unfit::Inviter)?;
    let context: [&[u8]; 1] = [item.account.as_bytes()];
    let invitation = signed
        .verify("invitation", &inviter.keys.signing, hash::INBOX, &context)
        .map_err(|_| Unfit::Signature)?
        .into_inner();
    let grant = open_grant(&invitation, &common, reader)?;
    Ok(Word { invitation, common, grant })
}

/// The space that an item says it leads to.
pub(in crate::engine) fn leads_to(item: &InboxItem) -> Option<SpaceId> {
    let signed: Signed<Invitation> = codec::decode("invitation", item.item.as_slice()).ok()?;
    signed.peek("invitation").ok().map(|invitation| invitation.space)
}

fn open_grant(
    invitation: &Invitation,
    common: &Common,
    reader: &Reader<'_>,
) -> Result<Grant, Unfit> {
    let Invitation { space, device, epoch, .. } = invitation;
    let key =
        seal::open_from(reader.hpke, &key_aad(space, device, epoch), invitation.key.as_slice());
    let key: [u8; 32] = key.ok().and_then(|key| key.try_into().ok()).ok_or(Unfit::Grant)?;
    let sealed = common.grants.get(usize::from(invitation.grant)).ok_or(Unfit::Grant)?;
    let grant = seal::open(&key, &grant_aad(space, epoch), sealed.as_slice());
    let grant: Grant = codec::decode_exact("grant", &grant.map_err(|_| Unfit::Grant)?)
        .map_err(|_| Unfit::Malformed("grant"))?;
    if grant.epochs.len() > EPOCHS { Err(Unfit::Malformed("grant")) } else { Ok(grant) }
}

fn key_aad(space: &SpaceId, device: &DeviceId, epoch: &EpochId) -> Vec<u8> {
    [space.as_bytes().as_slice(), device.as_bytes(), epoch.as_bytes()].concat()
}

fn grant_aad(space: &SpaceId, epoch: &EpochId) -> Vec<u8> {
    [space.as_bytes().as_slice(), epoch.as_bytes()].concat()
}

/// The grants of one commit, before its epoch is known: with history, without, or both.
pub(in crate::engine) struct Grants {
    by_history: Vec<(bool, Vec<u8>)>,
}

impl Grants {
    /// Bytes of all.
    pub(in crate::engine) fn size(&self) -> usize {
        self.by_history.iter().map(|(_, grant)| grant.len() + 64).sum()
    }
}

/// Where ways in lead.
pub(in crate::engine) struct Into<'a> {
    pub(in crate::engine) space: &'a SpaceId,
    pub(in crate::engine) epoch: EpochId,
    /// The MLS Welcome.
    pub(in crate::engine) welcome: Vec<u8>,
}

impl Commits<'_> {
    /// What the devices to be added may know, as far as it is here.
    ///
    /// # Errors
    /// `Need` for what has to be loaded: so this comes before anything is built.
    pub(in crate::engine) fn grants(
        &mut self,
        id: &SpaceId,
        devices: &[(AccountId, DeviceId, bool)],
    ) -> Step<Grants> {
        let members = self.members_with(id, devices)?;
        let mut by_history = Vec::new();
        for history in [true, false] {
            if devices.iter().any(|(_, _, with)| *with == history) {
                let mut grant = self.spaces.grant(self.people, id, &members, history)?;
                if !history && self.spaces.space(id)?.row.own {
                    grant.documents = self.invitations().shared_documents(id)?;
                }
                by_history.push((history, codec::encode(&grant)));
            }
        }
        Ok(Grants { by_history })
    }

    /// Everybody whose leaves a device meets that is let in together with these, this account
    /// first.
    fn members_with(
        &self,
        id: &SpaceId,
        devices: &[(AccountId, DeviceId, bool)],
    ) -> Step<Vec<AccountId>> {
        let own = self.account.me()?.account();
        let roster = self.spaces.space(id)?.row.context.roster.iter().map(|(member, _)| member);
        let mut others: SortedSet<AccountId> = roster.collect();
        others.extend(devices.iter().map(|(account, _, _)| *account));
        let others = others.into_iter().filter(|member| *member != own);
        Ok(std::iter::once(own).chain(others).collect())
    }

    /// What lets devices in, signed by this one. As many members' logs go along as `room` bytes
    /// take; the others are named.
    pub(in crate::engine) fn ways_in(
        &mut self,
        into: Into<'_>,
        devices: &[(AccountId, DeviceId, bool)],
        grants: Grants,
        room: usize,
    ) -> Step<Option<Welcomes>> {
        if devices.is_empty() {
            return Ok(None);
        }
        let members = self.members_with(into.space, devices)?;
        let mut common =
            Common { version: VERSION, welcome: Blob(into.welcome), ..Common::default() };
        let mut keys = Vec::new();
        for (history, grant) in grants.by_history {
            let key = self.turn.seed();
            let aad = grant_aad(into.space, &into.epoch);
            common.grants.push(Blob(seal::seal(&key, &aad, &grant, &mut self.turn.rng)));
            keys.push((history, key));
        }
        let taken = codec::encode(&common).len();
        (common.logs, common.named) = self.people.logs_within(&members, room.saturating_sub(taken));
        let common = codec::encode(&common);
        let bare = Invitation {
            version: VERSION,
            space: *into.space,
            device: self.account.me()?.device(),
            epoch: into.epoch,
            common: hash::hash(hash::WELCOME, &[&common]),
            grant: 0,
            key: Blob::default(),
        };
        let items = devices.iter().map(|device| self.way_in(&bare, device, &keys));
        let items = items.collect::<Vec<_>>().into_iter().collect::<Step<Vec<_>>>()?;
        Ok(Some(Welcomes { common: Blob(common), items }))
    }

    fn way_in(
        &mut self,
        bare: &Invitation,
        (account, device, history): &(AccountId, DeviceId, bool),
        keys: &[(bool, [u8; 32])],
    ) -> Step<WelcomeFor> {
        let log = self.people.log(account);
        let known = log.and_then(|log| log.active(device)).ok_or(Failure::NotFound("device"))?;
        let hpke = known.keys.hpke;
        let at = keys.iter().position(|(with, _)| with == history);
        let (at, (_, key)) = at.zip(at.and_then(|at| keys.get(at))).ok_or(Unfit::Grant)?;
        let aad = key_aad(&bare.space, device, &bare.epoch);
        let key = seal::seal_to(&hpke, &aad, key, &mut self.turn.rng)
            .map_err(|_| Failure::Invalid("the device's key is not usable".to_owned()))?;
        let grant = u8::try_from(at).unwrap_or(u8::MAX);
        let invitation = Invitation { device: *device, grant, key: Blob(key), ..bare.clone() };
        let me = self.account.me()?;
        let own = me.account();
        let signed =
            Signed::seal(&invitation, &me.identity().signing, hash::INBOX, &[own.as_bytes()]);
        Ok(WelcomeFor { account: *account, device: *device, item: encoded(&signed) })
    }
}

#[cfg(test)]
mod tests;
