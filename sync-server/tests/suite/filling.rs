//! What free accounts can fill a disk with: whatever is kept because of somebody is counted as theirs,
//! and an address has so many bytes a day, however many accounts come from it.

use sync_protocol::address::Address;
use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, InboxPut, KeyPackages, Op, Push, RelayFrame};
use sync_protocol::frames::{WelcomeFor, Welcomes};
use sync_protocol::ids::SpaceId;
use sync_protocol::limits;
use sync_server::relay::{SessionId, Settings};
use sync_server::store::MemoryStore;

use crate::support::{Device, add, push};
use crate::world::{World, refusals};

/// Bytes of an account, its device and its session's rows: they come once.
const ACCOUNT: u64 = 2_500;

fn free() -> Settings {
    Settings {
        foundings_per_s: 0,
        handshakes_per_hour: 0,
        inbox_puts_per_s: 0,
        invitations_per_hour: 0,
        takes_per_s: 0,
        unanswered_of_all: 0,
        unanswered_of_one: 0,
        work_us_per_s: 0,
        ..Settings::default()
    }
}

/// Bytes of all rows.
fn kept(world: &World) -> u64 {
    world.relay.store().rows().map(|(_, key, row)| (key.len() + row.len()) as u64).sum()
}

fn numbered(n: u64) -> SpaceId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    SpaceId::from_bytes(bytes)
}

/// What one account does many times: bytes that are kept by then, and bytes that count as its own.
fn does(
    times: u64,
    mut act: impl FnMut(&mut World, &mut Device, SessionId, u64) -> Vec<ClientFrame>,
) -> (u64, u64) {
    let mut world = World::over(MemoryStore::new(), free());
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    let before = kept(&world);
    for n in 0..times {
        for frame in act(&mut world, &mut mallory, at, n) {
            world.send(at, frame);
            world.commit();
            assert_eq!(refusals(&world.take(at)), []);
        }
        world.now += 5;
    }
    for _ in 0..12 {
        world.tick(world.now + 1_000);
    }
    let counted = world.relay.state().stored(&mallory.account).unwrap().all;
    (kept(&world) - before, counted)
}

fn assert_paid(what: &str, (kept, counted): (u64, u64)) {
    assert!(kept <= counted + ACCOUNT, "{what}: {kept} bytes are kept, and {counted} counted");
}

#[test]
fn small_entries_are_counted_with_all_that_is_kept_for_them() {
    let own = numbered(0);
    assert_paid(
        "content",
        does(400, |_, mallory, _, n| {
            mallory.payload = 1;
            let envelope = if n == 0 { mallory.found(own) } else { mallory.content(own, 1) };
            vec![push(own, vec![envelope])]
        }),
    );
    assert_paid(
        "registers",
        does(400, |_, mallory, _, n| {
            mallory.payload = 1;
            let envelope =
                if n == 0 { mallory.found(own) } else { mallory.register(own, 1, n as u32) };
            vec![push(own, vec![envelope])]
        }),
    );
}

#[test]
fn spaces_and_whoever_is_put_into_them_are_counted() {
    assert_paid(
        "foundings",
        does(300, |_, mallory, _, n| {
            mallory.payload = 1;
            vec![push(numbered(n), vec![mallory.found(numbered(n))])]
        }),
    );
    let mut others: Vec<Device> = (100..120).map(Device::new).collect();
    assert_paid(
        "invitations",
        does(100, |world, mallory, _, n| {
            if n == 0 {
                others.iter_mut().for_each(|other| {
                    world.connect(other);
                });
                return Vec::new();
            }
            let roster = others.iter().map(add).collect();
            let start = vec![mallory.found(numbered(n)), mallory.handshake(numbered(n), 1, roster)];
            // Their rows come with what is written there next.
            let next = mallory.content(numbered(n), 2);
            vec![push(numbered(n), start), push(numbered(n), vec![next])]
        })
        .less(20 * ACCOUNT),
    );
}

/// A part that is no one's who is looked at.
trait Less {
    fn less(self, bytes: u64) -> Self;
}

impl Less for (u64, u64) {
    fn less(self, bytes: u64) -> Self {
        (self.0.saturating_sub(bytes), self.1)
    }
}

#[test]
fn what_lies_with_others_is_counted() {
    let mut ada = Device::new(2);
    assert_paid(
        "inbox",
        does(200, |world, _, at, n| {
            if n == 0 {
                world.connect(&mut ada);
            }
            let item = Blob(vec![7]);
            let put = InboxPut { account: ada.account, device: ada.id, item };
            assert_eq!(world.ask(at, Op::PutInbox(put)), Answer::Done);
            Vec::new()
        })
        .less(ACCOUNT),
    );
    let mut bob = Device::new(3);
    assert_paid(
        "ways in and tickets",
        does(50, |world, mallory, _, n| {
            if n == 0 {
                world.connect(&mut bob);
            }
            let to = numbered(n);
            let frames = vec![mallory.found(to), mallory.handshake(to, 1, vec![add(&bob)])];
            let item = WelcomeFor { account: bob.account, device: bob.id, item: Blob(vec![7; 90]) };
            let welcomes = Some(Welcomes { common: Blob(vec![7; 500]), items: vec![item] });
            let ticket = Some(Blob(vec![7; 900]));
            let [first, second] = <[Blob; 2]>::try_from(frames).unwrap();
            let with = Push { space: to, envelopes: vec![second], welcomes, ticket };
            vec![push(to, vec![first]), ClientFrame::Push(with)]
        })
        .less(ACCOUNT),
    );
}

