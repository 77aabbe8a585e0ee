//! TLS: certificate and key from PEM files, which can be read anew while the relay goes on.

use std::path::Path;
use std::sync::{Arc, RwLock};

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::{TlsAcceptor, rustls};

use crate::config::Config;
use crate::server::ServerError;

/// The certificate in use: connections that are shaken from here on get the newest.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().ok().map(|key| Arc::clone(&key))
    }
}

impl Certificate {
    /// The configured certificate, if TLS is configured.
    ///
    /// # Errors
    /// [`ServerError::Tls`] with the file that is wrong.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, ServerError> {
        let key = read(config)?;
        Ok(key.map(|key| Self { current: Arc::new(Current(RwLock::new(key))) }))
    }

    /// Reads the files anew.
    ///
    /// # Errors
    /// As [`load`](Self::load): then the one before stays in use.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), ServerError> {
        if let (Some(key), Ok(mut current)) = (read(config)?, self.current.0.write()) {
            *current = key;
        }
        Ok(())
    }

    /// Shakes hands with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut tls = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        tls.max_fragment_size = Some(4096);
        TlsAcceptor::from(Arc::new(tls))
    }
}

fn read(config: &Config) -> Result<Option<Arc<CertifiedKey>>, ServerError> {
    let (cert, key) = match (&config.tls_cert, &config.tls_key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(only), None) | (None, Some(only)) => {
            return Err(wrong(only, &"the other of certificate and key is missing"));
        }
    };
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
    Ok(Some(Arc::new(certified)))
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> ServerError {
    ServerError::Tls { path: path.to_owned(), cause: cause.to_string() }
}
