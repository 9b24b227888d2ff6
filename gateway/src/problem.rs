//! What is said when a request does not come to an answer: a closed list of kinds, each with status and title, written as a
//! problem document (RFC 9457) that a client written for Autoshares can read too. And the one table from what the SDK reports
//! to those kinds.

use std::{borrow::Cow, fmt};

use autoshares_sdk::{Error as SdkError, ErrorKind, RefusalShape};
use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// How long a client should wait when Autoshares cannot be asked, in seconds.
const RETRY_AFTER: u32 = 30;

/// The kinds of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body is not what is documented.
    InvalidBody,
    /// The query is not what is documented.
    InvalidQuery,
    /// No such path.
    NotFound,
    /// Another method.
    MethodNotAllowed,
    /// The body came too slowly.
    BodyTimeout,
    /// The body is over the limit.
    BodyTooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// Autoshares did not let a member of the request pass.
    ValidationFailed,
    /// The headers are over the limit.
    HeadersTooLarge,
    /// A fault of the gateway's own.
    Internal,
    /// Autoshares could not be reached; nothing was sent.
    UpstreamUnreachable,
    /// The connection to Autoshares broke after the request was sent.
    UpstreamInterrupted,
    /// Autoshares failed, or refused the gateway's request as a whole.
    UpstreamFailed,
    /// Autoshares' answer is none of the documented ones.
    UpstreamUnreadable,
    /// The gateway cannot serve for a reason that only its operator can mend.
    Unavailable,
    /// Autoshares did not answer in time.
    UpstreamTimeout,
}

impl Kind {
    /// All of them, by status.
    pub const ALL: [Kind; 16] = [
        Kind::InvalidBody,
        Kind::InvalidQuery,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::BodyTimeout,
        Kind::BodyTooLarge,
        Kind::UnsupportedMediaType,
        Kind::ValidationFailed,
        Kind::HeadersTooLarge,
        Kind::Internal,
        Kind::UpstreamUnreachable,
        Kind::UpstreamInterrupted,
        Kind::UpstreamFailed,
        Kind::UpstreamUnreadable,
        Kind::Unavailable,
        Kind::UpstreamTimeout,
    ];

    /// Status, code and title.
    pub fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::InvalidBody => (StatusCode::BAD_REQUEST, "invalid-body", "The body cannot be read"),
            Kind::InvalidQuery => (StatusCode::BAD_REQUEST, "invalid-query", "The query cannot be read"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing at this path"),
            Kind::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path takes another method")
            }
            Kind::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body came too slowly"),
            Kind::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Kind::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not sent as JSON")
            }
            Kind::ValidationFailed => {
                (StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", "Autoshares did not accept a value")
            }
            Kind::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "The headers are too large",
            ),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The gateway failed"),
            Kind::UpstreamUnreachable => {
                (StatusCode::BAD_GATEWAY, "upstream-unreachable", "Autoshares cannot be reached")
            }
            Kind::UpstreamInterrupted => {
                (StatusCode::BAD_GATEWAY, "upstream-interrupted", "Autoshares broke off before it answered")
            }
            Kind::UpstreamFailed => (StatusCode::BAD_GATEWAY, "upstream-failed", "Autoshares failed"),
            Kind::UpstreamUnreadable => {
                (StatusCode::BAD_GATEWAY, "upstream-unreadable", "Autoshares' answer cannot be read")
            }
            Kind::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Password reset is not available at the moment",
            ),
            Kind::UpstreamTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "Autoshares did not answer in time")
            }
        }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The code: in `ErrorsCode`, in the `type`, in logs and metrics.
    pub fn code(self) -> &'static str {
        self.facts().1
    }

    /// The title, which says in one sentence what happened.
    pub fn title(self) -> &'static str {
        self.facts().2
    }
}

/// A problem on its way to the client. Its cause goes into the log and nowhere else.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    /// What Autoshares said, when that is for the client.
    errors: Option<Vec<String>>,
    may_have_been_applied: bool,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
    key_rejected: bool,
    cause: Option<String>,
}

