//! Counters in a real Redis: shared by replicas, without a plain name in it, and never in the way when it is away.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use autoshares_counting::Presence;
use autoshares_gateway::{
    config::{Binding, Config},
    flow::{Secrets, Stage},
};
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox},
};
use axum::http::Method;

use crate::{
    canary::holds,
    servers::{PATIENCE, Server},
    support::{CODE, JSON, PASSWORD, QUESTION, RESET, TestApp, WRONG, ample, code, update},
};

/// A replica; all of them with the same keys.
fn replica(
    sandbox: &Sandbox,
    redis: &redis::Client,
    keys: &Secrets,
    change: impl FnOnce(&mut Config),
) -> TestApp {
    TestApp::guarded(&sandbox.client(), |config| {
        config.flow.keys = keys.clone();
        config.store.redis = Some(redis.clone());
        config.limits.codes_per_address = ample();
        config.limits.resets_per_address = ample();
        config.limits.logins_per_address = ample();
        change(config);
    })
}

async fn reset(app: &TestApp, login: &str) -> String {
    app.reset(login).await.handle()
}

/// Waits until a replica has connected to Redis again.
async fn back(app: &TestApp) {
    let mut presence = app.store.presence().unwrap();
    let back = presence.wait_for(|presence| *presence == Presence::Back);
    tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
}

fn is_back(app: &TestApp) -> bool {
    *app.store.presence().unwrap().borrow() == Presence::Back
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

    let live = one.handle("anna.lee", Stage::LIVE).await;
    for guess in 0..8 {
        let app = if guess % 2 == 0 { &one } else { &two };
        assert_eq!(app.step(&live, CODE, code(&format!("{guess:06}"))).await.body, WRONG);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5, "codes of a flow");

    // What one saw the other knows: a code that was tried, a token that is spent.
    let fresh = one.handle("anna.lee", Stage::LIVE).await;
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
        replica(&sandbox, &redis.client(), &keys, |config| {
            config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
            config.limits.risk_per_hour = 40;
            config.limits.resets_per_login = ample();
            config.limits.codes_per_login = ample();
        })
    });
    for index in 0..4 {
        reset(&apps[index % 2], "anna.lee").await;
    }
    let (mut refused, mut paused) = (0, 0);
    for guess in 0..30 {
        let app = &apps[guess % 2];
        let live = app.handle("anna.lee", Stage::LIVE).await;
        let headers = [JSON, ("reset-flow", &*live), ("x-forwarded-for", &*format!("198.51.{guess}.1"))];
        let body = code(&format!("{guess:06}"));
        let answered = app.send_from(Some("10.0.0.1"), Method::POST, CODE, &headers, body).await;
        if answered.status == 503 { paused += 1 } else { refused += 1 }
    }
    // Four live codes: a guess costs four of the forty.
    assert_eq!((refused, paused), (10, 20));
    // What a refused step 1 took as live is taken back.
    let live: u32 = redis.query::<Vec<u32>>(&["HVALS", "{password-reset}:live"]).iter().sum();
    assert_eq!(live, 4);
    for _ in 0..3 {
        reset(&apps[0], "nobody").await;
    }
    let live: u32 = redis.query::<Vec<u32>>(&["HVALS", "{password-reset}:live"]).iter().sum();
    assert_eq!(live, 4);
}

