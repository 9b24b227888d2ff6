//! What the gateway is made of: its state, its routes and its layers.

use std::{sync::Arc, time::Duration};

use autoshares_counting::{RedisSettings, Store};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    api::{self, Api, docs},
    clock::Clock,
    config::{self, Config, PublicOrigin},
    door::Door,
    flow::{KeyRing, Seals},
    guard::Guard,
    http::{
        edge::{self, Origins},
        problem::Problem,
        proxy_hints::ProxyHints,
        site::Site,
    },
    page::{self, Page},
    randomness::Randomness,
    server::Watched,
    steps::{Autoshares, Report, Steps},
    telemetry::{self, alarm::Alarm, audit::Trail, metrics::Metrics, store_watch},
};

/// Time and random bytes, which come in as values so that tests can choose them.
#[derive(Clone, Debug)]
pub struct World {
    /// Time.
    pub clock: Clock,
    /// Random bytes.
    pub randomness: Randomness,
}

impl World {
    /// The clock and the random bytes of the system.
    pub fn of_the_system() -> Self {
        Self { clock: Clock::system(), randomness: Randomness::of_the_system() }
    }
}

/// The gateway, put together.
#[derive(Debug)]
pub struct App {
    /// The public routes.
    pub public: Router,
    /// The parts of the gateway that the admin listener reports on.
    pub watched: Watched,
    /// The steps, some of whose calls run on behind their replies.
    pub steps: Arc<Steps>,
}

/// Puts the gateway together, on a tokio runtime.
pub fn build(config: Config, world: World) -> App {
    let Config { public_origin: origin, allowed_origins, loopback_origins, .. } = config;
    let Config { proxies, upstream, flow, password, .. } = config;
    let (clock, lifetime, code_digits) = (world.clock.clone(), flow.lifetime, config.limits.code_digits);
    let metrics = Arc::<Metrics>::default();
    let store = Arc::new(open_store(config.store, &metrics));
    // Whoever sits in front of the browser decides on another try, and sooner than a wait would end.
    let autoshares = Arc::new(upstream.client.without_retries());
    let settings = (config.limits, flow, password, upstream.timeout);
    let (steps, watched) = wire(autoshares, store, settings, &origin, world, &metrics);
    let site = Arc::new(Site::new(&origin, &allowed_origins, loopback_origins));
    let door = Arc::new(Door {
        steps: Arc::clone(&steps),
        site: Arc::clone(&site),
        proxies,
        proxy_hints: ProxyHints::default(),
        clock: clock.clone(),
    });
    let page = config
        .page
        .enabled
        .then(|| Arc::new(Page::new(Arc::clone(&door), config.page, lifetime, code_digits, password)));
    let api = Api { door, flow_lifetime: lifetime, code_digits };
    let routes = api::routes().with_state(Arc::new(api)).merge(docs::routes(&origin));
    App { public: surround(routes, page, &origin, site, metrics, clock), watched, steps }
}

/// Puts the steps together, in front of an Autoshares and over a store.
pub(crate) fn wire(
    autoshares: Arc<dyn Autoshares>,
    store: Arc<Store>,
    (limits, flow, password, timeout): (config::Limits, config::Flow, config::Password, Duration),
    origin: &PublicOrigin,
    World { clock, randomness }: World,
    metrics: &Arc<Metrics>,
) -> (Arc<Steps>, Watched) {
    let alarm = Arc::new(Alarm::new(&limits));
    // The outcome of a call may be settled a little later than the call has ended.
    let call_deadline = timeout + Duration::from_secs(1);
    let (counted, drawn) = (Arc::clone(&store), randomness.clone());
    let guard = Arc::new(Guard::new(counted, limits, flow.lifetime, call_deadline, clock.clone(), drawn));
    let seals = Seals::new(KeyRing::new(&flow.keys, &origin.text), randomness);
    let trail = Arc::new(Trail::new(clock.clone(), Arc::clone(metrics)));
    let report = Report { metrics: Arc::clone(metrics), health: Arc::default(), alarm, trail };
    let watched = Watched { report: report.clone(), guard: Arc::clone(&guard), store };
    let steps = Steps::new(autoshares, seals, guard, report, clock, (flow, password));
    (Arc::new(steps), watched)
}

/// The counters, where the settings say. Redis is watched, so that operators learn when it goes away.
pub fn open_store(settings: config::Store, metrics: &Arc<Metrics>) -> Store {
    let config::Store { redis: Some(client), timeout, namespace } = settings else { return Store::memory() };
    let store = Store::redis(RedisSettings { client, namespace, timeout, callers_time: false });
    if let Some(presence) = store.presence() {
        tokio::spawn(store_watch::watch_store(presence, Arc::clone(metrics)));
    }
    store
}

/// The layers, outermost first. A path that no route has is looked up once more in lower case, as all routes are written: .NET matches
/// paths in any case.
fn surround(
    routes: Router,
    page: Option<Arc<Page>>,
    origin: &PublicOrigin,
    site: Arc<Site>,
    metrics: Arc<Metrics>,
    clock: Clock,
) -> Router {
    let outer = ServiceBuilder::new()
        // Outermost, for `telemetry` replaces the whole response when it renders a problem.
        .layer(from_fn_with_state(Origins { https: origin.https, site }, edge::headers))
        .layer(from_fn_with_state((metrics, clock), telemetry::observe));
    let inner = ServiceBuilder::new()
        // Inside `telemetry`, or a panic would leave no line and no metric.
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(from_fn(edge::small));
    let routes = routes.fallback(async || Problem::not_found());
    let mut app = routes.layer(outer.clone().layer(inner.clone()));
    if let Some(page) = page {
        // Between the two: it shows what the inner ones refuse, and the outer ones report it.
        let shown = from_fn_with_state(Arc::clone(&page), page::dress);
        app = app.merge(Page::routes(&page).layer(outer.layer(shown).layer(inner)));
    }
    let by_lower_case = app.clone();
    app.fallback(move |request| by_lower_case.oneshot(edge::in_lower_case(request)))
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
        let site = Site::new(&origin, &[], false).into();
        let routes = Router::new().route("/", get(panics));
        let app = surround(routes, None, &origin, site, Arc::default(), Clock::system());
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
