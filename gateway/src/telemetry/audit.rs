//! The audit trail: an event for each decision that matters to security, as a line of the log with the target
//! `autoshares_gateway::audit`. Logins and addresses are keyed hashes; `openapi/audit.schema.json` describes a line.
//!
//! What a stranger can cause as often as it likes is told once a minute for each network, so that nobody can fill the log. Nothing is
//! dropped silently: the next line says how many events it stands for, and a metric counts those that are withheld.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autoshares_counting::{Hexadecimal, Id};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};
use tokio::time::Instant;
use tracing::info;

use super::metrics::Metrics;
use crate::{clock::Clock, config, document};

/// How long no further event of a kind is told for a network.
const QUIET: Duration = Duration::from_secs(60);
/// How many networks and kinds are remembered. Beyond that, events that a stranger can cause at will are withheld and counted.
const MAX: usize = 10_000;

/// The target of all lines of the trail, by which a log collector keeps them apart from the rest of the log.
pub const TARGET: &str = "autoshares_gateway::audit";

/// The event that a line records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr, Serialize, JsonSchema)]
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
    /// A budget was exhausted; `reason` names it.
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

impl Event {
    /// Whether a stranger can cause the event as often as it likes, because no budget is charged for it.
    fn costs_nothing(self) -> bool {
        matches!(
            self,
            Event::BudgetHit
                | Event::LedgerEmpty
                | Event::TokenRefused
                | Event::HandleInvalid
                | Event::HandleMissing
                | Event::CrossSiteRefused
        )
    }
}

impl Event {
    /// What happened and what a developer can do about it; `None` for what the reply says anyway.
    fn in_words(self, reason: Option<&str>) -> Option<String> {
        let words = match (self, reason) {
            (Event::BudgetHit, Some(budget)) => {
                let setting =
                    config::settings().find(|setting| setting.key.strip_prefix("limits.") == Some(budget));
                let more = setting.map_or_else(String::new, |setting| {
                    format!(": raise it with `--set {}=…`, or restart `dev`", setting.key)
                });
                return Some(format!("the budget `{budget}` is used up, so nothing was forwarded{more}"));
            }
            (Event::FlowSuppressed, Some("refused")) => {
                "step 1 only looks accepted: Autoshares refused it (is there such a trader?), no mail was sent, and no code of this flow will be forwarded"
            }
            (Event::AnswerSuppressed, Some("decoy")) => {
                "step 1 only looks as if this login had a secret question: there is no such trader, and this is a decoy"
            }
            (Event::DeadFlowGuess, _) => {
                "the code was not forwarded: its step 1 only looked accepted, so there is no mail with a code"
            }
            (Event::TriesExhausted, _) => {
                "the code was not forwarded: the tries of this flow are used up (`limits.codes_per_flow`); ask for a new reset"
            }
            (Event::CodeRepeated, _) => {
                "the same code was sent before in this flow: the reply is that of the first time, without a call"
            }
            (Event::LedgerEmpty, _) => {
                "the code was not forwarded: guesses have used up the risk of this hour (`limits.risk_per_hour`)"
            }
            (Event::HandleMissing, _) => {
                "the request brought no handle: send the cookie of step 1 or its header `Reset-Flow` back (in a browser: `credentials: \"include\"`, and the page under the same name as the gateway, for 127.0.0.1 is another site than localhost)"
            }
            (Event::HandleInvalid, Some(_)) => {
                "the handle is one of another step or login: go through the steps in order"
            }
            (Event::HandleInvalid, None) => {
                "the handle is one of a flow that has ended, or of a gateway that was restarted"
            }
            (Event::TokenRefused, _) => {
                "the token is not one that this flow got for its code, or it was used already"
            }
            _ => return None,
        };
        Some(words.to_owned())
    }
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
    /// How many more events of this kind, reason and address there were since the last line about them; absent when there were none.
    #[schemars(default)]
    withheld: Option<u32>,
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
    write(&Line { event, request_id: None, address: None, flow: None, login: None, reason: None }, None);
}

/// The trail of one gateway.
#[derive(Debug)]
pub struct Trail {
    clock: Clock,
    metrics: Arc<Metrics>,
    told: Mutex<Told>,
    /// Whether each event is also told in words, for a developer who tries the gateway.
    explains: AtomicBool,
}

