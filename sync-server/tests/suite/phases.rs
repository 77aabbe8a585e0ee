//! Every phase of a connection has its end, and what ends there is counted under its reason: whoever
//! holds a phase open, or says in it what nobody may, costs nobody else a place.

use std::time::Duration;

use futures_util::SinkExt as _;
use sync_protocol::address::Address;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{Answer, ClientFrame, Op, RelayFrame, Request};
use sync_protocol::limits;
use sync_server::refusals::Refused;
use sync_server::relay::{Registration, SessionId};
use sync_server::rules::TokenHash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::support::running::{Running, counting as start, self_signed};
use crate::support::socket::{Socket, connect_from, read_all};
use crate::support::{Device, push, space};
use crate::world::World;

const CROWD: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

/// A frame as browsers send it: masked, with these first bits and this payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(0x80 | short as u8),
        Ok(long) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&long.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

async fn open(running: &Running, seed: u64) -> Socket {
    let address = running.server.address();
    Socket::open_from(CROWD, address, &mut Device::new(seed)).await.unwrap()
}

/// What a socket is told in the end.
async fn goodbye(socket: &mut Socket) -> Option<Rejection> {
    loop {
        match socket.next().await? {
            RelayFrame::Goodbye { reason } => return Some(reason),
            _ => continue,
        }
    }
}

