//! Step 3: a code is tried as often as its flow allows, and each code once.

use std::time::Duration;

use autoshares_gateway::flow::Stage;
use autoshares_sdk::{Operation, sandbox::Fault};
use tokio::task::JoinSet;

use crate::support::{Answered, RESET, WRONG, on_sandbox, until};

/// C1.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_wrong_codes_at_once_five_go_on() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(50)));
    let handle = app.reset("anna.lee").await.handle();
    let mut tries = JoinSet::new();
    for guess in 0..50 {
        let (app, handle) = (app.clone(), handle.clone());
        tries.spawn(async move { app.redeem(&handle, &format!("{guess:06}")).await.body });
    }
    assert!(tries.join_all().await.iter().all(|body| body == WRONG));
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

/// C2: one call, one token, the same for all; later too.
#[tokio::test(flavor = "multi_thread")]
async fn of_eight_right_codes_at_once_one_is_forwarded_and_all_get_its_token() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(50)));
    let mut tries = JoinSet::new();
    for _ in 0..8 {
        let (app, handle, mail) = (app.clone(), handle.clone(), mail.clone());
        tries.spawn(async move { app.redeem(&handle, &mail).await });
    }
    let tokens: Vec<_> = tries.join_all().await.iter().map(Answered::model).collect();
    assert_eq!(tokens.len(), 8);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    for _ in 0..9 {
        assert_eq!(app.redeem(&handle, &mail).await.model(), tokens[0]);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
    // None of these cost a try.
    for guess in 0..5 {
        assert_eq!(app.redeem(&handle, &format!("{guess:06}")).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
    let set = app.set_password(&handle, &tokens[0], "new-password").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}

/// A code whose outcome never came may be sent again, for another try.
#[tokio::test]
async fn a_code_whose_outcome_is_unknown_costs_another_try() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    sandbox.fail(Operation::RedeemCode, Fault::HangUp);
    let mut tried = 0;
    for _ in 0..4 {
        app.redeem(&handle, &mail).await.problem(503, "unavailable");
        tried += 1;
        // While nobody is forwarded, nothing is counted.
        for _ in 0..3 {
            app.redeem(&handle, &mail).await.problem(503, "unavailable");
        }
        sandbox.heal();
        app.recover().await;
        sandbox.fail(Operation::RedeemCode, Fault::HangUp);
    }
    sandbox.heal();
    let before = sandbox.calls(Operation::RedeemCode);
    app.redeem(&handle, &mail).await.model();
    // That was the fifth.
    assert_eq!((tried, sandbox.calls(Operation::RedeemCode)), (4, before + 1));
    assert_eq!(app.redeem(&handle, "000000").await.body, WRONG);
    assert_eq!(sandbox.calls(Operation::RedeemCode), before + 1);
}

/// An outcome stays in its flow as long as the flow lasts, and not only while the call could still be under way.
#[tokio::test]
async fn a_code_with_an_outcome_is_not_forwarded_again_however_late_it_comes() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    assert_eq!(app.redeem(&handle, "000001").await.body, WRONG);
    let token = app.redeem(&handle, &mail).await.model();
    app.clock.advance(Duration::from_secs(540));
    assert_eq!(app.redeem(&handle, "000001").await.body, WRONG);
    assert_eq!(app.redeem(&handle, &mail).await.model(), token);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 2);
}

/// While the first of two is under way, the second waits; when the first fails, the second says that nobody knows.
#[tokio::test]
async fn a_code_that_is_sent_twice_at_once_waits_for_the_first() {
    let (sandbox, app) = on_sandbox(|config| config.upstream.timeout = Duration::from_millis(300)).await;
    let handle = app.reset("anna.lee").await.handle();
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(60)));
    let (one, other) = tokio::join!(app.redeem(&handle, "000001"), app.redeem(&handle, "000001"));
    assert_eq!((&*one.body, &*other.body), (WRONG, WRONG));
    sandbox.heal();
    sandbox.fail(Operation::RedeemCode, Fault::HangUp);
    let (one, other) = tokio::join!(app.redeem(&handle, "000002"), app.redeem(&handle, "000002"));
    // As a dead flow does while Autoshares fails.
    let dead = app.handle("nobody", Stage::DEAD).await;
    for answered in [one, other, app.redeem(&dead, "000002").await, app.redeem(&dead, "000002").await] {
        answered.problem(503, "unavailable");
    }
}

