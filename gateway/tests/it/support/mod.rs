//! One test application for all tests.

pub mod haproxy;

use std::{
    convert::Infallible,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use autoshares_counting::{Beginning, Decision, Owned, Rate, RecordUse, Store};
use autoshares_gateway::{
    app::{self, Public, World},
    clock::Clock,
    config::{Config, PublicOrigin},
    flow::{Handle, KeyRing, Named, Seals, Spelling, Stage},
    randomness::Randomness,
    server::{Connections, Entrance, Listener, Most, Patience, Peer, Stop},
    telemetry::{health::Health, metrics::Metrics},
};
use autoshares_sdk::{AppKey, Client, sandbox::Sandbox};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tower::{Service, ServiceExt};

use crate::servers::PATIENCE;

pub const KEY: &str = "canary-key-5c1d";
pub const JSON: (&str, &str) = ("content-type", "application/json");

pub const RESET: &str = "/v1.0/users/password/reset";
pub const QUESTION: &str = "/v1.0/users/password/secret-question";
pub const CODE: &str = "/v1.0/users/password/reset/code";
pub const PASSWORD: &str = "/v1.0/users/passwords/reset/";

/// The one refusal of a code.
pub const WRONG: &str = r#"{"Errors":["Confirmation code is incorrect."],"IsSucceed":false}"#;
/// The token of the documented request.
pub const TOKEN: &str = "someToken-bd26-825db0";
pub const ORIGIN: &str = "http://localhost";

/// A client of an upstream, with a short deadline.
pub fn client(base_url: &str) -> Client {
    client_with(base_url, Duration::from_secs(30))
}

/// A client that soon gives up, for tests in which Autoshares does not reply.
pub fn impatient(base_url: &str) -> Client {
    client_with(base_url, Duration::from_millis(700))
}

fn client_with(base_url: &str, timeout: Duration) -> Client {
    let builder = Client::builder(base_url).app_key(AppKey::new(KEY).unwrap());
    builder.timeout(timeout).build().unwrap()
}

/// So much that no budget is ever exhausted.
pub fn ample() -> Vec<Rate> {
    vec!["1000000/s".parse().unwrap()]
}

/// A gateway in front of a sandbox, without a floor, whose budgets of networks are ample.
pub async fn on_sandbox(change: impl FnOnce(&mut Config)) -> (Sandbox, TestApp) {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.limits.codes_per_address = ample();
        config.limits.codes_per_login = ample();
        config.limits.resets_per_address = ample();
        change(config);
    });
    (sandbox, app)
}

