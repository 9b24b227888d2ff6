//! `cargo xtask simulate`: simulated hours of the gateway, as many as one wants, and the tables of what attacks cost.

use crate::{
    command::{self, Failure, cargo},
    test::SIMULATIONS,
};

/// Runs the simulation for so many seeds, from the first on. Optimized, for there may be thousands.
pub(crate) fn run(seeds: &str, first: &str) -> Result<(), Failure> {
    for number in [seeds, first] {
        number.parse::<u64>().map_err(|_| Failure::new(format!("`{number}` is no number of seeds")))?;
    }
    let mut test = cargo(&["test", "--locked", "--package", "autoshares-gateway", "--lib"]);
    // Debug assertions stay on, and only this profile is built for it.
    test.env("CARGO_PROFILE_TEST_OPT_LEVEL", "2").env("CARGO_TARGET_DIR", "target/simulate");
    test.args(["--", SIMULATIONS, "--nocapture", "--test-threads=1"]);
    command::run(test.env("SIMULATE_SEEDS", seeds).env("SIMULATE_FIRST", first))
}
