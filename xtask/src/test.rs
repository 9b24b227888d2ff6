//! `cargo xtask test`: runs all checks of the workspace, the quick ones first.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    num::NonZero,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use crate::{
    bench, codegen,
    command::{self, Beside, Failure, cargo, program, shown},
    package,
    shipped::BINARY,
    tools,
};

/// What the names of tests begin with that simulate hours of the gateway.
pub(crate) const SIMULATIONS: &str = "simulation::";
const DOCUMENTS: [&str; 2] = ["openapi/autoshares.yaml", "openapi/gateway.json"];

/// Runs the checks one after the other, up to the first that fails, and all tests. Beside them run what takes long and waits for nothing: an optimized
/// build, and simulations.
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
    let log = command::root().join("target/simulations.log");
    let simulations = start_simulations(&log)?;
    step("derived documents");
    codegen::compare(&command::built(BINARY)?)?;
    step("lint of the documents");
    lint()?;
    step("the SDK as a package");
    package::check()?;
    step("tests");
    // Most of them wait most of the time, for times that are a part of what they test.
    let threads = 2 * thread::available_parallelism().map_or(1, NonZero::get);
    let mut others = all_tests();
    others.args(["--skip", SIMULATIONS, "--test-threads", &threads.to_string()]);
    let others = tests(&mut others)?;
    step("simulations");
    let ended = simulations.wait();
    let mut simulated = Counts::default();
    fs::read_to_string(log).map_err(Failure::new)?.lines().for_each(|line| simulated.print_and_add(line));
    let outcome = if ended.is_ok() && others.are_good() && simulated.are_good() {
        step("instructions of a request");
        bench::check_instructions(optimized)
    } else {
        ended.and(Err(Failure::new("the tests failed")))
    };
    println!("\n{} passed, {} failed", others.passed + simulated.passed, others.failed + simulated.failed);
    outcome
}

/// Prepares the run of all tests, to which arguments for the test binaries may be added.
fn all_tests() -> Command {
    cargo(&["test", "--locked", "--workspace", "--no-fail-fast", "--"])
}

/// Starts the simulations, which write into a log. Most other tests wait most of the time, and simulations never do: they take what all else leaves.
fn start_simulations(log: &Path) -> Result<Beside, Failure> {
    let log = File::create(log).map_err(Failure::new)?;
    let mut simulations = command::nice(19, all_tests().arg(SIMULATIONS));
    simulations.stderr(log.try_clone().map_err(Failure::new)?).stdout(log);
    Beside::start(simulations)
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
    fn are_good(&self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// Prints a line of a test binary, and adds its numbers if it is the last one.
    fn print_and_add(&mut self, line: &str) {
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
        counts.print_and_add(&line.map_err(Failure::new)?);
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
