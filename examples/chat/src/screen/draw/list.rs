//! The conversations, two rows each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, List, ListItem, ListState};
use sync_core::api::ConversationView;
use unicode_width::UnicodeWidthStr as _;

use super::{ACCENT, FAINT, STRONG, border};
use crate::screen::model::{Focus, Model, title};
use crate::screen::text;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let width = usize::from(area.width.saturating_sub(2));
    let items = model.conversations.iter().map(|view| item(model, view, width));
    let is_focused = model.focus == Focus::List;
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(border(is_focused))
        .title(" Conversations ");
    let highlight =
        if is_focused { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let list = List::new(items).block(block).highlight_style(highlight);
    let mut state = ListState::default();
    if !model.conversations.is_empty() {
        state.select(Some(model.chosen));
    }
    frame.render_stateful_widget(list, area, &mut state);
}

fn item(model: &Model, view: &ConversationView, width: usize) -> ListItem<'static> {
    let is_open = model.open == Some(view.conversation);
    let mut marks = String::new();
    if view.pinned {
        marks.push_str(" ▲");
    }
    if view.muted {
        marks.push_str(" ø");
    }
    if view.unread > 0 {
        marks.push_str(&format!(" ({})", view.unread));
    }
    let room = width.saturating_sub(marks.width() + 1);
    let name = text::cut(&title(view, model.status.account), room);
    let gap = " ".repeat(room.saturating_sub(name.width()));
    let style = match (is_open, view.unread > 0 && !view.muted, view.archived || !view.active) {
        (true, _, _) => STRONG.fg(ACCENT),
        (_, true, _) => STRONG,
        (_, _, true) => FAINT,
        _ => Style::new(),
    };
    let pointer = if is_open { "▌" } else { " " };
    let first = Line::from(vec![
        Span::styled(pointer, Style::new().fg(ACCENT)),
        Span::styled(name, style),
        Span::raw(gap),
        Span::styled(marks, STRONG),
    ]);
    let second = format!("  {}", text::cut(&preview(model, view, width), width.saturating_sub(2)));
    ListItem::new(vec![first, Line::styled(second, FAINT)])
}

fn preview(model: &Model, view: &ConversationView, width: usize) -> String {
    if !view.active {
        return "left".to_owned();
    }
    if view.pending {
        return "invitation: accept or decline".to_owned();
    }
    if view.archived {
        return "archived".to_owned();
    }
    match &view.last {
        Some(last) if last.text.is_empty() => "deleted".to_owned(),
        Some(last) => {
            let when = text::when(last.at_ms, model.now_ms);
            // However long the name, some of the text is seen.
            let name = text::cut(&model.name_of(&last.author), width / 3);
            format!("{when} {name}: {}", last.text)
        }
        None if !view.adding.is_empty() => format!("adding {}", text::some(&view.adding, 3)),
        None => "no messages yet".to_owned(),
    }
}
