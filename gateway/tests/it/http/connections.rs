//! H4, D4: how long a connection may keep the gateway waiting, and how many there may be; PROXY headers.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use autoshares_gateway::{
    clock::Clock,
    config::{ForwardedHeader, Proxies},
    server::{Connections, Entrance, Listener, Most, Patience, Stop},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::proxies::haproxy_with;
use crate::{
    servers::PATIENCE,
    support::{RESET, TestApp, http, until},
    upstream::Upstream,
};

pub const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;
const GET: &[u8] = b"GET /docs.css HTTP/1.1\r\nHost: x\r\n\r\n";

/// Serves a gateway whose connections may be idle for so long, and whose heads may take so long.
pub fn listen(app: &TestApp, idle: Duration, head: Duration) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.address();
    let connections = Connections::new(Most { all: 200, per_network: 200 }, None, Clock::system());
    let patience = Patience { idle, head };
    tokio::spawn(listener.serve(app.router.clone(), Stop::new(), patience, connections, Entrance::default));
    address
}

/// Serves a gateway with so many connections at most, behind these proxies.
pub fn listen_with(app: &TestApp, most: Most, proxies: Proxies) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.address();
    let connections = Connections::new(most, Some(Arc::clone(&app.metrics)), Clock::system());
    let patience = Patience::new(Duration::from_secs(75));
    let entrance = move || Entrance { proxies: Arc::new(proxies.clone()), ..Entrance::default() };
    tokio::spawn(listener.serve(app.router.clone(), Stop::new(), patience, connections, entrance));
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
    let request = whole_request("");
    let (head, body) = request.split_at(request.len() - 4);
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}

/// A connection from an address of this machine, each of which is a network of its own.
async fn from(address: [u8; 4], gateway: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    socket.connect(gateway).await.unwrap()
}

