//! A stateful Autoshares on a loopback port, for tests and for trying things out.
//!
//! It checks the key, knows traders, sends codes "by mail" into an outbox, and answers in the documented shapes. Faults can
//! be set for each operation, and everything received is kept, so that a test can tell *not sent* from *sent once*.
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

/// The key that a sandbox takes unless told otherwise.
pub const APP_KEY: &str = "sandbox-key";

/// A running sandbox; it stops when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What a sandbox is started with. The defaults: key `sandbox-key`, a free port, codes that live 30 minutes, tokens that
/// live 10 minutes, and two traders, `robert.zak` (secret question, answer `Peterson`) and `anna.lee` (no question).
#[derive(Debug)]
#[must_use]
pub struct Builder {
    app_key: String,
    address: SocketAddr,
    platform: Platform,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The operation it was for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Header names in lower case with their values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, as sent.
    pub body: String,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those that are taken; never empty.
    app_keys: Vec<String>,
    platform: Platform,
    /// For each operation what its next calls meet, and how many of them; `None` is all of them.
    faults: HashMap<Operation, VecDeque<(Fault, Option<u32>)>>,
    received: Vec<Received>,
}

impl Sandbox {
    /// Starts one with the defaults on a free loopback port.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets one up.
    pub fn builder() -> Builder {
        Builder {
            app_key: APP_KEY.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            platform: Platform::new(vec![Trader::robert_zak(), Trader::anna_lee()]),
        }
    }

    /// The base URL to give to a client: `http://127.0.0.1:<port>/api`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Where the mails can be read over HTTP, as JSON.
    pub fn outbox_url(&self) -> String {
        format!("http://{}/sandbox/outbox", self.address)
    }

    /// A client of this sandbox.
    ///
    /// # Panics
    ///
    /// When the sandbox was built with a key that is no [`AppKey`].
    pub fn client(&self) -> Client {
        let key = AppKey::new(self.shared.lock().app_keys[0].clone())
            .expect("the sandbox's key is an application key");
        let builder = Client::builder(self.base_url()).app_key(key);
        builder.build().expect("a loopback address is a base URL")
    }

    /// The mails so far, oldest first.
    pub fn outbox(&self) -> Vec<Mail> {
        self.shared.lock().platform.outbox().to_vec()
    }

    /// The trader's password, when it was set here.
    pub fn password_of(&self, login: &str) -> Option<String> {
        self.shared.lock().platform.password_of(login)
    }

    /// Answers every call of the operation with a fault, until [`heal`](Self::heal).
    pub fn fail(&self, operation: Operation, fault: Fault) {
        self.shared.lock().faults.insert(operation, VecDeque::from([(fault, None)]));
    }

    /// Answers the next `calls` calls of the operation with a fault, once the faults that were set so before are used up.
    pub fn fail_times(&self, operation: Operation, fault: Fault, calls: u32) {
        self.shared.lock().faults.entry(operation).or_default().push_back((fault, Some(calls)));
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.shared.lock().faults.clear();
    }

    /// Takes another key from now on; all others are rejected.
    pub fn set_app_key(&self, key: &str) {
        self.shared.lock().app_keys = vec![key.to_owned()];
    }

    /// Takes this key too, as Autoshares does while a key is being replaced.
    pub fn add_app_key(&self, key: &str) {
        self.shared.lock().app_keys.push(key.to_owned());
    }

    /// Every request so far, oldest first, also those that were answered with a fault.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How many requests of the operation arrived.
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
    /// The key it takes.
    pub fn app_key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.app_key);
        self
    }

    /// The address it listens on. Keep it on loopback: a sandbox tells codes to whoever asks.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Adds a trader; one with the same login is replaced.
    pub fn trader(mut self, trader: Trader) -> Self {
        self.platform.add(trader);
        self
    }

    /// How long codes live, 30 minutes unless set.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.platform.code_lifetime = lifetime;
        self
    }

    /// How long tokens live, 10 minutes unless set.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.platform.token_lifetime = lifetime;
        self
    }

    /// How much longer an accepted reset takes than a refused one, as sending a mail does; nothing unless set. By its answers' time a
    /// platform tells which logins exist.
    pub fn mail_time(mut self, time: Duration) -> Self {
        self.platform.mail_time = time;
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when the address cannot be had.
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
    /// The fault that the next call of the operation meets.
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
