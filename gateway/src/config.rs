//! Every setting: its key, its variable, what is expected of it, its default. All faults are reported at once, and none of them
//! repeats a value, for a value may be a secret.
//!
//! Defaults < TOML file < environment < `--set` on the command line.

use std::{collections::BTreeMap, fmt, fs, net::SocketAddr, path::Path, time::Duration};

use autoshares_sdk::{AppKey, AppKeySource, BuildPart, Client};
use url::Url;

use crate::problem::chain;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the TOML file and for `--set`.
    pub key: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// What a value looks like.
    pub expected: &'static str,
    /// Its default, as shown to people.
    pub default: &'static str,
    secret: bool,
}

macro_rules! settings {
    ($($name:ident $key:literal $variable:literal $expected:literal $default:literal $($secret:ident)?;)*) => {
        $(const $name: Setting = Setting {
            key: $key, variable: $variable, expected: $expected, default: $default,
            secret: settings!(@ $($secret)?),
        };)*
        /// All settings, in the order of the README.
        pub const SETTINGS: &[Setting] = &[$($name),*];
    };
    (@ secret) => { true };
    (@) => { false };
}

settings! {
    LISTEN "listen" "GATEWAY_LISTEN" "an address and port, such as `127.0.0.1:8080`" "127.0.0.1:8080";
    ADMIN_LISTEN "admin_listen" "GATEWAY_ADMIN_LISTEN" "an address and port, such as `127.0.0.1:9090`" "127.0.0.1:9090";
    PUBLIC_ORIGIN "public_origin" "GATEWAY_PUBLIC_ORIGIN"
        "an origin without a path, such as `https://reset.example.com`; https when `listen` is not loopback" "http://localhost:<port>";
    BASE_URL "upstream.base_url" "AUTOSHARES_BASE_URL"
        "where Autoshares is, such as `https://host/api`; https, or http to loopback" "required";
    APP_KEY_FILE "upstream.app_key_file" "AUTOSHARES_APP_KEY_FILE" "a file that holds the application key" "required, unless upstream.app_key is set";
    APP_KEY "upstream.app_key" "AUTOSHARES_APP_KEY" "the application key, 8 characters or more" "instead of the file" secret;
    API_VERSION "upstream.api_version" "AUTOSHARES_API_VERSION" "a version, such as `1.0`" "1.0";
    TIMEOUT "upstream.timeout" "AUTOSHARES_TIMEOUT" "a duration above zero, such as `10s` or `800ms`" "10s";
    LOG_FORMAT "log.format" "GATEWAY_LOG_FORMAT" "`text` or `json`" "text on a terminal, else json";
    LOG_LEVEL "log.level" "GATEWAY_LOG_LEVEL" "`error`, `warn`, `info`, `debug` or `trace`" "info";
}

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
    /// The client of Autoshares.
    pub upstream: Client,
    /// How long a call to Autoshares may take.
    pub timeout: Duration,
    /// How to log.
    pub log: Log,
    /// What is allowed and yet worth a word at start.
    pub warnings: Vec<String>,
}

/// The origin that browsers see.
#[derive(Clone, Debug)]
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
    let mut reader = Reader::new(sources, lookup);

    let listen = reader.parse(LISTEN, str::parse).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    let admin_listen =
        reader.parse(ADMIN_LISTEN, str::parse).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9090)));
    let public_origin = reader.public_origin(listen);
    let upstream = reader.upstream();
    let json = reader.parse(LOG_FORMAT, |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(()),
    });
    let level = reader.parse(LOG_LEVEL, |text| match text {
        "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| ()),
        _ => Err(()),
    });
    if listen.port() != 0 && listen == admin_listen {
        reader.fault(ADMIN_LISTEN, "is the same as `listen`");
    }

    match (public_origin, upstream) {
        (Some(public_origin), Some((upstream, timeout))) if reader.faults.is_empty() => Ok(Config {
            listen,
            admin_listen,
            public_origin,
            upstream,
            timeout,
            log: Log { json, level: level.unwrap_or(tracing::level_filters::LevelFilter::INFO) },
            warnings: reader.warnings,
        }),
        _ => Err(Faults(reader.faults)),
    }
}

struct Reader<L> {
    lookup: L,
    file: BTreeMap<String, String>,
    set: BTreeMap<String, String>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn new(sources: &Sources<'_>, lookup: L) -> Self {
        let mut faults = Vec::new();
        let file = sources.file.map(|path| read_file(path, &mut faults)).unwrap_or_default();
        let mut set = BTreeMap::new();
        for pair in sources.set {
            let Some((key, value)) = pair.split_once('=') else {
                // The whole text may be a secret that was pasted in the wrong place.
                faults.push("--set: expected `KEY=VALUE`".to_owned());
                continue;
            };
            set.insert(key.to_owned(), value.to_owned());
        }
        // A name that does not look like one may be a secret in the wrong place.
        let shown = |key: &str| {
            let name = key.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
            if name { format!("`{key}`") } else { "a name that is not shown".to_owned() }
        };
        for (key, source) in file.keys().map(|key| (key, "file")).chain(set.keys().map(|key| (key, "--set")))
        {
            match SETTINGS.iter().find(|setting| setting.key == key) {
                None => faults.push(format!("{source}: {} is not a setting", shown(key))),
                Some(setting) if setting.secret && source == "--set" => faults.push(format!(
                    "--set: `{key}` is a secret, and `ps` shows the command line; use `{}` or {}",
                    APP_KEY_FILE.key, setting.variable
                )),
                Some(_) => {}
            }
        }
        Self { lookup, file, set, faults, warnings: Vec::new() }
    }

