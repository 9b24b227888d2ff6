//! The outermost rules, which hold for every request and reply: sizes, deadlines, security headers, panics.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::Response,
};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::http::{
    problem::{Kind, Problem},
    request_body,
    site::Site,
};

/// The largest head that the gateway accepts, in bytes: target, header names and values.
pub const MAX_HEAD: usize = 16 * 1024;
/// The largest body that the gateway accepts, in bytes.
pub const MAX_BODY: usize = 16 * 1024;
/// The largest body that the gateway reads to its end before it refuses it, in bytes.
const MAX_DRAINED: usize = 1024 * 1024;
/// The longest path that may be a route, in bytes.
const MAX_PATH: usize = 256;
/// How long a client may take to send a body.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];
const STRICT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// How many headers a reply has at most, usually.
const USUAL_HEADERS: usize = 12;

/// A reply with a body, and with room for the headers that it gets on its way out: a map that has to grow is moved, and each of its names is hashed
/// anew.
pub fn reply(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.reserve(USUAL_HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

/// The origins that decide which headers a reply gets.
#[derive(Clone, Debug)]
pub struct Origins {
    /// Whether browsers connect by https, so that HSTS makes sense.
    pub https: bool,
    /// The pages that may read replies.
    pub site: Arc<Site>,
}

/// Puts the security headers on a reply, and the CORS headers that let the page of a listed origin read it. A handler that serves a page
/// sets a content security policy of its own; every other reply gets the strictest one.
pub fn add_headers(
    Origins { https, site }: &Origins,
    listed_origin: Option<HeaderValue>,
    headers: &mut HeaderMap,
) {
    headers.reserve(SECURITY_HEADERS.len() + 3);
    // A page of the gateway's own sets some of them differently.
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(STRICT_POLICY);
    if *https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONE_YEAR);
    }
    site.allow(listed_origin, headers);
}

/// The request with its path in lower case. A path that is longer than any route stays as it is.
pub fn in_lower_case(mut request: Request) -> Request {
    let target = request.uri().path_and_query();
    let has_capitals =
        |path: &str| path.len() <= MAX_PATH && path.bytes().any(|byte| byte.is_ascii_uppercase());
    if let Some(target) = target.filter(|target| has_capitals(target.path())) {
        let path = target.path().to_ascii_lowercase();
        let lower = match target.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = lower.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Reads the whole body of a request before any handler decides, so that the connection is ready for the next request whatever the handler decides.
///
/// # Errors
///
/// A [`Problem`] when head or body is too large, or the body comes too slowly. A body over [`MAX_BODY`] is read too, up to a mebibyte, or its
/// sender would see a broken connection instead of the refusal.
pub async fn read(head: &Parts, body: Body) -> Result<Vec<u8>, Problem> {
    head_fits(head)?;
    let announced = head.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok()).unwrap_or(0);
    if announced > MAX_DRAINED {
        return Err(too_large().closing());
    }
    timeout(BODY_DEADLINE, whole(body)).await.unwrap_or_else(|_| {
        let detail = format!("send the whole body within {} s", BODY_DEADLINE.as_secs());
        Err(Problem::new(Kind::BodyTimeout, detail).closing())
    })
}

/// Refuses a head over [`MAX_HEAD`]. The listener reads twice as much, so that the refusal is a problem document and not hyper's bare 431.
fn head_fits(head: &Parts) -> Result<(), Problem> {
    let size = |headers: &HeaderMap| -> usize {
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
    };
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target + size(&head.headers) > MAX_HEAD {
        let detail = format!("send at most {MAX_HEAD} bytes of address and headers; cookies count");
        let problem = Problem::new(Kind::HeadersTooLarge, detail);
        let is_login = head.uri.query().is_some_and(request_body::holds_long_login);
        return Err(if is_login {
            problem.saying("This login is too long. Please check it.")
        } else {
            problem
        });
    }
    Ok(())
}

async fn whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let broken =
            |_| Problem::new(Kind::InvalidBody, "the body broke off or is not framed as HTTP wants it");
        let frame = frame.map_err(broken).map_err(Problem::closing)?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        read += data.len();
        if read <= MAX_BODY {
            bytes.extend_from_slice(data);
        } else if read > MAX_DRAINED {
            return Err(too_large().closing());
        }
    }
    if read > MAX_BODY { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("send at most {MAX_BODY} bytes"))
}

/// A panic as a problem: the client learns only that the gateway failed. The panic hook has written to the log where.
///
/// It is no `async fn`, which would keep room for `inner` twice.
pub fn unbroken<T>(inner: impl Future<Output = T>) -> impl Future<Output = Result<T, Problem>> {
    // What a request leaves behind when it panics in the middle is what it leaves when it is dropped there.
    AssertUnwindSafe(inner).catch_unwind().map(|outcome| outcome.map_err(|_| Problem::internal()))
}
