//! The PROXY protocol, version 2: what a proxy says before anything else, in binary
//! (haproxy's `doc/proxy-protocol.txt`, section 2.2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How each begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes before the addresses: signature, version and command, family, length.
const HEAD: usize = 16;
/// Bytes of addresses and what else a proxy tells: more is no proxy of ours.
const MOST: usize = 1_024;

/// Why what a proxy said can't be used.
#[derive(Debug, Error)]
pub(crate) enum PrefaceError {
    /// The connection ended or failed.
    #[error("the connection ended: {0}")]
    Io(#[from] io::Error),
    /// It began otherwise.
    #[error("no PROXY protocol of version 2")]
    Foreign,
    /// It claims a length beyond what is read.
    #[error("a PROXY header of {0} bytes")]
    TooLarge(usize),
}

/// Reads it off a connection: for whom the proxy speaks, or `None` if for itself (a health check).
///
/// # Errors
/// [`PrefaceError`]: then the connection is of no use.
pub(crate) async fn read_preface<T>(stream: &mut T) -> Result<Option<IpAddr>, PrefaceError>
where
    T: AsyncRead + Unpin,
{
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let rest = rest_of(&head)?;
    let mut body = [0; MOST];
    let body = body.get_mut(..rest).ok_or(PrefaceError::TooLarge(rest))?;
    stream.read_exact(body).await?;
    source(&head, body)
}

/// Bytes that follow the head.
fn rest_of(head: &[u8; HEAD]) -> Result<usize, PrefaceError> {
    let [.., high, low] = *head;
    let is_ours = head.starts_with(&SIGNATURE) && head.get(12).is_some_and(|byte| byte >> 4 == 2);
    let rest = usize::from(u16::from_be_bytes([high, low]));
    match (is_ours, rest <= MOST) {
        (false, _) => Err(PrefaceError::Foreign),
        (true, false) => Err(PrefaceError::TooLarge(rest)),
        (true, true) => Ok(rest),
    }
}

fn source(head: &[u8; HEAD], body: &[u8]) -> Result<Option<IpAddr>, PrefaceError> {
    let [.., command, family, _, _] = *head;
    match (command & 0xf, family >> 4) {
        // LOCAL: the proxy itself, whatever else it says. And UNSPEC, and sockets of its own machine.
        (0, _) | (1, 0 | 3) => Ok(None),
        (1, 1) => {
            let source: &[u8; 4] = body.first_chunk().ok_or(PrefaceError::Foreign)?;
            Ok(Some(Ipv4Addr::from(*source).into()))
        }
        (1, 2) => {
            let source: &[u8; 16] = body.first_chunk().ok_or(PrefaceError::Foreign)?;
            Ok(Some(Ipv6Addr::from(*source).into()))
        }
        _ => Err(PrefaceError::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    async fn read(mut bytes: &[u8]) -> Result<Option<IpAddr>, PrefaceError> {
        read_preface(&mut bytes).await
    }

    #[tokio::test]
    async fn who_a_proxy_speaks_for_is_read_and_nothing_behind_it() {
        let mut four = said(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 3, 4, 0xee, 0, 0]);
        four.extend_from_slice(b"GET /");
        let mut rest = four.as_slice();
        let source = read_preface(&mut rest).await.unwrap();
        assert_eq!(source, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(rest, b"GET /");
        let mut body = [0; 36];
        body[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let source = read(&said(0x21, 0x21, &body)).await.unwrap();
        assert_eq!(source, Some("2001:db8::7".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_names_nobody() {
        assert_eq!(read(&said(0x20, 0x11, &[1; 12])).await.unwrap(), None);
        assert_eq!(read(&said(0x21, 0x00, &[])).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_none_or_too_long_is_an_error() {
        assert!(matches!(read(b"GET / HTTP/1.1\r\n\r\n").await, Err(PrefaceError::Foreign)));
        assert!(matches!(read(&said(0x11, 0x11, &[1; 12])).await, Err(PrefaceError::Foreign)));
        assert!(matches!(read(&said(0x21, 0x11, &[1; 3])).await, Err(PrefaceError::Foreign)));
        let long = read(&said(0x21, 0x11, &[1; MOST + 1])).await;
        assert!(matches!(long, Err(PrefaceError::TooLarge(_))));
        assert!(matches!(read(&SIGNATURE).await, Err(PrefaceError::Io(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_an_answer_or_an_error(
            head: [u8; HEAD], body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = rest_of(&head);
            let _ = source(&head, &body);
        }
    }
}
