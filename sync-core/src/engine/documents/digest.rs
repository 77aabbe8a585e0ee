//! A space's fingerprint: what must be equal wherever the same entries are.

use serde_json::{Map, json};
use sync_protocol::hash::Sha256;
use sync_protocol::sorted::SortedMap;
use sync_protocol::{AccountId, DeviceId, SpaceId};

use crate::api::{Digest, DocumentDigest, Response};
use crate::document::Name;
use crate::document::messages::{Attachment, Message};
use crate::engine::Step;
use crate::engine::rooms::Library;
use crate::engine::space::state::SpaceState;

impl Library<'_> {
    pub(in crate::engine) fn digest(&mut self, id: &SpaceId) -> Step<Response> {
        self.take_up(id)?;
        let mut names = self.spaces.space(id)?.row.documents.clone();
        // What was handed over shows in the documents that began with it; of all eras one counts.
        let eras = &self.spaces.space(id)?.row.eras;
        let (era, waits) = (eras.era(), eras.is_waiting());
        names.retain(|name| match name {
            Name::App(of, _) => *of == era && !waits,
            Name::Carried(_) => false,
            _ => true,
        });
        // Opening one may close another: each is read while it is open.
        for segment in self.content_rows().segments(id) {
            self.documents.document(self.spaces, id, &Name::Messages(segment))?;
        }
        for name in &names {
            self.documents.document(self.spaces, id, name)?;
        }
        let mut documents = SortedMap::new();
        for name in &names {
            let document = self.documents.document(self.spaces, id, name)?;
            let heads = document.heads();
            let content = document.content_hash();
            documents.insert(name.to_string(), DocumentDigest { heads, content });
        }
        let page = self.content_rows().page(id, None, usize::MAX)?;
        let space = self.spaces.core(id)?;
        let Some(core) = &space.core else {
            return Err(crate::Failure::NotFound("conversation").into());
        };
        let mut view = Sha256::default();
        view.update(around(space).to_string().as_bytes());
        view.update(b"\n");
        for message in &page {
            let shown = shown(message, |device| core.account_of(device));
            view.update(shown.to_string().as_bytes());
            view.update(b"\n");
        }
        let mut reached = space.reached.clone();
        for (writer, tip) in core.tips.iter() {
            reached.advance(*writer, *tip);
        }
        let tips = reached.iter().filter(|(_, tip)| tip.seq > 0);
        let frontier =
            tips.map(|(writer, tip)| (*writer, (tip.seq, *tip.link.as_bytes()))).collect();
        Ok(Response::Digest(Digest { frontier, documents, view: view.finish() }))
    }
}

/// What is shown of a space beside its messages, but for what people are called, which each hears in
/// its own time.
fn around(space: &SpaceState) -> serde_json::Value {
    let context = &space.row.context;
    let members: Vec<_> = context
        .roster
        .iter()
        .map(|(account, role)| json!([account.to_string(), format!("{role:?}")]))
        .collect();
    json!({ "title": context.title, "members": members, "era": context.era })
}

/// What a list shows of a message, receipts and progress left out.
fn shown(
    message: &Message,
    account_of: impl Fn(&DeviceId) -> Option<AccountId>,
) -> serde_json::Value {
    // All of it: two devices that differ in what is left out here are not found out.
    let Message {
        key,
        writer,
        effective,
        placement: _,
        text,
        reply_to,
        attachments,
        expires_ms,
        edited,
        deleted,
        reactions,
        needs_update,
    } = message;
    let mut by_account = Map::new();
    for (writer, emoji) in reactions {
        if let Some(account) = account_of(&writer.device) {
            by_account.insert(account.to_string(), emoji.as_str().into());
        }
    }
    json!({
        "message": key.to_string(),
        "author": account_of(&writer.device).map(|account| account.to_string()),
        "device": writer.device.to_string(),
        "text": text,
        "at_ms": effective.ms,
        "reply_to": reply_to.map(|key| key.to_string()),
        "edited": edited,
        "deleted": deleted,
        "reactions": by_account,
        "attachments": attachments.iter().map(attached).collect::<Vec<_>>(),
        "expires_ms": expires_ms,
        "needs_update": needs_update,
    })
}

fn attached(attachment: &Attachment) -> serde_json::Value {
    // The key opens it: no fingerprint is made of that.
    let Attachment { blob, key: _, size, name, media_type } = attachment;
    json!([sync_protocol::text::HEX.encode(blob), size, name, media_type])
}

#[cfg(test)]
mod tests {
    use sync_protocol::codec::Blob;

    use super::*;
    use crate::document::testing::place;
    use crate::document::{OrderKey, Stamp};
    use crate::engine::testing::{account, device, writer};

    fn stamp(ms: u64) -> Stamp {
        Stamp { ms, counter: 0 }
    }

    fn key(ms: u64) -> OrderKey {
        OrderKey { stamp: stamp(ms), tag: [1; 6] }
    }

    fn attachment() -> Attachment {
        Attachment {
            blob: [1; 32],
            key: Blob(vec![2]),
            size: 3,
            name: "cat.jpg".into(),
            media_type: "image/jpeg".into(),
        }
    }

    fn message() -> Message {
        Message {
            key: key(1),
            writer: writer(1),
            effective: stamp(1),
            placement: Some(place(1)),
            text: "hi".into(),
            reply_to: None,
            attachments: vec![attachment()],
            expires_ms: None,
            edited: false,
            deleted: false,
            reactions: SortedMap::from([(writer(1), "a".to_owned())]),
            needs_update: false,
        }
    }

    fn told(message: &Message) -> String {
        let of = |id: &DeviceId| (1..4).find(|n| device(*n) == *id).map(account);
        shown(message, of).to_string()
    }

    /// Changes one part after the other. A part that is not listed does not compile.
    macro_rules! each_part {
        ($of:ident of $whole:expr, $told:expr; untold $($left:ident)*; $($part:ident: $other:expr,)*) => {
            let $of { $($part: _,)* $($left: _,)* } = $whole;
            $({
                let mut changed = $whole;
                changed.$part = $other;
                assert_ne!($told(&changed), $told(&$whole), stringify!($part));
            })*
        };
    }

    #[test]
    fn a_fingerprint_changes_with_every_part_of_a_message() {
        each_part! { Message of message(), told; untold placement;
            key: key(2),
            writer: writer(2),
            effective: stamp(2),
            text: "ho".into(),
            reply_to: Some(key(1)),
            attachments: Vec::new(),
            expires_ms: Some(1),
            edited: true,
            deleted: true,
            reactions: SortedMap::from([(writer(2), "a".to_owned())]),
            needs_update: true,
        }
        each_part! { Attachment of attachment(), |it: &Attachment| attached(it).to_string(); untold key;
            blob: [2; 32],
            size: 4,
            name: "dog.jpg".into(),
            media_type: "image/png".into(),
        }
    }
}
