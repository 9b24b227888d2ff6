//! What lies in `deploy/` for operators: it works with their tools.

use std::{fs, process::Command};

/// The unit as systemd reads it: no word is misspelt, and its sandbox is as tight as it is said to be.
#[test]
fn the_unit_is_one_that_systemd_takes_and_is_hardened() {
    let unit = include_str!("../../../deploy/autoshares-gateway.service");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("autoshares-gateway.service");
    // The binary has to be there.
    let binary = env!("CARGO_BIN_EXE_autoshares-gateway");
    fs::write(&path, unit.replace("/usr/bin/autoshares-gateway", binary)).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output();
        let output = output.expect("systemd-analyze is not installed: `cargo xtask test` installs it");
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{told}");
        told
    };
    let told = analyze(&["verify", "--man=no"]);
    assert!(!told.contains("autoshares-gateway.service:"), "{told}");
    // Tenths of systemd's points; the default unit has 96.
    analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]);
    // The program stops within the time that it gets.
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let document = include_str!("../../../docs/operating.md");
    assert!(document.contains(&format!("Give it {} seconds", line.trim_end_matches('s'))), "{line}");
}

/// The rules are ones that Prometheus takes, each alert fires when it should and not before, and each metric that they ask for is one of the
/// gateway's.
#[test]
fn the_alerts_fire_when_they_should_and_ask_for_metrics_that_there_are() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool").args(arguments).current_dir(folder).output();
        let output = output.expect("promtool is not installed: `cargo xtask test` installs it");
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{told}");
    };
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
    let rules = include_str!("../../../deploy/prometheus/alerts.yaml");
    let tests = include_str!("../../../deploy/prometheus/alerts.test.yaml");
    let document = include_str!("../../../docs/operating.md");
    // A family of metrics shows none before its first label, so the code is asked.
    let code = include_str!("../../src/telemetry/metrics.rs");
    let is_known = |name: &str| {
        let parts = ["", "_total", "_seconds_count"].into_iter().filter_map(|part| name.strip_suffix(part));
        parts.into_iter().any(|name| code.contains(&format!("\"{name}\"")))
    };
    let words = rules.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let asked: Vec<_> =
        words.filter(|word| word.starts_with("gateway_") || word.starts_with("http_server_")).collect();
    assert!(asked.len() > 12, "{asked:?}");
    for name in asked {
        assert!(
            is_known(name) && document.contains(name.trim_end_matches("_count")),
            "{name} is no metric, or `docs/operating.md` does not have it"
        );
    }
    let anchors: Vec<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let mut alerts = 0;
    for line in rules.lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            alerts += 1;
            assert!(tests.contains(&format!("- name: {name}\n")), "no test of {name}");
        }
        if let Some(runbook) = line.trim().strip_prefix("runbook: docs/operating.md#") {
            assert!(
                anchors.iter().any(|anchor| anchor == runbook),
                "no section {runbook} in `docs/operating.md`"
            );
        }
    }
    assert_eq!(alerts, rules.matches("runbook: ").count());
}
