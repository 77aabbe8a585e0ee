//! The program itself, as a shell starts it.
//!
//! The window's own tests, in Python, drive the same program; that it is asked here has cargo
//! build it with the tests.

use std::process::{Command, Output};

fn rejoinder(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rejoinder-desktop"));
    for display in ["DISPLAY", "WAYLAND_DISPLAY"] {
        program.env_remove(display);
    }
    program.args(arguments).output().expect("the program starts")
}

#[test]
fn its_help_names_what_may_be_said_in_the_environment_too() {
    let help = rejoinder(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).expect("help is text");
    for (option, variable) in
        [("--data", "DESKTOP_DATA"), ("--relay", "DESKTOP_RELAY"), ("--ca-file", "DESKTOP_CA_FILE")]
    {
        assert!(text.contains(option) && text.contains(variable), "{option}, {variable}: {text}");
    }
}

#[test]
fn what_it_does_not_know_is_named() {
    let refused = rejoinder(&["--nonsense"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--nonsense"));
}

#[test]
fn without_a_display_it_ends_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let ended = rejoinder(&["--data", data.to_str().expect("a path in UTF-8")]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("display"));
}
