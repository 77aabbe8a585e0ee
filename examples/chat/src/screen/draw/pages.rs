//! What takes the whole screen: the first run, a link, the account's devices, and this device's end.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Padding, Paragraph, Wrap};
use sync_core::api::{DeviceView, Whose};
use sync_protocol::dormancy::Dormancy;
use sync_protocol::limits::RENDEZVOUS_MS;
use unicode_width::UnicodeWidthStr as _;

use super::picture::{Picture, large_digits};
use super::{ACCENT, FAINT, STRONG, border};
use crate::screen::model::Model;
use crate::screen::pages::{CHOICES, Choice, Linking, Page, device_name};
use crate::screen::text;

/// Columns that instructions beside a picture need.
const BESIDE: u16 = 30;
/// Rows that they need without one.
const STEPS: u16 = 12;
/// Rows that the first page takes as a whole.
const START_ROWS: u16 = 16;
/// The longest line of prose.
const PROSE: u16 = 66;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, page: &Page, area: Rect) {
    match page {
        Page::Start(at) => draw_start(frame, *at, area),
        Page::Linking(linking) => draw_linking(frame, model, linking, area),
        Page::Devices(at) => draw_devices(frame, model, *at, area),
        Page::Ended(unsent) => draw_ended(frame, *unsent, area),
        Page::Search(at) => super::finding::draw(frame, model, *at, area),
    }
}

/// The keys of a page.
pub(super) fn hints(model: &Model, page: &Page) -> &'static str {
    match page {
        Page::Start(_) => "↑↓ choose  Enter go on  ? help  q quit",
        Page::Linking(Linking::Asked | Linking::Joining | Linking::Code(..)) => {
            "Esc cancel  ^Q quit"
        }
        Page::Linking(Linking::Confirm(_)) => "y it is mine  Esc cancel  ^Q quit",
        Page::Linking(Linking::Offered { .. }) => "t text or picture  Esc cancel  ^Q quit",
        Page::Linking(Linking::Linked) => "Enter begin  ^Q quit",
        Page::Linking(Linking::Failed(_)) => "Enter try again  Esc back  ^Q quit",
        Page::Devices(_) if model.is_primary() => {
            "↑↓ choose  l link a device  x remove  p make primary  c new code  Esc back"
        }
        Page::Devices(_) => "↑↓ choose  x log out here  Esc back  ? help",
        Page::Ended(_) => "Enter look at what is here  q quit",
        Page::Search(_) => "Enter look, or open  ↑↓ choose  Esc back  ^Q quit",
    }
}

/// A frame with prose in it; gives where it is.
fn prose(frame: &mut Frame<'_>, lines: &[Line<'_>], area: Rect) -> Rect {
    let width = area.width.min(PROSE + 4);
    let room = usize::from(width.saturating_sub(4)).max(1);
    let wrapped = lines.iter().flat_map(|line| {
        let parts = text::wrap(&line.to_string(), room);
        parts.into_iter().map(|part| Line::styled(part, line.style))
    });
    let wrapped: Vec<_> = wrapped.collect();
    let height = u16::try_from(wrapped.len()).unwrap_or(u16::MAX).saturating_add(4);
    let height = height.min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 3;
    let middle = Rect { x, y, width, height };
    let block = Block::bordered().border_style(border(true)).padding(Padding::uniform(1));
    frame.render_widget(Paragraph::new(wrapped).block(block), middle);
    middle
}

fn draw_start(frame: &mut Frame<'_>, at: usize, area: Rect) {
    let mut lines = vec![
        Line::styled("Welcome to Rejoinder", STRONG.fg(ACCENT)),
        Line::styled("This device has no account yet.", FAINT),
    ];
    // In a small window the choices alone.
    let is_small = area.height < START_ROWS;
    if is_small {
        lines.clear();
    }
    for (place, choice) in CHOICES.iter().enumerate() {
        let (what, when) = match choice {
            Choice::Create => ("Create an account", "You are new here."),
            Choice::Link => ("Link this device", "You use Rejoinder on another device already."),
            Choice::Recover => {
                ("Recover with your code", "Your devices are lost; you wrote down twelve words.")
            }
        };
        let is_here = place == at;
        let (pointer, style) = if is_here { ("▸ ", STRONG.fg(ACCENT)) } else { ("  ", STRONG) };
        if !is_small {
            lines.push(Line::default());
        }
        lines.push(Line::styled(format!("{pointer}{what}"), style));
        if !is_small {
            lines.push(Line::styled(format!("    {when}"), FAINT));
        }
    }
    if is_small {
        frame.render_widget(Paragraph::new(lines), area);
    } else {
        prose(frame, &lines, area);
    }
}

