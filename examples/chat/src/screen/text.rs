//! Text for a terminal: harmless, wrapped, cut and with times people read.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Columns of somebody else's name within a sentence.
const NAME: usize = 32;

/// What others wrote, without what could steer the terminal, end a line or turn the reading
/// direction.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: &char| {
        !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    text.replace('\t', "    ")
        .replace(['\u{2028}', '\u{2029}'], " ")
        .chars()
        .filter(steers)
        .collect()
}

/// A name, title or device name within a sentence of ours: one line of bounded width, between
/// quotation marks that it can't close.
pub(crate) fn quoted(name: &str) -> String {
    let marks = ['"', '“', '”', '„', '‟', '«', '»', '〝', '〞', '＂'];
    format!("“{}”", cut(name.replace(marks, "'").trim(), NAME))
}

/// Names of several people in a sentence: the first few, and how many more there are.
pub(crate) fn some(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        1 => format!("{shown} and 1 more"),
        more => format!("{shown} and {more} more"),
    }
}

/// Breaks text into lines of at most `width` columns, between words where it can.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    text.split('\n').flat_map(|line| wrap_line(&harmless(line), width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_word_bounds() {
        if current.width() + word.width() <= width {
            current.push_str(word);
            continue;
        }
        if word.width() <= width {
            let goes_along = last_word(&current, word, width);
            lines.push(std::mem::take(&mut current));
            current.push_str(&goes_along);
            if !goes_along.is_empty() {
                // It was counted to the line before.
                if let Some(line) = lines.last_mut() {
                    line.truncate(line.len() - goes_along.len());
                }
            }
            // The blank between two lines is the break itself.
            current.push_str(word.trim_start());
            continue;
        }
        for letter in word.graphemes(true) {
            if current.width() + letter.width() > width && !current.is_empty() {
                lines.push(std::mem::take(&mut current));
            }
            current.push_str(letter);
        }
    }
    lines.push(current);
    lines
}

/// The last word of a line, where a full stop or the like that follows it has no room: nobody wants
/// that alone on the next line.
fn last_word(line: &str, mark: &str, width: usize) -> String {
    if mark.chars().any(|c| !matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | '”' | '…')) {
        return String::new();
    }
    let word = line.rsplit(' ').next().unwrap_or_default();
    let is_whole_line = word.len() == line.len();
    if is_whole_line || word.width() + mark.width() > width {
        String::new()
    } else {
        word.to_owned()
    }
}

/// As much of a text as fits into `width` columns, on one line.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = harmless(&text.replace(['\n', '\r'], " "));
    if text.width() <= width {
        return text;
    }
    let mut kept = String::new();
    for letter in text.graphemes(true) {
        if kept.width() + letter.width() + 1 > width {
            break;
        }
        kept.push_str(letter);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A time of day, or the date if it was another day.
pub(crate) fn when(at_ms: u64, now_ms: u64) -> String {
    let (at, now) = (local(at_ms), local(now_ms));
    if at.date() == now.date() { clock(at_ms) } else { at.strftime("%d.%m.%y").to_string() }
}

/// A time of day.
pub(crate) fn clock(at_ms: u64) -> String {
    local(at_ms).strftime("%H:%M").to_string()
}

/// The day, as a heading.
pub(crate) fn day(at_ms: u64) -> String {
    local(at_ms).strftime("%A, %-d %B %Y").to_string()
}

fn local(at_ms: u64) -> Zoned {
    let ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    at.to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_whatever_the_script() {
        for text in ["the quick brown fox", "你好世界你好世界", "👩‍👩‍👧👩‍👩‍👧 family", &"x".repeat(50)]
        {
            for width in 2..20 {
                let lines = wrap(text, width);
                assert!(lines.iter().all(|line| line.width() <= width), "{lines:?} in {width}");
                let letters = |s: &str| s.replace(' ', "");
                assert_eq!(letters(&lines.concat()), letters(text));
            }
        }
        assert_eq!(wrap("the quick brown", 10), ["the quick ", "brown"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("until you accept.", 16), ["until you ", "accept."]);
        assert_eq!(wrap("acceptance.", 10), ["acceptance", "."]);
    }

    #[test]
    fn what_others_write_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb\u{202e}c\u{7}"), "a[31mbc");
    }

    #[test]
    fn a_foreign_name_in_a_sentence_cannot_go_on_with_it() {
        assert_eq!(quoted("Bob"), "“Bob”");
        assert_eq!(quoted("Bob” is verified “"), "“Bob' is verified '”");
        assert_eq!(quoted("a\nb\u{2028}c\u{202e}"), "“a b c”");
        assert_eq!(quoted(&"x".repeat(100)).width(), NAME + 2);
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!((some(&names, 3), some(&names, 1)), ("a, b, c".into(), "a and 2 more".into()));
    }

    #[test]
    fn cutting_shows_that_something_is_missing() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("你好世界", 5), "你好…");
    }
}
