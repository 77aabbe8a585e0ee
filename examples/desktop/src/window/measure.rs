//! How long things take, measured where they happen: `--measure` opens conversations and scrolls by
//! itself, prints one line of JSON, and ends.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use adw::prelude::*;
use gtk::{gdk, glib};
use serde_json::{Value, json};

use crate::app::App;
use crate::shell::Shell;
use crate::view::{Route, View};

/// Conversations that are opened.
const OPENED: usize = 40;
/// Frames that are scrolled, and pixels in each.
const FRAMES: usize = 600;
const STEP: f64 = 90.0;
/// So long nothing is done, to see what that costs.
const IDLE: Duration = Duration::from_secs(10);
/// Clock ticks a second, in which Linux counts a process's time (`CLK_TCK`, the same everywhere).
const TICKS: u64 = 100;

/// Measures, says so, and ends.
pub(crate) fn begin(app: &Rc<App>, shell: &Rc<Shell>) {
    let (app, shell) = (app.clone(), shell.clone());
    glib::spawn_future_local(async move {
        let frames = Frames::of(shell.window());
        frames.next().await;
        let first_ms = millis(app.begun().elapsed());
        if let Some(view) = shell.view() {
            let measured = measure(&view, &frames, first_ms).await;
            println!("{measured}");
        }
        app.gtk().quit();
    });
}

async fn measure(view: &Rc<View>, frames: &Frames, first_ms: f64) -> Value {
    let ids = view.sidebar().ids();
    let mut opened = Vec::new();
    for id in ids.iter().take(OPENED) {
        let begun = Instant::now();
        view.go(Route::Chat(*id));
        loaded(view).await;
        frames.next().await;
        opened.push(millis(begun.elapsed()));
    }
    // The newest has most messages.
    if let Some(newest) = ids.first() {
        view.go(Route::Chat(*newest));
        loaded(view).await;
        frames.next().await;
    }
    let newest_ms = opened.first().map(|first| first_ms + first);
    frames.forget();
    let place = view.chat().list().scrolled().vadjustment();
    for _ in 0..FRAMES {
        place.set_value(place.value() - STEP);
        frames.next().await;
    }
    let scrolled = frames.taken();
    let before = cpu_ms();
    glib::timeout_future(IDLE).await;
    let idle_ms = cpu_ms().saturating_sub(before);
    json!({
        "conversations": ids.len(),
        "first_paint_ms": first_ms,
        "newest_conversation_ms": newest_ms,
        "opening_ms": spread(opened),
        "frame_ms": spread(scrolled),
        "messages_loaded": view.chat().list().len(),
        "idle_cpu_ms_in_10_s": idle_ms,
        "resident_mb": resident_mb(),
    })
}

/// Waits until the first page of what was just opened is there.
async fn loaded(view: &View) {
    let (is_loaded, waker) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None)));
    let (set, wake) = (is_loaded.clone(), waker.clone());
    view.chat().list().once_loaded(move || {
        set.set(true);
        if let Some(waker) = wake.borrow_mut().take() {
            std::task::Waker::wake(waker);
        }
    });
    poll_fn(|context| match is_loaded.get() {
        true => Poll::Ready(()),
        false => {
            waker.replace(Some(context.waker().clone()));
            Poll::Pending
        }
    })
    .await;
}

/// The frames of a window: when each is drawn, and how long the main loop was busy with it.
struct Frames {
    clock: Option<gdk::FrameClock>,
    begun: Rc<Cell<Instant>>,
    count: Rc<Cell<u64>>,
    taken: Rc<RefCell<Vec<f64>>>,
}

impl Frames {
    fn of(window: &adw::ApplicationWindow) -> Self {
        let this = Self {
            clock: window.frame_clock(),
            begun: Rc::new(Cell::new(Instant::now())),
            count: Rc::default(),
            taken: Rc::default(),
        };
        if let Some(clock) = &this.clock {
            let begun = this.begun.clone();
            clock.connect_before_paint(move |_| begun.set(Instant::now()));
            let (begun, count, taken) =
                (this.begun.clone(), this.count.clone(), this.taken.clone());
            clock.connect_after_paint(move |_| {
                count.set(count.get() + 1);
                taken.borrow_mut().push(millis(begun.get().elapsed()));
            });
        }
        this
    }

    /// Waits until the next one is drawn.
    async fn next(&self) {
        let Some(clock) = &self.clock else { return };
        let seen = self.count.get();
        while self.count.get() == seen {
            clock.request_phase(gdk::FrameClockPhase::PAINT);
            glib::timeout_future(Duration::from_millis(1)).await;
        }
    }

    fn forget(&self) {
        self.taken.borrow_mut().clear();
    }

    fn taken(&self) -> Vec<f64> {
        self.taken.take()
    }
}

fn spread(mut all: Vec<f64>) -> Value {
    all.sort_by(f64::total_cmp);
    let at = |part: usize| all.get((all.len().saturating_sub(1)) * part / 100).copied();
    json!({ "n": all.len(), "p50": at(50), "p99": at(99), "max": at(100) })
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// What is resident, in megabytes: `VmRSS` of `/proc/self/status`.
fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}

/// Time that the process took so far, in milliseconds (`/proc/self/stat`, fields 14 and 15).
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 1000 / TICKS
}
