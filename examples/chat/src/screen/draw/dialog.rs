//! Forms and questions in front of everything else.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use sync_core::api::{Compared, ContactCard};
use unicode_width::UnicodeWidthStr as _;

use super::picture::Picture;
use super::{ACCENT, FAINT, STRONG, window};
use crate::screen::forms::card_name;
use crate::screen::model::{Dialog, Form, Model};
use crate::screen::text;

/// Columns of a form.
const FORM: u16 = 66;
/// Keys, by where they work.
const HELP: [(&str, &str); 23] = [
    ("Tab, Shift-Tab", "go to the next pane, to the list"),
    ("Ctrl-N, Ctrl-A", "new conversation, add a member"),
    ("Ctrl-T, Ctrl-S", "members, settings"),
    ("Ctrl-D", "your devices: link, remove, make primary"),
    ("Ctrl-F", "search in all conversations"),
    ("Ctrl-O, Ctrl-Q", "go offline and come back, quit"),
    ("", ""),
    ("List", "Enter open, p pin, m mute, a archive"),
    ("Writing", "Enter send, Alt-Enter new line, ↑ messages"),
    ("Messages", "r reply, e edit, d delete, + react"),
    ("", "↑ ↓ a line of a tall message, or a message"),
    ("", "PgUp, PgDn a page, Home the oldest here"),
    ("Members", "+ add, x remove or leave, o role, t title"),
    ("", "i safety number, block"),
    ("Settings", "n change your name, i invite somebody"),
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
        Dialog::Invite(address) => draw_invite(frame, address),
        Dialog::LinkHistory(_) => draw_history(frame),
        Dialog::Contact(card) => draw_contact(frame, card),
        Dialog::Shown(card) => draw_shown(frame, card),
        Dialog::Confirm(question, _) => draw_confirm(frame, question),
        Dialog::Help(top) => draw_help(frame, model, *top),
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
            format!("{} shows a code of 7 digits. A wrong one ends the link.", text::quoted(name)),
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
            let hint = format!("{mark} may read what was written before (Tab changes it)");
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

/// Something that can't be undone. In a small window the keys stay in view.
fn draw_confirm(frame: &mut Frame<'_>, question: &str) {
    let whole = frame.area();
    let width = usize::from(whole.width.min(60)).saturating_sub(4).max(1);
    let room = usize::from(whole.height).saturating_sub(3).max(1);
    let asked = text::wrap(question, width).into_iter().take(room);
    let mut lines: Vec<_> = asked.map(|line| Line::raw(format!(" {line}"))).collect();
    if lines.len() + 2 <= room {
        lines.push(Line::default());
    }
    lines.push(Line::styled(" y yes   any other key no", FAINT));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, "Sure?", 60, rows);
    frame.render_widget(Paragraph::new(lines), area);
}

/// A field that is being filled in may take so many rows.
const FIELD_ROWS: usize = 3;

/// Lines of a form, and where in them the cursor is.
#[derive(Default)]
struct Filled {
    lines: Vec<Line<'static>>,
    cursor: Option<(usize, usize)>,
}

impl Filled {
    fn push(&mut self, form: &Form, at: usize, width: usize) {
        let Some((label, field)) = form.fields.get(at) else { return };
        let is_here = at == form.at;
        let style = if is_here { STRONG.fg(ACCENT) } else { FAINT };
        self.lines.push(Line::styled(format!(" {}", text::cut(label, width)), style));
        let before = text::wrap(field.before(), width);
        let all = text::wrap(field.text(), width);
        // What is being typed stays in view.
        let skipped = if is_here { before.len().saturating_sub(FIELD_ROWS) } else { 0 };
        if is_here && !form.busy {
            let column = before.last().map_or(0, |line| line.width());
            self.cursor = Some((column, self.lines.len() + before.len() - 1 - skipped));
        }
        let shown = all.into_iter().skip(skipped).take(FIELD_ROWS);
        self.lines.extend(shown.map(|line| Line::raw(format!("  {line}"))));
    }
}

fn draw_form(frame: &mut Frame<'_>, heading: &str, hint: &str, form: &Form, keys: &str) {
    let whole = frame.area();
    let width = usize::from(whole.width.min(FORM)).saturating_sub(4).max(1);
    let room = usize::from(whole.height).saturating_sub(2);
    let styled = |text: &str, style: Style| {
        let lines = text::wrap(text, width).into_iter();
        lines.map(|line| Line::styled(format!(" {line}"), style)).collect::<Vec<_>>()
    };
    let told = match (&form.error, form.busy) {
        (_, true) => styled("one moment…", FAINT),
        (Some(error), _) => styled(error, Style::new().fg(Color::Red)),
        _ => styled(keys, FAINT),
    };
    let fields = |which: std::ops::Range<usize>, above: Vec<Line<'static>>| {
        let mut filled = Filled { lines: above, cursor: None };
        which.for_each(|at| filled.push(form, at, width));
        filled
    };
    // In a small window the hint goes first, then the fields that are not being filled in.
    let all = 0..form.fields.len();
    let fits = |filled: &Filled| filled.lines.len() + told.len() < room;
    let mut filled = fields(all.clone(), styled(hint, FAINT));
    if !fits(&filled) {
        filled = fields(all, Vec::new());
    }
    if !fits(&filled) {
        filled = fields(form.at..form.at + 1, Vec::new());
    }
    if fits(&filled) {
        filled.lines.push(Line::default());
    }
    filled.lines.extend(told);
    let rows = u16::try_from(filled.lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, heading, FORM, rows);
    frame.render_widget(Paragraph::new(filled.lines), area);
    if let Some((column, row)) = filled.cursor {
        let x = area.x.saturating_add(2).saturating_add(u16::try_from(column).unwrap_or(0));
        let y = area.y.saturating_add(u16::try_from(row).unwrap_or(0));
        let position = Position::new(x.min(area.right()), y);
        if y < area.bottom() {
            frame.set_cursor_position(position);
        }
    }
}