/// E5: whoever reads the store learns no login, address or code.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_holds_no_plain_name() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |config| {
        config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
    });
    let headers = [JSON, ("x-forwarded-for", "198.51.100.77")];
    for login in ["robert.zak", "anna.lee"] {
        let body = format!(r#"{{"User": "{login}", "SecretQuestionAnswer": "Peterson"}}"#);
        app.send_from(Some("10.0.0.1"), Method::POST, RESET, &headers, body).await;
    }
    let mail = sandbox.outbox().pop().unwrap().code;
    let live = app.handle("anna.lee", Stage::LIVE).await;
    let token = app.step(&live, CODE, code(&mail)).await.model();
    app.step(&live, PASSWORD, update(&token, "new-password")).await;
    let asked = app.handle("robert.zak", Stage::QUESTION).await;
    app.step(&asked, &format!("{QUESTION}?username=robert.zak"), "").await;

    let keys: Vec<String> = redis.query(&["KEYS", "*"]);
    assert!(keys.len() >= 12, "{keys:?}");
    let mut all = keys.join("\n").to_lowercase();
    for key in &keys {
        assert!(key.starts_with("{password-reset}:") && key.matches('{').count() == 1, "a hash tag in {key}");
        let ttl: i64 = redis.query(&["PTTL", key]);
        assert!(ttl > 0, "{key} lives for ever");
        let kind: String = redis.query(&["TYPE", key]);
        all.push('\n');
        all += &match kind.as_str() {
            "string" => redis.query::<String>(&["GET", key]),
            "hash" => redis.query::<Vec<String>>(&["HGETALL", key]).join(" "),
            other => panic!("{key} is a {other}"),
        };
    }
    // The address also in hexadecimal, and whole, for fewer digits stand in an id by chance.
    for plain in
        ["robert", "zak", "anna", "lee", "peterson", "198.51", "c633644d", &mail, "new-password", "third"]
    {
        assert!(!holds(&all, plain), "{plain} in {all}");
    }
}

/// S3.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_were_flushed_are_loaded_again() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    for _ in 0..5 {
        reset(&app, "anna.lee").await;
        let (): () = redis.query(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 3);
    assert!(is_back(&app));
}

