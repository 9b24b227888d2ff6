//! Reads the settings from their sources and checks them.

use std::{collections::BTreeMap, fmt, fs, net::SocketAddr, path::Path, str::FromStr, time::Duration};

use autoshares_sdk::{AppKey, AppKeySource, BuildPart, Client};
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::{
    Answers, Binding, Config, FlowSettings, Limits, Log, PasswordRules, PublicOrigin, Rate, Sources,
    StoreSettings, TIMEOUT_DEFAULT, limits,
    settings::{
        ADMIN_LISTEN, ALLOWED_ORIGINS, ANSWERS, ANSWERS_PER_LOGIN, API_VERSION, APP_KEY, APP_KEY_FILE,
        BASE_URL, BINDING, CODE_LIFETIME, CODES_PER_ADDRESS, CODES_PER_FLOW, CODES_PER_LOGIN, DECOY_SHARE,
        FLOOR, FOREIGN_TOKENS, KEYS_FILE, LEGACY_RISK_PER_HOUR, LIMITS_ENABLED, LISTEN, LOG_FORMAT,
        LOG_LEVEL, LOGINS_PER_ADDRESS, PASSWORD_LENGTH, PASSWORD_STRENGTH, PUBLIC_ORIGIN, QUESTIONS_PER_FLOW,
        REPLICAS, RESETS, RESETS_PER_ADDRESS, RESETS_PER_LOGIN, RISK_PER_HOUR, SETTINGS, STORE, Setting,
        TIMEOUT, TRUSTED_PROXIES, UPDATES_PER_FLOW,
    },
    values::{binding, is_loopback, is_origin, is_world_readable, networks, origins, read_file, redis_at},
};
use crate::{flow::key_ring::Secrets, http::problem::chain};

