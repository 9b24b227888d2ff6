//! Which calls the SDK sends again. A stand-in that shares no code with the SDK counts the requests that arrive.

use std::time::{Duration, Instant};

use autoshares_sdk::{AppKey, Client, ClientBuilder, ErrorKind, Operation, RetryPolicy};

use crate::{
    support::{KEY, call},
    upstream::{Upstream, response},
};

const SUCCESS: &str = r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#;

fn builder(base_url: &str) -> ClientBuilder {
    let quick = RetryPolicy::default().base(Duration::from_millis(2));
    let builder = Client::builder(base_url).app_key(AppKey::new(KEY).unwrap()).retries(quick);
    // Long enough not to fail on a busy machine. Tests about time set their own timeouts.
    builder.timeout(Duration::from_secs(20)).connect_timeout(Duration::from_secs(2))
}

fn status(status: u16, headers: &[(&str, &str)]) -> Upstream {
    Upstream::answering(response(status, headers, "<html>not now</html>"))
}

/// For each failure, the number of requests that arrive for `fetch_question`, which is safe to repeat, and for the other operations.
#[tokio::test]
async fn only_what_cannot_happen_twice_is_repeated() {
    let soon = ("Retry-After", "0");
    let past = ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT");
    let html = "<html>";
    let server_failed = r#"{"message": "An error occurred", "error": "Unexpected server error"}"#;
    let refused = r#"{"Errors": ["no"], "IsSucceed": false}"#;
    let server_failed_503 = Upstream::answering(response(503, &[soon], server_failed));
    for (name, upstream, safe, others) in [
        ("success", Upstream::json(200, SUCCESS), 1, 1),
        ("refusal", Upstream::json(200, refused), 1, 1),
        ("refusal with a status of its own", Upstream::json(503, refused), 1, 1),
        ("hang up", Upstream::hanging_up(), 3, 1),
        ("cut off", Upstream::cut_off(), 3, 1),
        ("reset", Upstream::resetting(), 3, 1),
        ("flood", Upstream::flooding(), 1, 1),
        ("redirect", status(307, &[("Location", "http://127.0.0.1:1/")]), 1, 1),
        ("400", status(400, &[]), 1, 1),
        ("404", status(404, &[]), 1, 1),
        ("408", status(408, &[]), 3, 1),
        ("429", status(429, &[]), 3, 1),
        ("429 with seconds", status(429, &[soon]), 3, 3),
        ("429 with a date", status(429, &[past]), 3, 3),
        ("429 with nonsense", status(429, &[("Retry-After", "soon")]), 3, 1),
        ("500", status(500, &[soon]), 1, 1),
        ("500 in its documented shape", Upstream::json(500, server_failed), 1, 1),
        ("502", status(502, &[]), 3, 1),
        ("502 with seconds", status(502, &[soon]), 3, 1),
        ("503", status(503, &[]), 3, 1),
        ("503 with seconds", status(503, &[soon]), 3, 3),
        ("503 with seconds, in the shape of a platform that failed", server_failed_503, 3, 3),
        (
            "503 that breaks off",
            Upstream::answering("HTTP/1.1 503 No\r\nContent-Length: 9\r\nRetry-After: 0\r\n\r\nno"),
            3,
            1,
        ),
        ("504", status(504, &[soon]), 3, 1),
        ("HTML", Upstream::json(200, html), 1, 1),
        ("nothing", Upstream::json(204, ""), 1, 1),
    ] {
        for operation in Operation::ALL {
            let before = upstream.requests().len();
            let outcome = call(&builder(&upstream.base_url()).build().unwrap(), operation).await;
            let expected = if operation == Operation::FetchQuestion { safe } else { others };
            assert_eq!(upstream.requests().len() - before, expected, "{name}: {operation}");
            if let Err(error) = outcome {
                assert_eq!(error.attempts() as usize, expected, "{name}: {operation}: {error}");
                let repeated_blindly = expected > 1 && error.may_have_been_applied();
                assert!(!repeated_blindly, "{name}: {operation}: repeated although it may have been applied");
            }

            let before = upstream.requests().len();
            let _ = call(&builder(&upstream.base_url()).build().unwrap().without_retries(), operation).await;
            assert_eq!(upstream.requests().len() - before, 1, "{name}: {operation}: retries are off");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_asked_for_again_where_that_is_safe() {
    let upstream = Upstream::silent();
    let impatient = builder(&upstream.base_url())
        .timeout(Duration::from_millis(2400))
        .attempt_timeout(Duration::from_millis(300));
    let client = impatient.build().unwrap();
    let mut counts = Vec::new();
    for operation in Operation::ALL {
        let error = call(&client, operation).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::MaybeSent) && error.is_timeout(), "{error}");
        counts.push(error.attempts());
    }
    assert_eq!(counts, [1, 3, 1, 1]);
    assert_eq!(upstream.requests().len(), 6);
}

#[tokio::test]
async fn no_named_time_is_too_long_to_be_told() {
    let upstream = status(429, &[("Retry-After", "18446744073709551615")]);
    for operation in Operation::ALL {
        let error = call(&builder(&upstream.base_url()).build().unwrap(), operation).await.unwrap_err();
        assert_eq!((error.attempts(), error.retry_after()), (1, Some(Duration::from_secs(u64::MAX))));
    }
    let endless = builder(&upstream.base_url()).timeout(Duration::MAX).build().unwrap_err();
    assert!(endless.to_string().contains("the timeout is longer than a day"), "{endless}");
    let _ = RetryPolicy::default().base(Duration::MAX).cap(Duration::MAX);
}

#[tokio::test]
async fn what_was_never_sent_is_tried_again() {
    for operation in Operation::ALL {
        let error = call(&builder(&Upstream::nobody()).build().unwrap(), operation).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotSent), "{error}");
        assert_eq!(error.attempts(), 3);
    }
}

