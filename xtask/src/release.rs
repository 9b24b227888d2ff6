//! `cargo xtask release-check`: the checks before the SDK is published. They need the network for security advisories, and minutes to
//! build their tools, so they are not part of `cargo xtask test`.

use std::fs;

use similar::TextDiff;

use crate::{
    command::{Failure, cargo, program, read, root, run},
    package,
    tools::{cargo_tool, install_cargo_tool},
};

/// The tools with pinned versions, because the format of rustdoc's JSON, which they read, changes with the compiler.
const TOOLS: [(&str, &str); 3] =
    [("cargo-deny", "0.20.2"), ("cargo-semver-checks", "0.51.0"), ("cargo-public-api", "0.52.0")];

/// The file with the public API of the SDK as it was last reviewed.
const SURFACE: &str = "sdk/public-api.txt";

/// Runs all checks. With `accept`, first records the present public API as reviewed.
pub(crate) fn check(accept: bool) -> Result<(), Failure> {
    for (name, version) in TOOLS {
        install_cargo_tool(name, version)?;
    }
    surface(accept)?;
    run(&mut cargo_tool("cargo-deny", &["--locked", "check"]))?;
    compatible()?;
    package::check()?;
    run(&mut cargo(&["publish", "--dry-run", "--locked", "--package", "autoshares-sdk"]))?;
    println!("ready to release");
    Ok(())
}

fn surface(accept: bool) -> Result<(), Failure> {
    // The JSON output of rustdoc is unstable; `RUSTC_BOOTSTRAP` lets a stable compiler write it.
    let arguments =
        ["rustdoc", "--locked", "--quiet", "--lib", "--package", "autoshares-sdk", "--features", "sandbox"];
    let mut rustdoc = cargo(&arguments);
    rustdoc.args(["--", "-Z", "unstable-options", "--output-format", "json"]).env("RUSTC_BOOTSTRAP", "1");
    run(&mut rustdoc)?;
    let now = read(&mut cargo_tool(
        "cargo-public-api",
        &["-sss", "--rustdoc-json", "target/doc/autoshares_sdk.json"],
    ))?;
    let path = root().join(SURFACE);
    if accept {
        return fs::write(path, now).map_err(Failure::new);
    }
    let reviewed = fs::read_to_string(path).unwrap_or_default();
    if reviewed == now {
        println!("{SURFACE}: the public surface is as it was reviewed");
        return Ok(());
    }
    print!("{}", TextDiff::from_lines(&reviewed, &now).unified_diff().header(SURFACE, "now"));
    Err(Failure::new(
        "the public surface changed: review it, then run `cargo xtask release-check --accept-surface`",
    ))
}

/// Checks that the SDK is compatible, by the rules of semantic versioning, with its last release, which has the tag `sdk-v…`.
fn compatible() -> Result<(), Failure> {
    let tags = read(&mut program("git", &["tag", "--list", "sdk-v*", "--sort=-version:refname"]))?;
    let Some(last) = tags.lines().next() else {
        println!("no tag `sdk-v…`: this is the first release, and breaks nobody");
        return Ok(());
    };
    run(&mut cargo_tool(
        "cargo-semver-checks",
        &["semver-checks", "--package", "autoshares-sdk", "--baseline-rev", last],
    ))
}
