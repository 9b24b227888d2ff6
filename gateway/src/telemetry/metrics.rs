//! The counters and gauges that `/metrics` shows, in OpenTelemetry's names and Prometheus' format.

use std::{fmt, hash::Hash, sync::atomic::AtomicU64, time::Duration};

use autoshares_sdk::Operation;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{health::Outage, line_queue, process::Process};
use crate::build_info::{COMMIT, VERSION};

/// Bounds in seconds, as OpenTelemetry advises for request durations.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The labels of a request. Each has a closed set of values, so that no client can make the metrics grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method, or `_OTHER` for one that HTTP does not name.
    pub http_request_method: &'static str,
    /// The path of the route, or empty when no route has the path.
    pub http_route: String,
    pub http_response_status_code: u16,
    /// The code of the problem, or empty.
    pub error_type: &'static str,
}

/// The labels of a call to Autoshares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    http_request_method: &'static str,
    url_template: &'static str,
    /// The status of the reply, or 0 when there was none.
    http_response_status_code: u16,
    /// How Autoshares failed, or empty.
    error_type: &'static str,
}

/// Label sets whose values are literals in the source, and so a closed set too.
macro_rules! labels {
    ($($set:ident { $($label:ident),+ })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $set {
            $($label: &'static str,)+
        }
    )*};
}

labels! {
    Outcome { outcome }
    ResetLabels { outcome, flow }
    BudgetLabels { budget, decision, source }
    Method { http_request_method }
    Reply { reply }
    Lane { lane }
    OperationLabel { operation }
    OutageLabel { outage }
    EventLabel { event }
    KindLabel { kind }
    BuildLabel { version, commit }
    ShedLabels { reason, outcome }
}

/// The labels of a failed call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    operation: &'static str,
    /// The status of the reply, or 0 when there was none.
    status: u16,
}

/// The labels of a key in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    kind: &'static str,
    fingerprint: String,
}

/// A gauge from 0 to 1.
type Share = Gauge<f64, AtomicU64>;

/// Declares a metric and registers it under its name and its help text, one metric a line.
macro_rules! metrics {
    ($($field:ident: $metric:ty = $name:literal, $help:literal;)*) => {
        /// The metrics of one gateway.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            requests: Family<RequestLabels, Histogram>,
            calls: Family<CallLabels, Histogram>,
            $($field: $metric,)*
        }

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                let requests = durations(
                    &mut registry,
                    "http_server_request_duration",
                    "Requests by method, route, status and problem",
                );
                let calls = durations(
                    &mut registry,
                    "http_client_request_duration",
                    "Calls to Autoshares by operation, method, path, status and failure (0: no reply)",
                );
                $(
                    let $field = <$metric>::default();
                    registry.register($name, $help, $field.clone());
                )*
                // The log belongs to the process, so its counters do too.
                for (name, help, counter) in [
                    ("gateway_log_lines_dropped", "Log lines that were dropped, for nobody read the log", &line_queue::DROPPED_LINES),
                    ("gateway_audit_events_dropped", "Lines of the audit trail that were dropped, for nobody read the log", &line_queue::DROPPED_EVENTS),
                ] {
                    registry.register(name, help, Counter::clone(counter));
                }
                registry.register_collector(Box::new(Process));
                let metrics = Self { registry, requests, calls, $($field,)* };
                metrics.build.get_or_create(&BuildLabel { version: VERSION, commit: COMMIT }).set(1);
                metrics
            }
        }
    };
}

