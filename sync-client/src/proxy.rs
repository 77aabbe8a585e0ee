//! The way to the relay where a network lets nothing out but through a proxy: by CONNECT over HTTP
//! (RFC 9110, section 9.3.6) or SOCKS 5 (RFC 1928). The proxy looks the relay's name up, and carries
//! bytes; with `wss` it can't read them.

use std::net::IpAddr;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri};
use tower::ServiceExt as _;

use crate::relay_url::RelayUrl;
use crate::socket::ConnectError;

/// Bytes of a proxy's answer, before the relay's first.
const HEAD: usize = 16 * 1024;

/// Whether the relay is reached through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As the environment says: `HTTPS_PROXY` for `wss`, `HTTP_PROXY` for `ws`, `ALL_PROXY` for
    /// both, in capitals or not; but not to the hosts in `NO_PROXY`, nor to this machine itself.
    #[default]
    Environment,
    /// Straight, whatever the environment says.
    Direct,
    /// Through this one: `http://host:port` or `socks5://host:port`, with `name:password@` before
    /// the host if it asks for them.
    At(String),
}

/// What is set as the proxy is none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}: write http://host:port or socks5://host:port, or take it away")]
pub struct BadProxy {
    /// Where it was set.
    pub name: &'static str,
    /// To what, without a password.
    pub value: String,
}

/// A proxy on the way to the relay.
#[derive(Clone, Debug)]
pub(crate) struct Hop(Intercept);

/// The proxy on the way to a relay, if there is one.
///
/// # Errors
/// [`BadProxy`]: passing over it would show the network what the proxy was to hide.
pub(crate) fn hop(proxy: &Proxy, url: &RelayUrl) -> Result<Option<Hop>, BadProxy> {
    hop_as_set(proxy, url, |name| std::env::var(name).ok())
}

fn hop_as_set(
    proxy: &Proxy,
    url: &RelayUrl,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Hop>, BadProxy> {
    let set = |names: &[&'static str]| {
        let set = names.iter().filter_map(|name| Some((*name, variable(name)?)));
        set.map(|(name, value)| (name, value.trim().to_owned()))
            .find(|(_, value)| !value.is_empty())
    };
    let (found, except) = match proxy {
        Proxy::Direct => return Ok(None),
        Proxy::At(value) => (Some(("the proxy", value.clone())), None),
        Proxy::Environment if is_here(url.host()) => return Ok(None),
        Proxy::Environment => {
            let names = if url.is_tls() {
                ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            } else {
                ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
            };
            (set(&names), set(&["NO_PROXY", "no_proxy"]))
        }
    };
    let Some((name, value)) = found else { return Ok(None) };
    let bad = || BadProxy { name, value: value.rsplit('@').next().unwrap_or_default().to_owned() };
    let host = bracketed(url.host());
    let place: Uri = format!("http://{host}:{}/", url.port()).parse().map_err(|_| bad())?;
    let always = Matcher::builder().all(value.clone()).build().intercept(&place);
    let is_usable = |hop: &Intercept| {
        matches!(hop.uri().scheme_str(), Some("http" | "socks5" | "socks5h"))
            && hop.uri().host().is_some_and(|host| !host.is_empty())
    };
    always.filter(is_usable).ok_or_else(bad)?;
    let (_, except) = except.unwrap_or_default();
    Ok(Matcher::builder().all(value).no(except).build().intercept(&place).map(Hop))
}

/// Whether a host is this machine, which a proxy elsewhere would take for itself.
fn is_here(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl Hop {
    /// Opens a way through the proxy.
    ///
    /// # Errors
    /// [`ConnectError::Proxy`].
    pub(crate) async fn open(&self, url: &RelayUrl) -> Result<TcpStream, ConnectError> {
        let opened = match self.0.uri().scheme_str() {
            Some("http") => self.tunnel(url).await,
            _ => self.socks(url).await,
        };
        opened.map_err(ConnectError::Proxy)
    }

    async fn tunnel(&self, url: &RelayUrl) -> Result<TcpStream, String> {
        let uri = self.0.uri();
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let connected = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await;
        let mut stream = connected.map_err(|error| format!("it can't be reached: {error}"))?;
        let place = format!("{}:{}", bracketed(url.host()), url.port());
        let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
        if let Some(auth) = self.0.basic_auth() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(auth.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let answered = async {
            stream.write_all(&request).await?;
            read_head(&mut stream).await
        };
        let head = answered.await.map_err(|error| format!("it broke off: {error}"))?;
        judge(&head).map(|()| stream)
    }

    async fn socks(&self, url: &RelayUrl) -> Result<TcpStream, String> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let mut socks = SocksV5::new(self.0.uri().clone(), connector);
        if let Some((name, password)) = self.0.raw_auth() {
            socks = socks.with_auth(name.to_owned(), password.to_owned());
        }
        let place = format!("http://{}:{}/", bracketed(url.host()), url.port());
        let place: Uri = place.parse().map_err(|_| "the relay's host is too long".to_owned())?;
        let opened = socks.oneshot(place).await.map_err(|error| error.to_string())?;
        Ok(opened.into_inner())
    }
}

/// The head of the proxy's answer, a byte at a time: what comes after it is the relay's.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Err(std::io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// Whether the way is open.
fn judge(head: &[u8]) -> Result<(), String> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let is_http = words.next().is_some_and(|version| version.starts_with(b"HTTP/1."));
    let status = words.next().and_then(|code| StatusCode::from_bytes(code).ok());
    match status.filter(|_| is_http) {
        Some(status) if status.is_success() => Ok(()),
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
            Err("it asks for a name and password: http://name:password@host:port".to_owned())
        }
        // Its own words are not repeated: anybody may stand there.
        Some(status) => Err(format!("it refuses: {status}")),
        None => Err("what answers there is no proxy".to_owned()),
    }
}

#[cfg(test)]
mod tests;
