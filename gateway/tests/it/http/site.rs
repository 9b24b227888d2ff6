//! Which pages may call, and which may read the answer.

use autoshares_sdk::{Operation, sandbox::Sandbox};
use axum::http::Method;

use crate::support::{DOCUMENTED, JSON, ORIGIN, QUESTION, RESET, TestApp};

const FRIEND: &str = "https://www.example.com";
const ANNA: &str = r#"{"User": "anna.lee"}"#;

async fn app(allowed: &[&str]) -> (Sandbox, TestApp) {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.allowed_origins = allowed.iter().map(ToString::to_string).collect();
    });
    (sandbox, app)
}

/// B1.
#[tokio::test]
async fn a_page_of_another_origin_may_not_call() {
    let (sandbox, app) = app(&[FRIEND]).await;
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
        &[("origin", ORIGIN), ("origin", "https://evil.example")],
        &[("origin", "http://localhost:8081")],
        &[("origin", "http://localhost.evil.example")],
        &[("origin", "https://www.example.com.evil.example")],
        &[("origin", "https://www.example.com:8443")],
        &[("origin", "http://www.example.com")],
        &[("origin", "HTTPS://WWW.EXAMPLE.COM")],
        &[("origin", "https://sub.www.example.com")],
    ] {
        for (method, target, body) in DOCUMENTED {
            if method == Method::GET {
                continue;
            }
            let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
            app.send(method, target, &headers, body).await.problem(403, "cross-site");
        }
    }
    assert_eq!(sandbox.received().len(), 0);
    for headers in [
        &[][..],
        &[("origin", ORIGIN)],
        &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")],
        &[("origin", FRIEND), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-site")],
    ] {
        let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
        assert_eq!(app.send(Method::POST, RESET, &headers, ANNA).await.status, 200, "{headers:?}");
    }
}

