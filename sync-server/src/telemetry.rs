//! Metrics and logs: numbers and kinds only. No address, id or payload is ever logged or made a
//! label.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};

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

/// Starts logging to standard error. `RUST_LOG` chooses what, `info` otherwise.
pub fn init_logs(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first one's logs.
    let _ = match format {
        LogFormat::Text => logs.with_ansi(false).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
}

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
    Ok(handle)
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

pub(crate) fn counts(counts: &Counts, store_bytes: u64) {
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
    gauge!("relay_store_mebibytes").set(number(store_bytes >> 20));
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

pub(crate) fn clock_jumped() {
    counter!("relay_clock_jumps_total").increment(1);
}

pub(crate) fn clock_off(ms: i64) {
    gauge!("relay_clock_off_seconds").set(ms as f64 / 1_000.0);
}
