//! Log set-up, and what surrounds every request: its id, its problem document, its one line in the log, its metrics.

pub mod audit;
pub mod metrics;

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{error, info, level_filters::LevelFilter, warn};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::Log,
    http::problem::{Blame, Problem},
    http::request_id::{REQUEST_ID, RequestId},
    telemetry::metrics::{Metrics, RequestLabels},
};

/// The status that logs and metrics show for a request that was dropped; nginx made the number common.
const DROPPED: u16 = 499;

/// Rides on a response: the operation it answers.
#[derive(Clone, Copy, Debug)]
pub struct OperationName(pub &'static str);

/// Sends logs to standard output, and panics with them.
///
/// Lines are kept until [`flush`], which whoever runs the gateway calls whenever there is nothing else to do: a gateway under load writes
/// many at once, for a write for each would cost a fifth of what refusing a request costs.
pub fn init(log: Log) {
    let json = log.json.unwrap_or_else(|| !io::stdout().is_terminal());
    let lines = if json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.with_writer(|| Lines).boxed()
    } else {
        fmt::layer().with_ansi(io::stdout().is_terminal()).with_writer(|| Lines).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter(log.level))).init();
    // Only where: what a panic says may quote a value.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "panic");
        flush();
    }));
}

/// Lines that are not written yet.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// So many bytes are written without being asked for.
const MAX_LINES: usize = 64 * 1024;

struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(line);
        if lines.len() > MAX_LINES {
            write_out(&mut lines);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the lines that are kept.
pub fn flush() {
    write_out(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner));
}

fn write_out(lines: &mut Vec<u8>) {
    if lines.is_empty() {
        return;
    }
    let (mut output, mut written) = (io::stdout().lock(), 0);
    while written < lines.len() {
        match output.write(&lines[written..]) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Where nobody reads the log at the moment there is nobody to tell; it may be read again later.
            Err(_) => break,
        }
    }
    let _ = output.flush();
    lines.drain(..written);
    if lines.len() > 16 * MAX_LINES {
        lines.clear();
    }
}

/// Below warnings, only this project's own events are let through: libraries may write headers or bodies at their finest levels.
pub fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("autoshares_gateway", level)
        // Whatever else is worth a line: the trail has no gaps.
        .with_target(audit::TARGET, level.max(LevelFilter::INFO))
        .with_target("autoshares_sdk", level)
}

/// Surrounds a request.
pub async fn observe(State(metrics): State<Arc<Metrics>>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::random();
    request.extensions_mut().insert(request_id.clone());
    let mut line = Line {
        metrics,
        started: Instant::now(),
        request_id,
        method: standard(request.method()),
        route: request.extensions().get::<MatchedPath>().cloned(),
        client_sent_key: carries_key(request.headers()),
        answered: None,
    };

    let mut response = next.run(request).await;

    let operation =
        response.extensions_mut().remove::<OperationName>().map(|OperationName(operation)| operation);
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        response = problem.render(&line.request_id.0);
    }
    if let Ok(value) = HeaderValue::from_str(&line.request_id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    line.answered = Some(Answered { operation, status: response.status().as_u16(), problem });
    response
}

/// Everything that is told of a request. No header, body, query, login, or path as typed.
///
/// Told when it is dropped, for a request that is cut short by a stop is dropped in the middle, and may have reached Autoshares.
struct Line {
    metrics: Arc<Metrics>,
    started: Instant,
    request_id: RequestId,
    method: &'static str,
    route: Option<MatchedPath>,
    client_sent_key: bool,
    answered: Option<Answered>,
}

struct Answered {
    operation: Option<&'static str>,
    status: u16,
    problem: Option<Problem>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        self.count(duration);
        self.write(duration);
    }
}

impl Line {
    fn problem(&self) -> Option<&Problem> {
        self.answered.as_ref()?.problem.as_ref()
    }

    fn status(&self) -> u16 {
        self.answered.as_ref().map_or(DROPPED, |answered| answered.status)
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    fn count(&self, duration: Duration) {
        let error_type = match &self.answered {
            Some(answered) => answered.problem.as_ref().map_or("", |problem| problem.kind().facts().code),
            None => "dropped",
        };
        let labels = RequestLabels {
            http_request_method: self.method,
            http_route: self.route().unwrap_or_default().to_owned(),
            http_response_status_code: self.status(),
            error_type,
        };
        self.metrics.request(&labels, duration);
        if self.client_sent_key {
            self.metrics.client_key();
        }
    }

    /// The level says who must act: nobody, whoever looks after Autoshares, or the operator of this gateway.
    fn write(&self, duration: Duration) {
        let request_id = &*self.request_id.0;
        let operation = self.answered.as_ref().and_then(|answered| answered.operation);
        let (method, route, status) = (self.method, self.route(), self.status());
        let duration_ms = duration.as_micros() as f64 / 1000.0;
        let facts = self.problem().map(|problem| problem.kind().facts());
        let problem = facts.map(|facts| facts.code);
        let detail = self.problem().map(Problem::detail);
        let cause = self.problem().and_then(Problem::cause);
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
                    detail,
                    cause,
                    client_sent_key,
                    $message
                )
            };
        }
        let feigned = self.problem().is_some_and(Problem::is_feigned);
        match facts.map(|facts| facts.blame) {
            // Whoever was asked has said so in a line of its own.
            Some(_) if feigned => line!(info, "request"),
            None if self.answered.is_none() => {
                line!(
                    warn,
                    "dropped before its answer, the gateway had to stop; Autoshares may have been asked"
                );
            }
            None | Some(Blame::Client | Blame::ReportedElsewhere) => line!(info, "request"),
            Some(Blame::Autoshares) => line!(warn, "request failed at Autoshares"),
            Some(Blame::Gateway) => line!(error, "request failed in the gateway"),
            Some(Blame::Operator) => line!(
                error,
                "Autoshares rejects the application key: check upstream.app_key_file or upstream.app_key"
            ),
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
