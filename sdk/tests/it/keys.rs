//! An application key that changes while the client runs: which key is sent, and what happens when Autoshares rejects it.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use autoshares_sdk::{
    AppKey, AppKeySource, Client, ErrorKind, Operation, Refresh, RetryPolicy, sandbox::Sandbox,
};

use crate::{support::call, upstream::Upstream};

const REJECTED: &str = r#"{"error": "Application key is not defined or does not exist"}"#;

fn client(base_url: &str, key: impl Into<AppKeySource>) -> Client {
    // Retries are off, because the second attempt after a rejected key must not depend on them.
    Client::builder(base_url).app_key(key).retries(RetryPolicy::off()).build().unwrap()
}

fn key(text: &str) -> AppKey {
    AppKey::new(text).unwrap()
}

#[tokio::test]
async fn a_rejected_key_that_changed_is_tried_once_more() {
    for operation in Operation::ALL {
        let upstream = Upstream::json(403, REJECTED);
        let keys = AppKeySource::custom(|refresh| async move {
            Ok(if refresh == Refresh::Yes { key("new-key-2") } else { key("old-key-1") })
        });
        let error = call(&client(&upstream.base_url(), keys), operation).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::KeyRejected), "{error}");
        assert_eq!(error.attempts(), 2);
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "once more and no more");
        assert!(requests[0].contains("old-key-1") && requests[1].contains("new-key-2"));
    }
}

#[tokio::test]
async fn a_source_that_finds_a_new_key_each_time_is_believed_once() {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::json(403, REJECTED);
    let keys = AppKeySource::custom(|_| async {
        Ok(key(&format!("new-key-{}", NUMBER.fetch_add(1, Ordering::SeqCst))))
    });
    call(&client(&upstream.base_url(), keys), Operation::RedeemCode).await.unwrap_err();
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_refresh_that_outlives_the_deadline_leads_to_no_late_call() {
    let upstream = Upstream::json(403, REJECTED);
    let keys = AppKeySource::custom(|refresh| async move {
        if refresh == Refresh::Yes {
            tokio::time::sleep(Duration::from_secs(10)).await;
            return Ok(key("new-key-2"));
        }
        Ok(key("old-key-1"))
    });
    let builder = Client::builder(upstream.base_url()).app_key(keys).timeout(Duration::from_secs(3));
    let error = call(&builder.build().unwrap(), Operation::RedeemCode).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyRejected), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_rejected_key_that_did_not_change_is_not_tried_again() {
    let upstream = Upstream::json(403, REJECTED);
    let error =
        call(&client(&upstream.base_url(), key("old-key-1")), Operation::SetPassword).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyRejected), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_new_key_in_the_file_is_picked_up() {
    let path = std::env::temp_dir().join(format!("autoshares-sdk-rotation-{}", std::process::id()));
    fs::write(&path, "sandbox-key\n").unwrap();
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox.base_url(), AppKeySource::file(&path));
    client.fetch_question(&"anna.lee".into()).await.unwrap();

    sandbox.set_app_key("the-next-key");
    fs::write(&path, "the-next-key\n").unwrap();
    client.fetch_question(&"anna.lee".into()).await.unwrap();
    assert_eq!(sandbox.calls(Operation::FetchQuestion), 2, "no call was lost on the old key");
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn the_source_is_asked_for_every_attempt() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let upstream = Upstream::json(503, "");
    let keys = AppKeySource::custom(|_| async {
        ASKED.fetch_add(1, Ordering::SeqCst);
        Ok(key("some-key-1"))
    });
    let client = Client::builder(upstream.base_url()).app_key(keys).build().unwrap();
    client.fetch_question(&"anna.lee".into()).await.unwrap_err();
    assert_eq!((ASKED.load(Ordering::SeqCst), upstream.requests().len()), (3, 3));
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let upstream = Upstream::json(200, r#"{"Errors": [], "IsSucceed": true}"#);
    let keys = AppKeySource::custom(|_| async { Err("the vault is sealed".into()) });
    let error = call(&client(&upstream.base_url(), keys), Operation::SetPassword).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSent), "{error}");
    assert_eq!((error.attempts(), upstream.requests().len()), (0, 0));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the vault is sealed");

    // A key source that never returns does not delay a call beyond its deadline.
    let keys = AppKeySource::custom(|_| std::future::pending());
    let builder = Client::builder(upstream.base_url()).app_key(keys).timeout(Duration::from_millis(50));
    let error = call(&builder.build().unwrap(), Operation::SetPassword).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSent) && error.is_timeout(), "{error}");
    assert_eq!(upstream.requests().len(), 0);

    let missing =
        Client::builder(upstream.base_url()).app_key(AppKeySource::file("/nonexistent/key")).build();
    assert!(missing.unwrap_err().to_string().contains("the application key cannot be read"));
    let missing =
        Client::builder(upstream.base_url()).app_key(AppKeySource::environment("NO_SUCH_VARIABLE")).build();
    assert!(missing.unwrap_err().to_string().contains("`NO_SUCH_VARIABLE` is not set"));
}
