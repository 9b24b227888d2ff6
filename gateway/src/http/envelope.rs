//! What Autoshares said, written exactly: `Errors` and `IsSucceed` always, `Model` and `ErrorsCode` when they hold something, in the order
//! of the documentation.

use crate::flow;
use autoshares_sdk::{ErrorCode, Refusal};
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What Autoshares said, whether it accepted or refused.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_debug_implementations, reason = "may hold a token")]
pub struct Envelope {
    /// The secret question or the reset token; the document says which, for each operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default)]
    pub model: Option<String>,
    /// Why Autoshares refused, in sentences; empty when it did not.
    pub errors: Vec<String>,
    /// Why Autoshares refused, in codes such as `ErrorIncorrectAnswer`. Left out when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors_code: Vec<String>,
    /// Whether it succeeded; means nothing on `request_reset`, whose documented acceptance says `false`.
    pub is_succeed: bool,
}

impl Envelope {
    /// One that carries nothing but whether it is a success.
    pub fn plain(is_succeed: bool) -> Self {
        Self { model: None, errors: Vec::new(), errors_code: Vec::new(), is_succeed }
    }

    /// A success that carries something.
    pub fn with_model(model: String) -> Self {
        Self { model: Some(model), ..Self::plain(true) }
    }

    /// A refusal, with what Autoshares said about it.
    pub fn refused(refusal: &Refusal) -> Self {
        Self {
            errors: refusal.messages().to_vec(),
            errors_code: refusal.codes().iter().map(ErrorCode::as_str).map(str::to_owned).collect(),
            ..Self::plain(false)
        }
    }
}

/// An envelope, and what becomes of the client's handle.
#[expect(missing_debug_implementations, reason = "may hold a token")]
pub struct Answer {
    envelope: Envelope,
    handle: Handle,
}

enum Handle {
    Kept,
    Given(String),
    TakenAway,
}

impl Answer {
    /// The same with a handle.
    #[must_use]
    pub fn with_handle(self, handle: String) -> Self {
        Self { handle: Handle::Given(handle), ..self }
    }

    /// The same, and the flow is over.
    #[must_use]
    pub fn at_the_end(self) -> Self {
        Self { handle: Handle::TakenAway, ..self }
    }
}

impl From<Envelope> for Answer {
    fn from(envelope: Envelope) -> Self {
        Self { envelope, handle: Handle::Kept }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = self.envelope.into_response();
        match self.handle {
            Handle::Kept => {}
            Handle::Given(handle) => flow::give(response.headers_mut(), &handle),
            Handle::TakenAway => flow::take_away(response.headers_mut()),
        }
        response
    }
}

impl IntoResponse for Envelope {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    }
}