/// Whether a request on the connection gets a reply, which is read to its end.
async fn is_served(stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(b"HEAD /docs.css HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    while asked.is_ok() && !answer.ends_with(b"\r\n\r\n") {
        match timeout(Duration::from_secs(5), stream.read_u8()).await {
            Ok(Ok(byte)) => answer.push(byte),
            _ => break,
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

/// Whether the gateway has closed a silent connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    matches!(timeout(PATIENCE, stream.read_to_end(&mut rest)).await, Ok(Ok(_) | Err(_)))
}

/// Whether a connection that waits for its request stays open, as far as a moment tells.
async fn is_open(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(100), stream.read_u8()).await.is_err()
}

/// D4: the network that has all it may have gives a silent connection of its own, or nothing; others are served.
#[tokio::test(flavor = "multi_thread")]
async fn one_network_cannot_take_all_connections() {
    let app = TestApp::new(&Upstream::nobody());
    let gateway = listen_with(&app, Most { all: 100, per_network: 3 }, Proxies::default());
    let (busy, other) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    let mut first = from(busy, gateway).await;
    assert!(is_served(&mut first).await);
    let mut second = from(busy, gateway).await;
    assert!(is_served(&mut second).await);
    let mut third = from(busy, gateway).await;
    assert!(
        is_served(&mut third).await && is_served(&mut first).await,
        "the second one is silent longest now"
    );
    let mut fourth = from(busy, gateway).await;
    assert!(is_served(&mut fourth).await);
    assert!(is_closed(&mut second).await && is_served(&mut first).await && is_served(&mut third).await);

    // All three are in the middle of a body.
    let request = whole_request("");
    let (head, body) = request.split_at(request.len() - 4);
    for stream in [&mut first, &mut third, &mut fourth] {
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    // Those that are let in before all three heads have been read take the place of one of them.
    until_posts_are_under_way(&app, 3).await;
    assert!(!is_served(&mut from(busy, gateway).await).await, "there is no room");
    assert!(is_served(&mut from(other, gateway).await).await, "others are served");
    for stream in [&mut first, &mut third, &mut fourth] {
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(read > 0, "what is under way is finished");
    }
}

/// Waits until the gateway has read the heads of so many POST requests that have no reply yet.
async fn until_posts_are_under_way(app: &TestApp, count: usize) {
    let line = format!("http_server_active_requests{{http_request_method=\"POST\"}} {count}\n");
    until("the heads of requests", || app.metrics.text().contains(&line)).await;
}

/// A step 1, with more headers.
fn whole_request(headers: &str) -> String {
    let body = r#"{"User": "anna.lee"}"#;
    let length = body.len();
    format!(
        "POST {RESET} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// D4: heads that somebody keeps from ending are given up for others, the oldest first; so are connections of a trusted proxy that name nobody.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_heads_give_way_to_new_connections() {
    let proxies =
        Proxies { trusted: vec!["127.0.0.9/32".parse().unwrap()], header: ForwardedHeader::ProxyProtocol };
    for (sender, beginning) in
        [([127, 0, 0, 3], &b"GET /docs.css HTTP/1.1\r\n"[..]), ([127, 0, 0, 9], b"PROXY TCP4 203.0.113.1 ")]
    {
        let app = TestApp::new(&Upstream::nobody());
        let gateway = listen_with(&app, Most { all: 10, per_network: 100 }, proxies.clone());
        let mut unfinished = Vec::new();
        for _ in 0..10 {
            let mut stream = from(sender, gateway).await;
            stream.write_all(beginning).await.unwrap();
            unfinished.push(stream);
            sleep(Duration::from_millis(20)).await;
        }
        until("the places of ten", || app.metrics.text().contains("gateway_connections 10\n")).await;
        for _ in 0..5 {
            assert!(is_served(&mut from([127, 0, 0, 4], gateway).await).await);
        }
        assert!(is_closed(&mut unfinished[0]).await, "the oldest goes first");
        assert!(is_open(&mut unfinished[9]).await, "and the youngest later");
    }
}

/// D4: whoever begins a head and never ends it keeps nobody out who came later.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_head_goes_before_a_younger_connection() {
    let app = TestApp::new(&Upstream::nobody());
    let gateway = listen_with(&app, Most { all: 3, per_network: 100 }, Proxies::default());
    let mut heads = Vec::new();
    for _ in 0..2 {
        let mut stream = from([127, 0, 0, 3], gateway).await;
        stream.write_all(b"GET /docs.css HTTP/1.1\r\n").await.unwrap();
        heads.push(stream);
        sleep(Duration::from_millis(100)).await;
    }
    // Has not sent its request yet.
    let mut honest = from([127, 0, 0, 4], gateway).await;
    until("the places of three", || app.metrics.text().contains("gateway_connections 3\n")).await;
    assert!(is_served(&mut from([127, 0, 0, 5], gateway).await).await);
    assert!(is_closed(&mut heads[0]).await && is_open(&mut heads[1]).await);
    assert!(is_served(&mut honest).await, "it came after both");
}

/// D4: a host that has a whole /48 of IPv6, or a /24 of IPv4, has several times as much as one address, and not as much for each of its /64s.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_many_networks_cannot_take_all_connections() {
    let app = TestApp::new(&Upstream::nobody());
    let proxies =
        Proxies { trusted: vec!["127.0.0.9/32".parse().unwrap()], header: ForwardedHeader::ProxyProtocol };
    let gateway = listen_with(&app, Most { all: 100, per_network: 1 }, proxies);
    for (most, client, other) in [
        // The wider network, from whose narrower ones connections come; how many it may have; and a neighbour.
        (2, (|index| format!("2001:db8:0:1{index:02x}::1")) as fn(usize) -> String, "2001:db8:0:200::1"),
        (4, |index| format!("2001:db8:1:{index:x}00::1"), "2001:db8:2::1"),
        (6, |index| format!("198.51.100.{index}"), "198.51.101.1"),
    ] {
        let connect = async |client: &str| {
            let kind = if client.contains(':') { "TCP6" } else { "TCP4" };
            let mut stream = from([127, 0, 0, 9], gateway).await;
            let request = whole_request("");
            // The last byte of the body stays away.
            let begun =
                format!("PROXY {kind} {client} {client} 4711 443\r\n{}", &request[..request.len() - 1]);
            stream.write_all(begun.as_bytes()).await.unwrap();
            stream
        };
        let mut busy = Vec::new();
        for index in 0..most {
            busy.push(connect(&client(index)).await);
            until_posts_are_under_way(&app, busy.len()).await;
        }
        assert!(is_closed(&mut connect(&client(most)).await).await, "one more than {most}");
        assert!(is_open(&mut connect(other).await).await, "a neighbour has room: {other}");
        for stream in &mut busy {
            assert!(is_open(stream).await, "what is under way goes on");
        }
    }
}

/// D4: a connection whose reply nobody reads is not silent, so it does not make room that there is not.
#[tokio::test(flavor = "multi_thread")]
async fn unread_replies_make_no_room() {
    let app = TestApp::new(&Upstream::nobody());
    let gateway = listen_with(&app, Most { all: 100, per_network: 3 }, Proxies::default());
    let busy = [127, 0, 0, 5];
    let asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let mut unread = Vec::new();
    for _ in 0..3 {
        let mut stream = from(busy, gateway).await;
        // The gateway takes in no more than it can reply to.
        let _ = timeout(Duration::from_millis(500), stream.write_all(&asked)).await;
        unread.push(stream);
    }
    // Until what the sockets hold is full, and each connection waits for its reader.
    sleep(Duration::from_secs(2)).await;
    for _ in 0..10 {
        assert!(!is_served(&mut from(busy, gateway).await).await, "a connection beyond the cap is let in");
    }
    assert!(is_served(&mut from([127, 0, 0, 6], gateway).await).await, "others are served");
}

/// D4: when all connections are in use, silent ones give way to new ones, and each is counted.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_give_way_to_new_ones() {
    let app = TestApp::new(&Upstream::nobody());
    let gateway = listen_with(&app, Most { all: 20, per_network: 100 }, Proxies::default());
    let mut silent = Vec::new();
    for count in 1..=20 {
        silent.push(from([127, 0, 0, 3], gateway).await);
        // Each has its place before the next one comes, for the gateway lets several in at once.
        let open = format!("gateway_connections {count}\n");
        until("the place of a connection", || app.metrics.text().contains(&open)).await;
    }
    for _ in 0..30 {
        assert!(is_served(&mut from([127, 0, 0, 4], gateway).await).await);
    }
    let metrics = app.metrics.text();
    let shed = "gateway_connections_shed_total{reason=\"max\",outcome=\"gave_way\"} ";
    let (_, count) = metrics.split_once(shed).unwrap_or_else(|| panic!("{metrics}"));
    let count: u32 = count.lines().next().unwrap().parse().unwrap();
    assert!((1..=30).contains(&count), "{count}");
    assert!(is_closed(&mut silent[0]).await, "the first one has been silent longest");
}

