//! Attacks three targets and measures, at the sandbox behind them, how far the attacks get: this gateway with its defaults, this gateway with
//! all protections off, and nginx that adds the application key and limits each address. `cargo xtask attack` runs it.
//!
//! Everything runs on loopback, with a fixed number of requests (see the constants). The attacker is a botnet that knows the logins of some
//! traders. Its many addresses, each in a network of its own, are simulated by a proxy header that the targets trust.

#![allow(clippy::unwrap_used, reason = "an attack that cannot set itself up has failed")]
#![allow(clippy::disallowed_methods, reason = "an attacker measures how long a reply really takes")]

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use autoshares_sdk::{
    Operation,
    sandbox::{APP_KEY, Sandbox, Trader},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The number of logins that the attacker knows. It requests a reset for each, so that as many codes are live.
const TRADERS: usize = 40;
/// The number of codes that the attacker guesses, spread evenly over all its addresses.
const GUESSES: usize = 2000;
const ADDRESSES: usize = 400;
/// The number of pairs of an existing and an unknown login whose replies are compared.
const PAIRS: usize = 60;
/// The number of codes that are sent at the same time in one flow.
const AT_ONCE: usize = 50;
/// How much longer Autoshares takes to reply when it has an e-mail to send.
const MAIL_TIME: Duration = Duration::from_millis(40);
const CONCURRENCY: usize = 30;

const RESET: &str = "/v1.0/users/password/reset";
const CODE: &str = "/v1.0/users/password/reset/code";

/// Settings that turn all protections of the gateway off.
const BARE: [&str; 4] =
    ["flow.answers=faithful", "flow.binding=off", "flow.floor=0s", "limits.enabled=false"];

struct Outcome {
    target: &'static str,
    forwarded: usize,
    expected: f64,
    taken: usize,
    at_once: usize,
    by_bytes: f64,
    by_time: f64,
}

#[tokio::main]
async fn main() {
    println!(
        "{GUESSES} guesses from {ADDRESSES} addresses at {TRADERS} live codes; {PAIRS} pairs of an existing and an unknown login; \
         {AT_ONCE} codes at once in one flow\n"
    );
    let mut outcomes = vec![
        attack("this gateway", true, |sandbox| gateway(sandbox, &[])).await,
        // With binding off, the gateway needs no flow handle, and sending one would only subject the attacker to the limits of a flow.
        attack("the same, faithful, limits off", false, |sandbox| gateway(sandbox, &BARE)).await,
    ];
    if nginx_program().arg("-v").stderr(Stdio::null()).status().is_ok() {
        outcomes.push(attack("nginx, limit_req 10 a minute", false, nginx).await);
    } else {
        println!("nginx is not installed (`cargo xtask attack` installs it), so it is left out\n");
    }
    println!(
        "{:<32} {:>7} {:>9} {:>9} {:>5} {:>7} {:>11} {:>10}",
        "target", "guesses", "forwarded", "expected", "taken", "at once", "bits: bytes", "bits: time"
    );
    for Outcome { target, forwarded, expected, taken, at_once, by_bytes, by_time } in outcomes {
        println!(
            "{target:<32} {GUESSES:>7} {forwarded:>9} {expected:>9.5} {taken:>5} {at_once:>7} {by_bytes:>11.2} {by_time:>10.2}"
        );
    }
    println!(
        "\nforwarded: guesses that reached Autoshares. expected: takeovers, live codes / 1,000,000 summed over them. taken: codes hit.\n\
         at once: of {AT_ONCE} wrong codes at once in one flow, how many reached Autoshares. bits: what one answer tells of whether a\n\
         login exists, by all of its bytes, and by its time (the best threshold of one half of the pairs, tried on the other)."
    );
}

async fn attack(target: &'static str, with_handles: bool, start: impl Fn(&Sandbox) -> Target) -> Outcome {
    let logins =
        |name: &str, count: usize| (0..count).map(|index| format!("{name}-{index}")).collect::<Vec<_>>();
    let (traders, existing, unknown) =
        (logins("trader", TRADERS), logins("existing", PAIRS), logins("unknown", PAIRS));
    let builder = Sandbox::builder().mail_time(MAIL_TIME).trader(Trader::new("victim"));
    let known = traders.iter().chain(&existing);
    let sandbox = known.fold(builder, |builder, login| builder.trader(Trader::new(login))).start().await;
    let sandbox = sandbox.unwrap();
    // Tries to find out which logins exist, each from its own address.
    let running = start(&sandbox);
    let bot = Bot { http: http(), url: running.url.clone(), with_handles };
    let pairs = existing.into_iter().zip(unknown).enumerate().map(|(index, (existing, unknown))| {
        let bot = bot.clone();
        async move {
            let one = bot.reset(&address(11, index), &existing).await;
            [one, bot.reset(&address(12, index), &unknown).await]
        }
    });
    let pairs = together(pairs, 6).await;

    // Requests a code for each known login, then guesses codes from all addresses and in all flows.
    let resets = traders.into_iter().enumerate().map(|(index, login)| {
        let bot = bot.clone();
        async move { bot.reset(&address(15, index / 8), &login).await.handle }
    });
    let handles = together(resets, CONCURRENCY).await;
    let before = sandbox.calls(Operation::RedeemCode);
    let guesses = (0..GUESSES).map(|guess| {
        let (bot, handle) = (bot.clone(), handles[guess % TRADERS].clone());
        async move { bot.guess(&address(16, guess % ADDRESSES), &handle, 100_000 + guess).await }
    });
    let taken = together(guesses, CONCURRENCY).await.into_iter().filter(|hit| *hit).count();
    let forwarded = sandbox.calls(Operation::RedeemCode) - before;
    let live = sandbox.outbox().len();

    // Sends many codes at once, to a target that begins anew: the other attack has used up the ledger.
    drop(running);
    let running = start(&sandbox);
    let bot = Bot { url: running.url.clone(), ..bot };
    let handle = bot.reset(&address(13, 0), "victim").await.handle;
    let before = sandbox.calls(Operation::RedeemCode);
    let shots = (0..AT_ONCE).map(|guess| {
        let (bot, handle) = (bot.clone(), handle.clone());
        async move { bot.guess(&address(14, guess), &handle, guess).await }
    });
    together(shots, AT_ONCE).await;
    let at_once = sandbox.calls(Operation::RedeemCode) - before;
    Outcome {
        target,
        forwarded,
        expected: forwarded as f64 * live as f64 / 1e6,
        taken,
        at_once,
        by_bytes: bits_by_bytes(&pairs),
        by_time: bits_by_time(&pairs),
    }
}

/// An address of the botnet, each in a network of its own, so that no limit of a network holds it back. Nothing is ever sent there.
fn address(first: u8, number: usize) -> String {
    format!("{first}.{}.{}.1", number / 250, number % 250)
}

/// Runs the futures, at most `at_a_time` of them at once, and returns their results in the order of the futures.
async fn together<F>(futures: impl Iterator<Item = F>, at_a_time: usize) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (mut set, mut done) = (JoinSet::new(), Vec::new());
    for (index, future) in futures.enumerate() {
        if set.len() >= at_a_time {
            done.push(set.join_next().await.unwrap().unwrap());
        }
        set.spawn(async move { (index, future.await) });
    }
    done.extend(set.join_all().await);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, output)| output).collect()
}

