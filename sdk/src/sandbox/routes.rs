//! The HTTP side of the sandbox. For each request it records the request, applies a fault if one is set, checks the application key and
//! the API version, lets the platform carry the operation out, and replies in the documented forms.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Path, Request, State},
    http::request::Parts,
    response::Response,
    routing::{MethodFilter, on},
};
use serde_json::{Value, json};

use super::{Received, Shape, Shared, control, fault::shaped, platform::No};
use crate::Operation;

/// The largest body that is read, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = control::routes();
    for operation in Operation::ALL {
        let path = format!("/api{}", operation.path_template().replace("v{version}", "{version}"));
        let method = match operation.method() {
            "GET" => MethodFilter::GET,
            "PUT" => MethodFilter::PUT,
            _ => MethodFilter::POST,
        };
        let handler = move |shared: State<Arc<Shared>>, version: Path<String>, request: Request| {
            serve(operation, shared, version, request)
        };
        router = router.route(&path, on(method, handler));
    }
    router.with_state(shared)
}

async fn serve(
    operation: Operation,
    State(shared): State<Arc<Shared>>,
    Path(version): Path<String>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return shaped(413, None) };

    let fault = {
        let mut state = shared.lock();
        state.received.push(received(operation, &head, &body));
        state.next_fault(operation)
    };
    if let Some(fault) = fault
        && let Some(response) = fault.answer().await
    {
        return response;
    }

    let (response, mail_time) = answer(operation, &shared, &version, &head, &body);
    // Sleeping for zero time would still wait for the next tick of the timer.
    if !mail_time.is_zero() {
        tokio::time::sleep(mail_time).await;
    }
    response
}

/// Carries out the operation. Returns the reply, and how long to hold it back as if an e-mail were being sent.
fn answer(
    operation: Operation,
    shared: &Shared,
    version: &str,
    head: &Parts,
    body: &[u8],
) -> (Response, Duration) {
    let at_once = |response| (response, Duration::ZERO);
    let mut state = shared.lock();
    let keys: Vec<_> = head.headers.get_all("et-app-key").iter().collect();
    if keys.len() != 1 || !state.app_keys.iter().any(|key| keys[0] == key.as_str()) {
        return at_once(shaped(403, Shape::KeyRejected.body()));
    }
    if version != "v1.0" {
        return at_once(shaped(400, Shape::VersionUnsupported.body()));
    }
    let is_json = head.headers.get("content-type").is_some_and(|value| value == "application/json");
    let body: Value = match operation {
        Operation::FetchQuestion => Value::Null,
        _ if !is_json => return at_once(shaped(400, Shape::RequestInvalid.body())),
        _ => serde_json::from_slice(body).unwrap_or_default(),
    };
    let member = |name: &str| body[name].as_str();

    let now = Instant::now();
    let platform = &mut state.platform;
    let answer = match operation {
        Operation::RequestReset => {
            let answer = &body["SecretQuestionAnswer"];
            let given = body.get("SecretQuestionAnswer").is_none()
                || answer.as_str().is_some_and(|text| !text.is_empty());
            member("User")
                .filter(|_| given)
                // `false`, because the documented acceptance says `IsSucceed: false`.
                .map(|user| platform.request_reset(user, answer.as_str(), now).map(|()| (None, false)))
        }
        Operation::FetchQuestion => {
            username(head).map(|name| platform.question(&name).map(|question| (Some(question), true)))
        }
        Operation::RedeemCode => {
            member("Code").map(|code| platform.redeem_code(code, now).map(|token| (Some(token), true)))
        }
        Operation::SetPassword => member("Token").and_then(|token| {
            let (password, confirmation) = (member("Password")?, member("PasswordConfirmation")?);
            Some(platform.set_password(token, password, confirmation, now).map(|()| (None, true)))
        }),
    };
    let sends_mail = operation == Operation::RequestReset && matches!(answer, Some(Ok(_)));
    let mail_time = if sends_mail { platform.mail_time } else { Duration::ZERO };
    let response = match answer {
        None => shaped(400, Shape::RequestInvalid.body()),
        Some(Ok((None, flag))) => shaped(200, Some(json!({"Errors": [], "IsSucceed": flag}))),
        Some(Ok((Some(model), flag))) => {
            shaped(200, Some(json!({"Model": model, "Errors": [], "IsSucceed": flag})))
        }
        Some(Err(No { errors, codes })) if codes.is_empty() => {
            shaped(200, Some(json!({"Errors": errors, "IsSucceed": false})))
        }
        Some(Err(No { errors, codes })) => {
            shaped(200, Some(json!({"Errors": errors, "ErrorsCode": codes, "IsSucceed": false})))
        }
    };
    (response, mail_time)
}

fn username(head: &Parts) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://sandbox{}", head.uri)).ok()?;
    url.query_pairs().find(|(name, _)| name == "username").map(|(_, value)| value.into_owned())
}

fn received(operation: Operation, head: &Parts, body: &[u8]) -> Received {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Received {
        operation,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(body),
    }
}
