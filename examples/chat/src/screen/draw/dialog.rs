//! Forms and questions in front of everything else.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use sync_core::api::{Compared, ContactCard};
use unicode_width::UnicodeWidthStr as _;

use super::picture::Picture;
use super::{ACCENT, FAINT, STRONG, window};
use crate::screen::model::{Dialog, Form, Model};
use crate::screen::text;

/// Columns of a form.
const FORM: u16 = 66;
/// Keys, by where they work.
const HELP: [(&str, &str); 21] = [
    ("Tab, Shift-Tab", "go to the next pane, to the list"),
    ("Ctrl-N, Ctrl-A", "new conversation, add a member"),
    ("Ctrl-T, Ctrl-S", "members, settings"),
    ("Ctrl-D", "your devices: link, remove, make primary"),
    ("Ctrl-O, Ctrl-Q", "go offline and come back, quit"),
    ("", ""),
    ("List", "Enter open, p pin, m mute, a archive"),
    ("Writing", "Enter send, Alt-Enter new line, ↑ messages"),
    ("Messages", "r reply, e edit, d delete, + react"),
    ("", "PgUp, Home go back in time"),
    ("Members", "+ add, x remove or leave, o role, t title"),
    ("", "i safety number, block"),
    ("Settings", "n change your name"),
    ("Invitations", "a accept, d decline, b decline and block"),
    ("Devices", "l link, x remove or log out, p make primary"),
    ("", "c new recovery code"),
    ("", ""),
    ("◷", "only on this device yet"),
    ("✓", "stored by the relay"),
    ("✓✓", "on somebody's device; bright: read"),
    ("▲  ø", "pinned, muted"),
];

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, dialog: &Dialog) {
    match dialog {
        Dialog::RecoveryCode { code, replaces } => draw_code(frame, code, *replaces),
        Dialog::LinkHistory(_) => draw_history(frame),
        Dialog::Contact(card) => draw_contact(frame, card),
        Dialog::Shown(card) => draw_shown(frame, card),
        Dialog::Confirm(question, _) => {
            let area = window(frame, "Sure?", 60, 5);
            let lines = vec![
                Line::raw(format!(" {}", text::cut(question, 56))),
                Line::default(),
                Line::styled(" y yes   any other key no", FAINT),
            ];
            frame.render_widget(Paragraph::new(lines), area);
        }
        Dialog::Help => draw_help(frame, model),
        form => draw_known_form(frame, form),
    }
}

/// Forms differ in what stands above and below their fields.
fn draw_known_form(frame: &mut Frame<'_>, dialog: &Dialog) {
    let (heading, hint, form, keys) = match dialog {
        Dialog::SignUp(form) => (
            "Create an account",
            "How others find you: a phone number (+49…) or a name of 3 letters and more."
                .to_owned(),
            form,
            "Enter goes on   Esc goes back",
        ),
        Dialog::Offer(form) => (
            "Link this device",
            "What your other devices will call this one.".to_owned(),
            form,
            "Enter goes on   Esc goes back",
        ),
        Dialog::Recover(form) => (
            "Recover with your code",
            "All your other devices are removed. Conversations come back.".to_owned(),
            form,
            "Enter goes on   Esc goes back",
        ),
        Dialog::LinkOffer(form) => (
            "Link a device",
            "Start Rejoinder on the new device, choose “Link this device”, and paste here."
                .to_owned(),
            form,
            "Enter goes on   Esc closes",
        ),
        Dialog::LinkCode(name, form) => (
            "Link a device",
            format!("{name} shows a code of 7 digits. A wrong one ends the link."),
            form,
            "Enter links it   Esc cancels",
        ),
        Dialog::Compare(_, form) => (
            "Compare",
            "Paste what they show: it begins with REJOINDER-SAFETY.".to_owned(),
            form,
            "Enter compares   Esc closes",
        ),
        Dialog::NewConversation(form) => (
            "New conversation",
            "Members may be added later, too.".to_owned(),
            form,
            "Enter goes on   Esc closes",
        ),
        Dialog::AddMember(form, history) => {
            let mark = if *history { "[x]" } else { "[ ]" };
            let hint = format!("{mark} may read what was written before (Space changes it)");
            ("Add a member", hint, form, "Enter adds   Esc closes")
        }
        Dialog::Title(form) => ("Title", String::new(), form, "Enter changes   Esc closes"),
        Dialog::Name(form) => (
            "Your name",
            "What others call you, on all your devices.".to_owned(),
            form,
            "Enter changes   Esc closes",
        ),
        Dialog::React(_, form) => ("React", String::new(), form, "Enter reacts   Esc closes"),
        _ => return,
    };
    draw_form(frame, heading, &hint, form, keys);
}

/// A field that is being filled in may take so many rows.
const FIELD_ROWS: usize = 3;