#[derive(Clone)]
struct Bot {
    http: reqwest::Client,
    url: String,
    with_handles: bool,
}

struct Seen {
    /// The status, the names of the headers and the body. Header values such as the date and the handle differ in every reply and reveal
    /// nothing about the login.
    bytes: String,
    time: Duration,
    handle: String,
}

impl Bot {
    async fn send(&self, address: &str, target: &str, handle: &str, body: String) -> reqwest::Response {
        let request =
            self.http.post(format!("{}{target}", self.url)).header("content-type", "application/json");
        let mut request = request.header("x-forwarded-for", address);
        if self.with_handles {
            request = request.header("reset-flow", handle);
        }
        request.body(body).send().await.unwrap()
    }

    async fn reset(&self, address: &str, login: &str) -> Seen {
        let started = Instant::now();
        let answer = self.send(address, RESET, "", format!(r#"{{"User": "{login}"}}"#)).await;
        let time = started.elapsed();
        let handle = answer.headers().get("reset-flow").map(|handle| handle.to_str().unwrap().to_owned());
        let names: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
        let head = format!("{} {names:?}", answer.status());
        let bytes = format!("{head} {}", answer.text().await.unwrap());
        Seen { bytes, time, handle: handle.unwrap_or_default() }
    }

    /// Sends a code. Returns whether it was right, that is, whether the reply carries a reset token.
    async fn guess(&self, address: &str, handle: &str, guess: usize) -> bool {
        let answer = self.send(address, CODE, handle, format!(r#"{{"Code": "{guess:06}"}}"#)).await;
        answer.text().await.unwrap().contains("\"Model\"")
    }
}

/// How many bits the content of one reply reveals about whether the login exists: the mutual information of the two.
fn bits_by_bytes(pairs: &[[Seen; 2]]) -> f64 {
    let mut counts: HashMap<&str, [f64; 2]> = HashMap::new();
    for pair in pairs {
        for (class, seen) in pair.iter().enumerate() {
            counts.entry(&seen.bytes).or_default()[class] += 1.0;
        }
    }
    let total = 2.0 * pairs.len() as f64;
    let information = counts.values().flat_map(|count| {
        let seen = (count[0] + count[1]) / total;
        let bits = move |both: f64| if both == 0.0 { 0.0 } else { both * (both / (seen * 0.5)).log2() };
        count.map(|count| bits(count / total))
    });
    information.sum()
}

/// How many bits the time of one reply reveals about whether the login exists. The attacker finds the time that separates existing from unknown
/// logins best on the first half of the pairs; its success on the second half counts.
fn bits_by_time(pairs: &[[Seen; 2]]) -> f64 {
    let (train, test) = pairs.split_at(pairs.len() / 2);
    let right = |pairs: &[[Seen; 2]], threshold: Duration| {
        let right = pairs.iter().map(|[exists, unknown]| {
            usize::from(exists.time > threshold) + usize::from(unknown.time <= threshold)
        });
        right.sum::<usize>() as f64 / (2.0 * pairs.len() as f64)
    };
    let thresholds = train.iter().flatten().map(|seen| seen.time);
    let best = thresholds.max_by(|one, other| right(train, *one).total_cmp(&right(train, *other))).unwrap();
    let accuracy = right(test, best).max(0.5);
    let entropy = |share: f64| if share == 0.0 { 0.0 } else { -share * share.log2() };
    1.0 - entropy(accuracy) - entropy(1.0 - accuracy)
}

fn http() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    // reqwest demands a TLS configuration, although all targets speak plain http.
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}

/// A server under attack. Dropping it stops the server.
struct Target {
    url: String,
    child: Child,
    _folder: Option<TempDir>,
}

impl Drop for Target {
    fn drop(&mut self) {
        // SIGTERM lets nginx stop its worker processes; SIGKILL would leave them running.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Starts the gateway binary that cargo built next to this example, in front of the sandbox.
fn gateway(sandbox: &Sandbox, settings: &[&str]) -> Target {
    let example = env::current_exe().unwrap();
    let binary = example.parent().unwrap().parent().unwrap().join("autoshares-gateway");
    let mut command = Command::new(binary);
    command.arg("serve").env("AUTOSHARES_APP_KEY", APP_KEY).env("AUTOSHARES_BASE_URL", sandbox.base_url());
    let own =
        ["listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "log.format=text", "trusted_proxies=127.0.0.1"];
    for setting in own.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listening listen=")).unwrap();
    let (_, rest) = line.split_once("listening listen=").unwrap();
    let url = format!("http://{}", rest.split_whitespace().next().unwrap());
    // The log must be read to its end; the gateway would block once the pipe is full.
    thread::spawn(move || lines.for_each(drop));
    Target { url, child, _folder: None }
}

/// Debian keeps servers where only root looks.
fn nginx_program() -> Command {
    let mut nginx = Command::new("nginx");
    nginx.env("PATH", env::var("PATH").unwrap_or_default() + ":/usr/sbin");
    nginx
}

/// Starts nginx as an operator without this gateway might configure it: it adds the application key and limits each address.
fn nginx(sandbox: &Sandbox) -> Target {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {place}/{name}; ")).concat();
    let base_url = sandbox.base_url();
    let config = format!(
        "daemon off; pid {place}/pid; error_log {place}/error.log; events {{ worker_connections 512; }}\n\
         http {{ access_log off; {temporary}set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;\n\
           limit_req_zone $binary_remote_addr zone=each:10m rate=10r/m;\n\
           server {{ listen 127.0.0.1:{port}; limit_req zone=each burst=10 nodelay;\n\
             location / {{ proxy_pass {base_url}/; proxy_set_header Et-App-Key {APP_KEY}; }} }} }}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    let child = nginx_program().arg("-c").arg(&file).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
        assert!(Instant::now() < deadline, "nginx did not start");
        thread::sleep(Duration::from_millis(10));
    }
    Target { url: format!("http://127.0.0.1:{port}"), child, _folder: Some(folder) }
}
