//! Records in the browser's own database: one object store, binary keys in byte order, one
//! transaction for all batches that wait.

use futures_channel::oneshot;
use js_sys::{Array, Object, Reflect, Uint8Array};
use sync_core::records::{Batch, Records};
use sync_store::{AsyncRecordStore, StoreError, after_prefix};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, Event, IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest,
    IdbRequest, IdbTransaction,
};

use crate::browser::{name_of, text, words_of};

/// What the databases' names begin with.
const PREFIX: &str = "rejoinder/";
/// The format this build writes: the database's version.
const FORMAT: u32 = 1;
/// The one object store.
const RECORDS: &str = "records";

#[wasm_bindgen]
extern "C" {
    /// `indexedDB` of a page or worker.
    #[wasm_bindgen(thread_local_v2, js_name = indexedDB)]
    static FACTORY: JsValue;

    /// A database whose transactions can be asked to reach the disk.
    #[derive(Debug)]
    #[wasm_bindgen(extends = IdbDatabase)]
    type Database;

    #[wasm_bindgen(method, catch)]
    fn transaction(
        this: &Database,
        stores: &str,
        mode: &str,
        options: &JsValue,
    ) -> Result<IdbTransaction, JsValue>;
}

/// A store in one database of the browser's.
#[derive(Debug)]
pub struct IndexedDbStore {
    database: Database,
}

impl Drop for IndexedDbStore {
    fn drop(&mut self) {
        self.database.close();
    }
}

impl IndexedDbStore {
    /// Opens the store of that name, and makes it if it is not there.
    ///
    /// # Errors
    /// What is wrong, and what to do about it: `Unsupported` where the browser has no database for
    /// this page.
    pub async fn open(name: &str) -> Result<Self, StoreError> {
        let request = factory()?.open_with_u32(&format!("{PREFIX}{name}"), FORMAT);
        let request: IdbOpenDbRequest = request.map_err(|error| of_opening(&error))?;
        let made = request.clone();
        let lay_out = Closure::once(move |_: Event| {
            if let Ok(database) = made.result() {
                // If it fails, so does the opening.
                let _ = database.unchecked_into::<IdbDatabase>().create_object_store(RECORDS);
            }
        });
        request.set_onupgradeneeded(Some(lay_out.as_ref().unchecked_ref()));
        let database = answer(&request).await.map_err(|error| of_opening(&error))?;
        Ok(Self { database: database.unchecked_into() })
    }

    /// Whether there is a store of that name. A browser that can't say has none.
    pub async fn exists(name: &str) -> bool {
        let Ok(factory) = factory() else { return false };
        let list = Reflect::get(&factory, &"databases".into());
        let Some(list) = list.ok().and_then(|list| list.dyn_into::<js_sys::Function>().ok()) else {
            return false;
        };
        let Ok(promise) = list.call0(&factory) else { return false };
        let Ok(list) = JsFuture::from(js_sys::Promise::resolve(&promise)).await else {
            return false;
        };
        let wanted = format!("{PREFIX}{name}");
        Array::from(&list).iter().any(|found| text(&found, "name").as_ref() == Some(&wanted))
    }

    /// Takes a store away, if it is there.
    ///
    /// # Errors
    /// If the browser won't.
    pub async fn remove(name: &str) -> Result<(), StoreError> {
        let request = factory()?.delete_database(&format!("{PREFIX}{name}"));
        let request = request.map_err(|error| failed(&error))?;
        answer(&request).await.map(drop).map_err(|error| failed(&error))
    }

    fn begin(&self, mode: &str) -> Result<(IdbTransaction, IdbObjectStore), JsValue> {
        let options = Object::new();
        // Done means on the disk, not only handed to the system.
        Reflect::set(&options, &"durability".into(), &"strict".into())?;
        let transaction = self.database.transaction(RECORDS, mode, &options)?;
        let records = transaction.object_store(RECORDS)?;
        Ok((transaction, records))
    }

    async fn write_all(&self, batches: &[Batch]) -> Result<(), JsValue> {
        let (transaction, records) = self.begin("readwrite")?;
        for batch in batches {
            if let Err(error) = apply(&records, batch) {
                let _ = transaction.abort();
                return Err(error);
            }
        }
        completed(&transaction).await
    }

