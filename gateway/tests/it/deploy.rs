//! What lies in `deploy/` for operators: it works with their tools.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use autoshares_gateway::config::settings;
use serde_json::Value;

use crate::support::{bare, keygen};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a tool that `cargo xtask test` installs, and wants it to succeed. What it says.
fn succeeds(tool: &mut Command) -> String {
    let output =
        tool.output().unwrap_or_else(|error| panic!("{tool:?}: {error}; `cargo xtask test` installs it"));
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{tool:?}: {told}");
    told
}

/// The unit as systemd reads it: no word is misspelt, and its sandbox is as tight as it is said to be.
#[test]
fn the_unit_is_one_that_systemd_takes_and_is_hardened() {
    let unit = include_str!("../../../deploy/autoshares-gateway.service");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("autoshares-gateway.service");
    // The binary has to be there.
    let binary = env!("CARGO_BIN_EXE_autoshares-gateway");
    fs::write(&path, unit.replace("/usr/bin/autoshares-gateway", binary)).unwrap();
    let analyze = |arguments: &[&str]| succeeds(Command::new("systemd-analyze").args(arguments).arg(&path));
    let told = analyze(&["verify", "--man=no"]);
    assert!(!told.contains("autoshares-gateway.service:"), "{told}");
    // Tenths of systemd's points; the default unit has 96.
    analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]);
    // The program stops within the time that it gets.
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let document = include_str!("../../../docs/operating.md");
    assert!(document.contains(&format!("Give it {} seconds", line.trim_end_matches('s'))), "{line}");
}

/// How many metrics of the gateway a text asks for; each is one that the code registers and `docs/operating.md` explains.
fn asked_metrics(text: &str) -> usize {
    let document = include_str!("../../../docs/operating.md");
    // A family of metrics shows none before its first label, so the code is asked.
    let code =
        [include_str!("../../src/telemetry/metrics.rs"), include_str!("../../src/telemetry/process.rs")]
            .concat();
    let is_known = |name: &str| {
        let parts = ["", "_total", "_seconds_count", "_seconds_bucket"];
        parts
            .into_iter()
            .filter_map(|part| name.strip_suffix(part))
            .any(|name| code.contains(&format!("\"{name}\"")))
    };
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let is_ours = |word: &&str| {
        ["gateway_", "http_server_", "http_client_", "process_"].iter().any(|prefix| word.starts_with(prefix))
    };
    // `status_code` and the like are labels, which stand in the document too.
    let asked: Vec<_> = words.filter(is_ours).collect();
    for name in &asked {
        let explained = document.contains(name.trim_end_matches("_count").trim_end_matches("_bucket"));
        assert!(is_known(name) && explained, "{name} is no metric, or `docs/operating.md` does not have it");
    }
    asked.len()
}

/// The dashboard is JSON, every query of it one that Prometheus takes, and every metric one of the gateway's.
#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../../deploy/grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > 25 && asked_metrics(&queries.join("\n")) > 25);
    // Rules are the one place where promtool reads queries without a server.
    let rule = |(index, query): (usize, &String)| {
        let query = query.replace("$__rate_interval", "5m").replace("$job", "job").replace("$instance", ".*");
        serde_json::json!({ "record": format!("panel:{index}"), "expr": query })
    };
    let rules: Vec<_> = queries.iter().enumerate().map(rule).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.json");
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    succeeds(Command::new("promtool").args(["check", "rules"]).arg(&file));
    // Panels do not lie upon one another.
    let mut places: Vec<_> =
        panels.iter().map(|panel| (panel["gridPos"]["y"].as_u64(), panel["gridPos"]["x"].as_u64())).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), panels.len());
    // A runbook is a section that there is.
    for panel in panels {
        if let Some((_, anchor)) =
            panel["description"].as_str().unwrap_or_default().split_once("operating.md#")
        {
            assert!(sections().contains(&anchor.to_owned()), "{anchor}");
        }
    }
}

/// The sections of `docs/operating.md`, as links name them.
fn sections() -> Vec<String> {
    let titles =
        include_str!("../../../docs/operating.md").lines().filter_map(|line| line.strip_prefix("## "));
    titles.map(|title| title.to_lowercase().replace(' ', "-")).collect()
}

