//! The envelope of a reply, written exactly as Autoshares documents it: `Errors` and `IsSucceed` always, `Model` and `ErrorsCode` when
//! they hold something, in the documented order.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::edge;

/// What Autoshares said, whether it accepted or refused.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
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
    /// An envelope that carries only the flag.
    pub fn plain(is_succeed: bool) -> Self {
        Self { model: None, errors: Vec::new(), errors_code: Vec::new(), is_succeed }
    }

    /// A success that carries a question or a token.
    pub fn with_model(model: String) -> Self {
        Self { model: Some(model), ..Self::plain(true) }
    }
}

impl IntoResponse for Envelope {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        edge::reply(StatusCode::OK, "application/json", body)
    }
}
