//! How long a crate that uses the SDK takes to check, from nothing.

use std::{env, fs, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    load::{Effort, read},
    workshop::{Workshop, root},
};

/// Checks an otherwise empty crate that depends on the SDK with its default features, and prints a line.
pub(crate) fn measure(workshop: &Workshop, _: Effort<'_>) -> Result<Value, Failure> {
    let folder = workshop.path("consumer");
    fs::create_dir_all(folder.join("src")).map_err(Failure::new)?;
    let sdk = root().join("sdk").canonicalize().map_err(Failure::new)?;
    let manifest = format!(
        "[package]\nname = \"consumer\"\nedition = \"2024\"\n[dependencies]\nautoshares-sdk = {{ path = {sdk:?} }}\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).map_err(Failure::new)?;
    fs::write(folder.join("src/main.rs"), "fn main() {}\n").map_err(Failure::new)?;
    // Uses the dependency versions of the workspace, and downloads them before the measurement starts.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).map_err(Failure::new)?;
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        command.args(arguments).current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target"));
        command
    };
    read(&mut cargo(&["fetch", "--quiet"]))?;
    let tree = ["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe", "--format", "{p}"];
    let mut crates: Vec<_> = read(&mut cargo(&tree))?.lines().map(str::to_owned).collect();
    crates.sort();
    crates.dedup();
    let began = Instant::now();
    read(&mut cargo(&["check", "--quiet"]))?;
    let (crates, seconds) = (crates.len() - 1, began.elapsed().as_secs_f64());
    println!("sdk: {crates} crates, {seconds:.1} s for a cold `cargo check` with default features");
    Ok(json!({ "crates": crates, "seconds": seconds }))
}
