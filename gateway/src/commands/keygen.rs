//! `keygen`: prints a new key file for `flow.keys_file`.

use super::Outcome;
use crate::flow::Secrets;

/// Prints a key file with one new random key. Never fails.
pub fn run() -> Outcome {
    print!("{}", Secrets::random().to_file());
    Ok(())
}
