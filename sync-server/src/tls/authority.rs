//! How an authority is asked: HTTPS, one connection for each question.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::acme::AcmeError;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const ANSWER: usize = 1024 * 1024;

/// The way to an authority.
#[derive(Clone)]
pub(super) struct Authority {
    tls: TlsConnector,
}

impl Authority {
    /// Whoever is signed by one of these, or by one that the system trusts.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn trusting(ca_file: Option<&Path>) -> Result<Self, AcmeError> {
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(path) => {
                let wrong = |error: &dyn std::fmt::Display| {
                    AcmeError::Roots(format!("{}: {error}", path.display()))
                };
                for root in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
                    let root = root.map_err(|error| wrong(&error))?;
                    roots.add(root).map_err(|error| wrong(&error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(AcmeError::Roots("there are none".to_owned()));
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(tls)) })
    }

    async fn ask(
        self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, Box<dyn std::error::Error + Send + Sync>> {
        let uri = request.uri().clone();
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
        let host = host.ok_or("an authority is asked by https alone")?;
        let bare = host.trim_matches(['[', ']']);
        let tcp = TcpStream::connect((bare, uri.port_u16().unwrap_or(443))).await?;
        let name = ServerName::try_from(bare.to_owned())?;
        let stream = self.tls.connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer.
        tokio::spawn(connection);
        let named = uri.authority().ok_or("it has no name")?.as_str();
        request.headers_mut().insert(header::HOST, HeaderValue::from_str(named)?);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        let response: Response<_> = sender.send_request(request).await?;
        Ok(response.map(|body| Limited::new(body, ANSWER)).into())
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.clone().ask(request);
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(answer) => answer.map_err(Error::Other),
                Err(late) => Err(Error::Other(late.into())),
            }
        })
    }
}
