//! The relay over real sockets: peers that are slow, endless, silent or not devices at all.

use std::time::Duration;

use futures_util::SinkExt as _;
use sync_protocol::codec::Blob;
use sync_protocol::error::Rejection;
use sync_protocol::frames::{ClientFrame, MeetEvent, MeetStep, RelayFrame};
use sync_protocol::ids::RendezvousId;
use sync_protocol::limits;
use sync_server::config::Config;
use sync_server::relay::Settings;
use sync_server::server::{Server, ServerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_tungstenite::tungstenite::Message;

use crate::support::running::{Running, self_signed, start};
use crate::support::socket::Socket;
use crate::support::{Device, add, push, space};

async fn get(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn until_goodbye(socket: &mut Socket) -> Option<Rejection> {
    while let Some(frame) = socket.next().await {
        if let RelayFrame::Goodbye { reason } = frame {
            return Some(reason);
        }
    }
    None
}

#[tokio::test]
async fn health_and_metrics_speak_in_numbers_only() {
    let running = start(|_| {}).await;
    let mut device = Device::new(1);
    let mut socket = Socket::open(running.server.address(), &mut device).await.unwrap();
    let founding = device.found(space(1));
    socket.send(&push(space(1), vec![founding])).await.unwrap();
    while !matches!(socket.next().await, Some(RelayFrame::Stored(_))) {}
    assert!(get(&running, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/readyz").await.contains("ready"));
    let metrics = get(&running, "/metrics").await;
    assert!(metrics.contains("relay_commit_seconds"), "{metrics}");
    for secret in [device.account.to_string(), device.id.to_string(), space(1).to_string()] {
        assert!(!metrics.contains(&secret));
    }
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_push_that_is_too_large_is_refused_and_the_session_goes_on() {
    let running = start(|_| {}).await;
    let mut ada = Device::new(1);
    let mut socket = Socket::open(running.server.address(), &mut ada).await.unwrap();
    let founding = ada.found(space(1));
    socket.send(&push(space(1), vec![founding.clone()])).await.unwrap();
    let too_large = Blob(vec![7; limits::MESSAGE]);
    socket.send(&push(space(1), vec![founding, too_large])).await.unwrap();
    let content = ada.content(space(1), 1);
    socket.send(&push(space(1), vec![content])).await.unwrap();
    let (mut refused, mut seqs) = (Vec::new(), Vec::new());
    while seqs.len() < 2 {
        match socket.next().await.unwrap() {
            RelayFrame::Refused { space, seq, reason } => refused.push((space, seq, reason)),
            RelayFrame::Stored(stored) => seqs.extend(stored.runs.iter().map(|run| run.seq)),
            _ => {}
        }
    }
    let limit = limits::MESSAGE as u64;
    assert_eq!(refused, [(space(1), 0, Rejection::TooLarge { limit })]);
    assert_eq!(seqs, [0, 1]);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn oversized_endless_and_foreign_messages_end_their_session_alone() {
    let running = start(|_| {}).await;
    let address = running.server.address();
    let mut honest = Device::new(1);
    let mut good = Socket::open(address, &mut honest).await.unwrap();

    let mut endless = Socket::dial(address).await.unwrap();
    endless.challenge().await.unwrap();
    let mut part = vec![0; limits::PART];
    part[0] = 1;
    for _ in 0..=limits::MESSAGE_UNAUTHENTICATED / limits::PART + 1 {
        let _ = endless.ws.send(Message::Binary(part.clone().into())).await;
    }
    let limit = limits::MESSAGE_UNAUTHENTICATED as u64;
    assert_eq!(until_goodbye(&mut endless).await, Some(Rejection::TooLarge { limit }));

    let mut noise = Socket::dial(address).await.unwrap();
    noise.ws.send(Message::Binary(vec![0, 0xff, 0xff].into())).await.unwrap();
    assert_eq!(until_goodbye(&mut noise).await, Some(Rejection::Invalid));

    let mut text = Socket::dial(address).await.unwrap();
    text.ws.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(until_goodbye(&mut text).await, Some(Rejection::Invalid));

    let mut large = Socket::dial(address).await.unwrap();
    large.ws.send(Message::Binary(vec![0; 100_000].into())).await.unwrap();
    while large.next().await.is_some() {}

    let founding = honest.found(space(1));
    good.send(&push(space(1), vec![founding])).await.unwrap();
    while !matches!(good.next().await, Some(RelayFrame::Stored(_))) {}
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_never_reads_delays_nobody() {
    let running = start(|_| {}).await;
    let address = running.server.address();
    let (mut ada, mut bob, mut eve) = (Device::new(1), Device::new(2), Device::new(3));
    let deaf = Socket::open(address, &mut bob).await.unwrap();
    let mut listener = Socket::open(address, &mut eve).await.unwrap();
    let mut writer = Socket::open(address, &mut ada).await.unwrap();
    let start = vec![ada.found(space(1)), ada.handshake(space(1), 1, vec![add(&bob), add(&eve)])];
    writer.send(&push(space(1), start)).await.unwrap();
    ada.payload = 30_000;
    let total = 100u64;
    let mut confirmed = 0;
    for _ in 0..total {
        let set = ada.content(space(1), 2);
        writer.send(&push(space(1), vec![set])).await.unwrap();
    }
    while confirmed < total {
        if let Some(RelayFrame::Stored(stored)) = writer.next().await {
            confirmed = stored.runs.iter().map(|run| run.seq + run.count - 1).max().unwrap();
        }
    }
    let mut heard = 0;
    while heard < total {
        let Some(frame) = listener.next().await else { panic!("closed") };
        if let RelayFrame::Delivery(delivery) = frame {
            listener.send(&ClientFrame::Credit { bytes: delivery.cost() }).await.unwrap();
            if let sync_protocol::frames::Delivery::Entries(entries) = delivery {
                heard = entries.first + entries.entries.len() as u64 - 2;
            }
        }
    }
    drop(deaf);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn sockets_without_a_hello_are_limited_and_closed() {
    let running = start(|config| {
        config.max_connections = 40;
        config.limits = Settings {
            unauthenticated_sessions: 5,
            hello_timeout_ms: 1_500,
            ..Settings::default()
        };
    })
    .await;
    let address = running.server.address();
    let mut silent = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::dial(address).await.unwrap();
        socket.challenge().await.unwrap();
        silent.push(socket);
    }
    // Who comes then takes the place of the one that has waited longest.
    let mut late = Socket::dial(address).await.unwrap();
    late.challenge().await.unwrap();
    let reason = until_goodbye(&mut silent[0]).await;
    assert!(matches!(reason, Some(Rejection::Unavailable { .. })));
    silent[0] = late;
    for socket in &mut silent {
        assert_eq!(until_goodbye(socket).await, Some(Rejection::Invalid));
    }
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    drop((idle, silent));
    let mut device = Device::new(1);
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    let open = loop {
        if let Some(socket) = Socket::open(address, &mut device).await {
            break socket;
        }
        assert!(tokio::time::Instant::now() < patience, "places never came back");
    };
    drop(open);
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_device_meets_its_primary_before_it_says_hello() {
    let running = start(|config| config.limits.hello_timeout_ms = 1_500).await;
    let address = running.server.address();
    let rendezvous = RendezvousId::from_bytes([3; 16]);
    let step = |step| ClientFrame::Meet { rendezvous, step };
    let mut new = Socket::dial(address).await.unwrap();
    new.challenge().await.unwrap();
    new.send(&step(MeetStep::Open)).await.unwrap();
    assert_eq!(met(&mut new).await, MeetEvent::Opened);
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    let mut primary = Socket::open(address, &mut Device::new(1)).await.unwrap();
    primary.send(&step(MeetStep::Join)).await.unwrap();
    assert!(matches!(met(&mut new).await, MeetEvent::Joined));
    assert!(matches!(met(&mut primary).await, MeetEvent::Joined));
    let largest = Blob(vec![9; limits::RENDEZVOUS_MESSAGE]);
    new.send(&step(MeetStep::Say(largest.clone()))).await.unwrap();
    assert_eq!(met(&mut primary).await, MeetEvent::Said(largest));
    drop(new);
    assert_eq!(met(&mut primary).await, MeetEvent::Ended(Rejection::Denied));
    running.server.stop().await.unwrap();
}

async fn met(socket: &mut Socket) -> MeetEvent {
    loop {
        if let RelayFrame::Met { event, .. } = socket.next().await.unwrap() {
            return event;
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_a_name() {
    let running = start(|_| {}).await;
    let data = tempfile::tempdir().unwrap();
    let config = Config {
        listen: running.server.address(),
        data: data.path().to_owned(),
        ..Config::default()
    };
    let error = Server::start(&config).await.unwrap_err();
    assert!(matches!(error, ServerError::AddressInUse(_)), "{error}");
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn wss_works_and_half_a_tls_configuration_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    let (cert, key) = self_signed(data.path());
    let shown = CertificateDer::from_pem_file(&cert).unwrap();
    let half = Config { tls_cert: Some(cert.clone()), ..Config::default() };
    let error = Server::start(&half).await.unwrap_err();
    assert!(matches!(error, ServerError::Tls { .. }), "{error}");
    let running = start(|config| {
        config.tls_cert = Some(cert);
        config.tls_key = Some(key);
    })
    .await;
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(shown).unwrap();
    let client = tokio_rustls::rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = TcpStream::connect(running.server.address()).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let url = "wss://localhost/v1/socket";
    let (mut ws, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let first = futures_util::StreamExt::next(&mut ws).await.unwrap().unwrap();
    assert!(matches!(first, Message::Binary(_)));
    running.server.stop().await.unwrap();
}
