//! What is chosen for this device alone, and therefore kept in a file of its own on it.

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::{Deserialize, Serialize};

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them, with what they are called.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::System, "As the system has it"), (Self::Light, "Light"), (Self::Dark, "Dark")];
}

/// After how many seconds it may lock, with what that is called.
pub const LOCK_AFTER: [(u64, &str); 5] = [
    (0, "Never"),
    (60, "After 1 minute"),
    (5 * 60, "After 5 minutes"),
    (15 * 60, "After 15 minutes"),
    (60 * 60, "After 1 hour"),
];

/// How large the window was, and whether it filled the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowState {
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// Whether it filled the screen.
    pub maximized: bool,
}

impl Default for WindowState {
    fn default() -> Self {
        Self { width: 960, height: 680, maximized: false }
    }
}

/// What is chosen for this device alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// The relay; empty until one is chosen.
    pub relay: String,
    /// Light or dark.
    pub theme: Theme,
    /// Whether new messages are announced.
    pub notify: bool,
    /// Whether notifications show what was written.
    pub notify_text: bool,
    /// Whether it goes on in the background when its window is closed.
    pub background: bool,
    /// It locks after so many seconds without a key or a pointer; 0: never.
    pub lock_after_s: u64,
    /// The window.
    pub window: WindowState,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            relay: String::new(),
            theme: Theme::System,
            notify: true,
            notify_text: true,
            background: false,
            lock_after_s: 0,
            window: WindowState::default(),
        }
    }
}

/// The file they are kept in.
#[derive(Clone, Debug)]
pub struct Keeper {
    file: PathBuf,
}

impl Keeper {
    /// Keeps them in a file, beside the store that they are about.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { file: folder.join("desktop.toml") }
    }

    /// What is kept; as at first, if nothing that makes sense is.
    #[must_use]
    pub fn read(&self) -> Preferences {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// Keeps them, whole or not at all.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn write(&self, preferences: &Preferences) -> io::Result<()> {
        let text = toml::to_string(preferences).map_err(io::Error::other)?;
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let beside = self.file.with_extension("toml.new");
        fs::write(&beside, text)?;
        fs::rename(&beside, &self.file)
    }
}

/// Where a program keeps what is its user's: `XDG_DATA_HOME`, or what stands for it.
#[must_use]
pub fn data_folder() -> PathBuf {
    let given = env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let share = || Some(env::home_dir()?.join(".local").join("share"));
    given.or_else(share).unwrap_or_default().join("rejoinder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_there_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = Keeper::in_folder(&folder.path().join("new"));
        assert_eq!(keeper.read(), Preferences::default());
        let chosen = Preferences {
            relay: "wss://relay".to_owned(),
            theme: Theme::Dark,
            background: true,
            lock_after_s: 300,
            window: WindowState { width: 400, height: 300, maximized: true },
            ..Preferences::default()
        };
        keeper.write(&chosen).expect("they are written");
        assert_eq!(keeper.read(), chosen);
    }

    #[test]
    fn what_makes_no_sense_is_as_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = Keeper::in_folder(folder.path());
        fs::write(folder.path().join("desktop.toml"), "theme = \"pink\"").expect("it is written");
        assert_eq!(keeper.read(), Preferences::default());
        fs::write(folder.path().join("desktop.toml"), "notify = false\nother = 1")
            .expect("written");
        assert!(!keeper.read().notify, "what a later version adds is passed over");
    }
}
