//! Which pages may call: those of the public origin, and of the origins that are listed. Browsers say where a call comes from; a page cannot
//! make them lie.
//!
//! Not tower-http's layer: that one answers every `OPTIONS` on every path before the route table has a say, and refuses nothing.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use crate::config::PublicOrigin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a page may send; `Et-App-Key` because old pages do, and their call should go through although nobody reads it.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Reset-Flow, Et-App-Key, Accept");
/// What a page may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Reset-Flow, X-Request-Id, Retry-After");
/// How long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// See the module.
#[derive(Debug)]
pub struct Site {
    public: String,
    allowed: Vec<String>,
}

impl Site {
    /// Pages of these origins may call.
    pub fn new(public: &PublicOrigin, allowed: &[String]) -> Self {
        Self { public: public.text.clone(), allowed: allowed.to_vec() }
    }

    /// Whether a call that changes something comes from a page that may not make it. What is no browser says nothing, and is let through.
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

    /// Whether a browser asks if a page that may call may do so.
    pub fn is_preflight(&self, head: &Parts) -> bool {
        head.method == Method::OPTIONS
            && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.listed_origin(&head.headers).is_some()
    }

    /// Lets a page of a listed origin read the answer, and nobody else's.
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

    /// The listed origin that a request names, once.
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

/// What a preflight is answered; [`Site::allow`] adds to whom.
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
