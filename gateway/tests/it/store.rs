//! Counters in a real Redis: shared by replicas, without a plain name in it, and never in the way when it is away.

use std::time::{Duration, Instant};

use autoshares_gateway::{app::Parts, flow::Stage, flow::key_ring::Secrets};
use autoshares_sdk::{Operation, sandbox::Sandbox};
use axum::http::Method;

use crate::{
    services::Server,
    support::{CODE, JSON, PASSWORD, QUESTION, RESET, TestApp, WRONG, code, update},
};

/// A replica; all of them with the same keys.
fn replica(
    sandbox: &Sandbox,
    redis: &redis::Client,
    keys: &Secrets,
    change: impl FnOnce(&mut Parts),
) -> TestApp {
    TestApp::guarded(&sandbox.client(), |parts| {
        parts.flow.floor = Duration::ZERO;
        parts.flow.keys = keys.clone();
        parts.store.redis = Some(redis.clone());
        parts.limits.codes_per_address = vec!["1000/h".parse().unwrap()];
        parts.limits.resets_per_address = vec!["1000/h".parse().unwrap()];
        parts.limits.logins_per_address = vec!["1000/h".parse().unwrap()];
        change(parts);
    })
}

async fn reset(app: &TestApp, login: &str) -> String {
    let answered = app.send(Method::POST, RESET, &[JSON], format!(r#"{{"User": "{login}"}}"#)).await;
    answered.handle()
}

/// Whatever the replica knows of Redis after it came back, told within a deadline.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// S2.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_count_together() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let [one, two] = [(), ()].map(|()| replica(&sandbox, &redis.client(), &keys, |_| {}));
    for _ in 0..3 {
        reset(&one, "anna.lee").await;
        reset(&two, "ANNA.LEE").await;
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 3, "resets of a login");

    let live = one.handle("anna.lee", Stage::Live);
    for guess in 0..8 {
        let app = if guess % 2 == 0 { &one } else { &two };
        assert_eq!(app.step(&live, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5, "codes of a flow");

    // What one saw the other knows: a code that was tried, a token that is spent.
    let fresh = one.handle("anna.lee", Stage::Live);
    let mail = sandbox.outbox().pop().unwrap().code;
    let (first, second) =
        tokio::join!(one.step(&fresh, CODE, code(&mail)), two.step(&fresh, CODE, code(&mail)));
    let right = if first.body == WRONG { second } else { first };
    let token = right.model();
    assert_eq!(sandbox.calls(Operation::RedeemCode), 6);
    let set = two.step(&fresh, PASSWORD, update(&token, "new-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    one.step(&fresh, PASSWORD, update(&token, "new-password")).await.problem(403, "token-invalid");
}

/// Live codes and guesses are counted over both replicas.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_one_for_all_replicas() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let apps = [(), ()].map(|()| {
        replica(&sandbox, &redis.client(), &keys, |parts| {
            parts.limits.risk_per_hour = 40;
            parts.limits.resets_per_login = vec!["1000/h".parse().unwrap()];
            parts.limits.codes_per_login = vec!["1000/h".parse().unwrap()];
        })
    });
    for index in 0..4 {
        reset(&apps[index % 2], "anna.lee").await;
    }
    let (mut refused, mut paused) = (0, 0);
    for guess in 0..30 {
        let app = &apps[guess % 2];
        let live = app.handle("anna.lee", Stage::Live);
        let answered = app.step(&live, CODE, code(&format!("{guess:06}"))).await;
        if answered.status == 503 { paused += 1 } else { refused += 1 }
    }
    // Four live codes: a guess costs four of the forty.
    assert_eq!((refused, paused), (10, 20));
    // What a refused step 1 took as live is taken back.
    let live: u32 = redis.ask::<Vec<u32>>(&["HVALS", "password-reset:{all}:live"]).iter().sum();
    assert_eq!(live, 4);
    for _ in 0..3 {
        reset(&apps[0], "nobody").await;
    }
    let live: u32 = redis.ask::<Vec<u32>>(&["HVALS", "password-reset:{all}:live"]).iter().sum();
    assert_eq!(live, 4);
}

/// E5: whoever reads the store learns no login, address or code.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_holds_no_plain_name() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |parts| {
        parts.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    });
    let headers = [JSON, ("x-forwarded-for", "198.51.100.77")];
    for login in ["robert.zak", "anna.lee"] {
        let body = format!(r#"{{"User": "{login}", "SecretQuestionAnswer": "Peterson"}}"#);
        app.send_from(Some("10.0.0.1"), Method::POST, RESET, &headers, body).await;
    }
    let mail = sandbox.outbox().pop().unwrap().code;
    let live = app.handle("anna.lee", Stage::Live);
    let token = app.step(&live, CODE, code(&mail)).await.model();
    app.step(&live, PASSWORD, update(&token, "new-password")).await;
    let asked = app.handle("robert.zak", Stage::Question);
    app.step(&asked, &format!("{QUESTION}?username=robert.zak"), "").await;

    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    assert!(keys.len() >= 12, "{keys:?}");
    let mut all = keys.join("\n").to_lowercase();
    for key in &keys {
        assert!(key.starts_with("password-reset:{") && key.matches('{').count() == 1, "a hash tag in {key}");
        let ttl: i64 = redis.ask(&["PTTL", key]);
        assert!(ttl > 0, "{key} lives for ever");
        let kind: String = redis.ask(&["TYPE", key]);
        all += &match kind.as_str() {
            "string" => redis.ask::<String>(&["GET", key]),
            "hash" => redis.ask::<Vec<String>>(&["HGETALL", key]).join(" "),
            other => panic!("{key} is a {other}"),
        };
    }
    for plain in
        ["robert", "zak", "anna", "lee", "peterson", "198.51", "c6336", &mail, "new-password", "third"]
    {
        assert!(!all.contains(plain), "{plain} in {all}");
    }
}

