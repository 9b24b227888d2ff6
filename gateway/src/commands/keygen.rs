//! `keygen`: prints a new key file for `flow.keys_file`.

use super::{Outcome, print};
use crate::flow::Secrets;

/// Prints a key file with one new random key.
///
/// # Errors
///
/// An output that cannot be written.
pub fn run() -> Outcome {
    Ok(print(Secrets::random().to_file())?)
}
