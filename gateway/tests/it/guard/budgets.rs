//! Budgets of addresses and of the installation, and the ledger above all of them.

use autoshares_gateway::config::Config;
use autoshares_sdk::{
    Operation,
    sandbox::{Sandbox, Trader},
};
use axum::http::Method;

use crate::support::{Answered, CODE, JSON, QUESTION, RESET, TestApp, WRONG, code};

/// The proxy that is trusted here.
const PROXY: &str = "10.0.0.1";

async fn app(traders: usize, change: impl FnOnce(&mut Config)) -> (Sandbox, TestApp) {
    let builder = (0..traders)
        .fold(Sandbox::builder(), |builder, index| builder.trader(Trader::new(&format!("trader-{index}"))));
    let sandbox = builder.start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
        change(config);
    });
    (sandbox, app)
}

async fn ask(app: &TestApp, address: &str, login: &str) -> Answered {
    let headers = [JSON, ("x-forwarded-for", address)];
    app.send_from(Some(PROXY), Method::POST, RESET, &headers, format!(r#"{{"User": "{login}"}}"#)).await
}

async fn guess(app: &TestApp, address: &str, handle: &str, guess: usize) -> Answered {
    let headers = [JSON, ("x-forwarded-for", address), ("reset-flow", handle)];
    app.send_from(Some(PROXY), Method::POST, CODE, &headers, code(&format!("{guess:06}"))).await
}

#[tokio::test]
async fn an_address_has_ten_resets_an_hour() {
    let (sandbox, app) = app(0, |_| {}).await;
    for _ in 0..10 {
        assert_eq!(ask(&app, "192.0.2.1", "anna.lee").await.status, 200);
    }
    let refused = ask(&app, "192.0.2.1", "robert.zak").await;
    let problem = refused.problem(429, "too-many-requests");
    assert_eq!(problem["Errors"][0], "Too many attempts. Please try again later.");
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=360).contains(&wait), "{wait}");
    assert!(!refused.headers.contains_key("reset-flow"));
    // A3: two addresses of one /64 are one, two IPv4 addresses are two.
    for index in 0..10 {
        assert_eq!(ask(&app, &format!("2001:db8::{index}"), "anna.lee").await.status, 200);
    }
    ask(&app, "2001:db8::ffff", "anna.lee").await.problem(429, "too-many-requests");
    assert_eq!(ask(&app, "2001:db8:0:1::1", "anna.lee").await.status, 200);
    assert_eq!(ask(&app, "192.0.2.2", "anna.lee").await.status, 200);
    assert_eq!(sandbox.calls(Operation::RequestReset), 3, "and the login has three");
}

#[tokio::test]
async fn an_address_may_ask_for_so_many_logins() {
    let (_sandbox, app) = app(0, |config| {
        config.limits.resets_per_address = vec!["100/h".parse().unwrap()];
        config.limits.logins_per_address = vec!["3/h".parse().unwrap()];
    })
    .await;
    for _ in 0..4 {
        for login in ["one", "two", "three"] {
            assert_eq!(ask(&app, "192.0.2.1", login).await.status, 200);
        }
    }
    ask(&app, "192.0.2.1", "four").await.problem(429, "too-many-requests");
    assert_eq!(ask(&app, "192.0.2.1", "one").await.status, 200);
    assert_eq!(ask(&app, "192.0.2.2", "four").await.status, 200);
}

/// Whose address is not known shares one bucket with all the others, and is not let through.
#[tokio::test]
async fn unknown_addresses_share_one_bucket() {
    let (_sandbox, app) = app(0, |_| {}).await;
    for index in 0..10 {
        assert_eq!(ask(&app, &format!("unknown-{index}"), "anna.lee").await.status, 200);
    }
    ask(&app, "garbage", "anna.lee").await.problem(429, "too-many-requests");
    assert_eq!(ask(&app, "192.0.2.1", "anna.lee").await.status, 200);
}

