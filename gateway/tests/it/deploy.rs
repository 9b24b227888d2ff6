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
