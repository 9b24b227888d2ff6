//! The audit trail: every decision leaves its event, every line is as the schema says, and no line holds a plain name.

use std::{collections::BTreeSet, time::Duration};

use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox},
};
use serde_json::Value;

use crate::support::{CODE, Gateway, JSON, KEY, PASSWORD, QUESTION, RESET, code, http, update};

struct Walk {
    http: reqwest::Client,
    public: String,
}

impl Walk {
    async fn send(&self, method: &str, target: &str, handle: &str, body: String) -> (String, String) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{target}", self.public));
        let mut request = request.header(JSON.0, JSON.1).header("x-forwarded-for", "198.51.100.7");
        if !handle.is_empty() {
            request = request.header("reset-flow", handle);
        }
        let answer = request.body(body).send().await.unwrap();
        let given = answer.headers().get("reset-flow").map(|handle| handle.to_str().unwrap().to_owned());
        (given.unwrap_or_default(), answer.text().await.unwrap())
    }

    async fn reset(&self, login: &str, answer: &str) -> String {
        let answer = if answer.is_empty() {
            String::new()
        } else {
            format!(r#", "SecretQuestionAnswer": "{answer}""#)
        };
        self.send("POST", RESET, "", format!(r#"{{"User": "{login}"{answer}}}"#)).await.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_leaves_an_event_as_the_schema_says() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let base_url = format!("upstream.base_url={}", sandbox.base_url());
    let settings = [
        "listen=127.0.0.1:0",
        "admin_listen=127.0.0.1:0",
        "log.format=json",
        "flow.floor=0s",
        "flow.binding=prefer",
        "trusted_proxies=127.0.0.1",
        "limits.resets_per_address=25/h",
        "limits.legacy_risk_per_hour=0.00002",
        "limits.risk_per_hour=0.000005",
        &base_url,
    ];
    let arguments: Vec<_> =
        ["serve"].into_iter().chain(settings.into_iter().flat_map(|set| ["--set", set])).collect();
    let gateway = Gateway::start(&arguments, &[("AUTOSHARES_APP_KEY", KEY)]);
    let line: Value = serde_json::from_str(&gateway.wait_for("listening")).unwrap();
    let walk = Walk { http: http(), public: format!("http://{}", line["listen"].as_str().unwrap()) };

    let asked = walk.reset("robert.zak", "").await;
    let live = walk.reset("anna.lee", "").await;
    let dead = walk.reset("nobody", "").await;
    walk.send("GET", &format!("{QUESTION}?username=anna.lee"), &asked, String::new()).await;
    walk.send("POST", CODE, &dead, code("111111")).await;
    for guess in ["000000", "000000", "000001"] {
        walk.send("POST", CODE, &live, code(guess)).await;
    }
    let mail = sandbox.outbox().pop().unwrap().code;
    let (_, redeemed) = walk.send("POST", CODE, &live, code(&mail)).await;
    let redeemed: Value = serde_json::from_str(&redeemed).unwrap();
    let token = redeemed["Model"].as_str().unwrap();
    for _ in 0..2 {
        walk.send("PUT", PASSWORD, &live, update(token, "new-password")).await;
    }
    for guess in ["000002", "000003"] {
        walk.send("POST", CODE, &live, code(guess)).await;
    }
    for _ in 0..4 {
        walk.reset("robert.zak", "wrong").await;
    }
    for _ in 0..3 {
        walk.reset("anna.lee", "").await;
    }
    // Without a handle through the lane until its ledger is empty, and with one that is none.
    for guess in 0..20 {
        walk.send("POST", CODE, "", code(&format!("{guess:06}"))).await;
    }
    walk.send("POST", CODE, &asked, code("123456")).await;
    sandbox.fail(Operation::RequestReset, Fault::KeyRejected);
    walk.reset("somebody", "").await;
    sandbox.heal();
    let request = walk.http.post(format!("{}{RESET}", walk.public)).header(JSON.0, JSON.1);
    request.header("origin", "https://evil.example").body(r#"{"User": "x"}"#).send().await.unwrap();
    for _ in 0..30 {
        walk.reset("anna.lee", "").await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;

    let schema: Value = serde_json::from_str(include_str!("../../../openapi/audit.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let output = gateway.output();
    let mut events = BTreeSet::new();
    for line in output.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["target"] == autoshares_gateway::telemetry::audit::TARGET {
            schema.validate(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let own = line["event"] == "ledger_low";
            assert_eq!(line["request_id"].as_str().map_or(0, str::len), if own { 0 } else { 36 }, "{line}");
            events.insert(line["event"].as_str().unwrap().to_owned());
        }
    }
    let expected = [
        "answer_suppressed",
        "budget_hit",
        "code_accepted",
        "code_refused",
        "code_repeated",
        "cross_site_refused",
        "dead_flow_guess",
        "flow_started",
        "flow_suppressed",
        "handle_invalid",
        "key_refused",
        "ledger_empty",
        "ledger_low",
        "legacy_guess",
        "password_set",
        "token_refused",
        "tries_exhausted",
    ];
    assert_eq!(events, expected.into_iter().map(str::to_owned).collect());
    for plain in ["anna", "robert", "198.51", "nobody", &mail, &live, token] {
        assert!(!output.contains(plain), "{plain}");
    }
}

/// Whatever else is worth a line, the trail has no gaps.
#[tokio::test(flavor = "multi_thread")]
async fn the_trail_does_not_depend_on_the_level_of_the_log() {
    let arguments = ["serve", "--set", "log.level=error", "--set", "log.format=text"];
    let ports = ["--set", "listen=127.0.0.1:18437", "--set", "admin_listen=127.0.0.1:0"];
    let variables = [("AUTOSHARES_APP_KEY", KEY), ("AUTOSHARES_BASE_URL", "http://127.0.0.1:1/api")];
    let gateway = Gateway::start(&[&arguments[..], &ports].concat(), &variables);
    let walk = Walk { http: http(), public: "http://127.0.0.1:18437".to_owned() };
    for _ in 0..100 {
        if std::net::TcpStream::connect("127.0.0.1:18437").is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    walk.send("POST", CODE, "", code("123456")).await;
    walk.send("POST", CODE, "no-handle", code("123456")).await;
    for event in ["handle_missing", "handle_invalid"] {
        gateway.wait_for(&format!("event=\"{event}\""));
    }
    assert!(!gateway.output().contains("listening"), "nothing else is told");
}

/// An operator at night: one line when the ledger is half empty, one when it is empty, and an alarm to look at.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_ledger_is_told_once_and_shows_in_readiness() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let settings = ["flow.floor=0s", "limits.risk_per_hour=0.000004", "limits.codes_per_flow=100"];
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &settings, &[]);
    let walk = Walk { http: http(), public };
    let ready =
        async || http().get(format!("{admin}/readyz?verbose")).send().await.unwrap().text().await.unwrap();
    let live = walk.reset("anna.lee", "").await;
    assert!(ready().await.contains(r#""risk_ledger":"ample","status":"ready""#));
    for guess in 0..3 {
        walk.send("POST", CODE, &live, code(&format!("{guess:06}"))).await;
    }
    assert!(ready().await.contains(r#""risk_ledger":"low"#), "{}", ready().await);
    for guess in 3..9 {
        walk.send("POST", CODE, &live, code(&format!("{guess:06}"))).await;
    }
    let answer = ready().await;
    assert!(
        answer.contains(r#""risk_ledger":"empty"#) && answer.contains(r#""status":"degraded""#),
        "{answer}"
    );
    let output = gateway.output();
    for (level, told) in [("WARN", "the risk ledger is half empty"), ("ERROR", "the risk ledger is empty")] {
        let lines: Vec<_> = output.lines().filter(|line| line.contains(told)).collect();
        assert_eq!(lines.len(), 1, "{output}");
        assert!(lines[0].contains(level), "{}", lines[0]);
    }
    let metrics = http().get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "gateway_codes_paused{lane=\"flow\"} 1",
        "gateway_risk_spent{lane=\"flow\"} 1.0",
        "gateway_risk_alarm{lane=\"flow\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    // What it says of a request that was paused is no fault of the gateway's.
    let paused = output.lines().find(|line| line.contains("codes-paused")).unwrap();
    assert!(paused.contains("INFO"), "{paused}");
    // Mails still go out.
    let sent = sandbox.outbox().len();
    walk.reset("anna.lee", "").await;
    assert_eq!(sandbox.outbox().len(), sent + 1);
}
