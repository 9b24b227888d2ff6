//! What the gateway is made of: its state, its routes, and what surrounds every route.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use autoshares_counting::{Micros, RedisSettings, Store};
use autoshares_sdk::Client;
use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::State,
    http::{HeaderValue, Request, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::future::RouteFuture,
};
use pin_project_lite::pin_project;
use tower::{Service, ServiceExt};

use crate::{
    api::{self, Api, docs},
    clock::Clock,
    config::{self, Change, Config, Effective, Proxies, PublicOrigin, Tls},
    door::Door,
    flow::{KeyRing, Seals, Secrets},
    guard::Guard,
    http::{
        edge::{self, Origins},
        problem::Problem,
        proxy_hints::ProxyHints,
        site::Site,
    },
    page::{Failing, Page},
    randomness::Randomness,
    server::{Connections, Entrance, Header, Most, Watched},
    steps::{Autoshares, Lasting, Report, Steps},
    telemetry::{
        self, Observing, RequestLine, alarm::Alarm, audit::Trail, health::Health, metrics::Metrics,
        store_watch,
    },
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

/// The gateway, put together. Other settings can take the place of those that it began with: requests under way keep the old ones, and later
/// requests get the new ones.
#[derive(Debug)]
pub struct App {
    current: RwLock<Arc<Current>>,
    world: World,
    store: Arc<Store>,
    report: Report,
    proxy_hints: Arc<ProxyHints>,
}

/// What is made of one configuration.
#[derive(Debug)]
struct Current {
    effective: Arc<Effective>,
    /// The client and the keys, for settings that leave them as they are: connections to Autoshares stay open, and keys that were drawn at start
    /// go on.
    client: Client,
    keys: Secrets,
    origin: PublicOrigin,
    timeout: Duration,
    routes: Router,
    entrance: Entrance,
    certificate_ends: Option<i64>,
    guard: Arc<Guard>,
    steps: Arc<Steps>,
    lasting: Lasting,
}

/// Puts the gateway together, on a tokio runtime.
pub fn build(config: Config, world: World) -> Arc<App> {
    let metrics = Arc::<Metrics>::default();
    let store = Arc::new(open_store(config.store.clone(), &metrics));
    let report = report(&config.limits, &metrics, &world);
    let proxy_hints = Arc::<ProxyHints>::default();
    let parts = (&store, &report, &proxy_hints);
    let current = RwLock::new(Current::of(config, Lasting::default(), world.clone(), parts));
    Arc::new(App { current, world, store, report, proxy_hints })
}

impl App {
    /// The public routes, which follow the settings.
    pub fn public(self: &Arc<Self>) -> Public {
        Public(Arc::clone(self))
    }

    /// What a connection is asked when it comes.
    pub fn entrance(&self) -> Entrance {
        self.current().entrance.clone()
    }

    /// When the gateway's own certificate ends, in seconds since 1970.
    pub fn certificate_ends(&self) -> Option<i64> {
        self.current().certificate_ends
    }

    /// The connections of clients, so many of them at most.
    pub fn connections(&self, most: Most) -> Arc<Connections> {
        Connections::new(most, Some(Arc::clone(&self.report.metrics)), self.world.clock.clone())
    }

    /// The parts of the gateway that the admin listener reports on.
    pub fn watched(&self) -> Watched {
        let guard = Arc::clone(&self.current().guard);
        Watched { report: self.report.clone(), guard, store: Arc::clone(&self.store) }
    }

    /// How long ago a moment was, in seconds.
    pub fn age_s(&self, moment: Micros) -> u64 {
        self.world.clock.micros().saturating_sub(moment) / 1_000_000
    }

    /// The steps, some of whose calls run on behind their replies.
    pub fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.current().steps)
    }

    /// The settings that are in force.
    pub fn effective(&self) -> Arc<Effective> {
        Arc::clone(&self.current().effective)
    }

    /// The origin under which browsers see the gateway.
    pub fn public_origin(&self) -> PublicOrigin {
        self.current().origin.clone()
    }

    /// How long a call to Autoshares may take.
    pub fn upstream_timeout(&self) -> Duration {
        self.current().timeout
    }

    /// Puts other settings in force, and says what they change. The ones that need a restart stay as they were.
    pub fn follow(&self, mut config: Config) -> Vec<Change> {
        let before = self.current();
        let changes = before.effective.changes(&config.effective);
        if changes.iter().all(|change| change.needs_restart) {
            return changes;
        }
        config.effective.keep_waiting(&before.effective, &changes);
        let has = |prefix: &str, needs_restart: bool| {
            let is_meant =
                |change: &Change| change.needs_restart == needs_restart && change.key.starts_with(prefix);
            changes.iter().any(is_meant)
        };
        let (follows, waits) = (|prefix| has(prefix, false), |prefix| has(prefix, true));
        if !follows("flow.keys_file") {
            config.flow.keys = before.keys.clone();
        }
        if !follows("public_origin") {
            config.public_origin = before.origin.clone();
        }
        if waits("tls.") {
            config.tls = Tls { server: before.entrance.tls.clone(), ends: before.certificate_ends };
        }
        if waits("trusted_proxies") || waits("forwarded_header") {
            config.proxies = Proxies::clone(&before.entrance.proxies);
        }
        let lasting = if follows("upstream.") {
            before.lasting.before_another_autoshares(&self.report)
        } else {
            config.upstream.client = before.client.clone();
            before.lasting.clone()
        };
        self.report.alarm.follow(&config.limits);
        telemetry::follow(config.log);
        let parts = (&self.store, &self.report, &self.proxy_hints);
        let after = Current::of(config, lasting, self.world.clone(), parts);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = after;
        changes
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves the public routes. Each request gets those of the settings that are in force when it comes.
#[derive(Clone, Debug)]
pub struct Public(Arc<App>);

impl<B> Service<Request<B>> for Public
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Reply {
        Reply {
            reply: self.0.current().routes.clone().call(request),
            health: Arc::clone(&self.0.report.health),
        }
    }
}

