//! C9 and C10: what was spent stays spent, at every replica and from the first instant on, whatever happens to Redis; and no outage makes room in
//! the ledger.

use std::time::Duration;

use autoshares_gateway::flow::{Secrets, Stage};
use autoshares_sdk::{Operation, sandbox::Sandbox};
use axum::http::Method;
use tokio::task::JoinSet;

use crate::{
    servers::Server,
    support::{CODE, JSON, TestApp, WRONG, ample, code, until},
};

/// What happens to Redis after a code and a token were spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Paused,
    Emptied,
    Restarted,
    /// Replaced by one with an older snapshot.
    OlderSnapshot,
    /// Made the replica of one that lags, and the primary again, while every connection stays.
    FailedOverAndBack,
}

fn replicas(sandbox: &Sandbox, redis: &Server, keys: &Secrets) -> Vec<TestApp> {
    (0..3)
        .map(|_| {
            TestApp::guarded(&sandbox.client(), |config| {
                config.store.redis = Some(redis.client());
                config.flow.keys = keys.clone();
                config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
                config.limits.resets_per_address = ample();
                config.limits.codes_per_address = ample();
            })
        })
        .collect()
}

/// Every replica, many requests at once: neither the code nor the token is forwarded again.
async fn burst(apps: &[TestApp], handle: &str, mail: &str, token: &str) {
    let mut requests = JoinSet::new();
    for app in apps {
        for _ in 0..4 {
            let (app, handle, mail) = (app.clone(), handle.to_owned(), mail.to_owned());
            let token = token.to_owned();
            requests.spawn(async move {
                app.redeem(&handle, &mail).await;
                app.set_password(&handle, &token, "another-password").await;
                // A new guess in the old flow, whose tries are spent.
                app.redeem(&handle, "000099").await
            });
        }
    }
    requests.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_stays_spent_whatever_happens_to_the_store() {
    for fate in [
        Fate::Killed,
        Fate::Paused,
        Fate::Emptied,
        Fate::Restarted,
        Fate::OlderSnapshot,
        Fate::FailedOverAndBack,
    ] {
        let (sandbox, keys) = (Sandbox::start().await.unwrap(), Secrets::random());
        let mut redis = Server::redis(&[
            "--appendonly",
            if fate == Fate::Restarted { "yes" } else { "no" },
            "--appendfsync",
            "always",
        ]);
        let lagging = (fate == Fate::FailedOverAndBack).then(|| {
            let lagging = Server::redis(&[]);
            let port = redis.port.to_string();
            let (): () = lagging.query(&["REPLICAOF", "127.0.0.1", &port]);
            lagging
        });
        if let Some(lagging) = &lagging {
            // A server's first replica gives it another id.
            until("the link", || {
                lagging.query::<String>(&["INFO", "replication"]).contains("master_link_status:up")
            })
            .await;
        }
        let apps = replicas(&sandbox, &redis, &keys);
        let handle = apps[0].reset("anna.lee").await.handle();
        let mail = sandbox.outbox().pop().unwrap().code;
        if let Some(lagging) = &lagging {
            until("the copy", || lagging.query::<Vec<String>>(&["KEYS", "*:record:*"]).len() == 1).await;
            // From here on it lags.
            let (): () = lagging.query(&["REPLICAOF", "NO", "ONE"]);
        }
        if fate == Fate::OlderSnapshot {
            let (): () = redis.query(&["SAVE"]);
        }
        for guess in 0..4 {
            assert_eq!(apps[guess % 3].redeem(&handle, &format!("{guess:06}")).await.body, WRONG);
        }
        let token = apps[1].redeem(&handle, &mail).await.model();
        let set = apps[2].set_password(&handle, &token, "new-password").await;
        assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#, "{fate:?}");
        let calls = || (sandbox.calls(Operation::RedeemCode), sandbox.calls(Operation::SetPassword));
        assert_eq!(calls(), (5, 1));

        match fate {
            Fate::Killed => redis.kill(),
            Fate::Paused => redis.pause(),
            Fate::Emptied => redis.query(&["FLUSHALL"]),
            Fate::Restarted | Fate::OlderSnapshot => {
                redis.kill();
                redis.restart();
            }
            Fate::FailedOverAndBack => {
                let port = lagging.as_ref().unwrap().port.to_string();
                let (): () = redis.query(&["REPLICAOF", "127.0.0.1", &port]);
                until("the old state", || {
                    redis.query::<String>(&["INFO", "replication"]).contains("master_link_status:up")
                })
                .await;
                let (): () = redis.query(&["REPLICAOF", "NO", "ONE"]);
            }
        }
        burst(&apps, &handle, &mail, &token).await;
        assert_eq!(calls(), (5, 1), "{fate:?}: at once");
        match fate {
            Fate::Killed => redis.restart(),
            Fate::Paused => redis.resume(),
            _ => {}
        }
        // Also when every replica has found Redis again.
        for app in &apps {
            for _ in 0..80 {
                if app.reset("robert.zak").await.status == 200 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        burst(&apps, &handle, &mail, &token).await;
        assert_eq!(calls(), (5, 1), "{fate:?}: afterwards");
    }
}

/// Sixty guesses at once over three replicas, before, in and after an outage: the ledger never holds more than it may.
#[tokio::test(flavor = "multi_thread")]
async fn no_outage_makes_room_in_the_ledger() {
    let (sandbox, keys) = (Sandbox::start().await.unwrap(), Secrets::random());
    let redis = Server::redis(&[]);
    let apps: Vec<_> = (0..3)
        .map(|_| {
            TestApp::guarded(&sandbox.client(), |config| {
                config.store.redis = Some(redis.client());
                config.flow.keys = keys.clone();
                config.proxies.trusted = vec!["10.0.0.0/8".parse().unwrap()];
                config.limits.risk_per_hour = 40;
                config.limits.codes_per_login = ample();
            })
        })
        .collect();
    let all_at_once = async |round: usize| {
        let mut guesses = JoinSet::new();
        for number in 0..60 {
            let app = apps[number % 3].clone();
            guesses.spawn(async move {
                let number = round * 60 + number;
                // While Redis is away there is no new flow either.
                let Some(handle) = flow(&app, number).await else { return };
                let address = format!("198.{}.{}.1", 20 + number / 250, number % 250);
                let headers = [JSON, ("reset-flow", &*handle), ("x-forwarded-for", &*address)];
                app.send_from(Some("10.0.0.1"), Method::POST, CODE, &headers, code(&format!("{number:06}")))
                    .await;
            });
        }
        guesses.join_all().await;
        sandbox.calls(Operation::RedeemCode)
    };
    let first = all_at_once(0).await;
    assert!((1..=40).contains(&first), "{first}");
    redis.pause();
    all_at_once(1).await;
    redis.resume();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    for round in 2..4 {
        all_at_once(round).await;
    }
    let booked: Vec<u32> = redis.query(&["HVALS", "{password-reset}:booked:flow"]);
    let booked: u32 = booked.iter().sum();
    assert!(booked <= 40 && sandbox.calls(Operation::RedeemCode) <= 40, "{booked}");
}

/// A live flow of its own.
async fn flow(app: &TestApp, number: usize) -> Option<String> {
    let login = if number.is_multiple_of(2) { "anna.lee" } else { "robert.zak" };
    tokio::time::timeout(Duration::from_secs(20), app.try_handle(login, Stage::LIVE)).await.ok()?
}
