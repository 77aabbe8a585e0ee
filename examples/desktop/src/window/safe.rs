//! The key of this device's store: found, made, moved and taken away.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use desktop::keys::{Kept, KeyFile, Place};
use sync_client::store::{RedbStore, is_sealed};
use sync_client::{StoreError, StoreKey};

use crate::keyring;

/// Where the key is kept.
pub(crate) struct Safe {
    /// The store's folder.
    store: PathBuf,
    /// What the keyring calls it.
    name: String,
    file: KeyFile,
    uses_keyring: bool,
    kept: RefCell<Option<Kept>>,
    place: RefCell<Place>,
}

impl Safe {
    /// The key of the store that lies in a folder. A key file lies beside it.
    pub(crate) fn of(folder: &Path, uses_keyring: bool) -> Self {
        let store = folder.join("store");
        let whole = std::path::absolute(&store).unwrap_or_else(|_| store.clone());
        Self {
            store,
            name: whole.to_string_lossy().into_owned(),
            file: KeyFile::in_folder(folder),
            uses_keyring,
            kept: RefCell::default(),
            place: RefCell::new(Place::File("nothing is known of a keyring yet".to_owned())),
        }
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// The key as it is kept, once it was found.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.kept.borrow().clone()
    }

    /// Whether it takes a passphrase.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.kept.borrow().as_ref().is_some_and(Kept::is_wrapped)
    }

    /// Where it is kept.
    pub(crate) fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    /// Finds the key of a sealed store. Where nothing is sealed yet a new one is made, and kept before
    /// anything is sealed with it: what an earlier store had, if any, counts no more.
    ///
    /// # Errors
    /// In words: why it can't be had.
    pub(crate) async fn find(&self) -> Result<Kept, String> {
        if !is_sealed(&self.store).map_err(|error| error.to_string())? {
            let key = StoreKey::draw().map_err(|error| error.to_string())?;
            self.keep(Kept::Bare(key.clone())).await?;
            return Ok(Kept::Bare(key));
        }
        let in_ring = self.look_up().await;
        let in_file =
            self.file.read().map_err(|error| format!("its file can't be read: {error}"))?;
        // A file is there as long as no keyring took over what is in it.
        let found = match (in_file, in_ring) {
            (Some(kept), Ok(_)) => {
                self.keep(kept.clone()).await?;
                kept
            }
            (Some(kept), Err(why)) => {
                self.place.replace(Place::File(why));
                kept
            }
            (None, Ok(Some(kept))) => {
                self.place.replace(Place::Keyring);
                kept
            }
            (None, Ok(None)) => {
                return Err("it is not in the keyring, or that stays closed".to_owned());
            }
            (None, Err(why)) => return Err(why),
        };
        self.kept.replace(Some(found.clone()));
        Ok(found)
    }

    async fn look_up(&self) -> Result<Option<Kept>, String> {
        self.may_use_keyring()?;
        let text = keyring::look_up(&self.name).await?;
        Ok(text.and_then(|text| Kept::parse(&text)))
    }

    fn may_use_keyring(&self) -> Result<(), String> {
        match self.uses_keyring {
            true => Ok(()),
            false => Err("the keyring is not to be used".to_owned()),
        }
    }

    /// Keeps the key, in the place of what was kept before: in the keyring, or in a file where there is
    /// none.
    ///
    /// # Errors
    /// In words, if it can be kept nowhere. What was kept before is kept still.
    pub(crate) async fn keep(&self, kept: Kept) -> Result<(), String> {
        let text = kept.to_text();
        let in_ring = match self.may_use_keyring() {
            Ok(()) => keyring::keep(&self.name, &text).await,
            Err(why) => Err(why),
        };
        match in_ring {
            Ok(()) => {
                let gone = self.file.remove();
                gone.map_err(|error| format!("its file can't be taken away: {error}"))?;
                self.place.replace(Place::Keyring);
            }
            // The one before is in the keyring, and would be found first another time.
            Err(why) if self.kept.borrow().is_some() && self.place() == Place::Keyring => {
                return Err(why);
            }
            Err(why) => {
                let kept = self.file.write(&kept);
                kept.map_err(|error| format!("its file can't be written: {error}"))?;
                self.place.replace(Place::File(why));
            }
        }
        self.kept.replace(Some(kept));
        Ok(())
    }

    /// Takes the store away, and then its key: what a disk keeps of the one can't be read without the
    /// other.
    ///
    /// # Errors
    /// The store's. Where the key stays, the next one takes its place.
    pub(crate) async fn erase(&self) -> Result<(), StoreError> {
        RedbStore::erase(&self.store)?;
        self.kept.replace(None);
        if self.uses_keyring {
            let _ = keyring::forget(&self.name).await;
        }
        let _ = self.file.remove();
        Ok(())
    }
}
