//! The page in Chromium and in Firefox. The scripts start gateways of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Runs a script of `gateway/tests/page`.
#[track_caller]
fn run(script: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules: PathBuf = root.parent().unwrap().join("xtask/npm/node_modules");
    // The installed Node, where the system's was too old.
    let own = modules.join(".bin/node");
    let mut node = Command::new(if own.exists() { own } else { "node".into() });
    node.arg(root.join("tests/page").join(script)).args(arguments);
    node.env("GATEWAY", env!("CARGO_BIN_EXE_autoshares-gateway"))
        .env("MODULES", modules)
        .env("NO_PROXY", "*");
    let output = node.output().expect("Node is not installed: `cargo xtask test` installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn traders_reset_their_passwords_in_chromium() {
    run("walk.mjs", &[]);
}

#[test]
fn traders_reset_their_passwords_in_firefox() {
    run("firefox.mjs", &[]);
}

#[test]
fn every_screen_in_every_state_fits_and_is_accessible() {
    let folder = tempfile::tempdir().unwrap();
    run("screenshots.mjs", &[folder.path().to_str().unwrap()]);
}
