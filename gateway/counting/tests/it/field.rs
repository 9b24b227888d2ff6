//! Redis as operators have it: far away and behind TLS, with a user who may do little, in a cluster, or set up wrongly.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use autoshares_counting::{Charge, Decision, Id, Presence, Rate, RedisSettings, Store, Subject, Verdict};
use redis::{Client, TlsCertificates};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, sleep_until},
};

use crate::{
    ports::free_port,
    servers::{PATIENCE, Server},
};

const RATE: [Rate; 1] = [Rate { count: 1000, period: Duration::from_secs(3600) }];

fn store(client: Client) -> Store {
    let (namespace, timeout) = ("test".to_owned(), Duration::from_secs(1));
    Store::redis(RedisSettings { client, namespace, timeout, callers_time: false })
}

fn at(url: &str) -> Store {
    store(Client::open(url).unwrap())
}

async fn why_not(store: &Store) -> String {
    store.probe().await.unwrap_err().reason.to_string()
}

async fn charge(store: &Store, number: u8) -> Option<Verdict> {
    let charge = Charge { receipt: true, ..Charge::new("letters", Subject::All, &RATE) };
    let decision = Decision { open: vec![charge], ..Decision::new(Id([number; 16])) };
    store.decide(&decision, 0).await.ok().map(|decided| decided.verdict)
}

/// A Redis that speaks TLS alone, and the certificate of its authority.
fn with_tls() -> (Server, Vec<u8>) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let pem = certified.cert.pem();
    fs::write(place("cert.pem"), &pem).unwrap();
    fs::write(place("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    let arguments = [
        "--port 0 --bind 127.0.0.1 --tls-auth-clients no --appendonly no".to_owned(),
        format!("--tls-port {port} --dir {}", folder.path().display()),
        format!(
            "--tls-cert-file {0} --tls-key-file {1} --tls-ca-cert-file {0}",
            place("cert.pem"),
            place("key.pem")
        ),
    ];
    let arguments = arguments.join(" ").split(' ').map(str::to_owned).collect();
    (Server::start("redis-server", arguments, port, folder), pem.into_bytes())
}

fn trusting(port: u16, pem: Vec<u8>) -> Client {
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    Client::build_with_tls(format!("rediss://localhost:{port}/0"), certificates).unwrap()
}

