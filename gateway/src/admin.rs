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

use crate::metrics::{KeyState, Metrics};

/// What operators see.
pub fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .fallback(async || (StatusCode::NOT_FOUND, "here are /livez, /readyz (?verbose) and /metrics\n"))
        .with_state(metrics)
}

/// Ready until the gateway is told to stop. A rejected key degrades it but takes no replica out: the others have the same key.
async fn readyz(State(metrics): State<Arc<Metrics>>, uri: Uri) -> Response {
    let (status, word) = match (metrics.is_draining(), metrics.key_state()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, KeyState::Rejected) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::OK, "ready"),
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
    let body = json!({"status": word, "app_key": key}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics_text(State(metrics): State<Arc<Metrics>>) -> Response {
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], metrics.text()).into_response()
}
