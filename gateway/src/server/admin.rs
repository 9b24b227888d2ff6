//! `/livez`, `/readyz` and `/metrics`, on a listener of their own that clients cannot reach.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
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

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let watched = app.watched();
    // Brings the gauges of the ledgers and of the levels up to date.
    health::ledger_state(&watched).await;
    health::time_levels(&watched).await;
    let metrics = &watched.report.metrics;
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let (media_type, text) =
        if accepts.into_iter().any(|accept| accept.contains("application/openmetrics-text")) {
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.text())
        } else {
            ("text/plain; version=0.0.4; charset=utf-8", metrics.classic_text())
        };
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}
