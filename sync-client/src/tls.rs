//! Whom to believe when a relay says who it is: the system's roots and, if asked, one more file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why no encrypted connection can be set up at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file of additional roots can't be used.
    #[error("{path} holds no certificates that can be used ({cause}): give a PEM file")]
    BadRoots {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There is nobody to believe.
    #[error("this system has no root certificates: install its CA bundle, or name a file of roots")]
    NoRoots,
    /// The library refuses.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

/// What a client needs to speak `wss`.
///
/// # Errors
/// See [`TlsError`].
pub(crate) fn config(extra_roots: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some system roots can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = extra_roots {
        add_file(&mut roots, path)
            .map_err(|cause| TlsError::BadRoots { path: path.to_owned(), cause })?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before { Err("it holds none".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_without_certificates_is_said_to_be_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        for content in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(config(Some(&path)), Err(TlsError::BadRoots { .. })), "{content}");
        }
        let missing = directory.path().join("missing.pem");
        assert!(matches!(config(Some(&missing)), Err(TlsError::BadRoots { .. })));
    }
}
