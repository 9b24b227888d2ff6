//! What a request costs that is refused: not much more than the smallest one, whatever it holds (D2).

use std::time::{Duration, Instant};

use autoshares_sdk::sandbox::Sandbox;
use axum::http::Method;

use crate::support::{CODE, JSON, PASSWORD, QUESTION, RESET, TestApp};

/// How many of the smallest requests a large one may cost. Without optimization each byte costs some times as much.
const MOST: u32 = if cfg!(debug_assertions) { 8 } else { 3 };
/// What the connection of a request costs, which is missing here: `cargo xtask bench` measured 19 µs for one that is refused, socket and all,
/// of which this test sees 4.
const CONNECTION: Duration = if cfg!(debug_assertions) { Duration::ZERO } else { Duration::from_micros(15) };

/// What one request takes: the least of many times, for whatever else the machine does only makes one longer. There is no socket, no log and
/// nothing to wait for, so that is the work.
async fn cost(
    app: &TestApp,
    method: &Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..400 {
        let body = body.to_owned();
        let began = Instant::now();
        let answered = app.send_from(Some("192.0.2.1"), method.clone(), target, headers, body).await;
        least = least.min(began.elapsed());
        assert!(answered.status.is_client_error(), "{answered:?}");
    }
    least
}

#[tokio::test]
async fn a_large_request_that_is_refused_costs_little_more_than_a_small_one() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.limits.resets_per_address = vec!["1/h".parse().unwrap()];
    });
    // The network has used up its resets.
    let reset = r#"{"User": "a"}"#;
    for _ in 0..2 {
        app.send_from(Some("192.0.2.1"), Method::POST, RESET, &[JSON], reset).await;
    }
    let smallest = cost(&app, &Method::POST, RESET, &[JSON], "").await;

    let fill = |unit: &str| unit.repeat(16_000 / unit.len());
    let user = |text: &str| format!(r#"{{"User": "{text}"}}"#);
    let header = fill(";");
    let cookies = format!("a={}", fill("__Host-password-reset=x;"));
    let stale: String = (0..120)
        .map(|_| format!("__Host-password-reset={};", app.seals.seal(&app.seals.new_handle())))
        .collect();
    let joined = fill(",");
    let some_joined = ",".repeat(64);
    let joined_headers = [vec![JSON], vec![("reset-flow", &*some_joined); 200]].concat();
    let (long_origin, labels) = (format!("{}://x", fill("a")), format!("https://{}example", fill("xn--a.")));
    let lists = format!(r#"{{"x": [{}0]}}"#, fill("0,"));
    let members: String = (0..1500).map(|number| format!(r#""{number}":0,"#)).collect();
    let query = format!("{QUESTION}?{}", fill("a&"));
    let encoded = format!("{QUESTION}?username={}", "%EF%B7%BA".repeat(1700));
    let media_type = format!("application/json;{}charset=utf-16", fill("a=b;"));
    let capitals = format!("/{}", fill("A"));
    let asked = fill("a,");
    let foreign = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let preflight = [&foreign[..], &[("access-control-request-headers", &asked)]].concat();
    let cases = [
        (
            "a login that grows when it is normalised",
            Method::POST,
            RESET,
            vec![JSON],
            user(&fill("\u{fdfa}")),
        ),
        ("a login of escapes", Method::POST, RESET, vec![JSON], user(&fill("\\ufdfa"))),
        (
            "a code that grows",
            Method::POST,
            CODE,
            vec![JSON],
            format!(r#"{{"Code": "{}"}}"#, fill("\u{fdfa}")),
        ),
        ("a long token", Method::PUT, PASSWORD, vec![JSON], format!(r#"{{"Token": "{}"}}"#, fill("x"))),
        ("a list", Method::POST, CODE, vec![JSON], lists),
        ("depth", Method::POST, CODE, vec![JSON], fill("[")),
        ("depth in a member", Method::POST, CODE, vec![JSON], format!(r#"{{"x": {}"#, fill("["))),
        ("many members", Method::POST, CODE, vec![JSON], format!("{{{members}")),
        ("white space", Method::POST, CODE, vec![JSON], fill(" ")),
        ("cookies of nothing", Method::POST, CODE, vec![JSON, ("cookie", &header)], "{}".to_owned()),
        ("many handles", Method::POST, CODE, vec![JSON, ("cookie", &cookies)], "{}".to_owned()),
        ("handles of no flow", Method::POST, CODE, vec![JSON, ("cookie", &stale)], "{}".to_owned()),
        ("a joined header", Method::POST, CODE, vec![JSON, ("reset-flow", &joined)], "{}".to_owned()),
        (
            "a media type of parameters",
            Method::POST,
            CODE,
            vec![("content-type", &media_type)],
            r#"{"Code": "000001"}"#.to_owned(),
        ),
        ("a path in capitals", Method::POST, &capitals, vec![JSON], reset.to_owned()),
        ("a preflight of headers", Method::OPTIONS, RESET, preflight, String::new()),
        ("joined headers", Method::POST, CODE, joined_headers, "{}".to_owned()),
        ("a long origin", Method::POST, CODE, vec![JSON, ("origin", &long_origin)], "{}".to_owned()),
        ("an origin of many labels", Method::POST, CODE, vec![JSON, ("origin", &labels)], "{}".to_owned()),
        ("many parameters", Method::GET, &query, vec![], String::new()),
        ("a long parameter", Method::GET, &encoded, vec![], String::new()),
    ];
    let mut dear = Vec::new();
    for (name, method, target, headers, body) in &cases {
        let cost = cost(&app, method, target, headers, body).await;
        println!("{:.1} times the smallest: {name}", cost.as_secs_f64() / smallest.as_secs_f64());
        if cost + CONNECTION > (smallest + CONNECTION) * MOST {
            dear.push((name, cost, smallest));
        }
    }
    assert!(dear.is_empty(), "{dear:?}");
}
