//! The flow: bound to whoever began it, counted in the store, never rewound.

use std::time::Duration;

use autoshares_gateway::{
    config::Binding,
    flow::{KeyRing, Purpose, Seals, Secrets, Stage},
    randomness::Randomness,
};
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox},
};
use axum::http::Method;

use crate::{
    servers::Server,
    support::{CODE, JSON, PASSWORD, QUESTION, RESET, TestApp, WRONG, code, on_sandbox, update},
};

const ANNA: &str = r#"{"User": "anna.lee"}"#;

/// C4.
#[tokio::test]
async fn steps_that_are_skipped_or_out_of_order_go_nowhere() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let question = format!("{QUESTION}?username=robert.zak");
    let asked = app.flow("robert.zak", Stage::QUESTION).await;
    let token = app.seals.seal_token(asked.id, true, &"t".into());
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
    for stage in [Stage::QUESTION, Stage::DECOY, Stage::LIVE, Stage::LIVE_PERHAPS, Stage::DEAD] {
        let handle = &app.handle("robert.zak", stage).await;
        if matches!(stage, Stage::QUESTION | Stage::DECOY) {
            app.redeem(handle, "123456").await.problem(403, "flow-required");
            app.step(handle, PASSWORD, update.clone()).await.problem(403, "flow-required");
        } else {
            app.step(handle, &question, "").await.problem(403, "flow-required");
            // A token of another flow.
            app.step(handle, PASSWORD, update.clone()).await.problem(403, "token-invalid");
        }
    }
    // Another trader's question.
    let other = format!("{QUESTION}?username=anna.lee");
    let handle = app.seals.seal(&asked);
    app.step(&handle, &other, "").await.problem(403, "flow-required");
    assert_eq!(sandbox.received().len(), 0);
    assert!(app.step(&handle, &question, "").await.body.contains("third grade"));
}

