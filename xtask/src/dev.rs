//! `cargo xtask dev`: runs the gateway with an embedded sandbox of Autoshares.

use crate::{
    command::{self, Failure, cargo},
    tools,
};

/// Builds the gateway and runs its subcommand `dev` with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    tools::ensure(&["make"])?;
    command::run(cargo(&["run", "--locked", "--package", "autoshares-gateway", "--", "dev"]).args(arguments))
}
