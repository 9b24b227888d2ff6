//! `cargo xtask bench`: builds the gateway as it is shipped, and has the crate in `bench/` measure it.

use crate::{
    command::{Failure, built, cargo, program, run},
    tools,
};

const PACKAGES: [&str; 3] = ["libnginx-mod-http-lua", "lua-nginx-redis", "lua-cjson"];

/// Measures with the arguments of that crate.
pub(crate) fn run_with(arguments: &[&str]) -> Result<(), Failure> {
    tools::ensure(&["haproxy", "make", "nginx", "redis-server", "valgrind", "wrk"])?;
    tools::ensure_packages(&PACKAGES)?;
    build_gateway()?;
    run(&mut cargo(&["build", "--locked", "--release", "--quiet", "--package", "autoshares-bench"]))?;
    let measure = ["run", "--locked", "--release", "--quiet", "--package", "autoshares-bench", "--"];
    run(cargo(&measure).args(arguments))
}

/// Compares the instructions of a request with those that are recorded. The counting program, which has been built, need not be optimized.
pub(crate) fn check_instructions() -> Result<(), Failure> {
    build_gateway()?;
    run(&mut program(&built("autoshares-bench")?, &["--callgrind", "--check"]))
}

/// Builds the gateway by itself: beside another crate its libraries would have other features.
fn build_gateway() -> Result<(), Failure> {
    run(&mut cargo(&["build", "--locked", "--release", "--package", "autoshares-gateway"]))
}
