//! `openapi`: prints the documents that are derived from the code.

use super::{Outcome, print};
use crate::{api, telemetry::audit};

/// Prints the gateway's own OpenAPI document or, with `audit`, the JSON Schema of the audit trail.
///
/// # Errors
///
/// An output that cannot be written.
pub fn run(audit: bool) -> Outcome {
    Ok(print(if audit { audit::schema() } else { api::openapi::text() })?)
}
