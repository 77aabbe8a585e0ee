//! Operations on an app's own document, and its way in and out as a file.

use automerge::transaction::Transactable;
use automerge::{
    AutoCommit, LoadOptions, ObjId, ObjType, OnPartialLoad, Prop, ROOT, ReadDoc, ScalarValue,
    TextEncoding,
};
use serde_json::Value as Json;
use sync_protocol::codec::Blob;
use sync_protocol::limits;

use super::json::{self, Style, prop};
use super::{AppOp, Document, DocumentError, Edit, EditError, Step};

/// A value as a document holds it.
enum Content {
    Scalar(ScalarValue),
    Text(String),
    List(Vec<Content>),
    Map(Vec<(String, Content)>),
}

#[derive(Clone, Copy)]
enum How {
    Put,
    Insert,
}

impl Document {
    /// The document as `.automerge` bytes that any Automerge build opens. What is not cut yet is
    /// in it; it becomes a change of its own, to be cut as usual.
    pub fn export(&mut self) -> Vec<u8> {
        self.close();
        self.doc.save()
    }

    /// The edit that makes this document's content that of `.automerge` bytes: their history
    /// stays behind, since their changes are other actors'. Apply it with [`Document::edit`].
    ///
    /// # Errors
    /// `BadImport`: not an Automerge document, or larger than `DOCUMENT_IMPORT`.
    pub fn import(&self, bytes: &[u8]) -> Result<Edit, DocumentError> {
        if bytes.len() > limits::DOCUMENT_IMPORT {
            return Err(DocumentError::BadImport);
        }
        let options = LoadOptions::new()
            .on_partial_load(OnPartialLoad::Error)
            .text_encoding(TextEncoding::UnicodeCodePoint);
        let file =
            AutoCommit::load_with_options(bytes, options).map_err(|_| DocumentError::BadImport)?;
        let kept: Vec<String> = file.keys(ROOT).collect();
        let gone = self.doc.keys(ROOT).filter(|key| !kept.contains(key));
        let mut ops: Vec<_> =
            gone.map(|key| AppOp::Delete { path: vec![Step::Key(key)] }).collect();
        for key in kept {
            if let Ok(Some((value, id))) = file.get(ROOT, key.as_str()) {
                let value = json::value(&file, value, &id, Style::Tagged, 0);
                let value = Blob(value.to_string().into_bytes());
                ops.push(AppOp::Put { path: vec![Step::Key(key)], value });
            }
        }
        Ok(Edit::App { ops })
    }

    /// Makes one operation in the open transaction.
    pub(crate) fn app_op(&mut self, op: &AppOp) -> Result<(), EditError> {
        match op {
            AppOp::Put { path, value } => self.put_json(path, value, How::Put),
            AppOp::Insert { path, value } => self.put_json(path, value, How::Insert),
            AppOp::Delete { path } => {
                let (object, last) = self.locate(path)?;
                self.doc.get(&object, last.clone()).ok().flatten().ok_or(EditError::NoSuchPlace)?;
                self.doc.delete(&object, last).map_err(|_| EditError::NoSuchPlace)
            }
            AppOp::Increment { path, by } => {
                if by.unsigned_abs() > limits::COUNTER_STEP {
                    let limit = usize::try_from(limits::COUNTER_STEP).unwrap_or(usize::MAX);
                    return Err(EditError::TooLarge { what: "counter step", limit });
                }
                let (object, last) = self.locate(path)?;
                self.doc.increment(&object, last, *by).map_err(|_| EditError::NoSuchPlace)
            }
            AppOp::SpliceText { path, index, delete, insert } => {
                self.splice(path, *index, *delete, insert)
            }
        }
    }

    fn splice(
        &mut self,
        path: &[Step],
        index: u64,
        delete: u64,
        insert: &str,
    ) -> Result<(), EditError> {
        let (object, last) = self.locate(path)?;
        let found = self.doc.get(&object, last).ok().flatten().ok_or(EditError::NoSuchPlace)?;
        let (automerge::Value::Object(ObjType::Text), text) = found else {
            return Err(EditError::NoSuchPlace);
        };
        let length = self.doc.length(&text) as u64;
        let end =
            index.checked_add(delete).filter(|end| *end <= length).ok_or(EditError::NoSuchPlace)?;
        let (Ok(index), Ok(delete)) = (usize::try_from(index), isize::try_from(end - index)) else {
            return Err(EditError::NoSuchPlace);
        };
        self.doc.splice_text(&text, index, delete, insert).map_err(|_| EditError::NoSuchPlace)
    }

