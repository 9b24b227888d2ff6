//! The problem document: the body and the headers of a reply that tells a client of a problem.

use std::borrow::Cow;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Facts, Problem};
use crate::{flow, http::edge};

/// Tells why a request ended without an answer of Autoshares (RFC 9457), with members that a client written for Autoshares reads.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument<'a> {
    /// Identifies the kind; resolved against the gateway's address it leads to its description.
    r#type: String,
    /// One sentence about what happened.
    title: &'a str,
    /// The HTTP status, repeated.
    #[schemars(with = "i32")]
    status: u16,
    /// What the author of the client can do about it.
    detail: &'a str,
    /// The request id; quote it when asking for help.
    instance: &'a str,
    /// True when Autoshares may have done what was asked although this request failed. Repeat it only when the trader agrees.
    #[serde(rename = "mayHaveBeenApplied", skip_serializing_if = "is_false")]
    #[schemars(default)]
    may_have_been_applied: bool,
    /// Plain sentences to show to the trader: what to change, or that the request failed.
    #[serde(rename = "Errors")]
    errors: Cow<'a, [Cow<'a, str>]>,
    /// The code of the kind, as the only item.
    #[serde(rename = "ErrorsCode")]
    #[schemars(with = "Vec<String>")]
    errors_code: [&'a str; 1],
    /// Always false.
    #[serde(rename = "IsSucceed")]
    is_succeed: bool,
}

/// In bytes; a longer document takes a longer time to be written.
const USUAL_LENGTH: usize = 512;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Problem {
    /// Renders the problem as a reply whose `instance` is the request id.
    pub fn render(&self, request_id: &str) -> Response {
        let Facts { status, code, title, .. } = self.kind().facts();
        let document = ProblemDocument {
            r#type: ["/docs#", code].concat(),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            instance: request_id,
            may_have_been_applied: self.may_have_been_applied,
            errors: Cow::Owned(self.sentences()),
            errors_code: [code],
            is_succeed: false,
        };
        let mut body = Vec::with_capacity(USUAL_LENGTH);
        // No text and no number fails to be written into memory.
        let _ = serde_json::to_writer(&mut body, &document);
        let mut response = edge::reply(status, "application/problem+json", body);
        self.add_headers(response.headers_mut());
        response
    }

    /// Adds the headers of the problem to a reply that has a body of its own, as a screen of the page has.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some((handle, lifetime)) = self.handle.as_deref() {
            flow::give(headers, handle, *lifetime);
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
    }
}
