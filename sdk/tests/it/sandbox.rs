//! The sandbox behaves like Autoshares, and shows the faults that a test sets.

use std::time::{Duration, Instant};

use autoshares_sdk::{
    AppKey, Client, Error, ErrorKind, Operation, ResetRequested, Unreadable,
    sandbox::{Fault, Sandbox, Shape, Trader},
};

#[tokio::test]
async fn a_trader_with_a_question_resets_a_password() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = sandbox.client().without_retries();
    let login = "robert.zak".into();

    let asked = client.request_reset(&login, None).await.unwrap();
    assert!(matches!(*asked, ResetRequested::AnswerNeeded(_)), "{asked:?}");
    let question = client.fetch_question(&login).await.unwrap().into_inner().unwrap();
    assert_eq!(question.expose(), "What street did you live on in third grade?");
    let asked = client.request_reset(&login, Some(&"Peterson".into())).await.unwrap();
    assert!(matches!(*asked, ResetRequested::Accepted(_)), "{asked:?}");

    let mail = sandbox.outbox().pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.code.len()), ("robert.zak@example.com", 6));
    let token = client.redeem_code(&mail.code.as_str().into()).await.unwrap();
    client.set_password(&token, &"new-password".into()).await.unwrap();
    assert_eq!(sandbox.password_of("robert.zak").as_deref(), Some("new-password"));

    let again = client.set_password(&token, &"another".into()).await.unwrap_err();
    assert!(matches!(again.kind(), ErrorKind::Refused(_)), "a token is spent: {again}");
    assert_eq!(Operation::ALL.map(|operation| sandbox.calls(operation)), [2, 1, 1, 2]);
}

#[tokio::test]
async fn own_traders_keys_and_lifetimes_can_be_set() {
    let sandbox = Sandbox::builder()
        .app_key("another-key")
        .trader(Trader::new("eve").email("eve@example.org").question("Pet?", "Rex"))
        .code_lifetime(Duration::ZERO)
        .start()
        .await
        .unwrap();
    let client = sandbox.client().without_retries();
    let asked = client.request_reset(&"eve@example.org".into(), Some(&"Rex".into())).await.unwrap();
    assert!(matches!(*asked, ResetRequested::Accepted(_)), "{asked:?}");
    let mail = sandbox.outbox().pop().unwrap();
    assert_eq!(mail.login, "eve");
    let error = client.redeem_code(&mail.code.as_str().into()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Refused(_)), "the code is dead: {error}");
    assert!(client.request_reset(&"nobody".into(), None).await.is_err());
}

#[tokio::test]
async fn the_key_is_checked_and_can_change() {
    let sandbox = Sandbox::start().await.unwrap();
    let wrong =
        Client::builder(sandbox.base_url()).app_key(AppKey::new("wrong-key").unwrap()).build().unwrap();
    let error = wrong.fetch_question(&"anna.lee".into()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyRejected), "{error}");
    sandbox.set_app_key("wrong-key");
    assert!(wrong.fetch_question(&"anna.lee".into()).await.unwrap().is_none());
}

