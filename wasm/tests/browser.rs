//! The browser's host in a real browser: stores, and a client without a relay.

#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;

use js_sys::{Array, Function, JSON, Object, Reflect};
use sync_core::records::{Batch, Records};
use sync_store::{AsyncRecordStore as _, MemoryStore, StoreError, conformance};
use wasm::Client;
use wasm::store::{BrowserStore, IndexedDbStore, Kind, OpfsStore};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

// Files can be written at once only there.
wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
async fn a_file_of_the_pages_own_is_a_store() {
    conformance::check(async || OpfsStore::open("conformance").await.unwrap()).await;
}

#[wasm_bindgen_test]
async fn the_browsers_database_is_a_store() {
    conformance::check(async || IndexedDbStore::open("conformance").await.unwrap()).await;
}

#[wasm_bindgen_test]
async fn memory_is_a_store() {
    let store = MemoryStore::default();
    conformance::check(async || store.clone()).await;
}

#[wasm_bindgen_test]
async fn two_owners_never_share_a_file() {
    let first = OpfsStore::open("owned").await.unwrap();
    let in_use = StoreError::InUse(PathBuf::from("owned"));
    assert_eq!(OpfsStore::open("owned").await.unwrap_err(), in_use);
    assert_eq!(
        BrowserStore::open("owned", None).await.unwrap_err(),
        in_use,
        "nor is it passed over"
    );
    drop(first);
    OpfsStore::open("owned").await.unwrap();
}

#[wasm_bindgen_test]
async fn the_best_store_is_chosen_and_what_is_there_keeps_its_kind() {
    assert_eq!(BrowserStore::open("best", None).await.unwrap().kind(), Kind::Opfs);
    drop(BrowserStore::open("kept", Some(Kind::IndexedDb)).await.unwrap());
    assert_eq!(BrowserStore::open("kept", None).await.unwrap().kind(), Kind::IndexedDb);
}

#[wasm_bindgen_test]
async fn a_store_that_was_taken_away_is_empty_when_it_is_back() {
    for kind in [Kind::Opfs, Kind::IndexedDb] {
        let mut store = BrowserStore::open("away", Some(kind)).await.unwrap();
        let mut batch = Batch { number: 1, ..Batch::default() };
        batch.put(b"k".to_vec(), b"v".to_vec());
        store.write(&[batch]).await.unwrap();
        drop(store);
        match kind {
            Kind::Opfs => OpfsStore::remove("away").await.unwrap(),
            _ => IndexedDbStore::remove("away").await.unwrap(),
        }
        let store = BrowserStore::open("away", Some(kind)).await.unwrap();
        assert_eq!(store.read(b"").await.unwrap(), Records::new(), "{kind:?}");
    }
}

#[wasm_bindgen_test]
async fn thousands_of_records_are_written_and_read_at_once() {
    let mut store = OpfsStore::open("many").await.unwrap();
    let mut batch = Batch { number: 1, clears: vec![Vec::new()], ..Batch::default() };
    for n in 0..5_000_u32 {
        batch.put([b"d", n.to_be_bytes().as_slice()].concat(), vec![7; 200]);
    }
    store.write(&[batch]).await.unwrap();
    assert_eq!(store.read(b"d").await.unwrap().len(), 5_000);
}