/// S1: whatever happens to Redis, every request is answered within the deadline, nothing is forwarded, and all is well when Redis is.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_holds_nobody_up_and_lets_nobody_through() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let sandbox = Sandbox::start().await.unwrap();
    for fate in ["killed", "paused", "read-only", "password", "full"] {
        let (mut redis, keys) = (Server::redis(&[]), Secrets::random());
        let app = replica(&sandbox, &redis.client(), &keys, |config| {
            config.limits.resets = ample();
            config.store.timeout = TIMEOUT;
        });
        let handle = reset(&app, "anna.lee").await;
        assert!(is_back(&app));
        match fate {
            "killed" => redis.kill(),
            "paused" => redis.pause(),
            "read-only" => redis.query(&["REPLICAOF", "127.0.0.1", "1"]),
            "full" => redis.query(&["CONFIG", "SET", "maxmemory", "1"]),
            _ => {
                let (): () = redis.query(&["CONFIG", "SET", "requirepass", "something-else"]);
                // Those who are in already stay in.
                let url = format!("redis://:something-else@127.0.0.1:{}/0", redis.port);
                let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
                let mut kill = redis::cmd("CLIENT");
                kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
                let _: i64 = kill.query(&mut connection).unwrap();
            }
        }
        let before = sandbox.received().len();
        let mut took = Vec::new();
        let started = Instant::now();
        // Long enough for several looks of the task beside the requests.
        while started.elapsed() < Duration::from_millis(4500) {
            for step in 0..3 {
                let asked = Instant::now();
                let answered = match step {
                    0 => app.reset("anna.lee").await,
                    1 => app.redeem(&handle, "123456").await,
                    _ => app.set_password(&handle, &app.token(&handle), "new-password").await,
                };
                took.push(asked.elapsed());
                answered.problem(503, "temporarily-unavailable");
                assert_eq!(answered.headers["retry-after"], "2", "{fate}");
                assert!(!answered.headers.contains_key("reset-flow"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        took.sort();
        let (median, p90, worst) = (took[took.len() / 2], took[took.len() * 9 / 10], took[took.len() - 1]);
        // Most do not wait for Redis at all. Those that do wait for the deadline, and on a busy machine for their turn.
        assert!(took.len() > 30 && median < Duration::from_millis(60), "{fate}: median {median:?}");
        assert!(p90 < TIMEOUT / 2, "{fate}: p90 {p90:?}");
        assert!(worst < 2 * TIMEOUT, "{fate}: worst {worst:?}");
        assert!(!is_back(&app), "{fate}");
        assert_eq!(sandbox.received().len(), before, "{fate}: nothing is forwarded");

        match fate {
            "killed" => redis.restart(),
            "paused" => redis.resume(),
            "read-only" => redis.query(&["REPLICAOF", "NO", "ONE"]),
            "full" => redis.query(&["CONFIG", "SET", "maxmemory", "0"]),
            _ => continue,
        }
        back(&app).await;
        let before = sandbox.calls(Operation::RequestReset);
        for _ in 0..4 {
            reset(&app, "somebody-else").await;
        }
        assert_eq!(
            sandbox.calls(Operation::RequestReset) - before,
            3,
            "{fate}: nothing was counted meanwhile"
        );
        let goes_on = matches!(fate, "paused" | "full");
        let answered = app.redeem(&handle, "123456").await;
        if goes_on {
            assert_eq!(answered.body, WRONG, "{fate}: the flow goes on");
        } else {
            answered.problem(403, "flow-required");
        }
    }
}

/// C8: a Redis that has lost everything has lost the flows as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_forgot_the_tries_grants_no_fresh_ones() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let apps = [(), ()].map(|()| replica(&sandbox, &redis.client(), &keys, |_| {}));
    let handle = reset(&apps[0], "anna.lee").await;
    for guess in 0..5 {
        assert_eq!(apps[0].redeem(&handle, &format!("{guess:06}")).await.body, WRONG);
    }
    let (): () = redis.query(&["FLUSHALL"]);
    // From the first instant on.
    for guess in 5..12 {
        apps[guess % 2].redeem(&handle, &format!("{guess:06}")).await.problem(403, "flow-required");
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
    let fresh = reset(&apps[1], "anna.lee").await;
    let mail = sandbox.outbox().pop().unwrap().code;
    apps[0].redeem(&fresh, &mail).await.model();
}

/// C8: the same when it comes back as it was some time ago, as from a snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_went_back_in_time_grants_no_fresh_tries() {
    let mut redis = Server::redis(&[]);
    let (sandbox, keys) = (Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    let handle = reset(&app, "anna.lee").await;
    let (): () = redis.query(&["SAVE"]);
    for guess in 0..5 {
        app.redeem(&handle, &format!("{guess:06}")).await;
    }
    redis.kill();
    redis.restart();
    let records: Vec<String> = redis.query(&["KEYS", "*:record:*"]);
    assert_eq!(records.len(), 1, "the flow came back with all of its tries");
    app.reset("anna.lee").await;
    back(&app).await;
    app.redeem(&handle, "999999").await.problem(403, "flow-required");
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

/// One connection is made before the first decision, so a gateway that starts without its store refuses, and serves once it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_without_its_store() {
    let sandbox = Sandbox::start().await.unwrap();
    let nobody = redis::Client::open("redis://127.0.0.1:1/0").unwrap();
    let app = replica(&sandbox, &nobody, &Secrets::random(), |_| {});
    for _ in 0..4 {
        app.reset("anna.lee").await.problem(503, "temporarily-unavailable");
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 0);
}

/// Two installations in one database count apart.
#[tokio::test(flavor = "multi_thread")]
async fn installations_of_two_namespaces_count_apart() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    for namespace in ["one", "two"] {
        let namespace = namespace.to_owned();
        let app = replica(&sandbox, &redis.client(), &keys, |config| config.store.namespace = namespace);
        for _ in 0..4 {
            reset(&app, "anna.lee").await;
        }
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 6);
}

/// A decision is one round trip to Redis, and settling it another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_takes_one_round_trip_and_one_to_settle() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    reset(&app, "warm").await;
    let scripts = || -> u64 {
        let stats: String = redis.query(&["INFO", "commandstats"]);
        let calls = stats.lines().filter(|line| line.starts_with("cmdstat_eval"));
        calls.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()).sum()
    };
    let mut before = scripts();
    let mut took = |what: &str, expected: u64| {
        let now = scripts();
        assert_eq!(now - before, expected, "{what}");
        before = now;
    };
    let handle = reset(&app, "anna.lee").await;
    took("a step 1", 2);
    reset(&app, "nobody").await;
    took("a step 1 that Autoshares refuses", 2);
    let asked = reset(&app, "robert.zak").await;
    took("a step 1 that wants an answer", 2);
    app.step(&asked, &format!("{QUESTION}?username=robert.zak"), "").await;
    took("a question", 1);
    app.redeem(&handle, "000000").await;
    took("a wrong code", 2);
    app.redeem(&handle, "000000").await;
    took("the same again", 1);
    app.redeem(&app.handle("nobody", Stage::DEAD).await, "000000").await;
    took("a dead flow, with the decision of the test that makes it", 2);
    let mail = sandbox.outbox().iter().rfind(|mail| mail.login == "anna.lee").unwrap().code.clone();
    let token = app.redeem(&handle, &mail).await.model();
    took("a right code", 2);
    app.set_password(&handle, &token, "new-password").await;
    took("a password", 2);
}

