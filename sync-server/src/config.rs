//! Configuration: flags over environment (`REJOINDER_...`) over a TOML file over defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::admin::{self, Ask};
use crate::peers::{Network, Proxy};
use crate::relay::{Registration, Settings};
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

/// What the program can do. Without `run` or any, the relay runs.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Runs the relay.
    Run,
    /// Asks a running relay, or has it do something.
    #[command(subcommand)]
    Admin(Ask),
    /// Makes a verified backup, of a running relay or of one that is not.
    Backup {
        /// The file to write, of a relay that is not running; it must not exist.
        #[arg(required_unless_present = "to", conflicts_with = "to")]
        path: Option<PathBuf>,
        /// A directory, where the backup is named by its time.
        #[arg(long)]
        to: Option<PathBuf>,
        /// How many backups stay in the directory: the newest.
        #[arg(long, default_value_t = 7)]
        keep: usize,
    },
    /// Puts a backup into an empty data directory. Devices write again what it lacks of theirs.
    Restore {
        /// The backup.
        path: PathBuf,
    },
    /// Reads the whole store, or a backup, and says what of it is damaged. The relay must not run.
    Check {
        /// A backup, instead of the relay's store.
        path: Option<PathBuf>,
    },
    /// Makes a damaged store whole: what can't be read goes, and devices write again what is lost of
    /// theirs. The damaged file stays beside it. The relay must not run.
    Repair,
    /// Gives back to the disk what the store does not need. The relay must not run.
    Compact,
    /// Says whether the relay on this machine serves: exit code 0 if it does.
    Health,
    /// Prints the settings in force, and checks them.
    Config,
    /// Prints how much is in the store: numbers only. The relay must not run.
    Inspect,
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
    /// What is logged: `info`, `debug`, `sync_server=trace` [default: info].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// Address and port for health and metrics, which are not served to devices then.
    #[arg(long, global = true, value_parser = socket_address)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operate: Option<SocketAddr>,
    /// The operator's socket [default: relay.redb.admin in the data directory].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
    /// Free bytes on the disk below which nothing new is taken [default: 268435456].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_free_bytes: Option<u64>,
    /// Who may make an account [default: open].
    #[arg(long, global = true, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Milliseconds between being told to stop and ending connections [default: 0].
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_delay_ms: Option<u64>,
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
    /// What is logged, unless `RUST_LOG` says otherwise.
    pub log_level: String,
    /// Address and port for health and metrics, which are not served to devices then.
    pub operate: Option<SocketAddr>,
    /// The operator's socket.
    pub admin: Option<PathBuf>,
    /// Free bytes on the disk below which nothing new is taken; 0 keeps none.
    pub min_free_bytes: u64,
    /// Who may make an account.
    pub registration: Registration,
    /// Milliseconds between being told to stop, when `/readyz` says so, and ending connections.
    pub drain_delay_ms: u64,
    /// Sockets open at once.
    pub max_connections: usize,
    /// Proxies that are believed when they say for whom they speak.
    pub proxies: Vec<Proxy>,
    /// Networks that no limit of a client address holds for: this machine, by default.
    pub unlimited: Vec<Network>,
    /// Origins of web pages (`https://app.example`) that may open sockets, beside those of this
    /// relay's own host; `*` for any.
    pub origins: Vec<String>,
    /// Certificates from an authority, instead of PEM files.
    pub acme: Option<Acme>,
    /// Quotas and rates.
    pub limits: Settings,
}

/// Certificates by ACME (RFC 8555): the relay proves on its own port, in TLS, that the names are its own
/// (TLS-ALPN-01, RFC 8737). So it has to be reached on port 443.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Names that the certificate is for.
    pub domains: Vec<String>,
    /// Whether the operator agrees to the authority's terms: there is no certificate otherwise.
    pub terms_agreed: bool,
    /// Where the authority writes to: mail addresses.
    #[serde(default)]
    pub contact: Vec<String>,
    /// The authority's directory.
    #[serde(default = "lets_encrypt")]
    pub directory: String,
    /// Certificates that the authority's own is signed by, PEM, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn lets_encrypt() -> String {
    instant_acme::LetsEncrypt::Production.url().to_owned()
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
            log_level: "info".to_owned(),
            operate: None,
            admin: None,
            min_free_bytes: 256 * 1024 * 1024,
            registration: Registration::Open,
            drain_delay_ms: 0,
            max_connections: 20_000,
            proxies: Vec::new(),
            unlimited: Network::loopback().to_vec(),
            origins: Vec::new(),
            acme: None,
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
        // Kubernetes makes variables of the names of Services: they are no settings.
        let environment = Env::prefixed("REJOINDER_")
            .filter(|name| name != "config" && !is_a_services(name.as_str()))
            .split("__");
        let figment = figment.merge(environment).merge(Serialized::defaults(flags));
        figment.extract().map_err(Box::new)
    }
}

impl Config {
    /// Where the operator's socket is.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.admin.clone().unwrap_or_else(|| self.data.join(admin::SOCKET))
    }
}

/// Whether a variable, without `REJOINDER_`, is one that Kubernetes sets for a Service whose name
/// begins with `rejoinder`: `..._SERVICE_HOST`, `..._SERVICE_PORT`, `..._SERVICE_PORT_RELAY`,
/// `..._PORT`, `..._PORT_8787_TCP`, `..._PORT_8787_TCP_ADDR` and so on.
fn is_a_services(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts: Vec<&str> = name.split('_').collect();
    let is_port = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let of_service = parts.windows(2).any(|two| matches!(two, ["service", "host" | "port"]));
    let of_port = parts.windows(3).any(|three| match three {
        ["port", port, "tcp" | "udp" | "sctp"] => is_port(port),
        _ => false,
    });
    of_service || of_port || parts.last() == Some(&"port")
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
    fn a_time_in_which_nobody_could_come_in_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.toml");
        let flags = Flags { config: Some(path.clone()), ..Flags::default() };
        for time in ["hello", "handshake", "write", "message", "http"] {
            std::fs::write(&path, format!("[limits]\n{time}_timeout_ms = 0\n")).unwrap();
            let told = Config::load(&flags).unwrap_err().to_string();
            assert!(told.contains(&format!("{time}_timeout_ms")), "{told}");
            assert!(told.contains("the least is 100"), "{told}");
        }
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
    fn what_kubernetes_makes_of_a_services_name_is_no_setting() {
        for name in [
            "service_host",
            "SERVICE_PORT",
            "service_port_relay",
            "port",
            "port_8787_tcp",
            "port_8787_tcp_addr",
            "port_8787_udp_proto",
            "operate_service_host",
            "operate_service_port_metrics",
            "operate_port",
            "operate_port_8788_tcp_port",
        ] {
            assert!(is_a_services(name), "{name}");
        }
        let value = serde_json::to_value(Config::default()).unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(!is_a_services(name), "{name}");
        }
        for name in ["lisen", "limits__pushes", "log_levl", "services", "ports"] {
            assert!(!is_a_services(name), "{name} is a mistake, and told");
        }
    }

    #[test]
    fn what_is_in_force_can_be_printed_and_read_again() {
        let printed = toml::to_string(&Config::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.toml");
        std::fs::write(&path, printed).unwrap();
        let flags = Flags { config: Some(path), ..Flags::default() };
        assert_eq!(Config::load(&flags).unwrap(), Config::default());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
