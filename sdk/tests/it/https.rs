//! https against a real TLS server: the client sends a request only to a server whose certificate it trusts, shows its own certificate
//! where it has one, and reaches the server through a proxy that sees nothing of the call.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use autoshares_sdk::{AppKey, Client, ClientBuilder, ErrorKind, RetryPolicy};
use rcgen::{CertifiedKey, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use crate::{support::KEY, upstream::response};

const CHILD: &str = "AUTOSHARES_SDK_TEST_TLS";

/// A TLS server on `localhost`, and the requests that it got.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server with this certificate. With `clients`, it turns away who does not show that one.
    fn start(certified: &CertifiedKey<KeyPair>, clients: Option<&CertifiedKey<KeyPair>>) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.cert.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = Arc::new(config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream =
                    StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
                let mut request = [0; 4096];
                // A client that does not trust this server's certificate closes the connection during the handshake.
                let Ok(read) = stream.read(&mut request) else { continue };
                kept.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
                let answer = response(200, &[], r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#);
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { port, requests }
    }

    fn base_url(&self) -> String {
        format!("https://localhost:{}/api", self.port)
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder(self.base_url()).app_key(AppKey::new(KEY).unwrap()).retries(RetryPolicy::off())
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// A file for one test, which is removed with this value.
struct Pem(PathBuf);

impl Pem {
    fn new(name: &str, text: &str) -> Self {
        let path = env::temp_dir().join(format!("autoshares-sdk-{name}-{}.pem", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn only_a_trusted_certificate_sees_a_request() {
    if let Ok(expected) = env::var(CHILD) {
        let base_url = env::var("AUTOSHARES_BASE_URL").unwrap();
        let client = Client::builder(base_url).app_key(AppKey::new(KEY).unwrap()).build().unwrap();
        match client.without_retries().redeem_code(&"741175".into()).await {
            Ok(token) => assert_eq!((expected.as_str(), token.expose()), ("trusted", "x")),
            Err(error) => {
                assert_eq!(expected, "unknown", "{error:?}");
                assert!(matches!(error.kind(), ErrorKind::NotSent), "{error:?}");
            }
        }
        return;
    }

    let (certified, other) = (certificate(), certificate());
    let server = Server::start(&certified, None);
    for (pem, expected, count) in [(other.cert.pem(), "unknown", 0), (certified.cert.pem(), "trusted", 1)] {
        let trusted = Pem::new(expected, &pem);
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "https::only_a_trusted_certificate_sees_a_request"]);
        child.env(CHILD, expected).env("SSL_CERT_FILE", &trusted.0).env("SSL_CERT_DIR", "/nonexistent");
        child.env("AUTOSHARES_BASE_URL", server.base_url());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{expected}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(server.requests().len(), count, "{expected}");
    }
    assert!(server.requests()[0].contains(&format!("et-app-key: {KEY}")));
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let certified = certificate();
    let server = Server::start(&certified, None);
    let (own, other) = (Pem::new("own", &certified.cert.pem()), Pem::new("other", &certificate().cert.pem()));
    let error =
        server.builder().ca_file(&other.0).build().unwrap().redeem_code(&"741175".into()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSent) && server.requests().is_empty(), "{error:?}");
    server.builder().ca_file(&own.0).build().unwrap().redeem_code(&"741175".into()).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_named_one() {
    let (certified, own) = (certificate(), certificate());
    let server = Server::start(&certified, Some(&own));
    let ca = Pem::new("ca", &certified.cert.pem());
    let both = Pem::new("both", &format!("{}{}", own.signing_key.serialize_pem(), own.cert.pem()));
    let without = server.builder().ca_file(&ca.0).build().unwrap();
    without.redeem_code(&"741175".into()).await.unwrap_err();
    assert!(server.requests().is_empty());
    let with = server.builder().ca_file(&ca.0).client_certificate_file(&both.0).build().unwrap();
    with.redeem_code(&"741175".into()).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_that_holds_something_else_is_a_fault() {
    let (own, other) = (certificate(), certificate());
    let empty = Pem::new("empty", "canary, and no PEM");
    let lone = Pem::new("lone", &own.cert.pem());
    let mixed = Pem::new("mixed", &format!("{}{}", own.cert.pem(), other.signing_key.serialize_pem()));
    let garbage = Pem::new("garbage", "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n");
    let builder = || Client::builder("https://localhost/api").app_key(AppKey::new(KEY).unwrap());
    let half = own.cert.pem() + "-----BEGIN CERTIFICATE-----\n!canary!\n-----END CERTIFICATE-----\n";
    let half = Pem::new("half", &half);
    let missing = PathBuf::from("/nonexistent/ca.pem");
    for (build, fault) in [
        (builder().ca_file(&missing).build(), "the CA file cannot be read: No such file or directory"),
        (builder().ca_file(&empty.0).build(), "the CA file holds no certificate in PEM"),
        (builder().ca_file(&half.0).build(), "the CA file holds a section that is no PEM"),
        (builder().ca_file(&garbage.0).build(), "the CA file holds a certificate that cannot be used"),
        (builder().client_certificate_file(&missing).build(), "the client certificate file cannot be read"),
        (
            builder().client_certificate_file(&empty.0).build(),
            "the client certificate file holds no certificate",
        ),
        (
            builder().client_certificate_file(&lone.0).build(),
            "the client certificate file holds no private key",
        ),
        (
            builder().client_certificate_file(&mixed.0).build(),
            "the client certificate file cannot be used: keys may not",
        ),
    ] {
        let error = build.unwrap_err().to_string();
        assert!(error.starts_with(fault) && !error.contains("canary"), "{fault}: {error}");
    }
}

/// A proxy that opens tunnels, or refuses to with a status.
fn tunnels(refusal: Option<u16>) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            kept.lock().unwrap().extend(&head);
            if let Some(status) = refusal {
                let _ = client.write_all(response(status, &[], "").as_bytes());
                continue;
            }
            let head = String::from_utf8(head).unwrap();
            let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut replies, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut replies, &mut back));
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(read @ 1..) = client.read(&mut chunk) {
                    kept.lock().unwrap().extend(&chunk[..read]);
                    let _ = server.write_all(&chunk[..read]);
                }
            });
        }
    });
    (format!("http://{address}"), seen)
}

#[tokio::test]
async fn a_proxy_sees_the_host_and_nothing_of_the_call() {
    let certified = certificate();
    let server = Server::start(&certified, None);
    let ca = Pem::new("tunnel", &certified.cert.pem());
    let (proxy, seen) = tunnels(None);
    let client = server.builder().ca_file(&ca.0).proxy(&proxy).build().unwrap();
    client.redeem_code(&"741175".into()).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    let seen = seen.lock().unwrap().clone();
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port)), "{seen}");
    for secret in [KEY, "et-app-key", "741175", "users/password"] {
        assert!(!seen.contains(secret), "{secret}");
    }

    for status in [403, 407, 502] {
        let (proxy, _) = tunnels(Some(status));
        let client = server.builder().ca_file(&ca.0).proxy(&proxy).build().unwrap();
        let error = client.redeem_code(&"741175".into()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotSent), "{status}: {error:?}");
    }
    assert_eq!(server.requests().len(), 1);
}
