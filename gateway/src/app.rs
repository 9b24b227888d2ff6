//! Every route and every layer.

use std::sync::Arc;

use autoshares_sdk::Client;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{api, config::PublicOrigin, docs, edge, metrics::Metrics, problem::Problem, telemetry};

/// What clients see.
pub fn public(client: &Client, origin: &PublicOrigin, metrics: Arc<Metrics>) -> Router {
    // Whoever sits in front of the browser decides on another try, and sooner than a wait would end.
    let routes = api::routes().with_state(client.without_retries()).merge(docs::routes());
    surround(routes, origin, metrics)
}

/// The layers, outermost first.
fn surround(routes: Router, origin: &PublicOrigin, metrics: Arc<Metrics>) -> Router {
    routes.fallback(async || Problem::not_found()).layer(
        ServiceBuilder::new()
            // Outermost, for `telemetry` replaces the whole response when it renders a problem.
            .layer(from_fn_with_state(origin.https, edge::security_headers))
            .layer(from_fn_with_state(metrics, telemetry::observe))
            // Inside `telemetry`, or a panic would leave no line and no metric.
            .layer(CatchPanicLayer::custom(edge::panicked))
            .layer(from_fn(edge::small_head))
            .layer(from_fn(edge::small_body)),
    )
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn panics() {
        panic!("canary in a panic");
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_and_the_process_lives() {
        let origin = PublicOrigin { text: "http://localhost".to_owned(), https: false };
        let app = surround(Router::new().route("/", get(panics)), &origin, Arc::default());
        for _ in 0..2 {
            let response = app.clone().oneshot(Request::new(Body::empty())).await.unwrap();
            assert_eq!(response.status(), 500);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers()["cache-control"], "no-store");
            let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains("canary"));
        }
    }
}