    async fn read_all(&self, prefix: &[u8]) -> Result<Records, JsValue> {
        let (_transaction, records) = self.begin("readonly")?;
        let range = range(prefix)?;
        let keys = records.get_all_keys_with_key(&range)?;
        let values = records.get_all_with_key(&range)?;
        // Both are asked for before either is waited for: the transaction ends with its last.
        let keys = answer_later(&keys);
        let values = answer_later(&values);
        let (keys, values) = (Array::from(&keys.await?), Array::from(&values.await?));
        let bytes = |value: JsValue| Uint8Array::new(&value).to_vec();
        let mut found = Records::new();
        found.extend(keys.iter().map(bytes).zip(values.iter().map(bytes)));
        Ok(found)
    }
}

impl AsyncRecordStore for IndexedDbStore {
    async fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.write_all(batches).await.map_err(|error| failed(&error))
    }

    async fn read(&self, prefix: &[u8]) -> Result<Records, StoreError> {
        self.read_all(prefix).await.map_err(|error| failed(&error))
    }
}

fn apply(records: &IdbObjectStore, batch: &Batch) -> Result<(), JsValue> {
    for prefix in &batch.clears {
        records.delete(&JsValue::from(range(prefix)?))?;
    }
    for (key, value) in &batch.writes {
        let key = Uint8Array::from(key.as_slice());
        match value {
            Some(value) => records.put_with_key(&Uint8Array::from(value.as_slice()), &key)?,
            None => records.delete(&key)?,
        };
    }
    Ok(())
}

/// All keys that start with a prefix.
fn range(prefix: &[u8]) -> Result<IdbKeyRange, JsValue> {
    let first = Uint8Array::from(prefix);
    match after_prefix(prefix) {
        Some(end) => {
            let end = Uint8Array::from(end.as_slice());
            IdbKeyRange::bound_with_lower_open_and_upper_open(&first, &end, false, true)
        }
        None => IdbKeyRange::lower_bound(&first),
    }
}

fn factory() -> Result<IdbFactory, StoreError> {
    FACTORY.with(|factory| match factory.is_object() {
        true => Ok(factory.clone().unchecked_into()),
        false => Err(StoreError::Unsupported("the browser has no database here".to_owned())),
    })
}

async fn answer(request: &IdbRequest) -> Result<JsValue, JsValue> {
    answer_later(request).await
}

/// Listens at once; the answer may be waited for later.
fn answer_later(request: &IdbRequest) -> impl Future<Output = Result<JsValue, JsValue>> + use<> {
    let (come, came) = oneshot::channel();
    let closure = Closure::once(move |event: Event| {
        let _ = come.send(event.type_() == "success");
    });
    request.set_onsuccess(Some(closure.as_ref().unchecked_ref()));
    request.set_onerror(Some(closure.as_ref().unchecked_ref()));
    let request = request.clone();
    async move {
        let is_success = came.await;
        drop(closure);
        match is_success {
            Ok(true) => request.result(),
            _ => Err(request.error().ok().flatten().map_or(JsValue::NULL, JsValue::from)),
        }
    }
}

async fn completed(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let (come, came) = oneshot::channel();
    let closure = Closure::once(move |event: Event| {
        let _ = come.send(event.type_() == "complete");
    });
    // An error of a request ends in an abort, and that comes last.
    transaction.set_oncomplete(Some(closure.as_ref().unchecked_ref()));
    transaction.set_onabort(Some(closure.as_ref().unchecked_ref()));
    let is_complete = came.await;
    drop(closure);
    match is_complete {
        Ok(true) => Ok(()),
        _ => Err(transaction.error().map_or(JsValue::NULL, |error: DomException| error.into())),
    }
}

fn of_opening(error: &JsValue) -> StoreError {
    match name_of(error).as_str() {
        "VersionError" => StoreError::Newer { found: u64::from(FORMAT) + 1, known: FORMAT.into() },
        // Private modes of some browsers.
        "InvalidStateError" | "SecurityError" => StoreError::Unsupported(words_of(error)),
        _ => failed(error),
    }
}

fn failed(error: &JsValue) -> StoreError {
    match name_of(error).as_str() {
        "QuotaExceededError" => StoreError::Full,
        _ => StoreError::Io(words_of(error)),
    }
}