#[test]
fn key_packages_addresses_and_devices_are_counted() {
    assert_paid(
        "key packages",
        does(2, |world, _, at, _| {
            let once = vec![Blob(vec![7; limits::KEY_PACKAGE]); limits::KEY_PACKAGES_PUT];
            let packages = KeyPackages { once, last_resort: Some(Blob(vec![7; 300])) };
            assert_eq!(world.ask(at, Op::PutKeyPackages(packages)), Answer::Done);
            Vec::new()
        }),
    );
    assert_paid(
        "addresses",
        does(8, |world, _, at, n| {
            let address = Address::exactly(&format!("{}{n}", "a".repeat(40))).unwrap();
            assert_eq!(world.ask(at, Op::ClaimAddress { address }), Answer::Done);
            Vec::new()
        }),
    );
    assert_paid(
        "devices",
        does(8, |world, mallory, at, n| {
            let mut device = world.link(at, mallory, 200 + n);
            device.log = mallory.log.clone();
            world.connect(&mut device);
            Vec::new()
        }),
    );
}

#[test]
fn key_packages_are_refused_to_who_has_stored_all_that_it_may() {
    let settings = Settings { stored_mib_per_day: 1, ..free() };
    let mut world = World::over(MemoryStore::new(), settings);
    let mut mallory = Device::new(1);
    let at = world.connect(&mut mallory);
    mallory.payload = 200_000;
    let own = numbered(0);
    let founding = mallory.found(own);
    world.send(at, push(own, vec![founding]));
    loop {
        let content = mallory.content(own, 1);
        world.send(at, push(own, vec![content]));
        world.commit();
        if !refusals(&world.take(at)).is_empty() {
            break;
        }
    }
    let once = vec![Blob(vec![7; limits::KEY_PACKAGE]); limits::KEY_PACKAGES_PUT];
    for _ in 0..200 {
        // Others take them meanwhile, and they are made anew.
        let packages = KeyPackages { once: once.clone(), last_resort: None };
        match world.ask(at, Op::PutKeyPackages(packages)) {
            Answer::Done => {}
            Answer::Refused(Rejection::Rate { retry_ms }) => {
                assert!(retry_ms > 0);
                return;
            }
            other => panic!("{other:?}"),
        }
        let mut thief = Device::new(world.now);
        let taker = world.connect(&mut thief);
        for _ in 0..limits::KEY_PACKAGES_PUT {
            world.ask(taker, Op::TakeKeyPackages { account: mallory.account });
        }
        world.now += 60 * 60 * 1_000;
        assert!(world.inboxes.values().flatten().all(|f| !matches!(f, RelayFrame::Goodbye { .. })));
    }
    panic!("key packages without end");
}

/// A disk of 100 MB, with limits to its scale: a thousandth of what they are.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn free_accounts_fill_a_disk_no_faster_than_their_addresses_may() {
    use crate::support::running;
    use crate::support::socket::Socket;
    use std::os::unix::fs::MetadataExt as _;

    const ADDRESSES: [[u8; 4]; 2] = [[127, 0, 0, 2], [127, 0, 0, 3]];
    const MIB: u64 = 1024 * 1024;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_owned();
    let running = running::counting(|config| {
        config.data = folder;
        config.limits.stored_mib_per_day = 1;
        config.limits.stored_mib_per_address_per_day = 4;
    })
    .await;
    // Blocks that the disk gives away.
    let taken = || -> u64 {
        let all = std::fs::read_dir(data.path()).unwrap();
        all.map(|one| one.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let before = taken();
    let mut refused = 0;
    for (n, from) in (0..).zip(ADDRESSES) {
        for account in 0..12 {
            let mut mallory = Device::new(1_000 * n + account);
            mallory.payload = 60_000;
            let address = running.server.address();
            let mut socket = Socket::open_from(from, address, &mut mallory).await.unwrap();
            let own = numbered(1_000 * n + account);
            let founding = mallory.found(own);
            socket.send(&push(own, vec![founding])).await.unwrap();
            loop {
                match socket.next().await.unwrap() {
                    RelayFrame::Stored(_) => {
                        let content = mallory.content(own, 1);
                        socket.send(&push(own, vec![content])).await.unwrap();
                    }
                    RelayFrame::Refused { reason, .. } => {
                        // It is told for how long that is so.
                        let waits = matches!(reason, Rejection::Rate { retry_ms } if retry_ms > 0);
                        assert!(waits, "{reason}");
                        refused += 1;
                        break;
                    }
                    RelayFrame::Goodbye { reason } => panic!("{reason}"),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(refused, 24);
    running.until_refused("daily", 6.0).await;
    running.until_refused("daily_of_address", 12.0).await;
    running.server.stop().await.unwrap();
    let grown = taken() - before;
    let quota = ADDRESSES.len() as u64 * 4 * MIB;
    // What is written, in pages of a tree that are not full, and the log of the newest commands.
    assert!(grown > quota / 2 && grown < 2 * quota + 8 * MIB, "{grown} bytes of {quota}");
}
