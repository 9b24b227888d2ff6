//! What the gateway is to be fast at: a load of every kind, on a build that counts which code runs how often. The compiler then optimizes the
//! build for operators by these counts (`xtask/src/shipped.rs`).
//!
//! Most requests are steps 1 that are passed on or refused, for a flood consists of them; with them come whole resets, so that every step is known.

use autoshares_sdk::sandbox::{APP_KEY, Sandbox};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    load::{self, Load},
    peers::{AMPLE, with_redis, with_tls},
    server::{SERVER_CORE, Server, silent},
    workshop::{Workshop, free_address},
};

const CONNECTIONS: usize = 64;
/// How long each load lasts.
const SECONDS: u64 = 2;
/// How many gateways make whole resets, one after the other, for the ledger lets one network send only so many codes.
const GATEWAYS: usize = 3;
/// How many resets each of them makes, from the first step to the last.
const RESETS: usize = 200;
/// The traders of the sandbox, and the answer of the first one.
const TRADERS: [(&str, Option<&str>); 2] = [("robert.zak", Some("Peterson")), ("anna.lee", None)];
/// Settings with which so many resets go through.
const RESET_SETTINGS: [&str; 5] = [
    "limits.codes_per_login=1000000/s",
    "limits.codes_per_address=1000000/s",
    "limits.risk_per_hour=1",
    "limits.legacy_risk_per_hour=1",
    "page.enabled=true",
];

/// Puts each load on the gateway in turn.
pub(crate) fn run(workshop: &Workshop) -> Result<(), Failure> {
    let redis = workshop.redis()?;
    let load = Load::of(CONNECTIONS, SECONDS);
    put(workshop, load, &AMPLE)?;
    put(workshop, Load { new_logins_after: Some(0.0), ..load }, &AMPLE)?;
    put(workshop, load, &["limits.enabled=false"])?;
    put(workshop, load, &with_redis(workshop, &redis)?)?;
    put(workshop, Load { tls: true, ..load }, &with_tls(workshop))?;
    let refusing = workshop.gateway("refusing", &[""; 0])?;
    // Uses the budgets up.
    let _ = load::put(workshop, Load { seconds: 1, ..load }, &refusing);
    load::put(workshop, Load { refused: true, ..load }, &refusing)?;
    refusing.stop()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::new)?;
    (0..GATEWAYS).try_for_each(|_| runtime.block_on(whole_resets(workshop)))
}

fn put(workshop: &Workshop, load: Load, settings: &[impl AsRef<str>]) -> Result<(), Failure> {
    let gateway = workshop.gateway("trained", settings)?;
    load::put(workshop, load, &gateway)?;
    gateway.stop()
}

/// Makes whole resets with the sandbox, each with a code that is wrong, and looks at the page and the documents in between.
async fn whole_resets(workshop: &Workshop) -> Result<(), Failure> {
    let sandbox = Sandbox::start().await.map_err(Failure::new)?;
    let address = free_address()?;
    let base_url = format!("upstream.base_url={}", sandbox.base_url());
    let mut settings = AMPLE.to_vec();
    settings.extend(RESET_SETTINGS);
    settings.push(&base_url);
    let mut command = workshop.gateway_on(silent(&workshop.binary), address, &settings);
    command.env("AUTOSHARES_APP_KEY", APP_KEY);
    let gateway = Server::start(SERVER_CORE, command, address)?;
    // reqwest asks for it although no URL here is https.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();
    let at = format!("http://{address}");
    for number in 0..RESETS {
        let (login, answer) = TRADERS[number % TRADERS.len()];
        whole_reset(&client, &at, &sandbox, login, answer).await?;
        for path in ["/password-reset", "/openapi.json"] {
            succeeds(client.get(format!("{at}{path}"))).await?;
        }
    }
    // A gateway that ends waits for its clients.
    drop(client);
    gateway.stop()
}

async fn whole_reset(
    client: &Client,
    at: &str,
    sandbox: &Sandbox,
    login: &str,
    answer: Option<&str>,
) -> Result<(), Failure> {
    let step = format!("{at}/v1.0/users/password/reset");
    let begun = succeeds(client.post(&step).json(&json!({ "User": login }))).await?;
    let handle = begun.headers().get("Reset-Flow").cloned();
    let handle = handle.ok_or_else(|| Failure::new("step 1 gave no handle"))?;
    if let Some(answer) = answer {
        let question = format!("{at}/v1.0/users/password/secret-question?username={login}");
        succeeds(client.get(question).header("Reset-Flow", &handle)).await?;
        let answered = json!({ "User": login, "SecretQuestionAnswer": answer });
        succeeds(client.post(&step).header("Reset-Flow", &handle).json(&answered)).await?;
    }
    let mail = sandbox.outbox().pop().ok_or_else(|| Failure::new("the sandbox has sent no mail"))?;
    let redeem = |code: &str| {
        client.post(format!("{step}/code")).header("Reset-Flow", &handle).json(&json!({ "Code": code }))
    };
    // It is refused, in whatever way.
    redeem("000000").send().await.map_err(Failure::new)?;
    let redeemed: Value = succeeds(redeem(&mail.code)).await?.json().await.map_err(Failure::new)?;
    let passwords = json!({ "Token": redeemed["Model"], "Password": "new-password", "PasswordConfirmation": "new-password" });
    let update = client.put(format!("{at}/v1.0/users/passwords/reset/")).header("Reset-Flow", &handle);
    let updated: Value = succeeds(update.json(&passwords)).await?.json().await.map_err(Failure::new)?;
    match updated["IsSucceed"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(Failure::new(format!("the password was not set: {updated}"))),
    }
}

/// Sends a request, and fails if its status is no success.
async fn succeeds(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(Failure::new)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (url, status) = (response.url().clone(), response.status());
    Err(Failure::new(format!("{url} replied {status}: {}", response.text().await.unwrap_or_default())))
}
