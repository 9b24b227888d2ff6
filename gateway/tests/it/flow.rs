//! The flow: bound to who began it, counted, never replayed.

use std::time::{Duration, SystemTime};

use autoshares_gateway::{
    app::Parts,
    config::Binding,
    flow::key_ring::{KeyRing, Purpose, Secrets},
    flow::{Flow, Flows, Stage},
};
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox, Shape},
};
use axum::http::Method;
use tokio::task::JoinSet;

use crate::{
    services::Server,
    support::{CODE, JSON, ORIGIN, PASSWORD, QUESTION, RESET, TestApp, WRONG, code, update},
    upstream::Upstream,
};

const ANNA: &str = r#"{"User": "anna.lee"}"#;

async fn app(change: impl FnOnce(&mut Parts)) -> (Sandbox, TestApp) {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |parts| {
        parts.flow.floor = Duration::ZERO;
        parts.limits.codes_per_address = vec!["1000/h".parse().unwrap()];
        parts.limits.codes_per_login = vec!["1000/h".parse().unwrap()];
        parts.limits.resets_per_address = vec!["1000/h".parse().unwrap()];
        change(parts);
    });
    (sandbox, app)
}

/// C1.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_wrong_codes_at_once_five_go_on() {
    let (sandbox, app) = app(|_| {}).await;
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(50)));
    let handle = app.post(RESET, ANNA).await.handle();
    let mut tries = JoinSet::new();
    for guess in 0..50 {
        let (router, handle) = (app.router.clone(), handle.clone());
        let app =
            TestApp { router, metrics: app.metrics.clone(), health: app.health.clone(), flows: flows() };
        tries.spawn(async move { app.step(&handle, CODE, code(&format!("{guess:06}"))).await.body });
    }
    assert!(tries.join_all().await.iter().all(|body| body == WRONG));
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

fn flows() -> Flows {
    Flows::new(KeyRing::new(&Secrets::random(), ORIGIN), std::sync::Arc::default())
}

/// C2.
#[tokio::test(flavor = "multi_thread")]
async fn of_eight_right_codes_at_once_one_succeeds() {
    let (sandbox, app) = app(|_| {}).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(50)));
    let mut tries = JoinSet::new();
    for _ in 0..8 {
        let (router, handle, mail) = (app.router.clone(), handle.clone(), mail.clone());
        let app =
            TestApp { router, metrics: app.metrics.clone(), health: app.health.clone(), flows: flows() };
        tries.spawn(async move { app.step(&handle, CODE, code(&mail)).await.body });
    }
    let bodies = tries.join_all().await;
    assert_eq!(bodies.iter().filter(|body| body.contains("\"Model\"")).count(), 1, "{bodies:?}");
    assert_eq!(bodies.iter().filter(|body| *body == WRONG).count(), 7);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
}

/// C4.
#[tokio::test]
async fn steps_that_are_skipped_or_out_of_order_go_nowhere() {
    let (sandbox, app) = app(|_| {}).await;
    let question = format!("{QUESTION}?username=robert.zak");
    let flow = |stage| app.flows.begin(app.flows.login(&"robert.zak".into()), stage);
    let asked = flow(Stage::Question);
    let token = app.flows.seal_token(Some(asked.id), &"t".into(), SystemTime::now() + Duration::from_secs(1));
    let with = [Stage::Question, Stage::Decoy, Stage::Live, Stage::Dead]
        .map(|stage| (stage, app.seal(&flow(stage))));
    let update = update(&token, "new-password");
    for target in [&question, CODE, PASSWORD] {
        let body = if target == CODE { code("123456") } else { update.clone() };
        let method = if target == CODE { Method::POST } else { Method::PUT };
        let method = if *target == *question { Method::GET } else { method };
        for handle in ["", "garbage", &"A".repeat(114)] {
            let headers = [JSON, ("reset-flow", handle)];
            app.send(method.clone(), target, &headers, body.clone()).await.problem(403, "flow-required");
        }
        app.send(method, target, &[JSON], body).await.problem(403, "flow-required");
    }
    for (stage, handle) in &with {
        let early = matches!(stage, Stage::Question | Stage::Decoy);
        if early {
            app.step(handle, CODE, code("123456")).await.problem(403, "flow-required");
            app.step(handle, PASSWORD, update.clone()).await.problem(403, "flow-required");
        } else {
            app.step(handle, &question, "").await.problem(403, "flow-required");
            // A token of another flow.
            app.step(handle, PASSWORD, update.clone()).await.problem(403, "token-invalid");
        }
    }
    // Another trader's question.
    let other = format!("{QUESTION}?username=anna.lee");
    app.step(&app.seal(&asked), &other, "").await.problem(403, "flow-required");
    assert_eq!(sandbox.received().len(), 0);
    assert!(app.step(&app.seal(&asked), &question, "").await.body.contains("third grade"));
}

