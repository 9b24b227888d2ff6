//! What the gateway counts, in OpenTelemetry's names and Prometheus' form, and how it is doing.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Bounds in seconds, as OpenTelemetry advises for request durations.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Labels of an answered request; all of them from closed sets, so that no client can make the metrics grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method, `_OTHER` for one that HTTP does not name.
    pub http_request_method: &'static str,
    /// The route as the table writes it, or empty for a path that there is not.
    pub http_route: String,
    /// The status.
    pub http_response_status_code: u16,
    /// The code of the problem, or empty.
    pub error_type: &'static str,
}

/// A label from a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// A label from a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Budget {
    budget: &'static str,
}

/// A label from a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    lane: &'static str,
}

/// All metrics, and the state that readiness tells.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram>,
    client_keys: Counter,
    key_rejections: Counter,
    key_rejected: Gauge,
    key: AtomicU8,
    draining: AtomicBool,
    resets: Family<Outcome, Counter>,
    guesses: Family<Outcome, Counter>,
    budget_hits: Family<Budget, Counter>,
    risk_spent: Family<Lane, Gauge<f64, AtomicU64>>,
    codes_paused: Family<Lane, Gauge>,
    risk_alarm: Family<Lane, Gauge>,
    live_codes: Gauge,
    store_away: Gauge,
    shared_store: AtomicBool,
}

/// What is known of the application key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Autoshares was not asked yet.
    Untried,
    /// Autoshares took it the last time.
    Accepted,
    /// Autoshares rejected it the last time.
    Rejected,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let (client_keys, key_rejections) = (Counter::default(), Counter::default());
        let key_rejected = Gauge::default();
        let mut registry = Registry::default();
        registry.register_with_unit(
            "http_server_request_duration",
            "Requests by method, route, status and problem",
            Unit::Seconds,
            requests.clone(),
        );
        registry.register(
            "gateway_client_keys",
            "Requests that carried an Et-App-Key of the client's, which was ignored",
            client_keys.clone(),
        );
        registry.register(
            "gateway_app_key_rejections",
            "Calls that Autoshares refused for the application key",
            key_rejections.clone(),
        );
        registry.register(
            "gateway_app_key_rejected",
            "1 while the last call was refused for the application key",
            key_rejected.clone(),
        );
        let (resets, guesses, budget_hits) = (Family::default(), Family::default(), Family::default());
        let (risk_spent, codes_paused, risk_alarm) =
            (Family::default(), Family::default(), Family::default());
        let (live_codes, store_away) = (Gauge::default(), Gauge::default());
        registry.register("gateway_resets", "Step 1 by what became of it", Family::clone(&resets));
        registry.register("gateway_code_guesses", "Codes by what became of them", Family::clone(&guesses));
        registry.register(
            "gateway_budget_hits",
            "Requests that found a budget exhausted",
            Family::clone(&budget_hits),
        );
        registry.register(
            "gateway_risk_spent",
            "How much of the risk ledger the last hour has spent, from 0 to 1",
            Family::clone(&risk_spent),
        );
        registry.register(
            "gateway_codes_paused",
            "1 while no code is forwarded because the risk ledger is empty",
            Family::clone(&codes_paused),
        );
        registry.register(
            "gateway_risk_alarm",
            "1 while half of the risk ledger is spent, or more",
            Family::clone(&risk_alarm),
        );
        registry.register(
            "gateway_live_codes",
            "Codes that are assumed to be live",
            Gauge::clone(&live_codes),
        );
        registry.register(
            "gateway_store_away",
            "1 while Redis does not answer and this replica decides with its share",
            Gauge::clone(&store_away),
        );
        Self {
            resets,
            guesses,
            budget_hits,
            risk_spent,
            codes_paused,
            risk_alarm,
            live_codes,
            store_away,
            shared_store: AtomicBool::new(false),
            registry,
            requests,
            client_keys,
            key_rejections,
            key_rejected,
            key: AtomicU8::new(KeyState::Untried as u8),
            draining: AtomicBool::new(false),
        }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub fn request(&self, labels: &RequestLabels, duration: Duration) {
        self.requests.get_or_create(labels).observe(duration.as_secs_f64());
    }

    /// Counts a key that a client sent.
    pub fn client_key(&self) {
        self.client_keys.inc();
    }

    /// Notes what Autoshares made of the application key.
    pub fn key(&self, accepted: bool) {
        let state = if accepted { KeyState::Accepted } else { KeyState::Rejected };
        self.key.store(state as u8, Ordering::Relaxed);
        self.key_rejected.set(i64::from(!accepted));
        if !accepted {
            self.key_rejections.inc();
        }
    }

    /// What is known of the application key.
    pub fn key_state(&self) -> KeyState {
        match self.key.load(Ordering::Relaxed) {
            state if state == KeyState::Accepted as u8 => KeyState::Accepted,
            state if state == KeyState::Rejected as u8 => KeyState::Rejected,
            _ => KeyState::Untried,
        }
    }

    /// Counts a step 1.
    pub fn reset(&self, outcome: &'static str) {
        self.resets.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a code.
    pub fn guess(&self, outcome: &'static str) {
        self.guesses.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts an exhausted budget.
    pub fn budget_hit(&self, budget: &'static str) {
        self.budget_hits.get_or_create(&Budget { budget }).inc();
    }

    /// Notes what the ledger of a lane holds, whether codes are paused for it, and whether somebody should look.
    pub fn ledger(&self, lane: &'static str, spent: f64, paused: bool, alarm: bool, live: u32) {
        self.risk_spent.get_or_create(&Lane { lane }).set(spent);
        self.codes_paused.get_or_create(&Lane { lane }).set(i64::from(paused));
        self.risk_alarm.get_or_create(&Lane { lane }).set(i64::from(alarm));
        self.live_codes.set(i64::from(live));
    }

    /// Notes whether Redis answers.
    pub fn note_store(&self, answers: bool) {
        self.shared_store.store(true, Ordering::Relaxed);
        self.store_away.set(i64::from(!answers));
    }

    /// Whether Redis answers; `None` when there is none.
    pub fn store_answers(&self) -> Option<bool> {
        self.shared_store.load(Ordering::Relaxed).then(|| self.store_away.get() == 0)
    }

    /// From now on readiness says no.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
