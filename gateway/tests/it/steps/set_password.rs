//! Step 4: a token is spent once, and only on a password that pleases.

use std::time::Duration;

use autoshares_gateway::flow::Stage;
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox, Shape},
};
use axum::http::Method;

use crate::{
    support::{JSON, PASSWORD, RESET, TestApp, client, on_sandbox, update},
    upstream::{Upstream, response},
};

/// A flow of anna.lee's whose code is redeemed: its handle and its token.
async fn redeemed(sandbox: &Sandbox, app: &TestApp) -> (String, String) {
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.redeem(&handle, &mail).await.model();
    (handle, token)
}

#[tokio::test]
async fn a_token_is_spent_once_also_at_once() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    sandbox.fail_times(Operation::SetPassword, Fault::Delay(Duration::from_millis(30)), 9);
    let set = || app.set_password(&handle, &token, "new-password");
    let (one, two, three) = tokio::join!(set(), set(), set());
    let done = [&one, &two, &three].into_iter().filter(|answered| answered.status == 200).count();
    assert_eq!(done, 1);
    set().await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::SetPassword), 1);
    let over = if one.status == 200 {
        one
    } else if two.status == 200 {
        two
    } else {
        three
    };
    let cookie = over.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-password-reset=; Max-Age=0; "), "{cookie}");
}

#[tokio::test]
async fn a_password_that_does_not_please_can_be_mended_up_to_five_times() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    // Too short is told here, and costs nothing.
    for _ in 0..9 {
        let problem = app.set_password(&handle, &token, "short").await.problem(400, "password-too-short");
        assert!(problem["detail"].as_str().unwrap().contains("8 characters or more"));
    }
    let weak = Fault::Refuse { errors: vec!["Password is too weak.".to_owned()], codes: vec![] };
    sandbox.fail_times(Operation::SetPassword, weak, 3);
    sandbox.fail_times(Operation::SetPassword, Fault::Answer(422, Shape::ValidationFailed), 1);
    for _ in 0..3 {
        let refused = app.set_password(&handle, &token, "new-password").await;
        assert_eq!(refused.body, r#"{"Errors":["Password is too weak."],"IsSucceed":false}"#);
    }
    let refused = app.set_password(&handle, &token, "new-password").await;
    assert_eq!(refused.problem(422, "validation-failed")["Errors"][0], "Password is required");
    let set = app.set_password(&handle, &token, "better-password").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    app.set_password(&handle, &token, "other-password").await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::SetPassword), 5);
}

#[tokio::test]
async fn after_five_passwords_that_do_not_please_the_flow_ends() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    let weak = Fault::Refuse { errors: vec!["Password is too weak.".to_owned()], codes: vec![] };
    sandbox.fail_times(Operation::SetPassword, weak, 5);
    for _ in 0..5 {
        let refused = app.set_password(&handle, &token, "new-password").await;
        assert_eq!(refused.body, r#"{"Errors":["Password is too weak."],"IsSucceed":false}"#);
    }
    app.set_password(&handle, &token, "better-password").await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::SetPassword), 5);
    // A step 1 begins a new one.
    let next = app.step(&handle, RESET, r#"{"User": "anna.lee"}"#).await.handle();
    assert_ne!(app.seals.open(&next), app.seals.open(&handle));
}

