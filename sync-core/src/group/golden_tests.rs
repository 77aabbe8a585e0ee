//! Records that an earlier build wrote: they must still be read, on every target.
//!
//! `REJOINDER_WRITE_RECORDS=1 cargo test -p sync-core --lib group` writes them anew; what then
//! differs is a change of the store's format.

#![allow(clippy::unwrap_used)]

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sync_protocol::roster::Roster;
use sync_protocol::signing::SigningKey;
use sync_protocol::{AccountId, SpaceId};

use super::*;

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const COMMITTED: &str = include_str!("golden_records.json");
const SPACE: SpaceId = SpaceId::from_bytes([9; 32]);

fn identity(n: u8) -> Identity {
    Identity::new(AccountId::of_root_key(&[n; 32]), SigningKey::from_bytes(&[n; 32]))
}

fn context() -> Context {
    let roster = Roster::founded_by(AccountId::of_root_key(&[1; 32]));
    Context { min_version: 1, title: "golden".into(), roster, era: 0 }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn written(diff: RecordDiff) -> Value {
    diff.puts.into_iter().map(|(key, value)| json!([hex(key), hex(value)])).collect()
}

fn records(value: &Value) -> Records {
    value.as_array().unwrap().iter().map(|pair| (bytes(&pair[0]), bytes(&pair[1]))).collect()
}

/// A founder with a commit pending that adds a second device, and what that device was to join by.
fn make() -> Value {
    let (founder, second) = (identity(1), identity(2));
    let key_package = new_key_package(&second, [2; 32], false).unwrap();
    let mut group = Group::create(&founder, SPACE, &context(), [3; 32]).unwrap();
    let change = Change { add: vec![key_package.bytes], remove: Vec::new(), context: context() };
    let commit = group.commit(&founder, &change, b"header", [4; 32]).unwrap();
    json!({
        "root": hex(*group.root()),
        "next root": hex(*commit.child_root),
        "welcome": hex(commit.welcome.unwrap()),
        "group": written(group.diff()),
        "key package": written(key_package.records),
    })
}

fn committed() -> Value {
    if std::env::var_os("REJOINDER_WRITE_RECORDS").is_some() {
        let made = make();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/group/golden_records.json");
        std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        return made;
    }
    serde_json::from_str(COMMITTED).unwrap()
}

#[test]
fn committed_records_are_read() {
    let committed = committed();
    let mut founder = Group::load(SPACE, records(&committed["group"])).unwrap();
    assert_eq!(hex(*founder.root()), committed["root"]);
    assert!(founder.has_pending());
    founder.merge_pending().unwrap();
    let key_packages = records(&committed["key package"]);
    let welcome = bytes(&committed["welcome"]);
    let second = Group::join(SPACE, &welcome, &key_packages, [5; 32]).unwrap().group;
    for group in [founder, second] {
        assert_eq!(hex(*group.root()), committed["next root"]);
        assert_eq!(group.context().title, "golden");
        assert_eq!(group.leaves().len(), 2);
    }
}
