//! Documents as JSON, and the hash of their content.

use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value};
use serde_json::{Map, Value as Json, json};
use sync_protocol::hash::sha256;
use sync_protocol::limits;

use super::Step;
use super::history::History;
use super::places::{Place, is_sign, places};
use super::values::MAP;

/// How what JSON has no word for is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Texts as strings, counters and times as numbers.
    Plain,
    /// `{"$text": ...}`, `{"$counter": ...}`, `{"$time": ...}`: nothing is lost.
    Tagged,
}

/// As [`Document::content_hash`].
pub(crate) fn content_hash(doc: &AutoCommit, history: &History) -> [u8; 32] {
    let json = whole(doc, history, Style::Tagged);
    sha256(json.to_string().as_bytes())
}

/// All of a document.
pub(crate) fn whole(doc: &AutoCommit, history: &History, style: Style) -> Json {
    object((doc, history), &ROOT, ObjType::Map, style, 0)
}

/// A step as Automerge takes it.
pub(crate) fn prop(step: &Step) -> Option<Prop> {
    match step {
        Step::Key(key) => Some(Prop::Map(key.clone())),
        Step::Index(index) => usize::try_from(*index).ok().map(Prop::Seq),
    }
}

/// The JSON of one value.
pub(crate) fn value(
    of: (&AutoCommit, &History),
    value: Value<'_>,
    id: &ObjId,
    style: Style,
    depth: usize,
) -> Json {
    match value {
        Value::Object(kind) => object(of, id, kind, style, depth),
        Value::Scalar(scalar) => scalar_json(&scalar, style),
    }
}

fn object(
    of: (&AutoCommit, &History),
    id: &ObjId,
    kind: ObjType,
    style: Style,
    depth: usize,
) -> Json {
    let (doc, history) = of;
    // The check lets nothing nest deeper; a file to import may.
    if depth > limits::DOCUMENT_DEPTH {
        return Json::Null;
    }
    match kind {
        ObjType::Map | ObjType::Table => {
            let mut fields = Map::new();
            for item in doc.map_range(id, ..) {
                let inner = item.id();
                let json = value(of, item.value.into_value(), &inner, style, depth + 1);
                fields.insert(item.key.to_string(), json);
            }
            // What looks like one of ours, and is a user's.
            let is_taken = fields.len() == 1 && fields.keys().any(|key| key.starts_with('$'));
            if is_taken && style == Style::Tagged {
                return Json::Object(Map::from_iter([(MAP.to_owned(), Json::Object(fields))]));
            }
            Json::Object(fields)
        }
        ObjType::List => {
            let mut signs = false;
            let mut items: Vec<Json> = Vec::new();
            for item in doc.list_range(id, ..) {
                let inner = item.id();
                let found = item.value.into_value();
                signs |= found.as_bytes().is_some_and(is_sign);
                items.push(value(of, found, &inner, style, depth + 1));
            }
            if let Some(places) = signs.then(|| places(doc, id, history)).flatten() {
                let take = |place: &Place| items.get_mut(place.element).map(Json::take);
                items = places.iter().filter_map(take).collect();
            }
            Json::Array(items)
        }
        ObjType::Text => {
            let text = doc.text(id).unwrap_or_default();
            if style == Style::Tagged { json!({ "$text": text }) } else { Json::String(text) }
        }
    }
}

fn scalar_json(scalar: &ScalarValue, style: Style) -> Json {
    let tagged = style == Style::Tagged;
    match scalar {
        ScalarValue::Bytes(bytes) => json!({ "$bytes": sync_protocol::text::BASE64.encode(bytes) }),
        ScalarValue::Str(text) => Json::String(text.to_string()),
        ScalarValue::Int(number) => json!(number),
        ScalarValue::Uint(number) => json!(number),
        ScalarValue::F64(number) => json!(number),
        ScalarValue::Counter(counter) if tagged => json!({ "$counter": i64::from(counter) }),
        ScalarValue::Counter(counter) => json!(i64::from(counter)),
        ScalarValue::Timestamp(ms) if tagged => json!({ "$time": ms }),
        ScalarValue::Timestamp(ms) => json!(ms),
        ScalarValue::Boolean(yes) => json!(yes),
        ScalarValue::Null | ScalarValue::Unknown { .. } => Json::Null,
    }
}