/// A network, an event and a reason.
type Kind = (Option<Id>, Event, Option<&'static str>);

#[derive(Debug, Default)]
struct Told {
    /// When a kind of event was last told for a network, and how many were withheld since.
    last: HashMap<Kind, (Instant, u32)>,
    /// When entries were last searched for some that are over.
    swept: Option<Instant>,
}

impl Trail {
    /// A trail that counts in these metrics what it withholds.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics, told: Mutex::default(), explains: AtomicBool::new(false) }
    }

    /// From now on also tells events in words.
    pub fn explain(&self) {
        self.explains.store(true, Ordering::Relaxed);
    }

    /// Records an event that a request caused.
    pub fn record(&self, line: &Line<'_>) {
        if self.explains.load(Ordering::Relaxed)
            && let Some(words) = line.event.in_words(line.reason)
        {
            info!(request_id = line.request_id, "{words}");
        }
        if !line.event.costs_nothing() {
            return write(line, None);
        }
        match self.admit(line) {
            Some(withheld) => write(line, Some(withheld).filter(|withheld| *withheld > 0)),
            None => self.metrics.withheld_event(line.event.into()),
        }
    }

    /// How many events a line stands for beside its own; `None` when it is withheld.
    fn admit(&self, line: &Line<'_>) -> Option<u32> {
        let (key, now) = ((line.address, line.event, line.reason), self.clock.now());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, withheld)) = told.last.get_mut(&key) {
            if now.saturating_duration_since(*last) < QUIET {
                *withheld += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(withheld));
        }
        let is_over = |since: Instant| now.saturating_duration_since(since) >= QUIET;
        if told.last.len() >= MAX && told.swept.is_none_or(is_over) {
            told.last.retain(|_, (last, _)| !is_over(*last));
            told.swept = Some(now);
        }
        if told.last.len() >= MAX {
            return None;
        }
        told.last.insert(key, (now, 0));
        Some(0)
    }
}

fn write(line: &Line<'_>, withheld: Option<u32>) {
    let Line { event, request_id, address, flow, login, reason } = line;
    let event: &'static str = event.into();
    let [address, flow, login] = [address, flow, login].map(|id| id.map(Id::hexadecimal));
    info!(
        target: TARGET,
        event,
        request_id,
        address = address.as_ref().map(Hexadecimal::as_str),
        flow = flow.as_ref().map(Hexadecimal::as_str),
        login = login.as_ref().map(Hexadecimal::as_str),
        reason,
        withheld,
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
    fn what_costs_nothing_is_told_once_a_minute_for_each_network_and_kind() {
        let clock = Clock::movable();
        let trail = Trail::new(clock.clone(), Arc::default());
        let line = |number: u128, event, reason| {
            let address = Some(Id(number.to_be_bytes()));
            Line { event, request_id: None, address, flow: None, login: None, reason }
        };
        let admit = |number, event, reason| trail.admit(&line(number, event, reason));
        assert_eq!(admit(1, Event::HandleInvalid, None), Some(0));
        assert_eq!([(); 3].map(|()| admit(1, Event::HandleInvalid, None)), [None; 3]);
        assert_eq!(admit(1, Event::HandleMissing, None), Some(0));
        assert_eq!(admit(1, Event::HandleInvalid, Some("another step")), Some(0));
        assert_eq!(admit(2, Event::HandleInvalid, None), Some(0));
        clock.advance(QUIET);
        assert_eq!(admit(1, Event::HandleInvalid, None), Some(3), "the line says what was withheld");
        assert_eq!(admit(1, Event::HandleInvalid, None), None);
        // Any number of networks takes so much memory and no more, and is forgotten after a minute.
        let told = (0..30_000).filter(|number| admit(*number + 100, Event::BudgetHit, None).is_some());
        assert!(told.count() < MAX);
        clock.advance(QUIET);
        assert_eq!(admit(99, Event::BudgetHit, None), Some(0));
        // What somebody's budget pays for is always told.
        assert!(!Event::PasswordSet.costs_nothing() && !Event::CodeRefused.costs_nothing());
        trail.record(&line(1, Event::HandleInvalid, None));
        trail.record(&line(1, Event::HandleInvalid, None));
        let counted = trail.metrics.text();
        assert!(
            counted.contains("gateway_audit_events_withheld_total{event=\"handle_invalid\"} 1\n"),
            "{counted}"
        );
    }

    #[test]
    fn an_event_has_the_name_that_the_schema_gives_it() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let described = schema["$defs"]["Event"]["oneOf"].as_array().unwrap();
        let described: Vec<_> = described.iter().map(|event| event["const"].as_str().unwrap()).collect();
        let recorded: Vec<&str> = Event::iter().map(Event::into).collect();
        assert_eq!(described, recorded);
    }
}
