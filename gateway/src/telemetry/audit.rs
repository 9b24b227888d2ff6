//! The audit trail: one event for each decision that matters to security, as a line of the log with the target
//! `autoshares_gateway::audit`. Logins and addresses are keyed hashes; `openapi/audit.schema.json` describes a line.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use tracing::info;

use crate::{api::document, flow::FlowId, flow::key_ring::Pseudonym};

/// The target of every line.
pub const TARGET: &str = "autoshares_gateway::audit";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A step 1 was answered and a handle given out.
    FlowStarted,
    /// A step 1 was not forwarded, or not accepted, and looks accepted.
    FlowSuppressed,
    /// An answer to a secret question was not forwarded, or there is no such login, and it looks wrong.
    AnswerSuppressed,
    /// Autoshares took a code.
    CodeAccepted,
    /// Autoshares did not take a code.
    CodeRefused,
    /// A code was tried twice in a flow; the second was not forwarded.
    CodeRepeated,
    /// A code over the tries of its flow; not forwarded.
    TriesExhausted,
    /// A code in a flow for which none was sent; not forwarded.
    DeadFlowGuess,
    /// A code from a client without a handle was forwarded.
    LegacyGuess,
    /// A password was set.
    PasswordSet,
    /// A token that is not ours, not of this flow, too old, or spent.
    TokenRefused,
    /// A budget was exhausted; `reason` names it. Told once a minute for an address that goes on.
    BudgetHit,
    /// A code was not forwarded because the risk ledger is empty.
    LedgerEmpty,
    /// Half of a risk ledger is spent, or more.
    LedgerLow,
    /// Redis does not answer: this replica decides with its share of the budgets.
    StoreAway,
    /// Redis answers again.
    StoreBack,
    /// Autoshares rejected the application key.
    KeyRefused,
    /// A handle was sent that is not ours, too old, or of another step or login.
    HandleInvalid,
    /// Steps 2 to 4 without a handle.
    HandleMissing,
    /// A page of another origin called.
    CrossSiteRefused,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 20] = [
        Event::FlowStarted,
        Event::FlowSuppressed,
        Event::AnswerSuppressed,
        Event::CodeAccepted,
        Event::CodeRefused,
        Event::CodeRepeated,
        Event::TriesExhausted,
        Event::DeadFlowGuess,
        Event::LegacyGuess,
        Event::PasswordSet,
        Event::TokenRefused,
        Event::BudgetHit,
        Event::LedgerEmpty,
        Event::LedgerLow,
        Event::StoreAway,
        Event::StoreBack,
        Event::KeyRefused,
        Event::HandleInvalid,
        Event::HandleMissing,
        Event::CrossSiteRefused,
    ];

    /// As the log shows it.
    pub fn name(self) -> &'static str {
        match self {
            Event::FlowStarted => "flow_started",
            Event::FlowSuppressed => "flow_suppressed",
            Event::AnswerSuppressed => "answer_suppressed",
            Event::CodeAccepted => "code_accepted",
            Event::CodeRefused => "code_refused",
            Event::CodeRepeated => "code_repeated",
            Event::TriesExhausted => "tries_exhausted",
            Event::DeadFlowGuess => "dead_flow_guess",
            Event::LegacyGuess => "legacy_guess",
            Event::PasswordSet => "password_set",
            Event::TokenRefused => "token_refused",
            Event::BudgetHit => "budget_hit",
            Event::LedgerEmpty => "ledger_empty",
            Event::LedgerLow => "ledger_low",
            Event::StoreAway => "store_away",
            Event::StoreBack => "store_back",
            Event::KeyRefused => "key_refused",
            Event::HandleInvalid => "handle_invalid",
            Event::HandleMissing => "handle_missing",
            Event::CrossSiteRefused => "cross_site_refused",
        }
    }
}

/// A line of the audit trail, as `log.format = "json"` writes it. Lines with another `target` are no part of the trail.
#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    /// When, RFC 3339 in UTC.
    timestamp: String,
    /// Always `INFO`: alarms are lines and metrics of their own.
    level: String,
    /// Always `autoshares_gateway::audit`.
    target: String,
    /// Always `audit`.
    message: String,
    /// What happened.
    event: Event,
    /// The request that it happened in; left out of what no single request did.
    #[schemars(default)]
    request_id: Option<String>,
    /// The pseudonym of the client's address, or of the /64 it is in: a keyed hash in 32 hexadecimal digits.
    #[schemars(default)]
    address: Option<String>,
    /// The id of the flow, in 32 hexadecimal digits; random, and worth nothing without its seal.
    #[schemars(default)]
    flow: Option<String>,
    /// The pseudonym of the login: a keyed hash in 32 hexadecimal digits.
    #[schemars(default)]
    login: Option<String>,
    /// Which budget, or why.
    #[schemars(default)]
    reason: Option<String>,
}

/// What a line says.
#[derive(Debug)]
pub struct Line<'a> {
    /// What happened.
    pub event: Event,
    /// In which request.
    pub request_id: Option<&'a str>,
    /// From which network.
    pub address: Option<Pseudonym>,
    /// In which flow.
    pub flow: Option<FlowId>,
    /// About which login.
    pub login: Option<Pseudonym>,
    /// Which budget, or why.
    pub reason: Option<&'static str>,
}

/// Writes a line about the gateway itself.
pub fn note(event: Event) {
    write(&Line { event, request_id: None, address: None, flow: None, login: None, reason: None });
}

/// Writes a line.
pub fn write(line: &Line<'_>) {
    let Line { event, request_id, address, flow, login, reason } = line;
    info!(
        target: TARGET,
        event = event.name(),
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
    use super::*;

    #[test]
    fn an_event_has_the_name_that_the_schema_gives_it() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let described = schema["$defs"]["Event"]["oneOf"].as_array().unwrap();
        assert_eq!(described.len(), Event::ALL.len());
        for (event, described) in Event::ALL.iter().zip(described) {
            assert_eq!(described["const"], event.name());
        }
    }
}
