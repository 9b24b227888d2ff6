//! The id of a request: the client reads it in `X-Request-Id` and in the `instance` of a problem, the operator in the logs.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header that carries the request id: in a reply, and in a request of a proxy that has drawn one.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header in which a proxy names the trace that a request belongs to (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Rides on a request from `telemetry`, which draws it, to the handlers.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// Draws a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// The id that a trusted proxy has given to a request, if it looks like one; or the trace that the proxy counts the request to. Nobody else
    /// chooses an id, or a client could make two requests look like one in the logs.
    pub fn of_proxy(headers: &HeaderMap) -> Option<Self> {
        let one = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().ok()?;
            values.next().is_none().then_some(value)
        };
        let id = one(&REQUEST_ID).filter(|id| is_id(id));
        let id = id.or_else(|| trace_id(one(&TRACEPARENT)?));
        id.map(|id| Self(id.into()))
    }
}

/// Letters, digits and what stands between them in ids, as long as ids are.
fn is_id(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The second of the four parts of `traceparent`.
fn trace_id(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() == length && part.bytes().all(is_digit) && part.bytes().any(|byte| byte != b'0')
    };
    let is_version =
        version.len() == 2 && version != "ff" && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_version && is_hex(trace, 32) && is_hex(parent, 16)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_when_it_looks_like_one() {
        const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (headers, id) in [
            (&[("x-request-id", "3f2c8a1e-7b")][..], Some("3f2c8a1e-7b")),
            (
                &[("x-request-id", "Root_1.5759e988bd862e3fe1be46a994272793")],
                Some("Root_1.5759e988bd862e3fe1be46a994272793"),
            ),
            (&[("traceparent", TRACE)], Some("0af7651916cd43dd8448eb211c80319c")),
            (&[("x-request-id", "3f2c8a1e7b"), ("traceparent", TRACE)], Some("3f2c8a1e7b")),
            (&[("x-request-id", "short"), ("traceparent", TRACE)], Some("0af7651916cd43dd8448eb211c80319c")),
            (&[("x-request-id", "3f2c8a1e7b"), ("x-request-id", "another-one")], None),
            (&[("x-request-id", "")], None),
            (&[("x-request-id", "robert.zak@example.com")], None),
            (&[("x-request-id", "a b c d e f g h")], None),
            (&[("x-request-id", &"x".repeat(65))], None),
            (&[("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01")], None),
            (&[("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")], None),
            (&[("traceparent", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")], None),
            (&[("traceparent", "00-0af7651916cd43dd8448eb211c80319c")], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(RequestId::of_proxy(&map).map(|id| id.0.to_string()).as_deref(), id, "{headers:?}");
        }
    }
}
