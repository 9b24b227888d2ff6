//! Bad days: what operators fear, done to the real binary while clients are served. Each run of the tests does them in a short form; `cargo xtask
//! bad-days` does them in full (it sets `BAD_DAYS` to a folder), and writes what clients and operators saw into `docs/operating.md`.

mod autoshares;
mod clients;
mod load;
mod machine;
mod redis;
mod wire;

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use autoshares_sdk::sandbox::{Sandbox, Trader};
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::{
    servers::PATIENCE,
    support::{CODE, Gateway, JSON, KEY, PASSWORD, RESET, code, http, until, update},
};
use load::Load;

/// Budgets that no load here exhausts, while everything else is as it comes.
const AMPLE: [&str; 5] = [
    "limits.resets=1000000/h",
    "limits.resets_per_address=1000000/h",
    "limits.resets_per_login=1000000/h",
    "limits.logins_per_address=1000000/h",
    "connections.max_per_network=1000",
];

/// How long something lasts: in the short form, and in full.
pub fn lasting(short: f64, full: f64) -> Duration {
    Duration::from_secs_f64(if results().is_some() { full } else { short })
}

/// So many: in the short form, and in full.
pub fn so_many(short: usize, full: usize) -> usize {
    if results().is_some() { full } else { short }
}

/// The folder for the rows of the table, when the days are done in full.
fn results() -> Option<PathBuf> {
    env::var_os("BAD_DAYS").map(PathBuf::from)
}

/// A sandbox with traders, which takes the key of the tests.
pub async fn sandbox() -> Sandbox {
    let traders = (0..50).map(|number| Trader::new(&format!("trader-{number}")));
    let builder = traders.fold(Sandbox::builder().app_key(KEY), autoshares_sdk::sandbox::Builder::trader);
    builder.start().await.unwrap()
}

/// A gateway that is served to clients while something bad happens.
pub struct Day {
    pub gateway: Gateway,
    pub public: String,
    pub admin: String,
}

impl Day {
    /// Starts the gateway in front of an Autoshares, with its defaults but for budgets and these settings.
    pub fn begin(base_url: &str, settings: &[&str]) -> Self {
        let settings = [&AMPLE[..], settings].concat();
        let (gateway, public, admin) = Gateway::serve(base_url, &settings, &[]);
        Self { gateway, public, admin }
    }

    /// Resets from so many clients, each of which sends one and waits for so long after its reply.
    pub fn load(&self, clients: usize, pause: Duration) -> Load {
        Load::of_resets(&self.public, clients, pause, crate::support::http_builder)
    }

    /// The value of a metric, by its name and labels; none counts as zero.
    pub async fn metric(&self, name: &str) -> f64 {
        metric(&self.admin, name).await
    }

    /// Waits until the metric has a value.
    #[track_caller]
    pub fn until(&self, name: &'static str, holds: fn(f64) -> bool) -> impl Future<Output = ()> {
        let (admin, place) = (self.admin.clone(), std::panic::Location::caller());
        async move {
            let deadline = Instant::now() + PATIENCE;
            while !holds(metric(&admin, name).await) {
                assert!(Instant::now() < deadline, "{place}: {name} is {}", metric(&admin, name).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What the operator sees: a line of the log, a metric that is above zero, and an alert that asks for it.
    pub async fn noticed(&self, line: &str, name: &'static str, alert: &str) -> String {
        // It blocks its thread, which others need.
        tokio::task::block_in_place(|| self.gateway.wait_for(line));
        self.until(name, |value| value > 0.0).await;
        let alert = if alert.is_empty() { String::new() } else { format!("; alert {}", known_alert(alert)) };
        format!("\"{line}\"; `{}`{alert}", name.split(['{', ' ']).next().unwrap_or_default())
    }
}

/// The value of a metric of a gateway; none counts as zero.
async fn metric(admin: &str, name: &str) -> f64 {
    let metrics = http().get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    let values = metrics.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// An alert that there is, and how long its state has to last.
pub fn known_alert(name: &str) -> String {
    let rules = include_str!("../../../../deploy/prometheus/alerts.yaml");
    let (_, rest) =
        rules.split_once(&format!("- alert: {name}\n")).unwrap_or_else(|| panic!("no alert {name}"));
    let rule = rest.split("- alert: ").next().unwrap_or_default();
    let lasts = rule.lines().find_map(|line| line.trim().strip_prefix("for: "));
    lasts.map_or(format!("`{name}`"), |lasts| format!("`{name}` ({lasts})"))
}

/// A trader who begins a reset before the bad thing and ends it after.
pub struct Patient {
    public: String,
    handle: String,
    code: String,
    client: reqwest::Client,
}

impl Patient {
    /// Asks for a reset, and gets the mail.
    pub async fn begin(public: &str, sandbox: &Sandbox, login: &str, client: reqwest::Client) -> Self {
        let sent = client.post(format!("{public}{RESET}")).header(JSON.0, JSON.1);
        let reply = sent.body(format!(r#"{{"User": "{login}"}}"#)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let handle = reply.headers()["reset-flow"].to_str().unwrap().to_owned();
        let mail = || sandbox.outbox().into_iter().rev().find(|mail| mail.login == login);
        // The reply may come before Autoshares' own.
        until("the mail", || mail().is_some()).await;
        let mail = mail().unwrap();
        Self { public: public.to_owned(), handle, code: mail.code, client }
    }

    /// Sends the code; the status, and the token where it was taken.
    pub async fn redeem(&self) -> (u16, Option<String>) {
        let sent = self.client.post(format!("{}{CODE}", self.public)).header(JSON.0, JSON.1);
        let sent = sent.header("Reset-Flow", &self.handle).body(code(&self.code));
        let reply = sent.send().await.unwrap();
        let status = reply.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        (status, body["Model"].as_str().map(str::to_owned))
    }

    /// Sends the code and sets the password. The status of the step that did not succeed, or 200.
    pub async fn finish(&self) -> u16 {
        let (status, Some(token)) = self.redeem().await else { return self.redeem().await.0 };
        assert_eq!(status, 200);
        let sent = self.client.put(format!("{}{PASSWORD}", self.public)).header(JSON.0, JSON.1);
        let sent = sent.header("Reset-Flow", &self.handle).body(update(&token, "pkof394f34kf934f03u4fj0"));
        let reply = sent.send().await.unwrap();
        let status = reply.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert!(status != 200 || body["IsSucceed"] == true, "{body}");
        status
    }
}

/// A row of the table.
pub struct Row<'a> {
    /// A number for the order, and the day.
    pub day: (u8, &'a str),
    pub clients: String,
    pub lost: &'a str,
    pub operator: String,
}

impl Row<'_> {
    pub fn tell(self) {
        let Self { day: (number, day), clients, lost, operator } = self;
        let row = format!("| {day} | {clients} | {lost} | {operator} |\n");
        print!("{row}");
        if let Some(folder) = results() {
            fs::create_dir_all(&folder).unwrap();
            fs::File::create(folder.join(format!("{number:02}"))).unwrap().write_all(row.as_bytes()).unwrap();
        }
    }
}

/// A certificate for `localhost` that is issued by itself, and its key. Of two that a client trusts, OpenSSL may take the wrong one for the issuer if both
/// have one name.
fn certificate(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap(), key)
}
