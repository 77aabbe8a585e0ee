//! Measures the relay's rules and store without sockets: durable appends over 256 spaces beside a
//! bare redb loop with the same values and batches, bytes in the file for each message, the time
//! to open again, and, with the address of a running relay, to hold idle sockets at it.
//!
//! `measure [messages]`, or `measure sockets ADDRESS COUNT`.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use redb::{ReadableDatabase as _, TableDefinition};
use sync_protocol::codec::Blob;
use sync_protocol::frames::{ClientFrame, RelayFrame};
use sync_protocol::ids::{RelayId, SpaceId};
use sync_server::relay::{Identity, Output, Relay, SessionId, Settings};
use sync_server::store::RedbStore;

use crate::support::socket::Socket;
use crate::support::{Device, push};

const SPACES: u32 = 256;
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sockets", address, count] => {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(hold(address.parse().unwrap(), count.parse().unwrap()));
        }
        [] => appends(100_000),
        [messages] => appends(messages.parse().unwrap()),
        _ => panic!("measure [messages] | measure sockets ADDRESS COUNT"),
    }
}

fn space(n: u32) -> SpaceId {
    let mut id = [3; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    SpaceId::from_bytes(id)
}

/// Lone messages of the usual size, in turn over all spaces.
fn appends(messages: usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut device = Device::new(1);
    device.payload = 290;
    let foundings: Vec<_> = (0..SPACES).map(|n| device.found(space(n))).collect();
    let sets: VecDeque<_> = (0..messages as u32)
        .map(|n| (space(n % SPACES), device.content(space(n % SPACES), 1)))
        .collect();
    let size = sets[0].1.0.len();
    println!("envelope {size} bytes, {messages} messages, batches of {SPACES}");
    let spent = relay(directory.path(), &device, foundings, sets);
    let store = RedbStore::open(directory.path()).unwrap();
    let bytes = store.file_bytes();
    println!("relay: {:.0} appends/s", messages as f64 / spent.as_secs_f64());
    println!("file: {:.0} bytes a message", bytes as f64 / messages as f64);
    let packed = directory.path().join("packed");
    store.backup(&packed).unwrap();
    let bytes = std::fs::metadata(packed).unwrap().len();
    println!("packed: {:.0} bytes a message", bytes as f64 / messages as f64);
    drop(store);
    let started = Instant::now();
    let store = RedbStore::open(directory.path()).unwrap();
    drop(Relay::open(store, identity(), Settings::default()).unwrap());
    println!("open again: {:?}", started.elapsed());
    let spent = raw(&directory.path().join("raw"), messages, size);
    println!("raw redb: {:.0} appends/s", messages as f64 / spent.as_secs_f64());
}

fn identity() -> Identity {
    Identity { relay: RelayId::from_bytes([1; 32]), generation: 1 }
}

fn relay(
    directory: &std::path::Path,
    device: &Device,
    foundings: Vec<Blob>,
    sets: VecDeque<(SpaceId, Blob)>,
) -> Duration {
    let store = RedbStore::open(directory).unwrap();
    let settings = Settings { push_envelopes_per_s: 0, push_bytes_per_s: 0, ..Settings::default() };
    let mut relay = Relay::open(store, identity(), settings).unwrap();
    let session = SessionId(1);
    relay.connect(session, [1; 32], 1);
    let Some(Output::Send { frame, .. }) = relay.commit(1).pop() else { panic!("no challenge") };
    let RelayFrame::Challenge(challenge) = RelayFrame::parse(&frame).unwrap() else { panic!() };
    relay.receive(session, ClientFrame::Hello(device.hello(&challenge)), 1);
    for (n, founding) in (0..).zip(foundings) {
        relay.receive(session, push(space(n), vec![founding]), 1);
    }
    relay.commit(1);
    let started = Instant::now();
    let mut batch = 0;
    for (space, set) in sets {
        relay.receive(session, push(space, vec![set]), 2);
        batch += 1;
        if batch == SPACES {
            relay.commit(2);
            batch = 0;
        }
    }
    relay.commit(2);
    assert!(relay.failure().is_none());
    started.elapsed()
}

/// The same rows by hand: an entry, its space's row and index, its writer's row.
fn raw(path: &std::path::Path, messages: usize, size: usize) -> Duration {
    let database = redb::Database::create(path).unwrap();
    let entry = vec![7; size + 9];
    let started = Instant::now();
    let mut position = 0u64;
    while (position as usize) < messages {
        let mut transaction = database.begin_write().unwrap();
        transaction.set_quick_repair(true);
        {
            let mut entries = transaction.open_table(ENTRIES).unwrap();
            let mut rows = transaction.open_table(ROWS).unwrap();
            for n in 0..SPACES {
                entries.insert(position, entry.as_slice()).unwrap();
                let id = space(n);
                rows.insert(id.as_bytes().as_slice(), [1; 30].as_slice()).unwrap();
                let index = [1, n as u8, (n >> 8) as u8, (position >> 14) as u8];
                rows.insert(index.as_slice(), [2; 64].as_slice()).unwrap();
                let tip = [2, n as u8, (n >> 8) as u8];
                rows.insert(tip.as_slice(), [3; 50].as_slice()).unwrap();
                position += 1;
            }
        }
        transaction.commit().unwrap();
    }
    let spent = started.elapsed();
    drop(database.begin_read().unwrap());
    spent
}

/// Opens authenticated sockets that push 60 KB once and then are idle, until the input ends.
async fn hold(address: std::net::SocketAddr, count: u64) {
    let mut held = Vec::new();
    for n in 0..count {
        let mut device = Device::new(1_000 + n);
        let mut socket = Socket::open(address, &mut device).await.unwrap();
        let own = device.account.space();
        device.payload = 60_000;
        let start = vec![device.found(own)];
        socket.send(&push(own, start)).await.unwrap();
        while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
        held.push(socket);
    }
    println!("holding {count}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
