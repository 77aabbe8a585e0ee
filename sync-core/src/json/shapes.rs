//! Answers and events as JSON.

use serde_json::{Map, Value, json};
use sync_protocol::AccountId;
use sync_protocol::dormancy::Dormancy;
use sync_protocol::roster::Role;
use sync_protocol::text::{BASE64, HEX};

use super::people::Known;
use crate::api::{
    Author, AwayView, ChangeView, Compared, Comparison, ConflictView, ConversationChange,
    ConversationView, DeviceView, Digest, DocumentView, DocumentsView, LastMessage, MemberView,
    MessageView, Problem, Progress, Response, Status, Unreadable, Vouched,
};

use crate::document::Step;

/// Any answer but a page of messages, which needs to know people.
#[must_use]
pub fn response(response: Response) -> Value {
    match response {
        Response::Done => json!({}),
        Response::Account(new) => json!({
            "account": new.account.to_string(),
            "device": new.device.to_string(),
            "recovery_code": new.recovery_code,
        }),
        Response::Status(status) => self::status(&status),
        Response::Contact(card) => json!({
            "account": card.account.to_string(),
            "address": card.address,
            "name": card.name,
            "safety_number": card.safety_number,
            "qr": card.shown,
            "compared": match card.compared {
                Compared::Never => "never",
                Compared::Same => "same",
                Compared::Changed => "changed",
            },
        }),
        Response::Comparison(comparison) => {
            let result = match comparison {
                Comparison::Same => "same",
                Comparison::Behind => "behind",
                Comparison::Differs => "differs",
            };
            json!({ "result": result, "matches": comparison == Comparison::Same })
        }
        Response::Conversation(id) => json!({ "conversation": id.to_string() }),
        Response::Conversations(list) => list.iter().map(conversation).collect(),
        Response::Message(key) => json!({ "message": key.to_string() }),
        Response::Messages(list) => list.iter().map(|view| message(view, &Known::new())).collect(),
        Response::Value(value) => value,
        Response::Documents(DocumentsView { documents, waiting }) => {
            let one = |view: &DocumentView| {
                let DocumentView { name, title, archived } = view;
                json!({ "name": name, "title": title, "archived": archived })
            };
            json!({ "documents": documents.iter().map(one).collect::<Value>(), "waiting": waiting })
        }
        Response::History(changes) => {
            let one = |view: &ChangeView| {
                let mut json = author(view.author.as_ref());
                json["change"] = HEX.encode(view.change).into();
                json["at_ms"] = json!(view.at_ms);
                json["stored"] = view.at_ms.is_some().into();
                json
            };
            json!({ "changes": changes.iter().map(one).collect::<Value>() })
        }
        Response::Conflicts(values) => {
            let one = |view: ConflictView| {
                let mut json = author(view.author.as_ref());
                json["value"] = view.value;
                json
            };
            json!({ "values": values.into_iter().map(one).collect::<Value>() })
        }
        Response::Settings(all) => object(all),
        Response::Heads(heads) => json!({ "heads": hashes(&heads) }),
        Response::Bytes(bytes) => BASE64.encode(&bytes).into(),
        Response::Digest(digest) => self::digest(&digest),
        Response::Offer(offer) => json!({ "qr": offer }),
        Response::RecoveryCode(code) => json!({ "recovery_code": code }),
        Response::Invite(invite) => json!({ "code": invite.code, "until_ms": invite.until_ms }),
        Response::DeviceName(name) => json!({ "name": name }),
        Response::Device(device) => json!({ "device": device.to_string() }),
        Response::Devices(list) => list.iter().map(device).collect(),
    }
}

/// How things stand.
#[must_use]
pub fn status(status: &Status) -> Value {
    let Status {
        account,
        device,
        address,
        name,
        nameless,
        role,
        connected,
        up_to_date,
        last_confirmed_ms,
        waiting,
        spaces,
        unreadable,
        withheld,
        away,
        put_back_ms,
        problem,
    } = status;
    json!({
        "account": account.map(|id| id.to_string()),
        "device": device.map(|id| id.to_string()),
        "address": address,
        "name": name,
        "nameless": nameless,
        "role": role,
        "connected": connected,
        "up_to_date": up_to_date,
        "last_confirmed_ms": last_confirmed_ms,
        "waiting": waiting,
        "spaces": spaces,
        "unreadable": unreadable,
        "withheld": withheld,
        "away": away.iter().map(self::away).collect::<Value>(),
        "put_back_ms": put_back_ms,
        "problem": problem.as_ref().map(self::problem),
    })
}

fn away(view: &AwayView) -> Value {
    let AwayView { device, last_seen_ms, dormancy } = view;
    json!({
        "device": device.to_string(),
        "last_seen_ms": last_seen_ms,
        "dormancy": dormancy.word(),
    })
}

