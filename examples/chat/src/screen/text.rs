//! Text for a terminal: harmless, wrapped, cut and with times people read.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// What others wrote, without what could steer the terminal or turn the reading direction.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: &char| {
        !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    text.replace('\t', "    ").chars().filter(steers).collect()
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
            lines.push(std::mem::take(&mut current));
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

/// As much of a text as fits into `width` columns, on one line.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = harmless(&text.replace('\n', " "));
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
    }

    #[test]
    fn what_others_write_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb\u{202e}c\u{7}"), "a[31mbc");
    }

    #[test]
    fn cutting_shows_that_something_is_missing() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("你好世界", 5), "你好…");
    }
}