fn draw_linking(frame: &mut Frame<'_>, model: &Model, linking: &Linking, area: Rect) {
    match linking {
        Linking::Asked => {
            prose(frame, &[Line::raw("Asking the relay for a meeting point…")], area);
        }
        Linking::Offered { offer, since_ms, is_text } => {
            let left_ms = (since_ms + RENDEZVOUS_MS).saturating_sub(model.now_ms);
            draw_offer(frame, offer, left_ms / 1000, *is_text, area);
        }
        Linking::Confirm(whose) => draw_confirm(frame, whose, area),
        Linking::Joining => {
            prose(frame, &[Line::raw("Agreeing on a code…")], area);
        }
        Linking::Code(code, whose) => draw_code(frame, code, whose, area),
        Linking::Linked => draw_linked(frame, model, area),
        Linking::Failed(reason) => {
            let lines = vec![
                Line::styled("This device was not linked", STRONG.fg(Color::Red)),
                Line::default(),
                Line::raw(text::harmless(reason)),
                Line::default(),
                Line::raw("Nothing was changed, here or on your other devices."),
            ];
            prose(frame, &lines, area);
        }
    }
}

/// The picture beside what to do, and the text on lines of its own, so that it can be marked with a
/// mouse; where there is no room for both, one of them.
fn draw_offer(frame: &mut Frame<'_>, offer: &str, left_s: u64, is_text: bool, area: Rect) {
    let letters: Vec<char> = offer.chars().collect();
    let width = usize::from(area.width).max(1);
    let text: Vec<Line<'_>> =
        letters.chunks(width).map(|line| Line::raw(line.iter().collect::<String>())).collect();
    let rows = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let picture = Picture::of(offer);
    let picture = picture.filter(|picture| {
        let (columns, rows) = picture.size();
        columns.saturating_add(BESIDE) <= area.width && rows <= area.height
    });
    let picture_rows = picture.as_ref().map_or(0, |picture| picture.size().1);
    let has_room = picture_rows.saturating_add(rows).saturating_add(1) <= area.height;
    let picture = picture.filter(|_| has_room || !is_text);
    let shows_text = has_room || picture.is_none();
    let [upper, lower, _] = Layout::vertical([
        Constraint::Length(if picture.is_some() { picture_rows } else { STEPS }),
        Constraint::Length(if shows_text { rows } else { 0 }),
        Constraint::Min(0),
    ])
    .spacing(i16::from(has_room && shows_text))
    .areas(area);
    let columns = picture.as_ref().map_or(0, |picture| picture.size().0);
    let [left, right] =
        Layout::horizontal([Constraint::Length(columns), Constraint::Min(1)]).areas(upper);
    if let Some(picture) = &picture {
        picture.draw(frame, left);
    }
    let steps = steps(left_s, picture.is_some(), shows_text);
    let block = Block::new().padding(Padding::horizontal(1));
    frame.render_widget(Paragraph::new(steps).block(block).wrap(Wrap { trim: false }), right);
    frame.render_widget(Paragraph::new(text), lower);
}

fn steps(left_s: u64, has_picture: bool, has_text: bool) -> Vec<Line<'static>> {
    let how = match (has_picture, has_text) {
        (true, true) => "2  Scan the picture there, or paste the text below.",
        (true, false) => "2  Scan the picture there, or press t here for a text to paste.",
        _ => "2  Paste the text below there.",
    };
    vec![
        Line::styled("Link this device", STRONG.fg(ACCENT)),
        Line::default(),
        Line::raw("1  On your primary device, press Ctrl-D, then l."),
        Line::default(),
        Line::raw(how),
        Line::default(),
        Line::raw("3  A code of 7 digits appears here: type it there."),
        Line::default(),
        Line::styled(format!("Good for {}:{:02} more.", left_s / 60, left_s % 60), FAINT),
        Line::styled("Show it to nobody else.", FAINT),
        Line::styled("Esc cancels.", FAINT),
    ]
}

