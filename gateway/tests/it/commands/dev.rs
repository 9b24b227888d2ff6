//! `dev` lets a developer in: from any page of this machine, as often as it takes, with the settings that the developer wants, and it says
//! in words what the guard does.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use axum::http::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    servers::PATIENCE,
    support::{CODE, Dev, JSON, PASSWORD, RESET, bare, http, update},
};

/// Talks to `dev` as a client would.
impl Dev {
    /// One call: the status, the handle and the body.
    async fn call(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, Value) {
        let mut request = http().request(method, format!("{}{target}", self.gateway)).header(JSON.0, JSON.1);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.body(body.to_owned()).send().await.unwrap();
        let handle = reply.headers().get("reset-flow").map(|handle| handle.to_str().unwrap().to_owned());
        let status = reply.status().as_u16();
        (status, handle.unwrap_or_default(), serde_json::from_str(&reply.text().await.unwrap()).unwrap())
    }

    async fn last_code(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mails = http().get(&self.outbox).send().await.unwrap().text().await.unwrap();
            let mails: Value = serde_json::from_str(&mails).unwrap();
            if let Some(mail) = mails.as_array().unwrap().last() {
                return mail["code"].as_str().unwrap().to_owned();
            }
            // The reply may come before the mail is out.
            assert!(Instant::now() < deadline, "no mail");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_needs_nothing_and_takes_the_next_free_port() {
    let (one, two) = (Dev::start(&[], &[]), Dev::start(&[], &[]));
    assert_ne!(one.gateway, two.gateway);
    for dev in [&one, &two] {
        assert_eq!(dev.call(Method::POST, RESET, &[], r#"{"User": "anna.lee"}"#).await.0, 200);
        dev.last_code().await;
    }
}

/// A page of a development server, proxied (its own `Origin`, the gateway's address) or straight; again and again.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_go_through_as_often_as_they_like() {
    let dev = Dev::start(&["flow.floor=0s"], &[]);
    let origins =
        ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:4200", "https://app.localhost"];
    for round in 0..8 {
        let headers = [("origin", origins[round % origins.len()]), ("sec-fetch-site", "same-site")];
        let (status, handle, _) = dev.call(Method::POST, RESET, &headers, r#"{"User": "anna.lee"}"#).await;
        assert_eq!(status, 200);
        let headers = [headers[0], headers[1], ("reset-flow", &*handle)];
        let code = format!(r#"{{"Code": "{}"}}"#, dev.last_code().await);
        let (_, _, token) = dev.call(Method::POST, CODE, &headers, &code).await;
        let token = token["Model"].as_str().unwrap_or_else(|| panic!("round {round}: {token}"));
        let (_, _, set) = dev.call(Method::PUT, PASSWORD, &headers, &update(token, "a-new-password")).await;
        assert_eq!(set["IsSucceed"], true, "{set}");
    }
    let foreign = [("origin", "https://evil.example")];
    let (status, _, problem) = dev.call(Method::POST, RESET, &foreign, r#"{"User": "anna.lee"}"#).await;
    assert_eq!(status, 403, "{problem}");
    for origin in ["http://localhost.evil.example", "http://127.0.0.1.evil.example", "null"] {
        let headers = [("origin", origin)];
        assert_eq!(
            dev.call(Method::POST, RESET, &headers, r#"{"User": "anna.lee"}"#).await.0,
            403,
            "{origin}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guard_does_is_told_in_words() {
    let dev = Dev::start(
        &["flow.floor=0s", "limits.resets_per_login=1/h"],
        &[("GATEWAY_LIMITS_CODES_PER_FLOW", "1")],
    );
    let (_, nobody, _) = dev.call(Method::POST, RESET, &[], r#"{"User": "nobody"}"#).await;
    dev.process.wait_for("Autoshares refused it (is there such a trader?)");
    dev.call(Method::POST, CODE, &[("reset-flow", &nobody)], r#"{"Code": "000001"}"#).await;
    dev.process.wait_for("its step 1 only looked accepted");
    let (_, handle, _) = dev.call(Method::POST, RESET, &[], r#"{"User": "anna.lee"}"#).await;
    dev.call(Method::POST, RESET, &[], r#"{"User": "anna.lee"}"#).await;
    dev.process.wait_for("the budget `resets_per_login` is used up, so nothing was forwarded: raise it with `--set limits.resets_per_login=");
    for code in ["000001", "000002"] {
        dev.call(Method::POST, CODE, &[("reset-flow", &handle)], &format!(r#"{{"Code": "{code}"}}"#)).await;
    }
    dev.process.wait_for("the tries of this flow are used up");
    dev.call(Method::POST, CODE, &[], r#"{"Code": "000001"}"#).await;
    dev.process.wait_for("the request brought no handle");

    // And the sandbox fails on demand, for tests in any language.
    let put = http().put(format!("{}/request_reset", dev.faults)).body(r#"{"html": 503}"#);
    assert_eq!(put.send().await.unwrap().status(), 204);
    assert_eq!(dev.call(Method::POST, RESET, &[], r#"{"User": "robert.zak"}"#).await.0, 503);
}

#[test]
fn dev_keeps_its_own_autoshares_and_store() {
    let refused = |setting: &str| -> Output { bare().args(["dev", "--set", setting]).output().unwrap() };
    for (setting, told) in [
        (
            "upstream.base_url=https://host.example/api",
            "`upstream.base_url` is fixed: `dev` calls its own Autoshares",
        ),
        ("store.url=redis://127.0.0.1", "`store.url` is fixed"),
        ("flow.flor=1s", "did you mean `flow.floor`?"),
        ("flow.floor=1h", "given: `1h` (--set)"),
    ] {
        let output = refused(setting);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(told), "{text}");
    }
    let dev = Dev::start(
        &[],
        &[("AUTOSHARES_BASE_URL", "https://host.example/api"), ("GATEWAY_STORE", "redis://host")],
    );
    dev.process.wait_for("AUTOSHARES_BASE_URL is ignored: `dev` calls its own Autoshares");
    dev.process.wait_for("GATEWAY_STORE is ignored");
    let noise = dev.process.output();
    assert!(
        !noise.contains("`limits.") && !noise.contains("benchmark"),
        "its own settings are no reason to warn: {noise}"
    );
}
