//! The messages of the open conversation, newest at the bottom.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use sync_core::api::{MessageView, Progress};
use unicode_width::UnicodeWidthStr as _;

use super::{ACCENT, FAINT, STRONG};
use crate::screen::model::{Model, name};
use crate::screen::text;

/// Names are coloured, the same person always alike.
const COLOURS: [Color; 6] =
    [Color::Green, Color::Magenta, Color::Yellow, Color::Blue, Color::LightRed, Color::LightGreen];

/// Messages as lines.
pub(super) struct Laid {
    lines: Vec<Line<'static>>,
    /// The first line of each message, and the one after its last.
    pub(super) spans: Vec<(usize, usize)>,
}

impl Laid {
    /// The first line in view. The newest are, unless an older message is chosen; of a chosen one
    /// that is taller than the pane, what was scrolled to.
    fn top(&self, model: &Model, height: usize) -> usize {
        let bottom = self.lines.len().saturating_sub(height);
        let Some((first, last)) = self.chosen(model) else { return bottom };
        match last.saturating_sub(first).saturating_sub(height) {
            0 => first.min(bottom),
            hidden => first + model.scroll.min(hidden),
        }
    }

    fn chosen(&self, model: &Model) -> Option<(usize, usize)> {
        let selected = model.selected?;
        let at = model.messages.iter().position(|view| view.message == selected)?;
        self.spans.get(at).copied()
    }

    /// Which lines of a chosen message that is taller than the pane are seen.
    pub(super) fn place(&self, model: &Model, height: usize) -> Option<String> {
        let (first, last) = self.chosen(model)?;
        let all = last.saturating_sub(first);
        if all <= height {
            return None;
        }
        let seen = self.top(model, height).saturating_sub(first);
        Some(format!(" lines {} to {} of {all} ↑↓ ", seen + 1, seen + height))
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, laid: Laid, area: Rect) {
    let height = usize::from(area.height);
    let top = laid.top(model, height);
    let shown: Vec<_> = laid.lines.into_iter().skip(top).take(height).collect();
    let blank = height.saturating_sub(shown.len());
    let area = Rect { y: area.y + u16::try_from(blank).unwrap_or(0), ..area };
    let area = area.intersection(frame.area());
    frame.render_widget(Paragraph::new(shown), area);
}

/// All lines, at the width of the pane.
pub(super) fn lay_out(model: &Model, width: u16) -> Laid {
    let width = usize::from(width.saturating_sub(1)).max(1);
    let mut lines = vec![match (model.has_older, model.is_loading) {
        (_, true) => Line::styled(" …", FAINT),
        (true, _) => Line::styled(" ↑ older messages", FAINT),
        _ => Line::styled(" the beginning", FAINT),
    }];
    let mut spans = Vec::new();
    let mut before: Option<&MessageView> = None;
    let mut changes = changes(model, width).into_iter().peekable();
    for view in &model.messages {
        while let Some((_, told)) = changes.next_if(|(at_ms, _)| *at_ms < view.at_ms) {
            lines.extend(told);
        }
        let day = text::day(view.at_ms);
        let is_new_day = before.is_none_or(|before| text::day(before.at_ms) != day);
        if is_new_day {
            lines.push(Line::styled(format!("── {day} ──"), FAINT).centered());
        }
        let continues = !is_new_day
            && before.is_some_and(|before| {
                before.author == view.author && view.at_ms.saturating_sub(before.at_ms) < 300_000
            });
        // What stands above the first message is seen with it.
        let first = if before.is_none() { 0 } else { lines.len() };
        let is_chosen = model.selected == Some(view.message);
        lines.extend(message_lines(model, view, width, !continues).into_iter().map(|line| {
            if is_chosen { line.patch_style(Style::new().bg(Color::Rgb(40, 50, 60))) } else { line }
        }));
        spans.push((first, lines.len()));
        before = Some(view);
    }
    lines.extend(changes.flat_map(|(_, told)| told));
    Laid { lines, spans }
}

/// Whose devices changed in this conversation, when, and what to do about it.
fn changes(model: &Model, width: usize) -> Vec<(u64, Vec<Line<'static>>)> {
    let Some(conversation) = model.conversation() else { return Vec::new() };
    let style = Style::new().fg(Color::Yellow);
    let here = conversation.members.iter().filter_map(|member| {
        let at_ms = *model.changed.get(&member.account)?;
        let name = text::quoted(&name(member));
        let told = format!("the devices of {name} changed\ncompare the safety number: ^T, then i");
        let told = text::wrap(&told, width);
        Some((at_ms, told.into_iter().map(|line| Line::styled(line, style).centered()).collect()))
    });
    let mut here: Vec<_> = here.collect();
    here.sort_by_key(|(at_ms, _)| *at_ms);
    here
}

fn message_lines(
    model: &Model,
    view: &MessageView,
    width: usize,
    with_name: bool,
) -> Vec<Line<'static>> {
    let is_mine = model.is_me(&view.author);
    let mut lines = Vec::new();
    if with_name {
        let colour = if is_mine { ACCENT } else { colour(view) };
        let name = text::cut(&model.name_of(&view.author), width);
        lines.push(Line::styled(format!(" {name}"), STRONG.fg(colour)));
    }
    if let Some(key) = view.reply_to {
        let quoted = model.messages.iter().find(|other| other.message == key);
        let quote = quoted.map_or_else(
            || "an earlier message".to_owned(),
            |other| format!("{}: {}", text::cut(&model.name_of(&other.author), 16), other.text),
        );
        lines.push(Line::styled(
            format!("   ↳ {}", text::cut(&quote, width.saturating_sub(5))),
            FAINT,
        ));
    }
    let tail = tail(view, is_mine);
    let tail_width: usize = tail.iter().map(|span| span.content.width()).sum();
    for line in text::wrap(&shown_text(view), width.saturating_sub(3)) {
        let style = if view.deleted { FAINT.add_modifier(Modifier::ITALIC) } else { Style::new() };
        lines.push(Line::from(vec![Span::raw("   "), Span::styled(line, style)]));
    }
    // Time and ticks stand behind the last line if it leaves room, else below it.
    let fits = lines.last().is_some_and(|line| line.width() + tail_width < width);
    if !fits {
        lines.push(Line::default());
    }
    if let Some(last) = lines.last_mut() {
        let gap = width.saturating_sub(last.width() + tail_width);
        last.push_span(Span::raw(" ".repeat(gap)));
        tail.into_iter().for_each(|span| last.push_span(span));
    }
    if !view.reactions.is_empty() {
        lines.push(Line::styled(format!("   {}", reactions(view)), Style::new().fg(Color::Yellow)));
    }
    lines
}

