//! The routes for operators: `/livez`, `/readyz` and `/metrics`. They have a listener of their own that clients cannot reach.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::health;
use crate::{
    guard::Guard,
    telemetry::{health::Health, metrics::Metrics},
};

#[derive(Clone)]
struct Watched {
    metrics: Arc<Metrics>,
    guard: Arc<Guard>,
}

/// Mounts all routes for operators.
pub fn routes(metrics: Arc<Metrics>, health: Arc<Health>, guard: Arc<Guard>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/metrics", get(metrics_text))
        .with_state(Watched { metrics, guard: Arc::clone(&guard) })
        .merge(health::routes(health, guard))
        .fallback(async || (StatusCode::NOT_FOUND, "here are /livez, /readyz (?verbose) and /metrics\n"))
}

async fn metrics_text(State(Watched { metrics, guard }): State<Watched>) -> Response {
    // Brings the gauges of the ledger up to date.
    guard.ledger_state().await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], metrics.text()).into_response()
}
