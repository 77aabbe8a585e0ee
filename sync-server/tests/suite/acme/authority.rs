//! An authority on this machine: accounts, orders, proofs by TLS, certificates.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Answer = (u16, Value, Vec<(&'static str, String)>);

/// It ends with the test.
pub struct Authority {
    address: SocketAddr,
    root: PathBuf,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

struct Inner {
    address: SocketAddr,
    issuer: Issuer<'static, KeyPair>,
    /// Where names lead to.
    relay: watch::Sender<Option<SocketAddr>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    nonces: BTreeSet<String>,
    drawn: u64,
    /// Each account's key, as it is written in a JWS.
    accounts: Vec<Value>,
    contact: Vec<String>,
    orders: Vec<Order>,
    proofs: usize,
    refuses: bool,
}

struct Order {
    names: Vec<String>,
    proved: Vec<bool>,
    failed: bool,
    chain: Option<String>,
}

impl Authority {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = root.self_signed(&root_key).unwrap();
        let path = folder.path().join("root.pem");
        std::fs::write(&path, made.pem()).unwrap();
        let issuer = Issuer::new(root, root_key);

        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], private)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (relay, known) = (watch::Sender::new(None), Mutex::default());
        let inner = Arc::new(Inner { address, issuer, relay, known });
        let serves = serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&inner));
        let task = tokio::spawn(serves);
        Self { address, root: path, inner, task, _folder: folder }
    }

    pub fn directory(&self) -> String {
        format!("https://localhost:{}/directory", self.address.port())
    }

    /// What its certificates are signed by.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every name leads there from here on.
    pub fn looks_at(&self, relay: SocketAddr) {
        self.inner.relay.send_replace(Some(relay));
    }

    /// No proof is good from here on.
    pub fn refuses(&self) {
        self.known().refuses = true;
    }

    pub fn stop(&self) {
        self.task.abort();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.known.lock().unwrap()
    }

    pub fn accounts(&self) -> usize {
        self.known().accounts.len()
    }

    pub fn orders(&self) -> usize {
        self.known().orders.len()
    }

    pub fn proofs(&self) -> usize {
        self.known().proofs
    }

    pub fn contact(&self) -> Vec<String> {
        self.known().contact.clone()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, inner: Arc<Inner>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, inner) = (tls.clone(), Arc::clone(&inner));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| {
                let inner = Arc::clone(&inner);
                async move { Ok::<_, Infallible>(inner.answer(request).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn problem(kind: &str, detail: &str) -> Answer {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    (400, json!({ "type": kind, "detail": detail, "status": 400 }), Vec::new())
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let (method, path) = (parts.method, parts.uri.path().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        let is_jose =
            parts.headers.get("content-type").is_some_and(|kind| kind == "application/jose+json");
        let (status, body, more) = match (method, path.as_str()) {
            (Method::GET, "/directory") => (200, self.directory(), Vec::new()),
            (Method::HEAD | Method::GET, "/nonce") => (200, Value::Null, Vec::new()),
            (Method::POST, _) if is_jose => match self.signed(&path, &body) {
                Ok((account, payload)) => self.does(&path, account, payload).await,
                Err(refused) => refused,
            },
            _ => problem("malformed", "no such thing"),
        };
        let body = match body {
            Value::Null => String::new(),
            Value::String(pem) => pem,
            other => other.to_string(),
        };
        let mut response = Response::builder().status(status).header("Replay-Nonce", self.nonce());
        for (name, value) in more {
            response = response.header(name, value);
        }
        response.body(Full::new(body.into())).unwrap()
    }

    fn directory(&self) -> Value {
        json!({
            "newNonce": self.url("/nonce"),
            "newAccount": self.url("/account"),
            "newOrder": self.url("/order"),
            "revokeCert": self.url("/revoke"),
            "keyChange": self.url("/key"),
        })
    }

    /// One that is good once.
    fn nonce(&self) -> String {
        let mut known = self.known();
        known.drawn += 1;
        let nonce = format!("nonce{}", known.drawn);
        known.nonces.insert(nonce.clone());
        nonce
    }

    /// Checks a request (RFC 8555, section 6): whose it is, and what it says.
    fn signed(&self, path: &str, body: &[u8]) -> Result<(Option<usize>, Value), Answer> {
        let malformed = |detail: &str| problem("malformed", detail);
        let body: Value = serde_json::from_slice(body).map_err(|_| malformed("no JSON"))?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let (Some(protected), Some(payload), Some(signature)) =
            (text("protected"), text("payload"), text("signature"))
        else {
            return Err(malformed("no JWS"));
        };
        let header: Value = serde_json::from_slice(&unbase64(&protected)).unwrap();
        if header["alg"] != "ES256" || header["url"] != self.url(path).as_str() {
            return Err(problem("unauthorized", "algorithm or url"));
        }
        let nonce = header["nonce"].as_str().unwrap_or_default();
        if !self.known().nonces.remove(nonce) {
            return Err(problem("badNonce", "used, or never given"));
        }
        let (account, jwk) = match (header.get("kid"), header.get("jwk")) {
            (None, Some(jwk)) if path == "/account" => (None, jwk.clone()),
            (Some(kid), None) => {
                let all = self.known().accounts.clone();
                let is = |n: &usize| *kid == self.url(&format!("/account/{n}")).as_str();
                let n = (0..all.len()).find(is);
                let n = n.ok_or_else(|| problem("accountDoesNotExist", "no such account"))?;
                (Some(n), all[n].clone())
            }
            _ => return Err(malformed("kid or jwk")),
        };
        let part = |name: &str| unbase64(jwk[name].as_str().unwrap_or_default());
        let key = [vec![4], part("x"), part("y")].concat();
        let signed = format!("{protected}.{payload}");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(signed.as_bytes(), &unbase64(&signature))
            .map_err(|_| problem("unauthorized", "the signature"))?;
        let said = match payload.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&unbase64(&payload)).unwrap(),
        };
        Ok((account, if account.is_none() { json!({ "jwk": jwk, "said": said }) } else { said }))
    }

    async fn does(&self, path: &str, account: Option<usize>, said: Value) -> Answer {
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let number = |n: usize| steps.get(n).and_then(|step| step.parse::<usize>().ok());
        match (steps.first().copied(), account, number(1), number(2)) {
            (Some("account"), None, None, None) => self.new_account(&said),
            (Some("order"), Some(_), None, None) => self.new_order(&said),
            (Some("order"), Some(_), Some(order), None) => (200, self.order(order), Vec::new()),
            (Some("authz"), Some(_), Some(order), Some(n)) => {
                (200, self.authorization(order, n), Vec::new())
            }
            (Some("proof"), Some(account), Some(order), Some(n)) => {
                self.look(account, order, n).await;
                let challenges = self.authorization(order, n)["challenges"].clone();
                (200, challenges[0].clone(), Vec::new())
            }
            (Some("finalize"), Some(_), Some(order), None) => self.finalize(order, &said),
            (Some("cert"), Some(_), Some(order), None) => {
                let chain = self.known().orders[order].chain.clone();
                (200, Value::String(chain.unwrap()), Vec::new())
            }
            _ => problem("malformed", "no such thing"),
        }
    }

    fn new_account(&self, said: &Value) -> Answer {
        if said["said"]["termsOfServiceAgreed"] != true {
            return problem("userActionRequired", "terms");
        }
        let mut known = self.known();
        let contact = said["said"]["contact"].as_array().cloned().unwrap_or_default();
        known.contact = contact.iter().filter_map(|one| one.as_str()).map(str::to_owned).collect();
        known.accounts.push(said["jwk"].clone());
        let place = self.url(&format!("/account/{}", known.accounts.len() - 1));
        (201, json!({ "status": "valid" }), vec![("Location", place)])
    }

    fn new_order(&self, said: &Value) -> Answer {
        let named = said["identifiers"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = named
            .iter()
            .filter(|one| one["type"] == "dns")
            .filter_map(|one| one["value"].as_str().map(str::to_owned))
            .collect();
        let proved = vec![false; names.len()];
        let mut known = self.known();
        known.orders.push(Order { names, proved, failed: false, chain: None });
        let n = known.orders.len() - 1;
        drop(known);
        (201, self.order(n), vec![("Location", self.url(&format!("/order/{n}")))])
    }

    fn order(&self, n: usize) -> Value {
        let known = self.known();
        let order = &known.orders[n];
        let status = match (&order.chain, order.failed, order.proved.iter().all(|proved| *proved)) {
            (Some(_), ..) => "valid",
            (None, true, _) => "invalid",
            (None, false, true) => "ready",
            (None, false, false) => "pending",
        };
        let names = order.names.iter().map(|name| json!({ "type": "dns", "value": name }));
        let authorizations = (0..order.names.len()).map(|m| self.url(&format!("/authz/{n}/{m}")));
        let mut value = json!({
            "status": status,
            "identifiers": names.collect::<Vec<_>>(),
            "authorizations": authorizations.collect::<Vec<_>>(),
            "finalize": self.url(&format!("/finalize/{n}")),
        });
        if order.chain.is_some() {
            value["certificate"] = json!(self.url(&format!("/cert/{n}")));
        }
        value
    }

    fn authorization(&self, n: usize, m: usize) -> Value {
        let known = self.known();
        let order = &known.orders[n];
        let status = match (order.proved[m], order.failed) {
            (true, _) => "valid",
            (false, true) => "invalid",
            (false, false) => "pending",
        };
        let challenge = json!({
            "type": "tls-alpn-01",
            "url": self.url(&format!("/proof/{n}/{m}")),
            "token": token(n, m),
            "status": status,
        });
        let other = json!({ "type": "http-01", "url": self.url("/none"), "token": "x", "status": "pending" });
        json!({
            "status": status,
            "identifier": { "type": "dns", "value": order.names[m] },
            "challenges": [challenge, other],
        })
    }

    /// Looks at a proof where the name leads to.
    async fn look(&self, account: usize, n: usize, m: usize) {
        let (jwk, name, refuses) = {
            let known = self.known();
            (known.accounts[account].clone(), known.orders[n].names[m].clone(), known.refuses)
        };
        let mut relay = self.relay.subscribe();
        let relay = relay.wait_for(Option::is_some).await.unwrap().unwrap();
        let canonical =
            format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        let thumbprint = base64(&sha256(canonical.as_bytes()));
        let digest = sha256(format!("{}.{thumbprint}", token(n, m)).as_bytes());
        let shown = shown(relay, &name).await.unwrap_or_default();
        let is_good = !refuses && proves(&shown, &name, &digest);
        let mut known = self.known();
        known.proofs += 1;
        known.orders[n].proved[m] = is_good;
        known.orders[n].failed |= !is_good;
    }

    fn finalize(&self, n: usize, said: &Value) -> Answer {
        let csr = unbase64(said["csr"].as_str().unwrap_or_default());
        let names = self.known().orders[n].names.clone();
        if self.order(n)["status"] != "ready" {
            return problem("orderNotReady", "not proved");
        }
        let key = PointOf::csr(&csr);
        let (Some(key), true) = (key, names.iter().all(|name| contains(&csr, name.as_bytes())))
        else {
            return problem("badCSR", "key or names");
        };
        let params = CertificateParams::new(names).unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        self.known().orders[n].chain = Some(made.pem());
        (200, self.order(n), Vec::new())
    }
}

fn token(n: usize, m: usize) -> String {
    format!("token-{n}-{m}-of-some-length")
}

/// What a relay shows to one that wants to see a proof (RFC 8737, section 3).
async fn shown(relay: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let mut client = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let stream = TcpStream::connect(relay).await.ok()?;
    let name = ServerName::try_from(name.to_owned()).ok()?;
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.ok()?;
    let (_, tls) = stream.get_ref();
    (tls.alpn_protocol() == Some(b"acme-tls/1")).then_some(())?;
    tls.peer_certificates()?.first().map(|one| one.to_vec())
}

/// Whether a certificate has the name, and the hash in a critical `acmeIdentifier`.
fn proves(certificate: &[u8], name: &str, digest: &[u8]) -> bool {
    let object = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f];
    let critical = [0x01, 0x01, 0xff, 0x04, 0x22, 0x04, 0x20];
    let extension = [&object[..], &critical, digest].concat();
    contains(certificate, &extension) && contains(certificate, name.as_bytes())
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

/// A public key on the curve P-256.
struct PointOf(Vec<u8>);

impl PointOf {
    fn csr(csr: &[u8]) -> Option<Self> {
        let begin = [0x03, 0x42, 0x00, 0x04];
        let at = csr.windows(begin.len()).position(|window| window == begin)? + 3;
        csr.get(at..at + 65).map(|point| Self(point.to_vec()))
    }
}

impl PublicKeyData for PointOf {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for n in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * n)) as usize & 63]));
        }
    }
    text
}

fn unbase64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|one| *one == letter).unwrap() as u32;
        (bits, count) = ((bits << 6 | value) & 0xffff, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// An authority looks at what it is shown, whoever signed it.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
