//! How far a call to Autoshares got that failed, and what its refusal is about: what the steps of the flow decide by.

use autoshares_sdk::{Error as SdkError, ErrorKind, Refusal, RefusalShape};

/// How far a call got that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Autoshares never looked at it.
    NotSent,
    /// Autoshares said no, to what was asked.
    Refused,
    /// Nobody knows whether it was done.
    Unknown,
    /// It was turned away for a reason that has nothing to do with what was asked.
    TurnedAway,
}

impl Reach {
    /// By what the SDK reports.
    pub fn of(error: &SdkError) -> Self {
        match error.kind() {
            ErrorKind::NotSent | ErrorKind::KeyRejected => Reach::NotSent,
            _ if error.may_have_been_applied() => Reach::Unknown,
            ErrorKind::Refused(refusal) if !is_version(refusal) => Reach::Refused,
            _ => Reach::TurnedAway,
        }
    }
}

/// Whether a refusal repeats a text.
pub fn tells(refusal: &Refusal, text: &str) -> bool {
    refusal.messages().iter().any(|message| message.contains(text))
        || refusal.codes().iter().any(|code| code.as_str().contains(text))
}

/// Whether Autoshares said no to what was asked, in any shape but those in which it fails.
pub fn is_refusal(error: &SdkError) -> bool {
    match error.kind() {
        ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Validation => true,
        ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::ServerFailure => false,
        _ => Reach::of(error) == Reach::Refused,
    }
}

/// Whether a refusal is of the version, which has nothing to do with what was asked; other errors in that shape may have.
pub fn is_version(refusal: &Refusal) -> bool {
    refusal.shape() == RefusalShape::Version
        && refusal.codes().iter().any(|code| code.as_str() == "UnsupportedApiVersion")
}