/// A1, through the whole gateway: an untrusted peer is charged to its own budget, whatever it calls itself, and nobody else's.
#[tokio::test]
async fn a_stranger_cannot_choose_an_address() {
    let (_sandbox, app) = app(0, |_| {}).await;
    let names =
        ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"];
    let victim = |index: usize| format!("192.0.2.{index}");
    let from = async |peer: &str, name: &str, address: &str| {
        let forwarded = format!("for={address}");
        let headers = [JSON, (name, if name == "forwarded" { &*forwarded } else { address })];
        let body = r#"{"User": "anna.lee"}"#;
        app.send_from(Some(peer), Method::POST, RESET, &headers, body).await.status.as_u16()
    };
    for index in 0..12 {
        let expected = if index < 10 { 200 } else { 429 };
        let name = names[index % names.len()];
        assert_eq!(from("203.0.113.9", name, &victim(index)).await, expected, "{name}");
    }
    // The addresses that it named have all of their budget: ten, and no more.
    for index in 0..6 {
        for spent in 0..11 {
            let answered = ask(&app, &victim(index), "anna.lee").await;
            assert_eq!(answered.status, if spent < 10 { 200 } else { 429 }, "{}", victim(index));
        }
    }
    // And what is left of its own is nothing, also without a header.
    assert_eq!(from("203.0.113.9", "x-nothing", "").await, 429);
}

#[tokio::test]
async fn the_installation_has_a_budget_too() {
    let (sandbox, app) = app(0, |config| config.limits.resets = vec!["40/h".parse().unwrap()]).await;
    // Half of it is for whoever comes first.
    for index in 0..20 {
        assert_eq!(ask(&app, &format!("192.0.2.{index}"), &format!("login-{index}")).await.status, 200);
    }
    let refused = ask(&app, "192.0.2.99", "anna.lee").await;
    refused.problem(503, "resets-paused");
    assert!(refused.headers.contains_key("retry-after"));
    // The other half is for networks that have not asked yet, and a tenth of it for one block of them.
    for (address, status) in [
        ("198.51.100.1", 200),
        ("198.51.100.2", 503),
        ("198.51.101.1", 200),
        ("198.51.102.1", 503),
        ("198.52.102.1", 200),
    ] {
        assert_eq!(ask(&app, address, &format!("login-{address}")).await.status, status, "{address}");
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 23);
    for index in 0..100 {
        ask(&app, &format!("198.{}.1.1", index + 60), &format!("login-b-{index}")).await;
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 40, "and no more than that");
    ask(&app, "203.0.113.1", "anna.lee").await.problem(503, "resets-paused");
}

/// D1: one host with an IPv6 /48 is one network when it comes to the resets of everybody.
#[tokio::test]
async fn one_host_cannot_pause_resets_for_others() {
    let (sandbox, app) = app(0, |_| {}).await;
    for index in 0..600 {
        // A /64 of its own each, all over a /48.
        ask(&app, &format!("2001:db8:0:{:x}::1", index * 97), &format!("login-{index}")).await;
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 40);
    for index in 0..200 {
        assert_eq!(ask(&app, &format!("198.51.{index}.1"), &format!("other-{index}")).await.status, 200);
    }
}

/// D1: one network cannot pause codes for others, whatever the number of its addresses, logins and flows.
#[tokio::test]
async fn one_network_cannot_pause_codes_for_others() {
    let (sandbox, app) = app(100, |_| {}).await;
    let mut handles = Vec::new();
    for index in 0..100 {
        handles.push(ask(&app, &format!("198.51.{index}.1"), &format!("trader-{index}")).await.handle());
    }
    let stranger = ask(&app, "192.0.2.1", "anna.lee").await.handle();
    let mut seen = std::collections::BTreeMap::<u16, u32>::new();
    for number in 0..60 {
        let status = guess(&app, &format!("192.0.2.{}", number + 1), &stranger, number).await.status;
        *seen.entry(status.as_u16()).or_default() += 1;
    }
    // At 101 live codes a tenth of the ledger is less than two guesses, so it may make two.
    assert_eq!(seen, [(200, 2), (429, 58)].into());
    for (index, handle) in handles.iter().enumerate().take(9) {
        let answered = guess(&app, &format!("198.51.{index}.1"), handle, index).await;
        assert_eq!(answered.body, WRONG, "{index}");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 11);
}

#[tokio::test]
async fn an_address_has_fifteen_codes_an_hour_and_a_login_too() {
    let (sandbox, app) = app(0, |_| {}).await;
    let mut handles = Vec::new();
    for index in 0..3 {
        handles.push(ask(&app, &format!("192.0.2.{index}"), "anna.lee").await.handle());
    }
    // Three flows of five tries are the fifteen of the login, over three addresses.
    for number in 0..15 {
        let address = format!("192.0.2.{}", number % 3);
        assert_eq!(guess(&app, &address, &handles[number / 5], number).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 15);
    let fourth = app.handle("anna.lee", autoshares_gateway::flow::Stage::LIVE).await;
    assert_eq!(guess(&app, "192.0.2.0", &fourth, 99).await.body, WRONG);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 15, "looks wrong, was not forwarded");
    for number in 0..9 {
        assert_eq!(guess(&app, "192.0.2.0", &fourth, number).await.status, 200);
    }
    guess(&app, "192.0.2.0", &fourth, 10).await.problem(429, "too-many-requests");
}