    /// The object a path ends in, and where in it.
    fn locate(&self, path: &[Step]) -> Result<(ObjId, Prop), EditError> {
        let (last, way) = path.split_last().ok_or(EditError::NoSuchPlace)?;
        let mut object = ROOT;
        for step in way {
            let step = prop(step).ok_or(EditError::NoSuchPlace)?;
            let found = self.doc.get(&object, step).ok().flatten().ok_or(EditError::NoSuchPlace)?;
            let (automerge::Value::Object(_), id) = found else {
                return Err(EditError::NoSuchPlace);
            };
            object = id;
        }
        let kind = self.doc.object_type(&object).map_err(|_| EditError::NoSuchPlace)?;
        let last = prop(last).ok_or(EditError::NoSuchPlace)?;
        match (kind, &last) {
            (ObjType::Map, Prop::Map(key)) if is_key(key) => Ok((object, last)),
            (ObjType::List, Prop::Seq(_)) => Ok((object, last)),
            _ => Err(EditError::NoSuchPlace),
        }
    }

    fn put_json(&mut self, path: &[Step], value: &Blob, how: How) -> Result<(), EditError> {
        let json: Json =
            serde_json::from_slice(value.as_slice()).map_err(|_| EditError::BadValue)?;
        let mut spare = limits::CHANGE_OPS_SPARE / 2;
        let room = limits::DOCUMENT_DEPTH.checked_sub(path.len()).ok_or(TOO_DEEP)?;
        let content = content(json, room, &mut spare)?;
        if self.doc.pending_ops() > limits::CHANGE_OPS_SPARE && spare < limits::CHANGE_OPS_SPARE / 4
        {
            return Err(TOO_MANY);
        }
        let (object, last) = self.locate(path)?;
        if let (How::Insert, Prop::Map(_)) = (how, &last) {
            return Err(EditError::NoSuchPlace);
        }
        self.write(&object, last, content, how).map_err(|_| EditError::NoSuchPlace)
    }

    fn write(
        &mut self,
        object: &ObjId,
        at: Prop,
        content: Content,
        how: How,
    ) -> Result<(), automerge::AutomergeError> {
        let kind = match content {
            Content::Scalar(scalar) => {
                return match (how, at) {
                    (How::Insert, Prop::Seq(index)) => self.doc.insert(object, index, scalar),
                    (_, at) => self.doc.put(object, at, scalar),
                };
            }
            Content::Text(_) => ObjType::Text,
            Content::List(_) => ObjType::List,
            Content::Map(_) => ObjType::Map,
        };
        let made = match (how, at) {
            (How::Insert, Prop::Seq(index)) => self.doc.insert_object(object, index, kind)?,
            (_, at) => self.doc.put_object(object, at, kind)?,
        };
        match content {
            Content::Text(text) => self.doc.splice_text(&made, 0, 0, &text)?,
            Content::List(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.write(&made, Prop::Seq(index), item, How::Insert)?;
                }
            }
            Content::Map(items) => {
                for (key, item) in items {
                    self.write(&made, Prop::Map(key), item, How::Put)?;
                }
            }
            Content::Scalar(_) => (),
        }
        Ok(())
    }
}

/// Objects within objects.
const TOO_DEEP: EditError =
    EditError::TooLarge { what: "nested objects", limit: limits::DOCUMENT_DEPTH };
/// What takes no bytes of its own in a change.
const TOO_MANY: EditError =
    EditError::TooLarge { what: "empty values in one change", limit: limits::CHANGE_OPS_SPARE / 2 };

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= limits::DOCUMENT_KEY
}

/// What a JSON value says. `spare` counts what takes no bytes of its own in a change.
fn content(json: Json, room: usize, spare: &mut usize) -> Result<Content, EditError> {
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
            Content::List(
                items
                    .into_iter()
                    .map(|item| content(item, room, spare))
                    .collect::<Result<_, _>>()?,
            )
        }
        Json::Object(fields) => match tagged(&fields)? {
            Some(special) => special,
            None => {
                let room = inner()?;
                let mut items = Vec::with_capacity(fields.len());
                for (key, item) in fields {
                    if !is_key(&key) {
                        return Err(EditError::BadValue);
                    }
                    items.push((key, content(item, room, spare)?));
                }
                Content::Map(items)
            }
        },
    })
}

fn scalar_number(number: &serde_json::Number) -> Result<ScalarValue, EditError> {
    let whole =
        number.as_i64().map(ScalarValue::Int).or_else(|| number.as_u64().map(ScalarValue::Uint));
    whole.or_else(|| number.as_f64().map(ScalarValue::F64)).ok_or(EditError::BadValue)
}

/// What a `{"$...": ...}` object stands for; `None` for an ordinary one.
fn tagged(fields: &serde_json::Map<String, Json>) -> Result<Option<Content>, EditError> {
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
    content.map(Some).ok_or(EditError::BadValue)
}