#[tokio::test]
async fn a_retry_can_succeed_and_says_how_often_was_tried() {
    let unavailable = response(503, &[("Retry-After", "0")], "");
    let upstream = Upstream::in_turn(&[unavailable.clone(), unavailable, response(200, &[], SUCCESS)]);
    let client = builder(&upstream.base_url()).build().unwrap();
    let token = client.redeem_code(&"741175".into()).await.unwrap();
    assert_eq!((token.attempts(), token.expose()), (3, "x"));
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]), "the same request each time");
}

#[tokio::test]
async fn autoshares_time_is_kept_and_a_deadline_is_not_overrun() {
    let upstream =
        Upstream::in_turn(&[response(429, &[("Retry-After", "1")], ""), response(200, &[], SUCCESS)]);
    let patient = builder(&upstream.base_url()).timeout(Duration::from_secs(5)).build().unwrap();
    let started = Instant::now();
    patient.redeem_code(&"741175".into()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    let upstream = status(429, &[("Retry-After", "60")]);
    let started = Instant::now();
    let error =
        builder(&upstream.base_url()).build().unwrap().redeem_code(&"741175".into()).await.unwrap_err();
    assert_eq!((error.attempts(), error.status()), (1, Some(429)));
    assert!(started.elapsed() < Duration::from_secs(10), "it fails at once, not after a minute");

    let silent = Upstream::silent();
    let started = Instant::now();
    let many = builder(&silent.base_url()).retries(RetryPolicy::default().attempts(100).base(Duration::ZERO));
    let many = many.timeout(Duration::from_secs(2)).attempt_timeout(Duration::from_secs(1)).build().unwrap();
    assert!(many.fetch_question(&"anna.lee".into()).await.unwrap_err().is_timeout());
    // The budget pays for ten retries, which would take eleven seconds with the first attempt.
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn clones_share_one_budget() {
    let upstream = status(503, &[]);
    let client = builder(&upstream.base_url()).build().unwrap();
    for _ in 0..20 {
        let _ = client.clone().fetch_question(&"anna.lee".into()).await;
    }
    // Twenty calls make twenty first attempts, and the full budget allows ten retries.
    assert_eq!(upstream.requests().len(), 30);
}
