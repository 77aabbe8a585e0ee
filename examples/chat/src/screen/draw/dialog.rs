//! Forms and questions in front of everything else.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};
use unicode_width::UnicodeWidthStr as _;

use super::{ACCENT, FAINT, STRONG, window};
use crate::screen::model::{Dialog, Form, Model};
use crate::screen::text;

/// Keys, by where they work.
const HELP: [(&str, &str); 18] = [
    ("Tab, Shift-Tab", "go to the next pane, to the list"),
    ("Ctrl-N", "new conversation"),
    ("Ctrl-A", "add a member"),
    ("Ctrl-T", "members"),
    ("Ctrl-S", "settings"),
    ("Ctrl-O", "go offline, come back"),
    ("Ctrl-Q", "quit"),
    ("", ""),
    ("List", "Enter open, p pin, m mute, a archive"),
    ("Writing", "Enter send, Alt-Enter new line, ↑ messages"),
    ("Messages", "r reply, e edit, d delete, + react"),
    ("", "PgUp, Home go back in time"),
    ("Members", "+ add, x remove or leave, o role, t title"),
    ("", ""),
    ("◷", "only on this device yet"),
    ("✓", "stored by the relay"),
    ("✓✓", "on somebody's device; bright: read"),
    ("▲  ø", "pinned, muted"),
];

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, dialog: &Dialog) {
    match dialog {
        Dialog::SignUp(form) => {
            let hint =
                "How others find you: a phone number (+49…) or a name of 3 letters and more.";
            draw_form(frame, "Welcome to Rejoinder", hint, form, "Enter goes on   Ctrl-Q quits");
        }
        Dialog::RecoveryCode(code) => draw_code(frame, code),
        Dialog::NewConversation(form) => {
            let hint = "Members may be added later, too.";
            draw_form(frame, "New conversation", hint, form, "Enter goes on   Esc closes");
        }
        Dialog::AddMember(form, history) => {
            let mark = if *history { "[x]" } else { "[ ]" };
            let hint = format!("{mark} may read what was written before (Space changes it)");
            draw_form(frame, "Add a member", &hint, form, "Enter adds   Esc closes");
        }
        Dialog::Title(form) => draw_form(frame, "Title", "", form, "Enter changes   Esc closes"),
        Dialog::React(_, form) => {
            draw_form(frame, "React", "", form, "Enter reacts   Esc closes");
        }
        Dialog::Confirm(question, _) => {
            let area = window(frame, "Sure?", 50, 5);
            let lines = vec![
                Line::raw(format!(" {}", text::cut(question, 46))),
                Line::default(),
                Line::styled(" y yes   any other key no", FAINT),
            ];
            frame.render_widget(Paragraph::new(lines), area);
        }
        Dialog::Help => draw_help(frame, model),
    }
}

fn draw_form(frame: &mut Frame<'_>, heading: &str, hint: &str, form: &Form, keys: &str) {
    let height = 6 + 2 * u16::try_from(form.fields.len()).unwrap_or(2);
    let area = window(frame, heading, 62, height);
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines: Vec<Line<'_>> = text::wrap(hint, width)
        .into_iter()
        .map(|line| Line::styled(format!(" {line}"), FAINT))
        .collect();
    for (at, (label, field)) in form.fields.iter().enumerate() {
        let is_here = at == form.at;
        let style = if is_here { STRONG.fg(ACCENT) } else { FAINT };
        lines.push(Line::styled(format!(" {label}"), style));
        let before = text::tail(field.before(), width);
        if is_here && !form.busy {
            let x = area.x + 2 + u16::try_from(before.width()).unwrap_or(0);
            let y = area.y + u16::try_from(lines.len()).unwrap_or(0);
            frame.set_cursor_position(Position::new(x, y));
        }
        let shown =
            if is_here { before.to_owned() + after(field) } else { field.text().to_owned() };
        lines.push(Line::raw(format!("  {}", text::cut(&shown, width))));
    }
    let (last, style) = match (&form.error, form.busy) {
        (_, true) => ("one moment…", FAINT),
        (Some(error), _) => (error.as_str(), Style::new().fg(Color::Red)),
        _ => (keys, FAINT),
    };
    lines.extend(
        text::wrap(last, width).into_iter().map(|line| Line::styled(format!(" {line}"), style)),
    );
    frame.render_widget(Paragraph::new(lines), area);
}

fn after(field: &crate::screen::field::Field) -> &str {
    field.text().get(field.before().len()..).unwrap_or_default()
}

fn draw_code(frame: &mut Frame<'_>, code: &str) {
    let area = window(frame, "Your recovery code", 62, 12);
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines = vec![
        Line::raw(" Write this down and keep it safe. It brings your account"),
        Line::raw(" back when all your devices are lost. It isn't shown again."),
        Line::default(),
    ];
    lines.extend(
        text::wrap(code, width).into_iter().map(|line| Line::styled(format!("  {line}"), STRONG)),
    );
    lines.extend([Line::default(), Line::styled(" Enter: I have written it down", FAINT)]);
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_help(frame: &mut Frame<'_>, model: &Model) {
    let rows = u16::try_from(HELP.len()).unwrap_or(18);
    let area: Rect = window(frame, "Keys", 64, rows + 4);
    let mut lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| {
            let pad = " ".repeat(16_usize.saturating_sub(keys.width()));
            Line::from(vec![format!(" {keys}{pad}").into(), (*what).into()])
        })
        .collect();
    lines.push(Line::styled(format!(" relay {}   any key closes", model.relay), FAINT));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}
