//! Configuration: flags over environment (`REJOINDER_...`) over a TOML file over defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::peers::{Network, Proxy};
use crate::relay::Settings;
use crate::telemetry::LogFormat;

/// What the program was called with.
#[derive(Clone, Debug, Parser)]
#[command(name = "sync-server", version, about = "Rejoinder's relay")]
pub struct Cli {
    /// What to do; without it, the relay runs.
    #[command(subcommand)]
    pub command: Option<Task>,
    /// Flags.
    #[command(flatten)]
    pub flags: Flags,
}

/// What else the program can do. The relay must not be running.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Prints how much is in the store: numbers only.
    Inspect,
    /// Copies the store into a new file.
    Backup {
        /// The file to write; it must not exist.
        path: PathBuf,
    },
}

/// Flags. What is not given comes from the environment, the file, or the defaults.
#[derive(Clone, Debug, Default, Args, Serialize)]
pub struct Flags {
    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:8787].
    #[arg(long, global = true, value_parser = socket_address)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Directory of the store [default: relay-data].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// A TOML file with the same names, and a `limits` table.
    #[arg(long, global = true, env = "REJOINDER_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Certificate chain, PEM. With --tls-key: serve wss and https.
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Private key, PEM.
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Folder of a built web app, to be served beside the relay.
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<PathBuf>,
    /// How logs are written.
    #[arg(long, global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Sockets open at once [default: 20000].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
}

/// Everything the relay needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    /// Directory of the store.
    pub data: PathBuf,
    /// Certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Folder of a built web app, to be served beside the relay.
    pub web: Option<PathBuf>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Sockets open at once.
    pub max_connections: usize,
    /// Proxies that are believed when they say for whom they speak.
    pub proxies: Vec<Proxy>,
    /// Networks that no limit of a client address holds for: this machine, by default.
    pub unlimited: Vec<Network>,
    /// Origins of web pages (`https://app.example`) that may open sockets, beside those of this
    /// relay's own host; `*` for any.
    pub origins: Vec<String>,
    /// Quotas and rates.
    pub limits: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            data: PathBuf::from("relay-data"),
            tls_cert: None,
            tls_key: None,
            web: None,
            log_format: LogFormat::Text,
            max_connections: 20_000,
            proxies: Vec::new(),
            unlimited: Network::loopback().to_vec(),
            origins: Vec::new(),
            limits: Settings::default(),
        }
    }
}

impl Config {
    /// Puts flags, environment, file and defaults together. Limits are set in the environment as
    /// `REJOINDER_LIMITS__PUSH_BYTES_PER_S`.
    ///
    /// # Errors
    /// What is wrong, and where it was set.
    pub fn load(flags: &Flags) -> Result<Self, Box<figment::Error>> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = &flags.config {
            figment = figment.merge(Toml::file_exact(path));
        }
        let environment = Env::prefixed("REJOINDER_").ignore(&["config"]).split("__");
        let figment = figment.merge(environment).merge(Serialized::defaults(flags));
        figment.extract().map_err(Box::new)
    }
}

/// An IP address and a port.
fn socket_address(typed: &str) -> Result<SocketAddr, String> {
    let port = typed.rsplit(':').next().unwrap_or_default();
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if is_number && typed.contains(':') && port.parse::<u16>().is_err() {
        return Err(format!("its port is {port}, and must be a number from 0 to 65535"));
    }
    let shape = "write an IP address and a port, such as 127.0.0.1:8787 or [::]:8787";
    typed.parse().map_err(|_| shape.to_owned())
}

fn listen<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    socket_address(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_unknown_names_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.toml");
        let text = "listen = \"0.0.0.0:1\"\nmax_connections = 5\n[limits]\nlookups_per_s = 7\n";
        std::fs::write(&path, text).unwrap();
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let flags = Flags { config: Some(path.clone()), listen, ..Flags::default() };
        let config = Config::load(&flags).unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!((config.max_connections, config.limits.lookups_per_s), (5, 7));
        std::fs::write(&path, "lisen = \"0.0.0.0:1\"").unwrap();
        assert!(Config::load(&flags).unwrap_err().to_string().contains("lisen"));
    }

    #[test]
    fn where_to_listen_is_an_address_and_a_port() {
        assert_eq!(socket_address("[::]:0").unwrap().port(), 0);
        for (typed, word) in [
            ("127.0.0.1:99999", "99999"),
            ("[::1]:65536", "65536"),
            ("localhost:8787", "IP address"),
            ("8787", "IP address"),
            ("::1", "IP address"),
            ("", "IP address"),
        ] {
            let error = socket_address(typed).unwrap_err();
            assert!(error.contains(word), "{typed}: {error}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
