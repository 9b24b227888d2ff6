//! The audit trail: every decision leaves its event, every line is as the schema says, and no line holds a plain name.

use std::collections::BTreeMap;

use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox},
};
use serde_json::Value;

use crate::ports::free_port;
use crate::support::{CODE, Gateway, JSON, KEY, PASSWORD, QUESTION, RESET, code, http, until, update};

struct Walk {
    http: reqwest::Client,
    public: String,
    redeemed: std::sync::atomic::AtomicUsize,
}

/// What a client sees of a step.
struct Seen {
    request_id: String,
    handle: String,
    body: String,
}

impl Walk {
    async fn send(&self, method: &str, target: &str, handle: &str, body: String) -> Seen {
        self.send_from("198.51.100.7", method, target, handle, body).await
    }

    async fn send_from(&self, address: &str, method: &str, target: &str, handle: &str, body: String) -> Seen {
        let request = self.http.request(method.parse().unwrap(), format!("{}{target}", self.public));
        let mut request = request.header(JSON.0, JSON.1).header("x-forwarded-for", address);
        if !handle.is_empty() {
            request = request.header("reset-flow", handle);
        }
        let answer = request.body(body).send().await.unwrap();
        let header = |name: &str| {
            let value = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let (request_id, handle) = (header("x-request-id"), header("reset-flow"));
        Seen { request_id, handle, body: answer.text().await.unwrap() }
    }

    async fn reset(&self, login: &str, answer: &str) -> Seen {
        let answer = if answer.is_empty() {
            String::new()
        } else {
            format!(r#", "SecretQuestionAnswer": "{answer}""#)
        };
        self.send("POST", RESET, "", format!(r#"{{"User": "{login}"{answer}}}"#)).await
    }

    /// A step 3, each from a network of its own.
    async fn redeem(&self, handle: &str, digits: &str) -> Seen {
        let number = self.redeemed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let address = format!("198.51.{number}.7");
        self.send_from(&address, "POST", CODE, handle, code(digits)).await
    }
}

/// Each request of a walk with the events that it must leave, and no others.
#[derive(Default)]
struct Expected(Vec<(String, String, Vec<&'static str>)>);

impl Expected {
    /// Expects events of a request, and gives back what the client saw of it.
    fn of(&mut self, what: &str, seen: Seen, events: &[&'static str]) -> Seen {
        self.0.push((what.to_owned(), seen.request_id.clone(), events.to_vec()));
        seen
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_leaves_its_event_as_the_schema_says() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let base_url = format!("upstream.base_url={}", sandbox.base_url());
    let settings = [
        "listen=127.0.0.1:0",
        "admin_listen=127.0.0.1:0",
        "log.format=json",
        "flow.floor=0s",
        "flow.binding=prefer",
        "trusted_proxies=127.0.0.1",
        "limits.resets_per_address=13/h",
        "limits.legacy_risk_per_hour=0.000003",
        "limits.risk_per_hour=0.000008",
        "limits.codes_per_address=1000/h",
        &base_url,
    ];
    let arguments: Vec<_> =
        ["serve"].into_iter().chain(settings.into_iter().flat_map(|set| ["--set", set])).collect();
    let gateway = Gateway::start(&arguments, &[("AUTOSHARES_APP_KEY", KEY)]);
    let line: Value = serde_json::from_str(&gateway.wait_for("listening")).unwrap();
    let walk = Walk {
        http: http(),
        public: format!("http://{}", line["listen"].as_str().unwrap()),
        redeemed: 0.into(),
    };
    let mut expected = Expected::default();

    let asked = walk.reset("robert.zak", "").await;
    let asked = expected.of("an answer is needed", asked, &["flow_started"]).handle;
    let live = walk.reset("anna.lee", "").await;
    let live = expected.of("a mail", live, &["flow_started"]).handle;
    let dead = walk.reset("nobody", "").await;
    let dead = expected.of("no such login", dead, &["flow_suppressed"]).handle;
    let other = walk.send("GET", &format!("{QUESTION}?username=anna.lee"), &asked, String::new()).await;
    expected.of("the question of somebody else", other, &["handle_invalid"]);
    expected.of("a dead flow", walk.redeem(&dead, "111111").await, &["dead_flow_guess"]);
    expected.of("a wrong code", walk.redeem(&live, "000000").await, &["code_refused"]);
    expected.of("the same again", walk.redeem(&live, "000000").await, &["code_repeated"]);
    expected.of("another wrong code", walk.redeem(&live, "000001").await, &["code_refused"]);
    let mail = sandbox.outbox().pop().unwrap().code;
    let redeemed = expected.of("a right code", walk.redeem(&live, &mail).await, &["code_accepted"]);
    let redeemed: Value = serde_json::from_str(&redeemed.body).unwrap();
    let token = redeemed["Model"].as_str().unwrap();
    let set = || walk.send("PUT", PASSWORD, &live, update(token, "new-password"));
    expected.of("a password", set().await, &["password_set"]);
    expected.of("the token again", set().await, &["token_refused"]);
    expected.of("a third wrong code", walk.redeem(&live, "000002").await, &["code_refused"]);
    expected.of("a fourth", walk.redeem(&live, "000003").await, &["code_refused"]);
    expected.of("a sixth code", walk.redeem(&live, "000004").await, &["tries_exhausted"]);
    for _ in 0..3 {
        expected.of("a wrong answer", walk.reset("robert.zak", "wrong").await, &["flow_started"]);
    }
    let over = walk.reset("robert.zak", "wrong").await;
    expected.of("a fourth answer", over, &["budget_hit", "answer_suppressed"]);
    for _ in 0..2 {
        expected.of("another mail", walk.reset("anna.lee", "").await, &["flow_started"]);
    }
    let over =
        expected.of("a fourth mail", walk.reset("anna.lee", "").await, &["budget_hit", "flow_suppressed"]);
    // Three codes are live, and the ledger has two millionths left.
    let paused = walk.redeem(&over.handle, "000000").await;
    expected.of("an exhausted ledger", paused, &["ledger_empty"]);
    expected.of("without a handle", walk.redeem("", "000000").await, &["legacy_guess", "code_refused"]);
    expected.of("without a handle again", walk.redeem("", "000001").await, &["ledger_empty"]);
    expected.of("too early", walk.redeem(&asked, "123456").await, &["handle_invalid"]);
    let evil = walk.http.post(format!("{}{RESET}", walk.public)).header(JSON.0, JSON.1);
    let evil = evil.header("origin", "https://evil.example").body(r#"{"User": "x"}"#).send().await.unwrap();
    let request_id = evil.headers()["x-request-id"].to_str().unwrap().to_owned();
    let evil = Seen { request_id, handle: String::new(), body: String::new() };
    expected.of("a page of another origin", evil, &["cross_site_refused"]);
    for _ in 0..3 {
        expected.of("the last resets", walk.reset("robert.zak", "").await, &["flow_started"]);
    }
    expected.of("an exhausted network", walk.reset("robert.zak", "").await, &["budget_hit"]);
    for _ in 0..9 {
        expected.of("once a minute", walk.reset("robert.zak", "").await, &[]);
    }
    sandbox.fail(Operation::RequestReset, Fault::KeyRejected);
    let somebody = r#"{"User": "somebody"}"#.to_owned();
    let rejected = walk.send_from("203.0.113.1", "POST", RESET, "", somebody).await;
    expected.of("a rejected key", rejected, &["key_refused"]);

    // Lines come in the order of the requests, so the last line closes the log.
    let last = expected.0.last().unwrap().1.clone();
    gateway.wait_for(&last);
    let schema: Value = serde_json::from_str(include_str!("../../../../openapi/audit.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let output = gateway.output();
    let (mut events, mut own) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for line in output.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["target"] != autoshares_gateway::telemetry::audit::TARGET {
            continue;
        }
        schema.validate(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let event = line["event"].as_str().unwrap().to_owned();
        match line["request_id"].as_str() {
            Some(request_id) => events.entry(request_id.to_owned()).or_default().push(event),
            None => own.push(event),
        }
    }
    for (what, request_id, expected) in &expected.0 {
        let left = events.remove(request_id).unwrap_or_default();
        assert_eq!(left, *expected, "{what}");
    }
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(own, ["ledger_low"]);
    for plain in ["anna", "robert", "198.51", "nobody", &live, token] {
        assert!(!output.contains(plain), "{plain}");
    }
}

/// Whatever else is worth a line, the trail has no gaps.
#[tokio::test(flavor = "multi_thread")]
async fn the_trail_does_not_depend_on_the_level_of_the_log() {
    let arguments = ["serve", "--set", "log.level=error", "--set", "log.format=text"];
    // Nothing says where it listens when only errors are logged.
    let address = format!("127.0.0.1:{}", free_port());
    let listen = format!("listen={address}");
    let ports = ["--set", &listen, "--set", "admin_listen=127.0.0.1:0"];
    let variables = [("AUTOSHARES_APP_KEY", KEY), ("AUTOSHARES_BASE_URL", "http://127.0.0.1:1/api")];
    let gateway = Gateway::start(&[&arguments[..], &ports].concat(), &variables);
    let walk = Walk { http: http(), public: format!("http://{address}"), redeemed: 0.into() };
    until("the listener", || std::net::TcpStream::connect(&address).is_ok()).await;
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
    let settings = [
        "flow.floor=0s",
        "limits.risk_per_hour=0.000004",
        "limits.codes_per_flow=100",
        "trusted_proxies=127.0.0.1",
    ];
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &settings, &[]);
    let walk = Walk { http: http(), public, redeemed: 0.into() };
    let ready =
        async || http().get(format!("{admin}/readyz?verbose")).send().await.unwrap().text().await.unwrap();
    let live = walk.reset("anna.lee", "").await.handle;
    let before = ready().await;
    assert!(
        before.contains(r#""risk_ledger":"ample""#) && before.contains(r#""status":"ready""#),
        "{before}"
    );
    for guess in 0..3 {
        walk.redeem(&live, &format!("{guess:06}")).await;
    }
    assert!(ready().await.contains(r#""risk_ledger":"low"#), "{}", ready().await);
    for guess in 3..9 {
        walk.redeem(&live, &format!("{guess:06}")).await;
    }
    let answer = ready().await;
    assert!(
        answer.contains(r#""risk_ledger":"empty"#) && answer.contains(r#""status":"degraded""#),
        "{answer}"
    );
    let output = gateway.closed_output(&walk.public).await;
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
