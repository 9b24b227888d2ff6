//! Which connections calls go over: how long one is used again, what happens when Autoshares has reset it, and proxies.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use autoshares_sdk::{AppKey, Client, ClientBuilder, ErrorKind, Operation, RetryPolicy};
use tokio::net::TcpSocket;

use crate::{
    ports::free_port,
    support::{KEY, call},
    upstream::{Upstream, response},
};

const REPLY: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n{\"Model\": \"x\", \"Errors\": [], \"IsSucceed\": true}";

fn builder(address: SocketAddr) -> ClientBuilder {
    let quick = RetryPolicy::default().base(Duration::from_millis(2));
    let builder = Client::builder(format!("http://{address}/api")).app_key(AppKey::new(KEY).unwrap());
    builder.retries(quick).timeout(Duration::from_secs(20)).connect_timeout(Duration::from_secs(2))
}

/// Code of the caller's looks names up, anew for each connection, and cannot lead a key that is not encrypted to another machine.
#[tokio::test]
async fn names_are_looked_up_by_the_callers_code() {
    let upstream = Upstream::answering(REPLY);
    let port = upstream.address().port();
    let (known, asked) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(vec![])));
    let (answer, names) = (Arc::clone(&known), Arc::clone(&asked));
    let client = Client::builder(format!("http://localhost:{port}/api")).app_key(AppKey::new(KEY).unwrap());
    let client = client.keep_alive(Duration::ZERO).retries(RetryPolicy::off()).resolver(move |name| {
        names.lock().unwrap().push(name);
        let addresses = answer.lock().unwrap().clone();
        async move { Ok(addresses) }
    });
    let client = client.build().unwrap();
    for (addresses, is_called) in [
        (vec!["127.0.0.1"], true),
        (vec!["192.0.2.1"], false),
        (vec!["192.0.2.1", "127.0.0.1"], true),
        (vec![], false),
    ] {
        let (calls, shown) = (upstream.requests().len(), format!("{addresses:?}"));
        *known.lock().unwrap() = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let called = call(&client, Operation::RedeemCode).await;
        assert_eq!(called.is_ok(), is_called, "{shown}");
        assert!(called.err().is_none_or(|error| matches!(error.kind(), ErrorKind::NotSent)), "{shown}");
        assert_eq!(upstream.requests().len() - calls, usize::from(is_called), "{shown}");
    }
    assert_eq!(*asked.lock().unwrap(), ["localhost"; 4]);
}

/// Serves requests on connections that it keeps open, and counts the connections.
fn keeping_alive() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                while !read_whole(&mut stream).is_empty() && stream.write_all(REPLY.as_bytes()).is_ok() {}
            });
        }
    });
    (address, connections)
}

/// Reads a request to its end, or as far as it comes.
fn read_whole(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while text.split_once("\r\n\r\n").is_none_or(|(head, body)| body.len() < content_length(head)) {
        match stream.read(&mut byte) {
            Ok(1) => text.push(char::from(byte[0])),
            _ => return text,
        }
    }
    text
}

fn content_length(head: &str) -> usize {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, length)| length.trim().parse().unwrap())
}

