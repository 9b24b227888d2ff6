//! Decides which pages may call the gateway: those of its public origin and those of `allowed_origins`. A browser says in `Origin` and
//! `Sec-Fetch-Site` which page a call comes from, and the page cannot change that.
//!
//! Written by hand, for the CORS layer of tower-http replies to every `OPTIONS` on every path before the route table is consulted, and
//! refuses nothing.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use url::Url;

use crate::{
    config::{self, PublicOrigin},
    http::problem::{Kind, Problem},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The headers that a page of another origin may send when its browser does not say which it wants to send.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, Reset-Flow, Et-App-Key, Accept");
/// The longest origin that a refusal quotes.
const MAX_QUOTED: usize = 100;
/// The headers that a page of another origin may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Reset-Flow, X-Request-Id, Retry-After");
/// How long a browser may remember the reply to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may call.
#[derive(Debug)]
pub struct Site {
    public: String,
    allowed: Vec<String>,
    loopback: bool,
}

impl Site {
    /// Lets pages of the public origin and of the listed origins call, and with `loopback` those of every origin of this machine.
    pub fn new(public: &PublicOrigin, allowed: &[String], loopback: bool) -> Self {
        Self { public: public.text.clone(), allowed: allowed.to_vec(), loopback }
    }

    /// Checks that a call that changes something does not come from a page that may not make it. Clients that are no browsers send neither header,
    /// and may call.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that says which origin came and which are expected.
    pub fn check(&self, head: &Parts) -> Result<(), Problem> {
        if matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let cross_site = head.headers.get_all(SEC_FETCH_SITE).iter().any(|value| value == "cross-site");
        match Origin::of(&head.headers) {
            Origin::Several => Err(self.cross_site("the request has two `Origin` headers")),
            Origin::None if cross_site => {
                Err(self.cross_site("the browser says `Sec-Fetch-Site: cross-site`, and names no `Origin`"))
            }
            Origin::None => Ok(()),
            Origin::One(origin) if self.allowed_origin(origin).is_some() => Ok(()),
            Origin::One(origin) if *origin != self.public => Err(self.unlisted(origin)),
            Origin::One(_) if cross_site => Err(self.cross_site(
                "the browser says `Sec-Fetch-Site: cross-site`, although `Origin` is the public origin",
            )),
            Origin::One(_) => Ok(()),
        }
    }

    /// Checks that a form comes from a page of the gateway itself.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that says which origin came and which is expected.
    pub fn check_own(&self, head: &Parts) -> Result<(), Problem> {
        let is_own =
            |origin: &HeaderValue| *origin == self.public || self.loopback && is_of_this_machine(origin);
        let came = match Origin::of(&head.headers) {
            Origin::None => None,
            Origin::One(origin) if is_own(origin) => None,
            Origin::One(origin) => Some(format!("`Origin` is `{}`", quoted(origin))),
            Origin::Several => Some("the request has two `Origin` headers".to_owned()),
        };
        let mut sites = head.headers.get_all(SEC_FETCH_SITE).iter();
        let came = came.or_else(|| {
            let site = sites.find(|site| *site != "same-origin" && *site != "none")?;
            Some(format!("the browser says `Sec-Fetch-Site: {}`", quoted(site)))
        });
        match came {
            None => Ok(()),
            Some(came) => {
                let public = &self.public;
                Err(Problem::new(Kind::CrossSite, format!("{came}: forms are taken from `{public}` alone")))
            }
        }
    }

    /// Whether a request is a preflight of a page of another origin, and may go on.
    ///
    /// # Errors
    ///
    /// See [`check`](Self::check).
    pub fn preflight(&self, head: &Parts, method: &Method) -> Result<Option<Response>, Problem> {
        if head.method != Method::OPTIONS || !head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Ok(None);
        }
        match Origin::of(&head.headers) {
            Origin::One(origin) if self.allowed_origin(origin).is_some() => {
                Ok(Some(preflight(method, head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS))))
            }
            Origin::One(origin) if *origin != self.public => Err(self.unlisted(origin)),
            _ => Ok(None),
        }
    }

    /// Advises to list the origin only where the configuration takes it.
    fn unlisted(&self, origin: &HeaderValue) -> Problem {
        let Ok(text) = origin.to_str() else {
            return self.cross_site("`Origin` is none that a browser sends");
        };
        let quoted = quoted(origin);
        // A longer one is not looked at, for parsing it would cost more than all else about a refusal.
        match Some(text).filter(|text| text.len() <= MAX_QUOTED).map(config::allowed_origin) {
            Some(Err(why)) => {
                let public = &self.public;
                let detail = format!("`Origin` is `{quoted}`, {why}; open the page under `{public}`");
                Problem::new(Kind::CrossSite, detail)
            }
            _ => self.cross_site(&format!("`Origin` is `{quoted}`")),
        }
    }

    /// What came, what is expected, and what to do about it.
    fn cross_site(&self, came: &str) -> Problem {
        let listed = match &*self.allowed {
            [] => "lists none".to_owned(),
            allowed => format!("lists `{}`", allowed.join("`, `")),
        };
        let beside = if self.loopback { "; the origins of this machine need no listing" } else { "" };
        let public = &self.public;
        Problem::new(
            Kind::CrossSite,
            format!(
                "{came}: open the page under `{public}`, or have its origin added to `allowed_origins`, which {listed}{beside}"
            ),
        )
    }

    /// Adds the CORS headers that let a page of a listed origin read the reply.
    pub fn allow(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.allowed.is_empty() && !self.loopback {
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
        match Origin::of(headers) {
            Origin::One(origin) => self.allowed_origin(origin),
            _ => None,
        }
    }

    fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        let is_listed = self.allowed.iter().any(|allowed| is_same(allowed, origin.as_bytes()));
        (is_listed || self.loopback && is_of_this_machine(origin)).then(|| origin.clone())
    }
}

/// The `Origin` headers of a request.
enum Origin<'h> {
    None,
    One(&'h HeaderValue),
    /// A browser sends one.
    Several,
}

impl<'h> Origin<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Self::None,
            (Some(origin), None) => Self::One(origin),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let url = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    url.is_some_and(|url| config::is_loopback_origin(&url))
}

/// The value of a header, as far as a refusal quotes it.
fn quoted(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or("…");
    if text.len() > MAX_QUOTED { format!("{}…", &text[..MAX_QUOTED]) } else { text.to_owned() }
}

/// Whether a listed origin is the one of a request. Browsers send those of http and https in lower case, and those of an app as the app writes
/// them.
fn is_same(listed: &str, origin: &[u8]) -> bool {
    let is_of_app = !listed.starts_with("http://") && !listed.starts_with("https://");
    listed.as_bytes() == origin || is_of_app && listed.as_bytes().eq_ignore_ascii_case(origin)
}

/// The reply to a preflight. [`Site::allow`] adds the origin that it is for. The page may send whatever headers it likes, such as those of a
/// tracing library, for the gateway ignores all but its own.
fn preflight(method: &Method, asked: Option<&HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    if let Ok(method) = HeaderValue::from_str(method.as_str()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
    }
    let allowed = asked.filter(|asked| asked.to_str().is_ok()).cloned();
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.unwrap_or(ALLOWED_HEADERS));
    headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}
