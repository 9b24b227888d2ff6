//! `cargo xtask dev`.

use crate::command::{self, Failure, cargo};

/// Builds and runs the gateway's own `dev`.
pub(crate) fn run() -> Result<(), Failure> {
    command::run(&mut cargo(&["run", "--locked", "--package", "autoshares-gateway", "--", "dev"]))
}
