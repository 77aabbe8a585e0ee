//! The screen, drawn from the model alone.

mod dialog;
mod finding;
mod list;
mod messages;
mod pages;
mod picture;
mod side;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect, Size};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
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

/// Below this width one pane is shown at a time.
const NARROW: u16 = 48;
/// The least that anything can be shown on.
const LEAST: Size = Size { width: 20, height: 6 };
/// Rows of what is told of the last key.
const NOTICE_ROWS: usize = 3;
/// People of an invitation who are named.
const NAMED: usize = 4;

/// How messages lie on the screen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Rows for messages.
    pub(crate) height: usize,
    /// The first line of each message, and the one after its last.
    pub(crate) spans: Vec<(usize, usize)>,
}

impl Shown {
    /// Lines of a message that its pane has no room for.
    pub(crate) fn hidden(&self, at: usize) -> usize {
        let all = self.spans.get(at).map_or(0, |span| span.1.saturating_sub(span.0));
        all.saturating_sub(self.height)
    }
}

/// How messages lay when the screen was last drawn on.
pub(crate) fn shown(model: &Model) -> Shown {
    if model.size.width == 0 {
        // Not drawn on yet: nothing is out of view.
        return Shown { height: usize::MAX, spans: Vec::new() };
    }
    let whole = Rect::from((Position::ORIGIN, model.size));
    let [_, _, body, _] = rows(model, whole);
    let Some(view) = model.conversation() else { return Shown::default() };
    let parts = Parts::of(model, view, columns(model, body).1);
    let inner = Block::bordered().inner(parts.pane);
    let spans = messages::lay_out(model, inner.width).spans;
    Shown { height: usize::from(inner.height).max(1), spans }
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < LEAST.width || area.height < LEAST.height {
        let told = Paragraph::new("make this window larger").wrap(Wrap { trim: true });
        frame.render_widget(told, area);
        return;
    }
    if let (Some(page @ Page::Linking(Linking::Offered { .. })), None) =
        (&model.page, &model.dialog)
    {
        // Its picture needs every row of a small terminal.
        return pages::draw(frame, model, page, area);
    }
    let [top, warning, body, bottom] = rows(model, area);
    frame.render_widget(header(model), top);
    if let Some(banner) = banner(model) {
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

/// Header, banner, body and hints.
fn rows(model: &Model, area: Rect) -> [Rect; 4] {
    Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(u16::from(banner(model).is_some())),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area)
}

/// The list, the conversation and the pane at the side; those without room are empty.
fn columns(model: &Model, body: Rect) -> (Rect, Rect, Rect) {
    if body.width < NARROW {
        let none = Rect { width: 0, ..body };
        return match (model.focus, model.open, model.side) {
            (Focus::Side, _, Some(_)) => (none, none, body),
            (Focus::List, ..) | (_, None, _) => (body, none, none),
            _ => (none, body, none),
        };
    }
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
    (list, middle, side)
}

fn draw_body(frame: &mut Frame<'_>, model: &Model, body: Rect) {
    let (list, middle, side) = columns(model, body);
    if list.width > 0 {
        list::draw(frame, model, list);
    }
    if middle.width > 0 {
        draw_conversation(frame, model, middle);
    }
    if side.width > 0 {
        side::draw(frame, model, side);
    }
}

/// The parts of an open conversation.
struct Parts {
    /// Messages, in their frame.
    pane: Rect,
    /// Who is typing, or what is told of the last key.
    told: Rect,
    /// The line being written, or what stands in its place.
    below: Rect,
    /// What stands in its place.
    instead: Option<Vec<Line<'static>>>,
}

impl Parts {
    fn of(model: &Model, view: &ConversationView, area: Rect) -> Self {
        let width = usize::from(area.width.saturating_sub(4)).max(1);
        let half = usize::from(area.height / 2).max(1);
        let instead = instead(model, view, width, half);
        let below = match &instead {
            None => compose_lines(model, width).len().clamp(1, COMPOSE_ROWS).min(half) + 2,
            Some(lines) => lines.len(),
        };
        let told = told_lines(model, usize::from(area.width)).len().clamp(1, NOTICE_ROWS);
        let length = |rows: usize| Constraint::Length(u16::try_from(rows).unwrap_or(1));
        let parts = [Constraint::Min(3), length(told), length(below)];
        let [pane, told, below] = Layout::vertical(parts).areas(area);
        Self { pane, told, below, instead }
    }
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
    let parts = Parts::of(model, view, area);
    let heading = text::cut(&title(view, model.status.account), width);
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(border(model.focus == Focus::Messages))
        .title(Span::styled(format!(" {heading} "), STRONG));
    let inner = block.inner(parts.pane);
    let laid = messages::lay_out(model, inner.width);
    // That something is kept back matters more than where one is in a tall message.
    let place = laid.place(model, usize::from(inner.height)).filter(|_| !view.withheld);
    let missing = || missing(view).map(|what| format!(" {what} "));
    let block = match place.or_else(missing) {
        Some(line) => block.title_bottom(Line::styled(text::cut(&line, width), FAINT)),
        None => block,
    };
    frame.render_widget(block, parts.pane);
    messages::draw(frame, model, laid, inner);
    frame.render_widget(told(model, parts.told), parts.told);
    match parts.instead {
        None => draw_compose(frame, model, parts.below, &compose_lines(model, width)),
        Some(lines) => frame.render_widget(Paragraph::new(lines), parts.below),
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

/// What stands in the place of the line being written, where nothing can be written; at most so many
/// rows, the last of them the keys.
fn instead(
    model: &Model,
    view: &ConversationView,
    width: usize,
    rows: usize,
) -> Option<Vec<Line<'static>>> {
    let told = |line: &str, style| {
        let lines = text::wrap(line, width).into_iter().take(rows);
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
            Some(address) => {
                format!("{} ({})", text::quoted(&name(member)), text::cut(address, 24))
            }
            None => text::quoted(&name(member)),
        })
        .collect();
    let who = text::some(&names, NAMED);
    let mut lines = told(&format!("An invitation. In it: {who}"), STRONG);
    lines.extend(told("They don't see that you read this until you accept.", Style::new()));
    lines.truncate(rows.saturating_sub(1));
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
        let right = inner.right().saturating_sub(1);
        frame.set_cursor_position(Position::new(x.min(right), y));
    }
}

