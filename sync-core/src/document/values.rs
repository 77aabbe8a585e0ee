//! Values of an app's document: read from JSON, and written into one.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{AutoCommit, AutomergeError, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value as Json};
use sync_protocol::limits;
use sync_protocol::text::{BASE64, HEX};

use super::OpFault;
use super::places::is_sign;

/// A value as a document holds it.
#[derive(Clone)]
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
/// Bytes of keys and values in one change, far below what a change may have.
const BYTES_PER_CHANGE: usize = 256 * 1024;
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

/// What is still to be had while values are read.
pub(crate) struct Budget {
    /// Of what takes no bytes of its own in a change.
    pub(crate) spare: usize,
    /// A counter beyond its limit becomes the limit: others have counted it there.
    pub(crate) clamps: bool,
}

/// What a JSON value says.
pub(crate) fn content(json: Json, room: usize, left: &mut Budget) -> Result<Content, OpFault> {
    let light = match &json {
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => true,
        Json::String(text) => text.is_empty(),
        Json::Number(_) => false,
    };
    left.spare = left.spare.checked_sub(usize::from(light)).ok_or(TOO_MANY)?;
    let inner = || room.checked_sub(1).ok_or(TOO_DEEP);
    Ok(match json {
        Json::Null => Content::Scalar(ScalarValue::Null),
        Json::Bool(yes) => Content::Scalar(ScalarValue::Boolean(yes)),
        Json::Number(number) => Content::Scalar(scalar_number(&number)?),
        Json::String(text) => Content::Scalar(ScalarValue::Str(text.into())),
        Json::Array(items) => {
            let room = inner()?;
            let items = items.into_iter().map(|item| element(content(item, room, left)?));
            Content::List(items.collect::<Result<_, _>>()?)
        }
        Json::Object(mut fields) => {
            let plain = if fields.len() == 1 { fields.remove(MAP) } else { None };
            let fields = match plain {
                Some(Json::Object(plain)) => plain,
                Some(_) => return Err(OpFault::BadValue),
                None => match tagged(&fields, left.clamps)? {
                    // Its letters lie one deeper.
                    Some(Content::Text(text)) => return inner().map(|_| Content::Text(text)),
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
                items.push((key, content(item, room, left)?));
            }
            Content::Map(items)
        }
    })
}

/// A value that may stand in a list: not one that would be taken for the sign of a moved element.
pub(crate) fn element(content: Content) -> Result<Content, OpFault> {
    match &content {
        Content::Scalar(ScalarValue::Bytes(bytes)) if is_sign(bytes) => Err(OpFault::BadValue),
        _ => Ok(content),
    }
}

fn scalar_number(number: &serde_json::Number) -> Result<ScalarValue, OpFault> {
    let whole =
        number.as_i64().map(ScalarValue::Int).or_else(|| number.as_u64().map(ScalarValue::Uint));
    whole.or_else(|| number.as_f64().map(ScalarValue::F64)).ok_or(OpFault::BadValue)
}

/// What a `{"$...": ...}` object stands for; `None` for an ordinary one.
fn tagged(fields: &Map<String, Json>, clamps: bool) -> Result<Option<Content>, OpFault> {
    let mut pairs = fields.iter();
    let (Some((tag, value)), None) = (pairs.next(), pairs.next()) else { return Ok(None) };
    let whole = value.as_i64();
    let content = match tag.as_str() {
        "$text" => value.as_str().map(|text| Content::Text(text.to_owned())),
        "$counter" => whole
            .filter(|number| clamps || number.unsigned_abs() <= limits::COUNTER)
            .map(|number| Content::Scalar(ScalarValue::counter(within_limit(number)))),
        // To the last bit, where a host's own reader of decimals is not exact.
        "$float" => value
            .as_str()
            .and_then(|bits| HEX.decode(bits).ok()?.try_into().ok())
            .map(f64::from_be_bytes)
            .filter(|number| number.is_finite())
            .map(|number| Content::Scalar(ScalarValue::F64(number))),
        "$time" => whole.map(|ms| Content::Scalar(ScalarValue::Timestamp(ms))),
        "$bytes" => value
            .as_str()
            .and_then(|text| BASE64.decode(text).ok())
            .map(|bytes| Content::Scalar(ScalarValue::Bytes(bytes))),
        _ => return Ok(None),
    };
    content.map(Some).ok_or(OpFault::BadValue)
}

fn within_limit(counter: i64) -> i64 {
    let most = i64::try_from(limits::COUNTER).unwrap_or(i64::MAX);
    counter.clamp(-most, most)
}

/// Whether what is large becomes several changes, and how many bytes the last of them has. By default
/// all is one.
#[derive(Default)]
pub(crate) struct Split(Option<usize>);

impl Split {
    /// So many bytes are written next.
    fn make_room(&mut self, doc: &mut AutoCommit, bytes: usize) {
        let Some(written) = &mut self.0 else { return };
        *written += bytes;
        if doc.pending_ops() >= OPS_PER_CHANGE || *written > BYTES_PER_CHANGE {
            doc.commit_with(CommitOptions::default().with_time(0));
            *written = bytes;
        }
    }
}

/// About how many bytes a place and what is written there take, without what is inside.
fn size(at: &Prop, content: &Content) -> usize {
    let key = match at {
        Prop::Map(key) => key.len(),
        Prop::Seq(_) => 0,
    };
    let value = match content {
        Content::Scalar(ScalarValue::Str(text)) => text.len(),
        Content::Scalar(ScalarValue::Bytes(bytes)) => bytes.len(),
        // Text becomes changes of its own.
        _ => 0,
    };
    key + value
}

/// Writes a value into a document.
pub(crate) fn write(
    doc: &mut AutoCommit,
    object: &ObjId,
    at: Prop,
    content: Content,
    how: How,
    split: &mut Split,
) -> Result<(), AutomergeError> {
    split.make_room(doc, size(&at, &content));
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
    split: &Split,
) -> Result<(), AutomergeError> {
    if split.0.is_none() {
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
    let mut left = Budget { spare: usize::MAX, clamps: true };
    let mut split = Split(Some(0));
    if let Content::Map(items) = content(json, limits::DOCUMENT_DEPTH + 1, &mut left)? {
        for (key, item) in items {
            let written = write(doc, &ROOT, Prop::Map(key), item, How::Put, &mut split);
            written.map_err(|_| OpFault::BadValue)?;
        }
    }
    doc.commit_with(CommitOptions::default().with_time(0));
    Ok(())
}
