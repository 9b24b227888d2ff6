//! The line in the log and the metrics of each request.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::Response,
};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::metrics::{ActiveRequest, Metrics, RequestLabels};
use crate::{
    clock::Clock,
    config::{ForwardedHeader, Proxies},
    http::{
        peer,
        problem::{Blame, Problem},
        request_id::{REQUEST_ID, RequestId},
    },
};

/// The status that logs and metrics show for a request that was dropped without a response; nginx made the number common.
const DROPPED: u16 = 499;

/// Rides on a response: the id of the operation that a route stands for.
#[derive(Clone, Copy, Debug)]
pub struct OperationName(pub &'static str);

/// What a line needs: where requests are counted, the time, and whose request ids are taken over.
pub type Observing = (Arc<Metrics>, Clock, Arc<Proxies>);

/// The id that a trusted proxy has given to a request.
fn given_id(request: &Request, proxies: &Proxies) -> Option<RequestId> {
    // Such proxies do not read HTTP, so every header is the client's.
    if proxies.header == ForwardedHeader::ProxyProtocol {
        return None;
    }
    let peer = peer::of(request.extensions())?;
    proxies.trust(peer.ip()).then(|| RequestId::of_proxy(request.headers())).flatten()
}

/// Everything that logs and metrics report about a request. It holds no body, query or login, no path as the client typed it, and of the
/// headers at most the `Origin` of a page that may not call.
///
/// It reports when it is dropped. A request that is cut short when the gateway stops is dropped in the middle, and may have reached
/// Autoshares, so it must leave a line too.
#[derive(Debug)]
pub struct RequestLine {
    _active: ActiveRequest,
    metrics: Arc<Metrics>,
    started: Instant,
    clock: Clock,
    request_id: RequestId,
    method: &'static str,
    route: Option<MatchedPath>,
    client_sent_key: bool,
    answered: Option<Answered>,
}

/// Present once the request has a response.
#[derive(Debug)]
struct Answered {
    operation: Option<&'static str>,
    status: u16,
    problem: Option<Problem>,
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let duration = self.clock.since(self.started);
        self.count(duration);
        self.write(duration);
    }
}

impl RequestLine {
    /// Begins with a request: draws its id, or takes over that of a trusted proxy.
    pub fn begin((metrics, clock, proxies): &Observing, request: &mut Request) -> Self {
        let request_id = given_id(request, proxies).unwrap_or_else(RequestId::random);
        request.extensions_mut().insert(request_id.clone());
        let method = standard(request.method());
        Self {
            _active: metrics.request_began(method),
            metrics: Arc::clone(metrics),
            started: clock.now(),
            clock: clock.clone(),
            request_id,
            method,
            route: request.extensions().get::<MatchedPath>().cloned(),
            client_sent_key: carries_key(request.headers()),
            answered: None,
        }
    }

    /// Renders a problem that rides on the reply, puts the request id on it, and reports the request.
    pub fn answer(mut self, mut reply: Response) -> Response {
        let operation = reply.extensions_mut().remove::<OperationName>();
        let operation = operation.map(|OperationName(operation)| operation);
        let problem = reply.extensions_mut().remove::<Problem>();
        match &problem {
            // A screen of the page.
            Some(problem) if reply.headers().contains_key(header::CONTENT_TYPE) => {
                problem.add_headers(reply.headers_mut());
            }
            Some(problem) => reply = problem.render(&self.request_id.0),
            None => {}
        }
        if let Ok(value) = HeaderValue::from_str(&self.request_id.0) {
            reply.headers_mut().insert(REQUEST_ID, value);
        }
        self.answered = Some(Answered { operation, status: reply.status().as_u16(), problem });
        reply
    }

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
        if self.answered.is_none() {
            self.metrics.request_cut();
        }
        if self.client_sent_key {
            self.metrics.client_key();
        }
    }

    /// Writes the line at a level that says who must act: nobody, the operators of Autoshares, or the operator of this gateway.
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
        match facts.map(|facts| facts.blame) {
            None if self.answered.is_none() => {
                line!(
                    warn,
                    "dropped before its answer, the gateway had to stop; Autoshares may have been asked"
                );
            }
            None | Some(Blame::Client | Blame::ReportedElsewhere) => line!(info, "request"),
            Some(Blame::Autoshares) => line!(warn, "request failed at Autoshares"),
            Some(Blame::Gateway) => line!(error, "request failed in the gateway"),
        }
    }
}

/// Whether the client sent an application key of its own, in any spelling that some server might accept.
fn carries_key(headers: &HeaderMap) -> bool {
    const KEY: &[u8] = b"et-app-key";
    let is_key = |name: &HeaderName| {
        let bytes = name.as_str().as_bytes();
        bytes.len() == KEY.len()
            && bytes.iter().zip(KEY).all(|(one, other)| one == other || (*one, *other) == (b'_', b'-'))
    };
    headers.keys().any(is_key)
}

/// The method as a label. All methods that HTTP does not name share one, or clients could make the metrics grow.
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
