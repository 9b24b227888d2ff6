//! Checks which facts the SDK records with `tracing`, and that no secret appears in any record or error. These tests need a process of
//! their own in which every test sets a subscriber: if a span is first reached without one, `tracing` caches for all threads that nobody
//! is interested in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod canary;
#[path = "../it/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the other tests use all of it")]
#[path = "../it/support.rs"]
mod support;
#[allow(dead_code, reason = "the other tests use all of it")]
#[path = "../it/upstream.rs"]
mod upstream;

use std::{
    error::Error as StdError,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoshares_sdk::{AppKey, Client, Operation, ResetRequested, RetryPolicy};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    fmt::{self, MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::{
    canary::{holds, spellings},
    support::{ANSWER, CODE, KEY, LOGIN, PASSWORD, TOKEN, call},
    upstream::{Upstream, response},
};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Collects all spans and events of all crates at level TRACE, with the beginning and end of each span.
fn everything() -> (Output, tracing::subscriber::DefaultGuard) {
    let output = Output::default();
    let lines = fmt::layer().with_ansi(false).with_span_events(FmtSpan::FULL).with_writer(output.clone());
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::TRACE));
    (output, tracing::subscriber::set_default(subscriber))
}

fn client(base_url: &str) -> Client {
    let quick = RetryPolicy::default().base(Duration::from_millis(1));
    let builder = Client::builder(base_url).app_key(AppKey::new(KEY).unwrap()).retries(quick);
    builder.timeout(Duration::from_secs(2)).attempt_timeout(Duration::from_millis(700)).build().unwrap()
}

