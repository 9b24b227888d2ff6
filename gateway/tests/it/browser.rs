//! `/docs` in a real browser: it shows, it is styled, it loads nothing from elsewhere, and its own policy lets it be.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use autoshares_gateway::server::Listener;
use autoshares_sdk::sandbox::Sandbox;
use axum::{Router, extract::Request, middleware::from_fn, response::Html, routing::get};
use tempfile::TempDir;

use crate::support::{TestApp, listener, serve};

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_show_in_a_browser_under_their_own_policy() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::with(&sandbox.client(), false);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let router = Router::new().fallback_service(app.router).layer(from_fn(
        move |request: Request, next: axum::middleware::Next| {
            kept.lock().unwrap().push(request.uri().to_string());
            next.run(request)
        },
    ));
    let listener = listener();
    let address = listener.address();
    tokio::spawn(serve(listener, router));

    let profile = tempfile::tempdir().unwrap();
    let screenshot = profile.path().join("docs.png");
    let run = |more: &[&str]| chromium(&profile, more, &format!("http://{address}/docs"));

    let (page, log) = run(&["--dump-dom"]);
    for text in
        ["Ask for a reset", "/v1.0/users/passwords/reset/", "SecretQuestionAnswer", "mayHaveBeenApplied"]
    {
        assert!(page.contains(text), "{text} missing in: {page}\n{log}");
    }
    let violations: Vec<_> = log.lines().filter(|line| line.contains("Content Security Policy")).collect();
    assert_eq!(violations, Vec::<&str>::new());

    run(&[&format!("--screenshot={}", screenshot.display())]);
    assert!(std::fs::metadata(&screenshot).unwrap().len() > 20_000, "a blank page makes a small picture");
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    asked.dedup();
    asked.retain(|target| target != "/favicon.ico");
    assert_eq!(asked, ["/docs", "/docs.css"]);
    // For whoever wants to look: the path is printed when asked for.
    if let Some(folder) = std::env::var_os("DOCS_SCREENSHOT") {
        std::fs::copy(&screenshot, folder).unwrap();
    }
}

