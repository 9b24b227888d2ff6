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
    guard::Guard,
    metrics::{KeyState, Metrics},
};

/// What operators ask about.
#[derive(Clone)]
struct Asked {
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
        .with_state(Asked { metrics, guard })
}

/// Ready until the gateway is told to stop. What degrades it takes no replica out: the others have the same key, store and ledger.
async fn readyz(State(Asked { metrics, guard }): State<Asked>, uri: Uri) -> Response {
    guard.look().await;
    let (paused, alarm) = metrics.ledger_state();
    let degraded =
        metrics.key_state() == KeyState::Rejected || metrics.store_answers() == Some(false) || paused;
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
    let ledger = match (paused, alarm) {
        (true, _) => "empty: no code is forwarded",
        (false, true) => "low: more than half is spent",
        (false, false) => "ample",
    };
    let body = json!({"status": word, "app_key": key, "store": store, "risk_ledger": ledger}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics_text(State(Asked { metrics, guard }): State<Asked>) -> Response {
    guard.look().await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], metrics.text()).into_response()
}
