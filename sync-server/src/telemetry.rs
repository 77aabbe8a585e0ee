//! Metrics and logs: numbers and kinds only. No address, id or payload is ever logged or made a
//! label.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::refusals::{Refusals, Refused};
use crate::relay::Counts;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes what is logged from now on.
type SetLevel = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// Starts logging to standard error. `RUST_LOG` chooses what, `level` otherwise.
pub fn init_logs(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.or_else(|_| EnvFilter::try_new(level));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process keeps the first one's logs.
    let is_first = match format {
        LogFormat::Text => registry.with(logs).try_init(),
        LogFormat::Json => registry.with(logs.json()).try_init(),
    };
    if is_first.is_ok() {
        let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        let _ = SET_LEVEL.set(Box::new(set));
    }
}

/// Whether that is something that can be logged.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_log_level(level: &str) -> Result<(), String> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(level).map_err(|error| format!("{level}: {error}"))
}

/// Changes what is logged from now on.
///
/// # Errors
/// As [`check_log_level`].
pub fn set_log_level(level: &str) -> Result<(), String> {
    let filter = filter(level)?;
    SET_LEVEL.get().map_or(Ok(()), |set| set(filter))
}

/// All metrics, and what each means: the alert rules and the dashboard in `deploy/` use no other.
pub const METRICS: &[(&str, &str)] = &[
    ("relay_build_info", "1, with the version"),
    ("relay_connections", "TCP connections open"),
    ("relay_connections_limit", "TCP connections that may be open at once"),
    ("relay_sessions", "Sessions of devices that proved who they are"),
    ("relay_sessions_unauthenticated", "Sockets that did not, yet"),
    ("relay_sessions_closed_total", "Sessions that the relay ended, by reason"),
    ("relay_received_bytes_total", "Bytes of WebSocket messages received"),
    ("relay_sent_bytes_total", "Bytes of WebSocket messages sent"),
    ("relay_batch_inputs", "Inputs applied in one commit"),
    ("relay_commit_seconds", "Time of one sync of the log, for all that waited"),
    ("relay_commits_total", "Durable commits"),
    ("relay_commands_total", "Commands applied"),
    ("relay_appended_total", "Entries appended to logs"),
    ("relay_appended_bytes_total", "Bytes of them"),
    ("relay_delivered_total", "Entries handed to sessions"),
    ("relay_refused_total", "Pushes and requests refused"),
    ("relay_refusals_total", "What was refused, by reason"),
    ("relay_signals_total", "Signals handed on"),
    ("relay_queued_bytes", "Bytes of memory that wait for sockets"),
    ("relay_waiting_inputs", "Inputs that wait for their turn"),
    ("relay_clock_jumps_total", "Times that the machine's clock jumped"),
    ("relay_clock_off_seconds", "How far stamps are from the machine's clock"),
    ("relay_heartbeat_age_seconds", "Since the relay said last that it goes on"),
    ("relay_hello_spaces_total", "Spaces looked at for devices that came back"),
    ("relay_certificate_lasts_seconds", "Until the certificate is good no more"),
    ("relay_certificate_failures_total", "Times that an authority gave no certificate"),
    ("relay_damaged_total", "Reads that met a damaged row"),
    ("relay_store_bytes", "Length of the store's file, holes included"),
    ("relay_store_disk_bytes", "Bytes that the store takes on the disk"),
    ("relay_disk_free_bytes", "Bytes free where the store is"),
    ("relay_disk_full", "1 while nothing new is taken, as the disk is full to the reserve"),
    ("relay_process_resident_bytes", "Memory of the process"),
    ("relay_process_open_fds", "Descriptors that the process has open"),
];

