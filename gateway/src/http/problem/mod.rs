//! What is said when a request does not come to an answer: a closed list of kinds, each with status and title, written as a
//! problem document (RFC 9457) that a client written for Autoshares can read too. And the one table from what the SDK reports
//! to those kinds.

use std::{borrow::Cow, time::Duration};

use autoshares_sdk::{Error as SdkError, ErrorKind, RefusalShape};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
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
    /// A page of another origin called.
    CrossSite,
    /// No handle of a flow that has come this far.
    FlowRequired,
    /// The token is not ours, not of this flow, too old, or spent.
    TokenInvalid,
    /// No such path.
    NotFound,
    /// The path exists but takes another method.
    MethodNotAllowed,
    /// The body came too slowly.
    BodyTimeout,
    /// The body is over the limit.
    BodyTooLarge,
    /// `Content-Type` does not say JSON.
    UnsupportedMediaType,
    /// Autoshares did not let a member of the request pass.
    ValidationFailed,
    /// The address, or the flow, has used up its budget.
    TooManyRequests,
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
    /// Autoshares rejects the application key. Clients are told no more than that the gateway is not available.
    KeyRejected,
    /// More resets are asked for than the installation is set up for.
    ResetsPaused,
    /// The risk ledger is empty: no code is forwarded.
    CodesPaused,
    /// Autoshares did not answer in time.
    UpstreamTimeout,
}

/// Who has to act on a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whoever wrote or runs the client.
    Client,
    /// Whoever operates this gateway.
    Operator,
    /// Whoever writes this gateway.
    Gateway,
    /// Whoever looks after Autoshares.
    Autoshares,
    /// Whoever floods; the operator learns of it from metrics and audit trail, and not once a request.
    Flood,
}

/// What is fixed about a kind.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code: in `ErrorsCode`, in the `type`, in logs and metrics.
    pub code: &'static str,
    /// What happened, in one sentence.
    pub title: &'static str,
    /// Who has to act.
    pub blame: Blame,
}

impl Kind {
    /// All of them, by status.
    pub const ALL: [Kind; 22] = [
        Kind::InvalidBody,
        Kind::InvalidQuery,
        Kind::CrossSite,
        Kind::FlowRequired,
        Kind::TokenInvalid,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::BodyTimeout,
        Kind::BodyTooLarge,
        Kind::UnsupportedMediaType,
        Kind::ValidationFailed,
        Kind::TooManyRequests,
        Kind::HeadersTooLarge,
        Kind::Internal,
        Kind::UpstreamUnreachable,
        Kind::UpstreamInterrupted,
        Kind::UpstreamFailed,
        Kind::UpstreamUnreadable,
        Kind::KeyRejected,
        Kind::ResetsPaused,
        Kind::CodesPaused,
        Kind::UpstreamTimeout,
    ];

