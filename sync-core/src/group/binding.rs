//! What an epoch's id commits to of the group beside its root.
//!
//! A root alone does not say which group it is of: whoever knows it could lead a device into a group
//! of another making. The binding covers all that a device that comes in from outside builds upon.

use openmls::prelude::{
    MlsMessageBodyIn, MlsMessageIn,
    group_info::VerifiableGroupInfo,
    tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes},
};
use openmls_traits::OpenMlsProvider as _;
use sync_protocol::hash::{self, Domain};
use sync_protocol::limits;

use super::{Group, GroupError, Identity};

const BINDING: Domain = Domain::new("rejoinder group binding v1");
/// The version and the wire format before a group info.
const FRAME: usize = 4;

impl Group {
    /// The binding of this group in its present epoch. All members come to the same.
    ///
    /// # Errors
    /// `Local` only.
    pub fn binding(&self, identity: &Identity) -> Result<[u8; 32], GroupError> {
        let info = self.mls.export_group_info(self.provider().crypto(), identity, false);
        let info = info.map_err(GroupError::local)?.to_bytes().map_err(GroupError::local)?;
        Self::binding_of(&info)
    }

    /// The binding of the group that a group info leads into, if that is genuine.
    ///
    /// # Errors
    /// `Malformed` or `TooLarge`.
    pub fn binding_of(group_info: &[u8]) -> Result<[u8; 32], GroupError> {
        let info = parse(group_info)?;
        read(group_info, &info).ok_or(GroupError::Malformed { what: "group info" })
    }
}

/// A group info, not verified.
pub(super) fn parse(bytes: &[u8]) -> Result<VerifiableGroupInfo, GroupError> {
    if bytes.len() > limits::TICKET {
        return Err(GroupError::TooLarge { what: "group info", limit: limits::TICKET });
    }
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok();
    match message.map(MlsMessageIn::extract) {
        Some(MlsMessageBodyIn::GroupInfo(info)) => Ok(info),
        _ => Err(GroupError::Malformed { what: "group info" }),
    }
}

/// Of a group info: its context, which names the tree and all that led here; the key that an
/// entrance is sealed to; and the confirmation, which the next epoch is derived from.
fn read(bytes: &[u8], info: &VerifiableGroupInfo) -> Option<[u8; 32]> {
    let context = info.group_context().tls_serialize_detached().ok()?;
    let rest = bytes.get(FRAME..)?.strip_prefix(context.as_slice())?;
    let (_extensions, rest) = VLBytes::tls_deserialize_bytes(rest).ok()?;
    let (confirmation, _signer) = VLBytes::tls_deserialize_bytes(rest).ok()?;
    let external = info.extensions().external_pub()?.external_pub().as_slice();
    Some(hash::hash(BINDING, &[&context, external, confirmation.as_slice()]))
}
