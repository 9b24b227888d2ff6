//! Makes a number of calls, one after the other: by the SDK, or by reqwest alone, which is what the SDK's users would write without it. The
//! benchmark divides what the process costs by their number.
//!
//! `calls sdk|reqwest BASE_URL NUMBER`

use std::env;

use autoshares_sdk::{AppKey, Client, Login, SecretAnswer};
use serde::{Deserialize, Serialize};

const APP_KEY: &str = "not-a-real-key";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResetRequest<'a> {
    user: &'a str,
    secret_question_answer: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    errors: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [client, base_url, number] = &arguments[..] else {
        panic!("say which client makes how many calls to where");
    };
    let number: u32 = number.parse().expect("a number of calls");
    match client.as_str() {
        "sdk" => by_sdk(base_url, number).await,
        "reqwest" => by_reqwest(base_url, number).await,
        _ => panic!("the clients are `sdk` and `reqwest`"),
    }
}

async fn by_sdk(base_url: &str, number: u32) {
    let key = AppKey::new(APP_KEY).expect("a key that fits into a header");
    let client = Client::builder(base_url).app_key(key).build().expect("a client for loopback");
    let (login, answer) = (Login::from("robert.zak"), SecretAnswer::from("Peterson"));
    for _ in 0..number {
        client.request_reset(&login, Some(&answer)).await.expect("the upstream accepts every reset");
    }
}

async fn by_reqwest(base_url: &str, number: u32) {
    // reqwest with its usual one needs a C++ compiler; the SDK passes this one on, too.
    rustls::crypto::ring::default_provider().install_default().expect("nobody has installed one yet");
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = client.build().expect("a client");
    let url = format!("{base_url}/v1.0/users/password/reset");
    let body = ResetRequest { user: "robert.zak", secret_question_answer: "Peterson" };
    for _ in 0..number {
        let sent = client.post(&url).header("et-app-key", APP_KEY).json(&body).send().await;
        let envelope: Envelope =
            sent.expect("the upstream answers").json().await.expect("the upstream sends an envelope");
        assert!(envelope.errors.is_empty(), "the upstream accepts every reset");
    }
}
