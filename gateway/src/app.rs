//! Every route and every layer.

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

/// What the gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// The client of Autoshares.
    pub client: Client,
    /// The origin that browsers see.
    pub origin: PublicOrigin,
    /// Other origins whose pages may call.
    pub allowed_origins: Vec<String>,
    /// Whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where counters live.
    pub store: StoreSettings,
    /// How the flow is kept.
    pub flow: FlowSettings,
    /// What is bounded, and by how much.
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
    /// With the default of every setting that has one.
    ///
    /// # Errors
    ///
    /// [`Faults`] when a default is none, which a test rules out.
    pub fn with_defaults(client: Client, origin: PublicOrigin) -> Result<Self, Faults> {
        let (store, flow, limits) = config::defaults()?;
        let (allowed_origins, trusted_proxies) = (Vec::new(), Vec::new());
        Ok(Self { client, origin, allowed_origins, trusted_proxies, store, flow, limits })
    }
}

/// What clients see, and what operators ask.
#[derive(Debug)]
pub struct App {
    /// The public routes.
    pub public: Router,
    /// The budgets and the ledger.
    pub guard: Arc<Guard>,
    /// The counters and gauges that `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// The state that `/readyz` shows.
    pub health: Arc<Health>,
}

/// Puts it together, on a tokio runtime.
pub fn build(parts: Parts) -> App {
    let Parts { client, origin, allowed_origins, trusted_proxies, store, flow, limits } = parts;
    let (metrics, health) = (Arc::<Metrics>::default(), Arc::<Health>::default());
    // Counters in memory know nothing of what was issued before this process; once Redis is asked, it says since when it remembers.
    let not_before = Arc::new(AtomicU64::new(milliseconds(SystemTime::now())));
    let guard = Arc::new(Guard::new(&store, limits, &not_before, Arc::clone(&metrics), &health));
    let flows = Flows::new(KeyRing::new(&flow.keys, &origin.text), not_before);
    let site = Arc::new(Site::new(&origin, &allowed_origins));
    // Whoever sits in front of the browser decides on another try, and sooner than a wait would end.
    let client = client.without_retries();
    let proxy =
        Proxy::new(client, flows, Arc::clone(&guard), Arc::clone(&metrics), Arc::clone(&health), &flow);
    let api = Api { proxy, site: Arc::clone(&site), trusted_proxies, proxy_hinted: AtomicBool::new(false) };
    let routes = api::routes().with_state(Arc::new(api)).merge(docs::routes());
    App { public: surround(routes, &origin, site, Arc::clone(&metrics)), guard, metrics, health }
}

/// The layers, outermost first.
fn surround(routes: Router, origin: &PublicOrigin, site: Arc<Site>, metrics: Arc<Metrics>) -> Router {
    routes.fallback(async || Problem::not_found()).layer(
        ServiceBuilder::new()
            // Outermost, for `telemetry` replaces the whole response when it renders a problem.
            .layer(from_fn_with_state(Origins { https: origin.https, site }, edge::headers))
            .layer(from_fn_with_state(metrics, telemetry::observe))
            // Inside `telemetry`, or a panic would leave no line and no metric.
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