pub(super) struct Reader<L> {
    lookup: L,
    file: BTreeMap<String, String>,
    set: BTreeMap<String, String>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn new(sources: &Sources<'_>, lookup: L) -> Self {
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

    pub(super) fn config(mut self) -> Result<Config, Vec<String>> {
        let listen = self.value(LISTEN, str::parse).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let admin_listen =
            self.value(ADMIN_LISTEN, str::parse).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9090)));
        let public_origin = self.public_origin(listen);
        let allowed_origins = self.parse(ALLOWED_ORIGINS, origins).unwrap_or_default();
        let trusted_proxies = self.trusted_proxies();
        let upstream = self.upstream();
        let store = self.store();
        let flow = self.flow(store.as_ref().is_some_and(|store| store.redis.is_some()));
        let limits = self.limits();
        let json = self.parse(LOG_FORMAT, |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err(()),
        });
        let level = self.value(LOG_LEVEL, |text| match text {
            "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| ()),
            _ => Err(()),
        });
        if listen.port() != 0 && listen == admin_listen {
            self.fault(ADMIN_LISTEN, "is the same as `listen`");
        }
        if public_origin.as_ref().is_some_and(|origin| origin.https) && trusted_proxies.is_empty() {
            // Https is spoken by somebody in front, so that one is the peer of every connection.
            let key = TRUSTED_PROXIES.key;
            self.warnings.push(format!(
                "`{key}`: is not set, and `{}` is https: all clients of whoever speaks it share one budget",
                PUBLIC_ORIGIN.key
            ));
        }
        let parts = (public_origin, upstream, store, flow, limits);
        let (Some(public_origin), Some((upstream, timeout)), Some(store), Some(flow), Some(limits)) = parts
        else {
            return Err(self.faults);
        };
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok(Config {
            listen,
            admin_listen,
            public_origin,
            allowed_origins,
            trusted_proxies,
            upstream,
            timeout,
            store,
            flow,
            limits,
            log: Log { json, level: level.unwrap_or(LevelFilter::INFO) },
            warnings: self.warnings,
        })
    }

    pub(super) fn only_trusted_proxies(mut self) -> Result<Vec<IpNet>, Vec<String>> {
        let networks = self.trusted_proxies();
        if self.faults.is_empty() { Ok(networks) } else { Err(self.faults) }
    }

    pub(super) fn only_bounds(mut self) -> Result<(Binding, Limits), Vec<String>> {
        match (self.value(BINDING, binding), self.limits()) {
            (Some(binding), Some(limits)) if self.faults.is_empty() => Ok((binding, limits)),
            _ => Err(self.faults),
        }
    }

    pub(super) fn only_defaults(mut self) -> Result<(StoreSettings, FlowSettings, Limits), Vec<String>> {
        match (self.store(), self.flow(false), self.limits()) {
            (Some(store), Some(flow), Some(limits)) if self.faults.is_empty() => Ok((store, flow, limits)),
            _ => Err(self.faults),
        }
    }

    fn get(&self, setting: Setting) -> Option<String> {
        let from_environment = || (self.lookup)(setting.variable).filter(|text| !text.is_empty());
        self.set
            .get(setting.key)
            .cloned()
            .or_else(from_environment)
            .or_else(|| self.file.get(setting.key).filter(|text| !text.is_empty()).cloned())
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

    /// The same for a setting whose default is a value; `None` when faulty.
    fn value<T, E>(&mut self, setting: Setting, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        match self.get(setting) {
            Some(_) => self.parse(setting, parse),
            None => parse(setting.default).ok(),
        }
    }

    fn number(&mut self, setting: Setting, most: u32) -> Option<u32> {
        self.value(setting, |text| match u32::from_str(text) {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(()),
        })
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        self.parse(TRUSTED_PROXIES, networks).unwrap_or_default()
    }

    fn store(&mut self) -> Option<StoreSettings> {
        let replicas = self.number(REPLICAS, 1000);
        let redis =
            self.value(STORE, |text| if text == "memory" { Ok(None) } else { redis_at(text).map(Some) })?;
        if let Some((url, _)) = &redis {
            if url.password().is_some() && self.set.contains_key(STORE.key) {
                self.faults.push(format!(
                    "--set: `{}` holds a password, and `ps` shows the command line; use {}",
                    STORE.key, STORE.variable
                ));
            }
            if url.scheme() == "redis" && !is_loopback(url) {
                let key = STORE.key;
                self.warnings
                    .push(format!("`{key}`: pseudonyms and counters travel in the clear; use rediss://"));
            }
        }
        Some(StoreSettings { redis: redis.map(|(_, client)| client), replicas: replicas? })
    }

    fn flow(&mut self, shared: bool) -> Option<FlowSettings> {
        let binding = self.value(BINDING, binding);
        let answers = self.value(ANSWERS, |text| match text {
            "uniform" => Ok(Answers::Uniform),
            "faithful" => Ok(Answers::Faithful),
            "decoy" => Ok(Answers::Decoy),
            _ => Err(()),
        });
        let decoy_share = self.value(DECOY_SHARE, |text| match f64::from_str(text) {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err(()),
        });
        let floor = self.value(FLOOR, |text| match humantime::parse_duration(text) {
            Ok(floor) if floor <= Duration::from_secs(10) => Ok(floor),
            _ => Err(()),
        });
        let keys = self.keys(shared);
        let foreign_tokens = self.value(FOREIGN_TOKENS, bool::from_str);
        let min_length = self.number(PASSWORD_LENGTH, 64);
        let min_strength = self.value(PASSWORD_STRENGTH, |text| match u8::from_str(text) {
            Ok(strength) if strength <= 4 => Ok(strength),
            _ => Err(()),
        });
        for (unsafe_, setting, why) in [
            (
                binding == Some(Binding::Off),
                BINDING,
                "`off`: a code is not bound to the login it was sent to; for migration only",
            ),
            (
                binding == Some(Binding::Prefer),
                BINDING,
                "`prefer`: clients without a handle guess against every live code; `autoshares-gateway risk` prints the price",
            ),
            (
                answers == Some(Answers::Faithful),
                ANSWERS,
                "`faithful`: answers tell strangers which logins exist; not for the public internet",
            ),
            (
                floor.is_some_and(|floor| !floor.is_zero() && floor < Duration::from_millis(100)),
                FLOOR,
                "below 100ms: a mail may take longer, and the time of an answer then tell which logins exist",
            ),
            (
                answers == Some(Answers::Decoy) && self.get(KEYS_FILE).is_none(),
                ANSWERS,
                "`decoy`: keys change at each start, decoys with them, and are known by that; set `flow.keys_file`",
            ),
            (
                floor == Some(Duration::ZERO),
                FLOOR,
                "zero: the time of an answer tells strangers which logins exist; for a benchmark only",
            ),
            (
                foreign_tokens == Some(true),
                FOREIGN_TOKENS,
                "`true`: tokens that were not issued here can be tried out",
            ),
        ] {
            if unsafe_ {
                self.warnings.push(format!("`{}`: {why}", setting.key));
            }
        }
        Some(FlowSettings {
            binding: binding?,
            answers: answers?,
            decoy_share: decoy_share?,
            floor: floor?,
            keys: keys?,
            foreign_tokens: foreign_tokens?,
            password: PasswordRules { min_length: min_length? as usize, min_strength: min_strength? },
        })
    }

    fn keys(&mut self, shared: bool) -> Option<Secrets> {
        let Some(path) = self.get(KEYS_FILE) else {
            if shared {
                self.fault(KEYS_FILE, format_args!("is not set, and `{}` is a Redis", STORE.key));
                return None;
            }
            return Some(Secrets::random());
        };
        self.warn_of_open_file(KEYS_FILE, &path);
        let read = fs::read_to_string(&path).map_err(|error| format!("cannot be read: {}", error.kind()));
        match read.and_then(|text| Secrets::parse(&text)) {
            Ok(keys) => Some(keys),
            Err(wrong) => {
                self.fault(KEYS_FILE, wrong);
                None
            }
        }
    }

    fn limits(&mut self) -> Option<Limits> {
        let enabled = self.value(LIMITS_ENABLED, bool::from_str);
        let resets_per_login = self.rates(RESETS_PER_LOGIN);
        let resets_per_address = self.rates(RESETS_PER_ADDRESS);
        let logins_per_address = self.rates(LOGINS_PER_ADDRESS);
        let resets = self.rates(RESETS);
        let answers_per_login = self.rates(ANSWERS_PER_LOGIN);
        let codes_per_login = self.rates(CODES_PER_LOGIN);
        let codes_per_address = self.rates(CODES_PER_ADDRESS);
        let codes_per_flow = self.number(CODES_PER_FLOW, 100);
        let questions_per_flow = self.number(QUESTIONS_PER_FLOW, 100);
        let updates_per_flow = self.number(UPDATES_PER_FLOW, 100);
        let risk_per_hour = self.value(RISK_PER_HOUR, limits::risk);
        let legacy_risk_per_hour = self.value(LEGACY_RISK_PER_HOUR, limits::risk);
        let code_lifetime = self.value(CODE_LIFETIME, |text| match humantime::parse_duration(text) {
            Ok(lifetime) if (60..=86400).contains(&lifetime.as_secs()) => Ok(lifetime),
            _ => Err(()),
        });
        if enabled == Some(false) {
            let key = LIMITS_ENABLED.key;
            self.warnings.push(format!(
                "`{key}`: `false`: nothing bounds guesses, mails or load; for a benchmark only"
            ));
        }
        if risk_per_hour.is_some_and(|risk| risk > 10_000) {
            let key = RISK_PER_HOUR.key;
            self.warnings
                .push(format!("`{key}`: above 0.01; `autoshares-gateway risk` prints what that means"));
        }
        if let (Some(resets), Some(risk), Some(lifetime)) = (&resets, risk_per_hour, code_lifetime) {
            // As many as can be live: all that can be asked for at once, and all that come back meanwhile.
            let live = resets.iter().map(|rate| {
                f64::from(rate.count) * (1.0 + lifetime.as_secs_f64() / rate.period.as_secs_f64())
            });
            if live.fold(f64::INFINITY, f64::min) > f64::from(risk) {
                let (key, risk_key) = (RESETS.key, RISK_PER_HOUR.key);
                self.warnings.push(format!(
                    "`{key}`: allows so many live codes that `{risk_key}` would not pay for a single guess, not even a right one"
                ));
            }
        }
        Some(Limits {
            enabled: enabled?,
            resets_per_login: resets_per_login?,
            resets_per_address: resets_per_address?,
            logins_per_address: logins_per_address?,
            resets: resets?,
            answers_per_login: answers_per_login?,
            codes_per_login: codes_per_login?,
            codes_per_address: codes_per_address?,
            codes_per_flow: codes_per_flow?,
            questions_per_flow: questions_per_flow?,
            updates_per_flow: updates_per_flow?,
            risk_per_hour: risk_per_hour?,
            legacy_risk_per_hour: legacy_risk_per_hour?,
            code_lifetime: code_lifetime?,
        })
    }

    fn rates(&mut self, setting: Setting) -> Option<Vec<Rate>> {
        self.value(setting, limits::rates)
    }

    fn warn_of_open_file(&mut self, setting: Setting, path: &str) {
        if is_world_readable(Path::new(path)) {
            let key = setting.key;
            self.warnings.push(format!("`{key}`: every user of this machine can read the file; chmod 600"));
        }
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
                self.warn_of_open_file(APP_KEY_FILE, &path);
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