/// C5.
#[tokio::test]
async fn a_flow_is_over_after_ten_minutes() {
    // With counters that are older than the flow.
    let redis = Server::redis(&[]);
    let (): () = redis.ask(&["SET", "password-reset:{all}:epoch", "1"]);
    let (sandbox, app) = app(|parts| parts.store.redis = Some(redis.client())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let flow = app.flows.begin(app.flows.login(&"anna.lee".into()), Stage::Live);
    let aged = |seconds| app.flows.seal(&flow, SystemTime::now() - Duration::from_secs(seconds));
    app.step(&aged(601), CODE, code("123456")).await.problem(403, "flow-required");
    let future = app.flows.seal(&flow, SystemTime::now() + Duration::from_secs(60));
    app.step(&future, CODE, code("123456")).await.problem(403, "flow-required");
    assert_eq!(sandbox.received().len(), 0);
    assert_eq!(app.step(&aged(590), CODE, code("123456")).await.body, WRONG);
}

/// C6: refused before any budget, so any number of them costs nothing.
#[tokio::test]
async fn what_is_not_six_digits_is_no_code() {
    let (sandbox, app) = app(|parts| parts.limits.codes_per_address = vec!["3/h".parse().unwrap()]).await;
    let handle = app.post(RESET, ANNA).await.handle();
    for bad in
        ["12345", "1234567", "12345a", "１２３４５６", " 123456", "123456 ", "+12345", "12 456", "-12345"]
    {
        let problem = app.step(&handle, CODE, code(bad)).await.problem(400, "invalid-body");
        assert!(problem["detail"].as_str().unwrap().contains("six digits"), "{problem}");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 0);
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.step(&handle, CODE, code(&mail)).await.body.contains("\"Model\""));
}

