//! What operators and their tools see: health, the service manager, a stop that load balancers notice, metrics in the format that is asked for,
//! request ids of proxies.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    time::Duration,
};

use autoshares_sdk::sandbox::Sandbox;

use crate::{
    support::{Gateway, JSON, RESET, bare, http},
    upstream::Upstream,
};

/// `health` about a gateway whose admin listener is there; its exit status and what it prints.
fn health(admin: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let setting = format!("admin_listen={}", admin.trim_start_matches("http://"));
    let output = bare().args(["health", "--set", &setting]).args(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_a_container_asks_the_admin_listener() {
    let sandbox = Sandbox::start().await.unwrap();
    let (gateway, _, admin) = Gateway::serve(&sandbox.base_url(), &["stop_delay=5s"], &[]);
    assert_eq!(health(&admin, &[]), (Some(0), "alive\n".to_owned()));
    assert_eq!(health(&admin, &["--ready"]), (Some(0), "ready\n".to_owned()));
    // A listener on every address is asked on this machine's own.
    let port = admin.rsplit(':').next().unwrap();
    assert_eq!(health(&format!("0.0.0.0:{port}"), &[]).0, Some(0));
    gateway.terminate();
    gateway.wait_for("serving on until load balancers have noticed");
    assert_eq!(health(&admin, &[]), (Some(0), "alive\n".to_owned()), "it lives until it has stopped");
    let (status, told) = health(&admin, &["--ready"]);
    assert!(status == Some(1) && told.starts_with("draining\n") && told.contains("replies 503"), "{told}");
    let (status, told) = health("127.0.0.1:1", &[]);
    assert!(status == Some(1) && told.contains("http://127.0.0.1:1/livez"), "{told}");
    assert_eq!(health("nowhere", &[]).0, Some(2));
    // A file that cannot be read any more, or an address that has changed, is no fault of the gateway that runs.
    let listening = admin.trim_start_matches("http://");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    for (text, arguments) in [
        (format!("admin_listen = \"{listening}\"\n[limits]\nresets = \"many\"\nlimit = 1\n"), vec![]),
        ("admin_listen = \"127.0.0.1:1\"\n[limi".to_owned(), vec!["--address", listening]),
    ] {
        std::fs::write(&file, text).unwrap();
        let asked = bare().args(["health", "--config", file.to_str().unwrap()]).args(arguments).status();
        assert_eq!(asked.unwrap().code(), Some(0));
    }
}

/// A balancer that sends PROXY headers sends them with its health checks too, and a scraper in the same network does not.
#[tokio::test(flavor = "multi_thread")]
async fn operators_may_come_with_a_proxy_header_or_without() {
    let settings = ["forwarded_header=proxy-protocol", "trusted_proxies=127.0.0.0/8"];
    let (_gateway, _, admin) = Gateway::serve(&Upstream::nobody(), &settings, &[]);
    let address: SocketAddr = admin.trim_start_matches("http://").parse().unwrap();
    for header in ["", "PROXY TCP4 203.0.113.1 203.0.113.2 4711 443\r\n", "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{header}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{header:?}: {reply}");
    }
}

/// Not ready at once, served on for a while with `Connection: close`, and then stopped with nothing cut.
#[tokio::test(flavor = "multi_thread")]
async fn load_balancers_notice_a_stop_before_it_comes() {
    let upstream = Upstream::json(200, r#"{"Errors": [], "IsSucceed": false}"#);
    let (mut gateway, public, admin) =
        Gateway::serve(&upstream.base_url(), &["stop_delay=30s", "flow.floor=0s"], &[]);
    let asked = async || {
        let sent = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1);
        sent.body(r#"{"User": "anna.lee"}"#).send().await.unwrap()
    };
    assert!(!asked().await.headers().contains_key("connection"));
    gateway.terminate();
    gateway.wait_for("serving on until load balancers have noticed");
    assert_eq!(http().get(format!("{admin}/readyz")).send().await.unwrap().status(), 503);
    let last = asked().await;
    assert_eq!((last.status().as_u16(), &last.headers()["connection"]), (200, &"close".parse().unwrap()));
    // Whoever cannot wait ends the delay.
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    gateway.wait_for("stopped cut=0");
}

/// The service manager hears that the gateway is ready, alive, reloading and stopping.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_how_far_the_gateway_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let wait_for = |text: &str| {
        let mut bytes = [0; 512];
        loop {
            let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {text}: {error}"));
            let told = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if told.contains(text) {
                return told;
            }
        }
    };
    let sandbox = Sandbox::start().await.unwrap();
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let (mut gateway, public, _) = Gateway::serve(&sandbox.base_url(), &[], &variables);
    wait_for("READY=1");
    assert_eq!(http().get(format!("{public}/docs")).send().await.unwrap().status(), 200);
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    gateway.signal("HUP");
    assert!(wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    wait_for("READY=1");
    gateway.terminate();
    assert!(wait_for("STOPPING=1").contains("EXTEND_TIMEOUT_USEC="));
    assert_eq!(gateway.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let sandbox = Sandbox::start().await.unwrap();
    let (_gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &[], &[]);
    http().get(format!("{public}/nowhere")).send().await.unwrap();
    let metrics = async |accept: &str| {
        let sent = http().get(format!("{admin}/metrics")).header("accept", accept).send().await.unwrap();
        let media_type = sent.headers()["content-type"].to_str().unwrap().to_owned();
        (media_type, sent.text().await.unwrap())
    };
    let (media_type, text) =
        metrics("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5").await;
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    assert!(text.ends_with("# EOF\n") && text.contains("# TYPE gateway_client_keys counter\n"));
    for accept in ["text/plain;version=0.0.4", "*/*"] {
        let (media_type, text) = metrics(accept).await;
        assert!(media_type.starts_with("text/plain; version=0.0.4"), "{media_type}");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        for part in [
            "# TYPE gateway_client_keys_total counter\ngateway_client_keys_total 0\n",
            "# HELP gateway_client_keys_total Requests that carried",
            "# TYPE http_server_request_duration_seconds histogram\n",
        ] {
            assert!(text.contains(part), "{part} missing in: {text}");
        }
    }
}

/// Calls to Autoshares, levels of time and the process itself are measured; a request's id leads from its line to that of its call.
#[tokio::test(flavor = "multi_thread")]
async fn calls_and_the_process_are_measured() {
    let sandbox = Sandbox::start().await.unwrap();
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &["log.level=debug"], &[]);
    let sent = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(r#"{"User": "anna.lee"}"#);
    let id = sent.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    let metrics = http().get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} missing in: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // The sandbox does not know the key.
    let labels = "operation=\"request_reset\",http_request_method=\"POST\",url_template=\"/v{version}/users/password/reset\",http_response_status_code=\"403\",error_type=\"key_rejected\"";
    // A probe may have followed.
    assert!(value(&format!("http_client_request_duration_seconds_count{{{labels}}}")) > 0.9);
    assert!(value("http_server_active_requests{http_request_method=\"POST\"}") < 0.1);
    assert!(value("gateway_time_level{reply=\"reset\"}") < 0.1);
    for (name, least) in [
        ("process_cpu_seconds_total", 0.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_virtual_memory_bytes", 1e6),
        ("process_threads", 2.0),
        ("process_open_fds", 5.0),
        ("process_max_fds", 100.0),
        ("process_start_time_seconds", 1.7e9),
    ] {
        assert!(value(name) >= least, "{name}");
    }
    let attempt = gateway.wait_for(": attempt ");
    assert!(attempt.contains(&format!("request{{request_id=\"{id}\"}}:autoshares{{")), "{attempt}");
}

/// The id of a trusted proxy stands in the reply and in the log; that of anybody else nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_gives_requests_their_ids() {
    let sandbox = Sandbox::start().await.unwrap();
    for (trusted, is_taken) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let trusted = format!("trusted_proxies={trusted}");
        let (gateway, public, _) = Gateway::serve(&sandbox.base_url(), &[&trusted], &[]);
        let sent = http()
            .get(format!("{public}/nowhere"))
            .header("x-request-id", "canary-id-4711")
            .send()
            .await
            .unwrap();
        let id = sent.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == "canary-id-4711", is_taken, "{id}");
        assert!(sent.text().await.unwrap().contains(&id), "the problem names it");
        gateway.wait_for(&format!("request_id=\"{id}\""));
        assert_eq!(gateway.output().contains("canary-id-4711"), is_taken);
    }
}

