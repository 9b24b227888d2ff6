//! The one table from the errors of the SDK to the kinds of problem.

use std::time::Duration;

use autoshares_sdk::{Error as SdkError, ErrorKind, RefusalShape};

use super::{
    Kind, Problem,
    value::{UNAVAILABLE, seconds},
};
use crate::error_chain::chain;

/// Seconds that a client should wait while the gateway cannot get through to Autoshares. Nobody knows how long that lasts; a client
/// that asks twice a minute notices soon and burdens nobody.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest time of Autoshares' that is passed on: a client that is told to come back tomorrow never comes back.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long Autoshares wants no calls, if it said so in `Retry-After`: an hour at most. `None` for a time that has passed.
pub fn wait_from_retry_after(error: &SdkError) -> Option<Duration> {
    error.retry_after().filter(|wait| !wait.is_zero()).map(|wait| wait.min(LONGEST_RETRY_AFTER))
}

/// A refusal in an envelope is an answer of Autoshares; the handlers pass it on, and it never comes here.
impl From<SdkError> for Problem {
    fn from(error: SdkError) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotSent | ErrorKind::TurnedAway | ErrorKind::KeyRejected => Kind::Unavailable,
            ErrorKind::Failed => Kind::UpstreamFailed,
            ErrorKind::MaybeSent if error.is_timeout() => Kind::UpstreamTimeout,
            ErrorKind::MaybeSent => Kind::UpstreamInterrupted,
            ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Validation => {
                Kind::ValidationFailed
            }
            ErrorKind::Refused(_) => Kind::UpstreamFailed,
            _ => Kind::UpstreamUnreadable,
        };
        let may_have_been_applied = error.may_have_been_applied();
        let detail = match kind {
            Kind::ValidationFailed => "`Errors` says what Autoshares wants changed",
            // The client must not learn that there is a key.
            Kind::Unavailable => UNAVAILABLE,
            _ if may_have_been_applied => {
                "it is not known whether the request was carried out; do not repeat it without asking the trader"
            }
            _ => "nothing was changed; try again later",
        };
        let errors = match error.kind() {
            ErrorKind::Refused(refusal) if kind == Kind::ValidationFailed => {
                Some(refusal.messages().to_vec())
            }
            _ => None,
        };
        // Clients repeat what carries `Retry-After`, and a call that may have been applied must not be repeated.
        let named = wait_from_retry_after(&error).filter(|_| !may_have_been_applied);
        let wait = named.or((kind == Kind::Unavailable).then_some(RETRY_AFTER));
        Self {
            errors,
            retry_after: wait.map(seconds),
            may_have_been_applied,
            cause: Some(chain(&error)),
            ..Self::new(kind, detail)
        }
    }
}