/// S3.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_were_flushed_are_loaded_again() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    for _ in 0..5 {
        reset(&app, "anna.lee").await;
        let (): () = redis.ask(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 3);
    assert_eq!(app.health.store_answers(), Some(true));
}

/// S1: whatever happens to Redis, a request is not held up, the local share decides, and all is well when Redis is.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_holds_nobody_up_and_lets_nobody_through() {
    let sandbox = Sandbox::start().await.unwrap();
    for fate in ["killed", "paused", "read-only", "password"] {
        let (mut redis, keys) = (Server::redis(&[]), Secrets::random());
        let app = replica(&sandbox, &redis.client(), &keys, |parts| {
            parts.limits.resets = vec!["100000/h".parse().unwrap()];
            parts.limits.resets_per_address = vec!["100000/h".parse().unwrap()];
        });
        assert_eq!(app.health.store_answers(), Some(true));
        reset(&app, "warm").await;
        match fate {
            "killed" => redis.kill(),
            "paused" => redis.pause(),
            "read-only" => redis.ask(&["REPLICAOF", "127.0.0.1", "1"]),
            _ => {
                let (): () = redis.ask(&["CONFIG", "SET", "requirepass", "something-else"]);
                // Those who are in already stay in.
                let mut connection =
                    redis::Client::open(format!("redis://:something-else@127.0.0.1:{}/0", redis.port))
                        .unwrap()
                        .get_connection()
                        .unwrap();
                let _: i64 = redis::cmd("CLIENT")
                    .arg("KILL")
                    .arg("TYPE")
                    .arg("normal")
                    .arg("SKIPME")
                    .arg("yes")
                    .query(&mut connection)
                    .unwrap();
            }
        }
        let before = sandbox.calls(Operation::RequestReset);
        let mut took = Vec::new();
        // Long enough for several probes of the breaker.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(4500) {
            let asked = Instant::now();
            reset(&app, "anna.lee").await;
            took.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        took.sort();
        let p99 = took[took.len() * 99 / 100];
        assert!(took.len() > 100 && p99 < Duration::from_millis(60), "{fate}: p99 {p99:?}");
        assert!(
            took[took.len() - 1] < Duration::from_millis(120),
            "{fate}: worst {:?}",
            took[took.len() - 1]
        );
        assert_eq!(app.health.store_answers(), Some(false), "{fate}");
        // A third of three mails.
        assert_eq!(sandbox.calls(Operation::RequestReset) - before, 1, "{fate}");

        match fate {
            "killed" => redis.restart(),
            "paused" => redis.go_on(),
            "read-only" => redis.ask(&["REPLICAOF", "NO", "ONE"]),
            _ => continue,
        }
        until(fate, || app.health.store_answers() == Some(true)).await;
        let before = sandbox.calls(Operation::RequestReset);
        for _ in 0..4 {
            reset(&app, "somebody-else").await;
        }
        assert_eq!(sandbox.calls(Operation::RequestReset) - before, 3, "{fate}: together again");
    }
}

