//! The screen, drawn from the model alone.

mod dialog;
mod list;
mod messages;
mod pages;
mod picture;
mod side;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use sync_core::api::{ConversationView, Problem, Unreadable};
use unicode_width::UnicodeWidthStr as _;

use super::model::{Composing, Focus, Model, name, title};
use super::pages::{Linking, Page};
use super::text;

/// Below this width the pane at the side takes the place of the list.
const WIDE: u16 = 100;
/// Rows that a line being written may take.
const COMPOSE_ROWS: usize = 5;

pub(super) const ACCENT: Color = Color::Cyan;
pub(super) const FAINT: Style = Style::new().fg(Color::DarkGray);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < 20 || area.height < 6 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    if let (Some(page @ Page::Linking(Linking::Offered { .. })), None) =
        (&model.page, &model.dialog)
    {
        // Its picture needs every row of a small terminal.
        return pages::draw(frame, model, page, area);
    }
    let banner = banner(model);
    let rows = [
        Constraint::Length(1),
        Constraint::Length(u16::from(banner.is_some())),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [top, warning, body, bottom] = Layout::vertical(rows).areas(area);
    frame.render_widget(header(model), top);
    if let Some(banner) = banner {
        let style = Style::new().fg(Color::Black).bg(Color::Yellow);
        let line = text::cut(&banner, usize::from(warning.width));
        frame.render_widget(Paragraph::new(line).style(style), warning);
    }
    match &model.page {
        Some(page) => pages::draw(frame, model, page, body),
        None => draw_body(frame, model, body),
    }
    match &model.dialog {
        Some(open) => dialog::draw(frame, model, open),
        None => frame.render_widget(Paragraph::new(hints(model, bottom.width)), bottom),
    }
}

fn draw_body(frame: &mut Frame<'_>, model: &Model, body: Rect) {
    let is_wide = body.width >= WIDE;
    let left = if is_wide { 32 } else { (body.width / 3).clamp(10, 26) };
    let side = if model.side.is_some() { if is_wide { 30 } else { left.max(24) } } else { 0 };
    let shows_list = is_wide || model.side.is_none();
    let columns = [
        Constraint::Length(if shows_list { left } else { 0 }),
        Constraint::Min(10),
        Constraint::Length(side),
    ];
    let [list, middle, side] = Layout::horizontal(columns).areas(body);
    if shows_list {
        list::draw(frame, model, list);
    }
    draw_conversation(frame, model, middle);
    side::draw(frame, model, side);
}

fn draw_conversation(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let Some(view) = model.conversation() else {
        let block = Block::new().borders(Borders::ALL).border_style(FAINT);
        let hint = match model.status.account {
            Some(_) => " No conversation yet. Ctrl-N starts one.",
            None => "",
        };
        frame.render_widget(Paragraph::new(hint).block(block), area);
        return;
    };
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let written = compose_lines(model, width);
    let rows = u16::try_from(written.len().clamp(1, COMPOSE_ROWS)).unwrap_or(1);
    let below = below(model, view, width);
    let parts = [
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(match &below {
            None => rows + 2,
            Some(lines) => u16::try_from(lines.len()).unwrap_or(1),
        }),
    ];
    let [pane, typing, compose] = Layout::vertical(parts).areas(area);
    let heading = text::cut(&title(view, model.status.account), width);
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(border(model.focus == Focus::Messages))
        .title(Span::styled(format!(" {heading} "), STRONG));
    let block = match missing(view) {
        Some(what) => {
            block.title_bottom(Line::styled(format!(" {} ", text::cut(&what, width)), FAINT))
        }
        None => block,
    };
    let inner = block.inner(pane);
    frame.render_widget(block, pane);
    messages::draw(frame, model, inner);
    frame.render_widget(typing_line(model), typing);
    match below {
        None => draw_compose(frame, model, compose, &written),
        Some(lines) => frame.render_widget(Paragraph::new(lines), compose),
    }
}

/// What of a conversation is not here, and may never be.
fn missing(view: &ConversationView) -> Option<String> {
    if view.withheld {
        return Some("the relay keeps back what others have read here".to_owned());
    }
    view.unreadable.as_ref().map(unreadable)
}

/// What of a conversation can't be read any more.
fn unreadable(lost: &Unreadable) -> String {
    let (Some(first), Some(last)) = (lost.first_ms, lost.last_ms) else {
        return "what was written before this device came can't be read here".to_owned();
    };
    let changes = if lost.changes == 1 { "change" } else { "changes" };
    let (first, last) = (text::day(first), text::day(last));
    let span = if first == last { first } else { format!("{first} to {last}") };
    format!("{} {changes} of {span} can't be read here", lost.changes)
}

