//! Days on which the machine is at fault: a full disk, no descriptors, a clock that jumps; and the day on which all keys are replaced.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{Day, Load, Patient, Row, certificate, known_alert, lasting, load::connect, metric, sandbox};
use crate::{
    ports::free_port,
    servers::PATIENCE,
    support::{Gateway, KEY, bare, flow_key, http, http_builder, replace, until},
};

/// A process that ends with its test, also where that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_log_is_full() {
    let sandbox = sandbox().await;
    let (public, admin) = (free_port(), free_port());
    let settings = [
        format!("listen=127.0.0.1:{public}"),
        format!("admin_listen=127.0.0.1:{admin}"),
        format!("upstream.base_url={}", sandbox.base_url()),
        "stop_delay=0s".to_owned(),
    ];
    let settings = settings.iter().map(String::as_str).chain(super::AMPLE);
    let mut command = bare();
    command.arg("serve").args(settings.flat_map(|setting| ["--set", setting]));
    command.env("AUTOSHARES_APP_KEY", KEY).stdout(File::options().write(true).open("/dev/full").unwrap());
    let mut running = Running(command.spawn().unwrap());
    until("the listener", || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok()).await;
    let (public, admin) = (format!("http://127.0.0.1:{public}"), format!("http://127.0.0.1:{admin}"));
    let patient = Patient::begin(&public, &sandbox, "anna.lee", http()).await;
    let load = Load::of_resets(&public, 10, Duration::from_millis(500), http_builder);
    // As many lines as there is room for, and more.
    let flood = http();
    let began = Instant::now();
    while metric(&admin, "gateway_log_lines_dropped_total ").await < 1.0
        || began.elapsed() < lasting(1.0, 20.0)
    {
        assert!(began.elapsed() < Duration::from_secs(90), "no line that was dropped is counted");
        for _ in 0..200 {
            assert_eq!(flood.get(format!("{public}/nowhere")).send().await.unwrap().status(), 404);
        }
    }
    load.settle(10).await;
    let seen = load.end().await;
    seen.are_all(&[200]);
    assert_eq!(patient.finish().await, 200);
    assert!(metric(&admin, "gateway_audit_events_dropped_total ").await < 1.0);
    let stopping = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(6), "{:?}", stopping.elapsed());
    Row {
        day: (15, "The disk of the log is full (`/dev/full`)"),
        clients: format!("{seen}"),
        lost: "lines of requests beyond the 1 MiB that waits for room; the audit trail has sixteen times that",
        operator: format!("`gateway_log_lines_dropped_total`; alert {}", known_alert("GatewayLogDropped")),
    }
    .tell();
}

