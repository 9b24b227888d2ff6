//! `cargo xtask bench`: builds the gateway as it is shipped, and has the crate in `bench/` measure it.

use crate::{
    command::{Failure, cargo, run},
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

/// Compares the instructions of a request with those that are recorded. The counting program itself need not be optimized.
pub(crate) fn check_instructions() -> Result<(), Failure> {
    build_gateway()?;
    let count =
        ["run", "--locked", "--quiet", "--package", "autoshares-bench", "--bin", "autoshares-bench", "--"];
    run(cargo(&count).args(["--callgrind", "--check"]))
}

/// Builds the gateway by itself: beside another crate its libraries would have other features.
fn build_gateway() -> Result<(), Failure> {
    run(&mut cargo(&["build", "--locked", "--release", "--package", "autoshares-gateway"]))
}
