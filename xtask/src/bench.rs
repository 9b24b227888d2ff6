//! `cargo xtask bench`: builds the gateway as it is shipped, and has the crate in `bench/` measure it.

use std::process::Command;

use crate::{
    command::{Beside, Failure, built, cargo, nice, program, run},
    shipped::{self, BINARY},
    tools,
};

const PACKAGES: [&str; 3] = ["libnginx-mod-http-lua", "lua-nginx-redis", "lua-cjson"];

/// Measures with the arguments of that crate.
pub(crate) fn run_with(arguments: &[&str]) -> Result<(), Failure> {
    tools::ensure(&["haproxy", "make", "nginx", "redis-server", "valgrind", "wrk"])?;
    tools::ensure_packages(&PACKAGES)?;
    run(&mut cargo(&["build", "--locked", "--release", "--quiet", "--package", "autoshares-bench"]))?;
    let measure = ["run", "--locked", "--release", "--quiet", "--package", "autoshares-bench", "--"];
    let mut measure = cargo(&measure);
    measure.args(arguments);
    let has = |flag: &str| {
        arguments.iter().any(|argument| argument.split('=').next().is_some_and(|name| name == flag))
    };
    if has("--gateway") || has("--help") || has("-h") {
        return run(&mut measure);
    }
    if has("--callgrind") {
        // What `cargo xtask test` counts too.
        run(&mut plain_build())?;
    } else {
        measure.arg("--gateway").arg(shipped::build("bench", None)?.binary);
    }
    run(&mut measure)
}

/// Compares the instructions of a request with those that are recorded, once the gateway is built. The counting program, which has been built, need not be
/// optimized.
pub(crate) fn check_instructions(gateway: Beside) -> Result<(), Failure> {
    gateway.wait()?;
    run(&mut program(&built("autoshares-bench")?, &["--callgrind", "--check"]))
}

/// Begins to build the gateway as [`plain_build`] does, beside other checks, which wait for it only at their end.
pub(crate) fn start_plain_build() -> Result<Beside, Failure> {
    println!("building the gateway with optimization, which takes minutes");
    Beside::start(nice(5, &plain_build()))
}

/// The build of the gateway without a training, which takes half the time and always gives the same program. By itself: beside another crate its
/// libraries would have other features.
fn plain_build() -> Command {
    cargo(&["build", "--locked", "--release", "--quiet", "--package", BINARY])
}