/// Whose account it is, as far as that is known: the name is anybody's word.
fn whose_account(whose: &Whose) -> String {
    let address = whose.address.as_deref().unwrap_or("an account without an address");
    format!("{} ({})", text::cut(address, 64), text::quoted(&whose.name))
}

fn draw_confirm(frame: &mut Frame<'_>, whose: &Whose, area: Rect) {
    let lines = vec![
        Line::styled("Is this your account?", STRONG.fg(ACCENT)),
        Line::default(),
        Line::styled(whose_account(whose), STRONG),
        Line::styled(whose.account.to_string(), FAINT),
        Line::default(),
        Line::raw("A device of it scanned what you showed. If it isn't yours, press Esc:"),
        Line::raw("somebody else saw your screen, and would read what you write here."),
        Line::default(),
        Line::raw("Press y if it is yours."),
    ];
    prose(frame, &lines, area);
}

fn draw_code(frame: &mut Frame<'_>, code: &str, whose: &Whose, area: Rect) {
    let mut lines = vec![
        Line::styled("Type this code on your primary device", STRONG.fg(ACCENT)),
        Line::default(),
    ];
    let large = large_digits(code);
    let fits = large.iter().all(|row| row.width() + 4 <= usize::from(area.width.min(PROSE + 4)));
    if fits && area.height >= 14 {
        lines.extend(large.into_iter().map(|row| Line::styled(row, STRONG)));
    } else {
        lines.push(Line::styled(text::cut(code, usize::from(area.width)), STRONG));
    }
    lines.extend([
        Line::default(),
        Line::styled(format!("To join the account of {}.", whose_account(whose)), FAINT),
        Line::raw("It shows that nobody stands between the two. If that device asks for"),
        Line::raw("no code, or doesn't take this one, cancel here and there."),
    ]);
    prose(frame, &lines, area);
}

fn draw_linked(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let status = &model.status;
    let who = match &status.address {
        Some(address) => {
            format!("This device belongs to {} ({address}) now.", text::quoted(&status.name))
        }
        None => "This device belongs to your account now.".to_owned(),
    };
    let conversations = match model.conversations.len() {
        1 => "1 conversation is here.".to_owned(),
        many => format!("{many} conversations are here."),
    };
    let mut lines = vec![
        Line::styled("Linked", STRONG.fg(Color::Green)),
        Line::default(),
        Line::raw(text::harmless(&who)),
        Line::raw(conversations),
        Line::default(),
    ];
    let arrival = model.arrival();
    lines.push(Line::raw(match (arrival, model.history.is_empty()) {
        (Some(_), _) => "Earlier messages arrive, the newest first; you needn't wait for them.",
        (None, false) => "All earlier messages are here.",
        (None, true) => "Your other devices, and those you talk to, are told.",
    }));
    lines.push(Line::default());
    let above = prose(frame, &lines, area);
    if let Some((read, total)) = arrival {
        let gauge = Gauge::default()
            .gauge_style(Style::new().fg(ACCENT))
            .ratio(ratio(read, total))
            .label(format!("{read} of {total}"));
        let below = Rect { y: above.bottom(), height: 1, ..above };
        frame.render_widget(gauge, below.intersection(area));
    }
}

/// How much of it, from 0 to 1.
#[allow(clippy::cast_precision_loss, reason = "for the eye")]
fn ratio(read: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { (read as f64 / total as f64).clamp(0.0, 1.0) }
}