/// C5: a flow lasts ten minutes after it was last renewed, by a step 1 or by an accepted code.
#[tokio::test]
async fn a_flow_is_over_601_seconds_after_it_was_last_renewed() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let minutes = |minutes: u64| app.clock.advance(Duration::from_secs(60 * minutes));
    let handle = app.reset("anna.lee").await.handle();
    minutes(9);
    assert_eq!(app.redeem(&handle, "000001").await.body, WRONG, "a wrong code renews nothing");
    minutes(1);
    app.clock.advance(Duration::from_secs(1));
    app.redeem(&handle, "000002").await.problem(403, "flow-required");
    app.redeem(&handle, "000001").await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);

    let handle = app.reset("anna.lee").await.handle();
    minutes(9);
    let renewed = app.step(&handle, RESET, r#"{"User": "anna.lee"}"#).await.handle();
    minutes(9);
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.redeem(&handle, &mail).await.model();
    minutes(9);
    let set = app.set_password(&renewed, &token, "new-password").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// A token ends with its flow, also for clients without a handle.
#[tokio::test]
async fn a_token_is_over_with_its_flow() {
    for binding in [Binding::Required, Binding::Off] {
        let (sandbox, app) = on_sandbox(|config| config.flow.binding = binding).await;
        let handle = app.reset("anna.lee").await.handle();
        let handle = if binding == Binding::Off { String::new() } else { handle };
        let mail = sandbox.outbox().pop().unwrap().code;
        let token = app.redeem(&handle, &mail).await.model();
        app.clock.advance(Duration::from_secs(599));
        app.set_password(&handle, &token, "short").await.problem(400, "password-too-short");
        app.clock.advance(Duration::from_secs(2));
        app.set_password(&handle, &token, "new-password").await.problem(403, "flow-required");
        assert_eq!(sandbox.calls(Operation::SetPassword), 0);
    }
}

/// C8: a flow lives in the store, so with counters in memory a restart ends it, also with keys from a file.
#[tokio::test]
async fn a_restart_grants_no_fresh_tries() {
    let sandbox = Sandbox::start().await.unwrap();
    let keys = Secrets::random();
    let start = || TestApp::guarded(&sandbox.client(), |config| config.flow.keys = keys.clone());
    let app = start();
    let handle = app.reset("anna.lee").await.handle();
    for guess in 0..5 {
        assert_eq!(app.redeem(&handle, &format!("{guess:06}")).await.body, WRONG);
    }
    let again = start();
    for guess in 5..9 {
        again.redeem(&handle, &format!("{guess:06}")).await.problem(403, "flow-required");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
    // It does not go on by a step 1 either.
    let next = again.step(&handle, RESET, r#"{"User": "anna.lee"}"#).await.handle();
    assert_ne!(again.seals.open(&next), again.seals.open(&handle));
}

/// B3.
#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let (_sandbox, app) = on_sandbox(|_| {}).await;
    let answered = app.reset("anna.lee").await;
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
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("anna.lee").await.handle();
    for index in 0..handle.len() {
        let mut changed = handle.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        app.redeem(&changed, "123456").await.problem(403, "flow-required");
    }
    let secrets = Secrets::random();
    let app = TestApp::guarded(&sandbox.client(), |config| config.flow.keys = secrets.clone());
    let elsewhere = KeyRing::new(&secrets, "https://elsewhere.example");
    let elsewhere = Seals::new(elsewhere, Randomness::of_the_system());
    let flow = app.flow("anna.lee", Stage::LIVE).await;
    let token = app.seals.seal_token(flow.id, true, &"token".into());
    let forged = app.seals.ring().seal(Purpose::Handle, &[9; 57], [1; 24]);
    for other in [elsewhere.seal(&flow), token.clone(), forged] {
        app.redeem(&other, "123456").await.problem(403, "flow-required");
    }
    // A handle whose record is gone, or never was.
    app.redeem(&app.seals.seal(&app.seals.new_handle()), "123456").await.problem(403, "flow-required");
    // A handle is no token either.
    let handle = app.seals.seal(&flow);
    app.set_password(&handle, &handle, "new-password").await.problem(403, "token-invalid");
    let forged = app.seals.ring().seal(Purpose::Token, b"short", [1; 24]);
    app.set_password(&handle, &forged, "new-password").await.problem(403, "token-invalid");
    assert_eq!(sandbox.calls(Operation::RedeemCode) + sandbox.calls(Operation::SetPassword), 0);
}

/// B4: of several handles, the one whose record stands.
#[tokio::test]
async fn of_several_handles_the_one_whose_flow_stands_is_used() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("robert.zak").await.handle();
    let gone = || app.seals.seal(&app.seals.new_handle());
    let cookies = format!(
        "__Host-password-reset={}; __Host-password-reset=garbage; a=b; __Host-password-reset={handle}",
        gone()
    );
    let stale = gone();
    let headers = [JSON, ("reset-flow", &*stale), ("cookie", &*cookies)];
    let question = format!("{QUESTION}?username=robert.zak");
    let asked = app.send(Method::GET, &question, &headers, "").await;
    assert!(asked.body.contains("third grade"), "{asked:?}");
    let answered = r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#;
    let renewed = app.send(Method::POST, RESET, &headers, answered).await;
    assert_eq!(app.seals.open(&renewed.handle()), app.seals.open(&handle), "the same flow");
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.send(Method::POST, CODE, &headers, code(&mail)).await.model();
    let set = app.send(Method::PUT, PASSWORD, &headers, update(&token, "new-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    // However many stale ones are sent before it, and however it was joined or quoted on its way.
    let handle = app.reset("robert.zak").await.handle();
    let cookie = |handle: String| format!("__Host-password-reset={handle}; ");
    let stale: Vec<String> = (0..100).map(|_| gone()).collect();
    let garbage: String = (0..100).map(|number| cookie(format!("garbage-{number}"))).collect();
    let [few, many] = [3, 100].map(|count| stale[..count].iter().cloned().map(cookie).collect::<String>());
    let good = cookie(handle.clone());
    for headers in [
        [("reset-flow", ""), ("cookie", &*format!("{garbage}{many}{good}"))],
        [("reset-flow", ""), ("cookie", &*format!("{good}{few}{garbage}"))],
        [("reset-flow", ""), ("cookie", &*cookie(format!("\"{handle}\"")))],
        [("reset-flow", &*handle), ("cookie", &*many)],
        [("reset-flow", &*format!("{}, {handle}", stale[..15].join(", "))), ("cookie", "a=b")],
        [("reset-flow", &*format!("\"{handle}\",{}", stale[..3].join(","))), ("cookie", &*garbage)],
    ] {
        let asked = app.send(Method::GET, &question, &headers, "").await;
        assert!(asked.body.contains("third grade"), "{asked:?}");
    }
}

/// Nothing is lost while Autoshares does not look at what is sent: the same code and the same token work afterwards.
#[tokio::test]
async fn what_was_not_sent_costs_nothing() {
    let (sandbox, app) = on_sandbox(|config| {
        config.limits.resets_per_login = vec!["1/h".parse().unwrap()];
        config.limits.codes_per_login = vec!["1/h".parse().unwrap()];
        config.limits.risk_per_hour = 1;
    })
    .await;
    // More often than any budget would allow.
    let through = async |operation, handle: &str, target, body: &str| {
        sandbox.fail(operation, Fault::KeyRejected);
        for _ in 0..8 {
            app.step(handle, target, body.to_owned()).await.problem(503, "unavailable");
        }
        sandbox.heal();
        app.recover().await;
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
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let first = app.reset("anna.lee").await.handle();
    for guess in 0..3 {
        app.redeem(&first, &format!("{guess:06}")).await;
    }
    let second = app.step(&first, RESET, ANNA).await.handle();
    assert_eq!(app.seals.open(&first), app.seals.open(&second));
    for guess in 3..8 {
        app.step(if guess % 2 == 0 { &first } else { &second }, CODE, code(&format!("{guess:06}"))).await;
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);

    let third = app.step(&second, RESET, ANNA).await.handle();
    assert_ne!(app.seals.open(&second), app.seals.open(&third));
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.redeem(&third, &mail).await.body.contains("\"Model\""));
    // Another login is another flow.
    let other = app.step(&third, RESET, r#"{"User": "robert.zak"}"#).await.handle();
    assert_ne!(app.seals.open(&third), app.seals.open(&other));
}

/// An accepted code lets the flow last for its whole lifetime again, so the browser gets a cookie that does too.
#[tokio::test]
async fn the_cookie_lasts_as_long_as_the_flow() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let first = app.reset("anna.lee").await.handle();
    app.clock.advance(Duration::from_secs(540));
    let mail = sandbox.outbox().pop().unwrap().code;
    for _ in 0..2 {
        let redeemed = app.redeem(&first, &mail).await;
        let cookie = redeemed.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("; Max-Age=600;"), "{cookie}");
        assert_eq!(app.seals.open(&redeemed.handle()), app.seals.open(&first));
    }
    // A wrong code renews nothing.
    let wrong = app.redeem(&first, "000000").await;
    assert!(!wrong.headers.contains_key("set-cookie"));
}

/// Whoever asks once more than there are mails keeps the codes that were sent, and a flow that has ended otherwise gives way too.
#[tokio::test]
async fn nobody_is_locked_into_a_flow_or_out_of_one() {
    let (sandbox, app) =
        on_sandbox(|config| config.limits.resets_per_login = vec!["3/h".parse().unwrap()]).await;
    let mut handle = app.reset("anna.lee").await.handle();
    for _ in 0..4 {
        handle = app.step(&handle, RESET, ANNA).await.handle();
    }
    assert_eq!(sandbox.outbox().len(), 3);
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.redeem(&handle, &mail).await.body.contains("\"Model\""));

    // One without tries is no way to another with tries and without a mail.
    for guess in 0..5 {
        app.redeem(&handle, &format!("{guess:06}")).await;
    }
    let forwarded = sandbox.calls(Operation::RedeemCode);
    for guess in 5..10 {
        let next = app.step(&handle, RESET, ANNA).await.handle();
        assert_eq!(app.redeem(&next, &format!("{guess:06}")).await.body, WRONG);
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

/// B5, with two keys in a ring: a handle that the old key sealed goes on under the new one.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_in_the_middle_of_a_flow() {
    let (redis, sandbox) = (Server::redis(&[]), Sandbox::start().await.unwrap());
    let (old, new) = (Secrets::random(), Secrets::random());
    let both = Secrets::parse(&(new.to_file() + &old.to_file())).unwrap();
    let start = |keys: &Secrets| {
        TestApp::guarded(&sandbox.client(), |config| {
            config.flow.keys = keys.clone();
            config.store.redis = Some(redis.client());
        })
    };
    let (before, during, after) = (start(&old), start(&both), start(&new));
    let handle = before.reset("robert.zak").await.handle();
    let question = during.step(&handle, &format!("{QUESTION}?username=Robert.Zak"), "").await;
    assert!(question.body.contains("third grade"));
    let answered = r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#;
    let next = during.step(&handle, RESET, answered).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = during.redeem(&next, &mail).await.model();
    // The old key is gone.
    after.step(&handle, &format!("{QUESTION}?username=robert.zak"), "").await.problem(403, "flow-required");
    let set = after.set_password(&next, &token, "new-password").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// Clients without a handle: refused, let through a lane of their own, or served like any other.
#[tokio::test]
async fn clients_without_a_handle_have_a_lane_if_they_may() {
    for binding in [Binding::Prefer, Binding::Off] {
        let (sandbox, app) = on_sandbox(|config| {
            config.flow.binding = binding;
            config.limits.legacy_risk_per_hour = 4;
            config.limits.risk_per_hour = 1200;
        })
        .await;
        let send = async |method, target: &str, body: String| app.send(method, target, &[JSON], body).await;
        send(Method::POST, RESET, ANNA.to_owned()).await;
        let question = send(Method::GET, &format!("{QUESTION}?username=robert.zak"), String::new()).await;
        assert!(question.body.contains("third grade"));
        let mail = sandbox.outbox().pop().unwrap().code;
        let token = send(Method::POST, CODE, code(&mail)).await.model();
        assert!(!app.seals.open_token(&token).unwrap().needs_handle);
        let set = send(Method::PUT, PASSWORD, update(&token, "new-password")).await;
        assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
        send(Method::PUT, PASSWORD, update(&token, "new-password")).await.problem(403, "token-invalid");
        send(Method::PUT, PASSWORD, update("someToken", "new-password")).await.problem(403, "token-invalid");

        // The lane has a ledger of its own: one live code, four millionths, of which one network has two.
        for guess in 0..10 {
            let answered = send(Method::POST, CODE, code(&format!("{guess:06}"))).await;
            match binding {
                Binding::Prefer if guess >= 2 => drop(answered.problem(429, "too-many-requests")),
                _ => assert_eq!(answered.body, WRONG),
            }
        }
        let expected = if binding == Binding::Prefer { 2 } else { 10 };
        assert_eq!(sandbox.calls(Operation::RedeemCode), 1 + expected);
        // Flows go on beside it.
        let handle = app.reset("anna.lee").await.handle();
        let mail = sandbox.outbox().pop().unwrap().code;
        assert!(app.redeem(&handle, &mail).await.body.contains("\"Model\""));
        // Whoever has a handle is held to it.
        let dead = app.handle("nobody", Stage::DEAD).await;
        let before = sandbox.calls(Operation::RedeemCode);
        assert_eq!(app.redeem(&dead, "123456").await.body, WRONG);
        assert_eq!(sandbox.calls(Operation::RedeemCode), before);
    }
}

/// A token that was issued in a flow is good only together with the flow's handle, also where no handle is needed: it would be spent twice.
#[tokio::test]
async fn a_token_of_a_flow_needs_the_handle_of_that_flow() {
    for binding in [Binding::Prefer, Binding::Off] {
        let (sandbox, app) = on_sandbox(|config| config.flow.binding = binding).await;
        let handle = app.reset("anna.lee").await.handle();
        let mail = sandbox.outbox().pop().unwrap().code;
        let token = app.redeem(&handle, &mail).await.model();
        app.set_password("", &token, "new-password").await.problem(403, "token-invalid");
        let other = app.reset("anna.lee").await.handle();
        app.set_password(&other, &token, "new-password").await.problem(403, "token-invalid");
        assert_eq!(sandbox.calls(Operation::SetPassword), 0);
        let set = app.set_password(&handle, &token, "new-password").await;
        assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    }
}