/// Whatever Autoshares lets pass, and before the token is spent.
#[tokio::test]
async fn a_password_that_is_easy_to_guess_can_be_refused() {
    let (sandbox, app) = on_sandbox(|config| config.password.min_strength = 3).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    for weak in ["password1", "qwertyuiop", &"a".repeat(256)] {
        let problem = app.set_password(&handle, &token, weak).await.problem(400, "password-easy-to-guess");
        assert!(problem["detail"].as_str().unwrap().contains("easy to guess"), "{problem}");
    }
    assert_eq!(sandbox.calls(Operation::SetPassword), 0);
    let set = app.set_password(&handle, &token, "correct horse battery staple").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// Autoshares' own words may hold its token or the key, in odd spellings and in pieces: then a neutral sentence stands in their place.
#[tokio::test]
async fn no_piece_of_the_token_or_the_key_comes_back() {
    let token = "ba6b8cac-6738-4434-bd26-825db020a05c";
    let upper = token.to_uppercase();
    let bare = token.replace('-', "");
    let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hexadecimal: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    for errors in [
        &[token][..],
        &[&upper],
        &[&bare],
        &["bad: ba6b8cac6738"],
        &[&token.replace('-', "%2d")],
        &[&percent],
        &[&hexadecimal],
        &["it begins with ba6b8", "cac-6738 and so on"],
        &["key C-A-N-A-R-Y-K-E-Y"],
        &["the key is canary", "-key-5c1"],
    ] {
        let accepted = format!(r#"{{"Model": "{token}", "Errors": [], "IsSucceed": true}}"#);
        let refused = serde_json::json!({"Errors": errors, "IsSucceed": false}).to_string();
        let upstream = Upstream::deciding(move |request| {
            response(200, &[], if request.starts_with("POST") { &accepted } else { &refused })
        });
        let app = TestApp::guarded(&client(&upstream.base_url()), |_| {});
        let handle = app.handle("anna.lee", Stage::LIVE).await;
        let sealed = app.redeem(&handle, "123456").await.model();
        let answered = app.set_password(&handle, &sealed, "new-password").await;
        assert_eq!(
            answered.body,
            r#"{"Errors":["The password was not accepted. Please start again."],"IsSucceed":false}"#,
            "{errors:?}"
        );
    }
}

#[tokio::test]
async fn a_token_whose_answer_never_came_is_not_replayed() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    sandbox.fail(Operation::SetPassword, Fault::HangUp);
    let lost = app.set_password(&handle, &token, "new-password").await;
    assert_eq!(lost.problem(502, "upstream-interrupted")["mayHaveBeenApplied"], true);
    sandbox.heal();
    app.set_password(&handle, &token, "new-password").await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::SetPassword), 1);
}

/// A refusal of Autoshares' that quotes its own token is not relayed.
#[tokio::test]
async fn the_real_token_does_not_get_out_in_a_refusal() {
    let upstream = Upstream::deciding(|request| {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let token = body.split('"').nth(3).unwrap().to_owned();
        let refused = format!(r#"{{"Errors": ["Token {token} has expired."], "IsSucceed": false}}"#);
        response(200, &[], &refused)
    });
    let answered = TestApp::new(&upstream.base_url()).documented(3).await;
    assert!(upstream.requests()[0].contains(crate::support::TOKEN));
    assert!(!answered.body.contains(crate::support::TOKEN), "{}", answered.body);
    assert!(answered.body.contains("was not accepted"));
}

#[tokio::test]
async fn tokens_of_others_are_passed_on_only_if_so_set() {
    for allowed in [false, true] {
        let (sandbox, app) = on_sandbox(|config| config.flow.foreign_tokens = allowed).await;
        let handle = app.reset("anna.lee").await.handle();
        for headers in [&[JSON, ("reset-flow", &*handle)][..], &[JSON]] {
            let answered =
                app.send(Method::PUT, PASSWORD, headers, update("from-login", "new-password")).await;
            if allowed {
                assert_eq!(answered.body, r#"{"Errors":["Token is invalid."],"IsSucceed":false}"#);
            } else {
                assert_eq!(answered.status, 403);
            }
        }
        assert_eq!(sandbox.calls(Operation::SetPassword), if allowed { 2 } else { 0 });
    }
}

/// Measuring takes processor time, so a flow has thirty of them.
#[tokio::test]
async fn passwords_are_not_measured_without_end() {
    let (sandbox, app) = on_sandbox(|config| config.password.min_strength = 3).await;
    let (handle, token) = redeemed(&sandbox, &app).await;
    for _ in 0..30 {
        app.set_password(&handle, &token, "password1").await.problem(400, "password-easy-to-guess");
    }
    app.set_password(&handle, &token, "correct horse battery staple").await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::SetPassword), 0);
}

/// Tokens that were issued elsewhere can be made up, so their network is charged as for codes.
#[tokio::test]
async fn a_network_may_try_so_many_tokens_of_others() {
    let (sandbox, app) = on_sandbox(|config| {
        config.flow.foreign_tokens = true;
        config.limits.codes_per_address = vec!["2/h".parse().unwrap()];
    })
    .await;
    for token in ["one", "two"] {
        let answered = app.set_password("", token, "new-password").await;
        assert_eq!(answered.body, r#"{"Errors":["Token is invalid."],"IsSucceed":false}"#);
    }
    app.set_password("", "three", "new-password").await.problem(429, "too-many-requests");
    assert_eq!(sandbox.calls(Operation::SetPassword), 2);
}