    /// The facts, in one place.
    pub fn facts(self) -> Facts {
        use Blame::{Autoshares, Client, Flood, Gateway, Operator};
        let (status, code, title, blame) = match self {
            Kind::InvalidBody => (400, "invalid-body", "The body is not what is documented", Client),
            Kind::InvalidQuery => (400, "invalid-query", "The query is not what is documented", Client),
            Kind::CrossSite => (403, "cross-site", "Pages of another origin may not call this", Client),
            Kind::FlowRequired => (403, "flow-required", "This step comes after another one", Client),
            Kind::TokenInvalid => (403, "token-invalid", "The token cannot be used, or not any more", Client),
            Kind::NotFound => (404, "not-found", "There is nothing at this path", Client),
            Kind::MethodNotAllowed => (405, "method-not-allowed", "This path takes another method", Client),
            Kind::BodyTimeout => (408, "body-timeout", "The body came too slowly", Client),
            Kind::BodyTooLarge => (413, "body-too-large", "The body is too large", Client),
            Kind::UnsupportedMediaType => {
                (415, "unsupported-media-type", "The body is not sent as JSON", Client)
            }
            Kind::ValidationFailed => (422, "validation-failed", "Autoshares did not accept a value", Client),
            Kind::TooManyRequests => (429, "too-many-requests", "There were too many requests", Flood),
            Kind::HeadersTooLarge => (431, "headers-too-large", "The headers are too large", Client),
            Kind::Internal => (500, "internal", "The gateway failed", Gateway),
            Kind::UpstreamUnreachable => {
                (502, "upstream-unreachable", "Autoshares cannot be reached", Autoshares)
            }
            Kind::UpstreamInterrupted => {
                (502, "upstream-interrupted", "Autoshares broke off before it answered", Autoshares)
            }
            Kind::UpstreamFailed => {
                (502, "upstream-failed", "Autoshares failed or refused the request", Autoshares)
            }
            Kind::UpstreamUnreadable => {
                (502, "upstream-unreadable", "Autoshares' answer cannot be read", Autoshares)
            }
            // Never the fault of the trader, and nothing that strangers should learn about.
            Kind::KeyRejected => {
                (503, "unavailable", "Password reset is not available at the moment", Operator)
            }
            Kind::ResetsPaused => {
                (503, "resets-paused", "No more resets can be asked for at the moment", Flood)
            }
            Kind::CodesPaused => (503, "codes-paused", "No codes are taken at the moment", Flood),
            Kind::UpstreamTimeout => {
                (504, "upstream-timeout", "Autoshares did not answer in time", Autoshares)
            }
        };
        let status = StatusCode::from_u16(status).expect("the statuses above are statuses");
        Facts { status, code, title, blame }
    }
}

/// A problem on its way to the client. Its cause goes into the log and nowhere else.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    /// What Autoshares wants changed.
    errors: Option<Vec<String>>,
    may_have_been_applied: bool,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
    closes: bool,
    feigned: bool,
    cause: Option<String>,
}