/// Opens an address in a browser without a head; what it prints, and its log.
fn chromium(profile: &TempDir, more: &[&str], address: &str) -> (String, String) {
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    chromium.args([
        "--enable-logging=stderr",
        "--log-level=0",
        "--window-size=900,1400",
        "--hide-scrollbars",
    ]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    let output = chromium.args(more).arg(address).output();
    let output =
        output.expect("Chromium is not installed: `cargo xtask test` installs it, package `chromium`");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// A front end as it was written for Autoshares, key and all, that knows nothing of flows. `BASE` is where it calls, empty for its own origin;
/// `/code` stands for the trader's mailbox.
const FRONT_END: &str = r#"<!doctype html><title>Reset</title><pre id="told"></pre><script>
const told = (text) => document.getElementById("told").append(text + "\n");
const call = async (method, path, body) => {
  const headers = {"Content-Type": "application/json", "Et-App-Key": "the-old-key-of-the-bundle"};
  const answer = await fetch(BASE + path, {method, headers, body: body && JSON.stringify(body)});
  return answer.json();
};
(async () => {
  const user = "robert.zak";
  let answer = await call("POST", "/v1.0/users/password/reset", {User: user});
  told("1 " + answer.ErrorsCode);
  answer = await call("GET", "/v1.0/users/password/secret-question?username=" + user);
  told("2 " + answer.Model);
  answer = await call("POST", "/v1.0/users/password/reset", {User: user, SecretQuestionAnswer: "Peterson"});
  told("3 " + answer.Errors.length);
  const code = await (await fetch("/code")).text();
  answer = await call("POST", "/v1.0/users/password/reset/code", {Code: code});
  told("4 " + answer.IsSucceed);
  const update = {Token: answer.Model, Password: "from-a-browser", PasswordConfirmation: "from-a-browser"};
  answer = await call("PUT", "/v1.0/users/passwords/reset/", update);
  told("5 " + answer.IsSucceed + " cookie visible to scripts: " + document.cookie.includes("reset"));
})().catch((error) => told("failed: " + error));
</script>"#;

/// What a front end shows that went through.
const THROUGH: [&str; 5] = [
    "1 ErrorIncorrectAnswer",
    "2 What street did you live on in third grade?",
    "3 0",
    "4 true",
    "5 true cookie visible to scripts: false",
];

/// A page, and the mailbox beside it.
fn site(page: String, sandbox: &Arc<Sandbox>) -> Router {
    let mailbox = Arc::clone(sandbox);
    Router::new()
        .route("/app", get(async move || Html(page.clone())))
        .route("/code", get(async move || mailbox.outbox().pop().unwrap().code))
}

fn listen() -> (Listener, u16) {
    let listener = listener();
    let port = listener.address().port();
    (listener, port)
}

/// Opens a page and waits until its calls have ended.
async fn open(address: String) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let opened = tokio::task::spawn_blocking(move || {
        chromium(&profile, &["--dump-dom", "--virtual-time-budget=20000"], &address)
    });
    opened.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_front_end_on_the_same_origin_resets_a_password() {
    let sandbox = Arc::new(Sandbox::start().await.unwrap());
    let (listener, port) = listen();
    let origin = format!("http://localhost:{port}");
    let app = TestApp::guarded(&sandbox.client(), |config| config.public_origin.text.clone_from(&origin));
    let page = FRONT_END.replace("BASE + ", "");
    tokio::spawn(serve(listener, site(page, &sandbox).fallback_service(app.router.clone())));

    let (page, log) = open(format!("{origin}/app")).await;
    for line in THROUGH {
        assert!(page.contains(line), "{line} missing in: {page}\n{log}");
    }
    assert_eq!(sandbox.password_of("robert.zak").as_deref(), Some("from-a-browser"));
    assert!(app.metrics.text().contains("gateway_client_keys_total 5\n"));
}

/// What the README says of pages elsewhere: on another origin of the same site the cookie goes along when the page asks for that; on
/// another site it never does, and the header `Reset-Flow` takes its place. Both may send headers of a tracing library.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_go_through_when_they_are_listed() {
    let with_cookie = FRONT_END.replace("{method, headers,", "{method, headers, credentials: \"include\",");
    let with_header = FRONT_END
        .replace("const headers = {", "const headers = {...(handle && {\"Reset-Flow\": handle}), traceparent: \"00-1\", baggage: \"a=b\", ")
        .replace("  return answer.json();", "  handle = answer.headers.get(\"Reset-Flow\") || handle;\n  return answer.json();")
        .replace("const told =", "let handle;\nconst told =");
    // To a browser, 127.0.0.1 is another site than localhost.
    for (host, page, goes_through) in [
        ("localhost", &with_cookie, true),
        ("127.0.0.1", &with_cookie, false),
        ("127.0.0.1", &with_header, true),
        ("localhost", &with_header, true),
    ] {
        let sandbox = Arc::new(Sandbox::start().await.unwrap());
        let ((gateway, gateway_port), (pages, port)) = (listen(), listen());
        let (own, origin) = (format!("http://localhost:{gateway_port}"), format!("http://{host}:{port}"));
        let app = TestApp::guarded(&sandbox.client(), |config| {
            config.public_origin.text.clone_from(&own);
            config.allowed_origins = vec![origin.clone()];
        });
        tokio::spawn(serve(gateway, app.router.clone()));
        tokio::spawn(serve(pages, site(page.replace("BASE", &format!("\"{own}\"")), &sandbox)));
        let (page, log) = open(format!("{origin}/app")).await;
        assert!(page.contains(THROUGH[0]), "{host}: {page}\n{log}");
        let is_through = THROUGH.iter().all(|line| page.contains(line));
        assert_eq!(is_through, goes_through, "{host}: {page}\n{log}");
        assert_eq!(sandbox.password_of("robert.zak").is_some(), goes_through, "{host}");
    }
}
