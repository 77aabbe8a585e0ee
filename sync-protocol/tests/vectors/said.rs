//! CBOR as people read it: the diagnostic notation of RFC 8949, section 8.

use minicbor::Decoder;
use minicbor::data::Type;

/// What the bytes say; panics where they are not one item of the forms that the protocol uses.
pub(crate) fn said(cbor: &[u8]) -> String {
    let mut decoder = Decoder::new(cbor);
    let text = item(&mut decoder);
    assert_eq!(decoder.position(), cbor.len(), "one item and nothing behind it");
    text
}

fn item(d: &mut Decoder<'_>) -> String {
    match d.datatype().expect("an item") {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => d.u64().expect("a number").to_string(),
        Type::Bytes => {
            let bytes = d.bytes().expect("bytes");
            format!("h'{}'", data_encoding::HEXLOWER.encode(bytes))
        }
        Type::String => format!("{:?}", d.str().expect("text")),
        Type::Bool => d.bool().expect("a truth value").to_string(),
        Type::Null => {
            d.null().expect("null");
            "null".into()
        }
        Type::Array => {
            let len = d.array().expect("an array").expect("a definite length");
            let items: Vec<_> = (0..len).map(|_| item(d)).collect();
            format!("[{}]", items.join(", "))
        }
        Type::Map => {
            let len = d.map().expect("a map").expect("a definite length");
            let items: Vec<_> = (0..len).map(|_| format!("{}: {}", item(d), item(d))).collect();
            format!("{{{}}}", items.join(", "))
        }
        other => panic!("{other} is no part of the protocol"),
    }
}
