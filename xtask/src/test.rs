//! `cargo xtask test`: runs all checks of the workspace, the quick ones first.

use std::{
    io::{BufRead, BufReader},
    num::NonZero,
    process::{Command, Stdio},
    thread,
};

use crate::{
    bench, codegen,
    command::{self, Failure, cargo, program, shown},
    package, tools,
};

/// The module of the gateway's library whose tests simulate hours of it.
const SIMULATIONS: &str = "simulation::";
const DOCUMENTS: [&str; 2] = ["openapi/autoshares.yaml", "openapi/gateway.json"];

/// Runs the checks one after the other, up to the first that fails.
pub(crate) fn run() -> Result<(), Failure> {
    step("tools");
    tools::install()?;
    step("formatting");
    command::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    // It takes minutes, and only the last check needs it.
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
    // Simulated time waits for nothing, so simulations keep the processors busy, and most other tests wait. At the lowest priority they take what all
    // else leaves.
    let simulations = thread::spawn(|| {
        let simulate = cargo(&["test", "--locked", "--workspace", "--lib", "--", SIMULATIONS]);
        command::at_lowest_priority(&simulate).output()
    });
    step("derived documents");
    codegen::compare()?;
    step("lint of the documents");
    lint()?;
    step("the SDK as a package");
    package::check()?;
    step("tests");
    // Most of them wait most of the time, for times that are a part of what they test.
    let threads = 2 * thread::available_parallelism().map_or(1, NonZero::get);
    let others = ["test", "--locked", "--workspace", "--no-fail-fast", "--", "--skip", SIMULATIONS];
    let mut counts = tests(cargo(&others).arg("--test-threads").arg(threads.to_string()))?;
    step("simulations");
    let simulations =
        simulations.join().map_err(|_| Failure::new("the thread of the simulations panicked"))?;
    let simulations = simulations.map_err(Failure::new)?;
    String::from_utf8_lossy(&simulations.stdout).lines().for_each(|line| counts.take(line));
    if !simulations.status.success() {
        eprint!("{}", String::from_utf8_lossy(&simulations.stderr));
    }
    let is_good = counts.passed > 0 && counts.failed == 0 && simulations.status.success();
    let instructions = is_good.then(|| {
        step("instructions of a request");
        bench::check_instructions(optimized)
    });
    println!("\n{} passed, {} failed", counts.passed, counts.failed);
    instructions.unwrap_or_else(|| Err(Failure::new("the tests failed")))
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

impl Counts {
    /// Prints a line of a test binary, and adds its numbers if it is the last one.
    fn take(&mut self, line: &str) {
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
        }
    }
}

/// Runs the tests, prints their output, and adds up the numbers of passed and failed tests of all test binaries.
fn tests(command: &mut Command) -> Result<Counts, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(Failure::new)?;
    let mut counts = Counts::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        counts.take(&line.map_err(Failure::new)?);
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
