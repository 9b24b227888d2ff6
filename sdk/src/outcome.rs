//! What a call can come to. The rulings on what the documentation leaves open live here and nowhere else:
//!
//! 1. The body decides, the status is kept. Only a redirect is never an answer.
//! 2. `IsSucceed` decides nothing on `request_reset`; elsewhere success is `true` without errors. Errors are always a refusal.
//! 3. Reading is tolerant: `Errors`, `ErrorsCode` and `Model` may be missing or null, unknown members are ignored.
//! 4. An empty question means that there is none.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    error::{ErrorKind, Unreadable},
    generated::types,
    refusal::{ErrorCode, Refusal, RefusalShape},
    secret::{AppKey, ResetToken, SecretQuestion},
};

/// What asking for a reset came to.
#[derive(Clone, Debug)]
#[must_use = "an answer may still be needed"]
#[non_exhaustive]
pub enum ResetRequested {
    /// The trader gets a code by e-mail.
    Accepted(Accepted),
    /// The trader has a secret question, and the answer was missing or, if one was given, wrong. Fetch the question, then
    /// ask again.
    AnswerNeeded(Refusal),
}

/// An accepted request for a reset.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Accepted {
    sent_flag: bool,
}

impl Accepted {
    /// The `IsSucceed` that Autoshares wrote beside its acceptance, for a proxy that gives the answer on byte for byte. Hidden, for it
    /// means nothing: the documented acceptance says `false`.
    #[doc(hidden)]
    pub fn sent_flag(&self) -> bool {
        self.sent_flag
    }
}

/// Which of the document's answers a body is, whatever its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Envelope,
    Refusal,
    KeyRejected,
    Unreadable(Unreadable),
}

/// Ruling 1. `body` is `None` when it was larger than the cap.
pub(crate) fn shape(status: u16, body: Option<&[u8]>, key: &AppKey) -> Shape {
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
    // An `error` beside `IsSucceed` is documented nowhere; taking it for an envelope would take it for an acceptance.
    if value["IsSucceed"].is_boolean() && !holds("error") && !holds("Error") {
        return Shape::Envelope;
    }
    if ["Error", "Message", "message"].into_iter().any(holds) {
        return Shape::Refusal;
    }
    Shape::Unreadable(Unreadable::UnknownShape { size })
}

/// Asks the decoded texts, so that no escape hides the key.
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

/// An answer without an envelope; `size` in bytes.
pub(crate) fn refused(refusal: types::Refusal, size: usize) -> ErrorKind {
    let (shape, messages, codes) = match refusal {
        // `shape` has taken out the one sentence that is documented in this shape.
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
            // A hash map iterates in any order; sentences should not change places from one answer to the next.
            let by_member: BTreeMap<_, _> = rejection.model_state.into_iter().flatten().collect();
            let sentences: Vec<_> = by_member.into_values().flatten().collect();
            if sentences.is_empty() {
                (RefusalShape::Request, vec![rejection.message], Vec::new())
            } else {
                (RefusalShape::Validation, sentences, Vec::new())
            }
        }
    };
    ErrorKind::Refused(Refusal { shape, messages, codes })
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

/// Ruling 2 for every step but the first.
fn succeeded(
    errors: Option<types::Errors>,
    codes: Option<types::ErrorsCode>,
    is_succeed: bool,
) -> Result<(), ErrorKind> {
    match refusal(errors, codes) {
        None if is_succeed => Ok(()),
        // `false` with an empty list: a refusal without a reason.
        None => Err(ErrorKind::Refused(Refusal {
            shape: RefusalShape::Envelope,
            messages: Vec::new(),
            codes: Vec::new(),
        })),
        Some(refusal) => Err(ErrorKind::Refused(refusal)),
    }
}

/// A refusal, if any error or code is listed.
fn refusal(errors: Option<types::Errors>, codes: Option<types::ErrorsCode>) -> Option<Refusal> {
    let messages = errors.and_then(|errors| errors.0).unwrap_or_default();
    let codes = codes.and_then(|codes| codes.0).unwrap_or_default();
    let codes: Vec<_> = codes.into_iter().map(ErrorCode::read).collect();
    let refused = !messages.is_empty() || !codes.is_empty();
    refused.then_some(Refusal { shape: RefusalShape::Envelope, messages, codes })
}
