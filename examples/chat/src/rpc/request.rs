//! One line as a JSON-RPC 2.0 request.

use serde_json::{Map, Value};

use super::error::RpcError;

/// A request; without an id it is a notification, done but not answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// What the answer will carry.
    pub(crate) id: Option<Value>,
    /// What to do.
    pub(crate) method: String,
    /// With what, by name.
    pub(crate) params: Map<String, Value>,
}

/// Parses a line; an error comes with the id to answer to, `Null` if there is none.
pub(crate) fn parse(line: &[u8]) -> Result<Request, (Value, RpcError)> {
    let json: Value = serde_json::from_slice(line)
        .map_err(|error| (Value::Null, RpcError::parse(error.to_string())))?;
    let Value::Object(mut fields) = json else {
        let what = "a request is one object; batches are not served";
        return Err((Value::Null, RpcError::request(what)));
    };
    let id = match fields.remove("id") {
        None => None,
        Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => Some(id),
        Some(_) => {
            return Err((Value::Null, RpcError::request("an id is a string, a number or null")));
        }
    };
    let refuse = |what: &str| (id.clone().unwrap_or(Value::Null), RpcError::request(what));
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(refuse("jsonrpc must be \"2.0\""));
    }
    let Some(Value::String(method)) = fields.remove("method") else {
        return Err(refuse("method must be a string"));
    };
    let params = match fields.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(Value::Array(list)) if list.is_empty() => Map::new(),
        Some(_) => {
            let error = RpcError::params("params are named: an object");
            return Err((id.unwrap_or(Value::Null), error));
        }
    };
    Ok(Request { id, method, params })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn code(line: &str) -> (Value, i64) {
        let (id, error) = parse(line.as_bytes()).unwrap_err();
        (id, error.to_json()["code"].as_i64().unwrap())
    }

    #[test]
    fn a_request_has_a_method_and_named_params() {
        let line = r#"{"jsonrpc":"2.0","id":"7","method":"a.b","params":{"x":1}}"#;
        let request = parse(line.as_bytes()).unwrap();
        assert_eq!((request.id, request.method.as_str()), (Some(json!("7")), "a.b"));
        assert_eq!(request.params["x"], 1);
        let quiet = parse(br#"{"jsonrpc":"2.0","method":"a"}"#).unwrap();
        assert_eq!((quiet.id, quiet.params.len()), (None, 0));
    }

    #[test]
    fn what_is_no_request_gets_the_code_of_its_fault() {
        assert_eq!(code("{"), (Value::Null, -32700));
        assert_eq!(code("\u{fffd}x"), (Value::Null, -32700));
        assert_eq!(code("[]"), (Value::Null, -32600));
        assert_eq!(code("7"), (Value::Null, -32600));
        assert_eq!(code(r#"{"id":1,"method":"a"}"#), (json!(1), -32600));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1}"#), (json!(1), -32600));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#), (Value::Null, -32600));
        let positional = r#"{"jsonrpc":"2.0","id":2,"method":"a","params":[1]}"#;
        assert_eq!(code(positional), (json!(2), -32602));
    }
}
