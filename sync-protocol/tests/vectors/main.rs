//! The vectors in `docs/vectors`: made again and compared with the committed files, then replayed
//! from their text alone, as an implementation in another language would.
//!
//! `REJOINDER_WRITE_VECTORS=1 cargo test -p sync-protocol --test vectors` writes the files anew;
//! what then differs is a change of the protocol.

#![allow(clippy::panic, clippy::unwrap_used)]

mod draw;
mod frames;
mod identity;
mod messages;
#[cfg(not(target_family = "wasm"))]
mod properties;
mod said;

use serde_json::Value;

// Where there is no test harness, in a browser, another attribute stands in for `#[test]`.
#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Compares what was made anew with a committed file, or writes it if the environment says so.
fn settle(name: &str, committed: &str, made: &Value) {
    if std::env::var_os("REJOINDER_WRITE_VECTORS").is_some() {
        let path = format!("{}/../docs/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = serde_json::to_string_pretty(made).expect("a value is JSON");
        std::fs::write(path, text + "\n").expect("the vectors can be written");
        return;
    }
    let committed: Value = serde_json::from_str(committed).expect("the vectors are JSON");
    assert_eq!(committed, *made, "docs/vectors/{name}.json is not what the code does");
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(data_encoding::HEXLOWER.encode(bytes.as_ref()))
}

/// A 64-bit number: text, because JSON's numbers end at 53 bits in many languages.
fn number(n: u64) -> Value {
    Value::String(n.to_string())
}

/// The bytes of a field.
fn bytes_of(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("bytes are hex text");
    data_encoding::HEXLOWER.decode(text.as_bytes()).expect("bytes are hex text")
}

/// The bytes of a field, as many as are asked for.
fn array_of<const N: usize>(value: &Value) -> [u8; N] {
    bytes_of(value).try_into().expect("a field of fixed length")
}

fn number_of(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("numbers are text")
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

fn read(json: &str) -> Value {
    let value: Value = serde_json::from_str(json).expect("the vectors are JSON");
    assert!(value.as_object().is_some_and(|file| !file.is_empty()), "a file without vectors");
    value
}

/// Tests that replay files which are just being written would read the old ones.
fn writing() -> bool {
    std::env::var_os("REJOINDER_WRITE_VECTORS").is_some()
}
