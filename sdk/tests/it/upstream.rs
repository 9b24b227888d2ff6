//! A stand-in for Autoshares that works on raw bytes: it records requests exactly as they arrive and misbehaves as a test wants. It
//! shares no code with the sandbox or the SDK, so a mistake in them cannot hide itself.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::ports::free_port;

pub struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Replies to every request with these bytes and closes the connection.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::doing(move |stream| {
            // Writing fails when the client has gone away, which some tests intend.
            let _ = stream.write_all(&bytes);
        })
    }

    /// Replies to the first request with the first text, to the second with the second, and to all later ones with the last.
    pub fn in_turn(answers: &[String]) -> Self {
        let answers = answers.to_vec();
        let next = AtomicUsize::new(0);
        Self::doing(move |stream| {
            let turn = next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let _ = stream.write_all(answers[turn].as_bytes());
        })
    }

    /// Replies to every request with a status and a JSON body.
    pub fn json(status: u16, body: &str) -> Self {
        Self::answering(response(status, &[("Content-Type", "application/json; charset=utf-8")], body))
    }

    /// Reads every request and closes the connection after a minute without a reply.
    pub fn silent() -> Self {
        Self::doing(|_| thread::sleep(Duration::from_secs(60)))
    }

    /// Reads every request and closes the connection without a reply.
    pub fn hanging_up() -> Self {
        Self::doing(|_| {})
    }

    /// Closes the connection in the middle of the reply.
    pub fn cut_off() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{\"Errors\": [], ")
    }

    /// Resets the connection in the middle of the reply. The kernel sends a reset when a socket is closed with bytes left unread, so
    /// this reads only the first byte of the request.
    pub fn resetting() -> Self {
        Self::reading(read_first_byte, |stream, _| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{\"Errors\": [], ");
            // Gives the client time to receive the start of the reply before the reset.
            thread::sleep(Duration::from_millis(50));
        })
    }

    /// Replies with one byte every 100 ms, for longer than any test waits.
    pub fn dripping() -> Self {
        Self::doing(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        })
    }

    /// Replies with 64 MiB, or as much of it as the client reads.
    pub fn flooding() -> Self {
        Self::doing(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..1024 {
                if stream.write_all(chunk.as_bytes()).is_err() {
                    return;
                }
            }
        })
    }

    /// Reads every request, calls `act` with the connection, and closes it.
    pub fn doing(act: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::reading(read_request, move |stream, _| act(stream))
    }

    /// Replies to every request with the text that `answer` returns for it; `answer` may also sleep.
    pub fn deciding(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::reading(read_request, move |stream, request| {
            let _ = stream.write_all(answer(request).as_bytes());
        })
    }

    fn reading(
        read: fn(&mut TcpStream) -> Option<String>,
        act: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, act) = (Arc::clone(&requests), Arc::new(act));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, act) = (Arc::clone(&kept), Arc::clone(&act));
                thread::spawn(move || {
                    let Ok(mut stream) = stream else { return };
                    if let Some(request) = read(&mut stream) {
                        kept.lock().unwrap().push(request.clone());
                        act(&mut stream, &request);
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// The base URL of a loopback port on which nobody listens.
    pub fn nobody() -> String {
        format!("http://127.0.0.1:{}/api", free_port())
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, each with head and body exactly as they arrived.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The text of a complete HTTP response after which the connection closes.
pub fn response(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut text =
        format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    format!("{text}\r\n{body}")
}

fn read_first_byte(stream: &mut TcpStream) -> Option<String> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    Some(String::from_utf8_lossy(&byte).into_owned())
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