#[tokio::test]
async fn every_fault_is_what_it_says() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = sandbox.client().without_retries();
    let refuse = Fault::Refuse { errors: vec!["no".into()], codes: vec!["No".into()] };
    let raw = Fault::Raw(200, vec![("x-test".into(), "1".into())], "{}".into());
    type Expect = fn(&Error) -> bool;
    let faults: [(Fault, Expect); 11] = [
        (refuse, |error| matches!(error.kind(), ErrorKind::Refused(_))),
        (Fault::HangUp, |error| matches!(error.kind(), ErrorKind::MaybeSent)),
        (Fault::Truncate, |error| matches!(error.kind(), ErrorKind::MaybeSent)),
        (Fault::Html(502), |error| matches!(error.kind(), ErrorKind::Failed)),
        (Fault::Html(503), |error| matches!(error.kind(), ErrorKind::TurnedAway)),
        (Fault::Html(200), |error| matches!(error.kind(), ErrorKind::Unreadable(Unreadable::NotJson { .. }))),
        (Fault::Redirect(307, "http://127.0.0.1:1/".into()), |error| {
            matches!(error.kind(), ErrorKind::Unreadable(Unreadable::Redirect))
        }),
        (Fault::Answer(500, Shape::ServerFailed), |error| {
            error.status() == Some(500) && matches!(error.kind(), ErrorKind::Failed)
        }),
        (Fault::Answer(204, Shape::Empty), |error| {
            matches!(error.kind(), ErrorKind::Unreadable(Unreadable::Empty))
        }),
        (Fault::KeyRejected, |error| matches!(error.kind(), ErrorKind::KeyRejected)),
        (raw, |error| matches!(error.kind(), ErrorKind::Unreadable(Unreadable::UnknownShape { size: 2 }))),
    ];
    let count = faults.len();
    for (fault, expect) in faults {
        sandbox.fail(Operation::RedeemCode, fault.clone());
        let error = client.redeem_code(&"000000".into()).await.unwrap_err();
        assert!(expect(&error), "{fault:?}: {error}");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), count);

    sandbox.fail_times(Operation::FetchQuestion, Fault::Html(503), 1);
    assert!(client.fetch_question(&"anna.lee".into()).await.is_err());
    assert!(client.fetch_question(&"anna.lee".into()).await.is_ok(), "a fault can be for a number of calls");

    // Faults that are set one after the other take effect in that order.
    sandbox.heal();
    sandbox.fail_times(Operation::FetchQuestion, Fault::Html(503), 2);
    sandbox.fail_times(Operation::FetchQuestion, Fault::HangUp, 1);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let error = client.fetch_question(&"anna.lee".into()).await.err();
        statuses.push(error.map(|error| error.status()));
    }
    assert_eq!(statuses, [Some(Some(503)), Some(Some(503)), Some(None), None]);

    sandbox.fail(Operation::FetchQuestion, Fault::Delay(Duration::from_millis(60)));
    let started = Instant::now();
    assert!(client.fetch_question(&"anna.lee".into()).await.is_ok());
    assert!(started.elapsed() >= Duration::from_millis(60));
    sandbox.heal();
    assert!(client.redeem_code(&"000000".into()).await.is_err());
}

