//! nginx, HAProxy and Caddy, set up as `deploy/proxies` says: they lose no request at the edge of what they keep, and say who the client is.

use std::{fs, net::SocketAddr, time::Duration};

use autoshares_gateway::{config::Proxies, server::Most};
use tokio::{task::JoinSet, time::sleep};

use super::connections::{ACCEPTED, listen, listen_with};
use crate::{
    ports::free_port,
    servers::Server,
    support::{JSON, RESET, TestApp, http},
    upstream::Upstream,
};

const NGINX: &str = include_str!("../../../../deploy/proxies/nginx.conf");
const HAPROXY: &str = include_str!("../../../../deploy/proxies/haproxy.cfg");
const CADDY: &str = include_str!("../../../../deploy/proxies/Caddyfile");

/// The documented nginx, on loopback, without TLS, and with idle connections of a second in place of a minute.
fn nginx(gateway: SocketAddr) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let place = folder.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {place}/{name}; ")).concat();
    let documented: String =
        NGINX.lines().filter(|line| !line.contains("ssl_")).collect::<Vec<_>>().join("\n");
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
    haproxy_with(gateway, reuse, "check")
}

/// The same with other words about its server.
pub fn haproxy_with(gateway: SocketAddr, reuse: bool, server: &str) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut config = HAPROXY
        .replace("bind :443 ssl crt /etc/ssl/reset.pem", &format!("bind 127.0.0.1:{port}"))
        .replace("127.0.0.1:8080", &gateway.to_string());
    assert!(config.contains(&gateway.to_string()) && !config.contains("ssl"), "{config}");
    if reuse {
        config = config
            .replace("check", "pool-purge-delay 1s")
            .replace("mode http", "mode http\n  http-reuse always");
    }
    let config = config.replace("check", server);
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    Server::start(
        "haproxy",
        vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()],
        port,
        folder,
    )
}

/// The documented Caddy, on loopback and without TLS, and with idle connections of a second in place of a minute.
fn caddy(gateway: SocketAddr) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let documented = CADDY
        // Without `bind` Caddy listens at all addresses of the machine, and clients of other tests may hold the port at one of them.
        .replace("reset.example.com {", &format!("http://127.0.0.1:{port} {{\n\tbind 127.0.0.1"))
        .replace("127.0.0.1:8080", &gateway.to_string())
        .replace("keepalive 60s", "keepalive 1s");
    assert!(
        documented.contains("bind ")
            && documented.contains("keepalive 1s")
            && documented.contains(&gateway.to_string())
    );
    let file = folder.path().join("Caddyfile");
    fs::write(&file, format!("{{\n\tadmin off\n}}\n{documented}")).unwrap();
    let arguments = ["run", "--adapter", "caddyfile", "--config", file.to_str().unwrap()];
    Server::start("caddy", arguments.map(str::to_owned).to_vec(), port, folder)
}

/// Each names the client and the request itself: what a client says of either goes no further.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_name_the_client_and_the_request() {
    let upstream = Upstream::json(200, ACCEPTED);
    for proxy in [nginx, |gateway| haproxy(gateway, false), caddy] {
        let trusted = Proxies { trusted: vec!["127.0.0.1/32".parse().unwrap()], ..Proxies::default() };
        let app = TestApp::guarded(&crate::support::client(&upstream.base_url()), |config| {
            config.limits.resets_per_address = vec!["1/h".parse().unwrap()];
            config.proxies = trusted.clone();
        });
        let proxy = proxy(listen_with(&app, Most { all: 100, per_network: 100 }, trusted));
        let url = format!("http://127.0.0.1:{}{RESET}", proxy.port);
        for (claimed, status) in [("203.0.113.1", 200), ("203.0.113.2", 429)] {
            let sent = http().post(&url).header(JSON.0, JSON.1).header("x-forwarded-for", claimed);
            let sent = sent.header("x-request-id", "canary-of-the-client").body(r#"{"User": "anna.lee"}"#);
            let reply = sent.send().await.unwrap();
            assert_eq!(reply.status(), status, "a client that says it is {claimed}");
            let id = reply.headers()["x-request-id"].to_str().unwrap();
            assert!(!id.contains("canary") && id.len() >= 32, "{id}");
        }
    }
}

/// Many clients, each with pauses around the time at which the proxy gives an idle connection up.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_at_the_edge_of_what_proxies_keep() {
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::quick(&crate::support::client(&upstream.base_url()), |_| {});
    // Ample, so that a busy machine loses no request here.
    let gateway = listen(&app, Duration::from_secs(5), Duration::from_secs(10));
    for proxy in [nginx(gateway), haproxy(gateway, false), haproxy(gateway, true), caddy(gateway)] {
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
