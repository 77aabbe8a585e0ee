//! The terminal, taken over and given back: raw mode, the alternate screen, pasting, the cursor.
//!
//! However the program ends (by a key, a signal, an error, or a panic in whichever thread), the
//! terminal is left as it was found.

use std::io::{self, IsTerminal as _, Stdout};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;

/// Whether there is something to give back.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Some thread panicked: the screen can't go on over what is left.
static PANICKED: Notify = Notify::const_new();

/// Whether there is a terminal to draw on.
///
/// # Errors
/// What to do where there is none.
pub(crate) fn check() -> Result<(), String> {
    let missing = if !io::stdin().is_terminal() {
        "standard input is not a terminal"
    } else if !io::stdout().is_terminal() {
        "standard output is not a terminal"
    } else if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        "this terminal can't be drawn on (TERM is dumb)"
    } else {
        return Ok(());
    };
    Err(format!(
        "the screen needs a terminal, and {missing}. Start it in one; programs and scripts use \
         `chat --data DIR --relay URL rpc`"
    ))
}

/// The terminal while it is the screen's. Dropping it gives it back.
pub(crate) struct Taken {
    // Never dropped: it would complain on a terminal that is gone, and panic where it can't.
    terminal: ManuallyDrop<ratatui::Terminal<CrosstermBackend<Stdout>>>,
}

impl Taken {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If it can't be; it is then as it was.
    pub(crate) fn take() -> io::Result<Self> {
        give_back_on_panic();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        match taken {
            Ok(terminal) => Ok(Self { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws, unless the terminal was given back.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            self.terminal.draw(draw)?;
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was found. What fails is passed over: then there is no terminal.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A panic's message has to be readable, and what comes after it as well.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            usual(panic);
            PANICKED.notify_one();
        }));
    });
}

/// What ends the program from outside.
pub(crate) struct Ends {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 4],
}

/// Why the screen has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A signal, by its number.
    Signal(u8),
    /// Some thread panicked.
    Panic,
}

impl Ends {
    /// Listens from now on: before the terminal is taken over.
    ///
    /// # Errors
    /// If the system lets nobody listen.
    #[cfg(unix)]
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            signals: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
            ],
        })
    }

    /// The first of them that comes.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> End {
        use tokio::signal::unix::SignalKind;
        let [terminate, hangup, interrupt, quit] = &mut self.signals;
        let kind = tokio::select! {
            Some(()) = terminate.recv() => SignalKind::terminate(),
            Some(()) = hangup.recv() => SignalKind::hangup(),
            Some(()) = interrupt.recv() => SignalKind::interrupt(),
            Some(()) = quit.recv() => SignalKind::quit(),
            () = PANICKED.notified() => return End::Panic,
        };
        End::Signal(u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX))
    }

    /// Listens from now on: before the terminal is taken over.
    ///
    /// # Errors
    /// If the system lets nobody listen.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The first of them that comes.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> End {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => End::Signal(2),
            () = PANICKED.notified() => End::Panic,
        }
    }
}

#[cfg(all(test, unix))]
#[allow(dead_code, reason = "shared with the tests of the program as a whole")]
#[path = "../../tests/suite/support/pty.rs"]
mod pty;

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::process::Command;

    use super::pty::Pty;
    use super::*;

    /// Set in a process of its own, of this very program, in a terminal of its own.
    const PANICS: &str = "CHAT_TEST_PANICS";

    /// Panics if it was asked to: on a terminal that it has taken over.
    fn panic_if_asked() {
        let Ok(whose) = std::env::var(PANICS) else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut ends = Ends::listen().unwrap();
            let mut taken = Taken::take().unwrap();
            taken.draw(|frame| frame.render_widget("taken over", frame.area())).unwrap();
            assert_ne!(whose, "own", "on purpose");
            std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
            assert_eq!(ends.next().await, End::Panic);
            // What is drawn now would stand in the person's own screen.
            taken.draw(|frame| frame.render_widget("drawn too late", frame.area())).unwrap();
        });
    }

    #[test]
    fn a_panic_in_any_thread_leaves_the_terminal_as_it_was() {
        panic_if_asked();
        if std::env::var_os(PANICS).is_some() {
            return;
        }
        for (whose, ends_well) in [("own", false), ("other", true)] {
            let pty = Pty::open();
            let before = pty.modes();
            let name =
                "screen::terminal::tests::a_panic_in_any_thread_leaves_the_terminal_as_it_was";
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", name, "--nocapture"]).env(PANICS, whose);
            let status = pty.run(&mut again).wait().unwrap();
            pty.check_given_back(&before);
            let all = pty.wait_for("on purpose");
            assert_eq!(status.success(), ends_well, "{all:?}");
            assert!(all.find("on purpose") > all.rfind("\u{1b}[?1049l"), "it can be read: {all:?}");
            assert!(!all.contains("drawn too late"), "{all:?}");
        }
    }
}
