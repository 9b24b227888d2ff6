//! `/livez`, `/readyz` and `/metrics`, on a listener of their own that clients cannot reach.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::{
    guard::{Guard, LedgerState},
    telemetry::metrics::{KeyState, Metrics},
};

/// What operators ask about.
#[derive(Clone)]
struct Watched {
    metrics: Arc<Metrics>,
    guard: Arc<Guard>,
}

/// What operators see.
pub fn routes(metrics: Arc<Metrics>, guard: Arc<Guard>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .fallback(async || (StatusCode::NOT_FOUND, "here are /livez, /readyz (?verbose) and /metrics\n"))
        .with_state(Watched { metrics, guard })
}

/// Ready until the gateway is told to stop. What degrades it takes no replica out: the others have the same key, store and ledger.
async fn readyz(State(Watched { metrics, guard }): State<Watched>, uri: Uri) -> Response {
    let ledger = guard.ledger_state().await;
    let degraded = metrics.key_state() == KeyState::Rejected
        || metrics.store_answers() == Some(false)
        || ledger == LedgerState::Empty;
    let (status, word) = match (metrics.is_draining(), degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, true) => (StatusCode::OK, "degraded"),
        (false, false) => (StatusCode::OK, "ready"),
    };
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|name| name.starts_with("verbose")));
    if !verbose {
        return (status, format!("{word}\n")).into_response();
    }
    let key = match metrics.key_state() {
        KeyState::Untried => "not tried yet",
        KeyState::Accepted => "accepted",
        KeyState::Rejected => "rejected by Autoshares",
    };
    let store = match metrics.store_answers() {
        None => "memory",
        Some(true) => "shared",
        Some(false) => "degraded: Redis is away, this replica decides with its share",
    };
    let ledger = match ledger {
        LedgerState::Ample => "ample",
        LedgerState::Low => "low: half is spent, or more",
        LedgerState::Empty => "empty: no code is forwarded",
    };
    let body = json!({"status": word, "app_key": key, "store": store, "risk_ledger": ledger}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics_text(State(Watched { metrics, guard }): State<Watched>) -> Response {
    // Brings the gauges of the ledger up to date.
    guard.ledger_state().await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], metrics.text()).into_response()
}
