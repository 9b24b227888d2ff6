//! `/readyz`: whether a load balancer should send this gateway requests, and with `?verbose` what is wrong with it.

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
    telemetry::health::{Health, KeyState},
};

#[derive(Clone)]
struct Watched {
    health: Arc<Health>,
    guard: Arc<Guard>,
}

/// Mounts `/readyz`.
pub fn routes(health: Arc<Health>, guard: Arc<Guard>) -> Router {
    Router::new().route("/readyz", get(readyz)).with_state(Watched { health, guard })
}

/// A gateway is ready until it is told to stop. A rejected key, a Redis that does not answer and an empty ledger degrade it, but take no
/// replica out: the other replicas have the same key, store and ledger.
async fn readyz(State(Watched { health, guard }): State<Watched>, uri: Uri) -> Response {
    let ledger = guard.ledger_state().await;
    let degraded = health.key_state() == KeyState::Rejected
        || health.store_answers() == Some(false)
        || ledger == LedgerState::Empty;
    let (status, word) = match (health.is_draining(), degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, true) => (StatusCode::OK, "degraded"),
        (false, false) => (StatusCode::OK, "ready"),
    };
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|name| name.starts_with("verbose")));
    if !verbose {
        return (status, format!("{word}\n")).into_response();
    }
    let key = match health.key_state() {
        KeyState::Untried => "not tried yet",
        KeyState::Accepted => "accepted",
        KeyState::Rejected => "rejected by Autoshares",
    };
    let store = match health.store_answers() {
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
