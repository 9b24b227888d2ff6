//! The faults that a test can make the sandbox show: delays, refusals, broken connections and garbled replies.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// A fault that a call meets instead of its ordinary reply. Except for [`Delay`](Self::Delay), the sandbox then does nothing: no code
/// is e-mailed or spent.
///
/// It is read from JSON as serde reads an enum, with names in snake case: `"hang_up"`, `{"delay": "2s"}`, `{"html": 502}`,
/// `{"answer": [500, "server_failed"]}`, `{"refuse": {"errors": ["No."]}}`, `{"raw": [429, [["Retry-After", "120"]], ""]}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Waits this long before carrying out the call and replying as usual. In JSON a text such as `"1500ms"`.
    Delay(#[serde(deserialize_with = "duration")] Duration),
    /// Replies with an ordinary refusal, status 200 and `IsSucceed: false`.
    Refuse {
        /// The sentences for the trader, in `Errors`.
        #[serde(default)]
        errors: Vec<String>,
        /// The machine-readable codes, in `ErrorsCode`.
        #[serde(default)]
        codes: Vec<String>,
    },
    /// Reads the request and closes the connection without a reply.
    HangUp,
    /// Closes the connection in the middle of the reply.
    Truncate,
    /// Replies with this status and an HTML page, as a load balancer does.
    Html(u16),
    /// Replies with this status and redirects to this URL.
    Redirect(u16, String),
    /// Replies with this status and a body of this shape.
    Answer(u16, Shape),
    /// Replies that the application key is rejected, in the documented form with status 403.
    KeyRejected,
    /// Replies with this status, these headers and this body. The content type is JSON unless a header sets another; headers that HTTP
    /// does not allow, and those that frame the body, are left out. A status that ends no reply (1xx) becomes 500; 204 and 304 have no body.
    Raw(u16, Vec<(String, String)>, String),
}

/// The forms of reply bodies that Autoshares is known to send, and one that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// A success that carries nothing: `{"Errors": [], "IsSucceed": true}`.
    Success,
    /// A refusal that gives no reason: `{"Errors": [], "IsSucceed": false}`. To `request_reset` it is the documented acceptance.
    SilentRefusal,
    /// An ordinary reply with every member that Autoshares is known to send. Because its `Errors` are not empty, it is a refusal.
    EveryMember,
    /// An ordinary reply without `Errors`: `{"IsSucceed": true}`.
    BareEnvelope,
    /// `{"Message": "The request is invalid."}`.
    RequestInvalid,
    /// `{"Message": "Authorization has been denied for this request."}`.
    AuthorizationDenied,
    /// `{"Message": …, "ModelState": …}`: a value did not pass validation.
    ValidationFailed,
    /// `{"Error": {"Code": "UnsupportedApiVersion", …}}`.
    VersionUnsupported,
    /// `{"message": …, "error": "Unexpected server error"}`.
    ServerFailed,
    /// `{"error": "Application key …"}`, the documented rejection of the application key.
    KeyRejected,
    /// JSON that Autoshares is not known to send: `{"status": "up"}`.
    Unknown,
    /// No body at all.
    Empty,
}

/// Marks a response, as an extension, that must not be sent: the server closes the connection instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct HangUp;

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|_| D::Error::custom("expected a duration such as `1500ms`"))
}

impl Shape {
    /// A sample body of this shape; `None` for [`Empty`](Self::Empty).
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
    /// The reply in place of the ordinary one. Returns `None`, after the delay, when the ordinary reply is to follow.
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
                let own = response.headers_mut();
                for (name, value) in headers.into_iter().filter(|(name, _)| !is_frame(name)) {
                    let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
                    else {
                        continue;
                    };
                    if name == header::CONTENT_TYPE {
                        own.insert(name, value);
                    } else {
                        own.append(name, value);
                    }
                }
                response
            }
        })
    }
}

/// A reply with a JSON body, or with an empty one for `None`.
pub(super) fn shaped(status: u16, body: Option<Value>) -> Response {
    match body {
        Some(body) => raw(status, "application/json; charset=utf-8", &body.to_string()),
        None => StatusCode::from_u16(status).unwrap_or_default().into_response(),
    }
}

/// Whether a header says where the body ends, which is the server's to say.
pub(super) fn is_frame(name: &str) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|frame| name.eq_ignore_ascii_case(frame))
}

fn raw(status: u16, content_type: &'static str, body: &str) -> Response {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // These have no body, and no length of one.
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, content_type)], body.to_owned()).into_response()
}

/// A response body that sends its text and then fails, upon which hyper closes the connection.
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