#[tokio::test]
async fn what_arrived_is_kept() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.client().redeem_code(&"741175".into()).await.unwrap_err();
    let received = sandbox.received().pop().unwrap();
    assert_eq!((received.method.as_str(), received.body.as_str()), ("POST", r#"{"Code":"741175"}"#));
    assert_eq!(received.target, "/api/v1.0/users/password/reset/code");
    let keys: Vec<_> = received.headers.iter().filter(|(name, _)| name == "et-app-key").collect();
    assert_eq!(keys, [&("et-app-key".to_owned(), "sandbox-key".to_owned())]);
}

/// A copy of the test in the README: a doc test compiles a `#[tokio::test]` function but does not run it.
#[tokio::test]
async fn a_code_that_may_be_spent_is_not_sent_twice() {
    let sandbox =
        Sandbox::builder().trader(Trader::new("eve").question("Pet?", "Rex")).start().await.unwrap();
    let client = sandbox.client();

    let asked = client.request_reset(&"eve".into(), Some(&"Rex".into())).await.unwrap();
    assert!(matches!(*asked, ResetRequested::Accepted(_)));
    let code = sandbox.outbox().pop().unwrap().code;
    sandbox.fail(Operation::RedeemCode, Fault::HangUp);
    let error = client.redeem_code(&code.into()).await.unwrap_err();
    assert!(error.may_have_been_applied());
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
}

#[tokio::test]
async fn an_accepted_reset_takes_as_long_as_its_mail() {
    let mail_time = Duration::from_secs(2);
    let sandbox = Sandbox::builder().mail_time(mail_time).start().await.unwrap();
    let took = async |login: &str| {
        let started = Instant::now();
        let _ = sandbox.client().request_reset(&login.into(), None).await;
        started.elapsed()
    };
    assert!(took("anna.lee").await >= mail_time);
    assert!(took("nobody").await < mail_time);
}

#[tokio::test]
async fn two_keys_are_taken_while_one_is_replaced() {
    let sandbox = Sandbox::start().await.unwrap();
    let old = sandbox.client();
    sandbox.add_app_key("another-key");
    let ask = async || old.fetch_question(&"anna.lee".into()).await;
    assert!(ask().await.is_ok());
    sandbox.set_app_key("another-key");
    assert!(matches!(ask().await.unwrap_err().kind(), ErrorKind::KeyRejected));
}

/// Every fault that the README lists, set over HTTP as a test in another language would.
#[tokio::test]
async fn faults_are_set_over_http() {
    let sandbox = Sandbox::start().await.unwrap();
    // Reqwest asks for TLS to be set up even when nobody speaks it.
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
    let put = async |path: &str, fault: &str| {
        let sent = http.put(format!("{}/{path}", sandbox.faults_url())).body(fault.to_owned()).send().await;
        let reply = sent.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    let client = sandbox.client().without_retries();
    let redeem = async || client.redeem_code(&"741175".into()).await.unwrap_err();
    let readme = include_str!("../../README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `{\"") || line.starts_with("| `\""));
    let faults: Vec<_> = rows
        .flat_map(|row| {
            row.split('|').nth(1).unwrap().split("`, `").map(|fault| fault.trim_matches([' ', '`']))
        })
        .collect();
    assert_eq!(faults.len(), 9, "{faults:?}");
    for fault in &faults {
        assert_eq!(put("redeem_code", fault).await, (204, String::new()), "{fault}");
        if !fault.contains("delay") {
            redeem().await;
        }
    }
    let shapes = readme.split("of a known shape: ").nth(1).unwrap().lines().next().unwrap();
    for shape in shapes.trim_matches([' ', '|', '`']).split("`, `") {
        assert_eq!(
            put("redeem_code", &format!("{{\"answer\": [500, \"{shape}\"]}}")).await.0,
            204,
            "{shape}"
        );
    }

    put("redeem_code", "{\"html\": 502}").await;
    assert_eq!((redeem().await.status(), redeem().await.status()), (Some(502), Some(502)));
    put("redeem_code?calls=1", "{\"html\": 504}").await;
    assert_eq!((redeem().await.status(), redeem().await.status()), (Some(504), Some(502)));
    // What HTTP does not allow comes from Rust alone.
    let framed = [("Content-Length", "7"), ("Transfer-Encoding", "chunked")]
        .map(|(name, value)| (name.into(), value.into()));
    sandbox.fail_times(Operation::RedeemCode, Fault::Raw(101, framed.to_vec(), "{}".into()), 1);
    assert_eq!(redeem().await.status(), Some(500), "a status that ends no reply becomes 500");
    put("redeem_code?calls=1", "{\"html\": 204}").await;
    put(
        "redeem_code?calls=1",
        "{\"raw\": [200, [[\"Set-Cookie\", \"a=1\"], [\"Set-Cookie\", \"b=2\"]], \"{}\"]}",
    )
    .await;
    let direct = async || {
        let url = format!("{}/v1.0/users/password/reset/code", sandbox.base_url());
        http.post(url).send().await.unwrap()
    };
    let empty = direct().await;
    assert_eq!((empty.status().as_u16(), empty.headers().get("content-length")), (204, None));
    assert_eq!(direct().await.headers().get_all("set-cookie").iter().count(), 2);
    let healed = http.delete(format!("{}/redeem_code", sandbox.faults_url())).send().await.unwrap();
    assert_eq!(healed.status(), 204);
    assert!(matches!(redeem().await.kind(), ErrorKind::Refused(_)));
    put("redeem_code?calls=1", "\"key_rejected\"").await;
    assert!(matches!(redeem().await.kind(), ErrorKind::KeyRejected));
    assert!(matches!(redeem().await.kind(), ErrorKind::Refused(_)));
    put("redeem_code", "\"hang_up\"").await;
    put("set_password", "\"hang_up\"").await;
    assert_eq!(http.delete(sandbox.faults_url()).send().await.unwrap().status(), 204);
    assert!(matches!(redeem().await.kind(), ErrorKind::Refused(_)));

    for (path, fault, status, told) in [
        (
            "redeem",
            "\"hang_up\"",
            404,
            "`redeem` is no operation; there are `request_reset`, `fetch_question`",
        ),
        ("redeem_code", "\"explode\"", 400, "there is no such fault: send one like `{\\\"delay\\\""),
        ("redeem_code", "[]", 400, "there is no such fault"),
        ("redeem_code", "{\"html\": 502, \"delay\": \"1s\"}", 400, "there is no such fault"),
        (
            "redeem_code",
            "{\"delay\": 2}",
            400,
            "`delay` is not given as it has to be: send it like `{\\\"delay\\\": \\\"1500ms\\\"}`",
        ),
        ("redeem_code", "{\"delay\": \"soon\"}", 400, "`delay` is not given as it has to be"),
        ("redeem_code", "{\"html\": 99}", 400, "`html` is not given as it has to be"),
        ("redeem_code", "{\"html\": 100}", 400, "with a status from 200 to 599"),
        ("redeem_code", "{\"html\": 1000}", 400, "with a status from 200 to 599"),
        ("redeem_code", "{\"hang_up\": 1}", 400, "`hang_up` is not given as it has to be"),
        ("redeem_code", "{\"refuse\": {\"error\": [\"No.\"]}}", 400, "`refuse` is not given as it has to be"),
        ("redeem_code", "{\"answer\": [500, \"broken\"]}", 400, "the README of the SDK lists the shapes"),
        ("redeem_code", "{\"redirect\": [307, \"a\\nb\"]}", 400, "`redirect` is not given"),
        ("redeem_code", "{\"raw\": [200, [[\"Content-Length\", \"7\"]], \"\"]}", 400, "`raw` is not given"),
        ("redeem_code", "{\"raw\": [200, [[\"a b\", \"7\"]], \"\"]}", 400, "`raw` is not given"),
        ("redeem_code?calls=two", "\"hang_up\"", 400, "`?calls=two` is not known: send `?calls=1`"),
        ("redeem_code?calls=0", "\"hang_up\"", 400, "`?calls=0` is not known"),
        ("redeem_code?Calls=1", "\"hang_up\"", 400, "`?Calls=1` is not known"),
        ("redeem_code?times=3", "\"hang_up\"", 400, "`?times=3` is not known"),
        ("redeem_code?calls=1&times=3", "\"hang_up\"", 400, "is not known"),
        ("redeem_code", "", 400, "the fault is not JSON"),
        ("redeem_code", "{html: 502}", 400, "the fault is not JSON"),
        ("redeem_code", &"x".repeat(70_000), 413, "the fault is longer than 65536 bytes"),
    ] {
        let (got, text) = put(path, fault).await;
        assert!(got == status && text.contains(told), "{path} {fault}: {got} {text}");
    }
    assert!(matches!(redeem().await.kind(), ErrorKind::Refused(_)), "a bad fault changes nothing");
    let some = format!("{}/redeem_code", sandbox.faults_url());
    let refused = http.delete(format!("{some}?calls=1")).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    for (url, told) in [(sandbox.faults_url(), "send DELETE, or PUT with"), (some, "send PUT or DELETE")] {
        let refused = http.post(url).send().await.unwrap();
        assert_eq!(refused.status(), 405);
        assert!(refused.text().await.unwrap().contains(told));
    }
}