/// C6: refused before any budget, so any number of them costs nothing.
#[tokio::test]
async fn what_is_not_six_digits_is_no_code() {
    let (sandbox, app) =
        on_sandbox(|config| config.limits.codes_per_address = vec!["3/h".parse().unwrap()]).await;
    let handle = app.reset("anna.lee").await.handle();
    for bad in ["12345", "1234567", "12345a", "１２３４５", " 12345", "12345 ", "+12345", "12 456", "-12345"]
    {
        let problem = app.redeem(&handle, bad).await.problem(400, "code-malformed");
        assert!(problem["detail"].as_str().unwrap().contains("6 digits"), "{problem}");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 0);
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.redeem(&handle, &mail).await.body.contains("\"Model\""));
}

/// An installation whose codes are longer says so in one setting, which the price of a guess follows too.
#[tokio::test]
async fn a_code_has_as_many_digits_as_the_operator_says() {
    let (sandbox, app) = on_sandbox(|config| config.limits.code_digits = 8).await;
    let handle = app.reset("anna.lee").await.handle();
    let problem = app.redeem(&handle, "123456").await.problem(400, "code-malformed");
    assert!(problem["detail"].as_str().unwrap().contains("8 digits"), "{problem}");
    assert_eq!(app.redeem(&handle, "12345678").await.body, WRONG);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
}

/// A right code that was not forwarded because its login had no budget left is not burned, and has cost one try, however often it is sent.
#[tokio::test]
async fn a_code_that_was_not_forwarded_can_be_tried_again() {
    let (sandbox, app) =
        on_sandbox(|config| config.limits.codes_per_login = vec!["1/min".parse().unwrap()]).await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    app.redeem(&handle, "000000").await;
    for _ in 0..8 {
        assert_eq!(app.redeem(&handle, &mail).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 1);
    app.clock.advance(Duration::from_secs(60));
    app.redeem(&handle, &mail).await.model();
}

/// Whoever guesses in flows without a code does not use up what the trader with the code needs.
#[tokio::test]
async fn guesses_in_dead_flows_keep_nobody_from_a_right_code() {
    let (sandbox, app) =
        on_sandbox(|config| config.limits.codes_per_login = vec!["2/h".parse().unwrap()]).await;
    for _ in 0..3 {
        let dead = app.handle("anna.lee", Stage::DEAD).await;
        for guess in 0..5 {
            assert_eq!(app.redeem(&dead, &format!("{guess:06}")).await.body, WRONG);
        }
    }
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.redeem(&handle, &mail).await.body.contains("\"Model\""));
}

/// A gateway that dies while it asks Autoshares never settles: once the call must have ended, the code may be sent again, for another try.
#[tokio::test]
async fn a_code_that_nobody_settled_can_be_tried_again_when_its_call_must_have_ended() {
    let (sandbox, app) = on_sandbox(|_| {}).await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_secs(9)));
    tokio::select! {
        _ = app.redeem(&handle, &mail) => panic!("the gateway lives"),
        () = until("the call", || sandbox.calls(Operation::RedeemCode) > 0) => {}
    }
    sandbox.heal();
    app.clock.advance(Duration::from_secs(3));
    app.redeem(&handle, &mail).await.model();
    assert_eq!(sandbox.calls(Operation::RedeemCode), 2);
    for guess in 0..9 {
        assert_eq!(app.redeem(&handle, &format!("{guess:06}")).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5, "both cost a try");
}

/// A trader whose "send again" was suppressed keeps a live flow, whose codes are not counted with those of strangers in dead flows.
#[tokio::test]
async fn a_live_flow_that_was_suppressed_does_not_share_the_budget_of_dead_ones() {
    let (sandbox, app) = on_sandbox(|config| {
        config.limits.codes_per_login = vec!["2/h".parse().unwrap()];
        config.limits.resets_per_login = vec!["1/h".parse().unwrap()];
    })
    .await;
    let handle = app.reset("anna.lee").await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    let dead = app.reset("anna.lee").await.handle();
    for guess in 0..5 {
        assert_eq!(app.redeem(&dead, &format!("{guess:06}")).await.body, WRONG);
    }
    let again = app.step(&handle, RESET, r#"{"User": "anna.lee"}"#).await.handle();
    assert_eq!(app.seals.open(&again), app.seals.open(&handle));
    app.redeem(&again, &mail).await.model();
}