/// One glance: what is in force, and how each part is.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_each_part_shows_in_one_glance() {
    let sandbox = Sandbox::start().await.unwrap();
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &["flow.floor=0s"], &[]);
    let line = gateway.wait_for("listening listen=");
    for part in
        ["version=\"", "https=false", "autoshares=\"127.0.0.1\"", "store=\"memory\"", "binding=\"required\""]
    {
        assert!(line.contains(part), "{part} missing in: {line}");
    }
    let state = async || {
        let sent = http().get(format!("{admin}/readyz?verbose")).send().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&sent.text().await.unwrap()).unwrap()
    };
    let before = state().await;
    assert_eq!((&before["last_call"], &before["settings"]), (&serde_json::Value::Null, &"in force".into()));
    assert_eq!(before["time_levels"], serde_json::json!({ "reset": 0, "question": 0, "code": 0 }));
    let sent = http().post(format!("{public}{RESET}")).header(JSON.0, JSON.1).body(r#"{"User": "anna.lee"}"#);
    assert_eq!(sent.send().await.unwrap().status(), 503);
    let after = state().await;
    // The sandbox does not know the key.
    assert_eq!(after["last_call"]["outcome"], "key_rejected", "{after}");
    assert!(after["last_call"]["age_s"].as_u64().is_some_and(|age| age < 60), "{after}");
}
