//! What every store must do for the engine, as one suite that any backend can run.
//!
//! `open` opens the same store each time it is called; between two calls the value it gave before
//! is dropped, as a killed process would drop it.

use sync_core::records::{Batch, Records};

use super::AsyncRecordStore;

/// Runs the whole suite.
///
/// # Panics
/// If the store breaks a rule; the message says which.
pub async fn check<S: AsyncRecordStore>(mut open: impl AsyncFnMut() -> S) {
    batches_are_read_back_by_prefix(open().await).await;
    clears_come_before_the_writes_of_their_batch(open().await).await;
    batches_take_effect_in_order(open().await).await;
    prefixes_of_all_sizes_are_exact(open().await).await;
    written_batches_survive_reopening(&mut open).await;
}

async fn batches_are_read_back_by_prefix<S: AsyncRecordStore>(mut store: S) {
    write(&mut store, &[puts(1, &[(b"pa", b"1"), (b"pb", b"2"), (b"q", b"3")])]).await;
    assert_eq!(
        read(&store, b"p").await,
        records(&[(b"pa", b"1"), (b"pb", b"2")]),
        "read by prefix"
    );
    assert_eq!(
        read(&store, b"pb").await,
        records(&[(b"pb", b"2")]),
        "a whole key is its own prefix"
    );
    assert_eq!(read(&store, b"z").await, Records::new(), "nothing there is an empty answer");
    write(&mut store, &[clear(2, b"")]).await;
    assert_eq!(read(&store, b"").await, Records::new(), "the empty prefix is everything");
}

async fn clears_come_before_the_writes_of_their_batch<S: AsyncRecordStore>(mut store: S) {
    write(&mut store, &[puts(1, &[(b"c1", b"old"), (b"c2", b"old"), (b"d", b"kept")])]).await;
    let mut batch = clear(2, b"c");
    batch.put(b"c2".to_vec(), b"new".to_vec());
    batch.delete(b"nothing".to_vec());
    write(&mut store, &[batch]).await;
    let expected = records(&[(b"c2", b"new"), (b"d", b"kept")]);
    assert_eq!(read(&store, b"").await, expected, "clears, then writes");
    write(&mut store, &[clear(3, b"")]).await;
}

async fn batches_take_effect_in_order<S: AsyncRecordStore>(mut store: S) {
    let first = puts(1, &[(b"k", b"1"), (b"l", b"1")]);
    let mut second = puts(2, &[(b"k", b"2")]);
    second.delete(b"l".to_vec());
    let third = clear(3, b"k");
    write(&mut store, &[first.clone(), second.clone()]).await;
    assert_eq!(read(&store, b"").await, records(&[(b"k", b"2")]), "the later batch wins");
    write(&mut store, &[third, first]).await;
    let expected = records(&[(b"k", b"1"), (b"l", b"1")]);
    assert_eq!(read(&store, b"").await, expected, "a clear doesn't reach the batches after it");
    write(&mut store, &[clear(4, b"")]).await;
}

async fn prefixes_of_all_sizes_are_exact<S: AsyncRecordStore>(mut store: S) {
    let high: &[(&[u8], &[u8])] = &[(&[0xfe], b"1"), (&[0xff], b"2"), (&[0xff, 0xff, 7], b"3")];
    write(&mut store, &[puts(1, high)]).await;
    assert_eq!(read(&store, &[0xff]).await, records(&high[1..]), "the last prefix has an end too");
    assert_eq!(read(&store, &[0xff, 0xff]).await, records(&high[2..]), "and so has a longer one");
    write(&mut store, &[clear(2, &[0xff, 0xff])]).await;
    assert_eq!(read(&store, b"").await, records(&high[..2]), "a clear is as exact");
    let large = vec![7; 300_000];
    write(&mut store, &[clear(3, b""), puts(4, &[(b"large", &large), (b"empty", b"")])]).await;
    let expected = records(&[(b"large", &large), (b"empty", b"")]);
    assert_eq!(read(&store, b"").await, expected, "large and empty values stay as they are");
    write(&mut store, &[clear(5, b"")]).await;
}

async fn written_batches_survive_reopening<S: AsyncRecordStore>(open: &mut impl AsyncFnMut() -> S) {
    for round in 0..5_u64 {
        let mut store = open().await;
        assert_eq!(read(&store, b"r").await.len() as u64, round, "what was written is there");
        let key = [b"r", round.to_be_bytes().as_slice()].concat();
        write(&mut store, &[puts(round, &[(&key, b"v")])]).await;
    }
    write(&mut open().await, &[clear(9, b"")]).await;
}

async fn write<S: AsyncRecordStore>(store: &mut S, batches: &[Batch]) {
    store.write(batches).await.expect("a store under this suite has room and rights");
}

async fn read<S: AsyncRecordStore>(store: &S, prefix: &[u8]) -> Records {
    store.read(prefix).await.expect("a store under this suite can be read")
}

fn puts(number: u64, pairs: &[(&[u8], &[u8])]) -> Batch {
    let mut batch = Batch { number, ..Batch::default() };
    for (key, value) in pairs {
        batch.put(key.to_vec(), value.to_vec());
    }
    batch
}

fn clear(number: u64, prefix: &[u8]) -> Batch {
    Batch { number, clears: vec![prefix.to_vec()], ..Batch::default() }
}

fn records(pairs: &[(&[u8], &[u8])]) -> Records {
    pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}