/// B2.
#[tokio::test]
async fn only_listed_origins_may_read_the_answer() {
    let (_sandbox, app) = app(&[FRIEND, "https://m.example.com"]).await;
    for origin in [FRIEND, "https://m.example.com"] {
        // Problems too, or a page could not show them.
        for (body, status) in [(ANNA, 200), ("{", 400)] {
            let answered = app.send(Method::POST, RESET, &[JSON, ("origin", origin)], body).await;
            assert_eq!(answered.status, status);
            assert_eq!(answered.headers["access-control-allow-origin"], origin);
            assert_eq!(answered.headers["access-control-allow-credentials"], "true");
            assert!(
                answered.headers["access-control-expose-headers"].to_str().unwrap().contains("Reset-Flow")
            );
            assert_eq!(answered.headers["vary"], "Origin");
        }
    }
    for headers in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", ORIGIN)],
        &[("origin", "https://www.example.com.evil.example")],
        &[("origin", FRIEND), ("origin", FRIEND)],
    ] {
        let target = format!("{QUESTION}?username=anna.lee");
        let answered = app.send(Method::GET, &target, headers, "").await;
        assert_eq!(answered.headers["vary"], "Origin", "whatever it was, it depends on the origin");
        let cors = answered.headers.keys().find(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors, None, "{headers:?}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins_on_existing_paths_alone() {
    let (sandbox, app) = app(&[FRIEND]).await;
    for (method, target, _) in DOCUMENTED {
        let headers = [("origin", FRIEND), ("access-control-request-method", method.as_str())];
        let answered = app.send(Method::OPTIONS, target, &headers, "").await;
        assert_eq!(answered.status, 204);
        assert_eq!(answered.headers["access-control-allow-origin"], FRIEND);
        assert_eq!(answered.headers["access-control-allow-methods"], method.as_str());
        let allowed = answered.headers["access-control-allow-headers"].to_str().unwrap();
        for name in ["Content-Type", "Reset-Flow", "Et-App-Key"] {
            assert!(allowed.contains(name), "{allowed}");
        }
        // The page may send what it likes.
        let asked = "content-type,traceparent,sentry-trace,baggage,x-requested-with,x-csrf-token";
        let headers = [headers[0], headers[1], ("access-control-request-headers", asked)];
        let answered = app.send(Method::OPTIONS, target, &headers, "").await;
        assert_eq!(answered.headers["access-control-allow-headers"], asked);
        let vary: Vec<_> = answered.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Access-Control-Request-Headers", "Origin"]);
        for headers in [
            &[("access-control-request-method", "POST")][..],
            &[("origin", FRIEND)],
            &[("origin", ORIGIN), ("access-control-request-method", "POST")],
        ] {
            let refused = app.send(Method::OPTIONS, target, headers, "").await;
            assert_eq!(refused.status, 405);
        }
        let headers = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
        let refused = app.send(Method::OPTIONS, target, &headers, "").await;
        let detail = refused.problem(403, "cross-site")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("`https://evil.example`") && detail.contains(FRIEND), "{detail}");
        assert!(!refused.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    }
    let headers = [("origin", FRIEND), ("access-control-request-method", "POST")];
    app.send(Method::OPTIONS, "/nowhere", &headers, "").await.problem(404, "not-found");
    assert_eq!(sandbox.received().len(), 0);
}

/// A refusal says which origin came, which are expected, and what to do.
#[tokio::test]
async fn a_refusal_names_the_origins() {
    let long = format!("https://{}.example", "long-label.".repeat(20));
    let cut = format!("`Origin` is `{}…`: open the page under", &long[..100]);
    for (allowed, headers, told) in [
        (
            &[][..],
            &[("origin", "https://evil.example")][..],
            "`Origin` is `https://evil.example`: open the page under `http://localhost`, or have its origin added to `allowed_origins`, which lists none",
        ),
        (
            &[FRIEND, "capacitor://localhost"],
            &[("origin", "ionic://localhost")],
            "`Origin` is `ionic://localhost`: open the page under `http://localhost`, or have its origin added to `allowed_origins`, which lists `https://www.example.com`, `capacitor://localhost`",
        ),
        (
            &[],
            &[("origin", "null")],
            "`Origin` is `null`, which every page in a sandbox and every file sends, whoever made it; open the page under `http://localhost`",
        ),
        (&[], &[("origin", "file://")], "`Origin` is `file://`, which no browser sends as an origin; open"),
        (
            &[FRIEND],
            &[("origin", "http://www.example.com")],
            "`Origin` is `http://www.example.com`, whose pages anybody on the way can change: use https; open",
        ),
        (&[], &[("origin", &*long)], &*cut),
        (&[], &[("origin", "https://josé.example")], "`Origin` is none that a browser sends:"),
        (&[], &[("origin", ORIGIN), ("origin", ORIGIN)], "the request has two `Origin` headers:"),
        (
            &[],
            &[("sec-fetch-site", "cross-site")],
            "the browser says `Sec-Fetch-Site: cross-site`, and names",
        ),
        (
            &[],
            &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
            "the browser says `Sec-Fetch-Site: cross-site`, although",
        ),
    ] {
        let (_sandbox, app) = app(allowed).await;
        let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
        let problem = app.send(Method::POST, RESET, &headers, ANNA).await.problem(403, "cross-site");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(told), "{detail}");
        assert_eq!(problem["Errors"].as_array().unwrap().len(), 1);
        assert!(!problem["Errors"][0].as_str().unwrap().contains("rigin"));
    }
}

/// A page of a hybrid app, whose origin has a scheme of its own, goes through a whole step.
#[tokio::test]
async fn a_hybrid_app_may_call_when_it_is_listed() {
    for origin in [
        "capacitor://localhost",
        "ionic://localhost",
        "app://broker",
        "https://localhost",
        "http://tauri.localhost",
    ] {
        let (sandbox, app) = app(&[origin]).await;
        let headers = [JSON, ("origin", origin), ("sec-fetch-site", "cross-site")];
        let answered = app.send(Method::POST, RESET, &headers, ANNA).await;
        assert_eq!((answered.status.as_u16(), sandbox.outbox().len()), (200, 1), "{origin}");
        assert_eq!(answered.headers["access-control-allow-origin"], origin);
    }
    // A browser expects its own spelling back.
    let (_sandbox, app) = app(&["capacitor://localhost"]).await;
    let headers = [JSON, ("origin", "capacitor://LocalHost")];
    let answered = app.send(Method::POST, RESET, &headers, ANNA).await;
    assert_eq!(answered.headers["access-control-allow-origin"], "capacitor://LocalHost");
}

#[tokio::test]
async fn without_listed_origins_no_answer_speaks_of_them() {
    let (sandbox, app) = app(&[]).await;
    let answered = app.send(Method::POST, RESET, &[JSON, ("origin", ORIGIN)], ANNA).await;
    assert_eq!(answered.status, 200);
    assert!(!answered.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    assert_eq!(sandbox.calls(Operation::RequestReset), 1);
}
