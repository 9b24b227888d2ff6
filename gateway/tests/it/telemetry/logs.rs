//! What is in the log, and what is not, at the finest level.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox, Shape, Trader},
};
use serde_json::Value;

use crate::{
    canary::{holds, spellings},
    ports::free_port,
    support::{CODE, Gateway, KEY, PASSWORD, QUESTION, RESET, bare, http, http_builder, until},
};

const LOGIN: &str = "canary.login@example.com";
const ANSWER: &str = "canary-answer-8d2e";
const QUESTION_TEXT: &str = "canary-question-77f0?";
const NEW_PASSWORD: &str = "canary-password-19ab";

/// Every operation, success and each failure, at `trace`, with canaries for every secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_at_any_level() {
    let sandbox =
        Sandbox::builder().app_key(KEY).trader(Trader::new(LOGIN).question(QUESTION_TEXT, ANSWER)).start();
    let sandbox = sandbox.await.unwrap();
    for format in ["text", "json"] {
        let level = [
            "log.level=trace",
            &format!("log.format={format}"),
            "upstream.timeout=300ms",
            "flow.floor=0s",
            "limits.enabled=false",
        ];
        // The address is read from the text form; the JSON form is tested on a known port.
        let (gateway, public) = if format == "text" {
            let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &level, &[("RUST_LOG", "trace")]);
            (gateway, public)
        } else {
            let base_url = format!("upstream.base_url={}", sandbox.base_url());
            let mut arguments =
                vec!["serve", "--set", "listen=127.0.0.1:0", "--set", "admin_listen=127.0.0.1:0"];
            for setting in level.iter().chain([&base_url.as_str()]) {
                arguments.extend(["--set", setting]);
            }
            let gateway = Gateway::start(&arguments, &[("AUTOSHARES_APP_KEY", KEY), ("RUST_LOG", "trace")]);
            let line: Value = serde_json::from_str(&gateway.wait_for("listening")).unwrap();
            let public = format!("http://{}", line["listen"].as_str().unwrap());
            (gateway, public)
        };

        let client = http();
        let handle = Mutex::new(String::new());
        let send = async |method: &str, target: &str, body: String| {
            let sent = handle.lock().unwrap().clone();
            let request = client
                .request(method.parse().unwrap(), format!("{public}{target}"))
                .header("content-type", "application/json")
                .header("et-app-key", "canary-client-key")
                .header("cookie", "canary-cookie=1")
                .header("reset-flow", sent)
                .body(body);
            let answer = request.send().await?;
            if let Some(given) = answer.headers().get("reset-flow") {
                given.to_str().unwrap().clone_into(&mut handle.lock().unwrap());
            }
            answer.text().await
        };
        let question = format!("{QUESTION}?username={}", LOGIN.replace('@', "%40"));
        let reset = format!(r#"{{"User": "{LOGIN}", "SecretQuestionAnswer": "{ANSWER}"}}"#);
        let mut secrets: Vec<String> = [LOGIN, "canary.login", ANSWER, QUESTION_TEXT, NEW_PASSWORD, KEY]
            .into_iter()
            .chain(["canary-client-key", "canary-cookie"])
            .map(str::to_owned)
            .collect();
        let password = |token: &str| {
            format!(
                r#"{{"Token": "{token}", "Password": "{NEW_PASSWORD}", "PasswordConfirmation": "{NEW_PASSWORD}"}}"#
            )
        };

        send("POST", RESET, format!(r#"{{"User": "{LOGIN}"}}"#)).await.unwrap();
        assert!(send("GET", &question, String::new()).await.unwrap().contains(QUESTION_TEXT));
        send("POST", RESET, reset.clone()).await.unwrap();
        let code = sandbox.outbox().pop().unwrap().code;
        let redeemed = send("POST", CODE, format!(r#"{{"Code": "{code}"}}"#)).await.unwrap();
        let redeemed: Value = serde_json::from_str(&redeemed).unwrap();
        let token = redeemed["Model"].as_str().unwrap().to_owned();
        assert!(send("PUT", PASSWORD, password(&token)).await.unwrap().contains("\"IsSucceed\":true"));

        // What upstream says on a bad day repeats everything, the key included.
        let echo = format!("{LOGIN} {ANSWER} {QUESTION_TEXT} {code} {token} {NEW_PASSWORD}");
        let refuse = Fault::Refuse { errors: vec![echo.clone()], codes: vec![echo.clone()] };
        let key = Fault::Refuse { errors: vec![KEY.to_owned()], codes: vec![] };
        let text = Fault::Raw(500, vec![], echo.clone());
        let shape = Fault::Raw(
            422,
            vec![],
            format!(r#"{{"Message": "{echo}", "ModelState": {{"{LOGIN}": ["{echo}"]}}}}"#),
        );
        let wrong = Fault::Raw(200, vec![], format!(r#"{{"Errors": "{echo}", "IsSucceed": true}}"#));
        for fault in [
            refuse,
            key,
            text,
            shape,
            wrong,
            Fault::HangUp,
            Fault::Truncate,
            Fault::Redirect(307, format!("http://127.0.0.1:1/?{echo}").replace(' ', "+")),
            Fault::Answer(500, Shape::ServerFailed),
            Fault::KeyRejected,
            Fault::Delay(Duration::from_millis(600)),
        ] {
            // Up to each step in good order, and then the fault.
            for operation in Operation::ALL {
                sandbox.heal();
                let at = |step: Operation| {
                    if step == operation {
                        sandbox.fail(operation, fault.clone());
                    }
                };
                handle.lock().unwrap().clear();
                if operation == Operation::FetchQuestion {
                    send("POST", RESET, format!(r#"{{"User": "{LOGIN}"}}"#)).await.unwrap();
                    at(Operation::FetchQuestion);
                    send("GET", &question, String::new()).await.unwrap();
                    continue;
                }
                at(Operation::RequestReset);
                send("POST", RESET, reset.clone()).await.unwrap();
                at(Operation::RedeemCode);
                let code = sandbox.outbox().pop().unwrap().code;
                let redeemed = send("POST", CODE, format!(r#"{{"Code": "{code}"}}"#)).await.unwrap();
                let redeemed: Value = serde_json::from_str(&redeemed).unwrap();
                at(Operation::SetPassword);
                let token = redeemed["Model"].as_str().unwrap_or("none").to_owned();
                send("PUT", PASSWORD, password(&token)).await.unwrap();
                secrets.extend([code, token]);
            }
        }
        for operation in Operation::ALL {
            assert!(sandbox.calls(operation) > 11, "{operation} met every fault");
        }
        sandbox.heal();
        // Bad requests, in which secrets stand where they do not belong.
        for body in [format!("{{\"{NEW_PASSWORD}\": {code}"), format!(r#"{{"Code": {code}}}"#), echo] {
            send("POST", CODE, body.clone()).await.unwrap();
            send("PUT", &format!("/{LOGIN}/{token}?{NEW_PASSWORD}"), body).await.unwrap();
        }

        secrets.extend([code, token]);
        secrets.extend(sandbox.received().iter().filter_map(|received| {
            let body: Value = serde_json::from_str(&received.body).ok()?;
            body["Token"].as_str().map(str::to_owned)
        }));
        secrets.retain(|secret| secret != "none");
        let output = gateway.closed_output(&public).await;
        assert!(output.contains("validation-failed") && output.contains("upstream-timeout"), "{output}");
        let lower = output.to_lowercase();
        for secret in &secrets {
            for spelling in spellings(secret) {
                assert!(!holds(&lower, &spelling), "{secret} as {spelling}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_one_line() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &[], &[]);
    let answer = http().get(format!("{public}/openapi.json?username=anna.lee")).send().await.unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    http().post(format!("{public}/anna.lee")).send().await.unwrap();
    http().get(format!("{admin}/livez")).send().await.unwrap();

    gateway.wait_for("not-found");
    let output = gateway.output();
    let lines: Vec<_> = output.lines().filter(|line| !line.contains("listening")).collect();
    assert_eq!(lines.len(), 2, "{output}");
    for field in [
        format!("request_id=\"{request_id}\""),
        "method=\"GET\"".to_owned(),
        "route=\"/openapi.json\"".to_owned(),
        "status=200".to_owned(),
        "duration_ms=".to_owned(),
    ] {
        assert!(lines[0].contains(&field), "{field} missing in {}", lines[0]);
    }
    assert!(!output.contains("anna.lee"));
}

/// What a client asked for is carried to its end, or nobody would learn what came of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_a_whole_line() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    sandbox.fail(Operation::RequestReset, Fault::Delay(Duration::from_millis(600)));
    let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &[], &[]);
    let hasty = http_builder().timeout(Duration::from_millis(200)).build().unwrap();
    let reset = hasty.post(format!("{public}{RESET}")).header("content-type", "application/json");
    assert!(reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap_err().is_timeout());

    let line = gateway.wait_for("operation=\"request_reset\"");
    assert!(line.contains("status=200"), "{line}");
    // The call runs on behind its reply.
    until("the mail", || sandbox.outbox().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_stop_cuts_short_leaves_a_line_too() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    sandbox.fail(Operation::RequestReset, Fault::Delay(Duration::from_secs(8)));
    let (mut gateway, public, _) = Gateway::serve(&sandbox.base_url(), &["flow.floor=0s"], &[]);
    let reset = http().post(format!("{public}{RESET}")).header("content-type", "application/json");
    let cut_short = tokio::spawn(reset.body(r#"{"User": "anna.lee"}"#).send());
    until("the call", || sandbox.calls(Operation::RequestReset) > 0).await;
    gateway.terminate();
    gateway.wait_for("stopping");
    gateway.terminate();
    assert!(cut_short.await.unwrap().is_err());
    assert_eq!(gateway.exit_code(), Some(0), "told twice, it stops at once");
    let line = gateway.wait_for("dropped before its answer");
    assert!(line.contains("status=499") && line.contains(RESET), "{line}");
}

/// D3: a log that nobody reads stops nothing, drops of request lines are counted, and the audit trail is whole when somebody reads again.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let (public, admin) = (free_port(), free_port());
    let settings = [
        format!("listen=127.0.0.1:{public}"),
        format!("admin_listen=127.0.0.1:{admin}"),
        "stop_delay=0s".to_owned(),
        format!("upstream.base_url={}", sandbox.base_url()),
        "flow.floor=0s".to_owned(),
        "log.format=json".to_owned(),
    ];
    let mut command = bare();
    command.arg("serve").args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.env("AUTOSHARES_APP_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the listener", || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok()).await;

    let (http, public) = (http(), format!("http://127.0.0.1:{public}"));
    for _ in 0..5000 {
        assert_eq!(http.get(format!("{public}/nowhere")).send().await.unwrap().status(), 404);
    }
    let reset = http.post(format!("{public}{RESET}")).header("content-type", "application/json");
    assert_eq!(reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap().status(), 200);
    let get = async |path: &str| {
        http.get(format!("http://127.0.0.1:{admin}{path}")).send().await.unwrap().text().await.unwrap()
    };
    assert_eq!(get("/livez").await, "alive\n");
    let metrics = get("/metrics").await;
    let counted = |name: &str| -> u32 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(counted("gateway_log_lines_dropped_total") > 0, "{metrics}");
    assert_eq!(counted("gateway_audit_events_dropped_total"), 0);

    // Somebody reads again: the trail is there, and the log says that some of it is not.
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let text = reader.join().unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "whole lines");
    assert!(text.contains("flow_started") && text.contains("lines of this log were dropped"));
    assert!(text.contains("\"message\":\"stopped\""));
}

/// The process ends although nobody reads what it has to say.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_does_not_keep_the_process_alive() {
    let (public, admin) = (free_port(), free_port());
    let settings = [
        format!("listen=127.0.0.1:{public}"),
        format!("admin_listen=127.0.0.1:{admin}"),
        "stop_delay=0s".to_owned(),
        "upstream.base_url=http://127.0.0.1:1/api".to_owned(),
    ];
    let mut command = bare();
    command.arg("serve").args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.env("AUTOSHARES_APP_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the listener", || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok()).await;
    let http = http();
    for _ in 0..600 {
        http.get(format!("http://127.0.0.1:{public}/nowhere")).send().await.unwrap();
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let started = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

const CHILD: &str = "AUTOSHARES_GATEWAY_TEST_CHILD";

/// What a panic says may quote a value.
#[test]
fn a_panic_is_logged_by_its_place_alone() {
    if std::env::var_os(CHILD).is_some() {
        autoshares_gateway::telemetry::init(autoshares_gateway::config::Log {
            json: Some(false),
            level: tracing::level_filters::LevelFilter::TRACE,
        });
        panic!("canary-in-a-panic");
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child
        .args(["--exact", "telemetry::logs::a_panic_is_logged_by_its_place_alone", "--nocapture"])
        .env(CHILD, "1");
    let output = output.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("ERROR") && told.contains("logs.rs:") && !told.contains("canary"), "{told}");
}
