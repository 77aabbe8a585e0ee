//! A terminal of the system's, with nobody in front of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests alone")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal: what programs have open, and what a person would see and type.
pub(crate) struct Pty {
    person: File,
    program: File,
    seen: Arc<(Mutex<Vec<u8>>, Condvar)>,
}

impl Pty {
    pub(crate) fn open() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let program = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&program, size).unwrap();
        let person = File::from(person);
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (mut reading, all) = (person.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = reading.read(&mut some) {
                all.0.lock().unwrap().extend_from_slice(&some[..count]);
                all.1.notify_all();
            }
        });
        Self { person, program, seen }
    }

    /// Starts a program in this terminal.
    pub(crate) fn run(&self, command: &mut Command) -> Child {
        let end = || Stdio::from(self.program());
        command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// The program's end of it.
    pub(crate) fn program(&self) -> File {
        self.program.try_clone().unwrap()
    }

    /// Types something.
    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.person.write_all(keys).unwrap();
    }

    /// Waits until something was written to the terminal; gives all that was.
    pub(crate) fn wait_for(&self, what: &str) -> String {
        let (seen, news) = &*self.seen;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lacks = |bytes: &mut Vec<u8>| !text(bytes).contains(what);
        let (seen, waited) =
            news.wait_timeout_while(seen.lock().unwrap(), PATIENCE, lacks).unwrap();
        assert!(!waited.timed_out(), "{what:?} is not in {:?}", text(&seen));
        text(&seen)
    }

    /// How the terminal is set.
    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.program).unwrap()
    }

    /// Checks that a program which had taken the terminal over left it as it was before.
    pub(crate) fn check_given_back(&self, before: &Termios) {
        // Written last of all that concerns the terminal's state.
        let all = self.wait_for("\u{1b}[?1049l\u{1b}[?25h");
        let last = |what: &str| all.rfind(what).unwrap_or_else(|| panic!("{what:?} in {all:?}"));
        assert!(last("\u{1b}[?1049l") > last("\u{1b}[?1049h"), "the screen of before: {all:?}");
        assert!(last("\u{1b}[?2004l") > last("\u{1b}[?2004h"), "pasting as before: {all:?}");
        let hidden = all.rfind("\u{1b}[?25l").unwrap_or(0);
        assert!(last("\u{1b}[?25h") > hidden, "the cursor is there: {all:?}");
        let mouse = ["\u{1b}[?1000h", "\u{1b}[?1002h", "\u{1b}[?1003h", "\u{1b}[?1006h"];
        assert!(!mouse.iter().any(|on| all.contains(on)), "the mouse is nobody's: {all:?}");
        let after = self.modes();
        assert_eq!(after.input_modes, before.input_modes);
        assert_eq!(after.output_modes, before.output_modes);
        assert_eq!(after.control_modes, before.control_modes);
        assert_eq!(after.local_modes, before.local_modes);
    }
}
