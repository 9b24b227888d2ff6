//! `/livez`, `/readyz` and `/metrics`, on a listener of their own that clients cannot reach.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Watched, health};

/// The routes for operators.
pub fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "here are /livez, /readyz (?verbose) and /metrics\n"))
        .with_state(watched)
}

async fn metrics(State(watched): State<Watched>) -> Response {
    // Brings the gauges of the ledgers up to date.
    health::ledger_state(&watched).await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], watched.report.metrics.text()).into_response()
}