pin_project! {
    /// A reply of the public routes, when it is there.
    pub struct Reply {
        #[pin]
        reply: RouteFuture<Infallible>,
        health: Arc<Health>,
    }
}

impl Future for Reply {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut reply) = ready!(this.reply.poll(context));
        // So that a proxy sends no more over this connection, and meets none that closes.
        if this.health.is_draining() {
            reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(reply))
    }
}

impl Current {
    fn of(
        config: Config,
        lasting: Lasting,
        world: World,
        (store, report, proxy_hints): (&Arc<Store>, &Report, &Arc<ProxyHints>),
    ) -> Arc<Self> {
        let Config { public_origin: origin, allowed_origins, loopback_origins, .. } = config;
        let Config { upstream, flow, password, .. } = config;
        let (proxies, effective) = (Arc::new(config.proxies), Arc::new(config.effective));
        let (clock, lifetime, code_digits) = (world.clock.clone(), flow.lifetime, config.limits.code_digits);
        let certificate_ends = config.tls.ends;
        let entrance =
            Entrance { tls: config.tls.server, proxies: Arc::clone(&proxies), header: Header::Required };
        let (client, keys) = (upstream.client.clone(), flow.keys.clone());
        let timeout = upstream.timeout;
        // Whoever sits in front of the browser decides on another try, and sooner than a wait would end.
        let autoshares = Arc::new(upstream.client.without_retries());
        let settings = (config.limits, flow, password, timeout);
        let parts = (Arc::clone(store), report.clone(), lasting.clone());
        let (steps, guard) = wire(autoshares, parts, settings, &origin, world);
        let site = Arc::new(Site::new(&origin, &allowed_origins, loopback_origins));
        let observed = (Arc::clone(&report.metrics), clock.clone(), Arc::clone(&proxies));
        let door = Arc::new(Door {
            steps: Arc::clone(&steps),
            site: Arc::clone(&site),
            proxies,
            proxy_hints: Arc::clone(proxy_hints),
            clock: clock.clone(),
        });
        let page = config
            .page
            .enabled
            .then(|| Arc::new(Page::new(Arc::clone(&door), config.page, lifetime, code_digits, password)));
        let api = Api { door, flow_lifetime: lifetime, code_digits };
        let routes = api::routes().with_state(Arc::new(api)).merge(docs::routes(&origin));
        let routes = surround(routes, page, &Origins { https: origin.https, site }, &observed);
        Arc::new(Self {
            effective,
            client,
            keys,
            origin,
            timeout,
            routes,
            entrance,
            certificate_ends,
            guard,
            steps,
            lasting,
        })
    }
}

