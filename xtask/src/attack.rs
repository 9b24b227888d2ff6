//! `cargo xtask attack`: measures how far attacks get against the gateway, and against nginx, which an operator might use without it.

use crate::{
    command::{Failure, cargo, run},
    tools,
};

/// Builds the gateway, then runs `gateway/examples/attack.rs`, which attacks it on loopback for less than a minute.
pub(crate) fn run_all() -> Result<(), Failure> {
    tools::ensure(&["nginx"])?;
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", "autoshares-gateway"]))?;
    run(&mut cargo(&["run", "--locked", "--quiet", "--package", "autoshares-gateway", "--example", "attack"]))
}
