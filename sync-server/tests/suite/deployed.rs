//! What is in `deploy/` and the operator's guide: it speaks of metrics that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sync_server::refusals::Refused;
use sync_server::telemetry::{METRICS, OF_HISTOGRAMS};

fn file(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// Words that look like the relay's metrics.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let named = words.filter(|word| word.starts_with("relay_") && word.len() > 6);
    named.map(str::to_owned).collect()
}

fn is_known(name: &str) -> bool {
    METRICS.iter().any(|(known, _)| {
        *known == name || OF_HISTOGRAMS.iter().any(|end| format!("{known}{end}") == name)
    })
}

#[test]
fn the_dashboard_and_the_alerts_use_metrics_that_there_are() {
    for name in ["deploy/alerts.yaml", "deploy/grafana.json"] {
        let used = metrics_in(&file(name));
        assert!(used.len() > 5, "{name}: {used:?}");
        for metric in used {
            assert!(is_known(&metric), "{name} uses {metric}");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&file("deploy/grafana.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 8);
}

#[test]
fn the_guide_says_what_each_metric_and_each_alert_means() {
    let guide = file("docs/operating.md");
    for (name, _) in METRICS {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
    for line in file("deploy/alerts.yaml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(guide.contains(&format!("`{alert}`")), "{alert}");
        }
    }
    for metric in metrics_in(&guide) {
        assert!(is_known(&metric), "the guide names {metric}");
    }
}

#[test]
fn the_guide_says_what_each_reason_for_a_refusal_means() {
    let guide = file("docs/operating.md");
    for reason in Refused::ALL {
        assert!(guide.contains(&format!("`{}`", reason.name())), "{reason:?}");
    }
}

#[test]
fn the_settings_that_are_shipped_are_good() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/relay.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sync-server"))
        .arg("--config")
        .arg(path)
        .arg("config")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The relay's settings in a file of `deploy/`: `REJOINDER_NAME: value`.
fn settings_in(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.starts_with("REJOINDER_").then(|| (name.to_owned(), value.to_owned()))
    });
    lines.collect()
}

#[test]
fn the_composed_relay_knows_who_speaks_for_devices() {
    let settings = settings_in(&file("deploy/compose.yaml"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sync-server"));
    let output = command.envs(settings.clone()).arg("config").output().unwrap();
    assert!(output.status.success(), "{settings:?} {output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("says = \"x-forwarded-for\""), "{said}");
}
