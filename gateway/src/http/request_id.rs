//! The id of a request: the client reads it in `X-Request-Id` and in the `instance` of a problem, the operator in the logs.

use std::sync::Arc;

use axum::http::HeaderName;
use uuid::Uuid;

/// The header of a reply that carries the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Rides on a request from `telemetry`, which draws it, to the handlers.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// Draws a new id. A client never chooses one, or it could make two requests look like one in the logs.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}
