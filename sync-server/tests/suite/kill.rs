//! The real program: killed under load, started twice, stopped politely.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, Delivery, RelayFrame, Stored};
use sync_protocol::ids::SpaceId;

use crate::support::socket::Socket;
use crate::support::{Device, push, space};

struct Relay {
    process: Child,
    address: SocketAddr,
}

fn command(data: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-server"));
    command.args(["--listen", listen, "--data"]).arg(data).stderr(Stdio::piped());
    command
}

impl Relay {
    fn start(data: &Path) -> Self {
        let mut process = command(data, "127.0.0.1:0").spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the relay says where it listens").unwrap();
            if let Some((before, address)) = line.split_once("addr=") {
                assert!(before.contains("listening"));
                break address.trim().parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What a device was told is stored: index to sequence number.
type Told = BTreeMap<u64, u64>;

/// Pushes as fast as the relay takes it, until the socket breaks.
async fn load(address: SocketAddr, device: &mut Device, space: SpaceId, told: &mut Told) {
    let Some(mut socket) = Socket::open(address, device).await else { return };
    if told.is_empty() {
        let founding = device.found(space);
        let _ = socket.send(&push(space, vec![founding])).await;
    }
    let (mut under_way, mut confirmed) = (device.seq(space), device.seq(space));
    loop {
        while under_way < confirmed + 50 {
            let set = device.content(space, 1);
            under_way += 1;
            if socket.send(&push(space, vec![set])).await.is_none() {
                return;
            }
        }
        match socket.next().await {
            Some(RelayFrame::Stored(Stored { runs, .. })) => {
                for run in runs {
                    told.insert(run.index, run.seq);
                    confirmed = confirmed.max(run.seq);
                }
            }
            // The founding was stored before the kill, and nothing after it.
            Some(RelayFrame::Refused { seq: 0, reason: Rejection::Taken, .. }) => {}
            Some(RelayFrame::Refused { reason, .. }) => panic!("{reason}"),
            Some(_) => {}
            None => return,
        }
    }
}

/// The whole log of a space, as the relay has it now: index to sequence number.
async fn read(address: SocketAddr, device: &mut Device, space: SpaceId) -> BTreeMap<u64, u64> {
    let mut socket = Socket::open(address, device).await.unwrap();
    let mut log = BTreeMap::new();
    loop {
        match socket.next().await.unwrap() {
            RelayFrame::Delivery(Delivery::UpToDate { .. }) => return log,
            RelayFrame::Delivery(delivery) => {
                let bytes = delivery.cost();
                let Delivery::Entries(entries) = delivery else { continue };
                assert_eq!(entries.space, space);
                for (entry, index) in entries.entries.iter().zip(entries.first..) {
                    let bytes = entry.envelope.as_slice();
                    let envelope = sync_protocol::envelope::Envelope::parse(bytes).unwrap();
                    let seq = envelope.header.chain.map_or(0, |chain| chain.seq);
                    assert_eq!(log.insert(index, seq), None, "delivered twice");
                }
                socket.send(&ClientFrame::Credit { bytes }).await.unwrap();
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_no_acknowledged_envelope() {
    let data = tempfile::tempdir().unwrap();
    let mut device = Device::new(1);
    let mut told = Told::new();
    for round in 0..8u64 {
        let relay = Relay::start(data.path());
        let address = relay.address;
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(80 + round * 37));
            relay.kill();
        });
        load(address, &mut device, space(1), &mut told).await;
        killer.await.unwrap();
        let relay = Relay::start(data.path());
        let log = read(relay.address, &mut device, space(1)).await;
        for (index, seq) in &told {
            assert_eq!(log.get(index), Some(seq), "stored at {index}, then gone");
        }
        let seqs: Vec<_> = log.values().copied().filter(|seq| *seq > 0).collect();
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "doubled or out of order");
        relay.kill();
        device = resumed(&device, seqs.len() as u64);
    }
    assert!(told.len() > 8, "the load was no load: {}", told.len());
}

/// The same device, continuing after what the relay has.
fn resumed(device: &Device, seq: u64) -> Device {
    let mut fresh = Device::new(1);
    (fresh.fence, fresh.next_fence) = (device.fence, device.next_fence);
    for _ in 0..seq {
        fresh.content(space(1), 1);
    }
    fresh
}

#[test]
fn a_port_or_a_store_in_use_is_said_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(data.path());
    let other = tempfile::tempdir().unwrap();
    let taken = command(other.path(), &relay.address.to_string()).output().unwrap();
    let said = String::from_utf8(taken.stderr).unwrap();
    assert!(!taken.status.success() && said.contains("--listen"), "{said}");
    let shared = command(data.path(), "127.0.0.1:0").output().unwrap();
    let said = String::from_utf8(shared.stderr).unwrap();
    assert!(!shared.status.success() && said.contains("another process"), "{said}");
    relay.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_says_goodbye_and_leaves_a_store_that_inspect_reads() {
    let data = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(data.path());
    let mut device = Device::new(1);
    let mut socket = Socket::open(relay.address, &mut device).await.unwrap();
    let founding = device.found(space(1));
    socket.send(&push(space(1), vec![founding])).await.unwrap();
    while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
    let pid = relay.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut last = None;
    while let Some(frame) = socket.next().await {
        last = Some(frame);
    }
    let goodbye =
        matches!(last, Some(RelayFrame::Goodbye { reason: Rejection::Unavailable { .. } }));
    assert!(goodbye, "{last:?}");
    assert!(relay.process.wait().unwrap().success());
    let inspected = Command::new(env!("CARGO_BIN_EXE_sync-server"))
        .args(["inspect", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    let said = String::from_utf8(inspected.stdout).unwrap();
    let fields: BTreeMap<_, _> = said.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    let count = |name: &str| {
        fields.iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.to_string())
    };
    for name in ["spaces", "entries", "accounts", "devices"] {
        assert_eq!(count(name).as_deref(), Some("1"), "{name}: {said}");
    }
}
