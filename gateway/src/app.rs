//! The one place where the parts of the gateway, its routes and its layers are put together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::SystemTime,
};

use autoshares_sdk::Client;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use ipnet::IpNet;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    api::docs,
    api::{self, Api},
    config::{self, Config, Faults, FlowSettings, Limits, PublicOrigin, StoreSettings},
    flow::key_ring::KeyRing,
    flow::{Flows, milliseconds},
    guard::Guard,
    http::edge::{self, Origins},
    http::problem::Problem,
    http::site::Site,
    steps::Proxy,
    telemetry,
    telemetry::health::Health,
    telemetry::metrics::Metrics,
};

/// The parts that the gateway is built from.
#[derive(Debug)]
pub struct Parts {
    /// The client that forwards requests to Autoshares.
    pub client: Client,
    /// The origin that browsers see.
    pub origin: PublicOrigin,
    /// Other origins whose pages may call.
    pub allowed_origins: Vec<String>,
    /// The proxies that the gateway trusts to name the address of a client.
    pub trusted_proxies: Vec<IpNet>,
    /// Where the counters of the budgets are kept.
    pub store: StoreSettings,
    /// The rules of the flow, and the keys that seal its handles.
    pub flow: FlowSettings,
    /// The budgets.
    pub limits: Limits,
}

impl From<Config> for Parts {
    fn from(config: Config) -> Self {
        Self {
            client: config.upstream,
            origin: config.public_origin,
            allowed_origins: config.allowed_origins,
            trusted_proxies: config.trusted_proxies,
            store: config.store,
            flow: config.flow,
            limits: config.limits,
        }
    }
}

impl Parts {
    /// The parts with the default of every setting that has one.
    ///
    /// # Errors
    ///
    /// [`Faults`] when a default cannot be read as a setting, which a test rules out.
    pub fn with_defaults(client: Client, origin: PublicOrigin) -> Result<Self, Faults> {
        let (store, flow, limits) = config::defaults()?;
        let (allowed_origins, trusted_proxies) = (Vec::new(), Vec::new());
        Ok(Self { client, origin, allowed_origins, trusted_proxies, store, flow, limits })
    }
}

/// The gateway, ready to be served: the routes of clients, and the parts that the routes of operators show.
#[derive(Debug)]
pub struct App {
    /// The routes that clients call.
    pub public: Router,
    /// The budgets and the ledger.
    pub guard: Arc<Guard>,
    /// The counters and gauges that `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// The state that `/readyz` shows.
    pub health: Arc<Health>,
}

/// Builds the gateway. It must be called on a tokio runtime, on which the connection to Redis is looked after.
pub fn build(parts: Parts) -> App {
    let Parts { client, origin, allowed_origins, trusted_proxies, store, flow, limits } = parts;
    let (metrics, health) = (Arc::<Metrics>::default(), Arc::<Health>::default());
    // Counters in memory know nothing of handles that were issued before this process started. Once Redis is queried, it says since when
    // it remembers.
    let not_before = Arc::new(AtomicU64::new(milliseconds(SystemTime::now())));
    let guard = Arc::new(Guard::new(&store, limits, &not_before, Arc::clone(&metrics), &health));
    let flows = Flows::new(KeyRing::new(&flow.keys, &origin.text), not_before);
    let site = Arc::new(Site::new(&origin, &allowed_origins));
    // The trader decides on another try, and sooner than a wait would end.
    let client = client.without_retries();
    let proxy =
        Proxy::new(client, flows, Arc::clone(&guard), Arc::clone(&metrics), Arc::clone(&health), &flow);
    let api = Api { proxy, site: Arc::clone(&site), trusted_proxies, proxy_hinted: AtomicBool::new(false) };
    let routes = api::routes().with_state(Arc::new(api)).merge(docs::routes());
    App { public: surround(routes, &origin, site, Arc::clone(&metrics)), guard, metrics, health }
}

/// Surrounds the routes with the layers, outermost first.
fn surround(routes: Router, origin: &PublicOrigin, site: Arc<Site>, metrics: Arc<Metrics>) -> Router {
    routes.fallback(async || Problem::not_found()).layer(
        ServiceBuilder::new()
            // Outermost, for `telemetry` replaces the whole response when it renders a problem.
            .layer(from_fn_with_state(Origins { https: origin.https, site }, edge::headers))
            .layer(from_fn_with_state(metrics, telemetry::observe))
            // Inside `telemetry`, or a request that panics would leave no line and no metric.
            .layer(CatchPanicLayer::custom(edge::panicked))
            .layer(from_fn(edge::small)),
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
        let app = surround(
            Router::new().route("/", get(panics)),
            &origin,
            Site::new(&origin, &[]).into(),
            Arc::default(),
        );
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