fn draw_devices(frame: &mut Frame<'_>, model: &Model, at: usize, area: Rect) {
    let block =
        Block::bordered().border_style(border(true)).title(Span::styled(" Devices ", STRONG));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let name = width.saturating_sub(40).clamp(8, 40);
    let head = row(["", "Name", "Role", "Linked", "Last seen"], name);
    let mut lines = vec![Line::styled(text::cut(&head, width), FAINT)];
    for (place, view) in model.devices.iter().enumerate() {
        let line = device_row(model, view, place == at, name);
        let style = match (place == at, view.revoked) {
            (true, _) => STRONG.add_modifier(Modifier::REVERSED),
            (_, true) => FAINT,
            _ => Style::new(),
        };
        lines.push(Line::styled(text::cut(&line, width), style));
    }
    // The chosen line stays in view; the last rows are for what the page is about.
    let about = about(model);
    let rows = usize::from(inner.height).saturating_sub(about.len() + 1).max(1);
    let top = (at + 2).saturating_sub(rows);
    let shown: Vec<_> = lines.into_iter().skip(top).take(rows).collect();
    let used = shown.len();
    frame.render_widget(Paragraph::new(shown), inner);
    let below = Rect {
        y: inner.y + u16::try_from(used + 1).unwrap_or(0),
        height: inner.height.saturating_sub(u16::try_from(used + 1).unwrap_or(0)),
        ..inner
    };
    frame.render_widget(Paragraph::new(about).wrap(Wrap { trim: false }), below);
}

fn about(model: &Model) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(notice) = &model.notice {
        lines.push(Line::styled(
            format!(" {}", text::harmless(notice)),
            Style::new().fg(Color::Red),
        ));
    }
    let text = if model.is_primary() {
        " This device is the primary: it links and removes the others."
    } else {
        " The primary device links and removes the others."
    };
    let away = model.devices.iter().filter_map(|view| Some((view, view.dormancy?)));
    lines.extend(away.map(|(view, dormancy)| long_away(model, view, dormancy)));
    lines.push(Line::styled(text, FAINT));
    lines.push(Line::styled(
        " All of them are told of each change, and so is everybody you talk to.",
        FAINT,
    ));
    lines
}

fn long_away(model: &Model, view: &DeviceView, dormancy: Dormancy) -> Line<'static> {
    let since = view.last_seen_ms.map_or("long ago".to_owned(), |at| text::when(at, model.now_ms));
    let advice = match dormancy {
        Dormancy::Asleep => "asleep for 3 weeks: use it, or remove it",
        Dormancy::Dormant => "dormant for 30 days: remove it if it is lost",
    };
    let line = format!(" {}: last seen {since}, {advice}", text::quoted(&device_name(view)));
    Line::styled(line, Style::new().fg(Color::Yellow))
}

fn device_row(model: &Model, view: &DeviceView, is_chosen: bool, width: usize) -> String {
    let here = match view.dormancy {
        _ if view.current => " (here)",
        Some(Dormancy::Asleep) => " (asleep)",
        Some(Dormancy::Dormant) => " (dormant)",
        None => "",
    };
    let name = text::cut(&device_name(view), width.saturating_sub(here.len() + 1)) + here;
    let role = if view.revoked { "removed" } else { view.role };
    let when = |at: Option<u64>| at.map_or("—".to_owned(), |at| text::when(at, model.now_ms));
    let seen =
        if view.current && !view.revoked { "now".to_owned() } else { when(view.last_seen_ms) };
    let pointer = if is_chosen { "▸" } else { "" };
    row([pointer, &name, role, &when(view.linked_ms), &seen], width)
}

fn row(cells: [&str; 5], name: usize) -> String {
    let widths = [2, name, 12, 11, 11];
    let padded = cells.iter().zip(widths).map(|(cell, width)| {
        let gap = width.saturating_sub(cell.width());
        format!("{cell}{}", " ".repeat(gap))
    });
    padded.collect::<String>().trim_end().to_owned()
}

fn draw_ended(frame: &mut Frame<'_>, unsent: u64, area: Rect) {
    let lost = match unsent {
        0 => "Everything written here had been sent before.".to_owned(),
        1 => "1 change made here was not taken in by anybody.".to_owned(),
        many => format!("{many} changes made here were not taken in by anybody."),
    };
    let lines = vec![
        Line::styled("This device was removed from your account", STRONG.fg(Color::Red)),
        Line::default(),
        Line::raw("Your primary device removed it, or the account was recovered elsewhere."),
        Line::raw("What is here can be read; nothing new comes, nothing written here is sent."),
        Line::raw(lost),
        Line::default(),
        Line::raw("If it wasn't you, recover the account with your code on another device."),
        Line::default(),
        Line::styled(
            "To use this device again, start with an empty --data directory and link it.",
            FAINT,
        ),
    ];
    prose(frame, &lines, area);
}