/// The document that a problem is written as.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document<'a> {
    /// Identifies the kind; resolved against the gateway's address it leads to its description.
    r#type: String,
    /// The kind in one sentence.
    title: &'a str,
    /// The HTTP status, again.
    status: u16,
    /// What to do about it.
    detail: &'a str,
    /// The request id; quote it when asking for help.
    instance: &'a str,
    /// Present and true when Autoshares may have done what was asked although this request failed. Do not repeat it unasked.
    #[serde(rename = "mayHaveBeenApplied", skip_serializing_if = "is_false")]
    #[schemars(default)]
    may_have_been_applied: bool,
    /// The same as `detail`, or what Autoshares said, for clients written for Autoshares.
    #[serde(rename = "Errors")]
    errors: Cow<'a, [Cow<'a, str>]>,
    /// The code of the kind.
    #[serde(rename = "ErrorsCode")]
    errors_code: [&'a str; 1],
    /// Always false.
    #[serde(rename = "IsSucceed")]
    is_succeed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Problem {
    /// A problem with what to do about it.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: None,
            may_have_been_applied: false,
            retry_after: None,
            allow: None,
            key_rejected: false,
            cause: None,
        }
    }

    /// No such path.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "check the path; `/docs` lists all of them")
    }

    /// Another method than the one the path takes.
    pub fn method_not_allowed(allow: &Method) -> Self {
        let (detail, allow) = match *allow {
            Method::GET => ("use GET", "GET"),
            Method::PUT => ("use PUT", "PUT"),
            _ => ("use POST", "POST"),
        };
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Why, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Whether it came of a rejected application key, which the operator must mend.
    pub fn key_rejected(&self) -> bool {
        self.key_rejected
    }

    /// The problem as a response. `request_id` becomes its `instance`.
    pub fn render(&self, request_id: &str) -> Response {
        let errors = match &self.errors {
            Some(errors) => errors.iter().map(|error| Cow::Borrowed(error.as_str())).collect(),
            None => vec![Cow::Borrowed(&*self.detail)],
        };
        let document = Document {
            r#type: format!("/docs#{}", self.kind.code()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            instance: request_id,
            may_have_been_applied: self.may_have_been_applied,
            errors: Cow::Owned(errors),
            errors_code: [self.kind.code()],
            is_succeed: false,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.kind.status(), Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Rides on an otherwise empty response to `telemetry`, which knows the request id and renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The one table from what the SDK reports to what the client is told. A refusal in an envelope is an answer and never comes here.
impl From<SdkError> for Problem {
    fn from(error: SdkError) -> Self {
        let mut errors = None;
        let mut retry_after = None;
        let (kind, detail) = match error.kind() {
            ErrorKind::NotSent => {
                retry_after = Some(RETRY_AFTER);
                (Kind::UpstreamUnreachable, "nothing was sent; try again later")
            }
            ErrorKind::MaybeSent if error.is_timeout() => (Kind::UpstreamTimeout, undecided(&error)),
            ErrorKind::MaybeSent => (Kind::UpstreamInterrupted, undecided(&error)),
            ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Validation => {
                errors = Some(refusal.messages().to_vec());
                (Kind::ValidationFailed, "`Errors` says what Autoshares wants changed")
            }
            ErrorKind::Refused(_) => (Kind::UpstreamFailed, undecided(&error)),
            // Never the fault of the trader, and nothing that strangers should learn about.
            ErrorKind::KeyRejected => {
                retry_after = Some(RETRY_AFTER);
                (Kind::Unavailable, "try again later")
            }
            _ => (Kind::UpstreamUnreadable, undecided(&error)),
        };
        Self {
            errors,
            retry_after,
            may_have_been_applied: error.may_have_been_applied(),
            key_rejected: matches!(error.kind(), ErrorKind::KeyRejected),
            cause: Some(Chain(&error).to_string()),
            ..Self::new(kind, detail)
        }
    }
}

fn undecided(error: &SdkError) -> &'static str {
    if error.may_have_been_applied() {
        "it is not known whether the request was carried out; do not repeat it unasked"
    } else {
        "the request was not carried out; try again later"
    }
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
