//! Decides which pages may call the gateway: those of its public origin and those of `allowed_origins`. A browser says in `Origin` and
//! `Sec-Fetch-Site` which page a call comes from, and the page cannot change that.
//!
//! Written by hand, for the CORS layer of tower-http replies to every `OPTIONS` on every path before the route table is consulted, and
//! refuses nothing.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use crate::config::PublicOrigin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The headers that a page of another origin may send. `Et-App-Key` is among them because old pages send it, and the browser would
/// otherwise block their call.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Reset-Flow, Et-App-Key, Accept");
/// The headers that a page of another origin may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Reset-Flow, X-Request-Id, Retry-After");
/// How long a browser may remember the reply to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may call.
#[derive(Debug)]
pub struct Site {
    public: String,
    allowed: Vec<String>,
}

impl Site {
    /// Lets pages of the public origin and of the listed origins call.
    pub fn new(public: &PublicOrigin, allowed: &[String]) -> Self {
        Self { public: public.text.clone(), allowed: allowed.to_vec() }
    }

    /// Whether a call that changes something comes from a page that may not make it. Clients that are no browsers send neither header, and
    /// may call.
    pub fn refuses(&self, head: &Parts) -> bool {
        if matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return false;
        }
        let cross_site = head.headers.get_all(SEC_FETCH_SITE).iter().any(|value| value == "cross-site");
        let mut origins = head.headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => cross_site,
            (Some(origin), None) if self.allowed_origin(origin).is_some() => false,
            (Some(origin), None) => cross_site || *origin != self.public,
            (Some(_), Some(_)) => true,
        }
    }

    /// Whether a request is a preflight of a page of a listed origin.
    pub fn is_preflight(&self, head: &Parts) -> bool {
        head.method == Method::OPTIONS
            && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.listed_origin(&head.headers).is_some()
    }

    /// Adds the CORS headers that let a page of a listed origin read the reply.
    pub fn allow(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.allowed.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }

    /// The origin of a request, if it names exactly one and that one is listed.
    pub fn listed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) => self.allowed_origin(origin),
            _ => None,
        }
    }

    fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        self.allowed.iter().any(|allowed| *origin == *allowed).then(|| origin.clone())
    }
}

/// The reply to a preflight. [`Site::allow`] adds the origin that it is for.
pub fn preflight(method: &Method) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if let Ok(method) = HeaderValue::from_str(method.as_str()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}
