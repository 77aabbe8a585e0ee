//! What a relay keeps in memory for a connection that has pushed 60 KB once and is idle since.
//!
//! Two relays get the same accounts, spaces and bytes, so that their stores and caches are alike.
//! At one, each device hangs up before the next comes; at the other, all stay. The difference is
//! what connections cost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt as _;
use rcgen::generate_simple_self_signed;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

use crate::author::{Author, space};
use crate::echo;
use crate::floors::noise;
use crate::link::{self, Wire, found, open, write};
use crate::process::{Certificate, Server};
use crate::report::{Measure, Target};
use crate::rounds::{Scale, median};
use crate::{Failure, Outcome};

/// Bytes that each device pushes.
const PUSHED: usize = 60_000;
/// After this the relay has taken note of everybody who hung up.
const REST: Duration = Duration::from_millis(1_500);

/// Plain and encrypted connections. An allocator keeps some MB more at one time than at another, which
/// are KiB a connection: hence the rounds.
pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Measure>> {
    let (count, rounds) = (scale.pick(5, 200, 1_000), scale.pick(1, 1, 3));
    let directory = tempfile::tempdir()?;
    let mut floor = Vec::new();
    for _ in 0..rounds {
        let hung_up = bare(directory.path(), count, false).await?;
        let stayed = bare(directory.path(), count, true).await?;
        floor.push(kib_each([hung_up, stayed], count));
    }
    let mut measures = Vec::new();
    for (name, most, is_tls) in [("ws", 10.0, false), ("wss", 16.0, true)] {
        let mut each = Vec::new();
        for _ in 0..rounds {
            let hung_up = relay(directory.path(), count, is_tls, false).await?;
            let stayed = relay(directory.path(), count, is_tls, true).await?;
            each.push(kib_each([hung_up, stayed], count));
        }
        let what = format!("an idle connection on {name} ({count} of them)");
        let measure = Measure::new("memory", what, median(&each), "KiB");
        let measure = measure.beside("axum echo as it comes, on ws", median(&floor));
        measures.push(measure.toward(Target::AtMost(most)));
    }
    Ok(measures)
}

fn kib_each([hung_up, stayed]: [u64; 2], count: usize) -> f64 {
    (stayed as f64 - hung_up as f64) / 1024.0 / count as f64
}

/// Bytes of a relay in memory after all devices came by.
async fn relay(directory: &Path, count: usize, is_tls: bool, stay: bool) -> Outcome<u64> {
    let data = tempfile::tempdir_in(directory)?;
    let tls = if is_tls { Some(certificate(data.path())?) } else { None };
    let relay = Server::relay(data.path(), tls.as_ref().map(|(certificate, _)| certificate))?;
    let connector = tls.as_ref().map(|(_, connector)| connector);
    let mut staying = Vec::new();
    for number in 0..count as u64 {
        let mut author = Author::new(number);
        let mut wire = Wire::open(relay.address, connector).await?;
        open(&mut wire, &mut author).await?;
        found(&mut wire, &mut author, space(number), &[]).await?;
        write(&mut wire, &mut author, space(number), PUSHED).await?;
        if stay {
            staying.push(wire);
        }
    }
    tokio::time::sleep(REST).await;
    let bytes = relay.resident_bytes()?;
    drop(staying);
    Ok(bytes)
}

/// The same with the echo.
async fn bare(directory: &Path, count: usize, stay: bool) -> Outcome<u64> {
    let data = tempfile::tempdir_in(directory)?;
    let server = Server::echo(data.path())?;
    let message = noise(PUSHED);
    let mut staying = Vec::new();
    for _ in 0..count {
        let mut socket = echo::join(server.address, echo::OWN).await?;
        socket.send(Message::Binary(message.clone().into())).await?;
        link::message(&mut socket).await?;
        if stay {
            staying.push(socket);
        }
    }
    tokio::time::sleep(REST).await;
    let bytes = server.resident_bytes()?;
    drop(staying);
    Ok(bytes)
}

/// A certificate for `localhost`, and a connector that believes it.
fn certificate(directory: &Path) -> Outcome<(Certificate, TlsConnector)> {
    let made = generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let files = Certificate { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.chain, made.cert.pem())?;
    std::fs::write(&files.key, made.signing_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Failure::from)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((files, Arc::new(config).into()))
}
