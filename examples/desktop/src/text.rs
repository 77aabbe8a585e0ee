//! A message's text as Pango markup: links, marks where it fits a search, emoji alone large.

use unicode_segmentation::UnicodeSegmentation as _;

/// Links that are made clickable in one message; a text of nothing but links is shown plain beyond.
const LINKS: usize = 64;
/// So many emoji alone are shown large.
const LARGE: usize = 4;
/// Characters of a message that are laid out. Nobody reads more in a bubble, and a layout takes time
/// by its length.
pub const SHOWN_CHARS: usize = 20_000;

/// A text as markup. What is looked for (in lower case) is marked; nothing is if it is empty.
#[must_use]
pub fn markup(text: &str, sought: &str) -> String {
    let (shown, is_cut) = cut(text);
    let mut markup = String::with_capacity(shown.len() + shown.len() / 8);
    let mut from = 0;
    for (start, end) in links(shown).take(LINKS) {
        marked(&mut markup, &shown[from..start], sought);
        let link = &shown[start..end];
        markup.push_str("<a href=\"");
        escape(&mut markup, link);
        markup.push_str("\">");
        marked(&mut markup, link, sought);
        markup.push_str("</a>");
        from = end;
    }
    marked(&mut markup, &shown[from..], sought);
    if is_cut {
        markup.push('…');
    }
    markup
}

/// Whether a text is a few emoji and nothing else.
#[must_use]
pub fn is_only_emoji(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.len() > 120 {
        return false;
    }
    let mut seen = 0;
    for cluster in text.graphemes(true).filter(|cluster| !cluster.trim().is_empty()) {
        if !is_emoji(cluster) {
            return false;
        }
        seen += 1;
    }
    seen <= LARGE
}

/// The beginning of a text in one line, for previews.
#[must_use]
pub fn preview(text: &str, chars: usize) -> String {
    let mut line = String::new();
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > chars {
            return line.chars().take(chars).chain(['…']).collect();
        }
    }
    line.retain(|c| !c.is_control());
    line
}

/// The first letters of a name, for a disc with initials.
#[must_use]
pub fn initials(name: &str) -> String {
    let letters =
        name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let letters: String = letters.take(2).flat_map(char::to_uppercase).collect();
    if letters.is_empty() { "·".to_owned() } else { letters }
}

fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => (text.get(..end).unwrap_or(text), true),
        None => (text, false),
    }
}

/// Where addresses of the web are: until white space, without the sentence's own end.
fn links(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(from..)?;
            let at = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min()?;
            let start = from + at;
            let begins_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric());
            let found = &rest[at..];
            let end = found
                .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'))
                .unwrap_or(found.len());
            let link = found[..end].trim_end_matches(|c| ".,;:!?)]}'".contains(c));
            let has_host = link.split("//").nth(1).is_some_and(|rest| !rest.is_empty());
            from = start + link.len().max("http://".len());
            if begins_word && has_host {
                return Some((start, start + link.len()));
            }
        }
    })
}

fn marked(markup: &mut String, text: &str, sought: &str) {
    let lower = text.to_lowercase();
    // Some letters change their length with their case: then places don't agree.
    if sought.is_empty() || lower.len() != text.len() {
        return escape(markup, text);
    }
    let mut from = 0;
    for (at, found) in lower.match_indices(sought) {
        let end = at + found.len();
        let (Some(before), Some(hit)) = (text.get(from..at), text.get(at..end)) else { continue };
        escape(markup, before);
        markup.push_str("<span background=\"#ffe08a\" foreground=\"#2b2300\">");
        escape(markup, hit);
        markup.push_str("</span>");
        from = end;
    }
    escape(markup, text.get(from..).unwrap_or_default());
}

/// What stands between tags. Control characters show nothing, and some of them end a markup's parser.
pub fn escape(markup: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            '\n' | '\t' => markup.push(c),
            c if c.is_control() => {}
            c => markup.push(c),
        }
    }
}

fn is_emoji(cluster: &str) -> bool {
    let mut has_picture = false;
    for c in cluster.chars() {
        match u32::from(c) {
            0x1f000..=0x1faff | 0x2600..=0x27bf | 0x2b00..=0x2bff | 0x2190..=0x21ff => {
                has_picture = true;
            }
            0x2300..=0x23ff | 0x25a0..=0x25ff | 0x3030 | 0x303d => has_picture = true,
            // Joiners, choices of form, the parts of flags of regions.
            0x200d | 0xfe0f | 0x20e3 | 0xe0020..=0xe007f => {}
            _ => return false,
        }
    }
    has_picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_is_never_markup() {
        assert_eq!(markup("<b>&\"'\u{1}</b>", ""), "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
    }

    #[test]
    fn links_end_where_the_sentence_goes_on() {
        let shown = markup("See (https://a.example/x?y=1&z=2).", "");
        let link = "https://a.example/x?y=1&amp;z=2";
        assert_eq!(shown, format!("See (<a href=\"{link}\">{link}</a>)."));
        for none in ["https://", "xhttp://a.example", "http:// a"] {
            assert!(!markup(none, "").contains("<a"), "{none}");
        }
    }

    #[test]
    fn a_search_marks_whatever_the_case() {
        let shown = markup("Tea, tea", "tea");
        assert_eq!(shown.matches("<span").count(), 2);
        assert!(shown.contains(">Tea</span>, "));
        assert_eq!(markup("İstanbul", "istanbul"), "İstanbul");
    }

    #[test]
    fn a_few_emoji_alone_are_large() {
        for large in ["👍", "👩‍👩‍👧 🎉", "❤️", "🇩🇪"] {
            assert!(is_only_emoji(large), "{large}");
        }
        for small in ["", "👍 ok", "👍👍👍👍👍", "1", "ok"] {
            assert!(!is_only_emoji(small), "{small}");
        }
    }

    #[test]
    fn a_preview_is_one_line() {
        assert_eq!(preview("one\n\ntwo  three", 100), "one two three");
        assert_eq!(preview("abcdef", 3), "abc…");
    }

    #[test]
    fn initials_are_letters() {
        assert_eq!(initials("Ada Lovelace"), "AL");
        assert_eq!(initials("  (bob)"), "B");
        assert_eq!(initials("👍"), "·");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let long = "x".repeat(SHOWN_CHARS + 1);
        assert_eq!(markup(&long, "").chars().count(), SHOWN_CHARS + 1);
        assert!(markup(&long, "").ends_with('…'));
    }
}
