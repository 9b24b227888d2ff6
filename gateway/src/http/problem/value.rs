//! A problem as a value: handlers return it, and `telemetry` renders it once it knows the request id.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};

use super::Kind;

/// The advice of [`Kind::Unavailable`]. Sending a code again is harmless: the gateway forwards it once.
pub(super) const UNAVAILABLE: &str = "wait as long as `Retry-After` says, then send the request again";

/// Why a request ended without an answer of Autoshares. Its cause is written to the log and is never part of the reply.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(super) kind: Kind,
    pub(super) detail: Cow<'static, str>,
    /// Sentences for the trader that say more than the one of the kind, such as those in which Autoshares says what is wrong with a value.
    pub(super) errors: Option<Vec<String>>,
    pub(super) may_have_been_applied: bool,
    /// The value of `Retry-After`, in seconds.
    pub(super) retry_after: Option<u32>,
    /// The value of `Allow`.
    pub(super) allow: Option<&'static str>,
    /// Whether the reply ends the connection.
    pub(super) closes: bool,
    /// The sealed handle of the flow that the client is in all the same, and how long a browser keeps it.
    pub(super) handle: Option<Box<(String, Duration)>>,
    pub(super) cause: Option<String>,
}

impl Problem {
    /// A problem of a kind. `detail` tells the author of the client what to do about it.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: None,
            may_have_been_applied: false,
            retry_after: None,
            allow: None,
            closes: false,
            handle: None,
            cause: None,
        }
    }

    /// Adds a sentence for the trader that says more than the one of the kind.
    #[must_use]
    pub fn saying(self, sentence: impl Into<String>) -> Self {
        Self { errors: Some(vec![sentence.into()]), ..self }
    }

    /// [`Kind::Internal`]
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "the gateway failed; quote `instance` when asking for help")
    }

    /// [`Kind::NotFound`]
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "check the path; `/docs` lists all of them")
    }

    /// [`Kind::MethodNotAllowed`]. `allow` lists the methods of the path, as the header `Allow` does.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("use {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// [`Kind::FlowRequired`]
    pub fn flow_required() -> Self {
        Self::new(
            Kind::FlowRequired,
            "ask for a reset first, and send its cookie or its `Reset-Flow` header back before the flow ends",
        )
    }

    /// [`Kind::TokenInvalid`]
    pub fn token_invalid() -> Self {
        Self::new(
            Kind::TokenInvalid,
            "send the token that redeeming the code returned in `Model`, in the same flow before it ends, and only once",
        )
    }

    /// [`Kind::TooManyRequests`]
    pub fn too_many(wait: Duration) -> Self {
        Self::later(Kind::TooManyRequests, "wait as long as `Retry-After` says", wait)
    }

    /// [`Kind::ResetsPaused`]
    pub fn resets_paused(wait: Duration) -> Self {
        Self::later(Kind::ResetsPaused, "nothing was sent; wait as long as `Retry-After` says", wait)
    }

    /// [`Kind::CodesPaused`]
    pub fn codes_paused(wait: Duration) -> Self {
        let detail = "the code was not tried and is not spent; wait as long as `Retry-After` says";
        Self::later(Kind::CodesPaused, detail, wait)
    }

    /// [`Kind::StoreAway`]
    pub fn store_away(wait: Duration) -> Self {
        let detail = "nothing was sent and nothing was counted; wait as long as `Retry-After` says";
        Self::later(Kind::StoreAway, detail, wait)
    }

    /// [`Kind::Unavailable`]. The same for every request, whether or not it was forwarded.
    pub fn unavailable(wait: Duration) -> Self {
        Self::later(Kind::Unavailable, UNAVAILABLE, wait)
    }

    /// [`Kind::Unavailable`], for there are too many calls under way.
    pub fn too_busy() -> Self {
        Self::unavailable(Duration::from_secs(1))
    }

    fn later(kind: Kind, detail: &'static str, wait: Duration) -> Self {
        Self { retry_after: Some(seconds(wait)), ..Self::new(kind, detail) }
    }

    /// Gives the client the handle of its flow along with the problem: the step may have been carried out, so the flow may go on.
    #[must_use]
    pub fn with_handle(self, handle: String, lifetime: Duration) -> Self {
        Self { handle: Some(Box::new((handle, lifetime))), ..self }
    }

    /// Tells the client that the step may have been carried out all the same, for the simulation.
    #[cfg(test)]
    pub fn that_may_have_been_applied(self) -> Self {
        Self { may_have_been_applied: true, ..self }
    }

    /// Adds the error behind the problem, for the log.
    #[must_use]
    pub fn because(self, cause: Option<String>) -> Self {
        Self { cause, ..self }
    }

    /// Makes the reply end the connection, which is of no use after a request that was not read to its end.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether Autoshares may have done what was asked although the request failed.
    pub fn may_have_been_applied(&self) -> bool {
        self.may_have_been_applied
    }

    /// How long the client should wait, in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// The advice to the author of the client. It may be logged: of what the client sent it repeats an origin at most.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The error behind the problem, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The sentences that existing screens show to traders.
    pub(super) fn sentences(&self) -> Vec<Cow<'_, str>> {
        const UNKNOWN: &str = "We cannot tell whether your request was carried out. Check your e-mail or try to sign in before you try again.";
        match &self.errors {
            Some(errors) => errors.iter().map(|error| Cow::Borrowed(error.as_str())).collect(),
            None if self.may_have_been_applied => vec![Cow::Borrowed(UNKNOWN)],
            None => vec![Cow::Borrowed(self.kind.facts().sentence)],
        }
    }
}

/// The value of `Retry-After` for a wait: whole seconds, at least one.
pub(super) fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// The response is empty and carries the problem up to `telemetry`, which knows the request id and renders the document.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.facts().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
