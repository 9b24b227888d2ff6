//! Days on which clients hold connections: slow ones, idle ones by the thousand, and a thousand at a stop.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{Day, Load, Patient, Row, lasting, load::connect, metric, sandbox, so_many};
use crate::support::{RESET, http, http_builder};

/// slowhttptest in one of its modes, from one address, while others are served. The operator sees a metric of what is closed for want of room, and an
/// alert where one asks for it.
async fn slow_clients(day: (u8, &str), path: &str, mode: &[&str], (shed, alert): (&'static str, &str)) {
    let sandbox = sandbox().await;
    let world = Day::begin(&sandbox.base_url(), &["connections.max_per_network=100"]);
    let load = world.load(20, Duration::from_millis(500));
    load.settle(20).await;
    let seconds = lasting(5.0, 30.0).as_secs().to_string();
    let url = format!("{}{path}", world.public);
    let arguments =
        [mode, &["-c", "500", "-r", "250", "-i", "2", "-l", &seconds, "-p", "3", "-u", &url]].concat();
    let began = Instant::now();
    let mut attack = Command::new("slowhttptest");
    attack.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut attack = attack.spawn().unwrap_or_else(|error| {
        panic!("slowhttptest does not start ({error}); `cargo xtask test` installs it")
    });
    let operator = world.noticed("connections are closed before their time", shed, alert).await;
    let ended = tokio::task::spawn_blocking(move || attack.wait()).await.unwrap();
    assert!(ended.is_ok());
    let seen = load.end().await.between(began, Instant::now());
    seen.are_all(&[200]);
    seen.are_quick();
    Row { day, clients: format!("others: {seen}"), lost: "nothing", operator }.tell();
}

const GAVE_WAY: (&str, &str) =
    ("gateway_connections_shed_total{reason=\"max_per_network\",outcome=\"gave_way\"}", "");
const REFUSED: (&str, &str) = (
    "gateway_connections_shed_total{reason=\"max_per_network\",outcome=\"refused\"}",
    "GatewayConnectionsRefused",
);

#[tokio::test(flavor = "multi_thread")]
async fn heads_come_slowly() {
    slow_clients(
        (11, "500 slow heads from one address (slowhttptest -H)"),
        "/docs",
        &["-H", "-t", "GET"],
        GAVE_WAY,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_slowly() {
    slow_clients(
        (12, "500 slow bodies from one address (-B)"),
        RESET,
        &["-B", "-t", "POST", "-s", "8192", "-f", "application/json"],
        REFUSED,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_read_slowly() {
    slow_clients(
        (13, "500 slow readers from one address (-X)"),
        "/openapi.json",
        &["-X", "-w", "1", "-y", "1", "-n", "5", "-z", "1", "-k", "10"],
        GAVE_WAY,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_connections_are_idle() {
    let count = so_many(1000, 10_000);
    // Both ends of the load are in this process.
    let _ = rlimit::increase_nofile_limit(20_000);
    let sandbox = sandbox().await;
    let world = Day::begin(&sandbox.base_url(), &["connections.max=9000", "connections.max_per_network=100"]);
    let load = world.load(20, Duration::from_millis(500));
    load.settle(20).await;
    let memory = world.metric("process_resident_memory_bytes").await;
    let began = Instant::now();
    let _idle = connect(&world.public, 2, count).await;
    // They are connected before the gateway takes them in.
    if count > 9000 {
        world.until("gateway_connections ", |open| open >= 8900.0).await;
    } else {
        world.until("gateway_connections ", |open| open >= 1000.0).await;
    }
    let per_connection = (world.metric("process_resident_memory_bytes").await - memory) / count as f64;
    sleep(lasting(2.0, 10.0)).await;
    load.settle(20).await;
    let seen = load.end().await.between(began, Instant::now());
    seen.are_all(&[200]);
    seen.are_quick();
    assert!(per_connection < 20_000.0, "{per_connection} bytes each");
    let operator = if count > 9000 {
        // Beyond what may be, the oldest give way.
        world
            .noticed(
                "connections are closed before their time",
                "gateway_connections_shed_total{reason=\"max\"",
                "",
            )
            .await
    } else {
        world.until("gateway_connections ", |value| value > 900.0).await;
        "`gateway_connections`".to_owned()
    };
    Row {
        day: (14, "10,000 idle connections from as many addresses, of which 9,000 may be"),
        clients: format!("others: {seen}; {:.1} kB of memory for each", per_connection / 1000.0),
        lost: "nothing; the oldest silent ones give way",
        operator,
    }
    .tell();
}

/// Connections that are used all the time, and a gateway that stops: each is told, and no reply is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_stops_under_load() {
    let count = so_many(150, 1000);
    let _ = rlimit::increase_nofile_limit(20_000);
    let sandbox = sandbox().await;
    // So many codes at once would make each too dear.
    let stop_delay = format!("stop_delay={}s", lasting(10.0, 4.0).as_secs());
    let settings = [&*stop_delay, "flow.floor=0s", "limits.risk_per_hour=1"];
    let mut world = Day::begin(&sandbox.base_url(), &settings);
    let patient = Patient::begin(&world.public, &sandbox, "anna.lee", http()).await;
    let load = Load::of_resets(&world.public, count, lasting(1.0, 2.5), http_builder);
    load.settle(2 * count).await;
    assert!(metric(&world.admin, "gateway_connections ").await >= count as f64);
    let began = Instant::now();
    world.gateway.terminate();
    world.gateway.wait_for("serving on until load balancers have noticed");
    assert_eq!(patient.finish().await, 200, "a trader in the middle of a reset can end it");
    let told = std::sync::Arc::clone(&load.told);
    let stopped = world.gateway.wait_for("stopped cut=");
    let took = began.elapsed();
    assert_eq!(world.gateway.exit_code(), Some(0));
    let seen = load.end().await;
    seen.are_all(&[200]);
    assert_eq!(told.load(std::sync::atomic::Ordering::Relaxed), count, "each connection was told");
    assert!(stopped.contains("cut=0"), "{stopped}");
    let during = seen.between(began, Instant::now());
    Row {
        day: (10, "SIGTERM under load at 1,000 connections"),
        clients: format!("{during}; each told by `Connection: close`"),
        lost: "nothing",
        operator: format!(
            "\"stopped\" with `cut` 0 after {:.1} s; `/readyz` 503 at once",
            took.as_secs_f64()
        ),
    }
    .tell();
}
