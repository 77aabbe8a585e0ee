//! Sockets over real connections: parts, trouble, certificates and proxies.

#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::mpsc::{Receiver, channel};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;

const PATIENCE: Duration = Duration::from_secs(10);

async fn listen(scheme: &str) -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let target = Target {
        url: url.parse().unwrap(),
        tls: None,
        hop: None,
        connect_timeout: Duration::from_millis(500),
    };
    (listener, target)
}

fn open(target: Target) -> (Socket, Receiver<Happening>) {
    let (sender, happenings) = channel();
    let runtime = tokio::runtime::Handle::current();
    let socket = Socket::open(&runtime, target, move |happening| {
        let _ = sender.send(happening);
    });
    (socket, happenings)
}

async fn next(happenings: Receiver<Happening>) -> (Happening, Receiver<Happening>) {
    let waiting = move || (happenings.recv_timeout(PATIENCE).unwrap(), happenings);
    tokio::task::spawn_blocking(waiting).await.unwrap()
}

/// Sends every part back, then closes when the client does.
async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut socket = accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn failure_of(target: Target) -> ConnectError {
    let (_socket, happenings) = open(target);
    match next(happenings).await.0 {
        Happening::Closed(Some(problem)) => problem,
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test]
async fn messages_of_all_sizes_arrive_whole_and_in_order() {
    let (listener, target) = listen("ws").await;
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let (socket, happenings) = open(target);
    let (opened, mut happenings) = next(happenings).await;
    assert!(matches!(opened, Happening::Opened));
    let sizes = [0, 1, 4095, 4096, 4097, 200_000, 900_000, 3];
    for size in sizes {
        socket.send(vec![u8::try_from(size % 251).unwrap(); size]);
    }
    for size in sizes {
        let happening;
        (happening, happenings) = next(happenings).await;
        let Happening::Message(message, _room) = happening else { panic!("{happening:?}") };
        assert_eq!(message, vec![u8::try_from(size % 251).unwrap(); size]);
    }
    timeout(PATIENCE, socket.finish()).await.unwrap().unwrap();
    let (closed, _) = next(happenings).await;
    assert!(matches!(closed, Happening::Closed(None)), "{closed:?}");
}

#[tokio::test]
async fn what_is_no_relay_is_named() {
    let (listener, target) = listen("ws").await;
    drop(listener);
    assert!(matches!(failure_of(target).await, ConnectError::Unreachable(_)));

    let (_silent, target) = listen("ws").await;
    assert_eq!(failure_of(target).await, ConnectError::Timeout);

    for answer in ["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "220 mail ready\r\n"] {
        let (listener, target) = listen("ws").await;
        tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Kept open until the client has read the answer.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        let problem = failure_of(target).await;
        assert!(matches!(problem, ConnectError::NotARelay(_)), "{problem:?}");
    }
}

#[tokio::test]
async fn an_endless_message_ends_the_connection() {
    let (listener, target) = listen("ws").await;
    tokio::spawn(async move {
        let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        let part = [vec![1], vec![0; limits::PART - 1]].concat();
        while socket.send(Message::Binary(part.clone().into())).await.is_ok() {}
    });
    let (_socket, happenings) = open(target);
    let (_, happenings) = next(happenings).await;
    let (closed, _) = next(happenings).await;
    assert!(matches!(closed, Happening::Closed(Some(ConnectError::NotARelay(_)))), "{closed:?}");
}

type Certified = rcgen::CertifiedKey<rcgen::KeyPair>;

/// A certificate as `openssl req -x509` makes it: its own authority, without a name of a host.
fn by_openssl(until_year: i32) -> Certified {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    Certified { cert: params.self_signed(&signing_key).unwrap(), signing_key }
}

fn of_localhost() -> Certified {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// What comes of connecting to a relay that shows a certificate, with another one as `--ca-file`.
async fn met(shown: &Certified, named: &Certified) -> Happening {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roots.pem");
    std::fs::write(&path, named.cert.pem()).unwrap();
    let (listener, mut target) = listen("wss").await;
    serve_tls(listener, shown);
    target.tls = Some(crate::tls::config(Some(&path)).unwrap());
    target.connect_timeout = PATIENCE;
    let (_socket, happenings) = open(target);
    next(happenings).await.0
}

fn distrust(happening: Happening) -> String {
    match happening {
        Happening::Closed(Some(ConnectError::Untrusted(why))) => why,
        other => panic!("not distrusted: {other:?}"),
    }
}

#[tokio::test]
async fn a_relay_is_believed_by_its_certificate_alone() {
    let certificate = of_localhost();
    assert!(matches!(met(&certificate, &certificate).await, Happening::Opened));
    let why = distrust(met(&of_localhost(), &certificate).await);
    assert!(why.contains("--ca-file"), "{why}");
}

#[tokio::test]
async fn a_relays_own_certificate_is_believed_if_exactly_that_was_named() {
    let own = by_openssl(2090);
    assert!(matches!(met(&own, &own).await, Happening::Opened));
    let why = distrust(met(&by_openssl(2090), &own).await);
    assert!(why.contains("--ca-file"), "{why}");
    let past = by_openssl(2001);
    let why = distrust(met(&past, &past).await);
    assert!(why.contains("expired"), "{why}");
}

#[tokio::test]
async fn a_relay_without_tls_is_not_spoken_of_as_one_without_trust() {
    let (listener, mut target) = listen("wss").await;
    tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    target.tls = Some(crate::tls::config(None).unwrap());
    target.connect_timeout = PATIENCE;
    let problem = failure_of(target).await;
    assert!(matches!(&problem, ConnectError::NotARelay(why) if why.contains("ws://")), "{problem}");
}

fn serve_tls(listener: TcpListener, shown: &Certified) {
    let acceptor = acceptor(shown);
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        if let Ok(stream) = acceptor.accept(stream).await {
            echo(stream).await;
        }
    });
}

