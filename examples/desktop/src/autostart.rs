//! Whether the companion is started with the session: a file where desktops look for such.

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The file that a desktop looks for (XDG autostart specification 0.5).
#[must_use]
pub fn file(id: &str) -> PathBuf {
    let given =
        env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = given.or_else(|| Some(env::home_dir()?.join(".config"))).unwrap_or_default();
    folder.join("autostart").join(format!("{id}.desktop"))
}

/// Whether it is started with the session.
#[must_use]
pub fn is_on(file: &Path) -> bool {
    file.exists()
}

/// Has it started with the session, without a window, or not any more.
///
/// # Errors
/// Those of writing or removing the file.
pub fn set(file: &Path, on: bool, program: &Path, arguments: &[String]) -> io::Result<()> {
    if !on {
        return match fs::remove_file(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let words = std::iter::once(program.to_string_lossy().into_owned())
        .chain(arguments.iter().cloned())
        .chain(["--background".to_owned()]);
    let command: Vec<_> = words.map(|word| in_exec(&word)).collect();
    let entry = format!(
        "[Desktop Entry]\nType=Application\nName=Rejoinder\nExec={}\nX-GNOME-UsesNotifications=true\n",
        command.join(" ")
    );
    fs::write(file, entry)
}

/// A word in an `Exec` line (Desktop Entry specification 1.5, "The Exec key").
fn in_exec(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' | '\\' => {
                // Once for the command line, once for the string that it is written in.
                quoted.push_str(if c == '\\' { "\\\\\\\\" } else { "\\\\" });
                if c != '\\' {
                    quoted.push(c);
                }
            }
            '%' => quoted.push_str("%%"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_started_without_a_window_until_that_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("autostart").join("x.desktop");
        assert!(!is_on(&file));
        let arguments = ["--relay".to_owned(), "wss://relay".to_owned()];
        set(&file, true, Path::new("/opt/a b/rejoinder"), &arguments).expect("it is written");
        let entry = fs::read_to_string(&file).expect("it is there");
        let exec = "Exec=\"/opt/a b/rejoinder\" \"--relay\" \"wss://relay\" \"--background\"\n";
        assert!(entry.contains(exec), "{entry}");
        set(&file, false, Path::new(""), &[]).expect("it is gone");
        set(&file, false, Path::new(""), &[]).expect("it may be gone already");
        assert!(!is_on(&file));
    }

    #[test]
    fn what_a_path_holds_is_no_command() {
        assert_eq!(in_exec("a%b"), "\"a%%b\"");
        assert_eq!(in_exec("$HOME`\""), r#""\\$HOME\\`\\"""#);
    }
}