fn draw_code(frame: &mut Frame<'_>, code: &str, replaces: bool) {
    let why = if replaces {
        "The code that you had counts no more. Write this one down and keep it safe."
    } else {
        "Write this down and keep it safe. It brings your account back when all your devices are lost."
    };
    let why = format!("{why} It isn't shown again.");
    draw_once(frame, "Your recovery code", &why, (code, "Enter: I have written it down"));
}

fn draw_invite(frame: &mut Frame<'_>, address: &str) {
    let why = "One new account gets in by this address of the relay, for a week. Give it to somebody. It isn't shown again.";
    draw_once(frame, "Invite somebody", why, (address, "Enter closes"));
}

/// What is shown once, and what for.
fn draw_once(frame: &mut Frame<'_>, title: &str, why: &str, (what, keys): (&str, &str)) {
    let whole = frame.area();
    let width = usize::from(whole.width.min(FORM)).saturating_sub(4).max(1);
    let styled = |text: &str, indent: &str, style: Style| {
        let lines = text::wrap(text, width).into_iter();
        lines.map(|line| Line::styled(format!("{indent}{line}"), style)).collect::<Vec<_>>()
    };
    let words = styled(what, "  ", STRONG);
    let keys = styled(keys, " ", FAINT);
    let mut lines = styled(why, " ", Style::new());
    if lines.len() + words.len() + keys.len() + 4 > usize::from(whole.height) {
        // In a small window that alone matters.
        lines.clear();
    } else {
        lines.push(Line::default());
    }
    lines.extend(words);
    lines.extend(keys);
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, title, FORM, rows);
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
    let whole = frame.area();
    let width = usize::from(whole.width.min(FORM + 4)).saturating_sub(5).max(1);
    let fact = |label: &str, value: &str, style: Style| {
        let mut lines = vec![Line::styled(format!(" {label}"), FAINT)];
        let value = text::wrap(value, width).into_iter();
        lines.extend(value.map(|line| Line::styled(format!("  {line}"), style)));
        lines
    };
    let prose = |text: &str, style: Style| {
        let lines = text::wrap(text, width).into_iter();
        lines.map(|line| Line::styled(format!(" {line}"), style)).collect::<Vec<_>>()
    };
    let name = card_name(card);
    let compared = match card.compared {
        Compared::Never => "not yet",
        Compared::Same => "yes, and nothing changed since",
        Compared::Changed => "yes, and their devices changed since: compare again",
    };
    let who = text::quoted(&name);
    let how = format!("Compare it with {who} aloud. If both show the same, nobody stands between.");
    let address = text::cut(card.address.as_deref().unwrap_or("not known"), width);
    let number = fact("safety number", &in_rows(&card.safety_number), STRONG);
    let keys =
        prose("v same   q picture   c compare   b block   u unblock   other keys close", FAINT);
    // In this order they go where there is no room for all.
    let about = [
        prose(&how, Style::new()),
        fact("account", &card.account.to_string(), Style::new()),
        fact("address", &address, Style::new()),
        fact("compared", compared, Style::new()),
    ];
    let room = usize::from(whole.height).saturating_sub(2 + number.len() + keys.len());
    let left_out =
        (0..about.len()).find(|from| about.iter().skip(*from).map(Vec::len).sum::<usize>() <= room);
    let [how, account, address, compared] = about;
    let left_out = left_out.unwrap_or(4);
    let shown = [(2, address), (1, account), (4, number), (3, compared), (0, how), (4, keys)];
    let shown = shown.into_iter().filter(|(place, _)| *place >= left_out);
    let lines: Vec<_> = shown.flat_map(|(_, lines)| lines).collect();
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = window(frame, &name, FORM + 4, rows);
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

fn draw_help(frame: &mut Frame<'_>, model: &Model, top: u16) {
    let rows = u16::try_from(HELP.len()).unwrap_or(18);
    let area: Rect = window(frame, "Keys", 64, rows + 3);
    let width = usize::from(area.width.saturating_sub(1));
    let room = usize::from(area.height.saturating_sub(1));
    let above = usize::from(top).min(HELP.len().saturating_sub(room));
    let shown = HELP.iter().skip(above).take(room);
    let mut lines: Vec<Line<'_>> = shown
        .map(|(keys, what)| {
            let pad = " ".repeat(16_usize.saturating_sub(keys.width()));
            Line::raw(text::cut(&format!(" {keys}{pad}{what}"), width))
        })
        .collect();
    let more = if room < HELP.len() { "↑↓ more   " } else { "" };
    let last = format!(" {more}other keys close   relay {}", model.relay);
    lines.push(Line::styled(text::cut(&last, width), FAINT));
    frame.render_widget(Paragraph::new(lines), area);
}