/// How many keys a server holds, and how many scripts it has run.
async fn look(redis: &Server) -> (usize, usize) {
    let mut connection = redis.client().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    // The gateway's own looks at the server leave keys for a moment.
    let keys = keys.iter().filter(|key| !key.contains(":rehearsal")).count();
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    (keys, calls.split(',').next().unwrap().parse().unwrap())
}

/// Looking for a flow costs the store a script, and charges nothing that all gateways share. A handle that has been refused often is refused
/// without it, and other handles of the same network are not.
#[tokio::test(flavor = "multi_thread")]
async fn steps_that_find_no_flow_do_not_load_redis_without_end() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let app = replica(&sandbox, &redis.client(), &keys, |_| {});
    let stale = app.handle("anna.lee", Stage::LIVE).await;
    let _: () = redis::cmd("FLUSHALL")
        .exec_async(&mut redis.client().get_multiplexed_async_connection().await.unwrap())
        .await
        .unwrap();
    let live = app.reset("anna.lee").await.handle();
    let flood = async |handle: &str, count: usize| {
        let mut statuses = Vec::new();
        for number in 0..count {
            let answer = match number % 3 {
                0 if handle == stale => app.redeem(handle, "123456").await,
                1 if handle == stale => {
                    let target = format!("{QUESTION}?username=anna.lee");
                    app.send(Method::GET, &target, &[("reset-flow", handle)], "").await
                }
                _ => app.set_password(handle, "no-token", "new-password").await,
            };
            statuses.push(answer.status.as_u16());
        }
        statuses
    };
    for handle in [&stale, &live] {
        let refused = flood(handle, 20).await;
        assert!(refused.iter().all(|status| *status == 403), "{refused:?}");
        flood(handle, 3).await;
        let (_, before) = look(&redis).await;
        let refused = flood(handle, 100).await;
        let (_, after) = look(&redis).await;
        assert!(refused.iter().filter(|status| **status == 429).count() > 90, "{refused:?}");
        assert!(after - before < 10, "{} scripts", after - before);
    }
    // Nobody else has to wait, and it comes back soon.
    let other = app.reset("anna.lee").await.handle();
    app.redeem(&other, &sandbox.outbox().pop().unwrap().code).await.model();
    app.clock.advance(Duration::from_secs(60));
    app.redeem(&stale, "123456").await.problem(403, "flow-required");
}