#[wasm_bindgen_test]
async fn what_was_answered_is_there_after_opening_again() {
    for storage in ["opfs", "indexeddb"] {
        let client = open(&format!("kept-{storage}"), storage).await.unwrap();
        assert_eq!(client.storage(), storage);
        let made =
            call(&client, "account.create", r#"{"address":"ada","name":"Ada"}"#).await.unwrap();
        let edit = "000102030405060708090a0b0c0d0e0f";
        let send = r#"{"key":"theme","value":"dark"}"#;
        call_once(&client, "settings.set", send, edit).await.unwrap();
        client.close().await;
        let client = open(&format!("kept-{storage}"), storage).await.unwrap();
        let status = call(&client, "account.status", "{}").await.unwrap();
        assert_eq!(field(&status, "account"), field(&made, "account"));
        assert_eq!(field(&status, "connected"), JsValue::FALSE);
        let again = r#"{"key":"theme","value":"light"}"#;
        call_once(&client, "settings.set", again, edit).await.unwrap();
        let theme = call(&client, "settings.get", r#"{"key":"theme"}"#).await.unwrap();
        assert_eq!(theme, JsValue::from_str("dark"), "the edit was made already");
        client.close().await;
        let closed = call(&client, "account.status", "{}").await.unwrap_err();
        assert_eq!(field(&closed, "kind"), JsValue::from_str("closed"));
    }
}

#[wasm_bindgen_test]
async fn a_failure_has_its_stable_word() {
    let kind = async |name, relay, storage| {
        let failed = open_at(name, relay, storage).await.unwrap_err();
        field(&failed, "kind").as_string().unwrap()
    };
    assert_eq!(kind("../up", "ws://localhost:1", "memory").await, "invalid");
    assert_eq!(kind("x", "ws://localhost:1", "tape").await, "invalid");
    assert_eq!(kind("x", "ftp://localhost", "memory").await, "relay_url");
    let client = open("words", "memory").await.unwrap();
    for (method, params, kind) in [
        ("message.send", r#"{"conversation":"x","text":"t"}"#, "invalid"),
        ("message.fly", "{}", "unsupported"),
        ("conversation.list", "{}", "no_account"),
        ("settings.all", "[]", "invalid"),
    ] {
        let failed = call(&client, method, params).await.unwrap_err();
        assert_eq!(field(&failed, "kind"), JsValue::from_str(kind), "{method}");
        assert_eq!(field(&failed, "retry"), JsValue::FALSE);
    }
}

#[wasm_bindgen_test]
async fn a_wait_ends_and_notices_come() {
    let notices = Array::new();
    let keep = notices.clone();
    let notify = Closure::<dyn FnMut(String, JsValue)>::new(move |method: String, _| {
        keep.push(&method.into());
    });
    let options = options("waiting", "ws://localhost:1", "memory");
    let notify: &Function = notify.as_ref().unchecked_ref();
    let client = Client::open(options, notify.clone()).await.unwrap();
    call(&client, "account.create", r#"{"address":"ada","name":"Ada"}"#).await.unwrap();
    let reached =
        call(&client, "sync.wait", r#"{"until":"stored","timeout_ms":300}"#).await.unwrap();
    assert_eq!(field(&reached, "reached"), JsValue::FALSE, "nobody is there");
    let told: Vec<_> = notices.iter().filter_map(|method| method.as_string()).collect();
    assert!(told.iter().any(|method| method == "status"), "{told:?}");
}

async fn open(name: &str, storage: &str) -> Result<Client, JsValue> {
    // Nothing listens on port 1: these clients are offline.
    open_at(name, "ws://localhost:1", storage).await
}

async fn open_at(name: &str, relay: &str, storage: &str) -> Result<Client, JsValue> {
    Client::open(options(name, relay, storage), Function::new_no_args("")).await
}

fn options(name: &str, relay: &str, storage: &str) -> JsValue {
    let options = Object::new();
    for (key, value) in [("name", name), ("relay", relay), ("storage", storage)] {
        Reflect::set(&options, &key.into(), &value.into()).unwrap();
    }
    options.into()
}

async fn call(client: &Client, method: &str, params: &str) -> Result<JsValue, JsValue> {
    JsFuture::from(client.call(method, &JSON::parse(params).unwrap(), None)).await
}

async fn call_once(
    client: &Client,
    method: &str,
    params: &str,
    edit: &str,
) -> Result<JsValue, JsValue> {
    let params = JSON::parse(params).unwrap();
    JsFuture::from(client.call(method, &params, Some(edit.to_owned()))).await
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}
