//! TLS: certificate and key from PEM files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Config;
use crate::server::ServerError;

/// The acceptor, if TLS is configured.
///
/// # Errors
/// [`ServerError::Tls`] with the file that is wrong.
pub(crate) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, ServerError> {
    let (cert, key) = match (&config.tls_cert, &config.tls_key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(only), None) | (None, Some(only)) => {
            return Err(wrong(only, &"the other of certificate and key is missing"));
        }
    };
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| wrong(cert, &error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(cert, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(cert, &error))?;
    tls.max_fragment_size = Some(4096);
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> ServerError {
    ServerError::Tls { path: path.to_owned(), cause: cause.to_string() }
}
