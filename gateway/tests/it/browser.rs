//! `/docs` in a real browser: it shows, it is styled, it loads nothing from elsewhere, and its own policy lets it be.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use autoshares_gateway::server::{Listener, Stop};
use autoshares_sdk::sandbox::Sandbox;
use axum::{extract::Request, middleware::from_fn};

use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_show_in_a_browser_under_their_own_policy() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::with(&sandbox.client(), false);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let router = app.router.layer(from_fn(move |request: Request, next: axum::middleware::Next| {
        kept.lock().unwrap().push(request.uri().to_string());
        next.run(request)
    }));
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(router, Stop::new(), 32));

    let profile = tempfile::tempdir().unwrap();
    let screenshot = profile.path().join("docs.png");
    let run = |more: &[&str]| {
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
        chromium.args(more).arg(format!("http://{address}/docs"));
        let output = chromium.output();
        let output =
            output.expect("Chromium is not installed: `cargo xtask test` installs it, package `chromium`");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };

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
