//! What the machine mode speaks, as OpenRPC with JSON Schemas: `rpc.discover`.
//!
//! `contract.txt` says it in few words, and this writes it out. `docs/rpc.json` is the same in a file, for whoever makes a
//! client of it. The tests hold all of it to what the engine takes and gives.

use serde_json::{Map, Value, json};

const CONTRACT: &str = include_str!("contract.txt");
/// The version of the specification that the description follows.
const OPENRPC: &str = "1.3.2";

/// The description, as an OpenRPC document.
pub(crate) fn document() -> Value {
    let mut types = Map::new();
    let mut methods: Vec<Value> = Vec::new();
    let mut notices = Vec::new();
    for line in CONTRACT.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(what) = line.strip_prefix(' ') {
            if let Some(method) = methods.last_mut() {
                method["summary"] = what.trim().into();
            }
            continue;
        }
        let mut words = Words(line);
        match words.next() {
            "type" => {
                let name = words.next().to_owned();
                words.next();
                types.insert(name, words.object("}"));
            }
            "notice" => {
                let name = words.next();
                words.next();
                notices.push(json!({ "name": name, "params": words.object("}") }));
            }
            name => methods.push(method(name, &mut words)),
        }
    }
    json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Rejoinder's terminal client",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0, one message a line, on stdin and stdout of `chat rpc`. Any call may carry `edit`, \
                a UUID: it is then made once, however often it is asked for.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": types },
        // OpenRPC has no word for what comes unasked.
        "x-notifications": notices,
    })
}

fn method(name: &str, words: &mut Words<'_>) -> Value {
    words.next();
    let fields = words.fields(")");
    let params = fields.into_iter().map(
        |(name, optional, schema)| json!({ "name": name, "required": !optional, "schema": schema }),
    );
    let params: Vec<Value> = params.collect();
    words.next();
    json!({
        "name": name,
        "summary": "",
        "paramStructure": "by-name",
        "params": params,
        "result": { "name": "result", "schema": words.schema() },
    })
}