/// D5. An installation that has used up what it has is asked first, so that more addresses leave nothing behind in Redis; and what is known to
/// be used up costs no decision.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_without_end_do_not_fill_redis() {
    let (redis, sandbox) = (Server::redis(&[]), Sandbox::start().await.unwrap());
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.store.redis = Some(redis.client());
        config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
        // Nothing comes back while the test runs.
        config.limits.resets = vec!["100/day".parse().unwrap()];
        config.limits.risk_per_hour = 100;
        // The most that strangers can do: nobody needs a handle.
        config.flow.binding = Binding::Off;
        config.flow.foreign_tokens = true;
    });
    let wrong = code("000000");
    let foreign = |number| update(&format!("foreign-{number}"), "new-password");
    let question = format!("{QUESTION}?username=anna.lee");
    let flood = async |from: u32, to: u32| {
        for number in from..to {
            // Over many blocks, each of which may use a part of the reserve.
            let network = number.wrapping_mul(40_503) & 0xffff;
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + (network << 8)).to_string();
            let headers = [JSON, ("x-forwarded-for", &address)];
            let send = async |method, target: &str, body| {
                app.send_from(Some("10.0.0.1"), method, target, &headers, body).await.status.as_u16()
            };
            let reset = format!(r#"{{"User": "nobody-{number}"}}"#);
            let statuses = [
                send(Method::POST, RESET, reset).await,
                send(Method::GET, &question, String::new()).await,
                send(Method::POST, CODE, wrong.clone()).await,
                send(Method::PUT, PASSWORD, foreign(number)).await,
            ];
            if from > 0 {
                assert_eq!(statuses, [503; 4]);
            }
        }
    };
    flood(0, 400).await;
    let (keys, decisions) = look(&redis).await;
    flood(400, 900).await;
    let (keys_afterwards, decisions_afterwards) = look(&redis).await;
    assert!(keys_afterwards <= keys, "{keys} keys became {keys_afterwards}");
    // The ledger alone is queried, for its room depends on the price of a guess.
    assert!(decisions_afterwards - decisions <= 500 + 20, "{decisions}, {decisions_afterwards}");
}

/// E7. How long refusals of codes take is kept by the store, so that a restart brings no shorter time back that would tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_level_of_time_outlives_a_restart() {
    const FLOOR: Duration = Duration::from_secs(60);
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let start = || {
        replica(&sandbox, &redis.client(), &keys, |config| {
            config.flow.floor = FLOOR;
            config.upstream.timeout = Duration::from_secs(600);
        })
    };
    // How long a wrong code takes, by a clock that goes on in steps of ten seconds.
    let time = async |app: &TestApp, handle: String, moves_on: &dyn Fn() -> bool| {
        let (started, asks) = (app.clock.now(), app.clone());
        let reply = tokio::spawn(async move { asks.redeem(&handle, "000000").await });
        while !reply.is_finished() {
            // So that whatever is under way comes to its end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            if moves_on() {
                app.clock.advance(Duration::from_secs(10));
            }
        }
        assert_eq!(reply.await.unwrap().body, WRONG);
        app.clock.since(started)
    };
    let app = start();
    let live = app.handle("anna.lee", Stage::LIVE).await;
    // Autoshares takes longer than the floor, by that clock.
    sandbox.fail(Operation::RedeemCode, Fault::Delay(Duration::from_millis(1500)));
    let is_late = AtomicBool::new(false);
    let moves_on = || {
        if sandbox.calls(Operation::RedeemCode) == 1 && !is_late.swap(true, Ordering::Relaxed) {
            app.clock.advance(FLOOR + FLOOR / 2);
        }
        app.metrics.text().contains("gateway_code_guesses_total{outcome=\"refused\"} 1")
    };
    assert!(time(&app, live, &moves_on).await >= 2 * FLOOR);
    sandbox.heal();
    let again = start();
    let dead = again.handle("nobody", Stage::DEAD).await;
    assert!(time(&again, dead, &|| true).await >= 2 * FLOOR - Duration::from_secs(10));
}

/// D6. A handle holds no time, and the store has a clock of its own, so that clocks of gateways may be as far apart as they like.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_apart_cost_nobody_a_flow() {
    let (redis, sandbox, keys) = (Server::redis(&[]), Sandbox::start().await.unwrap(), Secrets::random());
    let [one, two] = [(), ()].map(|()| replica(&sandbox, &redis.client(), &keys, |_| {}));
    let handle = one.reset("anna.lee").await.handle();
    two.clock.advance(Duration::from_secs(1000 * 24 * 3600));
    assert_eq!(two.redeem(&handle, "000000").await.body, WRONG);
    let mail = sandbox.outbox().pop().unwrap().code;
    let token = one.redeem(&handle, &mail).await.model();
    // From behind and from ahead.
    one.clock.advance(Duration::from_secs(2000 * 24 * 3600));
    let set = two.set_password(&handle, &token, "new-password").await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
}
