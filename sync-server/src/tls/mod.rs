//! TLS: certificate and key from PEM files, which can be read anew while the relay goes on, or from an
//! authority, asked in time.

mod acme;
mod authority;
mod dates;

pub use acme::AcmeError;
pub(crate) use acme::{FOLDER, Keeper};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

use crate::config::Config;
use crate::server::ServerError;

/// What a client offers that wants to see a proof (RFC 8737, section 6.2).
const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The certificate in use: connections that are shaken from here on get the newest.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    current: Arc<Current>,
    /// Whether an authority is asked for it.
    by_acme: bool,
}

/// None yet, as long as an authority has given none.
#[derive(Debug, Default)]
struct Current {
    key: RwLock<Option<Arc<CertifiedKey>>>,
    /// By the name that each proves.
    proofs: RwLock<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_ALPN)) {
            let proofs = self.proofs.read().unwrap_or_else(PoisonError::into_inner);
            return proofs.get(hello.server_name()?).cloned();
        }
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a connection came to see a proof, and for nothing else.
pub(crate) fn is_proof<T>(stream: &TlsStream<T>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(ACME_ALPN)
}

impl Certificate {
    /// The configured certificate, if TLS is configured.
    ///
    /// # Errors
    /// [`ServerError::Tls`] with the file that is wrong.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, ServerError> {
        let by_acme = config.acme.is_some();
        if let (true, Some(file)) = (by_acme, config.tls_cert.as_ref().or(config.tls_key.as_ref()))
        {
            return Err(wrong(file, &"an authority is asked for certificates by [acme]"));
        }
        let key = read(config)?;
        if key.is_none() && !by_acme {
            return Ok(None);
        }
        let certificate = Self { current: Arc::default(), by_acme };
        certificate.put(key);
        Ok(Some(certificate))
    }

    /// Reads the files anew.
    ///
    /// # Errors
    /// As [`load`](Self::load): then the one before stays in use.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), ServerError> {
        if let Some(key) = read(config)? {
            self.put(Some(key));
        }
        Ok(())
    }

    /// It is in use from here on.
    fn put(&self, key: Option<Arc<CertifiedKey>>) {
        *self.current.key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// What authorities are shown, by name.
    fn prove(&self, proofs: BTreeMap<String, Arc<CertifiedKey>>) {
        *self.current.proofs.write().unwrap_or_else(PoisonError::into_inner) = proofs;
    }

    /// The certificate's first and last second, Unix time.
    fn lasts(&self) -> Option<(i64, i64)> {
        let key = self.current.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        key.and_then(|key| dates::of(key.cert.first()?))
    }

    /// For how many seconds it is good still.
    pub(crate) fn lasts_s(&self, now_s: u64) -> Option<i64> {
        let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
        self.lasts().map(|(_, last)| last.saturating_sub(now_s))
    }

    /// Shakes hands with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut tls = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        tls.max_fragment_size = Some(4096);
        if self.by_acme {
            tls.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_ALPN.to_vec()];
        }
        TlsAcceptor::from(Arc::new(tls))
    }
}

/// Certificate and key from PEM files that belong together.
fn certified(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, (PathBuf, String)> {
    let wrong = |path: &Path, cause: &dyn std::fmt::Display| (path.to_owned(), cause.to_string());
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| wrong(cert, &error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(cert, &error))?;
    if chain.is_empty() {
        return Err(wrong(cert, &"it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let signing = any_supported_type(&private).map_err(|error| wrong(key, &error))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // Some kinds of keys can't be compared.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(error) => return Err(wrong(cert, &error)),
    }
    Ok(Arc::new(certified))
}

fn read(config: &Config) -> Result<Option<Arc<CertifiedKey>>, ServerError> {
    match (&config.tls_cert, &config.tls_key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let key = certified(cert, key);
            key.map(Some).map_err(|(path, cause)| ServerError::Tls { path, cause })
        }
        (Some(only), None) | (None, Some(only)) => {
            Err(wrong(only, &"the other of certificate and key is missing"))
        }
    }
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> ServerError {
    ServerError::Tls { path: path.to_owned(), cause: cause.to_string() }
}