#[tokio::test]
async fn an_idle_connection_is_used_again_for_the_time_that_is_set() {
    for (keep_alive, pause, expected) in [
        (None, Duration::ZERO, 1),
        (Some(Duration::ZERO), Duration::ZERO, 3),
        (Some(Duration::from_millis(20)), Duration::from_millis(200), 3),
    ] {
        let (address, connections) = keeping_alive();
        let builder = builder(address);
        let builder = match keep_alive {
            Some(keep_alive) => builder.keep_alive(keep_alive),
            None => builder,
        };
        let client = builder.build().unwrap();
        for _ in 0..3 {
            client.redeem_code(&"741175".into()).await.unwrap();
            tokio::time::sleep(pause).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{keep_alive:?}");
    }
}

/// Waits until the client's end of a connection to this address has the reset. On a busy machine the system delivers it after `close` has returned.
fn wait_for_the_reset_of(address: SocketAddr) {
    // Addresses of both ends in hexadecimal, the remote one last, and the state: 01 is an open connection.
    let open = format!(" 0100007F:{:04X} 01 ", address.port());
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string("/proc/net/tcp").is_ok_and(|connections| connections.contains(&open)) {
        assert!(Instant::now() < deadline, "no reset comes");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What `ports` promises to all tests that start a server, or want nobody at a port.
#[tokio::test]
async fn a_free_port_is_kept_for_its_server_and_refuses_connections_until_then() {
    let port = free_port();
    let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    // A client of another test, at an address of its own.
    let client = TcpSocket::new_v4().unwrap().bind(([127, 0, 9, 9], port).into());
    assert_eq!(client.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    TcpStream::connect(server.local_addr().unwrap()).unwrap();
}

/// The server resets an idle connection while the only thread of the client is busy, so that the client finds out when it writes.
#[tokio::test]
async fn a_request_that_a_reset_connection_did_not_take_is_sent_anew() {
    for operation in Operation::ALL {
        for retries in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (reset, told) = mpsc::channel();
            let (done, is_done) = mpsc::channel();
            let whole = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&whole);
            thread::spawn(move || {
                let (mut first, _) = listener.accept().unwrap();
                // A byte that is left unread makes the kernel send a reset when the socket is closed.
                let mut byte = [0];
                first.read_exact(&mut byte).unwrap();
                first.write_all(REPLY.as_bytes()).unwrap();
                told.recv().unwrap();
                drop(first);
                done.send(()).unwrap();
                for mut stream in listener.incoming().map_while(Result::ok) {
                    kept.lock().unwrap().push(read_whole(&mut stream));
                    stream
                        .write_all(response(200, &[], REPLY.split_once("\r\n\r\n").unwrap().1).as_bytes())
                        .unwrap();
                }
            });
            let client = builder(address).build().unwrap();
            let client = if retries { client } else { client.without_retries() };
            call(&client, operation).await.unwrap();
            // This blocks the thread, so that the client does not notice the reset.
            reset.send(()).unwrap();
            is_done.recv().unwrap();
            wait_for_the_reset_of(address);
            call(&client, operation).await.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
            assert_eq!(whole.lock().unwrap().len(), 1, "{operation}");
        }
    }
}

#[tokio::test]
async fn calls_go_through_the_proxy_and_only_through_a_near_one_in_the_clear() {
    let nowhere = Upstream::nobody();
    let proxy = Upstream::answering(REPLY);
    let through = |proxy: String| {
        let key = AppKey::new(KEY).unwrap();
        Client::builder(&nowhere).app_key(key).proxy(proxy).retries(RetryPolicy::off())
    };
    let named = format!("http://user:canary%21@{}", proxy.address());
    assert!(!format!("{:?}", through(named.clone())).contains("canary"));
    let client = through(named).user_agent("broker/2").build().unwrap();
    client.redeem_code(&"741175".into()).await.unwrap();
    let request = proxy.requests().pop().unwrap();
    assert!(request.starts_with(&format!("POST {nowhere}/v1.0/users/password/reset/code ")), "{request}");
    // `user:canary!` in base64.
    assert!(request.to_lowercase().contains("proxy-authorization: basic dxnlcjpjyw5hcnkh"), "{request}");
    assert!(request.to_lowercase().contains("user-agent: broker/2\r\n"), "{request}");

    let error = through(Upstream::nobody().replace("/api", "")).build().unwrap();
    let error = error.redeem_code(&"741175".into()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSent), "a proxy that is away: {error:?}");

    for (bad, reason) in [
        ("", "the proxy is not the URL of a proxy"),
        ("proxy.example:3128", "the proxy is neither `http://host:port` nor"),
        ("socks5://127.0.0.1:1080", "the proxy is neither `http://host:port` nor"),
        ("http://127.0.0.1:3128/path", "the proxy holds a path"),
        ("http://canary@proxy.example:3128", "the proxy would see the key"),
        ("https://proxy.example", "the proxy would see the key"),
    ] {
        let error = through(bad.to_owned()).build().unwrap_err().to_string();
        assert!(error.starts_with(reason) && !error.contains("canary"), "{bad}: {error}");
    }
}

#[test]
fn a_user_agent_is_a_header_and_a_keep_alive_has_an_end() {
    let with = |text: &str| builder(([127, 0, 0, 1], 1).into()).user_agent(text).build();
    assert!(with("broker/2 (reset)").is_ok());
    for bad in ["", "  ", "a\r\nb: c", "brökér\u{0}", "brökér", "a\tb"] {
        let error = with(bad).unwrap_err().to_string();
        assert_eq!(error, "the user agent is not a text of visible ASCII characters", "{bad:?}");
    }
    let endless = builder(([127, 0, 0, 1], 1).into()).keep_alive(Duration::MAX).build().unwrap_err();
    assert_eq!(endless.to_string(), "the keep-alive time is longer than a day");
}
