//! The program in a terminal, and without one.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;

use crate::support::pty::Pty;

/// A screen on an empty store, whose relay nobody serves.
struct Screen {
    pty: Pty,
    program: Child,
    _data: tempfile::TempDir,
}

impl Screen {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let pty = Pty::open();
        let program = pty.run(&mut screen(&data.path().join("device")));
        pty.wait_for("Welcome");
        assert!(!pty.modes().local_modes.contains(LocalModes::ICANON), "the screen reads keys");
        Self { pty, program, _data: data }
    }

    fn code(mut self, before: &rustix::termios::Termios) -> Option<i32> {
        let status = self.program.wait().unwrap();
        self.pty.check_given_back(before);
        status.code()
    }
}

fn screen(data: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    command.arg("--data").arg(data).args(["--relay", "ws://127.0.0.1:9"]);
    command
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let before = Pty::open().modes();
    for (signal, code) in
        [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131)]
    {
        let screen = Screen::start();
        let id = Pid::from_raw(screen.program.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
        assert_eq!(screen.code(&before), Some(code), "{signal:?}");
    }
}

#[test]
fn a_key_that_quits_leaves_the_terminal_as_it_was() {
    let before = Pty::open().modes();
    // Ctrl-C and Ctrl-Q.
    for key in [b"\x03", b"\x11"] {
        let mut screen = Screen::start();
        screen.pty.press(key);
        assert_eq!(screen.code(&before), Some(0));
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("device");
    let pty = Pty::open();
    let piped = |stdin: Stdio, stdout: Stdio| {
        let mut command = screen(&data);
        command.env("TERM", "xterm").stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let in_terminal = || Stdio::from(pty.program());
    for output in [
        piped(Stdio::null(), Stdio::null()),
        piped(in_terminal(), Stdio::piped()),
        piped(Stdio::piped(), in_terminal()),
    ] {
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("not a terminal") && said.contains("rpc"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(!data.exists(), "who only looked leaves nothing behind");
}