/// What is said when a request does not come to an answer (RFC 9457), with members that a client written for Autoshares reads.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument<'a> {
    /// Identifies the kind; resolved against the gateway's address it leads to its description.
    r#type: String,
    /// What happened, in one sentence.
    title: &'a str,
    /// The HTTP status, again.
    #[schemars(with = "i32")]
    status: u16,
    /// What to do about it, for whoever wrote the client.
    detail: &'a str,
    /// The request id; quote it when asking for help.
    instance: &'a str,
    /// Present and true when Autoshares may have done what was asked although this request failed. Do not repeat it unasked.
    #[serde(rename = "mayHaveBeenApplied", skip_serializing_if = "is_false")]
    #[schemars(default)]
    may_have_been_applied: bool,
    /// Sentences to show: what Autoshares wants changed, or that it did not work this time, or the `detail`.
    #[serde(rename = "Errors")]
    errors: Cow<'a, [Cow<'a, str>]>,
    /// The code of the kind, once.
    #[serde(rename = "ErrorsCode")]
    #[schemars(with = "Vec<String>")]
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
            closes: false,
            feigned: false,
            cause: None,
        }
    }

    /// A fault of the gateway's own.
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "the gateway failed; quote `instance` when asking for help")
    }

    /// No such path.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "check the path; `/docs` lists all of them")
    }

    /// Another method than those the path takes.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("use {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// A page of another origin called.
    pub fn cross_site() -> Self {
        Self::new(
            Kind::CrossSite,
            "open the page under the gateway's public origin, or have its origin added to `allowed_origins`",
        )
    }

    /// No handle of a flow that has come this far.
    pub fn flow_required() -> Self {
        Self::new(
            Kind::FlowRequired,
            "ask for a reset first, and send its cookie or its `Reset-Flow` header back within 10 minutes of the last answer",
        )
    }

    /// The token cannot be used.
    pub fn token_invalid() -> Self {
        Self::new(
            Kind::TokenInvalid,
            "send the `Model` that the code was traded for, in the same flow, within 10 minutes, once",
        )
    }

    /// The address, or the flow, has used up its budget.
    pub fn too_many(wait: Duration) -> Self {
        Self::later(Kind::TooManyRequests, "wait as long as `Retry-After` says", wait)
    }

    /// The installation has used up its resets.
    pub fn resets_paused(wait: Duration) -> Self {
        Self::later(Kind::ResetsPaused, "nothing was sent; wait as long as `Retry-After` says", wait)
    }

    /// The risk ledger is empty.
    pub fn codes_paused(wait: Duration) -> Self {
        let detail = "the code was not tried and is not spent; wait as long as `Retry-After` says";
        Self::later(Kind::CodesPaused, detail, wait)
    }

    fn later(kind: Kind, detail: &'static str, wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        Self { retry_after: Some(seconds), ..Self::new(kind, detail) }
    }

    /// The same where nobody was asked: it must look alike to the client, and raise no alarm inside.
    #[must_use]
    pub fn feigned(self) -> Self {
        Self { feigned: true, cause: None, ..self }
    }

    /// Whether nobody was asked.
    pub fn is_feigned(&self) -> bool {
        self.feigned
    }

    /// The same, said on a connection that cannot be used any more, for not all of the request was read.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do about it. Never repeats a value that was sent.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Why, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What existing screens show to traders.
    fn sentences(&self) -> Vec<Cow<'_, str>> {
        match &self.errors {
            Some(errors) => errors.iter().map(|error| Cow::Borrowed(error.as_str())).collect(),
            None if matches!(self.kind, Kind::FlowRequired | Kind::TokenInvalid) => {
                vec![Cow::Borrowed("This password reset has ended or expired. Please start again.")]
            }
            None if self.kind == Kind::TooManyRequests => {
                vec![Cow::Borrowed("Too many attempts. Please try again later.")]
            }
            None if self.kind.facts().blame == Blame::Client => vec![Cow::Borrowed(&*self.detail)],
            None if self.may_have_been_applied => vec![Cow::Borrowed(
                "We cannot tell whether your request was carried out. Check your e-mail or try to sign in before you try again.",
            )],
            None => {
                vec![Cow::Borrowed("Password reset is not available at the moment. Please try again later.")]
            }
        }
    }

    /// The problem as a response. `request_id` becomes its `instance`.
    pub fn render(&self, request_id: &str) -> Response {
        let Facts { status, code, title, .. } = self.kind.facts();
        let document = ProblemDocument {
            r#type: format!("/docs#{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance: request_id,
            may_have_been_applied: self.may_have_been_applied,
            errors: Cow::Owned(self.sentences()),
            errors_code: [code],
            is_succeed: false,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
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
        let mut response = self.kind.facts().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The one table from what the SDK reports to what the client is told. A refusal in an envelope is an answer and never comes here.
impl From<SdkError> for Problem {
    fn from(error: SdkError) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotSent => Kind::UpstreamUnreachable,
            ErrorKind::MaybeSent if error.is_timeout() => Kind::UpstreamTimeout,
            ErrorKind::MaybeSent => Kind::UpstreamInterrupted,
            ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Validation => {
                Kind::ValidationFailed
            }
            ErrorKind::Refused(_) => Kind::UpstreamFailed,
            ErrorKind::KeyRejected => Kind::KeyRejected,
            _ => Kind::UpstreamUnreadable,
        };
        let may_have_been_applied = error.may_have_been_applied();
        let detail = match kind {
            Kind::UpstreamUnreachable => "nothing was sent; try again later",
            Kind::ValidationFailed => "`Errors` says what Autoshares wants changed",
            // Not even that there is a key.
            Kind::KeyRejected => "try again later",
            _ if may_have_been_applied => {
                "it is not known whether the request was carried out; do not repeat it unasked"
            }
            _ => "nothing was changed; try again later",
        };
        let errors = match error.kind() {
            ErrorKind::Refused(refusal) if kind == Kind::ValidationFailed => {
                Some(refusal.messages().to_vec())
            }
            _ => None,
        };
        Self {
            errors,
            retry_after: matches!(kind, Kind::UpstreamUnreachable | Kind::KeyRejected).then_some(RETRY_AFTER),
            may_have_been_applied,
            cause: Some(chain(&error)),
            ..Self::new(kind, detail)
        }
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