/// The image, the trial and the manifests are such that their tools find nothing, and say nothing that the gateway does not take.
#[test]
fn containers_are_set_up_as_their_tools_and_the_gateway_want() {
    let (deploy, python) = (root().join("deploy"), root().join("target/python/bin"));
    succeeds(Command::new(python.join("hadolint")).arg(deploy.join("container/Dockerfile")));
    // Cargo reads the manifest of every member, so the image cannot be built where one stays out of the build's files.
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let ignored = fs::read_to_string(deploy.join("container/Dockerfile.dockerignore")).unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let is_in = |line: &str| {
            line.strip_prefix('!').is_some_and(|path| format!("{member}/Cargo.toml").starts_with(path))
        };
        assert!(ignored.lines().any(is_in), "{member}");
    }
    let manifests = ["gateway.yaml", "redis.yaml"].map(|name| deploy.join("kubernetes").join(name));
    succeeds(Command::new(python.join("kubernetes-validate")).arg("--strict").args(&manifests));
    let (own, packages) =
        (root().join("xtask/npm/node_modules/.bin/node"), root().join("xtask/npm/node_modules"));
    let node = if own.exists() { own } else { "node".into() };
    let linter = packages.join("dclint/bin/dclint.cjs");
    // The image has a name, for keys are drawn with it, and is built.
    let arguments = ["--quiet", "--disable-rule", "no-build-and-image"];
    succeeds(Command::new(node).arg(linter).arg(deploy.join("container/compose.yaml")).args(arguments));

    // Every variable is one of the gateway's.
    let container = fs::read_to_string(deploy.join("container/Dockerfile")).unwrap()
        + &fs::read_to_string(deploy.join("container/compose.yaml")).unwrap();
    let words = container.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    // The last one belongs to the build.
    let is_variable = |word: &&str| {
        (word.starts_with("GATEWAY_") || word.starts_with("AUTOSHARES_"))
            && *word != "AUTOSHARES_GATEWAY_COMMIT"
    };
    let variables: Vec<_> = words.filter(is_variable).collect();
    assert!(variables.len() > 8);
    for variable in variables {
        assert!(settings().any(|setting| setting.variable == variable), "{variable} is no setting");
    }
    // The settings of the manifest are valid, with keys where it mounts them.
    let manifest = fs::read_to_string(&manifests[0]).unwrap();
    let (_, text) = manifest.split_once("gateway.toml: |\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app-key"), "a-good-key").unwrap();
    fs::write(folder.path().join("flow-keys"), keygen()).unwrap();
    let text: String =
        text.split("---").next().unwrap().lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    let text = text.replace("/run/secrets/autoshares", folder.path().to_str().unwrap());
    let file = folder.path().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let check = bare()
        .args(["check", "--config", file.to_str().unwrap()])
        .env("GATEWAY_STORE", "redis://:password@redis:6379/0")
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    // A stop gets the time that it may take.
    let number = |text: &str, before: &str| {
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
        rest.trim_start()
            .split(|character: char| !character.is_ascii_digit())
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    let needed = number(include_str!("../../../docs/operating.md"), "Give it");
    let given = number(&manifest, "terminationGracePeriodSeconds:");
    assert!(given >= needed + number(&manifest, "sleep: { seconds:"), "{given}");
    assert!(number(&container, "stop_grace_period:") >= needed);
}

/// The rules are ones that Prometheus takes, each alert fires when it should and not before, and each metric that they ask for is one of the
/// gateway's.
#[test]
fn the_alerts_fire_when_they_should_and_ask_for_metrics_that_there_are() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
    let promtool =
        |arguments: &[&str]| succeeds(Command::new("promtool").args(arguments).current_dir(folder));
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
    let rules = include_str!("../../../deploy/prometheus/alerts.yaml");
    let tests = include_str!("../../../deploy/prometheus/alerts.test.yaml");
    assert!(asked_metrics(rules) > 12);
    let anchors = sections();
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
