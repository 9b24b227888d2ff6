//! `dev`: runs the gateway together with a sandbox of Autoshares on loopback, without any configuration.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use autoshares_sdk::sandbox::{APP_KEY, Sandbox};
use tracing::warn;

use super::{Outcome, serve, variable, variables};
use crate::{
    config::{self, Listeners, Mailbox, PublicOrigin, Sources},
    server::Listener,
    telemetry,
};

/// The ports that are tried first. If one is taken, the next free port above it is used.
const GATEWAY_PORT: u16 = 8080;
const SANDBOX_PORT: u16 = 8090;
const ADMIN_PORT: u16 = 9090;

/// What `dev` tells its user.
#[derive(Debug)]
struct Dev {
    sandbox: Arc<Sandbox>,
    /// The address of the listener for operators.
    admin: SocketAddr,
    /// The address of the gateway itself, whatever stands in front of it.
    origin: String,
}

/// Budgets that nobody who tries things out uses up, and what else suits a terminal.
const AMPLE: &[(&str, &str)] = &[
    ("limits.resets_per_login", "1000/h"),
    ("limits.resets_per_address", "1000/h"),
    ("limits.logins_per_address", "1000/h"),
    ("limits.resets", "10000/h"),
    ("limits.answers_per_login", "1000/h"),
    ("limits.codes_per_login", "1000/h"),
    ("limits.codes_per_address", "1000/h"),
    ("limits.questions_per_flow", "100"),
    ("limits.risk_per_hour", "1"),
    ("limits.legacy_risk_per_hour", "1"),
    ("page.enabled", "true"),
    ("log.format", "text"),
    ("stop_delay", "0s"),
];

/// Runs the gateway in front of an embedded Autoshares. `set` are settings of the command line, `KEY=VALUE`.
///
/// # Errors
///
/// A bad setting, no free port, or a socket that fails.
pub async fn run(set: &[String]) -> Outcome {
    let sandbox = Arc::new(start_sandbox().await?);
    let variables = variables();
    let sources = Sources { set, variables: &variables, defaults: AMPLE, ..Sources::default() };
    let mut config = config::for_dev(&sources, variable, sandbox.client())?;
    telemetry::init(config.log);
    let Listeners { listen, admin_listen, .. } = config.listeners;
    let (public, admin) = (next_free(listen, GATEWAY_PORT)?, next_free(admin_listen, ADMIN_PORT)?);
    config.bound_to(public.address());
    let mails = Arc::clone(&sandbox);
    config.page.mailbox = Some(Mailbox(Arc::new(move || mails.outbox().pop())));
    let dev = Dev { sandbox, admin: admin.address(), origin: PublicOrigin::localhost(public.address()).text };
    print!("{dev}");
    for warning in &config.warnings {
        warn!("{warning}");
    }
    // The sandbox stops when it is dropped, at the end.
    serve::serve_on(public, admin, config, None).await
}

async fn start_sandbox() -> io::Result<Sandbox> {
    let mut sandbox = Err(io::ErrorKind::AddrInUse.into());
    for port in nearby(SANDBOX_PORT) {
        sandbox = Sandbox::builder().address(port).start().await;
        if sandbox.is_ok() {
            break;
        }
    }
    sandbox
}

/// The address of a setting, or, where that is the usual one and taken, the next free port.
fn next_free(wanted: SocketAddr, usual: u16) -> io::Result<Listener> {
    if wanted != SocketAddr::from((Ipv4Addr::LOCALHOST, usual)) {
        return Listener::bind(wanted);
    }
    let taken = || io::Error::new(io::ErrorKind::AddrInUse, format!("no port free from {usual} on"));
    nearby(usual).find_map(|address| Listener::bind(address).ok()).ok_or_else(taken)
}

fn nearby(port: u16) -> impl Iterator<Item = SocketAddr> {
    (port..port + 100).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Explains on the terminal which addresses to open and which commands make a first reset.
impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = &self.origin;
        let admin = format!("http://{}", self.admin);
        let outbox = self.sandbox.outbox_url();
        let json = "-H 'Content-Type: application/json'";
        write!(
            f,
            "\
gateway        {gateway}   what it speaks: {gateway}/docs
page           {gateway}/password-reset   the hosted page for traders, with the mail beside it
sandbox        {upstream}   Autoshares, embedded; application key {APP_KEY}; traders robert.zak (answer Peterson) and anna.lee (no question)
outbox         {outbox}   the mails, with their codes
faults         {faults}   curl -X PUT {faults}/redeem_code -d '{{\"html\": 502}}'; -X DELETE heals
for operators  {admin}/readyz?verbose   {admin}/metrics

The cookie jar keeps the handle of the flow; without cookies, send the header `Reset-Flow` of step 1's reply back.
   alias ask=\"curl -sw '\\n' --cookie jar --cookie-jar jar {json}\"
1. Ask for a reset. robert.zak is asked for an answer first; anna.lee needs none (leave the member out).
   ask {gateway}/v1.0/users/password/reset -d '{{\"User\": \"robert.zak\"}}'
   ask '{gateway}/v1.0/users/password/secret-question?username=robert.zak'
   ask {gateway}/v1.0/users/password/reset -d '{{\"User\": \"robert.zak\", \"SecretQuestionAnswer\": \"Peterson\"}}'
2. Read the code.
   curl -s {outbox}
3. Trade it for a token.
   ask {gateway}/v1.0/users/password/reset/code -d '{{\"Code\": \"<code>\"}}'
4. Set the password.
   ask -X PUT {gateway}/v1.0/users/passwords/reset/ -d '{{\"Token\": \"<token>\", \"Password\": \"new-password\", \"PasswordConfirmation\": \"new-password\"}}'

Pages of every loopback origin may call. Safari keeps no cookie of this gateway, for it is http: use another browser, or send `Reset-Flow` back.
From a development server, either with its proxy, in vite.config.js:
   server: {{ proxy: {{ '/v1.0': '{gateway}' }} }}
or straight, with the cookie (open the page as http://localhost:5173, not as 127.0.0.1, which is another site):
   await fetch('{gateway}/v1.0/users/password/reset', {{ method: 'POST', credentials: 'include',
     headers: {{ 'Content-Type': 'application/json' }}, body: JSON.stringify({{ User: 'anna.lee' }}) }})

Budgets are ample here; `--set KEY=VALUE` and the environment set every other setting than upstream.* and store.*. What the guard does is explained below.
Ctrl-C stops it.
",
            upstream = self.sandbox.base_url(),
            faults = self.sandbox.faults_url(),
        )
    }
}
