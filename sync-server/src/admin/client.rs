//! Asking a running relay.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::{Ask, LINE, Told};

/// Asks the relay that listens at a socket.
///
/// # Errors
/// What is wrong, in words: nobody listens, or the relay says no.
pub fn ask(socket: &Path, ask: &Ask) -> Result<Value, String> {
    let gone = |error: std::io::Error| {
        format!("no relay answers at {}: {error}; is it running?", socket.display())
    };
    let mut stream = UnixStream::connect(socket).map_err(gone)?;
    let mut said = serde_json::to_vec(ask).map_err(|error| error.to_string())?;
    said.push(b'\n');
    stream.write_all(&said).map_err(gone)?;
    let mut line = Vec::new();
    let mut answer = BufReader::new(stream.take(LINE as u64));
    answer.read_until(b'\n', &mut line).map_err(gone)?;
    match serde_json::from_slice(&line) {
        Ok(Told::Ok(value)) => Ok(value),
        Ok(Told::Error(error)) => Err(error),
        Err(_) => Err("the relay gave no answer".to_owned()),
    }
}

/// An answer as a person reads it: a name and a value a line, lists below their name.
#[must_use]
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out.trim_end().to_owned()
}

fn write(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in fields {
                let shown = name.replace('_', " ");
                match value {
                    Value::Object(_) | Value::Array(_) if !is_empty(value) => {
                        out.push_str(&format!("{indent}{shown}\n"));
                        write(out, value, depth + 1);
                    }
                    value => {
                        out.push_str(&format!("{indent}{shown:width$}  {}\n", plain(value)));
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(fields) => {
                        let parts = fields.iter().map(|(k, v)| format!("{k}={}", plain(v)));
                        let line = parts.collect::<Vec<_>>().join(" ");
                        out.push_str(&format!("{indent}{line}\n"));
                    }
                    item => out.push_str(&format!("{indent}{}\n", plain(item))),
                }
            }
        }
        value => out.push_str(&format!("{indent}{}\n", plain(value))),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Object(_) | Value::Array(_) if is_empty(value) => "none".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_reads_as_lines() {
        let answer = json!({
            "account": "ab", "devices": [{ "device": "cd", "seen_ms": null }], "open_sessions": 0,
            "spaces": [],
        });
        let expected = "account        ab\ndevices\n  device=cd seen_ms=-\nopen sessions  0\n\
            spaces         none";
        assert_eq!(text(&answer), expected);
        assert_eq!(text(&json!("token")), "token");
    }
}
