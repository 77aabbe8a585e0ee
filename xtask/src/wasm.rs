//! The engine as WebAssembly: its toolchain, its build, its size and its tests in Chromium.

mod module;
mod names;
mod order;
mod places;
mod silent;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::tools;

const TARGET: &str = "wasm32-unknown-unknown";
/// Of npm's `binaryen`: Debian's is too old for what rustc emits.
const BINARYEN: &str = "132.0.0";
/// What a page loads of the client, compressed as servers compress, may have so many bytes.
const BUDGET: u64 = 900 * 1024;
/// How a module is made small. It is allowed what rustc says that it uses, and nothing younger:
/// more browsers load it so, and it is smaller. Nothing that is used lies in the first 1,024 bytes:
/// the linker puts the stack's far end there. Compressed, it is smaller by a tenth where functions
/// that were alike stay so: nothing more is inlined, no value is kept for a second use or moved to its
/// only one, and no access says how it is aligned, which no engine asks. Names are kept, for
/// [`ORDER`]. All is done again until nothing changes any more.
const OPTIMISATIONS: [&str; 9] = [
    "--debuginfo",
    "--low-memory-unused",
    "-Oz",
    "--converge",
    "--skip-pass=inlining-optimizing",
    "--skip-pass=local-cse",
    "--skip-pass=simplify-locals",
    "--skip-pass=memory-packing",
    "--dealign",
];
/// How functions are put beside those that are like them, by names that [`order`] gave them.
const ORDER: [&str; 3] =
    ["--reorder-functions-by-name", "--strip-producers", "--strip-target-features"];

/// How the module is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quickly, and quick to run.
    Quick,
    /// As small as it gets, and held to [`BUDGET`].
    Release,
}

impl Build {
    fn profile(self) -> &'static str {
        match self {
            Self::Quick => "browser",
            Self::Release => "browser-release",
        }
    }
}

/// Builds the module, and puts it beside the script of the worker that loads it.
///
/// # Errors
/// The failed step.
pub(crate) fn build(build: Build) -> Result<(), Failure> {
    set_up_target()?;
    let mut cargo = cargo();
    cargo.args(["build", "--locked", "--package", "wasm", "--target", TARGET]);
    if build == Build::Release {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", small().join("\u{1f}"));
    }
    command::run(cargo.args(["--profile", build.profile()]))?;
    let made = target_folder().join(TARGET).join(build.profile()).join("wasm.wasm");
    let bound = target_folder().join("bound").join(build.profile());
    let mut bindgen = Command::new(bindgen()?.join("wasm-bindgen"));
    bindgen.args(["--target", "web", "--out-name", "rejoinder", "--out-dir"]).arg(&bound);
    command::run(bindgen.arg(made))?;
    if build == Build::Release {
        let module = bound.join("rejoinder_bg.wasm");
        shrink(&module)?;
        drop_hashes(&bound.join("rejoinder.js"), &module)?;
    }
    hand_over(&bound)
}

/// Makes a module as small as it gets.
fn shrink(module: &Path) -> Result<(), Failure> {
    let optimise = |how: &[&str]| {
        let mut optimise = Command::new(wasm_opt()?);
        optimise.args(how).arg("-o").arg(module).arg(module);
        command::run(&mut optimise)
    };
    let made = fs::read(module).map_err(Failure::file(module))?;
    let (silent, shown) = silent::libraries(&made)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a module with names"))
        .map_err(Failure::file(module))?;
    eprintln!("{shown} kinds of libraries' values show nothing");
    fs::write(module, silent).map_err(Failure::file(module))?;
    optimise(&OPTIMISATIONS)?;
    let optimised = fs::read(module).map_err(Failure::file(module))?;
    let ordered = order::by_likeness(&optimised)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a module with names"))
        .map_err(Failure::file(module))?;
    fs::write(module, ordered).map_err(Failure::file(module))?;
    optimise(&ORDER)?;
    let mut coarse = fs::read(module).map_err(Failure::file(module))?;
    let places = places::make_coarse(&mut coarse)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a module"))
        .map_err(Failure::file(module))?;
    eprintln!("{places} places in the sources are coarse");
    fs::write(module, coarse).map_err(Failure::file(module))
}

/// Takes the hashes out of the names by which a script and its module know each other.
fn drop_hashes(script: &Path, module: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(script).map_err(Failure::file(script))?;
    let bytes = fs::read(module).map_err(Failure::file(module))?;
    let (text, bytes) = names::without_hashes(&text, &bytes);
    fs::write(script, text).map_err(Failure::file(script))?;
    fs::write(module, bytes).map_err(Failure::file(module))
}

/// Fails if what a page loads of the client is larger than its budget.
///
/// # Errors
/// `Step`, with each file's size on the screen.
pub(crate) fn check_size() -> Result<(), Failure> {
    let mut measure = Command::new("node");
    measure.current_dir(command::root()).args(["xtask/src/size.mjs", "wasm/packages/client/dist"]);
    command::run(measure.arg(BUDGET.to_string()))
}

