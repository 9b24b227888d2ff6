//! The routes under `/sandbox`, by which tests in other languages read the mails and set faults.

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{delete, get, put},
};
use serde_json::{Value, json};

use super::{
    Fault, Shared,
    fault::{is_frame, shaped},
    routes::MAX_BODY,
};
use crate::Operation;

/// The faults by their names in JSON, each as an author of a test sends it.
const SAMPLES: [(&str, &str); 9] = [
    ("delay", r#"{"delay": "1500ms"}"#),
    ("refuse", r#"{"refuse": {"errors": ["No."], "codes": ["ErrorCode"]}}"#),
    ("hang_up", r#""hang_up""#),
    ("truncate", r#""truncate""#),
    ("html", r#"{"html": 502}"#),
    ("redirect", r#"{"redirect": [307, "http://127.0.0.1/"]}"#),
    ("answer", r#"{"answer": [500, "server_failed"]}"#),
    ("key_rejected", r#""key_rejected""#),
    ("raw", r#"{"raw": [429, [["Retry-After", "120"]], "{}"]}"#),
];

pub(super) fn routes() -> Router<Arc<Shared>> {
    let other = |methods: &'static str| async move || said(405, &format!("send {methods}"));
    Router::new()
        .route("/sandbox/outbox", get(outbox).fallback(other("GET")))
        .route(
            "/sandbox/faults",
            delete(heal).fallback(other("DELETE, or PUT with an operation: `/sandbox/faults/redeem_code`")),
        )
        .route("/sandbox/faults/{operation}", put(fail).delete(heal_one).fallback(other("PUT or DELETE")))
}

async fn outbox(State(shared): State<Arc<Shared>>) -> Response {
    let mails = shared.lock().platform.outbox().to_vec();
    shaped(200, Some(json!(mails)))
}

/// `PUT /sandbox/faults/{operation}?calls=N` with a fault as JSON: as [`Sandbox::fail`](super::Sandbox::fail) and, with `calls`, as
/// [`Sandbox::fail_times`](super::Sandbox::fail_times).
async fn fail(State(shared): State<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let Some(operation) = operation_of(&id) else { return no_such_operation(&id) };
    let calls = match calls(request.uri().query()) {
        Ok(calls) => calls,
        Err(fault) => return said(400, &fault),
    };
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
        return said(413, &format!("the fault is longer than {MAX_BODY} bytes"));
    };
    let fault = match read(&body) {
        Ok(fault) => fault,
        Err(fault) => return said(400, &fault),
    };
    let mut state = shared.lock();
    match calls {
        None => state.fail(operation, fault),
        Some(calls) => state.fail_times(operation, fault, calls),
    }
    StatusCode::NO_CONTENT.into_response()
}

/// `DELETE /sandbox/faults/{operation}`
async fn heal_one(State(shared): State<Arc<Shared>>, Path(id): Path<String>, uri: Uri) -> Response {
    match operation_of(&id) {
        None => no_such_operation(&id),
        Some(_) if uri.query().is_some() => said(400, NO_QUERY),
        Some(operation) => {
            shared.lock().faults.remove(&operation);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// `DELETE /sandbox/faults`
async fn heal(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    if uri.query().is_some() {
        return said(400, NO_QUERY);
    }
    shared.lock().faults.clear();
    StatusCode::NO_CONTENT.into_response()
}

const NO_QUERY: &str = "DELETE takes no query: it removes all faults of the operation";

/// The only `calls` of a query.
fn calls(query: Option<&str>) -> Result<Option<u32>, String> {
    let Some(query) = query else { return Ok(None) };
    let number = query.strip_prefix("calls=").and_then(|number| number.parse().ok());
    match number.filter(|calls| *calls > 0) {
        Some(calls) => Ok(Some(calls)),
        None => Err(format!(
            "`?{query}` is not known: send `?calls=1` or another number of calls, or no query for a fault that lasts"
        )),
    }
}

/// Reads a fault. serde's own words are for programmers in Rust, so whatever is wrong with a fault is told by a sample of the right one.
fn read(body: &[u8]) -> Result<Fault, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        format!("the fault is not JSON ({error}): send, for example, `{{\"html\": 502}}`")
    })?;
    let name = match &value {
        Value::String(name) => Some(name),
        Value::Object(members) if members.len() == 1 => members.keys().next(),
        _ => None,
    };
    let sample = name.and_then(|name| SAMPLES.iter().find(|(known, _)| known == name));
    let Some((name, sample)) = sample else {
        let known = SAMPLES.map(|(_, sample)| sample).join("`, `");
        return Err(format!("there is no such fault: send one like `{known}`"));
    };
    let fault = serde_json::from_value(value).ok();
    fault.filter(is_possible).ok_or_else(|| {
        let shapes = if *name == "answer" { "; the README of the SDK lists the shapes" } else { "" };
        format!("`{name}` is not given as it has to be: send it like `{sample}`, with a status from 200 to 599{shapes}")
    })
}

/// Whether a server can reply like that.
fn is_possible(fault: &Fault) -> bool {
    let status = match fault {
        Fault::Html(status)
        | Fault::Redirect(status, _)
        | Fault::Answer(status, _)
        | Fault::Raw(status, ..) => *status,
        _ => 200,
    };
    let texts_are = match fault {
        Fault::Redirect(_, to) => HeaderValue::from_str(to).is_ok(),
        Fault::Raw(_, headers, _) => headers.iter().all(|(name, value)| {
            HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() && !is_frame(name)
        }),
        _ => true,
    };
    (200..=599).contains(&status) && texts_are
}

fn operation_of(id: &str) -> Option<Operation> {
    Operation::ALL.into_iter().find(|operation| operation.id() == id)
}

fn no_such_operation(id: &str) -> Response {
    let known = Operation::ALL.map(Operation::id).join("`, `");
    said(404, &format!("`{id}` is no operation; there are `{known}`"))
}

/// What is wrong with a request to the sandbox itself, for the author of a test.
fn said(status: u16, what: &str) -> Response {
    shaped(status, Some(json!({ "error": what })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_fault() {
        for (name, sample) in SAMPLES {
            assert!(sample.contains(name) && read(sample.as_bytes()).is_ok(), "{sample}");
        }
    }
}