/// C8: with counters in memory a restart forgets the tries, so it forgets the flows as well, also with keys from a file.
#[tokio::test]
async fn a_restart_grants_no_fresh_tries() {
    let sandbox = Sandbox::start().await.unwrap();
    let keys = Secrets::random();
    let start = || {
        TestApp::guarded(&sandbox.client(), |parts| {
            parts.flow.floor = Duration::ZERO;
            parts.flow.keys = keys.clone();
        })
    };
    let app = start();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let handle = app.post(RESET, ANNA).await.handle();
    for guess in 0..5 {
        assert_eq!(app.step(&handle, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    let again = start();
    for guess in 5..9 {
        again.step(&handle, CODE, code(&format!("{guess:06}"))).await.problem(403, "flow-required");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

/// B3.
#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let (_sandbox, app) = app(|_| {}).await;
    let answered = app.post(RESET, ANNA).await;
    let cookies: Vec<_> = answered.headers.get_all("set-cookie").iter().collect();
    let handle = answered.handle();
    assert_eq!(
        cookies,
        [format!("__Host-password-reset={handle}; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Strict")
            .as_str()]
    );
    // Either one will do.
    let cookie = format!("a=b; __Host-password-reset={handle}");
    let answered = app.send(Method::POST, CODE, &[JSON, ("cookie", &cookie)], code("000000")).await;
    assert_eq!(answered.body, WRONG);
}

/// B4.
#[tokio::test]
async fn a_handle_that_was_changed_or_made_for_something_else_is_none() {
    let (sandbox, app) = app(|_| {}).await;
    let answered = app.post(RESET, ANNA).await;
    let handle = answered.handle();
    for index in 0..handle.len() {
        let mut changed = handle.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        app.step(&changed, CODE, code("123456")).await.problem(403, "flow-required");
    }
    let secrets = Secrets::random();
    let sandbox_client = sandbox.client();
    let app = TestApp::guarded(&sandbox_client, |parts| parts.flow.keys = secrets.clone());
    let elsewhere =
        Flows::new(KeyRing::new(&secrets, "https://elsewhere.example"), std::sync::Arc::default());
    let flow = app.flows.begin(app.flows.login(&"anna.lee".into()), Stage::Live);
    let soon = SystemTime::now() + Duration::from_secs(1);
    let token = app.flows.seal_token(Some(flow.id), &"token".into(), soon);
    let forged = app.flows.ring().seal(Purpose::Handle, &[9; 57]);
    for other in [elsewhere.seal(&flow, soon), token.clone(), forged] {
        app.step(&other, CODE, code("123456")).await.problem(403, "flow-required");
    }
    // A handle is no token either.
    let handle = app.seal(&flow);
    app.step(&handle, PASSWORD, update(&handle, "new-password")).await.problem(403, "token-invalid");
    let forged = app.flows.ring().seal(Purpose::Token, b"short");
    app.step(&handle, PASSWORD, update(&forged, "new-password")).await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::RedeemCode) + sandbox.calls(Operation::SetPassword), 0);
}

#[tokio::test]
async fn a_token_is_spent_once_also_at_once() {
    let (sandbox, app) = app(|_| {}).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.step(&handle, CODE, code(&mail)).await.model();
    sandbox.fail_times(Operation::SetPassword, Fault::Delay(Duration::from_millis(30)), 9);
    let set = || app.step(&handle, PASSWORD, update(&token, "new-password"));
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
    let (sandbox, app) = app(|_| {}).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.step(&handle, CODE, code(&mail)).await.model();
    // Too short is told here, and costs nothing.
    for _ in 0..9 {
        let problem = app.step(&handle, PASSWORD, update(&token, "short")).await.problem(400, "invalid-body");
        assert!(problem["detail"].as_str().unwrap().contains("8 characters or more"));
    }
    let weak = Fault::Refuse { errors: vec!["Password is too weak.".to_owned()], codes: vec![] };
    sandbox.fail_times(Operation::SetPassword, weak, 3);
    sandbox.fail_times(Operation::SetPassword, Fault::Answer(422, Shape::ValidationFailed), 1);
    for _ in 0..3 {
        let refused = app.step(&handle, PASSWORD, update(&token, "new-password")).await;
        assert_eq!(refused.body, r#"{"Errors":["Password is too weak."],"IsSucceed":false}"#);
    }
    let refused = app.step(&handle, PASSWORD, update(&token, "new-password")).await;
    assert_eq!(refused.problem(422, "validation-failed")["Errors"][0], "Password is required");
    let set = app.step(&handle, PASSWORD, update(&token, "better-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    app.step(&handle, PASSWORD, update(&token, "other-password")).await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::SetPassword), 5);
}

/// Whatever Autoshares lets pass, and before the token is spent.
#[tokio::test]
async fn a_password_that_is_easy_to_guess_can_be_refused() {
    let (sandbox, app) = app(|parts| parts.flow.password.min_strength = 3).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.step(&handle, CODE, code(&mail)).await.model();
    for weak in ["password1", "qwertyuiop", &"a".repeat(8000)] {
        let problem = app.step(&handle, PASSWORD, update(&token, weak)).await.problem(400, "invalid-body");
        assert!(problem["detail"].as_str().unwrap().contains("easy to guess"), "{problem}");
    }
    assert_eq!(sandbox.calls(Operation::SetPassword), 0);
    let set = app.step(&handle, PASSWORD, update(&token, "correct horse battery staple")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

#[tokio::test]
async fn a_token_whose_answer_never_came_is_not_replayed() {
    let (sandbox, app) = app(|_| {}).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.step(&handle, CODE, code(&mail)).await.model();
    sandbox.fail(Operation::SetPassword, Fault::HangUp);
    let lost = app.step(&handle, PASSWORD, update(&token, "new-password")).await;
    assert_eq!(lost.problem(502, "upstream-interrupted")["mayHaveBeenApplied"], true);
    sandbox.heal();
    app.step(&handle, PASSWORD, update(&token, "new-password")).await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::SetPassword), 1);
}

/// Nothing is lost while Autoshares does not look at what is sent: the same code and the same token work afterwards.
#[tokio::test]
async fn what_was_not_sent_costs_nothing() {
    let (sandbox, app) = app(|parts| {
        parts.limits.resets_per_login = vec!["1/h".parse().unwrap()];
        parts.limits.codes_per_login = vec!["1/h".parse().unwrap()];
        parts.limits.risk_per_hour = 1;
    })
    .await;
    // More often than any budget would allow.
    let through = async |operation, handle: &str, target, body: &str| {
        sandbox.fail(operation, Fault::KeyRejected);
        for _ in 0..8 {
            app.step(handle, target, body.to_owned()).await.problem(503, "unavailable");
        }
        sandbox.heal();
        app.step(handle, target, body.to_owned()).await
    };
    let handle = through(Operation::RequestReset, "", RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = through(Operation::RedeemCode, &handle, CODE, &code(&mail)).await.model();
    let set = through(Operation::SetPassword, &handle, PASSWORD, &update(&token, "new-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// A new code goes on in the same flow with the tries that are left; a flow without any gives way to a new one.
#[tokio::test]
async fn a_flow_goes_on_and_an_old_handle_rewinds_nothing() {
    let (sandbox, app) = app(|_| {}).await;
    let first = app.post(RESET, ANNA).await.handle();
    for guess in 0..3 {
        app.step(&first, CODE, code(&format!("{guess:06}"))).await;
    }
    let second = app.step(&first, RESET, ANNA).await.handle();
    assert_eq!(flow_of(&app, &first).id, flow_of(&app, &second).id);
    for guess in 3..8 {
        app.step(if guess % 2 == 0 { &first } else { &second }, CODE, code(&format!("{guess:06}"))).await;
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);

    let third = app.step(&second, RESET, ANNA).await.handle();
    assert_ne!(flow_of(&app, &second).id, flow_of(&app, &third).id);
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.step(&third, CODE, code(&mail)).await.body.contains("\"Model\""));
    // Another login is another flow.
    let other = app.step(&third, RESET, r#"{"User": "robert.zak"}"#).await.handle();
    assert_ne!(flow_of(&app, &third).id, flow_of(&app, &other).id);
}

/// Whoever asks once more than there are mails keeps the codes that were sent, and a flow that has ended otherwise gives way too.
#[tokio::test]
async fn nobody_is_locked_into_a_flow_or_out_of_one() {
    let (sandbox, app) = app(|parts| parts.limits.resets_per_login = vec!["3/h".parse().unwrap()]).await;
    let mut handle = app.post(RESET, ANNA).await.handle();
    for _ in 0..4 {
        handle = app.step(&handle, RESET, ANNA).await.handle();
    }
    assert_eq!(sandbox.outbox().len(), 3);
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.step(&handle, CODE, code(&mail)).await.body.contains("\"Model\""));

    // One without tries is no way to another with tries and without a mail.
    for guess in 0..5 {
        app.step(&handle, CODE, code(&format!("{guess:06}"))).await;
    }
    let forwarded = sandbox.calls(Operation::RedeemCode);
    for guess in 5..10 {
        let next = app.step(&handle, RESET, ANNA).await.handle();
        assert_eq!(app.step(&next, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), forwarded);

    // Ten questions, then again from the start.
    let asked = app.post(RESET, r#"{"User": "robert.zak"}"#).await.handle();
    let question = format!("{QUESTION}?username=robert.zak");
    for _ in 0..10 {
        app.step(&asked, &question, "").await;
    }
    app.step(&asked, &question, "").await.problem(403, "flow-required");
    let again = app.step(&asked, RESET, r#"{"User": "robert.zak"}"#).await.handle();
    assert!(app.step(&again, &question, "").await.body.contains("third grade"));
}

/// A right code that was not asked about because its login had no budget left is not burned.
#[tokio::test]
async fn a_code_that_was_not_asked_about_can_be_tried_again() {
    let (sandbox, app) = app(|parts| parts.limits.codes_per_login = vec!["1/s".parse().unwrap()]).await;
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    app.step(&handle, CODE, code("000000")).await;
    assert_eq!(app.step(&handle, CODE, code(&mail)).await.body, WRONG);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(app.step(&handle, CODE, code(&mail)).await.body.contains("\"Model\""));
}

/// Whoever guesses in flows without a code does not use up what the trader with the code needs.
#[tokio::test]
async fn guesses_in_dead_flows_keep_nobody_from_a_right_code() {
    let (sandbox, app) = app(|parts| parts.limits.codes_per_login = vec!["2/h".parse().unwrap()]).await;
    for _ in 0..3 {
        let dead = app.handle("anna.lee", Stage::Dead);
        for guess in 0..5 {
            assert_eq!(app.step(&dead, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
        }
    }
    let handle = app.post(RESET, ANNA).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.step(&handle, CODE, code(&mail)).await.body.contains("\"Model\""));
}

/// A refusal of Autoshares' that quotes its own token is not relayed.
#[tokio::test]
async fn the_real_token_does_not_get_out_in_a_refusal() {
    let upstream = Upstream::deciding(|request| {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let token = body.split('"').nth(3).unwrap().to_owned();
        let refused = format!(r#"{{"Errors": ["Token {token} has expired."], "IsSucceed": false}}"#);
        crate::upstream::response(200, &[], &refused)
    });
    let answered = TestApp::new(&upstream.base_url()).documented(3).await;
    assert!(upstream.requests()[0].contains(crate::support::TOKEN));
    assert!(!answered.body.contains(crate::support::TOKEN), "{}", answered.body);
    assert!(answered.body.contains("was not accepted"));
}

fn flow_of(app: &TestApp, handle: &str) -> Flow {
    app.flows.open(handle, SystemTime::now()).unwrap()
}

/// B5, with two keys in a ring: what the old one sealed goes on under the new one.
#[tokio::test]
async fn keys_are_rotated_in_the_middle_of_a_flow() {
    let sandbox = Sandbox::start().await.unwrap();
    let (old, new) = (Secrets::random(), Secrets::random());
    let both = Secrets::parse(&(new.to_file() + &old.to_file())).unwrap();
    let start = |keys: &Secrets| {
        TestApp::guarded(&sandbox.client(), |parts| {
            parts.flow.floor = Duration::ZERO;
            parts.flow.keys = keys.clone();
        })
    };
    let (before, during, after) = (start(&old), start(&both), start(&new));
    tokio::time::sleep(Duration::from_millis(2)).await;
    let handle = before.post(RESET, r#"{"User": "robert.zak"}"#).await.handle();
    let question = during.step(&handle, &format!("{QUESTION}?username=Robert.Zak"), "").await;
    assert!(question.body.contains("third grade"));
    let answered = r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#;
    let next = during.step(&handle, RESET, answered).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = during.step(&next, CODE, code(&mail)).await.model();
    // The old key is gone.
    after.step(&handle, &format!("{QUESTION}?username=robert.zak"), "").await.problem(403, "flow-required");
    let set = after.step(&next, PASSWORD, update(&token, "new-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// Clients without a handle: refused, let through a lane of their own, or served like any other.
#[tokio::test]
async fn clients_without_a_handle_have_a_lane_if_they_may() {
    for binding in [Binding::Prefer, Binding::Off] {
        let (sandbox, app) = app(|parts| {
            parts.flow.binding = binding;
            parts.limits.legacy_risk_per_hour = 3;
            parts.limits.risk_per_hour = 1200;
        })
        .await;
        let send = async |method, target: &str, body: String| app.send(method, target, &[JSON], body).await;
        send(Method::POST, RESET, ANNA.to_owned()).await;
        let question = send(Method::GET, &format!("{QUESTION}?username=robert.zak"), String::new()).await;
        assert!(question.body.contains("third grade"));
        let mail = sandbox.outbox().pop().unwrap().code;
        let token = send(Method::POST, CODE, code(&mail)).await.model();
        assert!(app.flows.open_token(&token, SystemTime::now()).unwrap().flow.is_none());
        let set = send(Method::PUT, PASSWORD, update(&token, "new-password")).await;
        assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
        send(Method::PUT, PASSWORD, update(&token, "new-password")).await.problem(403, "token-invalid");
        send(Method::PUT, PASSWORD, update("someToken", "new-password")).await.problem(403, "token-invalid");

        // The lane has a ledger of its own: one live code, three millionths.
        for guess in 0..10 {
            let answered = send(Method::POST, CODE, code(&format!("{guess:06}"))).await;
            match binding {
                Binding::Prefer if guess >= 3 => drop(answered.problem(503, "codes-paused")),
                _ => assert_eq!(answered.body, WRONG),
            }
        }
        let expected = if binding == Binding::Prefer { 3 } else { 10 };
        assert_eq!(sandbox.calls(Operation::RedeemCode), 1 + expected);
        // Flows go on beside it.
        let handle = app.post(RESET, ANNA).await.handle();
        let mail = sandbox.outbox().pop().unwrap().code;
        assert!(app.step(&handle, CODE, code(&mail)).await.body.contains("\"Model\""));
        // Whoever has a handle is held to it.
        let dead = app.handle("nobody", Stage::Dead);
        let before = sandbox.calls(Operation::RedeemCode);
        assert_eq!(app.step(&dead, CODE, code("123456")).await.body, WRONG);
        assert_eq!(sandbox.calls(Operation::RedeemCode), before);
    }
}

#[tokio::test]
async fn tokens_of_others_are_passed_on_only_if_so_set() {
    for allowed in [false, true] {
        let (sandbox, app) = app(|parts| parts.flow.foreign_tokens = allowed).await;
        let handle = app.post(RESET, ANNA).await.handle();
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
