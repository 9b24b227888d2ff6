//! `cargo xtask attack`: what attacks achieve against the gateway, and against what one would have without it.

use crate::{
    command::{Failure, cargo, run},
    tools,
};

/// Builds the gateway and attacks it, on loopback alone, for less than a minute.
pub(crate) fn run_all() -> Result<(), Failure> {
    tools::ensure("nginx")?;
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", "autoshares-gateway"]))?;
    run(&mut cargo(&["run", "--locked", "--quiet", "--package", "autoshares-gateway", "--example", "attack"]))
}
