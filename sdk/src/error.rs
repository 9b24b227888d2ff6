//! How a call failed, and how far it got.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{
    operation::{Operation, Retry},
    refusal::{Refusal, RefusalShape},
};

/// A call that failed, and how far it got.
///
/// One line in `Display`, causes in the source chain; neither holds a secret, a login or a text of Autoshares'.
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
    /// The request was not sent, though connecting may have been tried; the call can be repeated.
    NotSent,
    /// The request left, or began to; no whole answer came.
    MaybeSent,
    /// Autoshares said no.
    Refused(Refusal),
    /// Autoshares did not take the application key. Never the fault of the trader.
    KeyRejected,
    /// An answer came that is none of the documented ones.
    Unreadable(Unreadable),
}

/// Why an answer could not be read. Keeps its size in bytes, never its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The body is empty.
    Empty,
    /// The body is not JSON: HTML of a load balancer, or cut off.
    NotJson {
        /// Bytes received.
        size: usize,
    },
    /// The body is JSON in no documented shape.
    UnknownShape {
        /// Bytes received.
        size: usize,
    },
    /// The body is larger than 64 KiB; the rest was not read.
    TooLarge,
    /// A redirect; it was not followed, for the key must not travel on.
    Redirect,
    /// The body holds the application key and was thrown away.
    EchoesKey,
    /// A success of `redeem_code` without a token.
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

    /// The HTTP status of Autoshares' answer, when one came.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How often sending was tried; 0 when the call failed before that.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long Autoshares asked to wait before the next try, when it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The id that Autoshares gave the request, when it sent one. Quote it when asking its operators for help.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Whether a deadline ran out.
    pub fn is_timeout(&self) -> bool {
        self.timeout
    }

    /// Whether Autoshares may have done what was asked although no success was seen. Such a call must not be repeated
    /// unasked: the mail may have gone out, the code or the token may be spent.
    ///
    /// Always false for operations that change nothing, for answers in an envelope, and for statuses with which a server says
    /// that it turned the request away. Where it cannot be known, the worst is assumed.
    pub fn may_have_been_applied(&self) -> bool {
        if self.operation.retry() == Retry::Safe {
            return false;
        }
        // 408, and whatever else comes from something in between, may be said of a request that went through.
        let turned_away = match self.status {
            Some(400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429) => true,
            // Told to come back later: stopped at the door.
            Some(503) => self.retry_after.is_some(),
            _ => false,
        };
        match &self.kind {
            ErrorKind::NotSent | ErrorKind::KeyRejected => false,
            ErrorKind::MaybeSent => true,
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
