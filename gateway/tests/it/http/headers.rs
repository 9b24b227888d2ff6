//! What is on every answer, and what never is.

use axum::http::Method;

use crate::{
    support::{JSON, RESET, TestApp},
    upstream::{Upstream, response},
};

const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let upstream = Upstream::json(200, ACCEPTED);
    for https in [false, true] {
        let app = TestApp::at(&upstream.base_url(), https);
        let broken = TestApp::at(&Upstream::nobody(), https);
        let large = "x".repeat(17 * 1024);
        let answers = [
            app.documented(0).await,
            broken.documented(0).await,
            app.post(RESET, "{").await,
            app.post("/nowhere", "").await,
            app.send(Method::DELETE, RESET, &[], "").await,
            app.send(Method::POST, RESET, &[], "{}").await,
            app.send(Method::POST, RESET, &[JSON, ("x", &large)], "{}").await,
            app.send(Method::GET, "/docs", &[], "").await,
            app.send(Method::GET, "/openapi.json", &[], "").await,
        ];
        let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
        assert_eq!(statuses, [200, 503, 400, 404, 405, 415, 431, 200, 200]);
        for answer in answers {
            for (name, value) in [
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                let values: Vec<_> = answer.headers.get_all(name).iter().collect();
                assert_eq!(values, [value], "{name} on {}", answer.status);
            }
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
            assert_eq!(answer.headers.contains_key("strict-transport-security"), https);
            assert_eq!(answer.headers["x-request-id"].len(), 36);
        }
    }
}

#[tokio::test]
async fn the_api_has_the_strictest_policy() {
    let upstream = Upstream::json(200, ACCEPTED);
    let answered = TestApp::new(&upstream.base_url()).documented(0).await;
    assert_eq!(answered.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
}

#[tokio::test]
async fn nothing_of_the_head_of_upstream_passes() {
    let headers = [
        ("Content-Type", "application/json"),
        ("Set-Cookie", "session=1"),
        ("Server", "Microsoft-IIS/10.0"),
        ("X-Powered-By", "ASP.NET"),
        ("X-AspNet-Version", "4.0.30319"),
        ("Via", "1.1 proxy"),
        ("Keep-Alive", "timeout=5"),
        ("Upgrade", "h2c"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Request-Id", "upstream"),
    ];
    for body in [ACCEPTED, "<html>"] {
        let upstream = Upstream::answering(response(200, &headers, body));
        let answered = TestApp::new(&upstream.base_url()).documented(0).await;
        let mut names: Vec<_> = answered.headers.keys().map(ToString::to_string).collect();
        names.retain(|name| name != "set-cookie" && name != "reset-flow");
        names.sort();
        assert_eq!(
            names,
            [
                "cache-control",
                "content-length",
                "content-security-policy",
                "content-type",
                "cross-origin-resource-policy",
                "referrer-policy",
                "x-content-type-options",
                "x-frame-options",
                "x-request-id",
            ]
        );
        let cookies: Vec<_> = answered.headers.get_all("set-cookie").iter().collect();
        assert!(cookies.iter().all(|cookie| !cookie.to_str().unwrap().contains("session")), "{cookies:?}");
        assert_ne!(answered.headers["x-request-id"], "upstream");
    }
}

/// Over a socket, for the listener adds headers of its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_names_a_program_or_version() {
    let upstream = Upstream::json(200, ACCEPTED);
    let address = TestApp::new(&upstream.base_url()).listen();
    for target in [RESET, "/nowhere", "/docs", "/openapi.json"] {
        let answer = crate::support::http().get(format!("http://{address}{target}")).send().await.unwrap();
        let mut head = format!("{:?}", answer.headers()).to_ascii_lowercase();
        assert!(!answer.headers().contains_key("server") && !answer.headers().contains_key("x-powered-by"));
        if target != "/docs" && target != "/openapi.json" {
            head += &answer.text().await.unwrap().to_ascii_lowercase();
        }
        for banner in ["hyper", "axum", "rust", env!("CARGO_PKG_VERSION")] {
            assert!(!head.contains(banner), "{banner} in {head}");
        }
    }
}