/// Runs the crate's own tests in Chromium: stores, the protocol's vectors, the engine's.
///
/// # Errors
/// The failed step.
pub(crate) fn test() -> Result<(), Failure> {
    set_up_target()?;
    chromium()?;
    let runner = bindgen()?.join("wasm-bindgen-test-runner");
    let mut cargo = cargo();
    cargo.args(["test", "--locked", "--target", TARGET, "--profile", Build::Quick.profile()]);
    // One command for all three, so that they are built with the same features.
    cargo.args(["--package", "wasm", "--package", "sync-protocol", "--package", "sync-core"]);
    cargo.args(["--lib", "--tests"]);
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner);
    cargo.env("CHROMEDRIVER", "/usr/bin/chromedriver");
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "120");
    let capabilities = command::root().join("wasm").join("webdriver.json");
    cargo.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities);
    command::run(&mut cargo)
}

/// Debian's Chromium and its driver, installed where they are not there.
///
/// # Errors
/// If they can't be installed.
pub(crate) fn chromium() -> Result<(), Failure> {
    let is_there = |program: &str| command::succeeds(Command::new(program).arg("--version"));
    if is_there("chromium") && is_there("chromedriver") {
        return Ok(());
    }
    command::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    command::run(install.args(["chromium", "chromium-driver", "fonts-noto-color-emoji"]))
}

/// The target's standard library, by rustup. It can't be asked for in `rust-toolchain.toml`: where
/// the server is out of reach, every cargo command would fail.
fn set_up_target() -> Result<(), Failure> {
    let mut sysroot = Command::new("rustc");
    sysroot.current_dir(command::root()).args(["--print", "sysroot"]);
    let is_there = command::output(&mut sysroot).is_some_and(|sysroot| {
        Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").exists()
    });
    if is_there {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    command::run(add.current_dir(command::root()).args(["target", "add", TARGET]))
}

/// What makes the compiler write a small module: for the same reason it inlines nothing, whatever
/// that would save before compression; hashes are loops, not unrolled; and no panic says in which
/// home the sources lay.
fn small() -> [String; 4] {
    let registry = cargo_home().join("registry").join("src");
    [
        "-Cllvm-args=-inline-threshold=0".to_owned(),
        "--cfg=sha2_backend=\"soft\"".to_owned(),
        "--cfg=sha2_backend_soft=\"compact\"".to_owned(),
        format!("--remap-path-prefix={}=", registry.display()),
    ]
}

/// Where cargo keeps what it fetched.
fn cargo_home() -> PathBuf {
    let given = env::var_os("CARGO_HOME").map(PathBuf::from);
    given.or_else(|| Some(env::home_dir()?.join(".cargo"))).unwrap_or_default()
}

/// Native builds and this one would undo each other's in one folder.
fn target_folder() -> PathBuf {
    command::root().join("target").join("wasm")
}

fn cargo() -> Command {
    let mut cargo = command::cargo();
    cargo.env("CARGO_TARGET_DIR", target_folder());
    cargo
}

/// The folder of wasm-bindgen's programs, of exactly the version that the crate was built with.
fn bindgen() -> Result<PathBuf, Failure> {
    let path = command::root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let version = locked(&lock, "wasm-bindgen").unwrap_or_default();
    let folder = tools::root()?.join(format!("wasm-bindgen-cli-{version}"));
    let programs = folder.join("bin");
    if !programs.join(format!("wasm-bindgen{}", env::consts::EXE_SUFFIX)).exists() {
        // Not --locked: its lock file may name what a mirror has yet to get.
        tools::install("wasm-bindgen-cli", version, &[], &folder)?;
    }
    Ok(programs)
}

/// The version that a lock file has of a package.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

fn wasm_opt() -> Result<PathBuf, Failure> {
    let folder = tools::root()?.join(format!("binaryen-{BINARYEN}"));
    let program = folder.join("node_modules").join(".bin").join("wasm-opt");
    if !program.exists() {
        let mut install = Command::new("npm");
        install.args(["install", "--no-fund", "--no-audit", "--prefix"]).arg(&folder);
        command::run(install.arg(format!("binaryen@{BINARYEN}")))?;
    }
    Ok(program)
}

fn hand_over(bound: &Path) -> Result<(), Failure> {
    let beside = command::root().join("wasm/packages/client/dist/wasm");
    fs::create_dir_all(&beside).map_err(Failure::file(&beside))?;
    for name in ["rejoinder.js", "rejoinder_bg.wasm"] {
        let file = beside.join(name);
        fs::copy(bound.join(name), &file).map_err(Failure::file(&file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn the_tool_has_the_version_of_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"1.0.0\"\n\n\
            [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked(lock, "automerge"), None);
    }
}
