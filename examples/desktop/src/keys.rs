//! The key of this device's store as it is kept: bare, or wrapped by a passphrase.
//!
//! Where it is kept is another matter: in the system's keyring, or in a file of this module's
//! ([`KeyFile`]) where there is none. A wrapped key is of no use to whoever has only that place: it takes
//! the passphrase as well, tried one at a time by Argon2id.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use sync_client::StoreKey;
use zeroize::Zeroizing;

/// Letters that a passphrase has at least.
pub const PASSPHRASE_LETTERS: usize = 8;
/// Memory and rounds of Argon2id: the second recommendation of RFC 9106, on one lane.
const MEMORY_KIB: u32 = 64 * 1024;
const ROUNDS: u32 = 3;
/// What is kept was written by this program; what asks for more than this was not.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_ROUNDS: u32 = 16;
const BARE: &str = "key-1";
const WRAPPED: &str = "wrapped-key-1";

/// A key as it is kept.
#[derive(Clone, Debug)]
pub enum Kept {
    /// As it is.
    Bare(StoreKey),
    /// Wrapped by a passphrase.
    Wrapped(Wrapped),
}

impl Kept {
    /// What is written where it is kept: one line of text.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Bare(key) => format!("{BARE} {}", *hex(key.as_bytes())),
            Self::Wrapped(wrapped) => wrapped.to_text(),
        })
    }

    /// What was written; `None` if that makes no sense.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match words.next()? {
            BARE => {
                let bytes = Zeroizing::new(HEXLOWER.decode(words.next()?.as_bytes()).ok()?);
                Some(Self::Bare(StoreKey::from_bytes(bytes.as_slice().try_into().ok()?)))
            }
            WRAPPED => Wrapped::parse(words).map(Self::Wrapped),
            _ => None,
        }
    }

    /// Whether it takes a passphrase.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        matches!(self, Self::Wrapped(_))
    }
}

/// Where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the system's keyring.
    Keyring,
    /// In a file, and why.
    File(String),
}

/// A key that takes a passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped {
    memory_kib: u32,
    rounds: u32,
    salt: [u8; 16],
    nonce: [u8; 24],
    sealed: Vec<u8>,
}

/// Why a key does not come out, or can't be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It is another passphrase.
    Passphrase,
    /// The system gives no memory for it, or no randomness.
    System,
}

impl Wrapped {
    /// Wraps a key by a passphrase. It takes a moment, by intention.
    ///
    /// # Errors
    /// [`KeyFault::System`].
    pub fn around(key: &StoreKey, passphrase: &str) -> Result<Self, KeyFault> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        getrandom::fill(&mut salt).map_err(|_| KeyFault::System)?;
        getrandom::fill(&mut nonce).map_err(|_| KeyFault::System)?;
        let mut this =
            Self { memory_kib: MEMORY_KIB, rounds: ROUNDS, salt, nonce, sealed: Vec::new() };
        let sealed = this.cipher(passphrase)?.encrypt(&XNonce::from(nonce), &key.as_bytes()[..]);
        this.sealed = sealed.map_err(|_| KeyFault::System)?;
        Ok(this)
    }

    /// The key. It takes a moment, by intention.
    ///
    /// # Errors
    /// See [`KeyFault`].
    pub fn open(&self, passphrase: &str) -> Result<StoreKey, KeyFault> {
        let cipher = self.cipher(passphrase)?;
        let opened = cipher.decrypt(&XNonce::from(self.nonce), self.sealed.as_slice());
        let opened = Zeroizing::new(opened.map_err(|_| KeyFault::Passphrase)?);
        let bytes = opened.as_slice().try_into().map_err(|_| KeyFault::Passphrase)?;
        Ok(StoreKey::from_bytes(bytes))
    }

    fn cipher(&self, passphrase: &str) -> Result<XChaCha20Poly1305, KeyFault> {
        let params = Params::new(self.memory_kib, self.rounds, 1, Some(32));
        let params = params.map_err(|_| KeyFault::System)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, key.as_mut())
            .map_err(|_| KeyFault::System)?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }

    fn to_text(&self) -> String {
        let [salt, nonce, sealed] = [&self.salt[..], &self.nonce, &self.sealed].map(hex);
        let costs = format!("{} {}", self.memory_kib, self.rounds);
        format!("{WRAPPED} {costs} {} {} {}", *salt, *nonce, *sealed)
    }

    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let memory_kib = words.next()?.parse().ok().filter(|kib| *kib <= MOST_MEMORY_KIB)?;
        let rounds = words.next()?.parse().ok().filter(|rounds| *rounds <= MOST_ROUNDS)?;
        let mut bytes = || HEXLOWER.decode(words.next()?.as_bytes()).ok();
        let (salt, nonce, sealed) = (bytes()?, bytes()?, bytes()?);
        let (salt, nonce) = (salt.try_into().ok()?, nonce.try_into().ok()?);
        Some(Self { memory_kib, rounds, salt, nonce, sealed })
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped(..)")
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(HEXLOWER.encode(bytes))
}

