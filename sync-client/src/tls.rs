//! Whom to believe when a relay says who it is: the system's roots and, if asked, one more file, of
//! roots or with the relay's own certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::socket::ConnectError;

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
    let named = match extra_roots {
        Some(path) => named(&mut roots, path)
            .map_err(|cause| TlsError::BadRoots { path: path.to_owned(), cause })?,
        None => Vec::new(),
    };
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let setup = |error: String| TlsError::Setup(error);
    let provider = Arc::new(ring::default_provider());
    let by_roots = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let by_roots = by_roots.build().map_err(|error| setup(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByRootsOrName { by_roots, named }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of a file, each also as a root.
fn named(roots: &mut RootCertStore, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut named = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        named.push(certificate);
    }
    if named.is_empty() { Err("it holds none".to_owned()) } else { Ok(named) }
}

/// Believes who was certified by a root, and whoever shows exactly a certificate that the person
/// named: `openssl req -x509` makes one that is a root and the server's own at once, often without
/// the server's name, and the usual rules take no such certificate from a server.
#[derive(Debug)]
struct ByRootsOrName {
    by_roots: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for ByRootsOrName {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.by_roots.verify_server_cert(shown, between, name, ocsp, now);
        match judged {
            // The rules look at its time first: what they hold against it is not that.
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. }
                | CertificateError::Other(_),
            )) if self.named.iter().any(|named| named == shown) => {
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, shown, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

/// What a failed handshake means for the person, and what to do about it.
pub(crate) fn explain(error: &Error) -> ConnectError {
    let why = match error {
        Error::InvalidMessage(_) => {
            return ConnectError::NotARelay(
                "it doesn't speak TLS: is its address ws:// or http://?".to_owned(),
            );
        }
        Error::InvalidCertificate(why) => why,
        other => return ConnectError::Untrusted(other.to_string()),
    };
    ConnectError::Untrusted(match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody whom this system believes signed its certificate: if it has one of its own, \
             name that as a further root (--ca-file)"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or this device's clock is wrong".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is of a later time: is this device's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: use the name that stands in it, or name the \
             certificate itself as a further root (--ca-file)"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it shows the certificate of an authority: if that is its own, name exactly that as a \
             further root (--ca-file)"
                .to_owned()
        }
        other => other.to_string(),
    })
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
