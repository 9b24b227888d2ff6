//! Days on which Autoshares is gone, slow, elsewhere, or shows a certificate that has ended.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use autoshares_sdk::{
    AppKey, Client, Operation,
    sandbox::{Fault, Sandbox},
};
use rcgen::{KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::{Day, Load, Patient, Row, certificate, lasting, sandbox, wire::Wire};
use crate::support::{KEY, TestApp, http, http_builder};

/// Where a sandbox listens.
fn address(sandbox: &Sandbox) -> SocketAddr {
    let url = sandbox.base_url();
    url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn autoshares_is_gone() {
    let sandbox = sandbox().await;
    let mut wire = Wire::to(address(&sandbox)).await;
    let day = Day::begin(&format!("http://{}/api", wire.address()), &[]);
    let patient = Patient::begin(&day.public, &sandbox, "anna.lee", http()).await;
    let load = day.load(20, Duration::from_millis(500));
    load.settle(20).await;
    // A call that is under way when it goes gets 502 and `mayHaveBeenApplied`, for nobody knows what became of it.
    load.hold().await;
    let cut = Instant::now();
    wire.cut().await;
    load.go_on();
    let operator = day
        .noticed(
            "Autoshares fails: nothing of the kind is forwarded",
            "gateway_outage{",
            "GatewayAutosharesFails",
        )
        .await;
    sleep(lasting(1.0, 60.0)).await;
    let mended = Instant::now();
    wire.mend(address(&sandbox)).await;
    day.until("gateway_outage{", |value| value < 0.5).await;
    let back = mended.elapsed();
    load.settle(20).await;
    let seen = load.end().await;
    seen.are_all(&[200, 503]);
    let during = seen.between(cut, mended);
    assert!(during.count(503) > 0 && back < lasting(25.0, 8.0), "{back:?}");
    assert_eq!(seen.between(mended + back, Instant::now()).count(503), 0);
    assert_eq!(patient.finish().await, 200, "the flow of before goes on");
    Row {
        day: (1, "Autoshares is gone for a minute"),
        clients: format!("{during}; served again {:.1} s after it is back", back.as_secs_f64()),
        lost: "nothing; flows go on. A call that is under way when it goes gets 502 with `mayHaveBeenApplied`",
        operator,
    }
    .tell();
}

#[tokio::test(flavor = "multi_thread")]
async fn autoshares_is_slow() {
    let sandbox = sandbox().await;
    let day = Day::begin(&sandbox.base_url(), &[]);
    let patient = Patient::begin(&day.public, &sandbox, "anna.lee", http()).await;
    let load = day.load(20, Duration::from_millis(900));
    load.settle(20).await;
    let before = Instant::now();
    let slow = Duration::from_secs(5);
    for operation in [Operation::RequestReset, Operation::RedeemCode] {
        sandbox.fail(operation, Fault::Delay(slow));
    }
    let (began, redeemed) = (Instant::now(), patient.redeem().await);
    let waited = began.elapsed();
    assert!(redeemed.0 == 503 && waited < lasting(10.0, 3.0), "{redeemed:?} {waited:?}");
    sleep(lasting(3.0, 30.0)).await;
    let operator =
        day.noticed("Autoshares fails", "gateway_late_calls_total{", "GatewayAutosharesFails").await;
    let healed = Instant::now();
    sandbox.heal();
    let seen = load.end().await.between(before, healed);
    seen.are_all(&[200]);
    seen.are_quick();
    // The outcome of the call that ran on behind is kept.
    day.until("gateway_outage{outage=\"codes\"}", |value| value < 0.5).await;
    let calls = sandbox.calls(Operation::RedeemCode);
    assert_eq!(patient.finish().await, 200, "the same code gets what it came to");
    assert_eq!(sandbox.calls(Operation::RedeemCode), calls, "it is not sent again");
    Row {
        day: (2, "Autoshares takes 5 s"),
        clients: format!("step 1: {seen}; step 3: 503 after {:.1} s", waited.as_secs_f64()),
        lost: "nothing; the same code again gets the outcome of the call that ran on behind",
        operator,
    }
    .tell();
}

/// In process, for the binary has the system's resolver.
#[tokio::test(flavor = "multi_thread")]
async fn autoshares_moves_to_another_address() {
    let (old, new) = (sandbox().await, sandbox().await);
    // The same port at two addresses.
    let port = crate::ports::free_port();
    let mut at_old = Wire::at(SocketAddr::from(([127, 0, 0, 2], port)), address(&old)).await;
    let _at_new = Wire::at(SocketAddr::from(([127, 0, 0, 3], port)), address(&new)).await;
    let known = Arc::new(Mutex::new(IpAddr::from([127, 0, 0, 2])));
    let asked = Arc::clone(&known);
    let client = Client::builder(format!("http://localhost:{port}/api")).app_key(AppKey::new(KEY).unwrap());
    let client = client.resolver(move |_| {
        let address = *asked.lock().unwrap();
        async move { Ok(vec![address]) }
    });
    let app = TestApp::guarded(&client.build().unwrap(), |config| {
        config.flow.floor = Duration::from_millis(200);
        for rates in [
            &mut config.limits.resets,
            &mut config.limits.resets_per_address,
            &mut config.limits.resets_per_login,
            &mut config.limits.logins_per_address,
        ] {
            *rates = crate::support::ample();
        }
    });
    let public = format!("http://{}", app.listen());
    let load = Load::of_resets(&public, 20, Duration::from_millis(500), http_builder);
    load.settle(20).await;
    assert!(old.calls(Operation::RequestReset) > 0 && new.calls(Operation::RequestReset) == 0);
    *known.lock().unwrap() = [127, 0, 0, 3].into();
    let moved = Instant::now();
    sleep(lasting(0.5, 5.0)).await;
    // Then the old one closes, and with it the connections to it.
    load.hold().await;
    at_old.cut().await;
    load.go_on();
    load.settle(30).await;
    let seen = load.end().await.between(moved, Instant::now());
    seen.are_all(&[200]);
    assert!(new.calls(Operation::RequestReset) > 0);
    Row {
        day: (3, "Autoshares' name leads to another address"),
        clients: format!("{seen}"),
        lost: "nothing; connections that are open are used until the old address closes them",
        operator: "nothing".to_owned(),
    }
    .tell();
}

#[tokio::test(flavor = "multi_thread")]
async fn autoshares_shows_a_certificate_that_has_ended() {
    let sandbox = sandbox().await;
    let acceptor = |(certificate, key): &(rcgen::Certificate, KeyPair)| {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    };
    let lasting_to = |name, last_year| {
        certificate(name, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(last_year, 1, 1);
        })
    };
    let (good, ended) = (lasting_to("good", 2090), lasting_to("ended", 2021));
    let shown = Arc::new(Mutex::new(acceptor(&good)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, target, current) =
        (listener.local_addr().unwrap().port(), address(&sandbox), Arc::clone(&shown));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = current.lock().unwrap().clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate ends the handshake.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut onward = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut onward).await;
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca");
    std::fs::write(&ca_file, good.0.pem() + &ended.0.pem()).unwrap();
    let ca_file = format!("upstream.ca_file={}", ca_file.display());
    // A connection for each call, for an open one does not look at certificates again.
    let settings = [&*ca_file, "upstream.keep_alive=0s"];
    let day = Day::begin(&format!("https://localhost:{port}/api"), &settings);
    let patient = Patient::begin(&day.public, &sandbox, "anna.lee", http()).await;
    let load = day.load(20, Duration::from_millis(500));
    load.settle(20).await;
    let began = Instant::now();
    *shown.lock().unwrap() = acceptor(&ended);
    let operator = day
        .noticed(
            "Autoshares fails: nothing of the kind is forwarded",
            "gateway_outage{",
            "GatewayAutosharesFails",
        )
        .await;
    assert!(day.gateway.output().contains("certificate"), "the line says why: {}", day.gateway.output());
    sleep(lasting(0.5, 20.0)).await;
    let mended = Instant::now();
    *shown.lock().unwrap() = acceptor(&good);
    day.until("gateway_outage{", |value| value < 0.5).await;
    load.settle(20).await;
    let seen = load.end().await;
    seen.are_all(&[200, 503]);
    let during = seen.between(began, mended);
    assert!(during.count(503) > 0);
    assert_eq!(patient.finish().await, 200);
    Row {
        day: (4, "Autoshares' certificate has ended"),
        clients: format!("{during}"),
        lost: "nothing; flows go on",
        operator: format!("{operator}; the line says that the certificate has expired"),
    }
    .tell();
}
