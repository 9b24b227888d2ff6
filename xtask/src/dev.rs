//! `cargo xtask dev`: runs the gateway with an embedded sandbox of Autoshares.

use crate::command::{self, Failure, cargo};

/// Builds the gateway and runs its subcommand `dev`.
pub(crate) fn run() -> Result<(), Failure> {
    command::run(&mut cargo(&["run", "--locked", "--package", "autoshares-gateway", "--", "dev"]))
}
