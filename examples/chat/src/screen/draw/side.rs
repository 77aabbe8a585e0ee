//! The pane at the side: members, or settings.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};
use sync_protocol::roster::Role;

use super::{FAINT, STRONG, border};
use crate::screen::model::{Focus, Model, Side, name};
use crate::screen::text;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let (heading, mut lines) = match model.side {
        Some(Side::Members) => (" Members ", members(model, area)),
        Some(Side::Settings) => (" Settings ", settings(model, area)),
        None => return,
    };
    if model.side == Some(Side::Members) {
        // The chosen member, of two rows, stays in view.
        let rows = usize::from(area.height.saturating_sub(2)).max(2);
        let above = (2 * model.side_at + 2).saturating_sub(rows);
        lines.drain(..above.min(lines.len()));
    }
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(border(model.focus == Focus::Side))
        .title(heading);
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: false }), area);
}

fn members(model: &Model, area: Rect) -> Vec<Line<'static>> {
    let Some(view) = model.conversation() else { return Vec::new() };
    let width = usize::from(area.width.saturating_sub(3));
    let mut lines = Vec::new();
    for (at, member) in view.members.iter().enumerate() {
        let is_chosen = model.focus == Focus::Side && model.side_at == at;
        let style = if is_chosen { STRONG.add_modifier(Modifier::REVERSED) } else { STRONG };
        let me = if model.is_me(&member.account) { " (you)" } else { "" };
        let shown = text::cut(&format!("{}{me}", name(member)), width);
        lines.push(Line::from(vec![Span::raw(" "), Span::styled(shown, style)]));
        let role = match member.role {
            Role::Admin => "admin",
            Role::Member => "member",
            Role::Commenter => "commenter",
            Role::Reader => "reader",
        };
        let address = member.address.clone().unwrap_or_else(|| "address not known".to_owned());
        lines.push(Line::styled(
            format!("  {}", text::cut(&format!("{role} · {address}"), width)),
            FAINT,
        ));
    }
    for address in &view.adding {
        lines.push(Line::styled(format!(" {}", text::cut(address, width)), Style::new()));
        lines.push(Line::styled("  being added", FAINT));
    }
    lines
}

fn settings(model: &Model, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width.saturating_sub(3));
    let status = &model.status;
    let mut lines = Vec::new();
    let mut fact = |label: &str, value: String| {
        lines.push(Line::styled(format!(" {}", text::cut(label, width)), FAINT));
        for line in text::wrap(&value, width.saturating_sub(1)) {
            lines.push(Line::raw(format!("  {line}")));
        }
    };
    fact("name (n changes it)", status.name.clone());
    fact("address", status.address.clone().unwrap_or_default());
    fact("account", status.account.map(|id| id.to_string()).unwrap_or_default());
    fact("device", status.device.map(|id| id.to_string()).unwrap_or_default());
    fact("relay (i invites somebody)", model.relay.clone());
    for (key, value) in &model.settings {
        // Marks of conversations are shown in the list.
        if !key.starts_with("conversation/") {
            fact(key, value.to_string());
        }
    }
    lines
}
