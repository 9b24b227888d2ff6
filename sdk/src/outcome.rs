//! Decides what a reply of Autoshares means. Where its documentation leaves that open, the rulings are here and nowhere else:
//!
//! 1. The body of a reply decides what it means; the status is kept, and decides only whether the call may be repeated. The one exception
//!    is a redirect, which is never taken for a valid reply.
//! 2. A listed error or error code always makes a refusal. Without one, `request_reset` succeeds whatever `IsSucceed` says, because
//!    the documented acceptance says `false`; the other operations succeed only if `IsSucceed` is `true`.
//! 3. Parsing is tolerant: `Errors`, `ErrorsCode` and `Model` may be missing or null, and unknown members are ignored.
//! 4. An empty secret question means that the trader has none.
//! 5. Without an envelope, some statuses speak for themselves, whatever the body: the platform in front of the application turned the
//!    request away, or failed. ASP.NET answers every such failure as `{"Message": …}`, in which a refusal of a value comes too.
//!
//! The *envelope* is the form of Autoshares' ordinary replies, `{"Model": …, "Errors": […], "IsSucceed": …}`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    error::{ErrorKind, Unreadable},
    generated::types,
    refusal::{ErrorCode, Refusal, RefusalShape},
    secret::{AppKey, ResetToken, SecretQuestion},
};

/// The result of a request for a reset that Autoshares understood.
#[derive(Clone, Debug)]
#[must_use = "an answer may still be needed"]
#[non_exhaustive]
pub enum ResetRequested {
    /// Autoshares accepted the request and e-mails the trader a confirmation code.
    Accepted(Accepted),
    /// The trader has a secret question, and the request carried no answer or a wrong one. Fetch the question, let the trader
    /// answer it, then request the reset again with the answer.
    AnswerNeeded(Refusal),
}

/// An accepted request for a reset. It has no details that a service needs; fields may be added.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Accepted {
    sent_flag: bool,
}

impl Accepted {
    /// The `IsSucceed` of the reply with which Autoshares accepted the request, for the gateway, which reproduces the reply
    /// exactly. Hidden, because its value means nothing: the documented acceptance says `false`.
    #[doc(hidden)]
    pub fn sent_flag(&self) -> bool {
        self.sent_flag
    }
}

/// Which of the documented forms a reply has, judged by its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Envelope,
    Refusal,
    KeyRejected,
    TurnedAway,
    Failed,
    Unreadable(Unreadable),
}

/// Classifies a reply by rulings 1 and 5. `body` is `None` when it was too large to be read.
pub(crate) fn shape(status: u16, body: Option<&[u8]>, key: &AppKey) -> Shape {
    match shape_of_body(status, body, key) {
        shape @ (Shape::Envelope | Shape::KeyRejected | Shape::Unreadable(Unreadable::EchoesKey)) => shape,
        other => match status {
            401 | 403..=408 | 411 | 413..=415 | 421 | 426 | 429 | 431 | 503 => Shape::TurnedAway,
            500.. => Shape::Failed,
            _ => other,
        },
    }
}

fn shape_of_body(status: u16, body: Option<&[u8]>, key: &AppKey) -> Shape {
    let Some(body) = body else { return Shape::Unreadable(Unreadable::TooLarge) };
    let size = body.len();
    if (300..400).contains(&status) {
        return Shape::Unreadable(Unreadable::Redirect);
    }
    if body.is_empty() {
        return Shape::Unreadable(Unreadable::Empty);
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Shape::Unreadable(Unreadable::NotJson { size });
    };
    if holds_key(&value, key) {
        return Shape::Unreadable(Unreadable::EchoesKey);
    }
    let holds = |name: &str| !value[name].is_null();
    if value["error"].as_str().is_some_and(|text| text.starts_with("Application key")) {
        return Shape::KeyRejected;
    }
    // No documented envelope has an `error` member. If one came and was taken for an envelope, `request_reset` would count it as accepted.
    if value["IsSucceed"].is_boolean() && !holds("error") && !holds("Error") {
        return Shape::Envelope;
    }
    if ["Error", "Message", "message"].into_iter().any(holds) {
        return Shape::Refusal;
    }
    Shape::Unreadable(Unreadable::UnknownShape { size })
}

