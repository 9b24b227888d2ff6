//! `openapi`: prints the documents that are derived from the code.

use super::Outcome;
use crate::{api, telemetry::audit};

/// Prints the gateway's own OpenAPI document or, with `audit`, the JSON Schema of the audit trail. Never fails.
pub fn run(audit: bool) -> Outcome {
    print!("{}", if audit { audit::schema() } else { api::openapi::text() });
    Ok(())
}
