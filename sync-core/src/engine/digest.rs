//! A space's fingerprint: what must be equal wherever the same entries are.

use serde_json::{Map, json};
use sync_protocol::SpaceId;
use sync_protocol::hash::Sha256;
use sync_protocol::roster::Role;
use sync_protocol::sorted::SortedMap;

use crate::api::{Digest, DocumentDigest, Response};
use crate::document::Name;
use crate::document::messages::{Attachment, Message};
use crate::engine::space::{Core, SpaceState};
use crate::engine::{Engine, Step};

impl Engine {
    pub(super) fn digest(&mut self, id: &SpaceId) -> Step<Response> {
        self.take_up(id)?;
        let mut names = self.space(id)?.row.documents.clone();
        // What was handed over shows in the documents that began with it; of all eras one counts.
        let eras = &self.space(id)?.row.eras;
        let (era, waits) = (eras.era(), eras.is_waiting());
        names.retain(|name| match name {
            Name::App(of, _) => *of == era && !waits,
            Name::Carried(_) => false,
            _ => true,
        });
        // Opening one may close another: each is read while it is open.
        for segment in self.segments(id) {
            self.document(id, &Name::Messages(segment))?;
        }
        for name in &names {
            self.document(id, name)?;
        }
        let mut documents = SortedMap::new();
        for name in &names {
            let document = self.document(id, name)?;
            let heads = document.heads();
            let content = document.content_hash();
            documents.insert(name.to_string(), DocumentDigest { heads, content });
        }
        let page = self.page(id, None, usize::MAX)?;
        let space = self.core_space(id)?;
        let Some(core) = &space.core else {
            return Err(crate::Failure::NotFound("conversation").into());
        };
        let mut view = Sha256::default();
        view.update(around(space).to_string().as_bytes());
        view.update(b"\n");
        for message in &page {
            view.update(shown(message, core).to_string().as_bytes());
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
        .map(|(account, role)| json!([account.to_string(), role == Role::Admin]))
        .collect();
    json!({ "title": context.title, "members": members, "era": context.era })
}

/// What a list shows of a message, receipts and progress left out.
fn shown(message: &Message, core: &Core) -> serde_json::Value {
    let account = core.account_of(&message.writer.device).map(|account| account.to_string());
    let mut reactions = Map::new();
    for (writer, emoji) in &message.reactions {
        if let Some(account) = core.account_of(&writer.device) {
            reactions.insert(account.to_string(), emoji.as_str().into());
        }
    }
    json!({
        "message": message.key.to_string(),
        "author": account,
        "device": message.writer.device.to_string(),
        "text": message.text,
        "at_ms": message.effective.ms,
        "reply_to": message.reply_to.map(|key| key.to_string()),
        "edited": message.edited,
        "deleted": message.deleted,
        "reactions": reactions,
        "attachments": message.attachments.iter().map(attached).collect::<Vec<_>>(),
        "expires_ms": message.expires_ms,
        "needs_update": message.needs_update,
    })
}

fn attached(attachment: &Attachment) -> serde_json::Value {
    let Attachment { blob, size, name, media_type, .. } = attachment;
    json!([sync_protocol::text::HEX.encode(blob), size, name, media_type])
}
