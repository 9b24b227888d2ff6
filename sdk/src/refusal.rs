//! A refusal by Autoshares: its form, its sentences for the trader and its error codes.

use std::fmt;

/// A documented reply by which Autoshares does not grant a request, for example because the confirmation code is wrong. A reply that
/// Autoshares itself failed ([`RefusalShape::ServerFailure`]) counts as a refusal too.
///
/// `Debug` prints the shape, the documented codes and the number of sentences. It leaves out the sentences, because Autoshares
/// wrote them and they may name a person.
#[derive(Clone)]
pub struct Refusal {
    pub(crate) shape: RefusalShape,
    pub(crate) messages: Vec<String>,
    pub(crate) codes: Vec<ErrorCode>,
    /// Whether the texts hold a piece of the application key.
    pub(crate) quotes_key: bool,
}

/// The JSON form in which a refusal arrived. `Display` prints its meaning in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalShape {
    /// `{"Errors": […], "IsSucceed": …}`: Autoshares processed the request and refused it.
    Envelope,
    /// `{"Message": …, "ModelState": …}`: a value in the request did not pass validation.
    Validation,
    /// `{"Message": …}`: the request as a whole was invalid or not authorized.
    Request,
    /// `{"Error": {"Code": …}}`: the installation does not serve this API version.
    Version,
    /// `{"message": …, "error": …}`: Autoshares itself failed; it may have carried out the request all the same.
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

/// The machine-readable reason of a refusal.
///
/// `Debug` does not print the text of an undocumented code; [`as_str`](Self::as_str) returns it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `ErrorIncorrectAnswer`: the trader's answer to the secret question is missing or wrong.
    IncorrectAnswer,
    /// A code that the documentation does not name, as Autoshares wrote it.
    Other(String),
}

impl Refusal {
    /// The JSON form in which the refusal arrived.
    pub fn shape(&self) -> RefusalShape {
        self.shape
    }

    /// The reasons as sentences for the trader, as Autoshares wrote them. Empty when it gave none.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The reasons as codes. Empty when Autoshares gave none.
    pub fn codes(&self) -> &[ErrorCode] {
        &self.codes
    }

    /// Whether a piece of eight letters and digits of the application key stands in the sentences or codes, in whatever spelling. Do not
    /// show such texts to a trader.
    pub fn quotes_app_key(&self) -> bool {
        self.quotes_key
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(String::as_str).chain(self.codes.iter().map(ErrorCode::as_str))
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
    /// The code as Autoshares writes it, such as `ErrorIncorrectAnswer`.
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
