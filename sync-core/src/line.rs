//! Names and titles: one line each, of bounded width, whoever wrote it.
//!
//! What people type here is refused if it isn't; what others send is shown as if it were.

use crate::api::Failure;

/// Characters of a person's or a device's name.
pub const NAME_CHARS: usize = 64;
/// Characters of a conversation's title.
pub const TITLE_CHARS: usize = 256;

/// A person's or a device's name, without blanks around it.
///
/// # Errors
/// `Invalid` if nothing of it is seen or it isn't one line, `TooLarge` beyond [`NAME_CHARS`].
pub(crate) fn name(text: &str) -> Result<String, Failure> {
    written("name", text, NAME_CHARS)
}

/// A conversation's title, without blanks around it.
///
/// # Errors
/// As [`name`], beyond [`TITLE_CHARS`].
pub(crate) fn title(text: &str) -> Result<String, Failure> {
    written("title", text, TITLE_CHARS)
}

fn written(what: &'static str, text: &str, most: usize) -> Result<String, Failure> {
    let text = text.trim_matches(is_blank);
    if text.chars().any(breaks) {
        return Err(Failure::Invalid(format!("a {what} is one line, without control characters")));
    }
    if text.is_empty() || text.chars().all(is_unseen) {
        return Err(Failure::Invalid(format!("the {what} is empty")));
    }
    if text.chars().count() > most {
        return Err(Failure::TooLarge { what, limit: most });
    }
    Ok(text.to_owned())
}

/// What somebody else calls a person or a device, as it is shown: empty if nothing of it is seen.
pub(crate) fn shown_name(text: &str) -> String {
    shown(text, NAME_CHARS)
}

/// A title that somebody else chose, as it is shown.
pub(crate) fn shown_title(text: &str) -> String {
    shown(text, TITLE_CHARS)
}

fn shown(text: &str, most: usize) -> String {
    let mut line = String::new();
    // A title may come with many more characters than are shown: no more of them are looked at.
    for c in text.chars().take(4 * most).map(|c| if breaks(c) { ' ' } else { c }) {
        if !(is_blank(c) && (line.is_empty() || line.ends_with(is_blank))) {
            line.push(c);
        }
    }
    let line: String = line.chars().take(most).collect();
    let line = line.trim_matches(is_blank);
    if line.chars().all(is_unseen) { String::new() } else { line.to_owned() }
}

/// Whether a text shows nothing at all.
pub(crate) fn is_empty(text: &str) -> bool {
    text.chars().all(is_unseen)
}

/// What ends a line, steers a terminal or turns the reading direction of what follows.
fn breaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && !breaks(c) || is_blank_letter(c)
}

/// Letters that are drawn as nothing.
fn is_blank_letter(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Joiners and marks have a place inside a name (in Persian, in emoji), and are none alone.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || is_blank_letter(c)
        || breaks(c)
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_is_seen() {
        assert_eq!(name("  Ada Lovelace "), Ok("Ada Lovelace".to_owned()));
        assert_eq!(name("نرگس\u{200c}ها"), Ok("نرگس\u{200c}ها".to_owned()));
        assert_eq!(name("👩\u{200d}👧"), Ok("👩\u{200d}👧".to_owned()));
        for bad in ["Ada\nEve", "Ada\u{2028}Eve", "Ada\u{7}", "a\u{202e}b", "A\tb", "x\r"] {
            assert!(matches!(name(bad), Err(Failure::Invalid(_))), "{bad:?}");
        }
        for empty in ["", "  ", "\u{200b}", "\u{3164}\u{200d}", "\u{feff}"] {
            let failure = Err(Failure::Invalid("the name is empty".to_owned()));
            assert_eq!(name(empty), failure, "{empty:?}");
        }
    }

    #[test]
    fn a_name_has_an_end() {
        assert!(name(&"ä".repeat(NAME_CHARS)).is_ok());
        let failure = Failure::TooLarge { what: "name", limit: NAME_CHARS };
        assert_eq!(name(&"ä".repeat(NAME_CHARS + 1)), Err(failure));
        assert!(title(&"ä".repeat(TITLE_CHARS)).is_ok());
    }

    #[test]
    fn what_others_send_is_one_line_of_bounded_width() {
        assert_eq!(shown_name(" Bob\n(bob)\r\nVerified. "), "Bob (bob) Verified.");
        assert_eq!(shown_name("\u{202e}Eve\u{2066}"), "Eve");
        assert_eq!(shown_name("\u{200b}\n\u{3164}"), "");
        assert_eq!(shown_name(&"x".repeat(100_000)).chars().count(), NAME_CHARS);
        assert_eq!(shown_title(&"\n".repeat(100_000)), "");
        assert_eq!(shown_title("Plan"), "Plan");
    }
}
