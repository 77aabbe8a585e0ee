//! `cargo xtask desktop`: the desktop companion, with what it needs of the system.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use clap::Args;

use crate::command;
use crate::demo;
use crate::failure::Failure;
use crate::tools;

/// What to do with it.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Runs its tests, on a display of their own.
    #[arg(long, conflicts_with = "deb")]
    test: bool,
    /// Makes its Debian package, in `target/debian`.
    #[arg(long)]
    deb: bool,
    /// Passed on: names of tests, or what the program takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Libraries that its window is built on: their names for pkg-config, and the least versions.
const LIBRARIES: [&str; 3] = ["gtk4 >= 4.8", "libadwaita-1 >= 1.2", "libsecret-1 >= 0.20"];
/// The packages that hold them.
const BUILD: [&str; 3] = ["libgtk-4-dev", "libadwaita-1-dev", "libsecret-1-dev"];
/// What its tests need beside them, and a program by which each is known to be there.
const TEST: [(&str, &str); 10] = [
    ("xvfb", "/usr/bin/Xvfb"),
    ("xauth", "/usr/bin/xauth"),
    ("dbus-x11", "/usr/bin/dbus-launch"),
    ("openbox", "/usr/bin/openbox"),
    ("xdotool", "/usr/bin/xdotool"),
    ("desktop-file-utils", "/usr/bin/desktop-file-validate"),
    ("appstream", "/usr/bin/appstreamcli"),
    ("imagemagick", "/usr/bin/import"),
    ("gnome-keyring", "/usr/bin/gnome-keyring-daemon"),
    ("gir1.2-atspi-2.0", "/usr/share/doc/gir1.2-atspi-2.0"),
];
/// Packages of which no program tells that they are there.
const TEST_TOO: [&str; 4] =
    ["at-spi2-core", "python3-gi", "fonts-noto-color-emoji", "adwaita-icon-theme"];
/// The feature by which the window is built.
const WINDOW: [&str; 2] = ["--features", "desktop/window"];

/// Does it.
///
/// # Errors
/// The first step's failure.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    set_up()?;
    if options.deb {
        return package();
    }
    let mut build = command::cargo();
    build.args(["build", "-p", "sync-server", "-p", "chat", "-p", "desktop"]);
    command::run(build.args(WINDOW))?;
    if options.test { tests(&options.rest) } else { show(&options.rest) }
}

/// What has the window built with the workspace, on systems that have what it needs. Others build
/// what can be told without one.
///
/// # Errors
/// That of installing what it needs, where that can be done.
pub(crate) fn features() -> Result<&'static [&'static str], Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(&[]);
    }
    set_up()?;
    Ok(&WINDOW)
}

/// Installs the libraries, unless they are there.
fn set_up() -> Result<(), Failure> {
    let is_there =
        |library: &&str| command::succeeds(Command::new("pkg-config").args(["--exists", library]));
    if LIBRARIES.iter().all(is_there) {
        return Ok(());
    }
    install(&BUILD.map(OsString::from))
}

/// Installs Debian packages.
fn install(packages: &[OsString]) -> Result<(), Failure> {
    command::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    command::run(install.env("DEBIAN_FRONTEND", "noninteractive").args(packages))
}

/// Runs it against the demo's relay, which goes on as long as its window.
fn show(rest: &[String]) -> Result<(), Failure> {
    let (sender, events) = mpsc::channel();
    let data = command::root().join("target").join("demo");
    let relay = demo::relay_of(&data, (sender, events))?;
    println!("\nThe relay is at {}. Write to `ada` or `bob`, or link this device to", relay.url());
    println!("another that `cargo xtask demo` shows.");
    let mut window = Command::new(command::program("rejoinder-desktop")?);
    window.arg("--data").arg(data.join("desktop")).args(["--relay", &relay.url()]);
    command::run(window.args(rest))
}

/// Runs its tests with the programs that are there, and looks at what goes with its package.
///
/// # Errors
/// The first step's failure.
pub(crate) fn tests(names: &[String]) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    set_up_tests()?;
    validate()?;
    let program = command::program("rejoinder-desktop")?;
    let folder = program.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut tests = Command::new("xvfb-run");
    tests.current_dir(command::root());
    tests.args(["--auto-servernum", "--server-args", "-screen 0 1280x960x24"]);
    tests.args(["dbus-run-session", "--", "/usr/bin/python3", "-W", "ignore::ResourceWarning"]);
    tests.arg("examples/desktop/tests/run.py").args(names);
    tests.env("DESKTOP_BIN", folder).env("GSK_RENDERER", "cairo");
    command::run(&mut tests)
}

fn set_up_tests() -> Result<(), Failure> {
    if TEST.iter().all(|(_, file)| Path::new(file).exists()) {
        return Ok(());
    }
    let packages = TEST.iter().map(|(package, _)| *package).chain(TEST_TOO);
    install(&packages.map(OsString::from).collect::<Vec<_>>())
}

/// What desktops and software centres read has to be as they read it.
fn validate() -> Result<(), Failure> {
    let data = command::root().join("examples").join("desktop").join("data");
    let file = |name: &str| data.join(name);
    let mut entry = Command::new("desktop-file-validate");
    command::run(entry.arg(file("org.rejoinder.Desktop.desktop")))?;
    let mut about = Command::new("appstreamcli");
    about.args(["validate", "--no-net"]).arg(file("org.rejoinder.Desktop.metainfo.xml"));
    command::run(&mut about)
}

/// Makes the Debian package: what is installed, and what it needs.
fn package() -> Result<(), Failure> {
    let mut deb = tools::DEB.command()?;
    deb.args(["--package", "desktop"]).stdout(Stdio::inherit());
    command::run(&mut deb)?;
    let folder = command::root().join("target").join("debian");
    let made = fs::read_dir(&folder).map_err(Failure::file(&folder))?;
    for file in made.flatten().filter(|file| file.path().extension().is_some_and(|e| e == "deb")) {
        println!("{}", file.path().display());
    }
    Ok(())
}