/// Passes bytes on to a port, each way so much later.
async fn delayed(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (near, far) = (near.into_split(), far.into_split());
            for (mut from, mut to) in [(near.0, far.1), (far.0, near.1)] {
                let (late, mut due) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
                tokio::spawn(async move {
                    let mut chunk = vec![0; 16 * 1024];
                    while let Ok(read @ 1..) = from.read(&mut chunk).await {
                        let _ = late.send((tokio::time::Instant::now() + delay, chunk[..read].to_vec()));
                    }
                });
                tokio::spawn(async move {
                    while let Some((at, bytes)) = due.recv().await {
                        sleep_until(at).await;
                        if to.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_of_25_ms_with_tls_is_no_reason_to_be_away() {
    let (server, pem) = with_tls();
    let port = delayed(server.port, Duration::from_micros(12_500)).await;
    let store = store(trusting(port, pem));
    store.probe().await.unwrap();
    let mut presence = store.presence().unwrap();
    presence.mark_unchanged();
    // Long enough for two looks at its health.
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < Duration::from_millis(4500) {
        number += 1;
        let before = Instant::now();
        assert_eq!(charge(&store, number).await, Some(Verdict::Charged));
        let took = before.elapsed();
        assert!(took >= Duration::from_millis(25), "the delay is real: {took:?}");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!presence.has_changed().unwrap(), "{:?}", *presence.borrow());
}

/// The user of `docs/operating.md` is enough, and nothing of it can be left out: the probe finds whatever is missing, and names it.
#[tokio::test]
async fn the_documented_user_is_enough_and_every_part_of_it_is_needed() {
    let document = include_str!("../../../../docs/operating.md");
    let (_, rest) = document.split_once("ACL SETUSER gateway on '>").unwrap();
    let rule = rest.lines().next().unwrap().split_once("' ").unwrap().1;
    let rule = rule.replace("'", "").replace("{password-reset}", "{test}");
    let server = Server::redis(&[]);
    let set_user = |rule: &str| {
        let mut words = vec!["ACL", "SETUSER", "gateway", "reset", "on", ">word"];
        words.extend(rule.split_whitespace());
        let (): () = server.query(&words);
    };
    let url = format!("redis://gateway:word@127.0.0.1:{}/0", server.port);
    set_user(&rule);
    let whole = at(&url);
    whole.probe().await.unwrap();
    assert_eq!(charge(&whole, 1).await, Some(Verdict::Charged));

    let parts: Vec<_> = rule.split_whitespace().collect();
    assert!(parts.len() > 15, "{parts:?}");
    for part in parts.iter().filter(|part| part.starts_with('+')) {
        let others: Vec<_> = parts.iter().filter(|other| *other != part).copied().collect();
        set_user(&others.join(" "));
        let reason = why_not(&at(&url)).await;
        let command = part.trim_start_matches('+').split('|').next().unwrap();
        assert!(reason.contains("permission") && reason.contains(command), "{part}: {reason}");
    }
    // Another database than the first takes one command more, as the document says.
    let second = url.replace("/0", "/1");
    set_user(&rule);
    let reason = why_not(&at(&second)).await;
    assert!(reason.contains("permission") && reason.contains("select"), "{reason}");
    set_user(&format!("{rule} +select"));
    at(&second).probe().await.unwrap();
    set_user(&rule.replace("~{test}*", "~other*"));
    let reason = why_not(&at(&url)).await;
    assert!(reason.contains("permission") && reason.contains("key"), "{reason}");

    // Taken away while the gateway runs, it is told once, and does not come and go every two seconds.
    set_user(&rule);
    let store = at(&url);
    store.probe().await.unwrap();
    let mut presence = store.presence().unwrap();
    set_user(&rule.replace("+hincrby", ""));
    let away = presence.wait_for(|presence| matches!(presence, Presence::Away { .. }));
    tokio::time::timeout(PATIENCE, away).await.unwrap().unwrap();
    sleep(Duration::from_millis(4500)).await;
    assert!(!presence.has_changed().unwrap(), "{:?}", *presence.borrow());
}

#[tokio::test]
async fn causes_are_told_apart() {
    let (secure, pem) = with_tls();
    let plain = Server::redis(&["--requirepass", "canary-word"]);
    let (secure_port, port) = (secure.port, plain.port);
    let full = Server::redis(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let crowded = Server::redis(&["--maxclients", "1"]);
    // The server may still think of the connection by which the test found it.
    let _only_client = loop {
        match crowded.client().get_connection() {
            Ok(connection) => break connection,
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    };
    for (store, told) in [
        (at("redis://127.0.0.1:1/0"), "refused"),
        (at(&format!("rediss://localhost:{secure_port}/0")), "does not know (SSL_CERT_FILE"),
        (store(trusting(port, pem.clone())), "does it speak TLS there? Else use redis://"),
        (at(&format!("redis://127.0.0.1:{secure_port}/0")), "use rediss://"),
        (at(&format!("redis://:canary-other@127.0.0.1:{port}/0")), "wrong user or password"),
        (at(&format!("redis://127.0.0.1:{port}/0")), "NOAUTH"),
        (
            at(&format!("redis://:canary-word@127.0.0.1:{port}/99")),
            "the end of the address names no database there",
        ),
        (
            at(&format!("redis://127.0.0.1:{}/0", full.port)),
            "OOM command not allowed when used memory > 'maxmemory'; it is full",
        ),
        (at(&format!("redis://127.0.0.1:{}/0", crowded.port)), "are all of its `maxclients` taken?"),
    ] {
        let reason = why_not(&store).await;
        assert!(reason.contains(told) && !reason.contains("canary"), "{told}: {reason}");
    }
    store(trusting(secure_port, pem)).probe().await.unwrap();
    // Without a network, asking for a name may also come to nothing in time.
    let reason = why_not(&at("redis://no-such-host.invalid/0")).await;
    assert!(
        ["lookup", "resol", "no connection in time"].iter().any(|told| reason.contains(told)),
        "{reason}"
    );
}

/// A real cluster of three: all keys would lie in one slot, and still a node is refused with a word, for only one of them holds it, and which
/// one may change.
#[tokio::test]
async fn a_cluster_is_refused_with_a_word() {
    let nodes = [(); 3].map(|()| {
        let bus = free_port().to_string();
        Server::redis(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus])
    });
    let addresses = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port));
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&addresses)
        .arg("--cluster-yes")
        .output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    for node in &nodes {
        let unusable = store(node.client()).probe().await.unwrap_err();
        assert!(unusable.is_unfit && unusable.reason.contains("cluster mode"), "{unusable:?}");
        assert!(unusable.reason.contains("a single server"), "{unusable:?}");
    }
}
