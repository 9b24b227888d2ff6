//! Every setting, one file for each concern: its struct with the reasons for its defaults, its rows of the table, how it
//! is read, checked and warned of. Defaults give way to the TOML file, that to the environment, that to `--set`.
//!
//! The operator is told about all faults at once, each with the key, the variable, what is expected, and what was given and where, unless that
//! may be a secret in the wrong place. Crates such as figment and config-rs deserialize the
//! merged sources through serde: that ends at the first value that does not fit, their errors quote this value, and a
//! key that no field takes is ignored unless every struct denies it. So the sources are merged here, in `reader.rs`.
//!
//! A new setting touches the file of its concern, the code that uses it, and a row in `docs/operating.md`.

mod documents;
mod effective;
mod setting;

mod connections;
mod listeners;
mod origins;
mod proxies;
mod tls;
mod upstream;

mod store;

mod flow;
mod password;

mod limits;

mod page;

mod log;

mod file;
mod files;
mod given;
mod loopback;
mod names;
mod reader;

use std::{mem, net::SocketAddr};

use autoshares_sdk::Client;

pub use connections::Connections;
pub use documents::{example, schema, table};
pub use effective::{Change, Effective};
pub use files::Files;
pub use flow::{Answers, Binding, Flow};
pub use limits::Limits;
pub use listeners::Listeners;
pub use log::Log;
pub use loopback::is_loopback_origin;
pub use names::misspelt_variable;
pub use origins::{PublicOrigin, allowed_origin};
pub use page::{Accent, Logo, Mailbox, Page};
pub use password::Password;
pub use proxies::{ForwardedHeader, Proxies};
pub use reader::{Faults, Sources};
pub use setting::Setting;
pub use store::Store;
pub use tls::Tls;
pub use upstream::Upstream;

use reader::Reader;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The sockets.
    pub listeners: Listeners,
    /// How connections are treated.
    pub connections: Connections,
    /// The certificate with which the gateway itself speaks https.
    pub tls: Tls,
    /// The origin under which browsers see the gateway.
    pub public_origin: PublicOrigin,
    /// Other origins whose pages may call, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Whether pages of every loopback origin may call; only `dev` sets it.
    pub loopback_origins: bool,
    /// The proxies that may say from which address a client came.
    pub proxies: Proxies,
    /// How Autoshares is called.
    pub upstream: Upstream,
    /// The Redis in which several gateways count together.
    pub store: Store,
    /// How a code is bound to its login, and what strangers may learn.
    pub flow: Flow,
    /// The rules for a new password.
    pub password: Password,
    /// The budgets, and the bound on expected takeovers.
    pub limits: Limits,
    /// The hosted page.
    pub page: Page,
    /// How the log is written.
    pub log: Log,
    /// What each setting is and where it comes from.
    pub effective: Effective,
    /// Settings that are allowed and yet dangerous or likely to be a mistake, for the operator to read at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Learns the address that the system gave to `listen`, where another port may be free: a public origin that was derived from the setting
    /// follows it.
    pub fn bound_to(&mut self, address: SocketAddr) {
        if self.public_origin == PublicOrigin::localhost(self.listeners.listen) {
            self.public_origin = PublicOrigin::localhost(address);
        }
    }

    /// Every setting but these two at its default.
    ///
    /// # Errors
    ///
    /// When a default is not what its own setting expects; a test rules it out.
    pub fn with_defaults(client: Client, public_origin: PublicOrigin) -> Result<Self, Faults> {
        let mut reader = Reader::new(&Sources::default(), &|_| None);
        let upstream = |reader: &mut Reader<'_>| upstream::with_client(reader, client);
        let config = read(&mut reader, |_| Some(public_origin), upstream);
        reader.finish(config)
    }
}

