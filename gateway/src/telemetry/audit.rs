//! The audit trail: an event for each decision that matters to security, as a line of the log with the target
//! `autoshares_gateway::audit`. Logins and addresses are keyed hashes; `openapi/audit.schema.json` describes a line.

use autoshares_counting::Id;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};
use tracing::info;

use crate::document;

/// The target of all lines of the trail, by which a log collector keeps them apart from the rest of the log.
pub const TARGET: &str = "autoshares_gateway::audit";

/// The event that a line records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    /// Step 1 was answered, and the client was given a handle.
    FlowStarted,
    /// Step 1 looks accepted to the client, but was not forwarded, or Autoshares did not accept it.
    FlowSuppressed,
    /// An answer to a secret question looks wrong to the client, but was not forwarded, or the login does not exist.
    AnswerSuppressed,
    /// Autoshares accepted a code.
    CodeAccepted,
    /// Autoshares refused a code.
    CodeRefused,
    /// A client tried a code for the second time in a flow; the gateway did not forward it again.
    CodeRepeated,
    /// A client tried more codes than a flow may; the gateway did not forward this one.
    TriesExhausted,
    /// A client tried a code in a flow for which no code was sent; the gateway did not forward it.
    DeadFlowGuess,
    /// The gateway forwarded a code from a client without a handle.
    LegacyGuess,
    /// Autoshares set a new password.
    PasswordSet,
    /// A client sent a token that the gateway did not issue, issued in another flow or too long ago, or has seen used.
    TokenRefused,
    /// A budget was exhausted; `reason` names it. Recorded once a minute for an address that goes on.
    BudgetHit,
    /// The gateway did not forward a code, because the risk ledger has no room for one more guess.
    LedgerEmpty,
    /// Half of a risk ledger is spent, or more.
    LedgerLow,
    /// Redis does not reply: the gateway refuses every step until it replies again.
    StoreAway,
    /// Redis replies again, and the gateway serves steps again.
    StoreBack,
    /// Autoshares rejected the application key.
    KeyRefused,
    /// A client sent a handle that the gateway did not issue, issued too long ago, or issued for another step or login.
    HandleInvalid,
    /// A client asked for a later step without a handle.
    HandleMissing,
    /// A page of another origin called.
    CrossSiteRefused,
}

/// A line of the audit trail, as `log.format = "json"` writes it. Lines with another `target` do not belong to the trail.
#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    /// The time of the event, RFC 3339 in UTC.
    timestamp: String,
    /// Always `INFO`: alarms are lines and metrics of their own.
    level: String,
    /// Always `autoshares_gateway::audit`.
    target: String,
    /// Always `audit`.
    message: String,
    event: Event,
    /// The id of the request that caused the event; absent when no single request did.
    #[schemars(default)]
    request_id: Option<String>,
    /// The pseudonym of the client's address, or of the /64 that contains it: a keyed hash in 32 hexadecimal digits.
    #[schemars(default)]
    address: Option<String>,
    /// The id of the flow, in 32 hexadecimal digits; random, and worth nothing without its seal.
    #[schemars(default)]
    flow: Option<String>,
    /// The pseudonym of the login: a keyed hash in 32 hexadecimal digits.
    #[schemars(default)]
    login: Option<String>,
    /// The name of the budget, or why the gateway decided as it did.
    #[schemars(default)]
    reason: Option<String>,
}

/// The content of a line. `openapi/audit.schema.json` says what its fields mean.
#[derive(Debug)]
pub struct Line<'a> {
    pub event: Event,
    pub request_id: Option<&'a str>,
    pub address: Option<Id>,
    pub flow: Option<Id>,
    pub login: Option<Id>,
    pub reason: Option<&'static str>,
}

/// Records an event of the gateway itself, which no single request caused.
pub fn record_own(event: Event) {
    record(&Line { event, request_id: None, address: None, flow: None, login: None, reason: None });
}

/// Records an event.
pub fn record(line: &Line<'_>) {
    let Line { event, request_id, address, flow, login, reason } = line;
    let event: &'static str = event.into();
    info!(
        target: TARGET,
        event,
        request_id,
        address = address.map(tracing::field::display),
        flow = flow.map(tracing::field::display),
        login = login.map(tracing::field::display),
        reason,
        "audit"
    );
}

/// The JSON Schema of a line, as text.
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Described>();
    document::text(schema.to_value())
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn an_event_has_the_name_that_the_schema_gives_it() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let described = schema["$defs"]["Event"]["oneOf"].as_array().unwrap();
        let described: Vec<_> = described.iter().map(|event| event["const"].as_str().unwrap()).collect();
        let recorded: Vec<&str> = Event::iter().map(Event::into).collect();
        assert_eq!(described, recorded);
    }
}