fn problem(problem: &Problem) -> Value {
    let (kind, message, space) = match problem {
        Problem::Session(rejection) => (rejection.kind(), rejection.to_string(), None),
        Problem::AddressTaken => {
            ("address_taken", "the address belongs to another account".to_owned(), None)
        }
        Problem::OtherRelay { now, .. } => {
            let message = format!("the relay is another than before: {now}");
            return json!({
                "kind": "other_relay", "message": message, "space": null, "relay": now.to_string(),
            });
        }
        Problem::NotARelay => {
            ("not_a_relay", "what answers is not a relay this version understands".to_owned(), None)
        }
        Problem::Space(space, rejection) => {
            (rejection.kind(), rejection.to_string(), Some(space.to_string()))
        }
    };
    json!({ "kind": kind, "message": message, "space": space, "relay": null })
}

fn device(view: &DeviceView) -> Value {
    let DeviceView { device, name, role, current, linked_ms, last_seen_ms, dormancy, revoked } =
        view;
    json!({
        "device": device.to_string(),
        "name": name,
        "role": role,
        "current": current,
        "linked_ms": linked_ms,
        "last_seen_ms": last_seen_ms,
        "dormancy": dormancy.map(Dormancy::word),
        "revoked": revoked,
    })
}

fn conversation(view: &ConversationView) -> Value {
    let ConversationView {
        conversation,
        title,
        members,
        adding,
        unread,
        last,
        muted,
        archived,
        pinned,
        pending,
        active,
        unreadable,
        waiting,
        vouched,
        withheld,
    } = view;
    json!({
        "conversation": conversation.to_string(),
        "title": title,
        "members": members.iter().map(member).collect::<Value>(),
        "adding": adding,
        "unread": unread,
        "last": last.as_ref().map(self::last),
        "muted": muted,
        "archived": archived,
        "pinned": pinned,
        "pending": pending,
        "active": active,
        "unreadable": unreadable.as_ref().map(self::unreadable),
        "waiting": waiting,
        "vouched": vouched.as_ref().map(self::vouched),
        "withheld": withheld,
    })
}

fn last(last: &LastMessage) -> Value {
    let LastMessage { message, author, text, at_ms } = last;
    json!({
        "message": message.to_string(),
        "author": author.to_string(),
        "text": text,
        "at_ms": at_ms,
    })
}

fn vouched(view: &Vouched) -> Value {
    let Vouched { account, device, at_ms } = view;
    json!({ "account": account.to_string(), "device": device.to_string(), "at_ms": at_ms })
}

fn unreadable(view: &Unreadable) -> Value {
    let Unreadable { changes, first_ms, last_ms } = view;
    json!({ "changes": changes, "first_ms": first_ms, "last_ms": last_ms })
}

fn member(view: &MemberView) -> Value {
    let MemberView { account, address, name, role } = view;
    json!({
        "account": account.to_string(),
        "address": address,
        "name": name,
        "role": match role {
            Role::Admin => "admin",
            Role::Member => "member",
            Role::Commenter => "commenter",
            Role::Reader => "reader",
        },
    })
}

/// One message.
#[must_use]
pub fn message(view: &MessageView, known: &Known) -> Value {
    let accounts = |ids: &mut dyn Iterator<Item = &AccountId>| -> Value {
        ids.map(ToString::to_string).collect()
    };
    let MessageView {
        message,
        author,
        device,
        text,
        at_ms,
        rank,
        reply_to,
        edited,
        deleted,
        reactions,
        status,
        delivered,
        read,
        needs_update,
    } = view;
    let reactions = reactions.iter();
    let reactions =
        object(reactions.map(|(account, emoji)| (account.to_string(), emoji.clone().into())));
    let by = known.get(author);
    json!({
        "message": message.to_string(),
        "author": author.to_string(),
        "author_address": by.and_then(|(address, _)| address.clone()),
        "author_name": by.map(|(_, name)| name),
        "device": device.to_string(),
        "text": text,
        "at_ms": at_ms,
        "rank": rank.to_string(),
        "reply_to": reply_to.map(|key| key.to_string()),
        "edited": edited,
        "deleted": deleted,
        "reactions": reactions,
        "status": progress(*status),
        "delivered": accounts(&mut delivered.iter()),
        "read": accounts(&mut read.iter()),
        "needs_update": needs_update,
    })
}

fn progress(progress: Progress) -> &'static str {
    match progress {
        Progress::Local => "local",
        Progress::Stored => "stored",
        Progress::Delivered => "delivered",
        Progress::Read => "read",
    }
}

/// Not collected: that sorts, and sorting is built in anew for each type.
fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut object = Map::new();
    object.extend(fields);
    object.into()
}

fn digest(digest: &Digest) -> Value {
    let frontier = digest.frontier.iter().map(|(writer, (seq, link))| {
        let writer = format!("{}/{:016x}", writer.device, writer.incarnation);
        (writer, json!({ "seq": seq, "link": HEX.encode(link) }))
    });
    let documents = digest.documents.iter().map(|(name, document)| {
        let content = HEX.encode(document.content);
        (name.clone(), json!({ "heads": hashes(&document.heads), "content": content }))
    });
    json!({
        "frontier": object(frontier),
        "documents": object(documents),
        "view": HEX.encode(digest.view),
    })
}

