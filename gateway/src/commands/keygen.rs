//! `keygen`: prints a new key file for `flow.keys_file`.

use super::Outcome;
use crate::flow::Secrets;

/// Prints one key that nobody else has.
///
/// # Errors
///
/// None.
pub fn run() -> Outcome {
    print!("{}", Secrets::random().to_file());
    Ok(())
}
