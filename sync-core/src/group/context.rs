//! What all members agree on besides keys, carried in the MLS group context.

use openmls::prelude::{
    CredentialType, Extension, ExtensionType, Extensions, GroupContext,
    RequiredCapabilitiesExtension, UnknownExtension,
};
use sync_protocol::codec;
use sync_protocol::codec::{Decode, Encode};
use sync_protocol::limits;
use sync_protocol::roster::Roster;

use super::GroupError;

/// The MLS extension type of [`Context`], in the range for private use (RFC 9420 section 17.3).
pub(super) const EXTENSION: u16 = 0xF052;

/// What all members agree on besides keys. It changes by commit only; whether a committer may make a
/// change is for the caller to check.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Context {
    /// The oldest protocol version that may take part.
    #[n(0)]
    pub min_version: u32,
    /// The space's title.
    #[n(1)]
    pub title: String,
    /// Member accounts and their roles.
    #[n(2)]
    pub roster: Roster,
    /// Documents of earlier eras are not shared with everybody: a member let in without history
    /// begins a new one.
    #[n(3)]
    pub era: u32,
}

impl Context {
    /// The group context's extensions: this one, and the demand that every leaf understands it.
    ///
    /// # Errors
    /// `TooLarge`, as others would find it.
    pub(super) fn to_extensions(&self) -> Result<Extensions<GroupContext>, GroupError> {
        let encoded = codec::encode(self);
        self.fits(encoded.len())?;
        let ours = UnknownExtension(encoded);
        Extensions::from_vec(vec![
            Extension::RequiredCapabilities(required()),
            Extension::Unknown(EXTENSION, ours),
        ])
        .map_err(GroupError::local)
    }

    /// Whether it is as large as a context may be: every member keeps it, and whoever is invited gets
    /// it before they are asked.
    fn fits(&self, encoded: usize) -> Result<(), GroupError> {
        let too_large = |what, limit| Err(GroupError::TooLarge { what, limit });
        if self.title.len() > limits::TITLE {
            return too_large("title", limits::TITLE);
        }
        if self.roster.len() > limits::LEAVES {
            return too_large("roster", limits::LEAVES);
        }
        if encoded > limits::CONTEXT {
            return too_large("group context", limits::CONTEXT);
        }
        Ok(())
    }

    /// Reads a group context. Exactly our two extensions may be there: no external senders above all.
    pub(super) fn read(extensions: &Extensions<GroupContext>) -> Result<Self, GroupError> {
        if extensions.required_capabilities() != Some(&required()) || extensions.iter().count() != 2
        {
            return Err(GroupError::Invalid("unexpected extensions in the group context"));
        }
        let ours = extensions
            .unknown(EXTENSION)
            .ok_or(GroupError::Invalid("no context in the group context"))?;
        let context: Self = codec::decode_exact("group context", &ours.0)?;
        context.fits(ours.0.len())?;
        if context.min_version > limits::VERSION {
            return Err(GroupError::Unsupported { version: context.min_version });
        }
        Ok(context)
    }
}

fn required() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(EXTENSION)],
        &[],
        &[CredentialType::Basic],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::AccountId;
    use sync_protocol::roster::Role;

    fn context(title: String, members: u64) -> Context {
        let mut roster = Roster::founded_by(AccountId::of_root_key(&[1; 32]));
        let admin = AccountId::of_root_key(&[1; 32]);
        let add = (1..members).map(|n| {
            let mut key = [2; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            let (account, role) = (AccountId::of_root_key(&key), Role::Member);
            sync_protocol::roster::RosterChange::Add { account, role, devices: Vec::new() }
        });
        roster = roster.after(&admin, &add.collect::<Vec<_>>(), &[]).expect("an admin may add");
        Context { min_version: limits::MIN_VERSION, title, roster, era: 7 }
    }

    /// A group context of these bytes, whoever wrote them.
    fn forged(bytes: Vec<u8>) -> Result<Context, GroupError> {
        let extensions = Extensions::from_vec(vec![
            Extension::RequiredCapabilities(required()),
            Extension::Unknown(EXTENSION, UnknownExtension(bytes)),
        ]);
        Context::read(&extensions.expect("two extensions"))
    }

    fn limit_of(result: Result<Context, GroupError>) -> Option<&'static str> {
        match result {
            Err(GroupError::TooLarge { what, .. }) => Some(what),
            _ => None,
        }
    }

    #[test]
    fn the_largest_context_there_may_be_is_read() {
        let largest = context("\u{10ffff}".repeat(256), limits::LEAVES as u64);
        let read = Context::read(&largest.to_extensions().expect("it fits"));
        assert_eq!(read.expect("it is read"), largest);
    }

    #[test]
    fn nobody_is_made_to_keep_more() {
        let long = context("t".repeat(limits::TITLE + 1), 2);
        assert_eq!(limit_of(forged(codec::encode(&long))), Some("title"));
        assert!(matches!(long.to_extensions(), Err(GroupError::TooLarge { what: "title", .. })));
        let crowded = context(String::new(), limits::LEAVES as u64 + 1);
        assert_eq!(limit_of(forged(codec::encode(&crowded))), Some("roster"));
        // Fields that no reader knows.
        let mut e = minicbor::Encoder::new(Vec::new());
        let bytes = codec::encode(&context(String::new(), 2));
        e.map(5).expect("a vector grows");
        let mut fat = e.into_writer();
        fat.extend_from_slice(bytes.get(1..).unwrap_or_default());
        let mut e = minicbor::Encoder::new(&mut fat);
        e.u8(9).and_then(|e| e.bytes(&vec![0; limits::CONTEXT])).expect("a vector grows");
        assert!(forged(fat).is_err(), "it does not encode back to itself");
    }
}