fn quoted(model: &Model, key: sync_core::document::OrderKey, what: &str) -> String {
    let view = model.messages.iter().find(|view| view.message == key);
    let text = view.map_or("…", |view| view.text.as_str());
    format!(" {what}: {text} ")
}

/// What is told of the last key, or who is typing.
fn told_lines(model: &Model, width: usize) -> Vec<String> {
    match &model.notice {
        Some(notice) => text::wrap(notice, width),
        None => {
            let names: Vec<_> = model.typists().iter().map(|name| text::cut(name, 20)).collect();
            let line = match names.as_slice() {
                [] => String::new(),
                [one] => format!(" {one} is typing…"),
                many => format!(" {} are typing…", text::some(many, 2)),
            };
            let short = || format!(" {} are typing…", names.len());
            vec![if line.width() > width && names.len() > 1 { short() } else { line }]
        }
    }
}

fn told(model: &Model, area: Rect) -> Paragraph<'static> {
    let mut lines = told_lines(model, usize::from(area.width));
    let room = usize::from(area.height);
    if lines.len() > room {
        lines.truncate(room);
        if let Some(last) = lines.last_mut() {
            *last = text::cut(&format!("{last}…"), usize::from(area.width));
        }
    }
    let style = match model.notice {
        Some(_) => Style::new().fg(Color::Red),
        None => Style::new().fg(ACCENT).add_modifier(Modifier::ITALIC),
    };
    Paragraph::new(lines.into_iter().map(Line::raw).collect::<Vec<_>>()).style(style)
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
        // However long they are, how things stand is seen.
        spans.push(Span::raw(format!(" {} ", text::cut(&status.name, 16))));
        spans.push(Span::styled(format!("{}  ", text::cut(address, 16)), FAINT));
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
        Focus::Messages => {
            "↑↓ PgUp PgDn read  r reply  e edit  d delete  + react  Esc back  ? help"
        }
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
    let heading = text::cut(heading, usize::from(width.saturating_sub(4)));
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
