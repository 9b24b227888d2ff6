//! The program as its user meets it: exit codes, `dev`, `check`, admin routes, a stop that drops nothing.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use autoshares_sdk::sandbox::Sandbox;

use crate::{
    servers::Server,
    support::{DOCUMENTED, Gateway, JSON, KEY, RESET, bare, http, keygen, until},
    upstream::{Upstream, response},
};

/// `check` of a configuration without a fault, to which a test adds settings.
fn bare_check() -> Command {
    let mut command = bare();
    command.args(["check", "--set", "upstream.base_url=https://host.example/api"]);
    command.env("AUTOSHARES_APP_KEY", KEY);
    command
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let text = format!(
        "listen = \"nowhere\"\nlisten_on = 1\n[upstream]\nbase_url = \"http://example.com/{KEY}\"\napp_key = \"{KEY}\"\ntimeout = \"soon\"\n"
    );
    fs::write(&file, text).unwrap();
    for command in ["serve", "check"] {
        let mut process = bare();
        process.args([command, "--config", file.to_str().unwrap(), "--set", "log.level=loud"]);
        process.env("AUTOSHARES_APP_KEY_FILE", "/nonexistent").env("GATEWAY_LOG_FORMAT", "yaml");
        let output = process.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        for fault in [
            "the configuration has 7 fault(s)",
            "gateway.toml, line 2: `listen_on` is not a setting",
            "gateway.toml, line 1); expected: an address and port",
            "`upstream.base_url` (AUTOSHARES_BASE_URL) is neither https nor http to a loopback address",
            "given: `http://example.com/…`",
            "`upstream.app_key` (AUTOSHARES_APP_KEY) is set beside `upstream.app_key_file` (AUTOSHARES_APP_KEY_FILE)",
            "gateway.toml, line 6); expected: a duration",
            "`log.format` (GATEWAY_LOG_FORMAT) is not valid; given: `yaml` (GATEWAY_LOG_FORMAT); expected: `text` or `json`",
            "`log.level` (GATEWAY_LOG_LEVEL) is not valid",
        ] {
            assert!(told.contains(fault), "{fault} missing in: {told}");
        }
        assert!(!told.contains(KEY), "{told}");
    }
}

#[test]
fn a_poor_key_and_a_poor_file_are_refused_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for (key, reason) in [
        ("", "is empty"),
        ("seven77", "is shorter than 8 characters"),
        ("changeme", "is the placeholder"),
        ("has space", "holds a blank, a line break or another character than visible ASCII"),
    ] {
        fs::write(&path, key).unwrap();
        let output = bare()
            .args(["check", "--set", "upstream.base_url=https://host.example/api"])
            .env("AUTOSHARES_APP_KEY_FILE", &path)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            told.contains(&format!("`upstream.app_key_file` (AUTOSHARES_APP_KEY_FILE) {reason}")),
            "{told}"
        );
        assert!(key.len() < 7 || key == "changeme" || !told.contains(key), "{told}");
    }
    fs::write(&path, format!("app_key = {KEY}")).unwrap();
    let output = bare().args(["check", "--config", path.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("line 1: not TOML: string values must be quoted") && !told.contains(KEY), "{told}");
}