/// What stands in the place of the line being written, where nothing can be written.
fn below(model: &Model, view: &ConversationView, width: usize) -> Option<Vec<Line<'static>>> {
    let told = |line: &str, style| {
        let lines = text::wrap(line, width).into_iter();
        lines.map(move |line| Line::styled(format!(" {line}"), style)).collect::<Vec<_>>()
    };
    if model.is_ended {
        let line = "This device was removed from your account; what you read stays here.";
        return Some(told(line, FAINT));
    }
    if !view.active {
        let line = "You are no longer in this conversation; what you read stays here.";
        return Some(told(line, FAINT));
    }
    if !view.pending {
        return None;
    }
    let others = view.members.iter().filter(|member| !model.is_me(&member.account));
    let names: Vec<_> = others
        .map(|member| match &member.address {
            Some(address) => format!("{} ({address})", name(member)),
            None => name(member),
        })
        .collect();
    let mut lines = told(&format!("An invitation. In it: {}", names.join(", ")), STRONG);
    lines.extend(told("They don't see that you read this until you accept.", Style::new()));
    let keys = [(" a", " accept   "), ("d", " decline   "), ("b", " decline and block")];
    let keys = keys
        .iter()
        .flat_map(|(key, what)| [Span::styled(*key, STRONG.fg(ACCENT)), Span::raw(*what)]);
    lines.push(keys.collect::<Vec<_>>().into());
    Some(lines)
}

/// What is being written, as it is shown.
fn compose_lines(model: &Model, width: usize) -> Vec<String> {
    text::wrap(model.compose.text(), width)
}

fn draw_compose(frame: &mut Frame<'_>, model: &Model, area: Rect, lines: &[String]) {
    let (heading, style) = match model.composing {
        Composing::New => (String::new(), border(model.focus == Focus::Compose)),
        Composing::Reply(key) => (quoted(model, key, "reply to"), border(true)),
        Composing::Edit(key) => (quoted(model, key, "edit"), border(true)),
    };
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(style)
        .title(Span::styled(text::cut(&heading, width), Style::new().fg(ACCENT)));
    let inner = block.inner(area);
    let before = text::wrap(model.compose.before(), width);
    let at = before.len().saturating_sub(1);
    let skipped = (at + 1).saturating_sub(usize::from(inner.height).max(1));
    let shown = lines.iter().skip(skipped).map(|line| Line::raw(format!(" {line}")));
    let content = if model.compose.text().is_empty() && model.focus != Focus::Compose {
        vec![Line::styled(" Tab to write", FAINT)]
    } else {
        shown.collect()
    };
    frame.render_widget(Paragraph::new(content).block(block), area);
    if model.focus == Focus::Compose && model.dialog.is_none() {
        let column = before.last().map_or(0, |line| line.width()).min(width);
        let x = inner.x + 1 + u16::try_from(column).unwrap_or(0);
        let y = inner.y + u16::try_from(at - skipped).unwrap_or(0);
        frame.set_cursor_position(Position::new(x, y));
    }
}

fn quoted(model: &Model, key: sync_core::document::OrderKey, what: &str) -> String {
    let view = model.messages.iter().find(|view| view.message == key);
    let text = view.map_or("…", |view| view.text.as_str());
    format!(" {what}: {text} ")
}

fn typing_line(model: &Model) -> Paragraph<'static> {
    if let Some(notice) = &model.notice {
        return Paragraph::new(text::harmless(notice)).style(Style::new().fg(Color::Red));
    }
    let names: Vec<_> = model.typists().iter().map(|name| text::harmless(name)).collect();
    let line = match names.as_slice() {
        [] => String::new(),
        [one] => format!(" {one} is typing…"),
        many => format!(" {} are typing…", many.join(", ")),
    };
    Paragraph::new(line).style(Style::new().fg(ACCENT).add_modifier(Modifier::ITALIC))
}

