//! One test application for all tests.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use autoshares_gateway::{app, config::PublicOrigin, metrics::Metrics, server::Listener, server::Stop};
use autoshares_sdk::{AppKey, Client};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub const KEY: &str = "canary-key-5c1d";
pub const JSON: (&str, &str) = ("content-type", "application/json");

pub const RESET: &str = "/v1.0/users/password/reset";
pub const QUESTION: &str = "/v1.0/users/password/secret-question";
pub const CODE: &str = "/v1.0/users/password/reset/code";
pub const PASSWORD: &str = "/v1.0/users/passwords/reset/";

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

pub struct TestApp {
    pub router: Router,
    pub metrics: Arc<Metrics>,
}

#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestApp {
    /// A gateway in front of an upstream, on plain http.
    pub fn new(base_url: &str) -> Self {
        Self::at(base_url, false)
    }

    pub fn at(base_url: &str, https: bool) -> Self {
        let builder = Client::builder(base_url).app_key(AppKey::new(KEY).unwrap());
        Self::with(&builder.timeout(Duration::from_millis(700)).build().unwrap(), https)
    }

    pub fn with(client: &Client, https: bool) -> Self {
        let metrics = Arc::new(Metrics::default());
        let origin = PublicOrigin { text: "http://localhost".to_owned(), https };
        Self { router: app::public(client, &origin, Arc::clone(&metrics)), metrics }
    }

    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answered { status: head.status, headers: head.headers, body }
    }

    /// One of the documented requests.
    pub async fn documented(&self, index: usize) -> Answered {
        let (method, target, body) = DOCUMENTED[index].clone();
        let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
        self.send(method, target, headers, body).await
    }

    pub async fn post(&self, target: &str, body: &'static str) -> Answered {
        self.send(Method::POST, target, &[JSON], body).await
    }

    /// Serves it on a socket until the test ends.
    pub fn listen(&self) -> SocketAddr {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.address();
        tokio::spawn(listener.serve(self.router.clone(), Stop::new(), 32));
        address
    }
}

impl Answered {
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
        for setting in ["listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "log.format=text", &base_url]
            .iter()
            .chain(settings)
        {
            arguments.extend(["--set", setting]);
        }
        let mut variables = variables.to_vec();
        variables.push(("AUTOSHARES_APP_KEY", KEY));
        let gateway = Self::start(&arguments, &variables);
        let line = gateway.wait_for("listening listen=");
        let field = |name: &str| {
            let (_, rest) = line.split_once(name).unwrap();
            format!("http://{}", rest.split_whitespace().next().unwrap())
        };
        let (public, admin) = (field(" listen="), field(" admin_listen="));
        (gateway, public, admin)
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The first line that holds a text, once it is there.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(line) = self.output().lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no `{text}` in: {}", self.output());
    }

    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
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
    for setting in autoshares_gateway::config::SETTINGS {
        command.env_remove(setting.variable);
    }
    command.stdin(Stdio::null());
    command
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