/// Reads and checks the configuration of `dev`, which brings an Autoshares along and counts in memory, and lets in pages of every loopback
/// origin.
///
/// # Errors
///
/// See [`load`].
pub fn for_dev<'a>(
    sources: &Sources<'a>,
    lookup: impl Fn(&str) -> Option<String>,
    client: Client,
) -> Result<Config, Faults> {
    let is_fixed = |setting: &&Setting| {
        // The sandbox sends six digits.
        let is_digits = setting.key == "limits.code_digits";
        is_digits || ["upstream.", "store."].iter().any(|table| setting.key.starts_with(table))
    };
    let fixed = || settings().filter(is_fixed);
    let others =
        |name: &str| if fixed().any(|setting| setting.variable == name) { None } else { lookup(name) };
    let mut reader = Reader::new(sources, &others);
    for setting in fixed() {
        let why = "`dev` calls its own Autoshares, whose codes have six digits, and counts in memory; use `serve` for others";
        if sources.set.iter().any(|pair| pair.split('=').next() == Some(setting.key)) {
            reader.fault_as_written(format!("--set: `{}` is fixed: {why}", setting.key));
        }
        if lookup(setting.variable).is_some_and(|text| !text.is_empty()) {
            reader.warnings.push(format!("{} is ignored: {why}", setting.variable));
        }
    }
    let config = read(&mut reader, origins::public, |reader| upstream::with_client(reader, client));
    reader.finish(config.map(|config| Config { loopback_origins: true, ..config }))
}

/// Reads and checks the configuration. `lookup` reads an environment variable; an empty one counts as unset.
///
/// # Errors
///
/// Every fault at once, each with key, variable and what is expected.
pub fn load(sources: &Sources<'_>, lookup: impl Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    let mut reader = Reader::new(sources, &lookup);
    let config = read(&mut reader, origins::public, upstream::read);
    reader.finish(config)
}

/// Reads in the order of the table, for faults and warnings are told in the order in which they are found. Each file
/// is read before any `?`, so that a fault in one hides none in another.
fn read(
    reader: &mut Reader<'_>,
    public_origin: impl FnOnce(&mut Reader<'_>) -> Option<PublicOrigin>,
    upstream: impl FnOnce(&mut Reader<'_>) -> Option<Upstream>,
) -> Option<Config> {
    reader.look_at_files();
    let listeners = listeners::read(reader);
    let connections = connections::read(reader);
    let tls = tls::read(reader);
    let public_origin = public_origin(reader);
    let allowed_origins = origins::allowed(reader);
    let proxies = proxies::read(reader);
    let upstream = upstream(reader);
    let store = store::read(reader);
    let flow = flow::read(reader);
    let password = password::read(reader);
    let limits = limits::read(reader);
    let page = page::read(reader);
    let log = log::read(reader);
    Some(Config {
        listeners: listeners?,
        connections: connections?,
        tls: tls?,
        public_origin: public_origin?,
        allowed_origins,
        loopback_origins: false,
        proxies: proxies?,
        upstream: upstream?,
        store: store?,
        flow: flow?,
        password: password?,
        limits: limits?,
        page: page?,
        log: log?,
        effective: Effective::of(reader),
        warnings: mem::take(&mut reader.warnings),
    })
}

/// `trusted_proxies` and `forwarded_header` alone, for a command that needs nothing else.
///
/// # Errors
///
/// See [`load`].
pub fn proxies(sources: &Sources<'_>, lookup: impl Fn(&str) -> Option<String>) -> Result<Proxies, Faults> {
    let mut reader = Reader::new(sources, &lookup);
    let proxies = proxies::read(&mut reader);
    reader.finish(proxies)
}

/// `admin_listen` alone, to find a gateway that runs. Other faults are no matter, nor is a file that cannot be read: the gateway goes on with what
/// it has read before.
///
/// # Errors
///
/// An `admin_listen` that is no address.
pub fn admin_listen(
    sources: &Sources<'_>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<SocketAddr, Faults> {
    let mut reader = Reader::new(sources, &lookup);
    reader.forget_faults();
    let admin_listen = listeners::admin_listen(&mut reader);
    reader.finish(admin_listen)
}

/// `flow.binding` and the limits alone, for a command that needs nothing else.
///
/// # Errors
///
/// See [`load`].
pub fn bounds(
    sources: &Sources<'_>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(Binding, Limits), Faults> {
    let mut reader = Reader::new(sources, &lookup);
    let bounds = flow::binding(&mut reader).zip(limits::read(&mut reader));
    reader.finish(bounds)
}

/// All settings, in the order of `docs/operating.md`.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    [
        listeners::SETTINGS,
        connections::SETTINGS,
        tls::SETTINGS,
        origins::SETTINGS,
        proxies::SETTINGS,
        upstream::SETTINGS,
        store::SETTINGS,
        flow::SETTINGS,
        password::SETTINGS,
        limits::SETTINGS,
        page::SETTINGS,
        log::SETTINGS,
    ]
    .into_iter()
    .flatten()
}