#[test]
fn check_accepts_a_good_configuration_and_warns_of_an_open_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("key"), folder.path().join("gateway.toml"));
    fs::write(&path, format!("{KEY}\n")).unwrap();
    let text = format!(
        "[upstream]\nbase_url = \"https://host.example/api\"\napp_key_file = \"{}\"\n",
        path.display()
    );
    fs::write(&config, text).unwrap();
    let output = bare().args(["check", "--config", config.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("the configuration is good") && told.contains("chmod 600"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_whether_autoshares_takes_the_key() {
    let sandbox = Sandbox::start().await.unwrap();
    let probe = |key: &str| {
        let mut command = bare();
        command.args(["check", "--probe"]).env("AUTOSHARES_BASE_URL", sandbox.base_url());
        command.env("AUTOSHARES_APP_KEY", key).output().unwrap()
    };
    let (good, bad) = (probe("sandbox-key"), probe("another-key"));
    assert_eq!((good.status.code(), bad.status.code()), (Some(0), Some(1)));
    assert!(String::from_utf8_lossy(&good.stdout).contains("takes the key"));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("does not take the application key"));
}

/// Answers that come without an envelope do not show that the key is taken.
#[test]
fn a_probe_believes_an_envelope_only() {
    for (status, body, code) in [
        (200, r#"{"Errors": ["User is not found."], "IsSucceed": false}"#, 0),
        (401, r#"{"Message": "Authorization has been denied for this request."}"#, 1),
        (400, r#"{"Error": {"Code": "UnsupportedApiVersion", "Message": "no"}}"#, 1),
        (500, r#"{"message": "An error occurred", "error": "Unexpected server error"}"#, 1),
    ] {
        let upstream = Upstream::json(status, body);
        let mut command = bare();
        command.args(["check", "--probe"]).env("AUTOSHARES_BASE_URL", upstream.base_url());
        let output = command.env("AUTOSHARES_APP_KEY", KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{body}");
    }
    let mut command = bare();
    command
        .args(["check", "--probe"])
        .env("AUTOSHARES_BASE_URL", Upstream::nobody())
        .env("AUTOSHARES_APP_KEY", KEY);
    let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(told.contains("was not sent") && told.contains("refused"), "the cause is told: {told}");
}

/// Autoshares' address without its last part is a mistake that everybody makes once.
#[test]
fn a_probe_hints_at_a_wrong_address() {
    for (status, body) in [
        (404, r#"{"Message": "No HTTP resource was found that matches the request URI."}"#),
        (404, "<html>Not Found</html>"),
        (405, ""),
        (200, "<html>Welcome</html>"),
    ] {
        let upstream = Upstream::json(status, body);
        let mut command = bare();
        command.args(["check", "--probe"]).env("AUTOSHARES_BASE_URL", upstream.base_url());
        let output = command.env("AUTOSHARES_APP_KEY", KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{body}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("does the address end in `/api`?"), "{told}");
    }
}

/// The same mistake shows within seconds of a start, before the first trader comes: a warning, a metric by status, and readiness.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_shows_soon_after_the_start() {
    let upstream =
        Upstream::json(404, r#"{"Message": "No HTTP resource was found that matches the request URI."}"#);
    let (gateway, public, admin) = Gateway::serve(&upstream.base_url(), &[], &[]);
    let started = Instant::now();
    while !gateway.output().contains("Autoshares fails") {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let line = gateway.wait_for("Autoshares fails");
    assert!(line.contains("WARN") && line.contains("status=404") && line.contains("end in `/api`"), "{line}");
    let get =
        async |path: &str| http().get(format!("{admin}{path}")).send().await.unwrap().text().await.unwrap();
    let ready = get("/readyz?verbose").await;
    assert!(ready.contains(r#""status":"degraded""#) && ready.contains("status 404"), "{ready}");
    let metrics = get("/metrics").await;
    for line in [
        r#"gateway_upstream_failures_total{operation="fetch_question",status="404"} "#,
        r#"gateway_outage{outage="resets"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let reset =
        http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(r#"{"User": "anna.lee"}"#);
    assert_eq!(reset.send().await.unwrap().status(), 503);
    assert!(upstream.requests().iter().all(|request| !request.contains("anna.lee")), "nobody is forwarded");
}

/// A Redis that drops what is counted is a fault at start, and `check --probe` says so too.
#[test]
fn a_redis_that_drops_what_is_counted_is_a_fault() {
    let redis = Server::redis(&["--maxmemory-policy", "allkeys-lru"]);
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, autoshares_gateway::flow::Secrets::random().to_file()).unwrap();
    let upstream = Upstream::json(200, r#"{"Errors": ["User is not found."], "IsSucceed": false}"#);
    for (arguments, code) in [
        (&["serve", "--set", "listen=127.0.0.1:0", "--set", "admin_listen=127.0.0.1:0"][..], 2),
        (&["check", "--probe"], 1),
    ] {
        let mut command = bare();
        command
            .args(arguments)
            .env("AUTOSHARES_BASE_URL", upstream.base_url())
            .env("AUTOSHARES_APP_KEY", KEY);
        command.env("GATEWAY_STORE", redis.url()).env("GATEWAY_FLOW_KEYS_FILE", &keys);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains("allkeys-lru") && told.contains("noeviction"), "{told}");
    }
}

/// In containers without CA certificates, what needs none works, and what needs them says so.
#[test]
fn certificates_are_asked_for_only_where_they_are_needed() {
    for (base_url, code) in [("http://127.0.0.1:1/api", 0), ("https://host.example/api", 2)] {
        let mut command = bare();
        command.arg("check").env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
        let output =
            command.env("AUTOSHARES_BASE_URL", base_url).env("AUTOSHARES_APP_KEY", KEY).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert_eq!(told.contains("`ca-certificates`"), code == 2, "{told}");
    }
}

#[test]
fn names_that_are_no_settings_are_refused_and_shown_only_if_they_look_like_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, "[upstreem]\n[listen]\nx = 1\n").unwrap();
    let mut command = bare();
    command.args(["check", "--config", file.to_str().unwrap(), "--set", "canary-key-5c1d="]);
    let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
    for fault in [
        "line 1: `upstreem` is not a setting",
        "line 2: `listen` is a table; expected: an address and port",
        "--set: a name that is not a setting, and not shown",
    ] {
        assert!(told.contains(fault), "{fault} missing in: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_as_soon_as_it_says_that_it_listens() {
    for _ in 0..10 {
        let (mut gateway, _, _) = Gateway::serve("http://127.0.0.1:1/api", &[], &[]);
        gateway.terminate();
        assert_eq!(gateway.exit_code(), Some(0));
    }
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = bare()
        .args([
            "serve",
            "--set",
            &format!("listen={address}"),
            "--set",
            "upstream.base_url=https://host.example",
        ])
        .env("AUTOSHARES_APP_KEY", KEY)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on {address}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_a_listener_of_their_own() {
    let sandbox = Sandbox::start().await.unwrap();
    let (_gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &[], &[]);
    let get = async |url: String| {
        let answer = http().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get(format!("{admin}/livez")).await, (200, "alive\n".to_owned()));
    assert_eq!(get(format!("{admin}/readyz")).await, (200, "ready\n".to_owned()));
    assert_eq!(get(format!("{public}/nowhere")).await.0, 404);
    let (status, metrics) = get(format!("{admin}/metrics")).await;
    assert_eq!(status, 200);
    let counted = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="",http_response_status_code="404",error_type="not-found"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(format!("{public}{path}")).await.0, 404);
    }
    assert_eq!(get(format!("{admin}{RESET}")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_under_way() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let upstream = Upstream::doing(move |stream| {
        let _ = released.lock().unwrap().recv_timeout(Duration::from_secs(8));
        let _ = stream.write_all(response(200, &[], r#"{"Errors": [], "IsSucceed": false}"#).as_bytes());
    });
    let (mut gateway, public, admin) = Gateway::serve(&upstream.base_url(), &[], &[]);
    let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(DOCUMENTED[0].2);
    let under_way = tokio::spawn(reset.send());
    until("the call", || !upstream.requests().is_empty()).await;
    gateway.terminate();
    gateway.wait_for("stopping");
    let ready = http().get(format!("{admin}/readyz")).send().await.unwrap();
    assert_eq!((ready.status().as_u16(), ready.text().await.unwrap().as_str()), (503, "draining\n"));
    assert!(http().get(format!("{public}/docs")).send().await.is_err(), "no new connections");

    release.send(()).unwrap();
    assert_eq!(under_way.await.unwrap().unwrap().status(), 200);
    let started = Instant::now();
    assert_eq!(gateway.exit_code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3), "an idle connection must not hold up the stop");
}

/// Also while a call runs on behind its reply.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let upstream = Upstream::doing(|_| std::thread::sleep(Duration::from_secs(9)));
    let (mut gateway, public, _) = Gateway::serve(&upstream.base_url(), &[], &[]);
    let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(DOCUMENTED[0].2);
    assert_eq!(reset.send().await.unwrap().status(), 200);
    gateway.terminate();
    gateway.wait_for("stopping: finishing");
    let started = Instant::now();
    gateway.terminate();
    gateway.wait_for("stopping although calls to Autoshares are still under way");
    assert_eq!(gateway.exit_code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn help_names_every_command() {
    let output = bare().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for command in ["serve", "dev", "check", "health", "config", "risk", "keygen", "explain-ip", "openapi"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn keys_that_are_made_are_taken_and_kept_to_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let (old, new) = (keygen(), keygen());
    assert_ne!(old, new);
    let check = |text: &str, store: &str| {
        fs::write(&file, text).unwrap();
        let keys_file = format!("flow.keys_file={}", file.display());
        let store = format!("store.url={store}");
        let output = bare_check().args(["--set", &keys_file, "--set", &store]).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let (status, told) = check(&(new + &old), "redis://127.0.0.1:6379/0");
    assert!(status == Some(0) && told.contains("chmod 600"), "{told}");
    let (status, told) = check(&format!("{old}canary-secret\n"), "memory");
    assert_eq!(status, Some(2));
    assert!(told.contains("`flow.keys_file` (GATEWAY_FLOW_KEYS_FILE) has no key in line 4"), "{told}");
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn faults_of_flow_store_and_limits_are_told() {
    let mut command = bare_check();
    for (key, value, told) in [
        ("store.url", "redis://:canary-password@127.0.0.1/0", "`store.url` holds a password, and `ps` shows"),
        (
            "store.timeout",
            "0s",
            "`store.timeout` (GATEWAY_STORE_TIMEOUT) is not valid; given: `0s` (--set); expected: a duration from `10ms`",
        ),
        (
            "store.namespace",
            "{a}",
            "`store.namespace` (GATEWAY_STORE_NAMESPACE) is not valid; given: `{a}` (--set); expected: letters",
        ),
        (
            "flow.lifetime",
            "31m",
            "`flow.lifetime` (GATEWAY_FLOW_LIFETIME) is longer than `limits.code_lifetime` (GATEWAY_LIMITS_CODE_LIFETIME)",
        ),
        (
            "flow.binding",
            "maybe",
            "`flow.binding` (GATEWAY_FLOW_BINDING) is not valid; given: `maybe` (--set); expected: `required`, `prefer` or `off`",
        ),
        ("flow.floor", "1h", "`flow.floor` (GATEWAY_FLOW_FLOOR) is not valid"),
        ("flow.answers", "true", "`flow.answers` (GATEWAY_FLOW_ANSWERS) is not valid"),
        ("flow.keys_file", "/nonexistent", "`flow.keys_file` (GATEWAY_FLOW_KEYS_FILE) cannot be read"),
        (
            "allowed_origins",
            "*",
            "`allowed_origins` (GATEWAY_ALLOWED_ORIGINS) holds `*`, and a star is no origin: list each origin; given: `*` (--set); expected: exact origins",
        ),
        ("trusted_proxies", "0.0.0.0/0", "`trusted_proxies` (GATEWAY_TRUSTED_PROXIES) is not valid"),
        (
            "limits.resets",
            "many",
            "`limits.resets` (GATEWAY_LIMITS_RESETS) is not valid; given: `many` (--set); expected: rates",
        ),
        ("limits.risk_per_hour", "2", "`limits.risk_per_hour` (GATEWAY_LIMITS_RISK_PER_HOUR) is not valid"),
    ] {
        command.args(["--set", &format!("{key}={value}")]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text.contains(told), "{told} missing in: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
    for (arguments, told) in [
        (
            &["--set", "store.url=redis://127.0.0.1/0"][..],
            "`flow.keys_file` (GATEWAY_FLOW_KEYS_FILE) is not set, and `store.url` is a Redis",
        ),
        (&["--set", "store.url=http://127.0.0.1"], "`store.url` (GATEWAY_STORE) is not valid"),
        (&["--set", "allowed_origins=http://www.example.com"], "`allowed_origins`"),
        (&["--set", "allowed_origins=https://www.example.com/path"], "`allowed_origins`"),
    ] {
        let text = String::from_utf8(bare_check().args(arguments).output().unwrap().stderr).unwrap();
        assert!(text.contains(told), "{told} missing in: {text}");
    }
}

#[test]
fn what_is_unsafe_is_warned_of() {
    let mut command = bare_check();
    for setting in [
        "flow.binding=prefer",
        "flow.binding=off",
        "flow.answers=faithful",
        "flow.floor=0s",
        "flow.foreign_tokens=true",
        "limits.enabled=false",
    ] {
        command.args(["--set", setting]);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let (key, _) = setting.split_once('=').unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(told.contains(&format!("warning: `{key}`: ")), "{told}");
    }
}

#[test]
fn an_address_is_explained_without_any_other_setting() {
    let mut command = bare();
    command.args([
        "explain-ip",
        "--peer",
        "10.0.0.1",
        "--header",
        "X-Forwarded-For: 9.9.9.9, 192.0.2.7, 10.2.2.2",
    ]);
    let alone = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(alone.contains("peer 10.0.0.1: not trusted") && alone.contains("client: 10.0.0.1\n"), "{alone}");
    command.args(["--set", "trusted_proxies=10.0.0.0/8"]);
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "peer 10.0.0.1: trusted: asked who came to it\n\
         10.2.2.2: trusted: on to the left\n\
         192.0.2.7: not trusted: it is the client, and what stands further left is ignored\n\
         client: 192.0.2.7\n\
         counted under: 192.0.2.7/32\n"
    );
    command.args(["--set", "forwarded_header=forwarded", "--header", "Forwarded: for=\", for=192.0.2.9"]);
    let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(told.contains("client: 192.0.2.9\n") && told.contains("x-forwarded-for: ignored"), "{told}");
    let faulty =
        bare().args(["explain-ip", "--peer", "10.0.0.1", "--set", "trusted_proxies=here"]).output().unwrap();
    assert_eq!(faulty.status.code(), Some(2));
}

#[test]
fn the_odds_are_those_of_the_configuration() {
    let odds = |setting: &str| {
        let output = bare().args(["risk", "--set", setting]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(odds("log.level=info").contains("one is expected in 35 days"));
    assert!(odds("limits.risk_per_hour=0.012").contains("one is expected in 3 days"));
    assert!(odds("flow.binding=prefer").contains("legacy lane"));
}

/// A proxy that nobody told about makes all clients one.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_trusted_is_warned_of_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &["flow.floor=0s"], &[]);
    for _ in 0..3 {
        let reset = http()
            .post(format!("{public}{RESET}"))
            .header(JSON.0, JSON.1)
            .header("x-forwarded-for", "1.2.3.4");
        reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap();
    }
    let line = gateway.wait_for("`trusted_proxies` is not set");
    assert!(line.contains("WARN") && line.contains("peer=127.0.0.1"), "{line}");
    let output = gateway.closed_output(&public).await;
    assert_eq!(output.matches("`trusted_proxies` is not set").count(), 1);
}

/// A browser's page knows the port that 0 became.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_origin_is_that_of_the_port_it_listens_on() {
    let sandbox = Sandbox::builder().app_key(KEY).start().await.unwrap();
    let (_gateway, public, _) = Gateway::serve(&sandbox.base_url(), &["flow.floor=0s"], &[]);
    let origin = public.replace("127.0.0.1", "localhost");
    for (origin, status) in [(origin.as_str(), 200), ("http://localhost:1", 403)] {
        let reset = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).header("origin", origin);
        assert_eq!(reset.body(r#"{"User": "anna.lee"}"#).send().await.unwrap().status(), status);
    }
}