/// What is still to be read of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The next name, word in quotation marks or mark; empty at the end.
    fn next(&mut self) -> &'a str {
        let left = self.0.trim_start();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
        let length = if left.starts_with('"') {
            left.get(1..).and_then(|rest| rest.find('"')).map_or(left.len(), |end| end + 2)
        } else if left.starts_with("->") {
            2
        } else {
            left.find(|c| !is_name(c)).unwrap_or(left.len()).max(1).min(left.len())
        };
        let (word, left) = left.split_at(length);
        self.0 = left;
        word
    }

    fn peek(&self) -> &'a str {
        Words(self.0).next()
    }

    /// Fields up to a mark: each with its name, whether it may be left out, and its schema.
    fn fields(&mut self, end: &str) -> Vec<(&'a str, bool, Value)> {
        let mut fields = Vec::new();
        loop {
            let name = self.next();
            if name == end || name.is_empty() {
                return fields;
            }
            if name == "," {
                continue;
            }
            let optional = self.next() == "?";
            if optional {
                self.next();
            }
            fields.push((name, optional, self.schema()));
        }
    }

    fn object(&mut self, end: &str) -> Value {
        let (mut required, mut properties) = (Vec::new(), Map::new());
        for (name, optional, schema) in self.fields(end) {
            if !optional {
                required.push(name);
            }
            properties.insert(name.to_owned(), schema);
        }
        json!({ "type": "object", "properties": properties, "required": required })
    }

    /// One type, or one of several.
    fn schema(&mut self) -> Value {
        let mut all = vec![self.one()];
        while self.peek() == "|" {
            self.next();
            all.push(self.one());
        }
        match all.len() {
            1 => all.remove(0),
            _ => json!({ "anyOf": all }),
        }
    }

    fn one(&mut self) -> Value {
        match self.next() {
            "text" => json!({ "type": "string" }),
            "number" => json!({ "type": "integer" }),
            "bool" => json!({ "type": "boolean" }),
            "null" => json!({ "type": "null" }),
            "json" => json!({}),
            "[" => {
                let items = self.schema();
                self.next();
                json!({ "type": "array", "items": items })
            }
            "{" => {
                let each = self.schema();
                self.next();
                json!({ "type": "object", "additionalProperties": each })
            }
            word => match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
                Some(word) => json!({ "const": word }),
                None => json!({ "$ref": format!("#/components/schemas/{word}") }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{everything, reached};
    use super::*;
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use sync_core::json as contract;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rpc.json");
    const SHAPES: &str = include_str!("../../../../docs/vectors/shapes.json");
    /// What this program serves beside the engine's methods.
    const OWN: [&str; 3] = ["account.export", "message.search", "rpc.discover"];

    /// Every method with its parameters, and whether each must be there.
    fn methods() -> BTreeMap<String, BTreeMap<String, bool>> {
        let document = document();
        let methods = document["methods"].as_array().unwrap().iter().map(|method| {
            let params = method["params"].as_array().unwrap().iter();
            let named = params.map(|param| {
                (param["name"].as_str().unwrap().to_owned(), param["required"] == true)
            });
            (method["name"].as_str().unwrap().to_owned(), named.collect())
        });
        methods.collect()
    }

    /// The description, and which of its types were held against a value.
    struct Held {
        all: Value,
        fitted: RefCell<BTreeSet<String>>,
    }

    impl Held {
        fn new() -> Self {
            Self { all: document(), fitted: RefCell::default() }
        }

        /// Says what of a value a schema has no place for.
        fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
            if let Some(name) = schema["$ref"].as_str() {
                let name = name.rsplit('/').next().unwrap();
                let found = self.all["components"]["schemas"].get(name);
                let schema = found.unwrap_or_else(|| panic!("no type {name}"));
                let misfit = self.misfit(schema, value);
                if misfit.is_none() {
                    self.fitted.borrow_mut().insert(name.to_owned());
                }
                return misfit;
            }
            if let Some(any) = schema["anyOf"].as_array() {
                let misfits: Vec<_> = any.iter().map(|one| self.misfit(one, value)).collect();
                let none = misfits.iter().all(Option::is_some);
                return none.then(|| format!("{value}: {misfits:?}"));
            }
            if let Some(word) = schema.get("const") {
                return (word != value).then(|| format!("{value} is not {word}"));
            }
            let fits = match schema["type"].as_str() {
                Some("string") => value.is_string(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("boolean") => value.is_boolean(),
                Some("null") => value.is_null(),
                Some("array") => {
                    let Some(items) = value.as_array() else { return Some(format!("{value}")) };
                    return items.iter().find_map(|item| self.misfit(&schema["items"], item));
                }
                Some("object") => return self.misfit_in_object(schema, value),
                _ => true,
            };
            (!fits).then(|| format!("{value} is no {}", schema["type"]))
        }

        fn misfit_in_object(&self, schema: &Value, value: &Value) -> Option<String> {
            let Some(fields) = value.as_object() else { return Some(format!("{value}")) };
            let needed = schema["required"].as_array().into_iter().flatten();
            if let Some(missing) =
                needed.into_iter().find(|name| value.get(name.as_str().unwrap()).is_none())
            {
                return Some(format!("{missing} is missing"));
            }
            fields.iter().find_map(|(name, value)| {
                let schema = schema["properties"].get(name).or(schema.get("additionalProperties"));
                match schema {
                    Some(schema) => self.misfit(schema, value).map(|why| format!("{name}: {why}")),
                    None => Some(format!("{name} is not known")),
                }
            })
        }

        /// The schema of a type, or of what a method gives.
        fn schema(&self, of: &str) -> Value {
            let methods = self.all["methods"].as_array().unwrap();
            let method = methods.iter().find(|method| method["name"] == of);
            match method {
                Some(method) => method["result"]["schema"].clone(),
                None => json!({ "$ref": format!("#/components/schemas/{of}") }),
            }
        }
    }

    #[test]
    fn the_description_is_the_one_in_the_docs() {
        let written = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
        if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
            std::fs::write(DOCUMENT, &written).unwrap();
        }
        let known = std::fs::read_to_string(Path::new(DOCUMENT)).unwrap_or_default();
        let differs = known.lines().zip(written.lines()).find(|(known, written)| known != written);
        assert!(
            known == written,
            "docs/rpc.json is not what contract.txt says, first at {differs:?}. Write it anew: \
             REJOINDER_WRITE_VECTORS=1 cargo test -p chat description"
        );
    }

    #[test]
    fn every_method_is_described_with_the_parameters_that_it_takes() {
        let described = methods();
        let engine: BTreeMap<_, BTreeSet<_>> = contract::methods()
            .map(|(name, params)| (name, params.iter().copied().collect()))
            .collect();
        for (name, params) in &engine {
            let known = described.get(*name).unwrap_or_else(|| panic!("{name} is not described"));
            let known: BTreeSet<_> = known.keys().map(String::as_str).collect();
            assert_eq!(&known, params, "{name}");
        }
        let others: Vec<_> =
            described.keys().filter(|name| !engine.contains_key(name.as_str())).collect();
        assert_eq!(others, OWN);
    }

    /// A value for each parameter: one that every method takes.
    fn given(name: &str) -> Value {
        let shapes: Value = serde_json::from_str(SHAPES).unwrap();
        let (conversation, message) =
            (&shapes["answers"]["conversation id"], &shapes["answers"]["message id"]);
        let account = &shapes["answers"]["account"];
        match name {
            "conversation" => conversation["conversation"].clone(),
            "message" | "before" | "reply_to" => message["message"].clone(),
            "account" | "device" => account[name].clone(),
            "relay" => shapes["notices"]
                .as_array()
                .unwrap()
                .iter()
                .find_map(|notice| notice["params"]["problem"].get("relay").cloned())
                .unwrap(),
            "space" => json!("account"),
            "members" | "edits" | "ops" | "path" => json!([]),
            "role" => json!("admin"),
            "until" => json!("stored"),
            "blocked" | "archived" => json!(true),
            "bytes" => json!("AQI="),
            _ => json!("abc"),
        }
    }

    #[test]
    fn what_must_be_there_is_what_a_method_misses() {
        for (name, params) in methods().iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
            let needed: Map<String, Value> = params
                .iter()
                .filter(|(_, required)| **required)
                .map(|(param, _)| (param.clone(), given(param)))
                .collect();
            // Somebody is named by one of two.
            let either = |params: &Map<String, Value>| {
                let mut params = params.clone();
                if methods()[name].contains_key("address")
                    && methods()[name].contains_key("account")
                {
                    params.insert("address".to_owned(), json!("bob"));
                }
                params
            };
            let all = contract::plan(name, &either(&needed));
            assert!(all.is_ok(), "{name}: {all:?}");
            for param in needed.keys() {
                let mut less = either(&needed);
                less.remove(param);
                assert!(contract::plan(name, &less).is_err(), "{name} without {param}");
            }
        }
    }

    /// What each answer of the vectors is described by: a type, or what a method gives.
    const RESULTS: [(&str, &str); 24] = [
        ("account", "NewAccount"),
        ("account", "RecoveredAccount"),
        ("bytes", "document.export"),
        ("comparison", "Comparison"),
        ("conflicts", "Conflicts"),
        ("contact", "Contact"),
        ("conversation", "Conversation"),
        ("conversation id", "ConversationId"),
        ("device", "Device"),
        ("device id", "DeviceId"),
        ("device name", "DeviceName"),
        ("digest", "Digest"),
        ("documents", "Documents"),
        ("done", "Done"),
        ("heads", "Heads"),
        ("history", "History"),
        ("invite", "Invite"),
        ("message", "Message"),
        ("message id", "MessageId"),
        ("offer", "Offer"),
        ("recovery code", "RecoveryCode"),
        ("settings", "settings.all"),
        ("status", "Status"),
        ("value", "settings.get"),
    ];

    /// What this program gives by itself.
    fn own(shapes: &Value) -> [(&'static str, Value); 3] {
        let found = everything::found(shapes["answers"]["message"].clone(), "x");
        let exported = crate::everything::Exported::default().to_json();
        [("FoundMessage", found), ("Exported", exported), ("Reached", reached(true))]
    }

    /// One operation of each kind on a document, with all that it takes.
    fn operations() -> [(&'static str, Value); 7] {
        let path = json!(["list", 1]);
        let (index, text) = (1, "words");
        [
            ("Put", json!({ "op": "put", "path": path, "value": 1 })),
            ("Put", json!({ "op": "ensure", "path": path, "value": 1 })),
            ("Put", json!({ "op": "convert", "path": path, "value": 1 })),
            ("Delete", json!({ "op": "delete", "path": path })),
            ("Move", json!({ "op": "move", "path": path, "to": 0 })),
            ("Increment", json!({ "op": "increment", "path": path, "by": 2 })),
            (
                "SpliceText",
                json!({
                    "op": "splice_text", "path": path, "index": index, "delete": 0, "insert": text,
                    "unit": "utf16",
                }),
            ),
        ]
    }

    #[test]
    fn what_is_given_and_told_is_what_is_described_and_every_type_is_held_to_it() {
        let held = Held::new();
        let shapes: Value = serde_json::from_str(SHAPES).unwrap();
        let answers = shapes["answers"].as_object().unwrap();
        for (shape, of) in RESULTS {
            assert_eq!(held.misfit(&held.schema(of), &answers[shape]), None, "{shape}");
        }
        let named: BTreeSet<_> = RESULTS.iter().map(|(shape, _)| (*shape).to_owned()).collect();
        assert_eq!(named, answers.keys().cloned().collect::<BTreeSet<_>>(), "each is described");
        for (of, value) in own(&shapes) {
            assert_eq!(held.misfit(&held.schema(of), &value), None, "{of}");
        }
        for (of, op) in operations() {
            assert_eq!(held.misfit(&held.schema(of), &op), None, "{of}");
            let params = json!({ "space": "account", "name": "plan", "ops": [op] });
            let taken = contract::plan("document.change", params.as_object().unwrap());
            assert!(taken.is_ok(), "{of}: {taken:?}");
        }
        for notice in shapes["notices"].as_array().unwrap() {
            let mut known = held.all["x-notifications"].as_array().unwrap().iter();
            let known = known.find(|known| known["name"] == notice["method"]);
            let known = known.unwrap_or_else(|| panic!("{notice} is not described"));
            assert_eq!(held.misfit(&known["params"], &notice["params"]), None, "{notice}");
        }
        let all = held.all["components"]["schemas"].as_object().unwrap();
        let fitted = held.fitted.borrow();
        let unseen: Vec<_> = all.keys().filter(|name| !fitted.contains(*name)).collect();
        assert!(unseen.is_empty(), "no value was held against {unseen:?}");
    }

    #[test]
    fn every_type_that_is_named_is_there() {
        let all = document();
        let text = all.to_string();
        for (_, rest) in text
            .match_indices("#/components/schemas/")
            .map(|(at, found)| text.split_at(at + found.len()))
        {
            let name = rest.split('"').next().unwrap();
            assert!(all["components"]["schemas"].get(name).is_some(), "{name}");
        }
        assert!(all["methods"].as_array().unwrap().iter().all(|method| method["summary"] != ""));
    }
}
