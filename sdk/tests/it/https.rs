//! https against a real TLS server: the client sends a request only to a server whose certificate the machine trusts.

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use autoshares_sdk::{AppKey, Client, ErrorKind};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::{support::KEY, upstream::response};

const CHILD: &str = "AUTOSHARES_SDK_TEST_TLS";

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

    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut request = [0; 4096];
            // A client that does not trust this server's certificate closes the connection during the handshake.
            let Ok(read) = stream.read(&mut request) else { continue };
            kept.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
            let _ = stream.write_all(
                response(200, &[], r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#).as_bytes(),
            );
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });

    let folder = env::temp_dir();
    for (pem, expected, count) in [(other.cert.pem(), "unknown", 0), (certified.cert.pem(), "trusted", 1)] {
        let trusted = folder.join(format!("autoshares-sdk-{expected}-{}.pem", std::process::id()));
        fs::write(&trusted, pem).unwrap();
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "https::only_a_trusted_certificate_sees_a_request"]);
        child.env(CHILD, expected).env("SSL_CERT_FILE", &trusted).env("SSL_CERT_DIR", "/nonexistent");
        child.env("AUTOSHARES_BASE_URL", format!("https://localhost:{port}/api"));
        let output = child.output().unwrap();
        assert!(output.status.success(), "{expected}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(requests.lock().unwrap().len(), count, "{expected}");
        fs::remove_file(&trusted).unwrap();
    }
    assert!(requests.lock().unwrap()[0].contains(&format!("et-app-key: {KEY}")));
}
