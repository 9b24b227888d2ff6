//! An imitation of Autoshares that runs inside your process on a loopback port, for tests and for trying things out.
//!
//! It checks the application key, has traders, puts the e-mails with their confirmation codes into an outbox, and replies in the
//! documented forms. A test can make any operation fail, and can look at all requests that arrived, for example to prove that a code
//! was sent exactly once.
//!
//! ```
//! use autoshares_sdk::{ResetRequested, sandbox::Sandbox};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start().await?;
//! let client = sandbox.client();
//!
//! let asked = client.request_reset(&"anna.lee".into(), None).await?;
//! assert!(matches!(*asked, ResetRequested::Accepted(_)));
//! let code = sandbox.outbox().pop().expect("one mail").code;
//! let token = client.redeem_code(&code.as_str().into()).await?;
//! client.set_password(&token, &"correct horse battery staple".into()).await?;
//!
//! assert_eq!(sandbox.password_of("anna.lee").as_deref(), Some("correct horse battery staple"));
//! # Ok(())
//! # }
//! ```

mod control;
mod fault;
mod platform;
mod routes;
mod server;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinHandle};

pub use fault::{Fault, Shape};
pub use platform::{Mail, Trader};

use crate::{AppKey, Client, Operation};
use platform::Platform;

/// The application key that a sandbox accepts unless [`Builder::app_key`] sets another.
pub const APP_KEY: &str = "sandbox-key";

/// A running sandbox. It stops, and closes its connections, when this value is dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// Configures a sandbox before it starts. By default it accepts the application key `sandbox-key`, listens on a free loopback port,
/// lets codes live for 30 minutes and tokens for 10, and has two traders: `robert.zak`, who has a secret question with the answer
/// `Peterson`, and `anna.lee`, who has none.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    app_key: String,
    address: SocketAddr,
    platform: Platform,
}

/// A request as it arrived at the sandbox, for assertions in tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The operation that the request called.
    pub operation: Operation,
    /// The HTTP method in capitals.
    pub method: String,
    /// The path and query exactly as the client sent them, without decoding.
    pub target: String,
    /// The headers as pairs of name and value. The names are in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as the client sent it; bytes that are not UTF-8 are replaced.
    pub body: String,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The application keys that are accepted; never empty.
    app_keys: Vec<String>,
    platform: Platform,
    /// The faults that the next calls of each operation meet, each with the number of calls it is still for; `None` means all calls.
    faults: HashMap<Operation, VecDeque<(Fault, Option<u32>)>>,
    received: Vec<Received>,
}

impl Sandbox {
    /// Starts a sandbox with the defaults (see [`Builder`]) on a free loopback port. Needs a running tokio runtime.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts configuring a sandbox; [`Builder::start`] then runs it.
    pub fn builder() -> Builder {
        Builder {
            app_key: APP_KEY.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            platform: Platform::new(vec![Trader::robert_zak(), Trader::anna_lee()]),
        }
    }

    /// The base URL to pass to [`Client::builder`]: `http://127.0.0.1:<port>/api`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The URL below which faults are set over HTTP, for tests in other languages: `PUT …/redeem_code` with a [`Fault`] as JSON, and
    /// `?calls=2` for two calls alone; `DELETE …/redeem_code`, or of all of them, heals.
    pub fn faults_url(&self) -> String {
        format!("http://{}/sandbox/faults", self.address)
    }

    /// The URL that serves the e-mails so far as a JSON array, for people and programs outside this process.
    pub fn outbox_url(&self) -> String {
        format!("http://{}/sandbox/outbox", self.address)
    }

    /// Builds a client of this sandbox with its application key and the default settings.
    ///
    /// # Panics
    ///
    /// If the sandbox was given an application key that [`AppKey::new`] does not accept.
    pub fn client(&self) -> Client {
        let key = AppKey::new(self.shared.lock().app_keys[0].clone())
            .expect("the sandbox's key is an application key");
        let builder = Client::builder(self.base_url()).app_key(key);
        builder.build().expect("a loopback address is a base URL")
    }

