//! The page of a search.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use unicode_width::UnicodeWidthStr as _;

use super::{ACCENT, FAINT, STRONG, border};
use crate::everything::{Hit, folded};
use crate::screen::model::{Model, title};
use crate::screen::text;

/// Rows of a message that was found.
const ROWS: usize = 2;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, at: usize, area: Rect) {
    let block = Block::bordered().border_style(border(true));
    let block = block.title(Span::styled(" Search in all conversations ", STRONG));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width.saturating_sub(2)).max(1);
    let search = &model.search;
    let before = text::wrap(search.field.before(), width).pop().unwrap_or_default();
    let typed = text::cut(search.field.text(), width);
    let mut lines = vec![
        Line::styled(format!(" {typed}"), STRONG.fg(ACCENT)),
        Line::styled(format!(" {}", text::cut(&told(model), width)), FAINT),
    ];
    let room = usize::from(inner.height).saturating_sub(lines.len()).max(ROWS);
    // The chosen one stays in view.
    let above = (at + 1).saturating_sub(room / ROWS);
    for (place, hit) in search.hits.iter().enumerate().skip(above).take(room / ROWS) {
        lines.extend(of_hit(model, hit, place == at, width));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    if model.dialog.is_none() {
        let column = u16::try_from(before.width()).unwrap_or(0);
        let x = inner.x.saturating_add(1).saturating_add(column);
        frame.set_cursor_position(Position::new(x.min(inner.right().saturating_sub(1)), inner.y));
    }
}

fn told(model: &Model) -> String {
    let search = &model.search;
    let found = match search.hits.len() {
        0 => "nothing found".to_owned(),
        1 => "1 message found".to_owned(),
        many => format!("{many} messages found"),
    };
    match (search.text.is_empty(), search.is_under_way()) {
        (true, _) => "Enter looks for it".to_owned(),
        (_, true) => format!("{found} so far…"),
        _ => found,
    }
}

fn of_hit(model: &Model, hit: &Hit, is_chosen: bool, width: usize) -> [Line<'static>; 2] {
    let view = model.conversations.iter().find(|view| view.conversation == hit.conversation);
    let place = view.map(|view| title(view, model.status.account)).unwrap_or_default();
    let when = text::when(hit.message.at_ms, model.now_ms);
    let name = text::cut(&model.name_of(&hit.message.author), 16);
    let head = format!("{} · {name} · {when}", text::cut(&place, width / 2));
    // The line that holds it, as far as there is room.
    let words = folded(&model.search.text);
    let all = hit.message.text.lines();
    let line = all.clone().find(|line| folded(line).contains(&words));
    let line = text::cut(line.or(all.clone().next()).unwrap_or_default().trim_start(), width);
    let style = if is_chosen { STRONG.add_modifier(Modifier::REVERSED) } else { STRONG };
    [
        Line::from(vec![Span::raw(" "), Span::styled(text::cut(&head, width), style)]),
        Line::styled(format!("   {}", text::cut(&line, width.saturating_sub(2))), Style::new()),
    ]
}