/// The limit falls while the gateway runs, so that `connections.max`, which knew it at start, does not help.
#[tokio::test(flavor = "multi_thread")]
async fn descriptors_are_exhausted() {
    let sandbox = sandbox().await;
    let world = Day::begin(&sandbox.base_url(), &[]);
    let patient = Patient::begin(&world.public, &sandbox, "anna.lee", http()).await;
    let load = world.load(20, Duration::from_millis(500));
    load.settle(20).await;
    let limit = world.metric("process_open_fds").await + 30.0;
    let arguments = [format!("--pid={}", world.gateway.pid()), format!("--nofile={limit}:{limit}")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    // The clients' connections have waited longest and give way first. No client asks meanwhile: a request that meets the end of its connection on
    // the way has no reply, with every server.
    load.hold().await;
    let silent = connect(&world.public, 3, 200).await;
    world.gateway.wait_for("reason=\"descriptors\"");
    let line = "connections are closed before their time";
    let shed = "gateway_connections_shed_total{reason=\"descriptors\",outcome=\"gave_way\"}";
    // More than the clients have.
    world.until(shed, |count| count >= 40.0).await;
    let began = Instant::now();
    load.go_on();
    let operator = world.noticed(line, shed, "").await;
    sleep(lasting(1.0, 10.0)).await;
    load.settle(20).await;
    let ended = Instant::now();
    drop(silent);
    // Whoever comes anew is served again.
    let asked = http().get(format!("{}/docs", world.public)).timeout(Duration::from_secs(20)).send().await;
    assert_eq!(asked.unwrap().status(), 200);
    let seen = load.end().await;
    seen.are_all(&[200]);
    assert_eq!(patient.finish().await, 200);
    Row {
        day: (16, "All descriptors are in use"),
        clients: format!("{}", seen.between(began, ended)),
        lost: "a request that meets the end of its idle connection on the way, as with every server; else nothing, for silent connections give way",
        operator: format!("{operator}; `process_open_fds` at `process_max_fds`"),
    }
    .tell();
}

/// The library that shows a program another time of day.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    libraries
        .into_iter()
        .find(|library| library.exists())
        .expect("faketime is not installed: `cargo xtask test` installs it")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_jumps() {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().unwrap();
    let (library, file) = (faketime(), folder.path().join("time"));
    let set = |offset: &str| replace(&file, offset);
    set("+0");
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // That clock does not jump.
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let settings = [&super::AMPLE[..], &["limits.codes_per_login=100/h"]].concat();
    let (gateway, public, admin) = Gateway::serve(&sandbox.base_url(), &settings, &variables);
    let world = Day { gateway, public, admin };
    let load = world.load(20, Duration::from_millis(500));
    let mut patients = Vec::new();
    for (login, offset) in [("anna.lee", "+3h"), ("trader-48", "-5h"), ("trader-49", "+400d")] {
        patients.push(Patient::begin(&world.public, &sandbox, login, http()).await);
        set(offset);
        sleep(lasting(0.5, 5.0)).await;
        load.settle(10).await;
    }
    for patient in patients {
        assert_eq!(patient.finish().await, 200, "no jump ends a flow");
    }
    let seen = load.end().await;
    seen.are_all(&[200]);
    let output = world.gateway.closed_output(&world.public).await;
    let days: std::collections::BTreeSet<_> = output.lines().filter_map(|line| line.get(..10)).collect();
    assert!(days.len() > 1, "the clock has jumped: {days:?}");
    Row {
        day: (17, "The clock jumps 3 hours ahead, 8 back, and 400 days ahead"),
        clients: format!("{seen}"),
        lost: "nothing; flows, budgets and the ledger do not look at the time of day",
        operator: "the times in the log".to_owned(),
    }
    .tell();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_are_replaced() {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().unwrap();
    let replace = |name: &str, text: &str| replace(&folder.path().join(name), text);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (old, new) = (certificate("old", |_| ()), certificate("new", |_| ()));
    let (old_key, new_key) = (flow_key(), flow_key());
    replace("app-key", KEY);
    replace("flow-keys", &old_key);
    replace("certificate", &old.0.pem());
    replace("key", &old.1.serialize_pem());
    let settings = [
        ("upstream.app_key_file", "app-key"),
        ("flow.keys_file", "flow-keys"),
        ("tls.certificate_file", "certificate"),
        ("tls.key_file", "key"),
    ];
    let settings =
        settings.map(|(setting, name)| format!("{setting}={}", folder.path().join(name).display()));
    let world = Day::begin(&sandbox.base_url(), &settings.each_ref().map(String::as_str));
    let public = world.public.replace("http://127.0.0.1", "https://localhost");
    let builder = || {
        let roots = [&old, &new].map(|made| reqwest::Certificate::from_pem(made.0.pem().as_bytes()).unwrap());
        // A connection for each request, so that each sees the certificate of the day.
        reqwest::Client::builder().no_proxy().tls_certs_only(roots).pool_max_idle_per_host(0)
    };
    let patient = Patient::begin(&public, &sandbox, "anna.lee", builder().build().unwrap()).await;
    let load = Load::of_resets(&public, 20, Duration::from_millis(500), builder);
    load.settle(20).await;
    let began = Instant::now();
    let followed = async |what: &str, times: usize| {
        let deadline = Instant::now() + PATIENCE;
        while world.gateway.output().matches(what).count() < times {
            assert!(Instant::now() < deadline, "{what}: {}", world.gateway.output());
            sleep(Duration::from_millis(50)).await;
        }
        sleep(lasting(0.2, 5.0)).await;
    };
    sandbox.add_app_key("new-key-1111");
    replace("app-key", "new-key-1111");
    followed("the file of the application key has changed", 1).await;
    sandbox.set_app_key("new-key-1111");
    for (index, keys) in
        [format!("{old_key}\n{new_key}\n"), format!("{new_key}\n{old_key}\n")].iter().enumerate()
    {
        replace("flow-keys", keys);
        followed("flow.keys_file: the file has another content", index + 1).await;
    }
    replace("certificate", &new.0.pem());
    replace("key", &new.1.serialize_pem());
    followed("tls.certificate_file: the file has another content", 1).await;
    load.settle(20).await;
    let seen = load.end().await.between(began, Instant::now());
    seen.are_all(&[200]);
    assert_eq!(patient.finish().await, 200);
    assert!(!world.gateway.output().contains("rejects the application key"));
    Row {
        day: (18, "Application key, flow keys and certificate are replaced"),
        clients: format!("{seen}"),
        lost: "nothing; flows go on",
        operator: format!(
            "\"the file of the application key has changed\", \"the settings have changed and are in force\"; `gateway_key_info`; alert {} where replicas differ for long",
            known_alert("GatewayKeysDiffer")
        ),
    }
    .tell();
}