fn draw_form(frame: &mut Frame<'_>, heading: &str, hint: &str, form: &Form, keys: &str) {
    let width = usize::from(frame.area().width.min(FORM)).saturating_sub(4).max(1);
    let faint = |line: String| Line::styled(format!(" {line}"), FAINT);
    let mut lines: Vec<Line<'_>> = text::wrap(hint, width).into_iter().map(faint).collect();
    let mut cursor = None;
    for (at, (label, field)) in form.fields.iter().enumerate() {
        let is_here = at == form.at;
        let style = if is_here { STRONG.fg(ACCENT) } else { FAINT };
        lines.push(Line::styled(format!(" {label}"), style));
        let before = text::wrap(field.before(), width);
        let all = text::wrap(field.text(), width);
        // What is being typed stays in view.
        let skipped = if is_here { before.len().saturating_sub(FIELD_ROWS) } else { 0 };
        if is_here && !form.busy {
            let column = before.last().map_or(0, |line| line.width());
            cursor = Some((column, lines.len() + before.len() - 1 - skipped));
        }
        let shown = all.into_iter().skip(skipped).take(FIELD_ROWS);
        lines.extend(shown.map(|line| Line::raw(format!("  {line}"))));
    }
    let (last, style) = match (&form.error, form.busy) {
        (_, true) => ("one moment…", FAINT),
        (Some(error), _) => (error.as_str(), Style::new().fg(Color::Red)),
        _ => (keys, FAINT),
    };
    lines.push(Line::default());
    lines.extend(
        text::wrap(last, width).into_iter().map(|line| Line::styled(format!(" {line}"), style)),
    );
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, heading, FORM, rows);
    frame.render_widget(Paragraph::new(lines), area);
    if let Some((column, row)) = cursor {
        let x = area.x + 2 + u16::try_from(column).unwrap_or(0);
        let y = area.y + u16::try_from(row).unwrap_or(0);
        frame.set_cursor_position(Position::new(x, y));
    }
}

fn draw_code(frame: &mut Frame<'_>, code: &str, replaces: bool) {
    let why = if replaces {
        ["The code that you had counts no more. Write this one down", "and keep it safe."]
    } else {
        [
            "Write this down and keep it safe. It brings your account",
            "back when all your devices are lost.",
        ]
    };
    let area = window(frame, "Your recovery code", FORM, 12);
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines: Vec<_> = why.iter().map(|line| Line::raw(format!(" {line}"))).collect();
    lines.push(Line::raw(" It isn't shown again."));
    lines.push(Line::default());
    lines.extend(
        text::wrap(code, width).into_iter().map(|line| Line::styled(format!("  {line}"), STRONG)),
    );
    lines.extend([Line::default(), Line::styled(" Enter: I have written it down", FAINT)]);
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_history(frame: &mut Frame<'_>) {
    let area = window(frame, "Link a device", FORM, 8);
    let lines = vec![
        Line::raw(" May it read what was written before?"),
        Line::default(),
        Line::from(vec![
            Span::styled(" y", STRONG.fg(ACCENT)),
            Span::raw("  everything you can read"),
        ]),
        Line::from(vec![
            Span::styled(" n", STRONG.fg(ACCENT)),
            Span::raw("  only what comes from now on"),
        ]),
        Line::default(),
        Line::styled(" Esc cancels", FAINT),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_contact(frame: &mut Frame<'_>, card: &ContactCard) {
    let width = usize::from(FORM) - 6;
    let who = if card.name.trim().is_empty() { "Contact" } else { card.name.trim() };
    let mut lines = Vec::new();
    let mut fact = |label: &str, value: &str, style: Style| {
        lines.push(Line::styled(format!(" {label}"), FAINT));
        for line in text::wrap(value, width) {
            lines.push(Line::styled(format!("  {line}"), style));
        }
    };
    fact("address", card.address.as_deref().unwrap_or("not known"), Style::new());
    fact("account", &card.account.to_string(), Style::new());
    fact("safety number", &in_rows(&card.safety_number), STRONG);
    let compared = match card.compared {
        Compared::Never => "not yet",
        Compared::Same => "yes, and nothing changed since",
        Compared::Changed => "yes, and their devices changed since: compare again",
    };
    fact("compared", compared, Style::new());
    lines.push(Line::default());
    let how = format!("Compare it with {who} aloud. If both show the same, nobody stands between.");
    lines.extend(text::wrap(&how, width).into_iter().map(|line| Line::raw(format!(" {line}"))));
    lines.push(Line::default());
    lines.push(Line::styled(
        " v same   q picture   c compare   b block   u unblock   other keys close",
        FAINT,
    ));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, &text::cut(who, 40), FORM + 4, rows);
    frame.render_widget(Paragraph::new(lines), area);
}

/// The number to be scanned by the other person, and as text.
fn draw_shown(frame: &mut Frame<'_>, card: &ContactCard) {
    let whole = frame.area();
    let picture = Picture::of(&card.shown);
    let picture = picture.filter(|picture| {
        let (columns, rows) = picture.size();
        columns.saturating_add(2) <= whole.width && rows.saturating_add(3) <= whole.height
    });
    match picture {
        Some(picture) => {
            let (columns, rows) = picture.size();
            let heading = "To be scanned by them; any key goes back";
            let area = window(frame, heading, columns.max(44) + 2, rows + 2);
            picture.draw(frame, area);
        }
        None => {
            let width = usize::from(FORM) - 4;
            let letters: Vec<char> = card.shown.chars().collect();
            let lines = letters.chunks(width).map(|row| row.iter().collect::<String>());
            let lines: Vec<Line<'_>> = lines.map(|row| Line::raw(format!(" {row}"))).collect();
            let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
            let area = window(frame, "To be pasted by them", FORM, rows);
            frame.render_widget(Paragraph::new(lines), area);
        }
    }
}

/// Four groups a row, as people read them to each other.
fn in_rows(number: &str) -> String {
    let groups: Vec<_> = number.split_whitespace().collect();
    groups.chunks(4).map(|row| row.join(" ")).collect::<Vec<_>>().join("\n")
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