#[tokio::test]
async fn a_call_leaves_a_span_and_each_attempt_an_event() {
    let (output, _guard) = everything();
    let good =
        response(200, &[("X-Request-Id", "req-42")], r#"{"Model": "q?", "Errors": [], "IsSucceed": true}"#);
    let upstream = Upstream::in_turn(&[response(502, &[], ""), good]);
    let answered = client(&upstream.base_url()).fetch_question(&LOGIN.into()).await.unwrap();
    assert_eq!((answered.request_id(), answered.attempts()), (Some("req-42"), 2));

    let text = output.text();
    for field in [
        r#"operation="fetch_question""#,
        "otel.name=GET /v{version}/users/password/secret-question",
        r#"http.request.method="GET""#,
        r#"url.template="/v{version}/users/password/secret-question""#,
        r#"server.address="127.0.0.1""#,
        &format!("server.port={}", upstream.address().port()),
        "http.response.status_code=502",
        r#"error.type="failed""#,
        "http.response.status_code=200 http.request.resend_count=1",
        r#"autoshares.request_id="req-42""#,
    ] {
        assert!(text.contains(field), "{field} missing in: {text}");
    }
}

#[tokio::test]
async fn an_id_that_does_not_look_like_one_is_not_kept() {
    let (_output, _guard) = everything();
    for id in ["has space", "canary-key-5c1d", "x\"y", &"x".repeat(129)] {
        let upstream = Upstream::answering(response(
            200,
            &[("X-Request-Id", id)],
            r#"{"Errors": ["no"], "IsSucceed": false}"#,
        ));
        let error = client(&upstream.base_url()).redeem_code(&CODE.into()).await.unwrap_err();
        assert_eq!(error.request_id(), None, "{id}");
    }
    let upstream = Upstream::answering(response(200, &[("Request-Id", "|a.b:1")], "<html>"));
    assert_eq!(client(&upstream.base_url()).redeem_code(&CODE.into()).await.unwrap_err().request_id(), None);
}

/// If Autoshares sends back a value of the call in the request-id header, that value is not kept, even if it looks like an id.
#[tokio::test]
async fn an_id_that_holds_something_of_the_call_is_not_kept() {
    let (output, _guard) = everything();
    let given = |operation| match operation {
        Operation::RequestReset => vec![KEY, ANSWER],
        Operation::FetchQuestion => vec![KEY],
        Operation::RedeemCode => vec![KEY, CODE],
        Operation::SetPassword => vec![KEY, TOKEN, PASSWORD],
    };
    for operation in Operation::ALL {
        for secret in given(operation) {
            let id = format!("id-{}", secret.to_uppercase());
            let refusal =
                response(200, &[("X-Correlation-Id", &id)], r#"{"Errors": ["no"], "IsSucceed": false}"#);
            let client = client(&Upstream::answering(refusal).base_url());
            if let Err(error) = call(&client, operation).await {
                assert_eq!(error.request_id(), None, "{operation}: {id}");
            }
            assert!(!output.text().contains(&id), "{operation}: {id}");
        }
    }
}

/// Runs every operation through success and all failures at level TRACE. No secret may appear in any `Debug`, `Display`, source chain,
/// span or event.
#[tokio::test]
async fn no_canary_gets_out() {
    let (output, _guard) = everything();
    let question = "canary-question-77f0?";
    let echo = format!("{LOGIN} {ANSWER} {CODE} {TOKEN} {PASSWORD} {KEY} {question}");
    let echoing =
        [("X-Request-Id", echo.as_str()), ("Location", echo.as_str()), ("Set-Cookie", echo.as_str())];
    let mut upstreams = vec![
        Upstream::answering(response(
            200,
            &echoing,
            &format!(r#"{{"Model": "{TOKEN} {question}", "Errors": [], "IsSucceed": true}}"#),
        )),
        Upstream::silent(),
        Upstream::hanging_up(),
        Upstream::cut_off(),
        Upstream::resetting(),
        Upstream::flooding(),
    ];
    for body in [
        format!(r#"{{"Errors": ["{echo}"], "IsSucceed": false}}"#),
        format!(
            r#"{{"Errors": ["{LOGIN} {question}"], "ErrorsCode": ["ErrorIncorrectAnswer"], "IsSucceed": false}}"#
        ),
        format!(r#"{{"Errors": [], "ErrorsCode": ["{LOGIN} {CODE}"], "IsSucceed": false}}"#),
        format!(r#"{{"Errors": "{CODE} {LOGIN}", "IsSucceed": true}}"#),
        format!(r#"{{"Message": "{LOGIN}", "ModelState": {{"{LOGIN}": ["{PASSWORD}"]}}}}"#),
        format!(r#"{{"Error": {{"Code": "Code", "Message": "{TOKEN}"}}}}"#),
        format!(r#"{{"message": "{LOGIN}", "error": "{ANSWER}"}}"#),
        r#"{"error": "Application key is not defined or does not exist"}"#.to_owned(),
        format!("<html>{echo}</html>"),
        String::new(),
    ] {
        for status in [200, 307, 500, 503] {
            upstreams.push(Upstream::answering(response(status, &echoing, &body)));
        }
    }
    let mut base_urls: Vec<_> = upstreams.iter().map(Upstream::base_url).collect();
    base_urls.push(Upstream::nobody());

    let mut shown = String::new();
    for base_url in base_urls {
        let client = client(&base_url);
        shown += &format!("{client:?}");
        for operation in Operation::ALL {
            if let Err(error) = call(&client, operation).await {
                shown += &format!("{error} {error:?} {error:#?} {:?}", error.kind());
                let mut source = error.source();
                while let Some(cause) = source {
                    shown += &format!("{cause} {cause:?}");
                    source = cause.source();
                }
            }
        }
        if let Ok(asked) = client.request_reset(&LOGIN.into(), None).await {
            shown += &format!("{asked:?}");
            if let ResetRequested::AnswerNeeded(refusal) = &*asked {
                shown += &format!("{refusal:?}");
            }
        }
        if let Ok(question) = client.fetch_question(&LOGIN.into()).await {
            shown += &format!("{question:?} {:?}", question.as_ref());
        }
        if let Ok(token) = client.redeem_code(&CODE.into()).await {
            shown += &format!("{token:?} {:?}", *token);
        }
    }
    let text = (output.text() + &shown).to_lowercase();
    assert!(text.contains("error.type=\"key_rejected\"") && text.contains("error.type=\"timeout\""));
    for secret in [KEY, LOGIN, "canary.login", ANSWER, CODE, TOKEN, PASSWORD, question] {
        for spelling in spellings(secret) {
            assert!(!holds(&text, &spelling), "{secret} as {spelling}: …{}", around(&text, &spelling));
        }
    }
}

fn around(text: &str, found: &str) -> String {
    let start = text.find(found).unwrap_or_default();
    text.chars().skip(text[..start].chars().count().saturating_sub(200)).take(400).collect()
}

#[test]
fn a_client_goes_anywhere_and_so_do_its_futures() {
    fn anywhere<T: Send + Sync + Clone + 'static>() {}
    fn sendable<T: Send>(_: &T) {}
    anywhere::<Client>();
    let client = client("http://127.0.0.1:1/api");
    let (login, code, token, password) = (LOGIN.into(), CODE.into(), TOKEN.into(), PASSWORD.into());
    sendable(&client.request_reset(&login, None));
    sendable(&client.fetch_question(&login));
    sendable(&client.redeem_code(&code));
    sendable(&client.set_password(&token, &password));
}
