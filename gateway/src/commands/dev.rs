//! `dev`: runs the gateway together with a sandbox of Autoshares on loopback, without any configuration.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
};

use autoshares_sdk::sandbox::Sandbox;
use tracing::level_filters::LevelFilter;

use super::{Outcome, serve};
use crate::{
    config::{self, Config, PublicOrigin},
    server::Listener,
    telemetry,
};

/// The ports that are tried first. If one is taken, the next free port above it is used.
const GATEWAY_PORT: u16 = 8080;
const SANDBOX_PORT: u16 = 8090;
const ADMIN_PORT: u16 = 9090;

/// The running sandbox and the bound listeners of `dev`.
#[derive(Debug)]
pub struct Dev {
    /// The embedded imitation of Autoshares.
    pub sandbox: Sandbox,
    /// The listener for clients.
    pub public: Listener,
    /// The listener for operators.
    pub admin: Listener,
}

/// Runs the gateway with its defaults in front of an embedded Autoshares.
///
/// # Errors
///
/// When no port is free, or a socket fails.
pub async fn run() -> Outcome {
    telemetry::init(config::Log { json: Some(false), level: LevelFilter::INFO });
    let dev = Dev::start().await?;
    print!("{dev}");
    let origin = PublicOrigin::localhost(dev.public.address());
    let config = Config::with_defaults(dev.sandbox.client(), origin)?;
    serve::serve_on(dev.public, dev.admin, config).await
}

impl Dev {
    /// Starts the sandbox and binds the listeners.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when no port is free.
    pub async fn start() -> io::Result<Self> {
        let public = next_free(GATEWAY_PORT)?;
        let admin = next_free(ADMIN_PORT)?;
        let mut sandbox = Err(io::ErrorKind::AddrInUse.into());
        for port in nearby(SANDBOX_PORT) {
            sandbox = Sandbox::builder().address(port).start().await;
            if sandbox.is_ok() {
                break;
            }
        }
        Ok(Self { sandbox: sandbox?, public, admin })
    }
}

fn next_free(port: u16) -> io::Result<Listener> {
    let taken = || io::Error::new(io::ErrorKind::AddrInUse, format!("no port free from {port} on"));
    nearby(port).find_map(|address| Listener::bind(address).ok()).ok_or_else(taken)
}

fn nearby(port: u16) -> impl Iterator<Item = SocketAddr> {
    (port..port + 100).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Explains on the terminal which addresses to open and which commands make a first reset.
impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = format!("http://localhost:{}", self.public.address().port());
        let admin = format!("http://{}", self.admin.address());
        let outbox = self.sandbox.outbox_url();
        let json = "-H 'Content-Type: application/json'";
        write!(
            f,
            "\
gateway        {gateway}   what it speaks: {gateway}/docs
sandbox        {upstream}   Autoshares, embedded; traders robert.zak (answer Peterson) and anna.lee (no question)
outbox         {outbox}   the mails, with their codes
for operators  {admin}/readyz?verbose   {admin}/metrics

The cookie jar keeps the handle of the flow; without cookies, send the header `Reset-Flow` of the last answer back.
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

Ctrl-C stops it.
",
            upstream = self.sandbox.base_url(),
        )
    }
}