/// Where the steps report what happens.
pub(crate) fn report(limits: &config::Limits, metrics: &Arc<Metrics>, world: &World) -> Report {
    let trail = Arc::new(Trail::new(world.clock.clone(), Arc::clone(metrics)));
    Report {
        metrics: Arc::clone(metrics),
        health: Arc::default(),
        alarm: Arc::new(Alarm::new(limits)),
        trail,
    }
}

/// Puts the steps together, in front of an Autoshares and over a store.
pub(crate) fn wire(
    autoshares: Arc<dyn Autoshares>,
    (store, report, lasting): (Arc<Store>, Report, Lasting),
    (limits, flow, password, timeout): (config::Limits, config::Flow, config::Password, Duration),
    origin: &PublicOrigin,
    World { clock, randomness }: World,
) -> (Arc<Steps>, Arc<Guard>) {
    // The outcome of a call may be settled a little later than the call has ended.
    let call_deadline = timeout + Duration::from_secs(1);
    let drawn = randomness.clone();
    let guard = Arc::new(Guard::new(store, limits, flow.lifetime, call_deadline, clock.clone(), drawn));
    let seals = Seals::new(KeyRing::new(&flow.keys, &origin.text), randomness);
    let counted = Arc::clone(&guard);
    let steps = Steps::new(autoshares, seals, counted, report, clock, (flow, password), lasting);
    (Arc::new(steps), guard)
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

/// Surrounds the routes. A path that no route has is looked up once more in lower case, as all routes are written: .NET matches paths in any
/// case.
fn surround(routes: Router, page: Option<Arc<Page>>, origins: &Origins, observed: &Observing) -> Router {
    let routes = routes.fallback(async || Problem::not_found());
    let around = |page| Arc::new(Around { origins: origins.clone(), observed: observed.clone(), page });
    let mut app = routes.layer(from_fn_with_state(around(None), answer));
    if let Some(page) = page {
        let layer = from_fn_with_state(around(Some(Arc::clone(&page))), answer);
        app = app.merge(Page::routes(&page).layer(layer));
    }
    let by_lower_case = app.clone();
    app.fallback(move |request| by_lower_case.oneshot(edge::in_lower_case(request)))
}

/// What [`answer`] needs around every route.
struct Around {
    origins: Origins,
    observed: Observing,
    /// For routes of the page.
    page: Option<Arc<Page>>,
}

/// What happens around every route. It is one layer of axum's, for each layer costs allocations that add up to more than what happens in it; and
/// it is no `async fn`, which would keep room for the request twice.
fn answer(
    State(around): State<Arc<Around>>,
    mut request: Request<Body>,
    next: Next,
) -> impl Future<Output = Response> {
    let listed_origin = around.origins.site.listed_origin(request.headers());
    let line = RequestLine::begin(&around.observed, &mut request);
    let failing = around.page.as_ref().map(|page| Failing::keep(page, &request));
    let (head, body) = request.into_parts();
    async move {
        let reply = match edge::unbroken(edge::read(&head, body)).await.flatten() {
            Ok(body) => edge::unbroken(next.run(Request::from_parts(head, body.into()))).await,
            Err(problem) => Err(problem),
        };
        let mut reply = reply.unwrap_or_else(IntoResponse::into_response);
        if let Some(failing) = failing {
            reply = failing.show(reply);
        }
        reply = line.answer(reply);
        // Last, for the line replaces the whole reply when it renders a problem.
        edge::add_headers(&around.origins, listed_origin, reply.headers_mut());
        reply
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use futures_util::stream;
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
        let origins = Origins { https: false, site };
        let app = surround(routes, None, &origins, &(Arc::default(), Clock::system(), Arc::default()));
        let panics_when_read =
            stream::poll_fn(|_| -> Poll<Option<Result<Bytes, Infallible>>> { panic!("canary in a panic") });
        for body in [Body::empty(), Body::from_stream(panics_when_read), Body::empty()] {
            let response = app.clone().oneshot(Request::new(body)).await.unwrap();
            assert_eq!(response.status(), 500);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers()["cache-control"], "no-store");
            let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains("canary"));
        }
    }
}
