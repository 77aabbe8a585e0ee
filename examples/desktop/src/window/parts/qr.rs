//! A code to be scanned: always dark on white, whatever the colours around it.

use adw::prelude::*;

use super::Spoken as _;
use qrcode::{Color, EcLevel, QrCode};

/// White around the code, in modules (ISO/IEC 18004, 5.3.8).
const QUIET: usize = 4;
/// How large it is at least, in pixels.
const SIZE: i32 = 280;

/// A text as a code, with a name for whoever can't see it. A text too long for a code shows nothing.
pub(crate) fn qr(text: &str, name: &str) -> gtk::DrawingArea {
    let area = gtk::DrawingArea::builder()
        .content_width(SIZE)
        .content_height(SIZE)
        .halign(gtk::Align::Center)
        .build();
    area.add_css_class("qr");
    area.set_role(gtk::AccessibleRole::Img);
    area.set_spoken(name);
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return area };
    let (side, modules) = (code.width(), code.to_colors());
    area.set_draw_func(move |_, context, width, height| {
        context.set_source_rgb(1.0, 1.0, 1.0);
        let _ = context.paint();
        context.set_source_rgb(0.0, 0.0, 0.0);
        let all = side + 2 * QUIET;
        // Whole pixels a module: a scanner reads sharp edges best.
        let room = usize::try_from(width.min(height)).unwrap_or_default();
        let module = (room / all).max(1);
        let margin = room.saturating_sub(all * module) / 2 + QUIET * module;
        for (at, _) in modules.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            let (x, y) = (margin + at % side * module, margin + at / side * module);
            context.rectangle(pixels(x), pixels(y), pixels(module), pixels(module));
        }
        let _ = context.fill();
    });
    area
}

fn pixels(n: usize) -> f64 {
    u32::try_from(n).map_or(0.0, f64::from)
}
