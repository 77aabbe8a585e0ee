//! Strangers at the socket: what one client address does, another does not feel, and it is told why
//! and counted.

use std::time::Duration;

use sync_protocol::address::Address;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, MeetEvent, MeetStep, Op, RelayFrame, Request};
use sync_protocol::ids::{RendezvousId, SpaceId};
use sync_server::config::Config;
use sync_server::peers::{Proxy, Says};
use sync_server::relay::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::running::{Running, counting as start};
use crate::support::socket::{Socket, connect_from, read_all};
use crate::support::{Device, add, push, space};

const CROWD: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

/// What a connection is answered that asks for nothing but its place.
async fn turned_away(running: &Running, from: [u8; 4]) -> String {
    let mut stream = connect_from(from, running.server.address()).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(ask).await;
    read_all(stream).await
}

#[tokio::test]
async fn one_address_takes_its_places_and_leaves_the_rest() {
    let running = start(|config| {
        config.max_connections = 100;
        config.limits.connections_per_address = 20;
    })
    .await;
    let address = running.server.address();
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(connect_from(CROWD, address).await.unwrap());
    }
    // The listener takes connections in their order: by this answer it has all of them.
    let answer = turned_away(&running, CROWD).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("this address"), "{answer}");
    for n in 0..10 {
        assert!(running.lets_in(OTHER, n).await);
    }
    running.until_refused("connections_of_address", 1.0).await;
    drop(held);
    while !running.lets_in(CROWD, 50).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn one_address_comes_at_its_pace() {
    let running = start(|config| {
        config.limits.connects_per_address_per_s = 1;
        config.limits.connects_per_address_at_once = 30;
    })
    .await;
    let mut too_fast = 0;
    while too_fast < 5 {
        let answer = turned_away(&running, CROWD).await;
        too_fast += u32::from(answer.starts_with("HTTP/1.1 429") && answer.contains("at once"));
    }
    assert!(running.lets_in(OTHER, 1).await);
    running.until_refused("connects_of_address", 5.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn one_connection_asks_at_its_addresss_pace() {
    let running = start(|config| {
        config.limits.http_requests_per_address_per_s = 1;
        config.limits.http_requests_per_address_at_once = 50;
    })
    .await;
    let mut stream = connect_from(CROWD, running.server.address()).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n";
    let _ = stream.write_all(&ask.repeat(200)).await;
    let answers = read_all(stream).await;
    let answered = answers.matches("HTTP/1.1 200").count();
    assert!((50..100).contains(&answered) && answers.contains("HTTP/1.1 429"), "{answered}");
    assert!(running.lets_in(OTHER, 1).await);
    running.until_refused("requests_of_address", 1.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn where_there_is_no_place_at_all_that_is_said() {
    let running = start(|config| config.max_connections = 3).await;
    let mut held = Vec::new();
    for n in 4..7 {
        held.push(Socket::dial_from([127, 0, 0, n], running.server.address()).await.unwrap());
    }
    let answer = turned_away(&running, OTHER).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("no place"), "{answer}");
    drop(held);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn addresses_that_take_all_places_make_room_for_whoever_comes() {
    let running = start(|config| config.max_connections = 12).await;
    let address = running.server.address();
    let mut held = Vec::new();
    // Half of them have said hello, and half are requests that have not come to their end.
    for seed in 0..12 {
        let from = if seed < 6 { CROWD } else { [127, 0, 0, 4] };
        let mut device = Device::new(100 + seed);
        held.push(match seed % 2 {
            0 => Ok(Socket::open_from(from, address, &mut device).await.unwrap()),
            _ => Err(connect_from(from, address).await.unwrap()),
        });
    }
    let mut inside = Vec::new();
    for seed in 0..6 {
        let mut device = Device::new(seed);
        let from = [127, 0, 0, 10 + seed as u8];
        inside.push(Socket::open_from(from, address, &mut device).await.unwrap());
    }
    running.until_refused("connections", 6.0).await;
    for socket in &mut inside {
        let asks = ClientFrame::Request(Request { id: 1, op: Op::CountKeyPackages });
        socket.send(&asks).await.unwrap();
        while !matches!(socket.next().await.unwrap(), RelayFrame::Reply(_)) {}
    }
    drop(held);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn sockets_that_say_nothing_keep_nobody_out_not_even_their_own_neighbours() {
    let running = start(|config| {
        config.limits.unauthenticated_sessions = 40;
        config.limits.unauthenticated_per_address = 30;
    })
    .await;
    let mut silent = Vec::new();
    for n in 0..60 {
        let from = if n % 3 == 0 { [127, 0, 0, 4] } else { CROWD };
        silent.push(Socket::dial_from(from, running.server.address()).await.unwrap());
    }
    for n in 0..20 {
        assert!(running.lets_in(OTHER, n).await);
        assert!(running.lets_in(CROWD, 100 + n).await);
    }
    let mut told = 0;
    for socket in &mut silent {
        socket.challenge().await.unwrap();
        if let Some(RelayFrame::Goodbye { reason }) = socket.next().await {
            told += u64::from(matches!(reason, Rejection::Unavailable { .. }));
        }
    }
    assert!(told >= 20, "{told}");
    running.until_refused("unauthenticated", 20.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_gone_after_a_while_and_so_is_who_asks_for_ever() {
    let running = start(|config| {
        config.limits.http_requests_per_address_per_s = 0;
        config.limits.write_timeout_ms = 300;
        config.limits.http_timeout_ms = 1_500;
        config.limits.handshake_timeout_ms = 700;
    })
    .await;
    let address = running.server.address();
    let ask = b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n";
    // Writes until the relay, whose answers are not read, reads no more and ends it.
    let mut deaf = connect_from(CROWD, address).await.unwrap();
    let flood = ask.repeat(64);
    while deaf.write_all(&flood).await.is_ok() {}
    // Reads, and asks on and on.
    let mut busy = connect_from(CROWD, address).await.unwrap();
    let mut some = [0; 4_096];
    while busy.write_all(ask).await.is_ok() && busy.read(&mut some).await.is_ok_and(|n| n > 0) {}
    // Says nothing, a byte at a time, or half a body.
    let silent = connect_from(CROWD, address).await.unwrap();
    assert_eq!(read_all(silent).await, "");
    let mut half = connect_from(CROWD, address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    read_all(half).await;
    let mut body = connect_from(CROWD, address).await.unwrap();
    let head = b"POST /healthz HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n\r\nx";
    body.write_all(head).await.unwrap();
    assert!(read_all(body).await.starts_with("HTTP/1.1 413"));
    // The deaf, the busy, the silent, and half a head.
    running.until_refused("deadline", 4.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_ping_flood_ends() {
    use futures_util::SinkExt as _;
    use tokio_tungstenite::tungstenite::Message;
    let running = start(|_| {}).await;
    let mut socket = Socket::dial_from(CROWD, running.server.address()).await.unwrap();
    socket.challenge().await.unwrap();
    while socket.ws.send(Message::Ping(vec![7; 100].into())).await.is_ok() {}
    running.server.stop().await.unwrap();
}

fn rendezvous(n: u8) -> ClientFrame {
    let rendezvous = RendezvousId::from_bytes([n; 16]);
    ClientFrame::Meet { rendezvous, step: MeetStep::Open }
}

async fn opens(running: &Running, from: [u8; 4], n: u8) -> (Socket, MeetEvent) {
    let mut socket = Socket::dial_from(from, running.server.address()).await.unwrap();
    socket.challenge().await.unwrap();
    socket.send(&rendezvous(n)).await.unwrap();
    match socket.next().await.unwrap() {
        RelayFrame::Met { event, .. } => (socket, event),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rendezvous_of_one_address_leave_room_for_others() {
    let running = start(|config| config.limits.rendezvous_per_address_per_hour = 5).await;
    let mut held = Vec::new();
    for n in 0..8 {
        let (socket, event) = opens(&running, CROWD, n).await;
        match event {
            MeetEvent::Opened => assert!(n < 5),
            MeetEvent::Ended(Rejection::Rate { retry_ms }) => assert!(n >= 5 && retry_ms > 0),
            other => panic!("{other:?}"),
        }
        held.push(socket);
    }
    assert_eq!(opens(&running, OTHER, 20).await.1, MeetEvent::Opened);
    running.until_refused("rendezvous_of_address", 3.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn accounts_are_no_way_around_the_rendezvous_of_one_address() {
    let running = start(|config| config.limits.rendezvous_per_address_per_hour = 6).await;
    let address = running.server.address();
    let meet = |n, step| ClientFrame::Meet { rendezvous: RendezvousId::from_bytes([n; 16]), step };
    let (mut opened, mut refused) = (0, 0);
    for account in 0..5 {
        // Two sessions of each: one opens, one comes. Left, the id stays used for two minutes.
        let mut device = Device::new(u64::from(account));
        let mut opens = Socket::open_from(CROWD, address, &mut device).await.unwrap();
        device.incarnation += 1;
        device.fence = 0;
        let mut comes = Socket::open_from(CROWD, address, &mut device).await.unwrap();
        for n in 10 * account..10 * account + 2 {
            opens.send(&meet(n, MeetStep::Open)).await.unwrap();
            match event(&mut opens).await {
                MeetEvent::Opened => opened += 1,
                MeetEvent::Ended(Rejection::Rate { .. }) => {
                    refused += 1;
                    continue;
                }
                other => panic!("{other:?}"),
            }
            comes.send(&meet(n, MeetStep::Join)).await.unwrap();
            assert_eq!(event(&mut comes).await, MeetEvent::Joined);
            assert_eq!(event(&mut opens).await, MeetEvent::Joined);
            opens.send(&meet(n, MeetStep::Leave)).await.unwrap();
            assert_eq!(event(&mut comes).await, MeetEvent::Ended(Rejection::Denied));
        }
    }
    assert_eq!((opened, refused), (6, 4));
    assert_eq!(opens(&running, OTHER, 99).await.1, MeetEvent::Opened);
    running.until_refused("rendezvous_of_address", 4.0).await;
    running.server.stop().await.unwrap();
}

/// What a session hears of a rendezvous next.
async fn event(socket: &mut Socket) -> MeetEvent {
    loop {
        match socket.next().await.unwrap() {
            RelayFrame::Met { event, .. } => return event,
            RelayFrame::Delivery(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn accounts_and_questions_of_one_address_come_at_its_rate() {
    let running = start(|config| {
        config.limits.sign_ups_per_address_per_hour = 3;
        config.limits.early_requests_per_address_per_s = 1;
    })
    .await;
    let address = running.server.address();
    let mut known = Device::new(0);
    let mut answers = Vec::new();
    for n in 0..5 {
        let mut device = if n == 0 { known.clone() } else { Device::new(n) };
        answers.push(Socket::open_from(CROWD, address, &mut device).await.err().flatten());
        if n == 0 {
            known = device;
        }
    }
    assert_eq!(answers[..3], [None, None, None]);
    for refused in &answers[3..] {
        assert!(matches!(refused, Some(Rejection::Rate { retry_ms }) if *retry_ms > 1_000_000));
    }
    assert!(running.lets_in(OTHER, 50).await);
    assert!(Socket::open_from(CROWD, address, &mut known).await.is_ok());

    let mut asked = [0, 0];
    for (count, from) in asked.iter_mut().zip([CROWD, OTHER]) {
        for _ in 0..if from == CROWD { 4 } else { 1 } {
            let mut socket = Socket::dial_from(from, address).await.unwrap();
            socket.challenge().await.unwrap();
            for id in 0..8 {
                let op = Op::Lookup { address: Address::exactly("nobody").unwrap() };
                socket.send(&ClientFrame::Request(Request { id, op })).await.unwrap();
                match socket.next().await.unwrap() {
                    RelayFrame::Reply(reply) => {
                        *count += u32::from(reply.answer == Answer::Refused(Rejection::NotFound));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    // A second or two may have gone by.
    assert!(asked[0] < 20 && asked[1] == 8, "{asked:?}");
    running.until_refused("sign_ups_of_address", 2.0).await;
    running.until_refused("early_requests_of_address", 10.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn hellos_of_one_address_come_at_its_rate() {
    let running = start(|config| {
        config.limits.hellos_per_address_per_s = 1;
        config.limits.hellos_per_address_at_once = 10;
    })
    .await;
    let mut device = Device::new(1);
    let mut refused = 0;
    while refused == 0 {
        let opened = Socket::open_from(CROWD, running.server.address(), &mut device).await;
        match opened {
            Ok(_) => {}
            Err(Some(Rejection::Rate { .. })) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(running.lets_in(OTHER, 2).await);
    running.until_refused("hellos_of_address", 1.0).await;
    running.server.stop().await.unwrap();
}

fn behind(says: Says) -> impl FnOnce(&mut Config) {
    move |config| {
        let trusted = vec!["127.0.0.0/8".parse().unwrap()];
        config.proxies = vec![Proxy { trusted, says }];
        config.limits.connections_per_address = 2;
    }
}

/// Asks for a socket, and says for whom.
async fn upgrade(running: &Running, before: &[u8], header: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(running.server.address()).await.unwrap();
    let head = format!(
        "GET /v1/socket HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{header}\r\n"
    );
    stream.write_all(&[before, head.as_bytes()].concat()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    let status = String::from_utf8_lossy(&status[9..]).into_owned();
    (stream, status)
}

#[tokio::test]
async fn behind_a_proxy_everybody_is_counted_for_themselves() {
    let running = start(behind(Says::XForwardedFor)).await;
    let mut held = Vec::new();
    for (named, expected) in [
        ("192.0.2.1", "101"),
        ("203.0.113.7, 192.0.2.1", "101"),
        ("203.0.113.8, 192.0.2.1", "429"),
        ("192.0.2.2", "101"),
        ("2001:db8::1", "101"),
    ] {
        let (stream, status) =
            upgrade(&running, b"", &format!("X-Forwarded-For: {named}\r\n")).await;
        assert_eq!(status, expected, "{named}");
        held.push(stream);
    }
    running.until_refused("connections_of_address", 1.0).await;
    running.server.stop().await.unwrap();
}

fn preface(source: [u8; 4]) -> Vec<u8> {
    let mut said = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    said.extend_from_slice(&source);
    said.extend_from_slice(&[10, 0, 0, 1, 0, 80, 0, 80]);
    said
}

#[tokio::test]
async fn a_proxy_that_speaks_first_is_heard_and_must_speak() {
    let running = start(behind(Says::ProxyProtocol)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(upgrade(&running, &preface([192, 0, 2, 1]), "").await);
    }
    held.push(upgrade(&running, &preface([192, 0, 2, 1]), "").await);
    held.push(upgrade(&running, &preface([192, 0, 2, 2]), "").await);
    let statuses: Vec<_> = held.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["101", "101", "429", "101"]);
    // A health check of the proxy itself, and somebody who says nothing of the kind.
    let mut check = TcpStream::connect(running.server.address()).await.unwrap();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET /healthz HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n";
    check.write_all(local).await.unwrap();
    assert!(read_all(check).await.starts_with("HTTP/1.1 200"));
    let mut bare = TcpStream::connect(running.server.address()).await.unwrap();
    bare.write_all(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n").await.unwrap();
    assert_eq!(read_all(bare).await, "");
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn pages_of_other_hosts_open_no_sockets() {
    let running = start(|config| config.origins = vec!["https://app.example".to_owned()]).await;
    for (origin, expected) in [
        ("https://evil.example", "403"),
        ("https://app.example", "101"),
        ("https://relay", "101"),
        ("http://localhost:5173", "101"),
    ] {
        let (_, status) = upgrade(&running, b"", &format!("Origin: {origin}\r\n")).await;
        assert_eq!(status, expected, "{origin}");
    }
    running.until_refused("origin", 1.0).await;
    running.server.stop().await.unwrap();
}

/// A socket that asks and asks, and reads nothing of what it is answered.
async fn never_reads(socket: &mut Socket) {
    use futures_util::SinkExt as _;
    use tokio_tungstenite::tungstenite::Message;
    let ask = ClientFrame::Request(Request { id: 1, op: Op::CountKeyPackages }).to_bytes();
    let part: Vec<u8> = sync_protocol::codec::parts(&ask).next().unwrap();
    for _ in 0..20_000 {
        // Where nothing is read from it any more, nothing more goes out.
        let sent = socket.ws.send(Message::Binary(part.clone().into()));
        if tokio::time::timeout(Duration::from_millis(500), sent).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn sockets_that_do_not_read_take_little_memory_and_others_go_on() {
    let running = start(|config| config.limits.requests_per_s = 0).await;
    let address = running.server.address();
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..10 {
        let mut device = Device::new(100 + seed);
        let mut socket = Socket::open_from(CROWD, address, &mut device).await.unwrap();
        tasks.spawn(async move {
            never_reads(&mut socket).await;
            socket
        });
    }
    let mut honest = Device::new(1);
    let mut socket = Socket::open_from(OTHER, address, &mut honest).await.unwrap();
    let founding = honest.found(space(1));
    socket.send(&push(space(1), vec![founding])).await.unwrap();
    while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
    let deaf: Vec<_> = tasks.join_all().await;
    let most = running.metric("relay_queued_bytes ").await;
    assert!(most < 10.0 * 700_000.0, "{most}");
    assert_eq!(deaf.len(), 10);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn messages_that_never_end_count_as_memory_too() {
    use futures_util::SinkExt as _;
    use sync_protocol::limits;
    use tokio_tungstenite::tungstenite::Message;
    let running = start(|config| config.limits.queued_mib = 2).await;
    let address = running.server.address();
    let mut part = vec![0; limits::PART];
    part[0] = 1;
    let mut endless = Vec::new();
    for seed in 0..8 {
        let mut device = Device::new(100 + seed);
        let mut socket = Socket::open_from(CROWD, address, &mut device).await.unwrap();
        for _ in 0..100 {
            let _ = socket.ws.send(Message::Binary(part.clone().into())).await;
        }
        endless.push(socket);
    }
    running.until_refused("memory", 1.0).await;
    assert!(running.lets_in(OTHER, 1).await);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_session_has_to_catch_up_with_counts_as_memory_too() {
    let running = start(|config| {
        config.limits = Settings {
            queued_mib: 1,
            foundings_per_s: 0,
            work_us_per_s: 0,
            work_us_per_address_per_s: 0,
            ..Settings::default()
        };
    })
    .await;
    let address = running.server.address();
    let (mut ada, mut mallory) = (Device::new(1), Device::new(2));
    let mut honest = Socket::open_from(OTHER, address, &mut ada).await.unwrap();
    let mut at = Socket::open_from(CROWD, address, &mut mallory).await.unwrap();
    for round in 0..40u32 {
        for n in 0..250 {
            let mut id = [7; 32];
            id[..4].copy_from_slice(&(round * 250 + n).to_be_bytes());
            let id = SpaceId::from_bytes(id);
            let founding = mallory.found(id);
            at.send(&push(id, vec![founding])).await.unwrap();
        }
        let mut waits = 250;
        while waits > 0 {
            waits -= usize::from(matches!(at.next().await.unwrap(), RelayFrame::Stored(_)));
        }
    }
    drop(at);
    assert_eq!(running.metric("relay_refusals_total{reason=\"memory\"}").await, 0.0);
    // It comes from the start, and takes nothing in.
    let _deaf = Socket::open_from(CROWD, address, &mut mallory).await.unwrap();
    running.until_refused("memory", 1.0).await;
    let founding = ada.found(space(1));
    honest.send(&push(space(1), vec![founding])).await.unwrap();
    while !matches!(honest.next().await.unwrap(), RelayFrame::Stored(_)) {}
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn above_the_ceiling_the_costliest_sessions_end_first() {
    let running = start(|config| {
        config.limits = Settings { queued_mib: 6, ..Settings::default() };
    })
    .await;
    let address = running.server.address();
    let mut ada = Device::new(1);
    let mut writer = Socket::open_from(OTHER, address, &mut ada).await.unwrap();
    let (mut deaf, mut roster) = (Vec::new(), Vec::new());
    for seed in 10..40 {
        let mut device = Device::new(seed);
        let mut socket = Socket::open_from(CROWD, address, &mut device).await.unwrap();
        // More than any buffer of the system's holds.
        let credit = ClientFrame::Credit { bytes: u64::MAX };
        socket.send(&credit).await.unwrap();
        roster.push(add(&device));
        deaf.push(socket);
    }
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, roster)];
    writer.send(&push(space(1), start)).await.unwrap();
    // What is on its way from her counts too: less than a deaf one's share of the ceiling.
    ada.payload = 40_000;
    for _ in 0..400 {
        let content = ada.content(space(1), 2);
        writer.send(&push(space(1), vec![content])).await.unwrap();
    }
    let (mut stored, mut ended) = (0, false);
    while stored < ada.seq(space(1)) || !ended {
        for socket in &mut deaf {
            // What a device grants without having read anything. The system takes some of what is sent
            // for it, and nobody knows how much: they grant until the relay has had enough.
            let _ = socket.send(&ClientFrame::Credit { bytes: 300_000 }).await;
        }
        match tokio::time::timeout(Duration::from_millis(50), writer.next()).await {
            Ok(Some(RelayFrame::Stored(runs))) => {
                stored = runs.runs.iter().map(|run| run.seq + run.count - 1).max().unwrap();
            }
            Ok(Some(RelayFrame::Goodbye { reason })) => panic!("{reason}"),
            Ok(other) => assert!(other.is_some(), "she is connected"),
            Err(_) => {}
        }
        ended |= running.metric("relay_refusals_total{reason=\"memory\"}").await > 0.0;
    }
    running.server.stop().await.unwrap();
}