/// Codes that went out while replicas counted alone count when they are together again.
#[tokio::test(flavor = "multi_thread")]
async fn live_codes_are_not_forgotten_when_the_store_comes_back() {
    let (mut redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |parts| {
        parts.limits.resets_per_login = vec!["1000/h".parse().unwrap()];
        parts.limits.risk_per_hour = 300;
        parts.store.replicas = 3;
    });
    for _ in 0..2 {
        reset(&app, "anna.lee").await;
    }
    redis.kill();
    for _ in 0..5 {
        reset(&app, "anna.lee").await;
    }
    let spent = |guesses: usize| {
        let app = &app;
        async move {
            let mut refused = 0;
            for guess in 0..guesses {
                let live = app.handle(&format!("trader-{guess}"), Stage::Live);
                let answered = app.step(&live, CODE, code(&format!("{guess:06}"))).await;
                refused += usize::from(answered.body == WRONG);
            }
            refused
        }
    };
    // Two that Redis knew of, five here, as many on each of two other replicas; a third of 300 pays for five guesses of 17.
    assert_eq!(spent(10).await, 5);
    redis.restart();
    until("back", || app.health.store_answers() == Some(true)).await;
    assert_eq!(spent(30).await, 20, "fifteen are still taken as live");
}

/// A Redis that has lost everything has lost the tries as well, so it ends the flows, as a restart does without Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_forgot_the_tries_grants_no_fresh_ones() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let apps = [(), ()].map(|()| replica(&sandbox, &redis.client(), &keys, |_| {}));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let handle = reset(&apps[0], "anna.lee").await;
    for guess in 0..5 {
        assert_eq!(apps[0].step(&handle, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
    }
    let (): () = redis.ask(&["FLUSHALL"]);
    // Somebody looks every two seconds.
    tokio::time::sleep(Duration::from_millis(2300)).await;
    for guess in 5..12 {
        apps[guess % 2].step(&handle, CODE, code(&format!("{guess:06}"))).await.problem(403, "flow-required");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
    let fresh = reset(&apps[1], "anna.lee").await;
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(apps[0].step(&fresh, CODE, code(&mail)).await.body.contains("\"Model\""));
}

/// The same when it comes back as it was some time ago, as from a snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_went_back_in_time_grants_no_fresh_tries() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    tokio::time::sleep(Duration::from_millis(2300)).await;
    let handle = reset(&app, "anna.lee").await;
    for guess in 0..5 {
        app.step(&handle, CODE, code(&format!("{guess:06}"))).await;
    }
    let epoch: String = redis.ask(&["GET", "password-reset:{all}:epoch"]);
    let (): () = redis.ask(&["FLUSHALL"]);
    let (): () = redis.ask(&["SET", "password-reset:{all}:epoch", &epoch]);
    let (): () = redis.ask(&["SET", "password-reset:{all}:looks", "1"]);
    tokio::time::sleep(Duration::from_millis(2300)).await;
    app.step(&handle, CODE, code("999999")).await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

/// A replica that has never seen Redis does not take the world for empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_knows_nothing_of_live_codes_forwards_a_few_guesses() {
    let sandbox = Sandbox::start().await.unwrap();
    let nobody = redis::Client::open("redis://127.0.0.1:1/0").unwrap();
    let app = replica(&sandbox, &nobody, &Secrets::random(), |_| {});
    for guess in 0..20 {
        let live = app.handle(&format!("trader-{guess}"), Stage::Live);
        app.step(&live, CODE, code(&format!("{guess:06}"))).await;
    }
    let forwarded = sandbox.calls(Operation::RedeemCode);
    assert!((1..=4).contains(&forwarded), "{forwarded}");
}

/// A flow that has used up what a replica alone grants gives way to a new one, as it does otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_can_be_tried_while_the_store_is_away() {
    let (mut redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |parts| {
        parts.limits.resets_per_login = vec!["1000/h".parse().unwrap()];
        parts.limits.codes_per_login = vec!["1000/h".parse().unwrap()];
    });
    redis.kill();
    let first = reset(&app, "anna.lee").await;
    assert_eq!(app.step(&first, CODE, code("000000")).await.body, WRONG);
    let body = r#"{"User": "anna.lee"}"#;
    let second = app.step(&first, RESET, body).await.handle();
    let mail = sandbox.outbox().pop().unwrap().code;
    assert!(app.step(&second, CODE, code(&mail)).await.body.contains("\"Model\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_without_its_store() {
    let sandbox = Sandbox::start().await.unwrap();
    let nobody = redis::Client::open("redis://127.0.0.1:1/0").unwrap();
    let app = replica(&sandbox, &nobody, &Secrets::random(), |_| {});
    for _ in 0..4 {
        reset(&app, "anna.lee").await;
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 1);
}