/// What the exporter appends to a histogram's name.
pub const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Starts collecting metrics for this process; once is enough.
///
/// # Errors
/// If the buckets of a histogram are refused.
pub fn init_metrics() -> Result<PrometheusHandle, BuildError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
    let sizes = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];
    let of = |name: &str| metrics_exporter_prometheus::Matcher::Full(name.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(of("relay_commit_seconds"), &buckets)?
        .set_buckets_for_metric(of("relay_batch_inputs"), &sizes)?
        .build_recorder();
    let handle = HANDLE.get_or_init(|| recorder.handle()).clone();
    let _ = metrics::set_global_recorder(recorder);
    for (name, means) in METRICS {
        metrics::describe_gauge!(*name, *means);
    }
    gauge!("relay_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// What is looked at when somebody asks for metrics.
pub(crate) fn at_a_look(
    heartbeat_age: Duration,
    connections_limit: usize,
    certificate_lasts_s: Option<i64>,
) {
    if let Some(lasts_s) = certificate_lasts_s {
        gauge!("relay_certificate_lasts_seconds").set(lasts_s as f64);
    }
    gauge!("relay_heartbeat_age_seconds").set(heartbeat_age.as_secs_f64());
    gauge!("relay_connections_limit").set(connections_limit as f64);
    if let Some(bytes) = resident_bytes() {
        gauge!("relay_process_resident_bytes").set(bytes as f64);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge!("relay_process_open_fds").set(open.count() as f64);
    }
}

/// Memory of this process, where the system says so in `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Room on the disk, as it was last looked at.
pub(crate) fn disk(free: Option<u64>, is_full: bool, store_bytes: u64, store_disk_bytes: u64) {
    if let Some(free) = free {
        gauge!("relay_disk_free_bytes").set(free as f64);
    }
    gauge!("relay_disk_full").set(if is_full { 1.0 } else { 0.0 });
    gauge!("relay_store_bytes").set(store_bytes as f64);
    gauge!("relay_store_disk_bytes").set(store_disk_bytes as f64);
}

pub(crate) fn batch(inputs: usize) {
    if inputs > 0 {
        histogram!("relay_batch_inputs").record(u32::try_from(inputs).unwrap_or(u32::MAX));
    }
}

pub(crate) fn committed(took: Duration) {
    histogram!("relay_commit_seconds").record(took);
}

pub(crate) fn closed(kind: &'static str) {
    counter!("relay_sessions_closed_total", "reason" => kind).increment(1);
}

pub(crate) fn connections(open: usize) {
    gauge!("relay_connections").set(u32::try_from(open).unwrap_or(u32::MAX));
}

pub(crate) fn received(bytes: usize) {
    counter!("relay_received_bytes_total").increment(bytes as u64);
}

pub(crate) fn sent(bytes: usize) {
    counter!("relay_sent_bytes_total").increment(bytes as u64);
}

pub(crate) fn counts(counts: &Counts) {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    gauge!("relay_sessions").set(number(counts.sessions));
    gauge!("relay_sessions_unauthenticated").set(number(counts.unauthenticated));
    counter!("relay_commits_total").absolute(counts.commits);
    counter!("relay_commands_total").absolute(counts.commands);
    counter!("relay_appended_total").absolute(counts.appended);
    counter!("relay_appended_bytes_total").absolute(counts.appended_bytes);
    counter!("relay_delivered_total").absolute(counts.delivered);
    counter!("relay_refused_total").absolute(counts.refused);
    counter!("relay_hello_spaces_total").absolute(counts.looked_at);
    counter!("relay_signals_total").absolute(counts.signals);
    counter!("relay_damaged_total").absolute(counts.damaged);
}

pub(crate) fn refusals(refusals: &Refusals) {
    for reason in Refused::ALL {
        counter!("relay_refusals_total", "reason" => reason.name()).absolute(refusals.of(reason));
    }
}

/// Bytes of memory that wait for sockets, and inputs that wait for their turn.
pub(crate) fn waiting(bytes: usize, inputs: usize) {
    gauge!("relay_queued_bytes").set(bytes as f64);
    gauge!("relay_waiting_inputs").set(inputs as f64);
}

/// No certificate came from the authority.
pub(crate) fn no_certificate() {
    counter!("relay_certificate_failures_total").increment(1);
}

pub(crate) fn clock_jumped() {
    counter!("relay_clock_jumps_total").increment(1);
}

pub(crate) fn clock_off(ms: i64) {
    gauge!("relay_clock_off_seconds").set(ms as f64 / 1_000.0);
}