fn shown_text(view: &MessageView) -> String {
    // All of a message, so that whoever gives it a new part decides here how it shows.
    let MessageView {
        message: _,
        author: _,
        device: _,
        text,
        at_ms: _,
        rank: _,
        reply_to: _,
        edited: _,
        deleted,
        reactions: _,
        status: _,
        delivered: _,
        read: _,
        needs_update,
    } = view;
    match (deleted, needs_update) {
        (true, _) => "deleted".to_owned(),
        (_, true) => format!("{text} [needs an update of this client]"),
        _ => text.clone(),
    }
}

/// Each emoji once, with how many chose it.
fn reactions(view: &MessageView) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for emoji in view.reactions.values() {
        *counts.entry(text::cut(emoji, 8)).or_default() += 1;
    }
    let each = counts.into_iter().map(|(emoji, count)| match count {
        1 => emoji,
        many => format!("{emoji} {many}"),
    });
    each.collect::<Vec<_>>().join("  ")
}

/// Whether it was edited, when it was written and, of an own one, how far it came.
fn tail(view: &MessageView, is_mine: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    if view.edited && !view.deleted {
        spans.push(Span::styled("edited ", FAINT));
    }
    spans.push(Span::styled(text::clock(view.at_ms), FAINT));
    if is_mine {
        let (ticks, style) = match view.status {
            Progress::Local => (" ◷ ", FAINT),
            Progress::Stored => (" ✓ ", FAINT),
            Progress::Delivered => (" ✓✓", FAINT),
            Progress::Read => (" ✓✓", STRONG.fg(ACCENT)),
        };
        spans.push(Span::styled(ticks, style));
    }
    spans
}

fn colour(view: &MessageView) -> Color {
    let byte = view.author.as_bytes().last().copied().unwrap_or_default();
    COLOURS.get(usize::from(byte) % COLOURS.len()).copied().unwrap_or(Color::Green)
}