/// Whose something is, and which of their devices'.
pub(crate) fn author(author: Option<&Author>) -> Value {
    let account = author.map(|author| author.account.to_string());
    json!({ "account": account, "device": author.map(|author| author.device.to_string()) })
}

/// A path into a document.
pub(crate) fn path(path: &[Step]) -> Value {
    let step = |step: &Step| match step {
        Step::Key(key) => Value::from(key.as_str()),
        Step::Index(index) => Value::from(*index),
    };
    path.iter().map(step).collect()
}

fn hashes(hashes: &[[u8; 32]]) -> Value {
    hashes.iter().map(|hash| HEX.encode(hash)).collect()
}

/// What happened to a conversation: `change`, and who and why, where somebody could not be added.
pub(crate) fn change(change: &ConversationChange) -> Value {
    match change {
        ConversationChange::Founded => json!({ "change": "founded" }),
        ConversationChange::Joined => json!({ "change": "joined" }),
        ConversationChange::Changed => json!({ "change": "changed" }),
        ConversationChange::Left => json!({ "change": "left" }),
        ConversationChange::NotAdded { address, reason } => {
            json!({ "change": "not_added", "address": address, "kind": reason.kind() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{OrderKey, Rank, Stamp};
    use sync_protocol::DeviceId;
    use sync_protocol::sorted::{SortedMap, SortedSet};

    fn account(n: u8) -> AccountId {
        AccountId::of_root_key(&[n; 32])
    }

    fn view() -> MessageView {
        let key = OrderKey { stamp: Stamp { ms: 1, counter: 0 }, tag: [1; 6] };
        MessageView {
            message: key,
            author: account(1),
            device: DeviceId::of_signing_key(&[1; 32]),
            text: "hi".into(),
            at_ms: 1,
            rank: Rank::of(key, None),
            reply_to: None,
            edited: false,
            deleted: false,
            reactions: [(account(2), "👍".to_owned())].into(),
            status: Progress::Delivered,
            delivered: SortedSet::from([account(2)]),
            read: SortedSet::new(),
            needs_update: false,
        }
    }

    #[test]
    fn a_message_has_every_field_of_the_contract() {
        let known = Known::from([(account(1), (Some("ada".to_owned()), "Ada".to_owned()))]);
        let json = message(&view(), &known);
        for field in "message author device text at_ms reply_to edited deleted reactions status \
            delivered read"
            .split_whitespace()
        {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(json["reactions"], json!({ account(2).to_string(): "👍" }));
        assert_eq!(json["delivered"], json!([account(2).to_string()]));
        assert_eq!(json["status"], "delivered");
        assert_eq!((&json["author_name"], &json["author_address"]), (&json!("Ada"), &json!("ada")));
    }

    #[test]
    fn a_device_has_every_field_of_the_contract() {
        let view = DeviceView {
            device: DeviceId::of_signing_key(&[1; 32]),
            name: "phone".into(),
            role: "primary",
            current: true,
            linked_ms: Some(5),
            last_seen_ms: Some(7),
            dormancy: Some(Dormancy::Asleep),
            revoked: false,
        };
        let json = response(Response::Devices(vec![view]));
        let expected = json!([{
            "device": DeviceId::of_signing_key(&[1; 32]).to_string(), "name": "phone",
            "role": "primary", "current": true, "linked_ms": 5, "last_seen_ms": 7,
            "dormancy": "asleep", "revoked": false,
        }]);
        assert_eq!(json, expected);
    }

    #[test]
    fn a_device_without_an_account_has_a_status() {
        let json = status(&Status::default());
        for field in "account device name nameless role connected up_to_date last_confirmed_ms waiting spaces unreadable"
            .split_whitespace()
        {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(json["account"], Value::Null);
    }

    #[test]
    fn a_status_names_devices_that_were_away_for_long() {
        let device = DeviceId::of_signing_key(&[1; 32]);
        let view = AwayView { device, last_seen_ms: 7, dormancy: Dormancy::Dormant };
        let json = status(&Status { away: vec![view], ..Status::default() });
        let expected =
            json!([{ "device": device.to_string(), "last_seen_ms": 7, "dormancy": "dormant" }]);
        assert_eq!(json["away"], expected);
    }

    #[test]
    fn settings_and_values_are_themselves() {
        let all = SortedMap::from([("k".to_owned(), json!([1]))]);
        assert_eq!(response(Response::Settings(all)), json!({ "k": [1] }));
        assert_eq!(response(Response::Value(json!({ "a": 1 }))), json!({ "a": 1 }));
        assert_eq!(response(Response::Bytes(vec![1, 2])), json!("AQI="));
    }
}
