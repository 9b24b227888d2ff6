//! Every setting: its key, its variable, what is expected of it, its default. All faults are reported at once, and none of them
//! repeats a value, for a value may be a secret.
//!
//! Defaults < TOML file < environment < `--set` on the command line.

mod limits;
mod reader;
mod settings;
mod values;

use std::{fmt, net::SocketAddr, path::Path, time::Duration};

use autoshares_sdk::Client;
use ipnet::IpNet;

pub use limits::{Limits, Rate, share};
pub use settings::{SETTINGS, Setting};

use crate::flow::key_ring::Secrets;
use reader::Reader;

/// How long a call to Autoshares may take unless set.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where clients come in.
    pub listen: SocketAddr,
    /// Where operators come in.
    pub admin_listen: SocketAddr,
    /// The origin that browsers see.
    pub public_origin: PublicOrigin,
    /// Other origins whose pages may call, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The client of Autoshares.
    pub upstream: Client,
    /// How long a call to Autoshares may take.
    pub timeout: Duration,
    /// Where counters live.
    pub store: StoreSettings,
    /// How the flow is kept.
    pub flow: FlowSettings,
    /// What is bounded, and by how much.
    pub limits: Limits,
    /// How to log.
    pub log: Log,
    /// What is allowed and yet worth a word at start.
    pub warnings: Vec<String>,
}

/// The origin that browsers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    /// As text, without a trailing slash.
    pub text: String,
    /// Whether browsers come by https.
    pub https: bool,
}

impl PublicOrigin {
    /// The origin of a gateway that only this machine can reach.
    pub fn localhost(listen: SocketAddr) -> Self {
        Self { text: format!("http://localhost:{}", listen.port()), https: false }
    }
}

/// Where counters live.
#[derive(Clone)]
pub struct StoreSettings {
    /// Redis or Valkey; without one, this process counts alone.
    pub redis: Option<redis::Client>,
    /// How many gateways share it; each decides with that share of the budgets while it is away.
    pub replicas: u32,
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a Redis may hold its password.
        f.debug_struct("StoreSettings").field("redis", &self.redis.is_some()).finish_non_exhaustive()
    }
}

/// How the flow is kept.
#[derive(Clone, Debug)]
pub struct FlowSettings {
    /// What becomes of a client without a handle.
    pub binding: Binding,
    /// What clients may learn from answers.
    pub answers: Answers,
    /// Which share of the unknown logins is asked a decoy question, from 0 to 1.
    pub decoy_share: f64,
    /// The shortest time an answer takes that must not tell by its time; longer ones take a multiple.
    pub floor: Duration,
    /// What handles, tokens and pseudonyms are made with.
    pub keys: Secrets,
    /// Whether tokens that this gateway did not issue are passed on.
    pub foreign_tokens: bool,
    /// What a new password has to be.
    pub password: PasswordRules,
}

/// What a new password has to be, before Autoshares is asked.
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    /// The fewest characters.
    pub min_length: usize,
    /// The least strength in the measure of zxcvbn, 0 to 4; 0 asks for none.
    pub min_strength: u8,
}

/// What becomes of a client without a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Steps 2 to 4 are refused.
    Required,
    /// It goes through a lane with a risk budget of its own.
    Prefer,
    /// It is served like any other; for migration.
    Off,
}

/// What clients may learn from answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Nothing about which logins exist, beyond who has a secret question.
    Uniform,
    /// Whatever Autoshares says.
    Faithful,
    /// Like uniform, and a share of the unknown logins seems to have a secret question.
    Decoy,
}

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// One JSON object a line instead of text; `None` decides by whether the output is a terminal.
    pub json: Option<bool>,
    /// How much.
    pub level: tracing::level_filters::LevelFilter,
}

/// Where settings come from.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The TOML file.
    pub file: Option<&'a Path>,
    /// `KEY=VALUE` from the command line.
    pub set: &'a [String],
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  - {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Reads and checks the configuration. `lookup` reads an environment variable; an empty one counts as unset.
///
/// # Errors
///
/// Every fault at once, each with key, variable and what is expected.
pub fn load(sources: &Sources<'_>, lookup: impl Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    Reader::new(sources, lookup).config().map_err(Faults)
}

/// The networks of `trusted_proxies` alone, for a command that needs nothing else.
///
/// # Errors
///
/// See [`load`].
pub fn trusted_proxies(
    sources: &Sources<'_>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<IpNet>, Faults> {
    Reader::new(sources, lookup).only_trusted_proxies().map_err(Faults)
}

/// Flow and limits alone, for a command that needs nothing else.
///
/// # Errors
///
/// See [`load`].
pub fn bounds(
    sources: &Sources<'_>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(Binding, Limits), Faults> {
    Reader::new(sources, lookup).only_bounds().map_err(Faults)
}

/// Store, flow and limits as they are when nothing is set.
///
/// # Errors
///
/// When a default is not what its own setting expects; a test rules it out.
pub fn defaults() -> Result<(StoreSettings, FlowSettings, Limits), Faults> {
    Reader::new(&Sources::default(), |_| None).only_defaults().map_err(Faults)
}