#[tokio::test]
async fn a_message_that_does_not_come_to_its_end_ends_its_socket() {
    let running = start(|config| config.limits.message_timeout_ms = 300).await;
    let mut socket = open(&running, 1).await;
    // A byte at a time: each is in time by itself.
    let trickles = async {
        while socket.ws.send(Message::Binary(vec![1, 7].into())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    trickles.await;
    running.until_refused("deadline", 1.0).await;
    // One that never ends, and nothing more.
    let mut half = open(&running, 2).await;
    half.ws.send(Message::Binary(vec![1; limits::PART].into())).await.unwrap();
    assert_eq!(goodbye(&mut half).await, Some(Rejection::Invalid));
    // One that takes its time between messages is at home here.
    let mut slow = open(&running, 3).await;
    for id in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let asks = ClientFrame::Request(Request { id, op: Op::CountKeyPackages });
        slow.send(&asks).await.unwrap();
    }
    running.until_refused("deadline", 2.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn frames_that_no_device_sends_end_their_socket_and_are_counted() {
    let running = start(|_| {}).await;
    let compressed = frame(0xc2, b"\x01\x02\x03");
    let unknown = frame(0x83, b"");
    let long_ping = frame(0x89, &[7; 126]);
    let continues_nothing = frame(0x80, b"abc");
    let over_long = frame(0x82, &vec![1; limits::PART + 1]);
    let bare = vec![0x82, 3, 1, 2, 3];
    let text = frame(0x81, b"hello");
    let no_part = frame(0x82, b"");
    let empty_part = frame(0x82, b"\x01");
    let unknown_part = frame(0x82, b"\x02abc");
    let no_frame = frame(0x82, b"\x00\xff\xff");
    let all = [
        compressed,
        unknown,
        long_ping,
        continues_nothing,
        over_long,
        bare,
        text,
        no_part,
        empty_part,
        unknown_part,
        no_frame,
    ];
    let count = all.len();
    for (n, bytes) in all.into_iter().enumerate() {
        let mut socket = open(&running, n as u64).await;
        socket.ws.get_mut().write_all(&bytes).await.unwrap();
        let told = goodbye(&mut socket).await;
        assert!(matches!(told, Some(Rejection::Invalid)), "{n}: {told:?}");
    }
    running.until_refused("malformed", count as f64).await;
    assert!(running.lets_in(OTHER, 100).await);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_device_that_breaks_off_is_no_attack() {
    let running = start(|_| {}).await;
    for seed in 0..5 {
        drop(open(&running, seed).await);
    }
    let name = "relay_sessions ";
    // All five came, and all are gone.
    while running.metric(name).await > 0.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for reason in ["malformed", "deadline", "slow"] {
        let name = format!("relay_refusals_total{{reason=\"{reason}\"}}");
        assert_eq!(running.metric(&name).await, 0.0, "{reason}");
    }
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_in_empty_fragments_is_held_open_by_nobody_before_a_hello() {
    let running = start(|config| config.limits.hello_timeout_ms = 500).await;
    let mut socket = Socket::dial_from(CROWD, running.server.address()).await.unwrap();
    socket.challenge().await.unwrap();
    let stream = socket.ws.get_mut();
    stream.write_all(&frame(0x02, b"")).await.unwrap();
    // It goes on until the relay closes, although each frame is a good one.
    let empty = frame(0x00, b"").repeat(256);
    while stream.write_all(&empty).await.is_ok() {}
    running.until_refused("deadline", 1.0).await;
    assert!(running.lets_in(OTHER, 1).await);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn requests_that_are_none_are_told_and_counted() {
    let running = start(|_| {}).await;
    let address = running.server.address();
    let large = format!("GET / HTTP/1.1\r\nHost: relay\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let body = "POST /v1/socket HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "GET / HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let all = [
        (large.as_bytes(), "HTTP/1.1 431"),
        (body.as_bytes(), "HTTP/1.1 413"),
        (chunked.as_bytes(), "HTTP/1.1 413"),
        (b"\x16\x03\x01\x00\x05hello\r\n\r\n".as_slice(), "HTTP/1.1 400"),
    ];
    for (bytes, expected) in all {
        let mut stream = connect_from(CROWD, address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let answer = read_all(stream).await;
        assert!(answer.starts_with(expected), "{expected}: {answer}");
    }
    running.until_refused("malformed", 4.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn tls_that_comes_to_nothing_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = self_signed(folder.path());
    let running = start(|config| {
        (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
        config.operate = Some(([127, 0, 0, 1], 0).into());
        config.limits.handshake_timeout_ms = 400;
    })
    .await;
    let address = running.server.address();
    // Nothing, half of a hello, and what is none.
    let silent = connect_from(CROWD, address).await.unwrap();
    let mut half = connect_from(CROWD, address).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
    for stream in [silent, half] {
        assert_eq!(read_all(stream).await, "");
    }
    let mut none = connect_from(CROWD, address).await.unwrap();
    none.write_all(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = none.read_to_end(&mut answer).await;
    running.until_refused("deadline", 2.0).await;
    running.until_refused("malformed", 1.0).await;
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_tried_before_a_hello_has_an_end_and_is_counted() {
    let running = start(|_| {}).await;
    let address = running.server.address();
    let mut asks = Socket::dial_from(CROWD, address).await.unwrap();
    asks.challenge().await.unwrap();
    let mut refused = 0;
    for id in 0..12 {
        let op = Op::Lookup { address: Address::exactly("nobody").unwrap() };
        asks.send(&ClientFrame::Request(Request { id, op })).await.unwrap();
        match asks.next().await.unwrap() {
            RelayFrame::Reply(reply) => {
                refused += u32::from(reply.answer == Answer::Refused(Rejection::Quota));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 4);
    // A hello of somebody else's, and many hellos on one socket.
    let mut lies = Socket::dial_from(CROWD, address).await.unwrap();
    let challenge = lies.challenge().await.unwrap();
    let (ada, mallory) = (Device::new(1), Device::new(2));
    let mut hello = ada.hello(&challenge);
    mallory.sign(&challenge, &mut hello);
    lies.send(&ClientFrame::Hello(hello)).await.unwrap();
    assert_eq!(goodbye(&mut lies).await, Some(Rejection::Denied));
    let mut again = Socket::dial_from(CROWD, address).await.unwrap();
    let challenge = again.challenge().await.unwrap();
    let hello = ClientFrame::Hello(mallory.hello(&challenge));
    for _ in 0..50 {
        let _ = again.send(&hello).await;
    }
    assert_eq!(goodbye(&mut again).await, Some(Rejection::Invalid));
    running.until_refused("early", 4.0).await;
    running.until_refused("unproven", 1.0).await;
    running.until_refused("malformed", 1.0).await;
    running.server.stop().await.unwrap();
}

/// How often something was refused for a reason.
fn refused(world: &World, reason: Refused) -> u64 {
    world.relay.refusals().of(reason)
}

fn says_hello(world: &mut World, device: &Device, token: Option<&str>) -> SessionId {
    let (session, challenge) = world.dial();
    if let Some(token) = token {
        world.relay.present(session, TokenHash::of(token));
    }
    world.send(session, ClientFrame::Hello(device.hello(&challenge)));
    world.commit();
    session
}

#[test]
fn who_is_not_let_in_is_counted_under_why() {
    let mut world = World::new();
    let mut ada = Device::new(1);
    let at = world.connect(&mut ada);
    for (n, registration) in (2..).zip([Registration::Closed, Registration::Token]) {
        world.relay.set_registration(registration);
        let at = says_hello(&mut world, &Device::new(n), None);
        assert_eq!(world.closed[&at], Rejection::Denied);
    }
    let guessed = says_hello(&mut world, &Device::new(4), Some("guessed"));
    assert_eq!(world.closed[&guessed], Rejection::Denied);
    assert_eq!(refused(&world, Refused::Registration), 3);
    world.relay.set_full(true);
    let founding = ada.found(space(1));
    world.send(at, push(space(1), vec![founding]));
    world.commit();
    assert_eq!(refused(&world, Refused::Full), 1);
    let address = Address::exactly("ada").unwrap();
    let full = world.ask(at, Op::ClaimAddress { address });
    assert!(matches!(full, Answer::Refused(Rejection::Full { .. })), "{full:?}");
    assert_eq!(refused(&world, Refused::Full), 2);
}
