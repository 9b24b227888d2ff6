//! The requests that the SDK sends, byte for byte, and its errors when Autoshares is broken or hostile.

use std::time::{Duration, Instant};

use autoshares_sdk::{AppKey, Client, Error, ErrorKind, Operation, ResetRequested, RetryPolicy, Unreadable};

use crate::upstream::{Upstream, response};

const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;

fn client(base_url: &str) -> Client {
    let builder = Client::builder(base_url).app_key(AppKey::new("canary-key-5c1d").unwrap());
    builder.timeout(Duration::from_millis(800)).retries(RetryPolicy::off()).build().unwrap()
}

async fn call(client: &Client, operation: Operation) -> Result<(), Error> {
    match operation {
        Operation::RequestReset => {
            client.request_reset(&"robert.zak".into(), Some(&"Peterson".into())).await.map(drop)
        }
        Operation::FetchQuestion => client.fetch_question(&"hello@autoshares.com".into()).await.map(drop),
        Operation::RedeemCode => client.redeem_code(&"741175".into()).await.map(drop),
        Operation::SetPassword => client
            .set_password(&"someToken-bd26-825db0".into(), &"pkof394f34kf934f03u4fj0".into())
            .await
            .map(drop),
    }
}

#[tokio::test]
async fn the_documented_requests_leave_byte_for_byte() {
    let expected = [
        (
            Operation::RequestReset,
            "POST /api/v1.0/users/password/reset HTTP/1.1",
            r#"{"User":"robert.zak","SecretQuestionAnswer":"Peterson"}"#,
        ),
        (
            Operation::FetchQuestion,
            "GET /api/v1.0/users/password/secret-question?username=hello%40autoshares.com HTTP/1.1",
            "",
        ),
        (Operation::RedeemCode, "POST /api/v1.0/users/password/reset/code HTTP/1.1", r#"{"Code":"741175"}"#),
        (
            Operation::SetPassword,
            "PUT /api/v1.0/users/passwords/reset/ HTTP/1.1",
            r#"{"Token":"someToken-bd26-825db0","Password":"pkof394f34kf934f03u4fj0","PasswordConfirmation":"pkof394f34kf934f03u4fj0"}"#,
        ),
    ];
    for (operation, line, body) in expected {
        let upstream = Upstream::json(200, r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#);
        call(&client(&upstream.base_url()), operation).await.unwrap();

        let requests = upstream.requests();
        assert_eq!(requests.len(), 1);
        let (head, sent) = requests[0].split_once("\r\n\r\n").unwrap();
        assert_eq!(sent, body, "{operation}");
        let mut lines = head.split("\r\n");
        assert_eq!(lines.next(), Some(line));
        let mut headers: Vec<String> = lines.map(str::to_owned).collect();
        headers.sort();
        let mut expected = vec![
            "accept-encoding: identity".to_owned(),
            "accept: application/json".to_owned(),
            "et-app-key: canary-key-5c1d".to_owned(),
            format!("host: {}", upstream.address()),
            format!("user-agent: autoshares-sdk/{}", env!("CARGO_PKG_VERSION")),
        ];
        if !body.is_empty() {
            expected.insert(2, format!("content-length: {}", body.len()));
            expected.insert(3, "content-type: application/json".to_owned());
        }
        assert_eq!(headers, expected, "{operation}");
    }
}

#[tokio::test]
async fn an_answer_is_left_out_when_there_is_none() {
    let upstream = Upstream::json(200, ACCEPTED);
    let client = client(&upstream.base_url());
    let asked = client.request_reset(&"robert.zak".into(), None).await.unwrap();
    assert!(matches!(*asked, ResetRequested::Accepted(_)), "{asked:?}");
    let asked = client.request_reset(&"robert.zak".into(), Some(&"".into())).await.unwrap();
    assert!(matches!(*asked, ResetRequested::Accepted(_)), "{asked:?}");
    for request in upstream.requests() {
        assert!(request.ends_with("\r\n\r\n{\"User\":\"robert.zak\"}"), "{request}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Upstream::json(200, ACCEPTED);
        let location = format!("{}/v1.0/users/password/reset", elsewhere.base_url());
        let upstream = Upstream::answering(response(status, &[("Location", &location)], ACCEPTED));
        for operation in Operation::ALL {
            let error = call(&client(&upstream.base_url()), operation).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Unreadable(Unreadable::Redirect)), "{status} {error}");
            assert_eq!(error.status(), Some(status));
            // A server usually redirects a POST after it has carried it out, so the call counts as possibly applied.
            assert_eq!(error.may_have_been_applied(), operation != Operation::FetchQuestion);
        }
        assert_eq!(elsewhere.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_dead_upstream_gets_nothing() {
    for operation in Operation::ALL {
        let error = call(&client(&Upstream::nobody()), operation).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotSent), "{error}");
        assert!(!error.may_have_been_applied());
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// Ways in which Autoshares can break down, each with the expected error. All of them leave open whether the call was applied.
#[tokio::test]
async fn a_bad_upstream_is_asked_once_and_reported_in_time() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
    let maybe = |error: &Error| matches!(error.kind(), ErrorKind::MaybeSent);
    let late = |error: &Error| matches!(error.kind(), ErrorKind::MaybeSent) && error.is_timeout();
    let large = |error: &Error| matches!(error.kind(), ErrorKind::Unreadable(Unreadable::TooLarge));
    type Expect = fn(&Error) -> bool;
    let days: [(&str, Upstream, Expect); 7] = [
        ("silence", Upstream::silent(), late),
        ("hang up", Upstream::hanging_up(), maybe),
        ("drip", Upstream::dripping(), late),
        ("cut", Upstream::cut_off(), maybe),
        ("reset", Upstream::resetting(), maybe),
        ("flood", Upstream::flooding(), large),
        ("announced flood", Upstream::answering(announced), large),
    ];
    for (name, upstream, expect) in days {
        for (count, operation) in Operation::ALL.into_iter().enumerate() {
            let started = Instant::now();
            let error = call(&client(&upstream.base_url()), operation).await.unwrap_err();
            assert!(expect(&error), "{name}: {error:?}");
            assert!(started.elapsed() < Duration::from_secs(10), "{name}: {:?}", started.elapsed());
            assert_eq!(
                error.may_have_been_applied(),
                operation != Operation::FetchQuestion,
                "{name}: {error}"
            );
            assert_eq!((error.operation(), error.attempts()), (operation, 1));
            assert_eq!(upstream.requests().len(), count + 1, "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_of_the_call_is_in_an_error() {
    let secrets = ["canary-key-5c1d", "robert.zak", "hello", "Peterson", "741175", "someToken", "pkof394"];
    let echo = r#"{"Errors": ["robert.zak Peterson 741175 someToken pkof394 hello"], "IsSucceed": false}"#;
    let upstreams = [
        Upstream::json(200, echo).base_url(),
        Upstream::json(200, r#"{"Errors": 741175, "IsSucceed": true}"#).base_url(),
        Upstream::json(200, "<p>robert.zak Peterson 741175 someToken pkof394 hello</p>").base_url(),
        Upstream::json(500, r#"{"message": "robert.zak", "error": "741175"}"#).base_url(),
        Upstream::doing(|_| {}).base_url(),
        Upstream::nobody(),
    ];
    for base_url in upstreams {
        for operation in Operation::ALL {
            let error = call(&client(&base_url), operation).await.unwrap_err();
            let mut text = format!("{error} {error:?}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text += &format!(" {cause} {cause:?}");
                source = cause.source();
            }
            assert!(!error.to_string().contains('\n'));
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
}