#[tokio::test]
async fn a_question_can_be_fetched_ten_times_in_a_flow() {
    let (sandbox, app) = app(0, |_| {}).await;
    let handle = ask(&app, "192.0.2.1", "robert.zak").await.handle();
    let target = format!("{QUESTION}?username=robert.zak");
    for _ in 0..10 {
        assert_eq!(app.step(&handle, &target, "").await.status, 200);
    }
    app.step(&handle, &target, "").await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::FetchQuestion), 10);
}

/// C7: a botnet of 1,000 addresses against 100 logins.
#[tokio::test]
async fn the_ledger_bounds_what_a_botnet_can_guess() {
    let (sandbox, app) = app(100, |config| config.limits.resets = vec!["4000/h".parse().unwrap()]).await;
    let mut handles = Vec::new();
    for index in 0..100 {
        let address = format!("198.51.{index}.1");
        handles.push(ask(&app, &address, &format!("trader-{index}")).await.handle());
    }
    assert_eq!(sandbox.outbox().len(), 100);
    // 1,000 networks, one code each, over all 100 flows and one that is dead: the price is the same in each.
    let dead = ask(&app, "192.0.2.77", "nobody").await.handle();
    handles.insert(7, dead.clone());
    let (mut refused, mut paused) = (0, 0);
    for number in 0..1000 {
        let address = format!("203.{}.{}.1", number / 250, number % 250);
        let answered = guess(&app, &address, &handles[number % 101], number).await;
        match answered.status.as_u16() {
            200 => refused += usize::from(answered.body == WRONG),
            503 => {
                answered.problem(503, "codes-paused");
                assert!(answered.headers.contains_key("retry-after"));
                paused += 1;
            }
            other => panic!("{other}"),
        }
    }
    // 0.0012 at 100 live codes are 12 wrong guesses.
    assert_eq!((refused, paused), (12, 988));
    assert_eq!(sandbox.calls(Operation::RedeemCode), 11, "and the one in the dead flow was not forwarded");
    // Dead flows say the same, or they would be known by going on.
    guess(&app, "192.0.2.76", &dead, 4711).await.problem(503, "codes-paused");
    // Everything else works.
    assert_eq!(ask(&app, "192.0.2.78", "anna.lee").await.status, 200);
    assert_eq!(sandbox.outbox().len(), 101);
    let text = app.metrics.text();
    assert!(text.contains("gateway_codes_paused{lane=\"flow\"} 1\n"), "{text}");
    assert!(
        text.contains("gateway_risk_alarm{lane=\"flow\"} 1\n") && text.contains("gateway_live_codes 100\n"),
        "{text}"
    );
}

/// A right code costs the ledger nothing, so honest traders do not empty it.
#[tokio::test]
async fn right_codes_leave_the_ledger_full() {
    let (sandbox, app) = app(30, |config| config.limits.risk_per_hour = 30).await;
    for index in 0..30 {
        let address = format!("192.0.{index}.1");
        let handle = ask(&app, &address, &format!("trader-{index}")).await.handle();
        let mail = sandbox.outbox().pop().unwrap().code;
        let headers = [JSON, ("x-forwarded-for", &*address), ("reset-flow", &handle)];
        let answered = app.send_from(Some(PROXY), Method::POST, CODE, &headers, code(&mail)).await;
        assert!(answered.body.contains("\"Model\""), "{index}: {answered:?}");
    }
    let handle = ask(&app, "192.0.99.1", "anna.lee").await.handle();
    guess(&app, "192.0.99.1", &handle, 1).await.problem(503, "codes-paused");
}

#[tokio::test]
async fn without_limits_nothing_is_bounded_but_the_tries_of_a_flow() {
    let (sandbox, app) = app(0, |config| config.limits.enabled = false).await;
    let mut handle = String::new();
    for _ in 0..30 {
        handle = ask(&app, "192.0.2.1", "anna.lee").await.handle();
    }
    for number in 0..30 {
        assert_eq!(guess(&app, "192.0.2.1", &handle, number).await.body, WRONG);
    }
    assert_eq!((sandbox.outbox().len(), sandbox.calls(Operation::RedeemCode)), (30, 5));
}