metrics! {
    active_requests: Family<Method, Gauge> = "http_server_active_requests", "Requests that have no reply yet";
    client_keys: Counter = "gateway_client_keys", "Requests that carried an Et-App-Key of the client's, which was ignored";
    key_rejections: Counter = "gateway_app_key_rejections", "Calls that Autoshares refused for the application key";
    key_rejected: Gauge = "gateway_app_key_rejected", "1 while the last call was refused for the application key";
    resets: Family<ResetLabels, Counter> = "gateway_resets", "Step 1 by what became of it, and of its flow (live, question, dead, decoy, none)";
    guesses: Family<Outcome, Counter> = "gateway_code_guesses", "Codes by what became of them";
    budget_hits: Family<BudgetLabels, Counter> = "gateway_budget_hits", "Requests that found a budget exhausted, by the decision (refused: openly; hidden: it looks like another reply) and by whose budget it is";
    risk_spent: Family<Lane, Share> = "gateway_risk_spent", "How much of the risk ledger the last hour has spent, from 0 to 1";
    risk_of_day: Family<Lane, Share> = "gateway_risk_day", "Expected takeovers by the guesses of the last 24 hours";
    codes_paused: Family<Lane, Gauge> = "gateway_codes_paused", "1 while no code is forwarded because the risk ledger is empty";
    risk_alarm: Family<Lane, Gauge> = "gateway_risk_alarm", "1 while half of the risk ledger is spent, or much of it in a day";
    live_codes: Gauge = "gateway_live_codes", "Codes that are assumed to be live";
    upstream_failures: Family<FailureLabels, Counter> = "gateway_upstream_failures", "Calls that failed for a reason of Autoshares' own, by operation and status (0: no reply)";
    outage: Family<OutageLabel, Gauge> = "gateway_outage", "1 while Autoshares fails and calls of the kind are not forwarded";
    late_calls: Family<OperationLabel, Counter> = "gateway_late_calls", "Calls to Autoshares that took longer than the time at which their reply was due";
    withheld_events: Family<EventLabel, Counter> = "gateway_audit_events_withheld", "Events of the audit trail that a later line or only this metric tells, for there were too many of their kind";
    requests_cut: Counter = "gateway_requests_cut", "Requests that were cut short because the gateway had to stop";
    connections: Gauge = "gateway_connections", "Connections of clients and proxies that are open";
    connections_shed: Family<ShedLabels, Counter> = "gateway_connections_shed", "Connections that were closed before their time because there was no room, by reason (max, max_per_network, descriptors) and outcome (gave_way: a silent one, or one in the middle of a head; refused: the new one)";
    key_info: Family<KeyLabels, Gauge> = "gateway_key_info", "1 for each key and certificate in use, by kind (app_key, flow_keys, tls_certificate) and a few digits of its hash";
    key_modified: Family<KindLabel, Gauge> = "gateway_key_file_modified_timestamp_seconds", "When the file of a key or certificate was changed last, in seconds since 1970";
    certificate_ends: Family<KindLabel, Gauge> = "gateway_certificate_ends_timestamp_seconds", "When the gateway's own certificate ends, in seconds since 1970";
    build: Family<BuildLabel, Gauge> = "gateway_build_info", "1, with the version of the gateway and the commit that it was built from";
    settings_rejected: Gauge = "gateway_settings_rejected", "1 while the settings have changed and are not valid, so that the old ones stay in force";
    time_level: Family<Reply, Gauge> = "gateway_time_level", "How late replies are given: 0 is flow.floor, and each level doubles the time";
    store_away: Gauge = "gateway_store_away", "1 while Redis does not reply and every step is refused";
}

/// Durations, which have buckets and a unit.
fn durations<L: EncodeLabelSet + Clone + fmt::Debug + Eq + Hash + Send + Sync + 'static>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> Family<L, Histogram> {
    let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
    registry.register_with_unit(name, help, Unit::Seconds, durations.clone());
    durations
}

/// The flow that a step 1 leaves behind, by how it was counted.
fn flow_of(outcome: &str) -> &'static str {
    match outcome {
        "accepted" => "live",
        "answer_needed" => "question",
        "decoy" => "decoy",
        "refused" | "suppressed" | "answer_suppressed" => "dead",
        _ => "none",
    }
}

/// A status as a label. Those that HTTP does not know share one, or a broken server could make the metrics grow.
fn known(status: Option<u16>) -> u16 {
    status.map_or(0, |status| if (100..600).contains(&status) { status } else { 999 })
}

