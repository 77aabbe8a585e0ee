//! A whole relay in this process, over a folder of its own.

use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::time::Duration;

use sync_server::config::Config;
use sync_server::server::Server;
#[cfg(target_os = "linux")]
use tokio::io::AsyncWriteExt as _;

#[cfg(target_os = "linux")]
use super::Device;
#[cfg(target_os = "linux")]
use super::socket::{Socket, connect_from, read_all};

/// Ends with the test.
pub struct Running {
    pub server: Server,
    _data: tempfile::TempDir,
}

/// Starts a relay, with what a test wants otherwise.
pub async fn start(change: impl FnOnce(&mut Config)) -> Running {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data: data.path().to_owned(),
        ..Config::default()
    };
    change(&mut config);
    Running { server: Server::start(&config).await.unwrap(), _data: data }
}

/// A relay that counts this machine's addresses like any others.
#[cfg(target_os = "linux")]
pub async fn counting(change: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.unlimited = Vec::new();
        change(config);
    })
    .await
}

/// A certificate for this machine, and its key, as PEM files in a folder.
pub fn self_signed(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

#[cfg(target_os = "linux")]
impl Running {
    /// What is answered to a request that is no device's.
    pub async fn get(&self, path: &str, more: &str) -> String {
        let address = self.server.operated().unwrap_or(self.server.address());
        let mut stream = connect_from([127, 0, 0, 9], address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_all(stream).await
    }

    /// A metric's value; 0 if there is none of that name yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics", "").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Waits until so many were refused for a reason: counted once a second.
    pub async fn until_refused(&self, reason: &str, least: f64) {
        let name = format!("relay_refusals_total{{reason=\"{reason}\"}}");
        while self.metric(&name).await < least {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a new account gets in from an address.
    pub async fn lets_in(&self, from: [u8; 4], seed: u64) -> bool {
        let mut device = Device::new(seed);
        Socket::open_from(from, self.server.address(), &mut device).await.is_ok()
    }
}
