//! What can go wrong, on demand.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What a call meets instead of its answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The ordinary answer, this much later.
    Delay(Duration),
    /// A refusal in an envelope with these errors and codes, status 200.
    Refuse {
        /// The sentences in `Errors`.
        errors: Vec<String>,
        /// The codes in `ErrorsCode`.
        codes: Vec<String>,
    },
    /// The connection is closed without an answer.
    HangUp,
    /// The connection is closed in the middle of the answer.
    Truncate,
    /// A page of HTML with this status, as a load balancer sends it.
    Html(u16),
    /// A redirect with this status to this address.
    Redirect(u16, String),
    /// One of the known shapes with a status.
    Answer(u16, Shape),
    /// The documented refusal of the key, status 403.
    KeyRejected,
    /// Anything: a status, headers, and a body as it is.
    Raw(u16, Vec<(String, String)>, String),
}

/// The shapes that the platform is known to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// An empty success: `{"Errors": [], "IsSucceed": true}`.
    Success,
    /// A refusal without a reason: `{"Errors": [], "IsSucceed": false}`. On `request_reset` it is the documented acceptance.
    SilentRefusal,
    /// An envelope with every member the platform is known to send.
    EveryMember,
    /// An envelope without `Errors`.
    BareEnvelope,
    /// `{"Message": "The request is invalid."}`.
    RequestInvalid,
    /// `{"Message": "Authorization has been denied for this request."}`.
    AuthorizationDenied,
    /// `Message` with `ModelState`.
    ValidationFailed,
    /// `{"Error": {"Code": "UnsupportedApiVersion", …}}`.
    VersionUnsupported,
    /// `{"message": …, "error": "Unexpected server error"}`.
    ServerFailed,
    /// `{"error": "Application key …"}`.
    KeyRejected,
    /// JSON that the platform is not known to send.
    Unknown,
    /// No body at all.
    Empty,
}

/// Rides on a response to say that the connection is to be closed instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct HangUp;

impl Shape {
    /// The body, or nothing.
    pub fn body(self) -> Option<Value> {
        Some(match self {
            Shape::Success => json!({"Errors": [], "IsSucceed": true}),
            Shape::SilentRefusal => json!({"Errors": [], "IsSucceed": false}),
            Shape::EveryMember => json!({
                "Model": "string", "Errors": ["string"], "ErrorsCode": ["string"], "StatusCode": "Continue", "IsSucceed": true
            }),
            Shape::BareEnvelope => json!({"IsSucceed": true}),
            Shape::RequestInvalid => json!({"Message": "The request is invalid."}),
            Shape::AuthorizationDenied => {
                json!({"Message": "Authorization has been denied for this request."})
            }
            Shape::ValidationFailed => json!({
                "Message": "Validation error occured while processing entity",
                "ModelState": {"userPassword.OldPassword": ["Password is required"]}
            }),
            Shape::VersionUnsupported => json!({"Error": {
                "Code": "UnsupportedApiVersion",
                "Message": "The requested resource with API version '1.0' does not support HTTP method 'GET'."
            }}),
            Shape::ServerFailed => json!({
                "message": "An error occurred while processing your request", "error": "Unexpected server error"
            }),
            Shape::KeyRejected => json!({"error": "Application key is not defined or does not exist"}),
            Shape::Unknown => json!({"status": "up"}),
            Shape::Empty => return None,
        })
    }
}

impl Fault {
    /// The answer in place of the ordinary one; `None` when the ordinary one follows after a delay.
    pub(super) async fn answer(self) -> Option<Response> {
        Some(match self {
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                return None;
            }
            Fault::Refuse { errors, codes } => {
                shaped(200, Some(json!({"Errors": errors, "ErrorsCode": codes, "IsSucceed": false})))
            }
            Fault::HangUp => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(HangUp);
                response
            }
            Fault::Truncate => {
                let body = "{\"Errors\": [], \"IsSu";
                let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_LENGTH, "64")];
                (headers, Body::new(Truncated(Some(body)))).into_response()
            }
            Fault::Html(status) => raw(status, "text/html", "<html><body>502 Bad Gateway</body></html>"),
            Fault::Redirect(status, to) => {
                let mut response = raw(status, "text/html", "");
                if let Ok(to) = HeaderValue::from_str(&to) {
                    response.headers_mut().insert(header::LOCATION, to);
                }
                response
            }
            Fault::Answer(status, shape) => shaped(status, shape.body()),
            Fault::KeyRejected => shaped(403, Shape::KeyRejected.body()),
            Fault::Raw(status, headers, body) => {
                let mut response = raw(status, "application/json", &body);
                for (name, value) in headers {
                    if let (Ok(name), Ok(value)) =
                        (header::HeaderName::try_from(name), HeaderValue::try_from(value))
                    {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            }
        })
    }
}

/// A JSON answer, or an empty one.
pub(super) fn shaped(status: u16, body: Option<Value>) -> Response {
    match body {
        Some(body) => raw(status, "application/json; charset=utf-8", &body.to_string()),
        None => StatusCode::from_u16(status).unwrap_or_default().into_response(),
    }
}

fn raw(status: u16, content_type: &'static str, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body.to_owned()).into_response()
}

/// A body that breaks off.
struct Truncated(Option<&'static str>);

impl hyper::body::Body for Truncated {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(Some(match self.0.take() {
            Some(start) => Ok(hyper::body::Frame::data(start.into())),
            None => Err(std::io::ErrorKind::ConnectionReset.into()),
        }))
    }
}
