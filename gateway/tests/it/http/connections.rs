//! H4: how long a connection may keep the gateway waiting; and that nginx and HAProxy, set up as `docs/proxies.md` says, lose no request at the
//! edge.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use autoshares_gateway::server::{ConnectionLimits, Listener, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    redis_server::{Server, free_port},
    support::{RESET, TestApp, http},
    upstream::Upstream,
};

const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;
const GET: &[u8] = b"GET /docs.css HTTP/1.1\r\nHost: x\r\n\r\n";

/// Serves a gateway whose connections may be idle for so long, and whose heads may take so long.
fn listen(app: &TestApp, idle: Duration, head: Duration) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.address();
    let limits = ConnectionLimits { most: 200, idle, head };
    tokio::spawn(listener.serve(app.router.clone(), Stop::new(), limits));
    address
}

/// Reads until the connection is closed or nothing comes any more. How long that took, and whether it was closed.
async fn until_closed(stream: &mut TcpStream, most: Duration) -> (Duration, bool) {
    let started = Instant::now();
    let mut bytes = Vec::new();
    let closed = timeout(most, stream.read_to_end(&mut bytes)).await.is_ok();
    (started.elapsed(), closed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_kept_and_a_slow_head_is_not() {
    let app = TestApp::new(&Upstream::nobody());
    let (idle, head) = (Duration::from_secs(3), Duration::from_millis(300));
    let address = listen(&app, idle, head);
    let served = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };

    // Silent for longer than a head may take, and still there.
    let mut stream = served(GET).await;
    sleep(4 * head).await;
    stream.write_all(GET).await.unwrap();
    let (took, closed) = until_closed(&mut stream, Duration::from_secs(10)).await;
    assert!(closed && took >= idle, "{took:?}");

    // Half a head, at once or after a request, and one that drips.
    for before in [&b""[..], GET] {
        let mut stream = served(before).await;
        if !before.is_empty() {
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 16, "the reply to the request before it");
        }
        stream.write_all(b"GET /docs HTTP/1.1\r\nHo").await.unwrap();
        let (took, closed) = until_closed(&mut stream, Duration::from_secs(10)).await;
        assert!(closed && took < idle, "{took:?}");
    }
    let mut stream = served(b"GET /docs HTTP/1.1\r\n").await;
    let started = Instant::now();
    while stream.write_all(b"a: b\r\n").await.is_ok() && started.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() < idle, "{:?}", started.elapsed());
}

/// A reply that takes longer than a head may is no slow head.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reply_does_not_end_a_connection() {
    let upstream = Upstream::deciding(|_| {
        std::thread::sleep(Duration::from_millis(500));
        crate::upstream::response(200, &[], ACCEPTED)
    });
    let app = TestApp::new(&upstream.base_url());
    let address = listen(&app, Duration::from_secs(5), Duration::from_millis(100));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = r#"{"User": "anna.lee"}"#;
    let request = format!(
        "POST {RESET} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}

/// The block of a language in `docs/proxies.md`.
fn snippet(language: &str) -> String {
    let document = include_str!("../../../../docs/proxies.md");
    let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// The documented nginx, on loopback, without TLS, and with idle connections of a second in place of a minute.
fn nginx(gateway: SocketAddr) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let place = folder.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {place}/{name}; ")).concat();
    let documented: String =
        snippet("nginx").lines().filter(|line| !line.contains("ssl_")).collect::<Vec<_>>().join("\n");
    let documented = documented
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port}"))
        .replace("127.0.0.1:8080", &gateway.to_string())
        .replace("keepalive_timeout 60s", "keepalive_timeout 1s");
    assert!(documented.contains("keepalive_timeout 1s") && documented.contains(&gateway.to_string()));
    let config = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log; events {{ worker_connections 512; }}\n\
         http {{ access_log off; {temporary}\n{documented} }}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let arguments =
        ["-c".to_owned(), file.display().to_string(), "-e".to_owned(), format!("{place}/early.log")];
    Server::start("nginx", arguments.to_vec(), port, folder)
}

/// The documented HAProxy, on loopback and without TLS; with `reuse`, made to use whatever connection is idle, for a second.
fn haproxy(gateway: SocketAddr, reuse: bool) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut config = snippet("haproxy")
        .replace("bind :443 ssl crt /etc/ssl/reset.pem", &format!("bind 127.0.0.1:{port}"))
        .replace("127.0.0.1:8080", &gateway.to_string());
    assert!(config.contains(&gateway.to_string()) && !config.contains("ssl"), "{config}");
    if reuse {
        config = config
            .replace("check", "pool-purge-delay 1s")
            .replace("mode http", "mode http\n  http-reuse always");
    }
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    Server::start(
        "haproxy",
        vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()],
        port,
        folder,
    )
}

/// Many clients, each with pauses around the time at which the proxy gives an idle connection up.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_at_the_edge_of_what_proxies_keep() {
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::quick(&crate::support::client(&upstream.base_url()), |_| {});
    // Ample, so that a busy machine loses no request here.
    let gateway = listen(&app, Duration::from_secs(5), Duration::from_secs(10));
    for proxy in [nginx(gateway), haproxy(gateway, false), haproxy(gateway, true)] {
        let url = format!("http://127.0.0.1:{}{RESET}", proxy.port);
        let mut clients = JoinSet::new();
        for index in 0..40_u64 {
            let (http, url) = (http(), url.clone());
            clients.spawn(async move {
                let mut statuses = Vec::new();
                for round in 0..5 {
                    let request = http.post(&url).header("content-type", "application/json");
                    let reply = request.body(r#"{"User": "anna.lee"}"#).send().await.unwrap();
                    statuses.push(reply.status().as_u16());
                    sleep(Duration::from_millis(960 + (index * 7 + round * 3) % 80)).await;
                }
                statuses
            });
        }
        let statuses = clients.join_all().await.concat();
        assert_eq!(statuses, vec![200; 200]);
    }
}
