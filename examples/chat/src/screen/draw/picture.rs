//! What is read by cameras and from across the room: code pictures and large digits.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

/// Columns left free on either side, and half of them above and below. The standard wants 4;
/// cameras do with 2.
const MARGIN: u16 = 2;
/// Rows of a large digit.
const DIGIT_ROWS: usize = 5;
/// Three columns a digit, the leftmost the highest bit.
const DIGITS: [[u8; DIGIT_ROWS]; 10] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b001, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
];

/// A QR code in half blocks: two modules a cell.
pub(super) struct Picture {
    rows: Vec<String>,
    columns: u16,
}

impl Picture {
    /// The picture of a text; `None` if it is too long for one.
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let columns = u16::try_from(code.width()).ok()?;
        let image = code.render::<Dense1x2>().quiet_zone(false).module_dimensions(1, 1).build();
        Some(Self { rows: image.lines().map(str::to_owned).collect(), columns })
    }

    /// Columns and rows that it takes, with its margin.
    pub(super) fn size(&self) -> (u16, u16) {
        let rows = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        (self.columns.saturating_add(2 * MARGIN), rows.saturating_add(MARGIN))
    }

    /// Draws it into the top left of an area that has room for it: dark on light, whatever the
    /// terminal's colours, since cameras want it so.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let (width, height) = self.size();
        let area = Rect { width, height, ..area }.intersection(area);
        let style = Style::new().fg(Color::Black).bg(Color::White);
        frame.render_widget(Block::new().style(style), area);
        let inner = Rect {
            x: area.x + MARGIN,
            y: area.y + MARGIN / 2,
            width: self.columns,
            height: height.saturating_sub(MARGIN),
        };
        let lines: Vec<_> = self.rows.iter().map(|row| Line::raw(row.as_str())).collect();
        frame.render_widget(Paragraph::new(lines).style(style), inner.intersection(area));
    }
}

/// Digits as rows of blocks, in two groups; what is no digit is passed over.
pub(super) fn large_digits(code: &str) -> Vec<String> {
    let digits: Vec<_> = code.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let first_group = digits.len() / 2;
    let row = |row: usize| {
        let mut line = String::new();
        for (at, digit) in digits.iter().enumerate() {
            let bits = usize::try_from(*digit).ok().and_then(|digit| DIGITS.get(digit)?.get(row));
            for bit in [0b100, 0b010, 0b001] {
                line.push_str(if bits.is_some_and(|bits| bits & bit != 0) {
                    "██"
                } else {
                    "  "
                });
            }
            line.push_str(if at + 1 == first_group { "    " } else { "  " });
        }
        line.trim_end().to_owned()
    };
    (0..DIGIT_ROWS).map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_picture_of_an_offer_fits_a_small_terminal() {
        let text = "RJ1:".to_owned() + &"A2".repeat(80);
        let (columns, rows) = Picture::of(&text).unwrap().size();
        assert!(columns <= 45 && rows <= 23, "{columns}x{rows}");
    }

    #[test]
    fn digits_keep_their_order_and_their_groups() {
        let rows = large_digits("123 4567");
        assert_eq!(rows.len(), DIGIT_ROWS);
        assert_eq!(rows[0], "  ██    ██████  ██████    ██  ██  ██████  ██████  ██████");
    }
}
