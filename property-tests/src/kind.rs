//! Failures that look alike are counted together: what was broken and how it showed, without the
//! names and numbers that are others in each world.

use crate::violation::{Invariant, Violation};

/// Characters of a kind's description.
const LENGTH: usize = 110;
/// A word of so many letters is a name that a machine made.
const WORD: usize = 25;

/// What a violation has in common with others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Which promise was broken.
    pub invariant: Invariant,
    /// How it showed, without names and numbers.
    pub how: String,
}

impl Kind {
    /// The kind of a violation.
    #[must_use]
    pub fn of(violation: &Violation) -> Self {
        // What follows are the values themselves.
        let said = violation.detail.split(": (").next().unwrap_or_default();
        let how = words(&skeleton(said));
        let how = how.chars().take(LENGTH).collect();
        Self { invariant: violation.invariant, how }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.how)
    }
}

/// The text without what stands in quotes, in lists and in the parentheses of a type.
fn skeleton(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut before = ' ';
    let mut escaped = false;
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '(' if depth > 0 || before.is_alphanumeric() => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => out.push(letter),
        }
        before = letter;
    }
    out
}

/// The words of a text, with a mark in the place of numbers and machines' names.
fn words(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let made = word.chars().any(|letter| letter.is_ascii_digit())
            || word.starts_with('-')
            || word.len() >= WORD;
        let word = if made { "#" } else { word };
        if word != "#" || out.last().is_none_or(|last| last != "#") {
            out.push(word.to_owned());
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(detail: &str) -> String {
        Kind::of(&Violation::new(Invariant::Equal, detail)).to_string()
    }

    #[test]
    fn what_is_another_in_each_world_is_left_out() {
        let one = kind("device 8 misses -PBNMIEx--558T3pPgV of device 4 in SpaceId(dbzqrv34k6)");
        let two = kind("device 3 misses -PBNMWeG--00OC1efrw of device 11 in SpaceId(agz)");
        assert_eq!(one, two);
        assert_eq!(one, "Equal: device # misses # of device # in SpaceId");
    }

    #[test]
    fn values_are_left_out_however_deep_they_are() {
        let kind = kind(r#"devices 1 and 2: settings: {"a]": [1, {"b": "\"}"}]} and {} here"#);
        assert_eq!(kind, "Equal: devices # and # settings: and here");
    }

    #[test]
    fn what_was_broken_tells_kinds_apart() {
        let other = Kind::of(&Violation::new(Invariant::Kept, "x"));
        assert_ne!(other, Kind::of(&Violation::new(Invariant::Equal, "x")));
    }
}
