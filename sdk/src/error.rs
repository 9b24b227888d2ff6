//! The error of a failed call. It says how far the call got, so that the caller knows whether it is safe to repeat.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{
    operation::{Operation, Retry},
    refusal::{Refusal, RefusalShape},
};

/// A failed call: which operation, how far it got, and how often it was tried.
///
/// `Display` prints one line; the causes are in the source chain. Neither contains a secret, a login or text from Autoshares, so
/// both may be logged.
#[derive(Debug)]
pub struct Error {
    pub(crate) operation: Operation,
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) timeout: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) source: Option<Box<dyn StdError + Send + Sync>>,
}

/// How far a failed call got.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was not sent: the application key could not be had, no connection to Autoshares came about, or the connection broke
    /// before the request was written to its end. The call can be repeated safely.
    NotSent,
    /// The request was sent, but no complete reply arrived. Autoshares may or may not have carried it out.
    MaybeSent,
    /// Autoshares replied that it refuses the request, for example because of a wrong confirmation code, or that it failed itself.
    Refused(Refusal),
    /// Autoshares' platform turned the request away before it looked at it, for example because the base URL is wrong or too many
    /// requests came: the reply has one of the statuses 401, 403, 404, 405, 406, 407, 408, 411, 413, 414, 415, 421, 426, 429, 431 and
    /// 503, and no documented envelope. That says nothing about the trader, the code or the token, and nothing was done.
    TurnedAway,
    /// Autoshares' platform failed while it had the request: the reply has a status from 500 on, other than 503, and no documented
    /// envelope. Autoshares may or may not have carried out the request.
    Failed,
    /// Autoshares did not accept the application key. This is for the operator of your service to mend; the trader did nothing wrong.
    KeyRejected,
    /// A reply arrived, but in none of the documented forms.
    Unreadable(Unreadable),
}

/// Why a reply could not be understood. Keeps at most the size of its body, never its text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The reply has no body.
    Empty,
    /// The body is not JSON, for example the HTML page of a load balancer, or JSON that breaks off.
    NotJson {
        /// The size of the body in bytes.
        size: usize,
    },
    /// The body is JSON, but in none of the documented shapes.
    UnknownShape {
        /// The size of the body in bytes.
        size: usize,
    },
    /// The body is larger than 64 KiB; the rest was not read.
    TooLarge,
    /// The reply is a redirect. The SDK does not follow it, because the application key would be sent to the host it names.
    Redirect,
    /// The body contains the application key, so the SDK discarded it.
    EchoesKey,
    /// `redeem_code` succeeded according to the reply, but the reply holds no reset token.
    NoToken,
}

impl Error {
    /// The operation that failed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// How far the call got.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The HTTP status of the reply to the last attempt; `None` when no reply began to arrive.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How many times the SDK tried to send the request; 0 when it could not get the application key.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before trying again, if Autoshares named a time in `Retry-After`. Counted from the arrival of the reply.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The id that Autoshares gave the request in a reply header. Quote it when you ask Autoshares' operators for help. `None` when
    /// it sent no id, or one that the SDK does not trust: over-long, of unusual characters, or holding a value of the call.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Whether the call failed because a timeout of the client ran out: that of the call, of an attempt or of connecting.
    pub fn is_timeout(&self) -> bool {
        self.timeout
    }

    /// Whether Autoshares may have carried out the call although the SDK saw no success. Do not repeat such a call without the
    /// trader's consent: the e-mail may have been sent, the code or the token may be spent.
    ///
    /// False for `fetch_question`, which changes nothing; for calls that were not sent; for a rejected application key; for a
    /// refusal in Autoshares' ordinary form ([`RefusalShape::Envelope`]); for a request that was turned away
    /// ([`ErrorKind::TurnedAway`]); and for a refusal with status 400 or 422. A platform failure ([`ErrorKind::Failed`],
    /// [`RefusalShape::ServerFailure`]) and everything that leaves the question open count as true.
    pub fn may_have_been_applied(&self) -> bool {
        if self.operation.retry() == Retry::Safe {
            return false;
        }
        let turned_away = matches!(self.status, Some(400 | 422));
        match &self.kind {
            ErrorKind::NotSent | ErrorKind::KeyRejected | ErrorKind::TurnedAway => false,
            ErrorKind::MaybeSent | ErrorKind::Failed => true,
            ErrorKind::Refused(refusal) => match refusal.shape() {
                RefusalShape::Envelope => false,
                RefusalShape::ServerFailure => true,
                _ => !turned_away,
            },
            ErrorKind::Unreadable(_) => !turned_away,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.operation)?;
        match &self.kind {
            ErrorKind::NotSent => f.write_str("was not sent"),
            ErrorKind::MaybeSent => f.write_str("may have been sent, no whole answer came"),
            ErrorKind::Refused(refusal) => write!(f, "was refused by Autoshares: {}", refusal.shape()),
            ErrorKind::TurnedAway => f.write_str("was turned away by Autoshares' platform"),
            ErrorKind::Failed => f.write_str("failed in Autoshares' platform"),
            ErrorKind::KeyRejected => {
                f.write_str("was refused: Autoshares does not take the application key")
            }
            ErrorKind::Unreadable(unreadable) => write!(f, "got an unreadable answer: {unreadable}"),
        }?;
        if self.timeout {
            f.write_str(", the deadline ran out")?;
        }
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Empty => f.write_str("empty body"),
            Unreadable::NotJson { size } => write!(f, "{size} bytes that are not JSON"),
            Unreadable::UnknownShape { size } => write!(f, "{size} bytes of JSON in no documented shape"),
            Unreadable::TooLarge => f.write_str("body over 64 KiB"),
            Unreadable::Redirect => f.write_str("a redirect, not followed"),
            Unreadable::EchoesKey => f.write_str("the body holds the application key"),
            Unreadable::NoToken => f.write_str("a success without a token"),
        }
    }
}
