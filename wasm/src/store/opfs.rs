//! redb in a file of the page's own: the origin private file system, written at once by the handle
//! that only a dedicated worker gets, and only one at a time.
//!
//! Each store has a directory. The file counts once a second, empty one lies beside it: redb can't
//! open what a crash leaves of a file that it was still laying out, so such a file is laid out anew.

use std::io;
use std::path::PathBuf;

use js_sys::{Promise, Reflect};
use redb::StorageBackend;
use send_wrapper::SendWrapper;
use sync_core::records::{Batch, Records};
use sync_store::{RecordStore, RedbRecords, StoreError};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle,
};

use crate::browser::{name_of, scope, words_of};

/// The directory of all stores.
const ROOT: &str = "rejoinder";
/// The records.
const FILE: &str = "device.redb";
/// Beside a file that is laid out.
const READY: &str = "device.ready";

/// Whether this browser gives files, here and in this mode.
pub(super) async fn is_there() -> bool {
    let has_handles = Reflect::get(&js_sys::global(), &"FileSystemSyncAccessHandle".into());
    if has_handles.is_ok_and(|class| class.is_undefined()) {
        return false;
    }
    root().await.is_ok()
}

/// A store in one redb file of the page's own.
#[derive(Debug)]
pub struct OpfsStore {
    records: RedbRecords,
}

impl OpfsStore {
    /// Opens the store of that name, and makes it if it is not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it: `InUse` while another worker has it open.
    pub async fn open(name: &str) -> Result<Self, StoreError> {
        let path = PathBuf::from(name);
        let failed = |error: JsValue| failed(&path, &error);
        let stores = child(&root().await.map_err(failed)?, ROOT).await.map_err(failed)?;
        let directory = child(&stores, name).await.map_err(failed)?;
        let is_ready = file(&directory, READY, false).await.is_ok();
        let handle = file(&directory, FILE, true).await.map_err(failed)?;
        let handle: FileSystemSyncAccessHandle =
            wait(handle.create_sync_access_handle()).await.map_err(failed)?;
        let backend = Backend(SendWrapper::new(handle));
        if !is_ready {
            backend.set_len(0).map_err(|error| StoreError::from_io(&path, &error))?;
        }
        let records = RedbRecords::with_backend(backend, path.clone())?;
        if !is_ready {
            file(&directory, READY, true).await.map_err(failed)?;
        }
        Ok(Self { records })
    }

    /// Takes a store away, if it is there.
    ///
    /// # Errors
    /// `InUse` while a worker has it open.
    pub async fn remove(name: &str) -> Result<(), StoreError> {
        let path = PathBuf::from(name);
        let failed = |error: JsValue| failed(&path, &error);
        let stores = child(&root().await.map_err(failed)?, ROOT).await.map_err(failed)?;
        let all = FileSystemRemoveOptions::new();
        all.set_recursive(true);
        let removed: Result<JsValue, _> = wait(stores.remove_entry_with_options(name, &all)).await;
        match removed {
            Err(error) if name_of(&error) != "NotFoundError" => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

impl RecordStore for OpfsStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.records.write(batches)
    }

    fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        self.records.read(prefix)
    }
}

async fn root() -> Result<FileSystemDirectoryHandle, JsValue> {
    let storage = scope().navigator().storage();
    if storage.is_undefined() {
        return Err("the page's address is not a secure one".into());
    }
    if !Reflect::has(&storage, &"getDirectory".into())? {
        return Err("the browser gives no files".into());
    }
    wait(storage.get_directory()).await
}

async fn child(
    directory: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<FileSystemDirectoryHandle, JsValue> {
    let make = FileSystemGetDirectoryOptions::new();
    make.set_create(true);
    wait(directory.get_directory_handle_with_options(name, &make)).await
}

async fn file(
    directory: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemFileHandle, JsValue> {
    let make = FileSystemGetFileOptions::new();
    make.set_create(create);
    wait(directory.get_file_handle_with_options(name, &make)).await
}

async fn wait<T: JsCast>(promise: impl Into<Promise>) -> Result<T, JsValue> {
    JsFuture::from(promise.into()).await.map(JsCast::unchecked_into)
}

fn failed(path: &std::path::Path, error: &JsValue) -> StoreError {
    match name_of(error).as_str() {
        "NoModificationAllowedError" => StoreError::InUse(path.to_owned()),
        "QuotaExceededError" => StoreError::Full,
        "SecurityError" | "NotAllowedError" => StoreError::Unsupported(words_of(error)),
        _ => StoreError::Io(words_of(error)),
    }
}

/// The file as redb sees it. It never leaves its worker; redb only asks that it could.
#[derive(Debug)]
struct Backend(SendWrapper<FileSystemSyncAccessHandle>);

/// Offsets and lengths are whole numbers far below 2^53.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "files are far smaller than 2^53 bytes"
)]
impl Backend {
    fn at(offset: u64) -> FileSystemReadWriteOptions {
        let options = FileSystemReadWriteOptions::new();
        options.set_at(offset as f64);
        options
    }

    fn whole(moved: f64, wanted: usize, kind: io::ErrorKind) -> io::Result<()> {
        if moved as usize == wanted { Ok(()) } else { Err(kind.into()) }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "files are far smaller than 2^53 bytes"
)]
impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.get_size().map(|size| size as u64).map_err(|error| system(&error))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let wanted = out.len();
        let read = self.0.read_with_u8_array_and_options(out, &Self::at(offset));
        let read = read.map_err(|error| system(&error))?;
        Self::whole(read, wanted, io::ErrorKind::UnexpectedEof)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.truncate_with_f64(len as f64).map_err(|error| system(&error))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.flush().map_err(|error| system(&error))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let written = self.0.write_with_u8_array_and_options(data, &Self::at(offset));
        let written = written.map_err(|error| system(&error))?;
        Self::whole(written, data.len(), io::ErrorKind::StorageFull)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close();
        Ok(())
    }
}

fn system(error: &JsValue) -> io::Error {
    let kind = match name_of(error).as_str() {
        "QuotaExceededError" => io::ErrorKind::StorageFull,
        "NotFoundError" => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, words_of(error))
}
