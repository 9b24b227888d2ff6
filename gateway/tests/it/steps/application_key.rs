//! The application key: ours goes in, nobody else's does, and none comes out.

use autoshares_gateway::{config::Answers, telemetry::health::KeyState};
use autoshares_sdk::{Operation, sandbox::Fault};
use axum::http::Method;

use crate::{
    support::{DOCUMENTED, Gateway, JSON, KEY, ORIGIN, RESET, TestApp, client, http, replace, until},
    upstream::{Upstream, response},
};

const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;

fn spellings_of_key() -> Vec<String> {
    let hexadecimal: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = "Y2FuYXJ5LWtleS01YzFk".to_owned();
    let [some, html] = ["%2D", "&#x2d;"].map(|dash| KEY.replace('-', dash));
    vec![KEY.to_owned(), KEY.to_uppercase(), hexadecimal, percent, encoded, some, html]
}

#[tokio::test]
async fn a_key_that_upstream_echoes_does_not_get_out() {
    for spelling in spellings_of_key() {
        let bodies = [
            format!(r#"{{"Errors": ["bad key {spelling}"], "IsSucceed": false}}"#),
            format!(r#"{{"Errors": [], "ErrorsCode": ["{spelling}"], "IsSucceed": false}}"#),
            format!(r#"{{"Model": "{spelling}", "Errors": [], "IsSucceed": true}}"#),
            format!(r#"{{"Message": "x", "ModelState": {{"{spelling}": ["{spelling}"]}}}}"#),
            format!(r#"{{"message": "{spelling}", "error": "x"}}"#),
            format!(r#"{{"Errors": ["\u0063anary-key-5c1d {spelling}"], "IsSucceed": false}}"#),
            format!("<html>{spelling}</html>"),
        ];
        for body in bodies {
            let headers = [("X-Debug", spelling.as_str()), ("Content-Type", "application/json")];
            let upstream = Upstream::answering(response(200, &headers, &body));
            let app = TestApp::new(&upstream.base_url());
            for index in 0..DOCUMENTED.len() {
                let answered = app.documented(index).await;
                let out = format!("{:?} {}", answered.headers, answered.body).to_lowercase();
                for spelling in spellings_of_key() {
                    assert!(!out.contains(&spelling.to_lowercase()), "{spelling} in {out}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_with_its_old_key_works_and_its_key_goes_nowhere() {
    let spellings: [&[(&str, &str)]; 12] = [
        &[("Et-App-Key", "client-key")],
        &[("et-app-key", "client-key")],
        &[("ET-APP-KEY", "client-key")],
        &[("eT-aPP-kEY", "client-key")],
        &[("Et_App_Key", "client-key")],
        &[("et_app-key", "client-key")],
        &[("ET_APP_KEY", "client-key")],
        &[("Et-App-Key", "client-key"), ("Et-App-Key", "client-key-2")],
        &[("Et-App-Key", "client-key"), ("Et_App_Key", "client-key-2")],
        &[("Et-App-Key", "")],
        &[("Et-App-Key", "client-key"), ("Connection", "Et-App-Key")],
        &[("Et-App-Key", "client-key"), ("Connection", "close, et-app-key"), ("Keep-Alive", "client-key")],
    ];
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::new(&upstream.base_url());
    for (count, spelling) in spellings.into_iter().enumerate() {
        let mut headers = vec![JSON];
        headers.extend(spelling);
        let answered = app.send(Method::POST, RESET, &headers, DOCUMENTED[0].2).await;
        assert_eq!(answered.body, r#"{"Errors":[],"IsSucceed":false}"#);

        let request = upstream.requests().pop().unwrap().to_lowercase();
        assert!(!request.contains("client-key"), "{request}");
        let keys = request
            .lines()
            .filter(|line| line.replace('_', "-").starts_with("et-app-key"))
            .collect::<Vec<_>>();
        assert_eq!(keys, [format!("et-app-key: {KEY}")]);
        let counted = format!("gateway_client_keys_total {}\n", count + 1);
        assert!(app.metrics.text().contains(&counted), "{}", app.metrics.text());
    }
}

/// Whatever a client sends along, upstream sees the same head.
#[tokio::test]
async fn the_head_that_upstream_sees_is_the_gateways_own() {
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::new(&upstream.base_url());
    let headers = [
        JSON,
        ("cookie", "session=1"),
        ("authorization", "Bearer x"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
        ("user-agent", "Mozilla/5.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("host", "elsewhere.example"),
        ("origin", ORIGIN),
        ("referer", "https://elsewhere.example/?secret"),
        ("x-http-method-override", "DELETE"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("api-version", "9"),
    ];
    app.send(Method::POST, RESET, &headers, DOCUMENTED[0].2).await;
    let request = upstream.requests().pop().unwrap();
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").map(str::to_owned).collect();
    lines.sort();
    let mut expected = [
        "POST /api/v1.0/users/password/reset HTTP/1.1".to_owned(),
        "accept-encoding: identity".to_owned(),
        "accept: application/json".to_owned(),
        "content-length: 55".to_owned(),
        "content-type: application/json".to_owned(),
        format!("et-app-key: {KEY}"),
        format!("host: {}", upstream.address()),
        format!("user-agent: autoshares-sdk/{}", env!("CARGO_PKG_VERSION")),
    ];
    expected.sort();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_rejected_key_is_neutral_outside_and_loud_inside() {
    let rejected = r#"{"error": "Application key is not defined or does not exist"}"#;
    let more = r#"{"error": "Application key is not defined or does not exist", "message": "x", "IsSucceed": false}"#;
    for (status, body) in [(200, rejected), (401, rejected), (403, rejected), (500, rejected), (403, more)] {
        let upstream = Upstream::json(status, body);
        // Without limits there are no breakers, so each of the calls is forwarded.
        let app = TestApp::new(&upstream.base_url());
        assert_eq!(app.health.key_state(), KeyState::Untried);
        for index in 0..DOCUMENTED.len() {
            let answered = app.documented(index).await;
            let problem = answered.problem(503, "unavailable");
            assert_eq!(answered.headers["retry-after"], "5");
            assert_eq!(problem.get("mayHaveBeenApplied"), None);
            let out = format!("{:?} {}", answered.headers, answered.body).to_lowercase();
            for word in ["key", "application"] {
                assert!(!out.replace("content-type\": \"application/", "").contains(word), "{word} in {out}");
            }
        }
        assert_eq!(app.health.key_state(), KeyState::Rejected);
        assert!(app.metrics.text().contains("gateway_app_key_rejections_total 4\n"));
        assert!(app.metrics.text().contains("gateway_app_key_rejected 1\n"));
    }
}

/// Only the documented sentence raises the alarm, and nothing with an `error` passes for an acceptance.
#[tokio::test]
async fn another_error_is_no_rejected_key_and_no_acceptance() {
    for body in [
        r#"{"message": null, "error": "Unexpected server error"}"#,
        r#"{"error": "invalid_request", "Message": "The request is invalid."}"#,
        r#"{"message": "An error occurred", "error": "Unexpected server error", "IsSucceed": false}"#,
        r#"{"error": "invalid_request", "IsSucceed": false}"#,
    ] {
        let upstream = Upstream::json(500, body);
        let app = TestApp::quick(&client(&upstream.base_url()), |config| {
            config.flow.answers = Answers::Faithful;
        });
        for index in 0..DOCUMENTED.len() {
            assert_eq!(app.documented(index).await.status, 502, "{body}");
        }
        assert_eq!(app.health.key_state(), KeyState::Untried);
    }
}

/// In the binary, for the log line and the admin listener.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_of_a_rejected_key_and_of_its_return() {
    let sandbox = autoshares_sdk::sandbox::Sandbox::start().await.unwrap();
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &[], &[]);
    let ready =
        async || http().get(format!("{admin}/readyz?verbose")).send().await.unwrap().text().await.unwrap();
    let ask = async || {
        let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1);
        reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap().status().as_u16()
    };
    assert!(ready().await.contains("not tried yet"));

    assert_eq!(ask().await, 503);
    let line = gateway.wait_for("Autoshares rejects the application key");
    assert!(line.contains("ERROR") && line.contains("upstream.app_key_file"), "{line}");
    assert!(ready().await.contains(r#""status":"degraded""#));

    // Nobody is forwarded until a probe is answered, a few seconds later.
    sandbox.set_app_key(KEY);
    gateway.wait_for("Autoshares answers again");
    assert_eq!(ask().await, 200);
    let output = gateway.closed_output(&public).await;
    assert_eq!(output.matches("rejects the application key").count(), 1, "once, not for every request");
    assert!(ready().await.contains(r#""app_key":"accepted""#));
    assert!(!output.contains(KEY));
}

/// A new key is tried at once, and once: probes of a later outage keep their pace.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_hurries_no_later_probe() {
    let sandbox = autoshares_sdk::sandbox::Sandbox::builder().app_key("new-key-1111").start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "old-key-0000").unwrap();
    let (key_file, floor) = (format!("upstream.app_key_file={}", file.display()), "flow.floor=0s");
    let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &[&key_file, floor], &[]);
    let ask = async || {
        let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1);
        reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 503);
    std::fs::write(&file, "new-key-1111").unwrap();
    gateway.wait_for("Autoshares answers again");
    assert_eq!(ask().await, 200);
    sandbox.fail(Operation::RequestReset, Fault::Raw(503, vec![], "busy".to_owned()));
    assert_eq!(ask().await, 503);
    let before = sandbox.received().len();
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert!(sandbox.received().len() <= before + 1, "{} calls", sandbox.received().len() - before);
}

/// In the binary, for its environment.
#[tokio::test(flavor = "multi_thread")]
async fn proxy_variables_are_ignored() {
    let upstream = Upstream::json(200, ACCEPTED);
    let proxy = Upstream::json(200, ACCEPTED);
    let url = format!("http://{}", proxy.address());
    let variables: Vec<_> =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .into_iter()
            .map(|name| (name, url.as_str()))
            .chain([("NO_PROXY", ""), ("no_proxy", "")])
            .collect();
    let (_gateway, public, _) = Gateway::serve(&upstream.base_url(), &[], &variables);
    let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(DOCUMENTED[0].2);
    assert_eq!(reset.send().await.unwrap().status(), 200);
    assert_eq!((proxy.requests().len(), upstream.requests().len()), (0, 1));
}

/// K7: the key is replaced while requests come in all the time. None of them fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_under_load() {
    let sandbox = autoshares_sdk::sandbox::Sandbox::builder().app_key("old-key-0000").start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let replace = |key: &str| replace(&file, key);
    replace("old-key-0000");
    let settings = [
        format!("upstream.app_key_file={}", file.display()),
        "flow.floor=0s".to_owned(),
        "limits.enabled=false".to_owned(),
    ];
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &settings, &[]);

    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (stop, url, client) = (stop.clone(), format!("{public}{RESET}"), http());
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let reset = client.post(&url).header(JSON.0, JSON.1).body(r#"{"User": "anna.lee"}"#);
                    statuses.push(reset.send().await.unwrap().status().as_u16());
                }
                statuses
            })
        })
        .collect();
    // As long as it takes each of them to send a few.
    let pause = async || {
        let before = sandbox.received().len();
        until("load", || sandbox.received().len() > before + 30).await;
    };
    for (old, new) in [("old-key-0000", "new-key-1111"), ("new-key-1111", "new-key-2222")] {
        pause().await;
        sandbox.add_app_key(new);
        pause().await;
        replace(new);
        // With the old key in flight, for a call may have read the file just before.
        sandbox.set_app_key(new);
        let has_new_key = || {
            let last = sandbox.received().pop().unwrap();
            last.headers.contains(&("et-app-key".to_owned(), new.to_owned()))
        };
        until(&format!("a call with another key than {old}"), has_new_key).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut statuses = Vec::new();
    for load in load {
        statuses.extend(load.await.unwrap());
    }
    assert!(
        statuses.iter().all(|status| *status == 200),
        "{:?}",
        statuses.iter().filter(|status| **status != 200).count()
    );
    assert!(!gateway.closed_output(&public).await.contains("rejects the application key"));
}
