//! Log set-up, and what surrounds every request: its id, its problem document, its one line in the log, its metrics.

use std::{
    io::IsTerminal,
    panic,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{error, info, level_filters::LevelFilter, warn};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};
use uuid::Uuid;

use crate::{
    config::Log,
    metrics::{Metrics, RequestLabels},
    problem::Problem,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Rides on a response: the operation it answers.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub &'static str);

/// Sends logs to standard output, and panics with them.
pub fn init(log: Log) {
    let json = log.json.unwrap_or_else(|| !std::io::stdout().is_terminal());
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        fmt::layer().with_ansi(std::io::stdout().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter(log.level))).init();
    // Only where: what a panic says may quote a value.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "panic");
    }));
}

/// Below warnings, only this project's own events are let through: libraries may write headers or bodies at their finest levels.
pub fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("autoshares_gateway", level)
        .with_target("autoshares_sdk", level)
}

/// Surrounds a request.
pub async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let client_sent_key = carries_key(request.headers());

    let mut response = next.run(request).await;

    let operation = response.extensions_mut().remove::<Named>().map(|Named(operation)| operation);
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        let headers = std::mem::take(response.headers_mut());
        response = problem.render(&request_id);
        // What another layer had to say, such as `Allow`, unless the problem says it better.
        for (name, value) in headers {
            if let Some(name) = name
                && name != "content-length"
            {
                response.headers_mut().entry(name).or_insert(value);
            }
        }
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }

    let line = Line {
        request_id: &request_id,
        operation,
        method: standard(&method),
        route: route.as_ref().map(MatchedPath::as_str),
        status: response.status().as_u16(),
        duration: started.elapsed(),
        problem: problem.as_ref(),
        client_sent_key,
    };
    line.count(&metrics);
    line.write();
    response
}

/// Everything that is told of a request. No header, body, query, login, or path as typed.
struct Line<'a> {
    request_id: &'a str,
    operation: Option<&'static str>,
    method: &'static str,
    route: Option<&'a str>,
    status: u16,
    duration: Duration,
    problem: Option<&'a Problem>,
    client_sent_key: bool,
}

impl Line<'_> {
    fn count(&self, metrics: &Metrics) {
        let labels = RequestLabels {
            http_request_method: self.method,
            http_route: self.route.unwrap_or_default().to_owned(),
            http_response_status_code: self.status,
            error_type: self.problem.map_or("", |problem| problem.kind().code()),
        };
        metrics.request(&labels, self.duration);
        if self.client_sent_key {
            metrics.client_key();
        }
        match self.problem {
            Some(problem) if problem.key_rejected() => metrics.key(false),
            None if self.operation.is_some() => metrics.key(true),
            _ => {}
        }
    }

    /// The level says who must act: nobody, whoever looks after Autoshares, or the operator of this gateway.
    fn write(&self) {
        let Self { request_id, operation, method, route, status, .. } = *self;
        let duration_ms = self.duration.as_micros() as f64 / 1000.0;
        let problem = self.problem.map(|problem| problem.kind().code());
        let cause = self.problem.and_then(Problem::cause);
        let client_sent_key = self.client_sent_key.then_some(true);
        macro_rules! line {
            ($level:ident, $message:literal) => {
                $level!(
                    request_id,
                    operation,
                    method,
                    route,
                    status,
                    duration_ms,
                    problem,
                    cause,
                    client_sent_key,
                    $message
                )
            };
        }
        if self.problem.is_some_and(Problem::key_rejected) {
            line!(
                error,
                "Autoshares rejects the application key: check upstream.app_key_file or upstream.app_key"
            );
        } else if status == 500 {
            line!(error, "request failed in the gateway");
        } else if status > 500 {
            line!(warn, "request failed at Autoshares");
        } else {
            line!(info, "request");
        }
    }
}

/// Whether the client sent a key of its own, in any spelling that a server somewhere might take for one.
fn carries_key(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().replace('_', "-") == "et-app-key")
}

/// A method that a client made up must not become a label.
fn standard(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}
