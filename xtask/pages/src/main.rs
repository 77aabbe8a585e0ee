//! `pages FOLDER` writes man pages and shell completions of both programs, out of what they are called with.

#[path = "../../../examples/chat/src/arguments.rs"]
// It reads them; here they are only described.
#[allow(dead_code)]
mod chat;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The shells, each with where a package for it lays completions.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("pages: say where to: pages FOLDER");
        return ExitCode::FAILURE;
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn programs() -> [Command; 2] {
    [sync_server::config::Cli::command(), chat::Arguments::command()]
}

/// Lays everything as it lies under `/usr/share`.
fn write(folder: &Path) -> io::Result<()> {
    for program in programs() {
        // The day is left out: what is made twice is the same.
        let man = folder.join("man/man1");
        fs::create_dir_all(&man)?;
        clap_mangen::generate_to(program.clone(), &man)?;
        for (shell, place) in SHELLS {
            let place = folder.join(place);
            fs::create_dir_all(&place)?;
            let name = program.get_name().to_owned();
            clap_complete::generate_to(shell, &mut program.clone(), name, &place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A folder of its own for a test, taken away at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("pages-{name}-{}", std::process::id()));
            write(&folder).unwrap();
            Self(folder)
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_program_and_task_has_a_page_that_names_its_flags() {
        let folder = Folder::new("man");
        for (page, words) in [
            ("sync-server.1", ["listen", "REJOINDER_CONFIG"]),
            ("sync-server-backup.1", ["keep", "newest"]),
            ("sync-server-restore.1", ["backup", "empty"]),
            ("chat.1", ["CHAT_RELAY", "NO_PROXY"]),
            ("chat-rpc.1", ["JSON", "stdin"]),
        ] {
            let text = folder.text(&format!("man/man1/{page}"));
            assert!(text.starts_with(".ie") || text.contains(".TH"), "{page}");
            for word in words {
                assert!(text.replace("\\-", "-").contains(word), "{page} tells of {word}");
            }
        }
    }

    #[test]
    fn every_shell_completes_both_programs() {
        let folder = Folder::new("shells");
        for (path, words) in [
            ("bash-completion/completions/sync-server.bash", ["backup", "--max-connections"]),
            ("zsh/vendor-completions/_sync-server", ["restore", "--listen"]),
            ("fish/vendor_completions.d/sync-server.fish", ["inspect", "tls-cert"]),
            ("bash-completion/completions/chat.bash", ["rpc", "--ca-file"]),
            ("zsh/vendor-completions/_chat", ["rpc", "--relay"]),
            ("fish/vendor_completions.d/chat.fish", ["rpc", "log-file"]),
        ] {
            let text = folder.text(path);
            for word in words {
                assert!(text.contains(word), "{path} completes {word}");
            }
        }
    }

    #[test]
    fn what_is_made_twice_is_the_same() {
        let (one, other) = (Folder::new("one"), Folder::new("other"));
        for path in ["man/man1/chat.1", "man/man1/sync-server.1", "zsh/vendor-completions/_chat"] {
            assert_eq!(one.text(path), other.text(path), "{path}");
        }
    }
}
