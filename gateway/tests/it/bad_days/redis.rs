//! Days on which Redis is killed, stands still, is full, takes no writes, or is another one.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use autoshares_sdk::Operation;
use tokio::{task::spawn_blocking, time::sleep};

use super::{Day, Patient, Row, lasting, sandbox, wire::Wire};
use crate::{
    servers::Server,
    support::{http, keygen, until},
};

/// What happens to the flow of a trader who began before.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    GoesOn,
    BeginsAnew,
}

/// Something happens to Redis, and is mended; everybody is refused meanwhile, and nothing is forwarded.
async fn bad_day(
    day: (u8, &str),
    url: &str,
    flow: Flow,
    happen: impl AsyncFnOnce(),
    mend: impl AsyncFnOnce(),
) {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, keygen()).unwrap();
    let (url, keys) = (format!("store.url={url}"), format!("flow.keys_file={}", keys.display()));
    let world = Day::begin(&sandbox.base_url(), &[&url, &keys, "public_origin=http://localhost"]);
    world.until("gateway_store_away ", |value| value < 0.5).await;
    let patient = Patient::begin(&world.public, &sandbox, "anna.lee", http()).await;
    let load = world.load(20, Duration::from_millis(500));
    load.settle(20).await;
    let began = Instant::now();
    happen().await;
    let operator = world
        .noticed("the store is away: every step is refused", "gateway_store_away ", "GatewayStoreAway")
        .await;
    load.hold().await;
    // Calls that run on behind their replies have ended, too.
    sleep(Duration::from_millis(1500)).await;
    let (quiet, calls) = (Instant::now(), sandbox.calls(Operation::RequestReset));
    load.go_on();
    sleep(lasting(1.0, 20.0)).await;
    assert_eq!(sandbox.calls(Operation::RequestReset), calls, "nothing is forwarded that cannot be counted");
    let mended = Instant::now();
    mend().await;
    world.until("gateway_store_away ", |value| value < 0.5).await;
    let back = mended.elapsed();
    load.settle(20).await;
    let seen = load.end().await;
    seen.are_all(&[200, 503]);
    seen.between(quiet, mended).are_all(&[503]);
    let during = seen.between(began, mended);
    assert!(
        during.percentile(99) < lasting(10.0, 2.0),
        "a refusal waits for no more than the store's deadline: {during}"
    );
    assert_eq!(seen.between(mended + back + Duration::from_millis(500), Instant::now()).count(503), 0);
    let status = patient.finish().await;
    assert_eq!(status, if flow == Flow::GoesOn { 200 } else { 403 });
    let lost = match flow {
        Flow::GoesOn => "nothing; flows go on",
        Flow::BeginsAnew => {
            "flows of before begin anew (403), so that nothing that was spent can be spent again"
        }
    };
    let clients = format!("{during}; served again {:.1} s after it is back", back.as_secs_f64());
    Row { day, clients, lost, operator }.tell();
}

/// Off the runtime, for the server's commands block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed() {
    let mut redis = Server::redis(&[]);
    let url = redis.url();
    let redis = std::cell::RefCell::new(&mut redis);
    let happen = async || redis.borrow_mut().kill();
    bad_day((5, "Redis is killed and restarted"), &url, Flow::BeginsAnew, happen, async || {
        redis.borrow_mut().restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stands_still() {
    let redis = Server::redis(&[]);
    let (happen, mend) = (async || redis.pause(), async || redis.resume());
    bad_day((6, "Redis stands still (`SIGSTOP`)"), &redis.url(), Flow::GoesOn, happen, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_full() {
    let redis = Arc::new(Server::redis(&["--maxmemory-policy", "noeviction"]));
    let set = async |most: &'static str| {
        let redis = Arc::clone(&redis);
        blocking(move || redis.query::<String>(&["CONFIG", "SET", "maxmemory", most])).await;
    };
    let (happen, mend) = (async || set("1").await, async || set("0").await);
    bad_day((7, "Redis is full"), &redis.url(), Flow::GoesOn, happen, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_takes_no_writes() {
    let redis = Arc::new(Server::redis(&[]));
    let follow = async |host: &'static str, port: &'static str| {
        let redis = Arc::clone(&redis);
        blocking(move || redis.query::<String>(&["REPLICAOF", host, port])).await;
    };
    // Of a server that there is not.
    let (happen, mend) = (async || follow("127.0.0.1", "1").await, async || follow("NO", "ONE").await);
    bad_day((8, "Redis becomes a replica (read-only)"), &redis.url(), Flow::BeginsAnew, happen, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_fails_over() {
    let mut primary = Server::redis(&[]);
    let port = primary.port.to_string();
    let replica = Arc::new(Server::redis(&["--replicaof", "127.0.0.1", &port]));
    let link = || replica.query::<String>(&["INFO", "replication"]).contains("master_link_status:up");
    until("the replica's link to its primary", link).await;
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let wire = tokio::sync::Mutex::new(Wire::to(at(primary.port)).await);
    let url = format!("redis://{}/0", wire.lock().await.address());
    let happen = async || {
        primary.kill();
        wire.lock().await.cut().await;
    };
    let mend = async || {
        let promoted = Arc::clone(&replica);
        blocking(move || promoted.query::<String>(&["REPLICAOF", "NO", "ONE"])).await;
        wire.lock().await.mend(at(replica.port)).await;
    };
    bad_day((9, "Redis fails over to its replica"), &url, Flow::BeginsAnew, happen, mend).await;
}
