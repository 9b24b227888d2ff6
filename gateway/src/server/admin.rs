//! `/livez`, `/readyz` and `/metrics`, on a listener of their own that clients cannot reach.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::health;
use crate::app::App;

/// The routes for operators.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "here are /livez, /readyz (?verbose) and /metrics\n"))
        .with_state(app)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let watched = app.watched();
    // Brings the gauges of the ledgers up to date.
    health::ledger_state(&watched).await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], watched.report.metrics.text()).into_response()
}
