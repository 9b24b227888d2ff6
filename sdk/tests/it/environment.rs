//! `Client::from_env` ignores the proxy variables. The test starts itself as a child process, because a process cannot safely change its
//! own environment.

use std::{env, process::Command};

use autoshares_sdk::{Client, ResetRequested};

use crate::upstream::Upstream;

const CHILD: &str = "AUTOSHARES_SDK_TEST_CHILD";

#[tokio::test]
async fn proxy_variables_are_ignored() {
    if env::var_os(CHILD).is_some() {
        let client = Client::from_env().unwrap();
        let asked = client.request_reset(&"robert.zak".into(), None).await.unwrap();
        assert!(matches!(*asked, ResetRequested::Accepted(_)), "{asked:?}");
        return;
    }
    let upstream = Upstream::json(200, r#"{"Errors": [], "IsSucceed": false}"#);
    let proxy = Upstream::json(200, r#"{"Errors": [], "IsSucceed": false}"#);
    let proxy_url = format!("http://{}", proxy.address());
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "environment::proxy_variables_are_ignored"]).env(CHILD, "1");
    child.env("AUTOSHARES_BASE_URL", upstream.base_url()).env("AUTOSHARES_APP_KEY", "canary-key-5c1d");
    child
        .env_remove("AUTOSHARES_APP_KEY_FILE")
        .env_remove("AUTOSHARES_API_VERSION")
        .env_remove("AUTOSHARES_TIMEOUT");
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(variable, &proxy_url);
    }
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.requests(), Vec::<String>::new());
    assert_eq!(upstream.requests().len(), 1);
}