/// Whether the application key appears anywhere in the body. Searches the decoded strings, so that a JSON escape cannot hide it.
fn holds_key(value: &Value, key: &AppKey) -> bool {
    match value {
        Value::String(text) => key.appears_in(text),
        Value::Array(items) => items.iter().any(|item| holds_key(item, key)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| key.appears_in(name) || holds_key(value, key))
        }
        Value::Number(number) => key.appears_in(&number.to_string()),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Turns a refusal that came without an envelope into an error. `size` is the size of its body in bytes.
pub(crate) fn refused(refusal: types::Refusal, size: usize) -> ErrorKind {
    let (shape, messages, codes) = match refusal {
        // `shape` has already recognised the one documented sentence of this form, so this `error` is some other text.
        types::Refusal::KeyRejection(_) => return ErrorKind::Unreadable(Unreadable::UnknownShape { size }),
        types::Refusal::ServerFailure(failure) => {
            (RefusalShape::ServerFailure, vec![failure.message, failure.error], Vec::new())
        }
        types::Refusal::VersionRejection(rejection) => (
            RefusalShape::Version,
            vec![rejection.error.message],
            vec![ErrorCode::read(rejection.error.code)],
        ),
        types::Refusal::RequestRejection(rejection) => {
            // A hash map iterates in random order; sorting by member gives the trader the sentences in the same order every time.
            let by_member: BTreeMap<_, _> = rejection.model_state.into_iter().flatten().collect();
            let sentences: Vec<_> = by_member.into_values().flatten().collect();
            if sentences.is_empty() {
                (RefusalShape::Request, vec![rejection.message], Vec::new())
            } else {
                (RefusalShape::Validation, sentences, Vec::new())
            }
        }
    };
    ErrorKind::Refused(Refusal { shape, messages, codes, quotes_key: false })
}

pub(crate) fn reset_requested(answer: types::Acknowledgement) -> Result<ResetRequested, ErrorKind> {
    match refusal(answer.errors, answer.errors_code) {
        None => Ok(ResetRequested::Accepted(Accepted { sent_flag: answer.is_succeed })),
        Some(refusal) if refusal.codes.contains(&ErrorCode::IncorrectAnswer) => {
            Ok(ResetRequested::AnswerNeeded(refusal))
        }
        Some(refusal) => Err(ErrorKind::Refused(refusal)),
    }
}

pub(crate) fn question(answer: types::QuestionAnswer) -> Result<Option<SecretQuestion>, ErrorKind> {
    succeeded(answer.errors, answer.errors_code, answer.is_succeed)?;
    Ok(answer.model.map(|model| model.0).filter(|question| !question.expose().is_empty()))
}

pub(crate) fn token(answer: types::TokenAnswer) -> Result<ResetToken, ErrorKind> {
    succeeded(answer.errors, answer.errors_code, answer.is_succeed)?;
    let token = answer.model.map(|model| model.0).filter(|token| !token.expose().is_empty());
    token.ok_or(ErrorKind::Unreadable(Unreadable::NoToken))
}

pub(crate) fn password_set(answer: types::Acknowledgement) -> Result<(), ErrorKind> {
    succeeded(answer.errors, answer.errors_code, answer.is_succeed)
}

/// Applies ruling 2 to the operations other than `request_reset`.
fn succeeded(
    errors: Option<types::Errors>,
    codes: Option<types::ErrorsCode>,
    is_succeed: bool,
) -> Result<(), ErrorKind> {
    match refusal(errors, codes) {
        None if is_succeed => Ok(()),
        // `IsSucceed: false` without an error is a refusal that gives no reason.
        None => Err(ErrorKind::Refused(Refusal {
            shape: RefusalShape::Envelope,
            messages: Vec::new(),
            codes: Vec::new(),
            quotes_key: false,
        })),
        Some(refusal) => Err(ErrorKind::Refused(refusal)),
    }
}

/// Returns the refusal that an envelope lists in `Errors` and `ErrorsCode`, or `None` when both are empty.
fn refusal(errors: Option<types::Errors>, codes: Option<types::ErrorsCode>) -> Option<Refusal> {
    let messages = errors.and_then(|errors| errors.0).unwrap_or_default();
    let codes = codes.and_then(|codes| codes.0).unwrap_or_default();
    let codes: Vec<_> = codes.into_iter().map(ErrorCode::read).collect();
    let refused = !messages.is_empty() || !codes.is_empty();
    refused.then_some(Refusal { shape: RefusalShape::Envelope, messages, codes, quotes_key: false })
}