    fn get(&self, setting: Setting) -> Option<String> {
        let from_environment = || (self.lookup)(setting.variable).filter(|text| !text.is_empty());
        self.set
            .get(setting.key)
            .cloned()
            .or_else(from_environment)
            .or_else(|| self.file.get(setting.key).cloned())
    }

    fn fault(&mut self, setting: Setting, wrong: impl fmt::Display) {
        let Setting { key, variable, expected, .. } = setting;
        self.faults.push(format!("`{key}` ({variable}) {wrong}; expected: {expected}"));
    }

    /// The value, `None` when unset or faulty.
    fn parse<T, E>(&mut self, setting: Setting, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.get(setting)?;
        let value = parse(&text).ok();
        if value.is_none() {
            self.fault(setting, "is not valid");
        }
        value
    }

    fn public_origin(&mut self, listen: SocketAddr) -> Option<PublicOrigin> {
        let loopback = listen.ip().is_loopback();
        match self.get(PUBLIC_ORIGIN) {
            None if loopback => Some(PublicOrigin::localhost(listen)),
            None => {
                self.fault(PUBLIC_ORIGIN, "is not set, and `listen` is not loopback");
                None
            }
            Some(text) => {
                let url = Url::parse(&text).ok().filter(is_origin);
                let origin = url.map(|url| PublicOrigin {
                    text: url.origin().ascii_serialization(),
                    https: url.scheme() == "https",
                });
                let origin = origin.filter(|origin| origin.https || loopback);
                if origin.is_none() {
                    self.fault(PUBLIC_ORIGIN, "is not valid");
                }
                origin
            }
        }
    }

    fn upstream(&mut self) -> Option<(Client, Duration)> {
        let mut builder = Client::builder(self.get(BASE_URL).unwrap_or_default());
        let app_key = self.app_key();
        let key_told = app_key.is_none();
        if let Some(key) = app_key {
            builder = builder.app_key(key);
        }
        if let Some(version) = self.get(API_VERSION) {
            builder = builder.api_version(version);
        }
        let timeout = self.parse(TIMEOUT, humantime::parse_duration).unwrap_or(TIMEOUT_DEFAULT);
        builder = builder.timeout(timeout);
        let error = match builder.build() {
            Ok(client) => return Some((client, timeout)),
            Err(error) => error,
        };
        for fault in error.faults() {
            match fault.part() {
                BuildPart::BaseUrl => self.fault(BASE_URL, fault.problem()),
                BuildPart::ApiVersion => self.fault(API_VERSION, fault.problem()),
                BuildPart::Timeout => self.fault(TIMEOUT, fault.problem()),
                // `app_key` has said what is wrong, unless the file turned out to be bad.
                BuildPart::AppKey if key_told => {}
                BuildPart::AppKey => self.fault(APP_KEY_FILE, fault.problem()),
                _ => self.faults.push(format!("`upstream`: {}", chain(&error))),
            }
        }
        None
    }

    /// A key in a file may change while the gateway runs.
    fn app_key(&mut self) -> Option<AppKeySource> {
        match (self.get(APP_KEY_FILE), self.get(APP_KEY)) {
            (Some(path), None) => {
                if is_world_readable(Path::new(&path)) {
                    let key = APP_KEY_FILE.key;
                    self.warnings
                        .push(format!("`{key}`: every user of this machine can read the file; chmod 600"));
                }
                Some(AppKeySource::file(path))
            }
            (None, Some(text)) => match AppKey::new(text) {
                Ok(key) => Some(key.into()),
                Err(error) => {
                    self.fault(APP_KEY, error.reason());
                    None
                }
            },
            (None, None) => {
                self.fault(APP_KEY_FILE, format_args!("is not set, and neither is `{}`", APP_KEY.key));
                None
            }
            (Some(_), Some(_)) => {
                self.faults.push(format!(
                    "`{}` ({}) is set beside `{}` ({}); remove one of the two",
                    APP_KEY.key, APP_KEY.variable, APP_KEY_FILE.key, APP_KEY_FILE.variable
                ));
                None
            }
        }
    }
}

/// The file as `key → text`, nested tables with dots. A list becomes text with commas.
fn read_file(path: &Path, faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let place = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("{place}: cannot be read ({})", error.kind()));
            return BTreeMap::new();
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => {
            let mut flat = BTreeMap::new();
            flatten(&table, "", &mut flat);
            flat
        }
        Err(error) => {
            // The parser's own text quotes the line, which may hold the key.
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            faults.push(format!("{place}: not TOML, near line {line}"));
            BTreeMap::new()
        }
    }
}

fn flatten(table: &toml::Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            // An empty table of settings is nothing; any other is a name that is not a setting.
            toml::Value::Table(table)
                if SETTINGS.iter().any(|setting| setting.key.starts_with(&format!("{key}."))) =>
            {
                flatten(table, &format!("{key}."), flat);
            }
            value => {
                flat.insert(key, plain(value));
            }
        }
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_: &Path) -> bool {
    false
}
