//! Values of an app's document: read from JSON, and written into one.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{AutoCommit, AutomergeError, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value as Json};
use sync_protocol::limits;

use super::OpFault;

/// A value as a document holds it.
pub(crate) enum Content {
    Scalar(ScalarValue),
    Text(String),
    List(Vec<Content>),
    Map(Vec<(String, Content)>),
}

/// Whether a place that is there is written, or one is made.
#[derive(Clone, Copy)]
pub(crate) enum How {
    Put,
    Insert,
}

/// Operations after which a large value goes on in another change: what takes no bytes in a change
/// is bounded in each.
const OPS_PER_CHANGE: usize = limits::CHANGE_OPS_SPARE - 24;
/// Characters of a text that are written at once: each is an operation.
const CHARACTERS_AT_ONCE: usize = 16 * 1024;
/// Objects within objects.
const TOO_DEEP: OpFault =
    OpFault::TooLarge { what: "nested objects", limit: limits::DOCUMENT_DEPTH };
/// What takes no bytes of its own in a change.
pub(crate) const TOO_MANY: OpFault =
    OpFault::TooLarge { what: "empty values in one change", limit: limits::CHANGE_OPS_SPARE / 2 };
/// A map whose keys are nobody's but the user's.
pub(crate) const MAP: &str = "$map";

pub(crate) fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= limits::DOCUMENT_KEY
}

/// What a JSON value says. `spare` counts what takes no bytes of its own in a change.
pub(crate) fn content(json: Json, room: usize, spare: &mut usize) -> Result<Content, OpFault> {
    let light = match &json {
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => true,
        Json::String(text) => text.is_empty(),
        Json::Number(_) => false,
    };
    *spare = spare.checked_sub(usize::from(light)).ok_or(TOO_MANY)?;
    let inner = || room.checked_sub(1).ok_or(TOO_DEEP);
    Ok(match json {
        Json::Null => Content::Scalar(ScalarValue::Null),
        Json::Bool(yes) => Content::Scalar(ScalarValue::Boolean(yes)),
        Json::Number(number) => Content::Scalar(scalar_number(&number)?),
        Json::String(text) => Content::Scalar(ScalarValue::Str(text.into())),
        Json::Array(items) => {
            let room = inner()?;
            let items = items.into_iter().map(|item| content(item, room, spare));
            Content::List(items.collect::<Result<_, _>>()?)
        }
        Json::Object(mut fields) => {
            let plain = if fields.len() == 1 { fields.remove(MAP) } else { None };
            let fields = match plain {
                Some(Json::Object(plain)) => plain,
                Some(_) => return Err(OpFault::BadValue),
                None => match tagged(&fields)? {
                    Some(special) => return Ok(special),
                    None => fields,
                },
            };
            let room = inner()?;
            let mut items = Vec::with_capacity(fields.len());
            for (key, item) in fields {
                if !is_key(&key) {
                    return Err(OpFault::BadKey);
                }
                items.push((key, content(item, room, spare)?));
            }
            Content::Map(items)
        }
    })
}

fn scalar_number(number: &serde_json::Number) -> Result<ScalarValue, OpFault> {
    let whole =
        number.as_i64().map(ScalarValue::Int).or_else(|| number.as_u64().map(ScalarValue::Uint));
    whole.or_else(|| number.as_f64().map(ScalarValue::F64)).ok_or(OpFault::BadValue)
}

/// What a `{"$...": ...}` object stands for; `None` for an ordinary one.
fn tagged(fields: &Map<String, Json>) -> Result<Option<Content>, OpFault> {
    let mut pairs = fields.iter();
    let (Some((tag, value)), None) = (pairs.next(), pairs.next()) else { return Ok(None) };
    let whole = value.as_i64();
    let content = match tag.as_str() {
        "$text" => value.as_str().map(|text| Content::Text(text.to_owned())),
        "$counter" => whole
            .filter(|number| number.unsigned_abs() <= limits::COUNTER)
            .map(|number| Content::Scalar(ScalarValue::counter(number))),
        "$time" => whole.map(|ms| Content::Scalar(ScalarValue::Timestamp(ms))),
        "$bytes" => value
            .as_str()
            .and_then(|text| sync_protocol::text::BASE64.decode(text).ok())
            .map(|bytes| Content::Scalar(ScalarValue::Bytes(bytes))),
        _ => return Ok(None),
    };
    content.map(Some).ok_or(OpFault::BadValue)
}

/// Writes a value into a document. With `split`, what is large becomes several changes.
pub(crate) fn write(
    doc: &mut AutoCommit,
    object: &ObjId,
    at: Prop,
    content: Content,
    how: How,
    split: bool,
) -> Result<(), AutomergeError> {
    if split && doc.pending_ops() >= OPS_PER_CHANGE {
        doc.commit_with(CommitOptions::default().with_time(0));
    }
    let kind = match content {
        Content::Scalar(scalar) => {
            return match (how, at) {
                (How::Insert, Prop::Seq(index)) => doc.insert(object, index, scalar),
                (_, at) => doc.put(object, at, scalar),
            };
        }
        Content::Text(_) => ObjType::Text,
        Content::List(_) => ObjType::List,
        Content::Map(_) => ObjType::Map,
    };
    let made = match (how, at) {
        (How::Insert, Prop::Seq(index)) => doc.insert_object(object, index, kind)?,
        (_, at) => doc.put_object(object, at, kind)?,
    };
    match content {
        Content::Text(text) => write_text(doc, &made, &text, split)?,
        Content::List(items) => {
            for (index, item) in items.into_iter().enumerate() {
                write(doc, &made, Prop::Seq(index), item, How::Insert, split)?;
            }
        }
        Content::Map(items) => {
            for (key, item) in items {
                write(doc, &made, Prop::Map(key), item, How::Put, split)?;
            }
        }
        Content::Scalar(_) => (),
    }
    Ok(())
}

fn write_text(
    doc: &mut AutoCommit,
    made: &ObjId,
    text: &str,
    split: bool,
) -> Result<(), AutomergeError> {
    if !split {
        return doc.splice_text(made, 0, 0, text);
    }
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(CHARACTERS_AT_ONCE).map_or(rest.len(), |(at, _)| at);
        let (now, later) = rest.split_at(end);
        let at = doc.length(made);
        doc.splice_text(made, at, 0, now)?;
        doc.commit_with(CommitOptions::default().with_time(0));
        rest = later;
    }
    Ok(())
}

/// Writes a document's whole content into an empty one.
pub(crate) fn write_all(doc: &mut AutoCommit, json: Json) -> Result<(), OpFault> {
    let mut spare = usize::MAX;
    if let Content::Map(items) = content(json, limits::DOCUMENT_DEPTH + 1, &mut spare)? {
        for (key, item) in items {
            let written = write(doc, &ROOT, Prop::Map(key), item, How::Put, true);
            written.map_err(|_| OpFault::BadValue)?;
        }
    }
    doc.commit_with(CommitOptions::default().with_time(0));
    Ok(())
}
