//! Certificates from an authority: one of our own on this machine, which checks each request as
//! RFC 8555 asks, looks at the proof on the relay's port as RFC 8737 asks, and signs what it is given.

mod authority;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sync_server::config::{Acme, Config};
use sync_server::server::{Server, ServerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::running::{self, Running};
use authority::Authority;

const NAMES: [&str; 2] = ["relay.test", "www.relay.test"];

fn asks(authority: &Authority) -> Acme {
    Acme {
        domains: NAMES.map(str::to_owned).to_vec(),
        terms_agreed: true,
        contact: vec!["ops@relay.test".to_owned()],
        directory: authority.directory(),
        ca_file: Some(authority.root().to_owned()),
    }
}

fn config(data: &Path, authority: &Authority) -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        operate: Some(([127, 0, 0, 1], 0).into()),
        data: data.to_owned(),
        acme: Some(asks(authority)),
        ..Config::default()
    }
}

/// Shakes hands as a browser does that trusts the authority; the certificate that it is shown.
async fn shake(
    relay: SocketAddr,
    name: &str,
    root: &Path,
    offers: &[&[u8]],
) -> Option<(Vec<u8>, tokio_rustls::client::TlsStream<TcpStream>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = offers.iter().map(|one| one.to_vec()).collect();
    let stream = TcpStream::connect(relay).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.ok()?;
    let shown = stream.get_ref().1.peer_certificates()?.first()?.to_vec();
    Some((shown, stream))
}

async fn until_served(relay: SocketAddr, authority: &Authority) -> Vec<u8> {
    loop {
        if let Some((shown, _)) = shake(relay, NAMES[0], authority.root(), &[]).await {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_relay_proves_its_names_and_serves_with_what_it_is_given() {
    let (authority, data) = (Authority::start().await, tempfile::tempdir().unwrap());
    let config = config(data.path(), &authority);
    let server = Server::start(&config).await.unwrap();
    authority.looks_at(server.address());
    let shown = until_served(server.address(), &authority).await;
    // Both names, one order, one account, and each proof looked at once.
    for name in NAMES {
        let offers: [&[u8]; 2] = [b"h2", b"http/1.1"];
        let (also, mut stream) =
            shake(server.address(), name, authority.root(), &offers).await.unwrap();
        assert_eq!(also, shown);
        let asks = b"GET /v1/socket HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n\r\n";
        stream.write_all(asks).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!((authority.accounts(), authority.orders(), authority.proofs()), (1, 1, 2));
    assert_eq!(authority.contact(), ["mailto:ops@relay.test"]);
    for name in ["chain.pem", "key.pem", "account.json"] {
        let found = std::fs::metadata(data.path().join("acme").join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let folder = std::fs::metadata(data.path().join("acme")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    server.stop().await.unwrap();

    // It goes on with it, whether or not the authority is there.
    authority.stop();
    let server = Server::start(&config).await.unwrap();
    let again = shake(server.address(), NAMES[0], authority.root(), &[]).await;
    assert_eq!(again.unwrap().0, shown);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_account_at_the_authority_is_kept() {
    let (authority, data) = (Authority::start().await, tempfile::tempdir().unwrap());
    let config = config(data.path(), &authority);
    let mut shown = Vec::new();
    for _ in 0..2 {
        let server = Server::start(&config).await.unwrap();
        authority.looks_at(server.address());
        shown.push(until_served(server.address(), &authority).await);
        server.stop().await.unwrap();
        // The certificate is lost, and the account is not.
        std::fs::write(data.path().join("acme/chain.pem"), "nothing").unwrap();
    }
    assert_ne!(shown[0], shown[1]);
    assert_eq!((authority.accounts(), authority.orders()), (1, 2));
}

async fn start(authority: &Authority) -> Running {
    let acme = asks(authority);
    running::start(|config| {
        config.operate = Some(([127, 0, 0, 1], 0).into());
        config.acme = Some(acme);
    })
    .await
}

#[tokio::test]
async fn who_wants_to_see_a_proof_sees_nothing_else() {
    let authority = Authority::start().await;
    let running = start(&authority).await;
    authority.looks_at(running.server.address());
    until_served(running.server.address(), &authority).await;
    // There is nothing to prove any more.
    let offers: [&[u8]; 1] = [b"acme-tls/1"];
    let address = running.server.address();
    assert!(shake(address, NAMES[0], authority.root(), &offers).await.is_none());
    assert!(shake(address, "other.test", authority.root(), &offers).await.is_none());
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_relay_without_a_certificate_goes_on_and_says_so() {
    let authority = Authority::start().await;
    authority.refuses();
    let running = start(&authority).await;
    authority.looks_at(running.server.address());
    while running.metric("relay_certificate_failures_total").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let address = running.server.address();
    assert!(shake(address, NAMES[0], authority.root(), &[]).await.is_none());
    assert!(running.get("/readyz", "").await.starts_with("HTTP/1.1 200"));
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_told_at_the_start() {
    let (authority, data) = (Authority::start().await, tempfile::tempdir().unwrap());
    let good = config(data.path(), &authority);
    let acme = asks(&authority);
    let nobody = Acme { domains: Vec::new(), ..acme.clone() };
    let not_agreed = Acme { terms_agreed: false, ..acme.clone() };
    let no_roots = Acme { ca_file: Some("/nowhere/ca.pem".into()), ..acme };
    let words = ["domains", "terms_agreed", "/nowhere/ca.pem"];
    for (acme, word) in [nobody, not_agreed, no_roots].into_iter().zip(words) {
        let config = Config { acme: Some(acme), ..good.clone() };
        let error = Server::start(&config).await.unwrap_err();
        assert!(matches!(error, ServerError::Acme(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let both = Config { tls_cert: Some("cert.pem".into()), ..good };
    let error = Server::start(&both).await.unwrap_err();
    assert!(error.to_string().contains("[acme]"), "{error}");
}