    /// The e-mails that a real Autoshares would have sent so far, oldest first.
    pub fn outbox(&self) -> Vec<Mail> {
        self.shared.lock().platform.outbox().to_vec()
    }

    /// The password that was set for a trader through this sandbox. `None` when none was set, or when there is no such trader.
    /// `login` is a login or an e-mail address.
    pub fn password_of(&self, login: &str) -> Option<String> {
        self.shared.lock().platform.password_of(login)
    }

    /// Makes every call of the operation meet this fault until [`heal`](Self::heal). Replaces the operation's earlier faults.
    pub fn fail(&self, operation: Operation, fault: Fault) {
        self.shared.lock().fail(operation, fault);
    }

    /// Makes the next `calls` calls of the operation meet this fault. Faults set by several calls of this method take effect one
    /// after the other, and then the one of [`fail`](Self::fail), if one was set before.
    pub fn fail_times(&self, operation: Operation, fault: Fault, calls: u32) {
        self.shared.lock().fail_times(operation, fault, calls);
    }

    /// Removes the faults of all operations.
    pub fn heal(&self) {
        self.shared.lock().faults.clear();
    }

    /// Accepts this application key from now on and rejects all others.
    pub fn set_app_key(&self, key: &str) {
        self.shared.lock().app_keys = vec![key.to_owned()];
    }

    /// Accepts this application key in addition to the others, as Autoshares does while a key is being replaced.
    pub fn add_app_key(&self, key: &str) {
        self.shared.lock().app_keys.push(key.to_owned());
    }

    /// All requests for one of the four operations so far, oldest first, including those that met a fault.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How many requests for the operation have arrived, including those that met a fault.
    pub fn calls(&self, operation: Operation) -> usize {
        self.shared.lock().received.iter().filter(|received| received.operation == operation).count()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Builder {
    /// Sets the only application key that the sandbox accepts.
    pub fn app_key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.app_key);
        self
    }

    /// Sets the address to listen on. Keep it on loopback, because the sandbox shows its confirmation codes to everyone who can
    /// connect.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Adds a trader, in place of an existing one with the same login.
    pub fn trader(mut self, trader: Trader) -> Self {
        self.platform.add(trader);
        self
    }

    /// Sets how long a confirmation code can be redeemed; 30 minutes by default.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.platform.code_lifetime = lifetime;
        self
    }

    /// Sets how long a reset token can be used; 10 minutes by default.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.platform.token_lifetime = lifetime;
        self
    }

    /// Sets how much longer an accepted reset takes than a refused one; zero by default. A real platform needs such time to send the
    /// e-mail, and thereby reveals which logins exist. Tests use this to prove that their service hides it.
    pub fn mail_time(mut self, time: Duration) -> Self {
        self.platform.mail_time = time;
        self
    }

    /// Starts the sandbox on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when the address cannot be bound.
    pub async fn start(self) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let state = State {
            app_keys: vec![self.app_key],
            platform: self.platform,
            faults: HashMap::new(),
            received: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let server = tokio::spawn(server::serve(listener, routes::router(Arc::clone(&shared))));
        Ok(Sandbox { shared, address, server })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fail(&mut self, operation: Operation, fault: Fault) {
        self.faults.insert(operation, VecDeque::from([(fault, None)]));
    }

    fn fail_times(&mut self, operation: Operation, fault: Fault, calls: u32) {
        let faults = self.faults.entry(operation).or_default();
        // Before one that lasts, or it would never come about.
        let place = faults.iter().position(|(_, calls)| calls.is_none()).unwrap_or(faults.len());
        faults.insert(place, (fault, Some(calls)));
    }

    /// Takes the fault that this call of the operation meets, if any.
    fn next_fault(&mut self, operation: Operation) -> Option<Fault> {
        let faults = self.faults.get_mut(&operation)?;
        while let Some((fault, left)) = faults.front_mut() {
            match left {
                None => return Some(fault.clone()),
                Some(0) => drop(faults.pop_front()),
                Some(left) => {
                    *left -= 1;
                    return Some(fault.clone());
                }
            }
        }
        None
    }
}
