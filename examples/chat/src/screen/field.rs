//! A line of text being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation as _;

/// Text and where the next letter goes. A letter is what a person calls one: a grapheme cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    text: String,
    /// In bytes, always between two letters.
    cursor: usize,
}

impl Field {
    /// A field that holds a text already, with the cursor at its end.
    pub(crate) fn holding(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len() }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub(crate) fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// Empties the field and gives back what was in it.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts text where the cursor is.
    pub(crate) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Does what a key says, if it says anything to a field.
    pub(crate) fn press(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => self.erase(self.word_before()),
            KeyCode::Char(letter) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(letter.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => self.erase(self.letter_before()),
            KeyCode::Delete => {
                let end = self.cursor + self.letter_after();
                self.text.drain(self.cursor..end);
            }
            KeyCode::Left => self.cursor -= self.letter_before(),
            KeyCode::Right => self.cursor += self.letter_after(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn erase(&mut self, bytes: usize) {
        self.text.drain(self.cursor - bytes..self.cursor);
        self.cursor -= bytes;
    }

    fn letter_before(&self) -> usize {
        self.before().graphemes(true).next_back().map_or(0, str::len)
    }

    fn letter_after(&self) -> usize {
        let after = self.text.get(self.cursor..).unwrap_or_default();
        after.graphemes(true).next().map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let before = self.before();
        let word = before.trim_end().rfind(char::is_whitespace);
        let start = word.map_or(0, |at| at + before.get(at..).map_or(0, space_len));
        before.len() - start
    }
}

fn space_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) {
        assert!(field.press(KeyEvent::new(code, modifiers)));
    }

    #[test]
    fn letters_are_what_people_call_letters() {
        let mut field = Field::holding("ae\u{301}👩‍👩‍👧");
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(field.text(), "ae\u{301}");
        press(&mut field, KeyCode::Left, KeyModifiers::NONE);
        press(&mut field, KeyCode::Char('x'), KeyModifiers::NONE);
        assert_eq!((field.text(), field.before()), ("axe\u{301}", "ax"));
        press(&mut field, KeyCode::Delete, KeyModifiers::NONE);
        assert_eq!(field.text(), "ax");
    }

    #[test]
    fn words_and_lines_go_at_once() {
        let mut field = Field::holding("one two ");
        press(&mut field, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "one ");
        press(&mut field, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "");
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
    }
}