/// A trusted proxy that does not read HTTP names its clients in PROXY headers; nobody else can.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_names_the_client_where_its_sender_is_trusted() {
    let upstream = Upstream::json(200, ACCEPTED);
    let proxies =
        Proxies { trusted: vec!["127.0.0.1/32".parse().unwrap()], header: ForwardedHeader::ProxyProtocol };
    let app = TestApp::guarded(&crate::support::client(&upstream.base_url()), |config| {
        config.limits.resets_per_address = vec!["1/h".parse().unwrap()];
        config.proxies = proxies.clone();
    });
    let gateway = listen_with(&app, Most { all: 100, per_network: 100 }, proxies.clone());
    let body = r#"{"User": "anna.lee"}"#;
    let request = whole_request("Connection: close\r\nX-Forwarded-For: 203.0.113.77\r\n");
    let status = async |sender: [u8; 4], pieces: &[&[u8]]| {
        let mut stream = from(sender, gateway).await;
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        // A gateway that refuses the header may have closed already.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).map(|status| status.parse::<u16>().unwrap())
    };
    let proxy = [127, 0, 0, 1];
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([203, 0, 113, 3, 127, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (pieces, first, second) in [
        (vec![&b"PROXY TCP4 203.0.113.1 127.0.0.1 4711 443\r\n"[..]], Some(200), Some(429)),
        (vec![&b"PROXY TCP4 203."[..], b"0.113.2 127.0.0.1 4711 443\r\n"], Some(200), Some(429)),
        (vec![&b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n"[..]], Some(200), Some(429)),
        // Another address of that /64.
        (vec![&b"PROXY TCP6 2001:db8::2 ::1 4711 443\r\n"[..]], Some(429), Some(429)),
        (vec![&binary[..]], Some(200), Some(429)),
        // The proxy's own, as that of a health check.
        (vec![&local[..]], Some(200), Some(429)),
        (vec![&b"PROXY UNKNOWN\r\n"[..]], Some(429), Some(429)),
        // No header, or none that is one.
        (vec![], None, None),
        (vec![&b"PROXY TCP4 203.0.113.9 127.0.0.1 4711\r\n"[..]], None, None),
        (vec![&b"PROXY TCP5 203.0.113.9 127.0.0.1 4711 443\r\n"[..]], None, None),
        (vec![&b"PROXY TCP4 203.0.113.9"[..]], None, None),
    ] {
        let shown = String::from_utf8_lossy(&pieces.concat()).into_owned();
        assert_eq!((status(proxy, &pieces).await, status(proxy, &pieces).await), (first, second), "{shown}");
    }
    // From anybody else it is no HTTP, and names nobody.
    let stranger = [127, 0, 0, 9];
    assert_eq!(status(stranger, &[b"PROXY TCP4 203.0.113.50 127.0.0.1 4711 443\r\n"]).await, Some(400));
    assert_eq!(status(stranger, &[]).await, Some(200));
    assert_eq!(status(proxy, &[b"PROXY TCP4 203.0.113.50 127.0.0.1 4711 443\r\n"]).await, Some(200));

    // The real thing, in both versions; the proxy's checks cost nobody anything.
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = haproxy_with(gateway, false, &format!("{version} check"));
        let url = format!("http://127.0.0.1:{}{RESET}", haproxy.port);
        let sent =
            http().post(url).header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(sent.status(), 429, "{version}: the client is 127.0.0.1, whose budget is used up");
    }
}
