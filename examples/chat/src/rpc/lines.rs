//! Lines of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The longest line: a document to import, in base64, and room for the rest.
pub(crate) const LIMIT: usize = 24 * 1024 * 1024;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// It was longer than [`LIMIT`], and is gone.
    TooLong,
}

/// The next line; `None` at the end of the input.
pub(crate) async fn next(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Line>> {
    next_within(input, LIMIT).await
}

async fn next_within(
    input: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut is_long = false;
    let mut is_empty = true;
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            break;
        }
        is_empty = false;
        let end = available.iter().position(|byte| *byte == b'\n');
        let content = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        is_long |= line.len() + content.len() > limit;
        if is_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(content);
        }
        let used = content.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok((!is_empty).then_some(if is_long { Line::TooLong } else { Line::Whole(line) }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::BufReader;

    #[tokio::test]
    async fn a_long_line_is_skipped_and_the_next_is_whole() {
        let text = b"one\ntoo long for the limit\n\nlast" as &[u8];
        let mut input = BufReader::with_capacity(4, text);
        let mut lines = Vec::new();
        while let Some(line) = next_within(&mut input, 8).await.unwrap() {
            lines.push(line);
        }
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        assert_eq!(lines, [whole("one"), Line::TooLong, whole(""), whole("last")]);
    }
}
