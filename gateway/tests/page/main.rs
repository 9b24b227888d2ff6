//! The hosted page in Chromium and in Firefox. The scripts start gateways of their own. They are a test binary of their own, and run one after the
//! other, for two of them would take more than a small machine has, and other tests look at times. Only what has a lower priority runs beside them.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a script of `gateway/tests/page`.
#[track_caller]
fn run(script: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules: PathBuf = root.parent().unwrap().join("xtask/npm/node_modules");
    // The installed Node, where the system's was too old.
    let own = modules.join(".bin/node");
    let mut node = Command::new(if own.exists() { own } else { "node".into() });
    node.arg(root.join("tests/page").join(script));
    node.env("GATEWAY", env!("CARGO_BIN_EXE_autoshares-gateway"))
        .env("MODULES", modules)
        .env("NO_PROXY", "*");
    let output = node.output().expect("Node is not installed: `cargo xtask test` installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn traders_reset_their_passwords_in_chromium() {
    run("walk.mjs");
}

#[test]
fn traders_reset_their_passwords_in_firefox() {
    run("firefox.mjs");
}

#[test]
fn every_screen_in_every_state_fits_and_is_accessible() {
    run("screenshots.mjs");
}
