//! What Autoshares says when it says no.

use std::fmt;

/// A refusal by Autoshares.
///
/// `Debug` shows shape and codes only: the sentences are Autoshares' and may name a person.
#[derive(Clone)]
pub struct Refusal {
    pub(crate) shape: RefusalShape,
    pub(crate) messages: Vec<String>,
    pub(crate) codes: Vec<ErrorCode>,
}

/// Which of the documented shapes a refusal came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalShape {
    /// `{"Errors": […], "IsSucceed": …}`: an ordinary answer that says no.
    Envelope,
    /// `{"Message": …, "ModelState": …}`: members of the request did not pass validation.
    Validation,
    /// `{"Message": …}`: the request was rejected as a whole.
    Request,
    /// `{"Error": {"Code": …}}`: the version is not served.
    Version,
    /// `{"message": …, "error": …}`: the platform failed.
    ServerFailure,
}

impl fmt::Display for RefusalShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusalShape::Envelope => "an answer that says no",
            RefusalShape::Validation => "a value is not valid",
            RefusalShape::Request => "the request is invalid or not authorized",
            RefusalShape::Version => "the API version is not served",
            RefusalShape::ServerFailure => "the platform failed",
        })
    }
}

/// A code beside a refusal.
///
/// `Debug` does not show the text of one that the documentation does not name; [`as_str`](Self::as_str) does.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `ErrorIncorrectAnswer`: the answer to the secret question is missing or wrong.
    IncorrectAnswer,
    /// A code that the documentation does not name, as text.
    Other(String),
}

impl Refusal {
    /// Which of the documented shapes it came in.
    pub fn shape(&self) -> RefusalShape {
        self.shape
    }

    /// Why, in sentences for the trader, as Autoshares wrote them. May be empty.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Why, in codes. May be empty.
    pub fn codes(&self) -> &[ErrorCode] {
        &self.codes
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("shape", &self.shape)
            .field("codes", &self.codes)
            .field("messages", &format_args!("{} (redacted)", self.messages.len()))
            .finish()
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorCode::IncorrectAnswer => "IncorrectAnswer",
            ErrorCode::Other(_) => "Other(redacted)",
        })
    }
}

impl ErrorCode {
    /// The code as Autoshares writes it.
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::IncorrectAnswer => "ErrorIncorrectAnswer",
            ErrorCode::Other(code) => code,
        }
    }

    pub(crate) fn read(code: String) -> Self {
        if code == ErrorCode::IncorrectAnswer.as_str() {
            ErrorCode::IncorrectAnswer
        } else {
            ErrorCode::Other(code)
        }
    }
}
