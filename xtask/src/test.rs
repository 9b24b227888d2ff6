//! `cargo xtask test`: every check there is, the quick ones first.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{
    codegen,
    command::{self, Failure, cargo, program, shown},
    package, tools,
};

const DOCUMENTS: [&str; 2] = ["openapi/autoshares.yaml", "openapi/gateway.json"];

/// Runs all of them; the first that fails ends it.
pub(crate) fn run() -> Result<(), Failure> {
    step("tools");
    tools::install()?;
    step("formatting");
    command::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    step("clippy");
    command::run(&mut cargo(&[
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    // Alone it is built without the sandbox, as most of its users build it; without TLS; and with that of the platform.
    let native_tls = ["--no-default-features", "--features", "native-tls"];
    for features in [&[][..], &native_tls[..1], &native_tls] {
        let mut clippy = cargo(&["clippy", "--locked", "--package", "autoshares-sdk"]);
        command::run(clippy.args(features).args(["--", "--deny", "warnings"]))?;
    }
    step("documentation");
    let mut document = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    command::run(document.env("RUSTDOCFLAGS", "--deny warnings"))?;
    step("derived documents");
    codegen::check()?;
    step("lint of the documents");
    lint()?;
    step("the SDK as a package");
    package::check()?;
    step("tests");
    let Counts { passed, failed } =
        tests(&mut cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]))?;
    println!("\n{passed} passed, {failed} failed");
    if failed > 0 || passed == 0 { Err(Failure::new("the tests failed")) } else { Ok(()) }
}

fn step(name: &str) {
    println!("\n== {name}");
}

fn lint() -> Result<(), Failure> {
    let mut lint = program(&tools::node()?, &[tools::LINTER, "lint", "--config", "redocly.yaml"]);
    lint.args(DOCUMENTS).env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    command::run(&mut lint)
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// Runs the tests, shows what they print, and adds up their closing lines.
fn tests(command: &mut Command) -> Result<Counts, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(Failure::new)?;
    let mut counts = Counts::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(Failure::new)?;
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            counts.passed += count(result, "passed");
            counts.failed += count(result, "failed");
        }
    }
    let status = child.wait().map_err(Failure::new)?;
    if !status.success() && counts.failed == 0 {
        return Err(Failure::new(format!("{} failed, {status}", shown(command))));
    }
    Ok(counts)
}

/// The number in front of a word: 3 in `ok. 3 passed; 0 failed`.
fn count(result: &str, word: &str) -> u64 {
    let mut words = result.split([' ', ';', '.']).filter(|word| !word.is_empty());
    let mut last = "";
    words
        .find_map(|next| {
            if next == word {
                last.parse().ok()
            } else {
                last = next;
                None
            }
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn closing_lines_are_counted() {
        let line = "FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s";
        assert_eq!((count(line, "passed"), count(line, "failed"), count(line, "absent")), (12, 3, 0));
    }
}