/// A proxy that leads to one place, whatever it is asked for, after this answer; gives what it was
/// asked.
async fn proxy(to: u16, answer: &'static str) -> (u16, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut client = listener.accept().await.unwrap().0;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(client.read_u8().await.unwrap());
        }
        tell.send(String::from_utf8(asked).unwrap()).unwrap();
        client.write_all(answer.as_bytes()).await.unwrap();
        let mut relay = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut relay).await;
    });
    (port, told)
}

/// As if the address had been typed, through this proxy.
fn through(proxy: &str, url: &str) -> Target {
    let url: RelayUrl = url.parse().unwrap();
    let hop = crate::proxy::hop(&crate::Proxy::At(proxy.to_owned()), &url).unwrap();
    Target { url, tls: None, hop, connect_timeout: PATIENCE }
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";

#[tokio::test]
async fn a_proxy_leads_to_a_relay_whose_name_it_alone_can_look_up() {
    let (listener, relay) = listen("ws").await;
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let (port, asked) = proxy(relay.url.port(), OPEN).await;
    let proxy = format!("http://ada:p%40ss@127.0.0.1:{port}");
    let (socket, happenings) = open(through(&proxy, "ws://relay.invalid"));
    let (opened, happenings) = next(happenings).await;
    assert!(matches!(opened, Happening::Opened), "{opened:?}");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT relay.invalid:80 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nHost: relay.invalid:80\r\n"), "{asked}");
    // `ada:p@ss` in base64.
    assert!(asked.contains("\r\nProxy-Authorization: Basic YWRhOnBAc3M=\r\n"), "{asked}");
    socket.send(vec![7; 10_000]);
    let (echoed, _) = next(happenings).await;
    assert!(matches!(echoed, Happening::Message(message, _) if message == vec![7; 10_000]));
}

#[tokio::test]
async fn behind_a_proxy_the_relay_still_has_to_prove_who_it_is() {
    for (name, is_believed) in [("relay.invalid", true), ("other.invalid", false)] {
        let authority = tempfile::NamedTempFile::new().unwrap();
        let (root, leaf) = certified(name);
        std::fs::write(authority.path(), root.cert.pem()).unwrap();
        let (listener, relay) = listen("wss").await;
        serve_tls(listener, &leaf);
        let (port, _asked) = proxy(relay.url.port(), OPEN).await;
        let mut target = through(&format!("http://127.0.0.1:{port}"), "wss://relay.invalid");
        target.tls = Some(crate::tls::config(Some(authority.path())).unwrap());
        let (_socket, happenings) = open(target);
        match next(happenings).await.0 {
            Happening::Opened => assert!(is_believed, "{name}"),
            other => {
                assert!(!is_believed, "{name}: {other:?}");
                assert!(distrust(other).contains("another name"));
            }
        }
    }
}

/// An authority, and a certificate by it for a name.
fn certified(name: &str) -> (Certified, Certified) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_key = rcgen::KeyPair::generate().unwrap();
    let root = params.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::new(params, &root_key);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let cert = leaf.signed_by(&signing_key, &issuer).unwrap();
    drop(issuer);
    (Certified { cert: root, signing_key: root_key }, Certified { cert, signing_key })
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_there_is_named() {
    for (answer, word) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "name and password"),
        ("SSH-2.0-x\r\n\r\n", "no proxy"),
    ] {
        let (port, _asked) = proxy(1, answer).await;
        let problem = failure_of(through(&format!("127.0.0.1:{port}"), "ws://relay.invalid")).await;
        assert!(matches!(&problem, ConnectError::Proxy(why) if why.contains(word)), "{problem}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000)).leak();
    let (port, _asked) = proxy(1, endless).await;
    let problem = failure_of(through(&format!("127.0.0.1:{port}"), "ws://relay.invalid")).await;
    assert!(matches!(&problem, ConnectError::Proxy(why) if why.contains("no end")), "{problem}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let problem = failure_of(through(&format!("http://{closed}"), "ws://relay.invalid")).await;
    assert!(matches!(&problem, ConnectError::Proxy(why) if why.contains("reached")), "{problem}");
}

#[tokio::test]
async fn a_socks_proxy_leads_to_the_relay_as_well() {
    let (listener, relay) = listen("ws").await;
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let socks = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("socks5h://{}", socks.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut client = socks.accept().await.unwrap().0;
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).await.unwrap();
        client.write_all(&[5, 0]).await.unwrap();
        let mut asked = [0; 4 + 1 + 13 + 2];
        client.read_exact(&mut asked).await.unwrap();
        client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        let mut relay = TcpStream::connect(("127.0.0.1", relay.url.port())).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut relay).await;
        (greeting, asked)
    });
    let (socket, happenings) = open(through(&proxy, "ws://relay.invalid"));
    let (opened, happenings) = next(happenings).await;
    assert!(matches!(opened, Happening::Opened), "{opened:?}");
    timeout(PATIENCE, socket.finish()).await.unwrap().unwrap();
    drop(happenings);
    let (greeting, asked) = serving.await.unwrap();
    assert_eq!(greeting, [5, 1, 0]);
    let expected = [&[5, 1, 0, 3, 13][..], b"relay.invalid", &[0, 80]].concat();
    assert_eq!(asked.as_slice(), expected, "the name goes to the proxy as it is");
}

fn acceptor(shown: &rcgen::CertifiedKey<rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
    use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
    let key = PrivateKeyDer::try_from(shown.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key)
        .unwrap();
    Arc::new(config).into()
}