/// Waits for something that another thread or process brings about.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The body of a step 3.
pub fn code(code: &str) -> String {
    format!(r#"{{"Code": "{code}"}}"#)
}

/// The body of a step 4.
pub fn update(token: &str, password: &str) -> String {
    format!(r#"{{"Token": "{token}", "Password": "{password}", "PasswordConfirmation": "{password}"}}"#)
}

/// The documented requests.
pub const DOCUMENTED: [(Method, &str, &str); 4] = [
    (Method::POST, RESET, r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#),
    (Method::GET, "/v1.0/users/password/secret-question?username=hello%40autoshares.com", ""),
    (Method::POST, CODE, r#"{"Code": "741175"}"#),
    (
        Method::PUT,
        PASSWORD,
        r#"{"Token": "someToken-bd26-825db0", "Password": "pkof394f34kf934f03u4fj0", "PasswordConfirmation": "pkof394f34kf934f03u4fj0"}"#,
    ),
];

/// The gateway in process, with what a test wants to look at or move.
#[derive(Clone)]
pub struct TestApp {
    pub router: Public,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    /// Seals what the gateway opens.
    pub seals: Arc<Seals>,
    pub store: Arc<Store>,
    /// The clock of the gateway, which a test can move.
    pub clock: Clock,
    randomness: Randomness,
    lifetime: Duration,
}

#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestApp {
    /// A gateway in front of an upstream, on plain http, without a floor and without limits: for tests that are not about them.
    pub fn new(base_url: &str) -> Self {
        Self::at(base_url, false)
    }

    pub fn at(base_url: &str, https: bool) -> Self {
        Self::with(&client(base_url), https)
    }

    pub fn with(client: &Client, https: bool) -> Self {
        Self::quick(client, |config| config.public_origin.https = https)
    }

    /// The same with other settings.
    pub fn quick(client: &Client, change: impl FnOnce(&mut Config)) -> Self {
        Self::guarded(client, |config| {
            config.limits.enabled = false;
            change(config);
        })
    }

    /// A gateway without a floor and as it comes otherwise, but for some settings.
    pub fn guarded(client: &Client, change: impl FnOnce(&mut Config)) -> Self {
        let origin = PublicOrigin { text: ORIGIN.to_owned(), https: false };
        let mut config = Config::with_defaults(client.clone(), origin).unwrap();
        config.flow.floor = Duration::ZERO;
        config.upstream.timeout = Duration::from_secs(2);
        change(&mut config);
        let (clock, randomness) = (Clock::movable(), Randomness::of_the_system());
        let ring = KeyRing::new(&config.flow.keys, &config.public_origin.text);
        let seals = Arc::new(Seals::new(ring, randomness.clone()));
        let lifetime = config.flow.lifetime;
        let world = World { clock: clock.clone(), randomness: randomness.clone() };
        let app = app::build(config, world);
        let (router, watched) = (app.public(), app.watched());
        let (metrics, health, store) = (watched.report.metrics, watched.report.health, watched.store);
        Self { router, metrics, health, seals, store, clock, randomness, lifetime }
    }

    /// Lets the probes find that Autoshares answers again.
    pub async fn recover(&self) {
        self.clock.advance(Duration::from_secs(5));
        until("an answer to the probes", || self.health.outage().is_none()).await;
    }

    /// A new flow about a login, as it stands after an earlier step.
    pub async fn flow(&self, login: &str, stage: Stage) -> Handle {
        self.try_flow(login, stage).await.expect("the store is there")
    }

    async fn try_flow(&self, login: &str, stage: Stage) -> Option<Handle> {
        let (handle, spelling) = (self.seals.new_handle(), Spelling::of(&login.into()).unwrap());
        let record = RecordUse::Begin(Beginning {
            current: vec![],
            fresh: Owned { id: handle.id, owner: handle.owner(&spelling) },
            subject: self.seals.ring().pseudonym(Named::Login, spelling.as_bytes()),
            counters: vec![],
            stage: stage.bits(),
            sticky: Stage::STICKY,
            lifetime: self.lifetime,
        });
        let decision = Decision { record: Some(record), ..Decision::new(self.randomness.id()) };
        self.store.decide(&decision, self.clock.micros()).await.ok()?;
        Some(handle)
    }

    /// The sealed handle of a new flow about a login; `None` while the store is away.
    pub async fn try_handle(&self, login: &str, stage: Stage) -> Option<String> {
        Some(self.seals.seal(&self.try_flow(login, stage).await?))
    }

    /// The sealed handle of a new flow about a login.
    pub async fn handle(&self, login: &str, stage: Stage) -> String {
        self.seals.seal(&self.flow(login, stage).await)
    }

    /// A token of the flow of a handle.
    pub fn token(&self, handle: &str) -> String {
        self.seals.seal_token(self.seals.open(handle).unwrap().id, true, &TOKEN.into())
    }

    /// Step 1 for a login without a secret question.
    pub async fn reset(&self, login: &str) -> Answered {
        self.step("", RESET, format!(r#"{{"User": "{login}"}}"#)).await
    }

    /// Step 3 in the flow of a handle.
    pub async fn redeem(&self, handle: &str, digits: &str) -> Answered {
        self.step(handle, CODE, code(digits)).await
    }

    /// Step 4 in the flow of a handle.
    pub async fn set_password(&self, handle: &str, token: &str, password: &str) -> Answered {
        self.step(handle, PASSWORD, update(token, password)).await
    }

    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        self.send_from(None, method, target, headers, body).await
    }

    /// The same over a connection from an address.
    pub async fn send_from(
        &self,
        peer: Option<&str>,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(peer) = peer {
            request = request.extension(Peer(SocketAddr::new(peer.parse().unwrap(), 4711)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answered { status: head.status, headers: head.headers, body }
    }

    /// One of the documented requests, at its place in a flow of its own.
    pub async fn documented(&self, index: usize) -> Answered {
        let (method, target, body) = DOCUMENTED[index].clone();
        let login = if index == 1 { "hello@autoshares.com" } else { "robert.zak" };
        let stage = if index == 1 { Stage::QUESTION } else { Stage::LIVE };
        let flow = self.flow(login, stage).await;
        let handle = self.seals.seal(&flow);
        let token = self.seals.seal_token(flow.id, true, &TOKEN.into());
        let body = body.replace(TOKEN, &token);
        let mut headers = vec![("reset-flow", handle.as_str())];
        headers.extend((!body.is_empty()).then_some(JSON));
        if index == 0 {
            headers.remove(0);
        }
        self.send(method, target, &headers, body).await
    }

    pub async fn post(&self, target: &str, body: &'static str) -> Answered {
        self.send(Method::POST, target, &[JSON], body).await
    }

    /// A step in the flow of a handle.
    pub async fn step(&self, handle: &str, target: &str, body: impl Into<Body>) -> Answered {
        let method = match target {
            CODE | RESET => Method::POST,
            PASSWORD => Method::PUT,
            _ => Method::GET,
        };
        let headers = [JSON, ("reset-flow", handle)];
        self.send(method, target, if handle.is_empty() { &headers[..1] } else { &headers }, body).await
    }

    /// Serves it on a socket until the test ends.
    pub fn listen(&self) -> SocketAddr {
        let listener = listener();
        let address = listener.address();
        tokio::spawn(serve(listener, self.router.clone()));
        address
    }
}

/// A listener on a free port.
pub fn listener() -> Listener {
    Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

/// Serves routes until the test ends.
pub async fn serve<S>(listener: Listener, service: S)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let connections = Connections::new(Most { all: 32, per_network: 32 }, None, Clock::system());
    let patience = Patience::new(Duration::from_secs(75));
    listener.serve(service, Stop::new(), patience, connections, Entrance::default).await.unwrap();
}

impl Answered {
    /// The handle that came with it.
    #[track_caller]
    pub fn handle(&self) -> String {
        let handle = self.headers.get("reset-flow").unwrap_or_else(|| panic!("no handle in {self:?}"));
        handle.to_str().unwrap().to_owned()
    }

    /// The `Model` in it.
    #[track_caller]
    pub fn model(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["Model"].as_str().unwrap_or_else(|| panic!("no `Model` in {body}")).to_owned()
    }

    /// The problem document, after checking what holds for all of them.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["type"], format!("/docs#{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["ErrorsCode"], serde_json::json!([code]));
        assert_eq!(problem["IsSucceed"], false);
        assert!(!problem["Errors"].as_array().unwrap().is_empty());
        assert_eq!(self.headers["x-request-id"], problem["instance"].as_str().unwrap());
        for text in ["title", "detail"] {
            assert!(!problem[text].as_str().unwrap().is_empty(), "{text}");
        }
        problem
    }
}

/// The binary, with its output kept, killed when dropped.
pub struct Gateway {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts it with arguments and variables and no others of its own.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = bare();
        command.args(arguments).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        keep(child.stdout.take().unwrap(), &output);
        keep(child.stderr.take().unwrap(), &output);
        Self { child, output }
    }

    /// `serve` on free ports in front of an upstream; returns the address of the public listener too.
    pub fn serve(base_url: &str, settings: &[&str], variables: &[(&str, &str)]) -> (Self, String, String) {
        let base_url = format!("upstream.base_url={base_url}");
        let mut arguments = vec!["serve"];
        for setting in
            ["listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "stop_delay=0s", "log.format=text", &base_url]
                .iter()
                .chain(settings)
        {
            arguments.extend(["--set", setting]);
        }
        let mut variables = variables.to_vec();
        if !settings.iter().any(|setting| setting.starts_with("upstream.app_key_file=")) {
            variables.push(("AUTOSHARES_APP_KEY", KEY));
        }
        let gateway = Self::start(&arguments, &variables);
        let (public, admin) = gateway.addresses();
        (gateway, public, admin)
    }

    /// `serve` on free ports in front of an upstream, with its settings in a file.
    pub fn serve_file(base_url: &str, file: &Path, variables: &[(&str, &str)]) -> (Self, String, String) {
        let base_url = format!("upstream.base_url={base_url}");
        let mut arguments = vec!["serve", "--config", file.to_str().unwrap()];
        for set in
            ["listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "log.format=text", "flow.floor=0s", &base_url]
        {
            arguments.extend(["--set", set]);
        }
        let gateway = Self::start(&arguments, variables);
        let (public, admin) = gateway.addresses();
        (gateway, public, admin)
    }

    /// The addresses of both listeners, once they listen.
    #[track_caller]
    pub fn addresses(&self) -> (String, String) {
        let line = self.wait_for("listening listen=");
        let field = |name: &str| {
            let (_, rest) = line.split_once(name).unwrap();
            format!("http://{}", rest.split_whitespace().next().unwrap())
        };
        (field(" listen="), field(" admin_listen="))
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The first line that holds a text, once it is there.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(line) = self.output().lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no `{text}` in: {}", self.output());
    }

    /// What was written so far, with the lines of all requests that were answered before: lines are written in their order by a thread of
    /// their own, so the line of one more request closes them.
    pub async fn closed_output(&self, public: &str) -> String {
        let last = http().get(format!("{public}/closes-the-log")).send().await.unwrap();
        self.wait_for(last.headers()["x-request-id"].to_str().unwrap());
        self.output()
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary without the settings of whoever runs the tests.
pub fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autoshares-gateway"));
    for setting in autoshares_gateway::config::settings() {
        command.env_remove(setting.variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A new file of flow keys, as `keygen` prints it.
pub fn keygen() -> String {
    String::from_utf8(bare().arg("keygen").output().unwrap().stdout).unwrap()
}

/// A line of such a file: a new key.
pub fn flow_key() -> String {
    keygen().lines().find(|line| !line.starts_with('#')).unwrap().to_owned()
}

/// Writes a file as careful operators do: beside, and then in its place.
pub fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

fn keep(stream: impl std::io::Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    });
}

/// `dev`, and the addresses that it printed.
pub struct Dev {
    pub process: Gateway,
    pub gateway: String,
    /// The base URL of the sandbox.
    pub sandbox: String,
    pub outbox: String,
    pub faults: String,
}

impl Dev {
    /// Starts it with these settings and variables.
    pub fn start(settings: &[&str], variables: &[(&str, &str)]) -> Self {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<_> = ["dev"].into_iter().chain(set).collect();
        let process = Gateway::start(&arguments, variables);
        process.wait_for("Ctrl-C");
        let address = |name: &str| {
            let line = process.wait_for(name);
            line.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned()
        };
        let (gateway, sandbox) = (address("gateway "), address("sandbox "));
        let (outbox, faults) = (address("outbox "), address("faults "));
        Self { process, gateway, sandbox, outbox, faults }
    }
}

/// A plain HTTP client for driving a gateway on a socket.
pub fn http() -> reqwest::Client {
    http_builder().build().unwrap()
}

pub fn http_builder() -> reqwest::ClientBuilder {
    let no_roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(no_roots).with_no_client_auth();
    // Reqwest asks for TLS to be set up even when nobody speaks it.
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.tls_backend_preconfigured(tls)
}