/// A request that has no reply yet.
#[derive(Debug)]
pub struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Counts a request that is over, and how long it took.
    pub fn request(&self, labels: &RequestLabels, duration: Duration) {
        self.requests.get_or_create(labels).observe(duration.as_secs_f64());
    }

    /// Counts a request that has begun, for as long as what this returns is kept.
    pub fn request_began(&self, http_request_method: &'static str) -> ActiveRequest {
        let active = self.active_requests.get_or_create_owned(&Method { http_request_method });
        active.inc();
        ActiveRequest(active)
    }

    /// Counts a call to Autoshares, how long it took, and how it ended: with a status, if there was a reply, and with a failure of Autoshares' own.
    pub fn call(
        &self,
        operation: Operation,
        status: Option<u16>,
        error_type: &'static str,
        duration: Duration,
    ) {
        let labels = CallLabels {
            operation: operation.id(),
            http_request_method: operation.method(),
            url_template: operation.path_template(),
            http_response_status_code: known(status),
            error_type,
        };
        self.calls.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Shows the level of time at which a kind of reply is given.
    pub fn time_level(&self, reply: &'static str, level: u8) {
        self.time_level.get_or_create(&Reply { reply }).set(level.into());
    }

    /// Counts a request in which the client sent an application key of its own.
    pub fn client_key(&self) {
        self.client_keys.inc();
    }

    /// Shows whether Autoshares accepted the application key in the last call, and counts a rejection.
    pub fn key(&self, accepted: bool) {
        self.key_rejected.set(i64::from(!accepted));
        if !accepted {
            self.key_rejections.inc();
        }
    }

    /// Counts a step 1.
    pub fn reset(&self, outcome: &'static str) {
        self.resets.get_or_create(&ResetLabels { outcome, flow: flow_of(outcome) }).inc();
    }

    /// Counts a code that a client tried.
    pub fn guess(&self, outcome: &'static str) {
        self.guesses.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a request that found a budget exhausted, by what was decided and by whose budget it is.
    pub fn budget_hit(&self, budget: &'static str, decision: &'static str, source: &'static str) {
        self.budget_hits.get_or_create(&BudgetLabels { budget, decision, source }).inc();
    }

    /// Shows the share of a lane's ledger that is spent, whether codes are paused for it, and whether an operator should look; and how
    /// many codes are live in all lanes.
    pub fn ledger(&self, lane: &'static str, spent: f64, paused: bool, alarm: bool, live: u32) {
        self.risk_spent.get_or_create(&Lane { lane }).set(spent);
        self.codes_paused.get_or_create(&Lane { lane }).set(i64::from(paused));
        self.risk_alarm.get_or_create(&Lane { lane }).set(i64::from(alarm));
        self.live_codes.set(i64::from(live));
    }

    /// Counts a call that failed for a reason of Autoshares' own.
    pub fn upstream_failure(&self, operation: &'static str, status: Option<u16>) {
        let status = known(status);
        self.upstream_failures.get_or_create(&FailureLabels { operation, status }).inc();
    }

    /// Shows whether Autoshares fails.
    pub fn outage(&self, outage: Outage, failing: bool) {
        self.outage.get_or_create(&OutageLabel { outage: outage.name() }).set(i64::from(failing));
    }

    /// Counts an event that the audit trail withholds.
    pub fn withheld_event(&self, event: &'static str) {
        self.withheld_events.get_or_create(&EventLabel { event }).inc();
    }

    /// Counts a call whose reply was due before it ended.
    pub fn late_call(&self, operation: &'static str) {
        self.late_calls.get_or_create(&OperationLabel { operation }).inc();
    }

    /// Shows the expected takeovers of the last 24 hours in a lane.
    pub fn risk_of_day(&self, lane: &'static str, expected: f64) {
        self.risk_of_day.get_or_create(&Lane { lane }).set(expected);
    }

    /// Shows which key or certificate a file holds in place of an older one, and since when.
    pub fn key_file(&self, kind: &'static str, older: Option<String>, fingerprint: String, modified: u64) {
        if let Some(fingerprint) = older {
            self.key_info.remove(&KeyLabels { kind, fingerprint });
        }
        self.key_info.get_or_create(&KeyLabels { kind, fingerprint }).set(1);
        self.key_modified.get_or_create(&KindLabel { kind }).set(i64::try_from(modified).unwrap_or(i64::MAX));
    }

    /// Shows that a key or certificate comes from no file any more.
    pub fn no_key_file(&self, kind: &'static str, fingerprint: String) {
        self.key_info.remove(&KeyLabels { kind, fingerprint });
        self.key_modified.remove(&KindLabel { kind });
    }

    /// Shows when the gateway's own certificate ends.
    pub fn certificate_ends(&self, ends: Option<i64>) {
        let kind = KindLabel { kind: "tls_certificate" };
        match ends {
            Some(ends) => {
                self.certificate_ends.get_or_create(&kind).set(ends);
            }
            None => {
                self.certificate_ends.remove(&kind);
            }
        }
    }

    /// Counts a request that was cut short.
    pub fn request_cut(&self) {
        self.requests_cut.inc();
    }

    /// How many requests were cut short.
    pub fn requests_cut(&self) -> u64 {
        self.requests_cut.get()
    }

    /// Shows how many connections are open.
    pub fn connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Counts a connection that was closed for want of room.
    pub fn connection_shed(&self, reason: &'static str, outcome: &'static str) {
        self.connections_shed.get_or_create(&ShedLabels { reason, outcome }).inc();
    }

    /// Shows whether the settings were valid when they were last read.
    pub fn settings(&self, valid: bool) {
        self.settings_rejected.set(i64::from(!valid));
    }

    /// Shows whether the store is away.
    pub fn store_away(&self, away: bool) {
        self.store_away.set(i64::from(away));
    }

    /// All metrics in the classic text format of Prometheus, for scrapers that do not ask for OpenMetrics: without its units and its end, and with
    /// counters named as their samples are.
    pub fn classic_text(&self) -> String {
        let text = self.text();
        let counters: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
        let lines = text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT "));
        let renamed = lines.map(|line| {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(&name) => {
                    format!("# {kind} {name}_total {rest}\n")
                }
                _ => format!("{line}\n"),
            }
        });
        renamed.collect()
    }

    /// All metrics in the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
