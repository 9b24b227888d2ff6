//! Three gateways behind a load balancer with one Redis: any of them may answer any step, and any of them may go.

use std::{
    fs,
    time::{Duration, Instant},
};

use autoshares_gateway::flow::Secrets;
use autoshares_sdk::{
    Operation,
    sandbox::{Sandbox, Trader},
};
use serde_json::Value;

use crate::{
    servers::{PATIENCE, Server},
    support::{
        CODE, Gateway, JSON, KEY, PASSWORD, QUESTION, RESET, WRONG, code, haproxy::haproxy, http_builder,
        update,
    },
};

/// Who answered what, to a client that keeps no connection, so that each step meets the next replica.
struct Front {
    http: reqwest::Client,
    url: String,
    /// How many requests were sent, each from a network of its own.
    sent: std::sync::atomic::AtomicUsize,
}

impl Front {
    async fn send(
        &self,
        method: &str,
        target: &str,
        handle: &str,
        body: String,
    ) -> (u16, Option<String>, String) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{target}", self.url));
        let number = self.sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let address = format!("198.{}.{}.1", 50 + number / 250, number % 250);
        let request =
            request.header(JSON.0, JSON.1).header("reset-flow", handle).header("x-forwarded-for", address);
        let request = request.body(body);
        let answer = request.send().await.unwrap();
        let given = answer.headers().get("reset-flow").map(|handle| handle.to_str().unwrap().to_owned());
        (answer.status().as_u16(), given, answer.text().await.unwrap())
    }

    async fn reset(&self, login: &str, more: &str) -> (u16, Option<String>, String) {
        self.send("POST", RESET, "", format!(r#"{{"User": "{login}"{more}}}"#)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_goes_through_whichever_replica_is_there() {
    let traders = (0..40)
        .fold(Sandbox::builder(), |builder, index| builder.trader(Trader::new(&format!("trader-{index}"))));
    let sandbox = traders.app_key(KEY).start().await.unwrap();
    let mut redis = Server::redis(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Secrets::random(), Secrets::random());
    let (old_ring, new_ring) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old_ring, old.to_file() + &new.to_file()).unwrap();
    fs::write(&new_ring, new.to_file() + &old.to_file()).unwrap();

    let start = |ring: &std::path::Path| {
        let settings = [
            format!("store.url={}", redis.url()),
            format!("flow.keys_file={}", ring.display()),
            "public_origin=http://localhost:8080".to_owned(),
            "trusted_proxies=127.0.0.1".to_owned(),
            "flow.floor=0s".to_owned(),
            "limits.resets_per_address=200/h".to_owned(),
            "limits.logins_per_address=200/h".to_owned(),
            "limits.codes_per_address=2000/h".to_owned(),
        ];
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        Gateway::serve(&sandbox.base_url(), &settings, &[])
    };
    let mut gateways = vec![start(&old_ring), start(&old_ring), start(&new_ring)];
    let addresses: Vec<_> = gateways.iter().map(|(_, public, _)| public.clone()).collect();
    let admins: Vec<_> = gateways.iter().map(|(_, _, admin)| admin.clone()).collect();
    let haproxy = haproxy(&addresses);
    let http = http_builder().pool_max_idle_per_host(0).build().unwrap();
    let front =
        Front { http: http.clone(), url: format!("http://127.0.0.1:{}", haproxy.port), sent: 0.into() };

    // The whole flow, each step at another replica, two of which seal with another key than the third (B5).
    let (_, handle, refused) = front.reset("robert.zak", "").await;
    assert!(refused.contains("ErrorIncorrectAnswer"));
    let target = format!("{QUESTION}?username=robert.zak");
    let (_, _, question) = front.send("GET", &target, &handle.unwrap(), String::new()).await;
    assert!(question.contains("third grade"), "{question}");
    let (_, handle, _) = front.reset("robert.zak", r#", "SecretQuestionAnswer": "Peterson""#).await;
    let handle = handle.unwrap();
    let (_, _, wrong) = front.send("POST", CODE, &handle, code("000000")).await;
    assert_eq!(wrong, WRONG);

    // One of them dies in the middle.
    gateways.remove(1);
    let mail = sandbox.outbox().pop().unwrap().code;
    let (_, _, redeemed) = front.send("POST", CODE, &handle, code(&mail)).await;
    let token = serde_json::from_str::<Value>(&redeemed).unwrap()["Model"].as_str().unwrap().to_owned();
    let (_, _, set) = front.send("PUT", PASSWORD, &handle, update(&token, "new-password")).await;
    assert_eq!(set, r#"{"Errors":[],"IsSucceed":true}"#);
    for (gateway, public, _) in &gateways {
        assert!(gateway.closed_output(public).await.contains("operation="), "both that are left took part");
    }

    // An attack over all replicas: 20 codes are live, so 60 guesses an hour go on, less those of the flow above.
    let mut handles = Vec::new();
    for index in 0..19 {
        handles.push(front.reset(&format!("trader-{index}"), "").await.1.unwrap());
    }
    let before = sandbox.calls(Operation::RedeemCode);
    let guess = async |from: usize, count: usize| {
        let mut paused = 0;
        for guess in from..from + count {
            let handle = &handles[guess % handles.len()];
            let (status, _, _) = front.send("POST", CODE, handle, code(&format!("{guess:06}"))).await;
            paused += usize::from(status == 503);
        }
        paused
    };
    assert_eq!(guess(0, 40).await, 0);
    assert_eq!(sandbox.calls(Operation::RedeemCode) - before, 40);
    // Redis dies in the middle of it: nothing can be counted, so nothing is forwarded, in any step.
    redis.kill();
    let (started, forwarded) = (Instant::now(), sandbox.received().len());
    assert_eq!(guess(40, 57).await, 57);
    let (status, handle, _) = front.reset("anna.lee", "").await;
    assert_eq!((status, handle), (503, None));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(sandbox.received().len(), forwarded);
    for admin in [&admins[0], &admins[2]] {
        let ready = http.get(format!("{admin}/readyz?verbose")).send().await.unwrap();
        assert_eq!(ready.status(), 200);
        assert!(ready.text().await.unwrap().contains(r#""status":"degraded","store":"degraded"#));
    }

    redis.restart();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ready = http.get(format!("{}/readyz?verbose", admins[0])).send().await.unwrap();
        if ready.text().await.unwrap().contains(r#""store":"shared""#) {
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, handle, _) = front.reset("anna.lee", "").await;
    assert!(status == 200 && handle.is_some(), "all goes on by itself");
    for (gateway, public, _) in &gateways {
        for told in ["the store is away", "event=\"store_away\"", "the store is back", "event=\"store_back\""]
        {
            gateway.wait_for(told);
            let output = gateway.closed_output(public).await;
            assert_eq!(output.matches(told).count(), 1, "{told}: once, not for every request");
        }
    }
    drop(haproxy);
}
