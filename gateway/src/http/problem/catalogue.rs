//! The list of kinds. A kind stands in the enum, and the compiler then asks for its status, code, title and who has to act.

use axum::http::StatusCode;
use strum::{EnumIter, IntoEnumIterator};

/// A reason why a request ended without an answer of Autoshares. The kinds are in the order of their status, in which the
/// OpenAPI document and `/docs` list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub enum Kind {
    /// The body lacks a documented member, or holds something else in its place.
    InvalidBody,
    /// The query does not hold exactly one usable `username`.
    InvalidQuery,
    /// A page called whose origin is neither the gateway's nor a listed one.
    CrossSite,
    /// The client brought no handle, or the handle of a flow that has not come as far as this step.
    FlowRequired,
    /// The gateway did not issue the token, issued it in another flow or too long ago, or has seen it used.
    TokenInvalid,
    /// No route has this path.
    NotFound,
    /// The path has a route for another method only.
    MethodNotAllowed,
    /// The client took too long to send the body.
    BodyTimeout,
    /// The body is over the limit.
    BodyTooLarge,
    /// `Content-Type` does not say JSON.
    UnsupportedMediaType,
    /// Autoshares' own validation refused a member of the request.
    ValidationFailed,
    /// The network of the client, or the flow, has used up its budget.
    TooManyRequests,
    /// The headers are over the limit.
    HeadersTooLarge,
    /// The gateway has a bug.
    Internal,
    /// The connection to Autoshares broke after the request was sent.
    UpstreamInterrupted,
    /// Autoshares failed, or refused the gateway's request as a whole.
    UpstreamFailed,
    /// Autoshares answered in a way that its documentation does not describe.
    UpstreamUnreadable,
    /// Autoshares does not take calls at the moment: no connection comes about, it turns calls away, or it rejects the application key. The
    /// reply is the same for everybody, and does not say which.
    Unavailable,
    /// The installation has used up the resets that it may ask for.
    ResetsPaused,
    /// The risk ledger has no room for one more guess, so the gateway forwards no code.
    CodesPaused,
    /// Redis does not reply, and the gateway must not forward a request that it cannot count.
    StoreAway,
    /// Autoshares did not answer in time.
    UpstreamTimeout,
}

/// Who has to act on a problem. It decides the level of the request's line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The author or the user of the client.
    Client,
    /// The authors of this gateway.
    Gateway,
    /// The operators of Autoshares.
    Autoshares,
    /// The operator learns of it from a line, a metric and an event of their own, not from one line for each request.
    ReportedElsewhere,
}

/// The properties that all problems of a kind share.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The HTTP status of the reply.
    pub status: StatusCode,
    /// The name of the kind for programs: in `ErrorsCode`, in the `type`, in logs and metrics.
    pub code: &'static str,
    /// One sentence for people about what happened.
    pub title: &'static str,
    /// Who has to act.
    pub blame: Blame,
}

impl Kind {
    /// All kinds, ordered by status.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The properties of this kind. This is the only place that assigns them.
    pub fn facts(self) -> Facts {
        use Blame::{Autoshares, Client, Gateway, ReportedElsewhere};
        let (status, code, title, blame) = match self {
            Kind::InvalidBody => (400, "invalid-body", "The body does not have the documented form", Client),
            Kind::InvalidQuery => {
                (400, "invalid-query", "The query does not have the documented form", Client)
            }
            Kind::CrossSite => {
                (403, "cross-site", "Pages of another origin may not call the gateway", Client)
            }
            Kind::FlowRequired => (403, "flow-required", "An earlier step is missing or has expired", Client),
            Kind::TokenInvalid => {
                (403, "token-invalid", "The token is unknown, expired or already used", Client)
            }
            Kind::NotFound => (404, "not-found", "There is nothing at this path", Client),
            Kind::MethodNotAllowed => (405, "method-not-allowed", "This path takes another method", Client),
            Kind::BodyTimeout => (408, "body-timeout", "The body came too slowly", Client),
            Kind::BodyTooLarge => (413, "body-too-large", "The body is too large", Client),
            Kind::UnsupportedMediaType => {
                (415, "unsupported-media-type", "The body is not sent as JSON", Client)
            }
            Kind::ValidationFailed => (422, "validation-failed", "Autoshares did not accept a value", Client),
            Kind::TooManyRequests => {
                (429, "too-many-requests", "There were too many requests", ReportedElsewhere)
            }
            Kind::HeadersTooLarge => (431, "headers-too-large", "The headers are too large", Client),
            Kind::Internal => (500, "internal", "The gateway failed", Gateway),
            Kind::UpstreamInterrupted => {
                (502, "upstream-interrupted", "Autoshares broke off before it answered", Autoshares)
            }
            Kind::UpstreamFailed => {
                (502, "upstream-failed", "Autoshares failed or refused the request", Autoshares)
            }
            Kind::UpstreamUnreadable => {
                (502, "upstream-unreadable", "Autoshares' answer cannot be read", Autoshares)
            }
            // The trader cannot help it, and a stranger should not learn that there is a key.
            Kind::Unavailable => {
                (503, "unavailable", "Autoshares takes no calls at the moment", ReportedElsewhere)
            }
            Kind::ResetsPaused => {
                (503, "resets-paused", "No more resets can be asked for at the moment", ReportedElsewhere)
            }
            Kind::CodesPaused => {
                (503, "codes-paused", "No confirmation codes are taken at the moment", ReportedElsewhere)
            }
            Kind::StoreAway => (
                503,
                "temporarily-unavailable",
                "Password reset is not available at the moment",
                ReportedElsewhere,
            ),
            Kind::UpstreamTimeout => {
                (504, "upstream-timeout", "Autoshares did not answer in time", Autoshares)
            }
        };
        let status = StatusCode::from_u16(status).expect("the statuses above are statuses");
        Facts { status, code, title, blame }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_status() {
        assert!(Kind::all().is_sorted_by_key(|kind| kind.facts().status));
    }

    #[test]
    fn no_two_kinds_have_one_code() {
        let codes: HashSet<_> = Kind::all().map(|kind| kind.facts().code).collect();
        assert_eq!(codes.len(), Kind::all().count());
    }
}