fn header(model: &Model) -> Paragraph<'static> {
    let status = &model.status;
    let (light, state) = match (status.connected, status.up_to_date) {
        _ if model.is_ended => (Color::Red, "removed"),
        (true, _) if status.withheld > 0 => (Color::Red, "the relay keeps something back"),
        (true, true) => (Color::Green, "up to date"),
        (true, false) => (Color::Yellow, "catching up"),
        _ => (Color::Red, "offline"),
    };
    let mut spans = vec![Span::styled(" Rejoinder ", STRONG.fg(ACCENT))];
    if let Some(address) = &status.address {
        spans.push(Span::raw(format!(" {} ", text::harmless(&status.name))));
        spans.push(Span::styled(format!("{address}  "), FAINT));
        spans.push(Span::styled("● ", Style::new().fg(light)));
        spans.push(Span::raw(state));
    }
    if model.unread() > 0 {
        spans.push(Span::styled(format!("  {} unread", model.unread()), STRONG));
    }
    Paragraph::new(Line::from(spans))
}

/// What an honest client says when not everything is as it looks.
fn banner(model: &Model) -> Option<String> {
    let status = &model.status;
    status.account?;
    if model.is_ended {
        return Some(" This device was removed: nothing new comes, and nothing is sent".to_owned());
    }
    let problem = match &status.problem {
        Some(Problem::AddressTaken) => {
            Some("your address belongs to another account: choose another".to_owned())
        }
        Some(Problem::OtherRelay { .. }) => {
            Some("the relay is another than before: nothing is sent to it".to_owned())
        }
        Some(Problem::NotARelay) => Some(format!("{} is not a relay", model.relay)),
        Some(Problem::Session(reason)) if reason.passes() => Some("the relay is busy".to_owned()),
        Some(Problem::Session(reason)) => Some(format!("the relay refuses this device: {reason}")),
        Some(Problem::Space(_, reason)) => Some(format!("the relay refuses a change: {reason}")),
        None => None,
    };
    let arrival = model.arrival().map(|(read, total)| {
        let percent = read.saturating_mul(100) / total.max(1);
        format!("earlier messages arrive: {percent} %")
    });
    if status.connected {
        let away = || "a device of yours was not here for weeks: ^D shows which".to_owned();
        let away = (!status.away.is_empty()).then(away);
        let nameless = || "you have no name here: ^S, then n, gives you one".to_owned();
        let nameless = status.nameless.then(nameless);
        return problem.or(arrival).or(nameless).or(away).map(|line| format!(" {line}"));
    }
    let mut parts = vec![if model.is_away { "Offline by choice" } else { "Offline" }.to_owned()];
    parts.push(match status.waiting {
        0 => "nothing waits".to_owned(),
        1 => "1 change waits".to_owned(),
        many => format!("{many} changes wait"),
    });
    parts.push(match status.last_confirmed_ms {
        Some(at) => format!("last confirmed {}", text::when(at, model.now_ms)),
        None => "never confirmed yet".to_owned(),
    });
    parts.extend(problem.or_else(|| model.problem.clone().filter(|_| !model.is_away)));
    Some(format!(" {}", parts.join(" · ")))
}

fn hints(model: &Model, width: u16) -> Line<'static> {
    let keys = match model.focus {
        _ if model.page.is_some() => {
            model.page.as_ref().map_or("", |page| pages::hints(model, page))
        }
        Focus::Compose if model.is_ended => "Esc list  ↑ messages  ^D devices  F1 help  ^Q quit",
        Focus::Compose if model.is_pending() => "a accept  d decline  b block  Esc list  ? help",
        Focus::List => "↑↓ choose  Enter open  n new  p pin  m mute  a archive  ? help  q quit",
        Focus::Messages => "↑↓ choose  r reply  e edit  d delete  + react  Esc back  ? help",
        Focus::Compose => {
            "Enter send  ↑ messages  Esc list  ^N new  ^T members  ^D devices  F1 help"
        }
        Focus::Side => "↑↓ choose  i safety number  + add  x remove  o role  t title  Esc close",
    };
    Line::styled(format!(" {}", text::cut(keys, usize::from(width).saturating_sub(1))), FAINT)
}

pub(super) fn border(is_focused: bool) -> Style {
    if is_focused { Style::new().fg(ACCENT) } else { FAINT }
}

/// An empty box of at most this size in the middle of the screen.
pub(super) fn window(frame: &mut Frame<'_>, heading: &str, width: u16, height: u16) -> Rect {
    let area = frame.area();
    let (width, height) = (width.min(area.width), height.min(area.height));
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let area = Rect { x, y, width, height };
    let block = Block::bordered()
        .border_style(border(true))
        .title(Span::styled(format!(" {heading} "), STRONG));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}
