//! Programs that run beside a task, and what they say line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

/// What a task waits for.
#[derive(Debug)]
pub(crate) enum Event {
    /// A line of output, without its end.
    Line(String),
    /// The output is at its end: the program is gone, or about to be.
    Ended,
    /// The developer pressed Ctrl-C, or this process was asked to end.
    Interrupted,
}

/// Reports the lines of `output`, and then its end, from a thread of its own. Each is copied
/// into `log` if there is one.
pub(crate) fn follow<R: Read + Send + 'static>(
    output: R,
    mut log: Option<File>,
    events: Sender<Event>,
) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            // A full disk must not stop the program whose log this is, and a task that
            // waits no longer still wants the log.
            log = log.take().filter(|file| writeln!(&mut &*file, "{line}").is_ok());
            let _ = events.send(Event::Line(line));
        }
        let _ = events.send(Event::Ended);
    });
}

/// The next event before `deadline`, if there is one.
pub(crate) fn next(events: &Receiver<Event>, deadline: Instant) -> Option<Event> {
    let within = deadline.saturating_duration_since(Instant::now());
    match events.recv_timeout(within) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Disconnected) => Some(Event::Ended),
        Err(RecvTimeoutError::Timeout) => None,
    }
}

/// Waits for a program's end, and kills it at `deadline`. True if it ended well.
pub(crate) fn finish(child: &mut Child, events: &Receiver<Event>, deadline: Instant) -> bool {
    loop {
        match next(events, deadline) {
            Some(Event::Ended) => break,
            Some(_) => {}
            None => {
                let _ = child.kill();
                break;
            }
        }
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Asks a program to end by itself, as a service manager would.
#[cfg(unix)]
pub(crate) fn ask_to_end(child: &mut Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// Ends a program. Windows has no signal that asks.
#[cfg(not(unix))]
pub(crate) fn ask_to_end(child: &mut Child) {
    let _ = child.kill();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_come_in_order_and_the_end_comes_last() {
        let (sender, events) = mpsc::channel();
        follow(&b"one\r\n\xfftwo\nthree"[..], None, sender);
        let seen: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
        let expected = [r#"Line("one")"#, "Line(\"\u{fffd}two\")", r#"Line("three")"#, "Ended"];
        assert_eq!(seen, expected);
    }

    #[test]
    fn nobody_left_to_send_is_an_end() {
        let (sender, events) = mpsc::channel();
        drop(sender);
        let deadline = Instant::now() + Duration::from_secs(5);
        assert!(matches!(next(&events, deadline), Some(Event::Ended)));
    }

    #[test]
    fn a_deadline_is_kept() {
        let (_sender, events) = mpsc::channel();
        assert!(next(&events, Instant::now()).is_none());
    }
}
