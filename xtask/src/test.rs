//! `cargo xtask test`: runs all checks of the workspace, the quick ones first.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{
    bench, codegen,
    command::{self, Failure, cargo, program, shown},
    package, tools,
};

const DOCUMENTS: [&str; 2] = ["openapi/autoshares.yaml", "openapi/gateway.json"];

/// Runs the checks one after the other, up to the first that fails.
pub(crate) fn run() -> Result<(), Failure> {
    step("tools");
    tools::install()?;
    step("formatting");
    command::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    // It takes minutes, and at its end one core only. The checks up to the one that needs it run beside it.
    let optimized = bench::start_plain_build()?;
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
    // The workspace builds the SDK with the sandbox and rustls only. These build it as its users do: with its defaults, without TLS, and with
    // the TLS library of the operating system.
    let native_tls = ["--no-default-features", "--features", "native-tls"];
    for features in [&[][..], &native_tls[..1], &native_tls] {
        let mut clippy = cargo(&["clippy", "--locked", "--package", "autoshares-sdk"]);
        command::run(clippy.args(features).args(["--", "--deny", "warnings"]))?;
    }
    step("documentation");
    let mut document = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    command::run(document.env("RUSTDOCFLAGS", "--deny warnings"))?;
    step("build");
    // All at once: a crate that is built by itself has its dependencies built anew, with other features.
    command::run(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))?;
    step("derived documents");
    codegen::compare()?;
    step("lint of the documents");
    lint()?;
    step("the SDK as a package");
    package::check()?;
    step("instructions of a request");
    bench::check_instructions(optimized)?;
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

/// Runs the tests, prints their output, and adds up the numbers of passed and failed tests of all test binaries.
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

/// The number in front of `word` in the last line of a test binary: 3 for `passed` in `ok. 3 passed; 0 failed`.
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
