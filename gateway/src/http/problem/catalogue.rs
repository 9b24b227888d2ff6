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
    /// The login is empty, too long, or holds a character that no login has.
    LoginMalformed,
    /// The answer to the secret question is too long.
    AnswerTooLong,
    /// The confirmation code does not have the digits of one.
    CodeMalformed,
    /// The new password is too short.
    PasswordTooShort,
    /// The new password is too long.
    PasswordTooLong,
    /// The new password is one of the first that somebody would guess.
    PasswordEasyToGuess,
    /// The new password and its confirmation are not the same.
    PasswordsDiffer,
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
    /// One sentence for the author of the client about what happened.
    pub title: &'static str,
    /// One plain sentence to show to the trader: what to mend, or that it is not the trader's doing.
    pub sentence: &'static str,
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
        const PAGE: &str = "Something is wrong with this page, not with what you entered. Please tell the support of your broker.";
        const LONG: &str = "What you entered is too long. Please check it.";
        const ENDED: &str = "This password reset has ended or expired. Please start again.";
        const LATER: &str = "Password reset is not available at the moment. Please try again later.";
        let (status, code, blame, title, sentence) = match self {
            Kind::InvalidBody => {
                (400, "invalid-body", Client, "The body does not have the documented form", PAGE)
            }
            Kind::InvalidQuery => {
                (400, "invalid-query", Client, "The query does not have the documented form", PAGE)
            }
            Kind::LoginMalformed => {
                (400, "login-malformed", Client, "No trader has such a login", "Please check your login.")
            }
            Kind::AnswerTooLong => (
                400,
                "answer-too-long",
                Client,
                "The answer to the secret question is too long",
                "This answer is too long. Please check it.",
            ),
            Kind::CodeMalformed => (
                400,
                "code-malformed",
                Client,
                "The confirmation code does not have the digits of one",
                "Please enter the digits of the code from the e-mail.",
            ),
            Kind::PasswordTooShort => (
                400,
                "password-too-short",
                Client,
                "The new password is too short",
                "Please choose a longer password.",
            ),
            Kind::PasswordTooLong => (
                400,
                "password-too-long",
                Client,
                "The new password is too long",
                "Please choose a shorter password.",
            ),
            Kind::PasswordEasyToGuess => (
                400,
                "password-easy-to-guess",
                Client,
                "The new password is easy to guess",
                "This password is easy to guess. Please choose a few words that do not belong together.",
            ),
            Kind::PasswordsDiffer => (
                400,
                "passwords-differ",
                Client,
                "The two new passwords are not the same",
                "The two passwords are not the same. Please enter them again.",
            ),
            Kind::CrossSite => {
                (403, "cross-site", Client, "Pages of another origin may not call the gateway", PAGE)
            }
            Kind::FlowRequired => {
                (403, "flow-required", Client, "An earlier step is missing or has expired", ENDED)
            }
            Kind::TokenInvalid => {
                (403, "token-invalid", Client, "The token is unknown, expired or already used", ENDED)
            }
            Kind::NotFound => (404, "not-found", Client, "There is nothing at this path", PAGE),
            Kind::MethodNotAllowed => {
                (405, "method-not-allowed", Client, "This path takes another method", PAGE)
            }
            Kind::BodyTimeout => (
                408,
                "body-timeout",
                Client,
                "The body came too slowly",
                "Your connection is too slow at the moment. Please try again.",
            ),
            Kind::BodyTooLarge => (413, "body-too-large", Client, "The body is too large", LONG),
            Kind::UnsupportedMediaType => {
                (415, "unsupported-media-type", Client, "The body is not sent as JSON", PAGE)
            }
            Kind::ValidationFailed => (
                422,
                "validation-failed",
                Client,
                "Autoshares did not accept a value",
                "Something that you entered was not accepted. Please check it.",
            ),
            Kind::TooManyRequests => (
                429,
                "too-many-requests",
                ReportedElsewhere,
                "There were too many requests",
                "Too many attempts. Please try again later.",
            ),
            Kind::HeadersTooLarge => {
                (431, "headers-too-large", Client, "Address and headers are too large", PAGE)
            }
            Kind::Internal => (500, "internal", Gateway, "The gateway failed", LATER),
            Kind::UpstreamInterrupted => {
                (502, "upstream-interrupted", Autoshares, "Autoshares broke off before it answered", LATER)
            }
            Kind::UpstreamFailed => {
                (502, "upstream-failed", Autoshares, "Autoshares failed or refused the request", LATER)
            }
            Kind::UpstreamUnreadable => {
                (502, "upstream-unreadable", Autoshares, "Autoshares' answer cannot be read", LATER)
            }
            // The trader cannot help it, and a stranger should not learn that there is a key.
            Kind::Unavailable => {
                (503, "unavailable", ReportedElsewhere, "Autoshares takes no calls at the moment", LATER)
            }
            Kind::ResetsPaused => (
                503,
                "resets-paused",
                ReportedElsewhere,
                "No more resets can be asked for at the moment",
                LATER,
            ),
            Kind::CodesPaused => (
                503,
                "codes-paused",
                ReportedElsewhere,
                "No confirmation codes are taken at the moment",
                LATER,
            ),
            Kind::StoreAway => (
                503,
                "temporarily-unavailable",
                ReportedElsewhere,
                "Password reset is not available at the moment",
                LATER,
            ),
            Kind::UpstreamTimeout => {
                (504, "upstream-timeout", Autoshares, "Autoshares did not answer in time", LATER)
            }
        };
        let status = StatusCode::from_u16(status).expect("the statuses above are statuses");
        Facts { status, code, title, sentence, blame }
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
    fn a_sentence_for_traders_is_plain_and_whole() {
        for sentence in Kind::all().map(|kind| kind.facts().sentence) {
            let programmers = ["`", "JSON", "HTTP", "body", "header", "request"];
            assert!(!programmers.iter().any(|word| sentence.contains(word)), "{sentence}");
            assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{sentence}");
        }
    }

    #[test]
    fn no_two_kinds_have_one_code() {
        let codes: HashSet<_> = Kind::all().map(|kind| kind.facts().code).collect();
        assert_eq!(codes.len(), Kind::all().count());
    }
}