/// A file that a key is kept in, where the system has no keyring: nobody else may read it, and that is
/// all that protects a bare one.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file of a folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join("store.key"))
    }

    /// What is kept in it; `None` if there is none, or what is there makes no sense.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(&self) -> io::Result<Option<Kept>> {
        match fs::read_to_string(&self.0).map(Zeroizing::new) {
            Ok(text) => Ok(Kept::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a key, whole or not at all. Once this returns it is on the disk.
    ///
    /// # Errors
    /// Those of writing it.
    pub fn write(&self, kept: &Kept) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let beside = self.0.with_extension("key.new");
        remove(&beside)?;
        let mut file = private().open(&beside)?;
        file.write_all(kept.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.0)?;
        sync(folder)
    }

    /// Takes it away; if there is none, all is well.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self) -> io::Result<()> {
        remove(&self.0)
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a file that nobody else can read, not even for an instant.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A new name survives a power cut only with its folder.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> StoreKey {
        StoreKey::from_bytes(std::array::from_fn(|at| at as u8))
    }

    fn bare(kept: Option<Kept>) -> Option<[u8; 64]> {
        match kept? {
            Kept::Bare(key) => Some(*key.as_bytes()),
            Kept::Wrapped(_) => None,
        }
    }

    #[test]
    fn a_key_is_kept_as_text() {
        let text = Kept::Bare(key()).to_text();
        assert!(text.starts_with("key-1 000102"));
        assert_eq!(bare(Kept::parse(&text)), Some(*key().as_bytes()));
        for wrong in ["", "key-1", "key-1 00", "key-2 00", "wrapped-key-1 1 1 00", &text[..40]] {
            assert!(Kept::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_wrapped_key_takes_its_passphrase() {
        let wrapped = Wrapped::around(&key(), "correct horse").expect("it is wrapped");
        let text = Kept::Wrapped(wrapped.clone()).to_text();
        let Some(Kept::Wrapped(again)) = Kept::parse(&text) else { panic!("{}", *text) };
        assert!(again == wrapped && !text.contains(&*hex(&key().as_bytes()[..16])));
        let opened = again.open("correct horse").expect("it opens");
        assert_eq!(opened.as_bytes(), key().as_bytes());
        assert_eq!(again.open("correct house").err(), Some(KeyFault::Passphrase));
        let anew = Wrapped::around(&key(), "correct horse").expect("it is wrapped");
        assert!(anew != wrapped, "nobody sees that it is the same");
    }

    #[test]
    fn what_would_take_all_memory_is_not_tried() {
        let wrapped = Wrapped::around(&key(), "correct horse").expect("it is wrapped");
        let text = wrapped.to_text();
        assert!(Kept::parse(&text.replacen(" 65536 ", " 1048577 ", 1)).is_none());
        assert!(Kept::parse(&text.replacen(" 3 ", " 17 ", 1)).is_none());
    }

    #[test]
    fn a_file_keeps_a_key_from_everybody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::in_folder(&folder.path().join("new"));
        assert!(file.read().expect("it can be asked").is_none());
        file.remove().expect("there is none");
        for _ in 0..2 {
            file.write(&Kept::Bare(key())).expect("it is written");
        }
        assert_eq!(bare(file.read().expect("it is read")), Some(*key().as_bytes()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&file.0).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        file.remove().expect("it is removed");
        assert!(file.read().expect("it can be asked").is_none());
    }
}
