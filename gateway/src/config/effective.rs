//! The settings that are in force: what each is and where it comes from, as `autoshares-gateway config` shows it, and what a reload changes.

use std::{fmt::Write, fs, path::PathBuf};

use sha2::{Digest, Sha256};
use url::Url;

use super::{
    Setting,
    given::{Given, Place, is_secret, may_be_shown, shortened},
    reader::Reader,
    setting::Holds,
    settings,
};

/// Settings that belong to sockets, to the connection to Redis or to the shape of the log. A change of theirs takes effect at the next start.
const AT_START: [&str; 6] = ["listen", "admin_listen", "stop_delay", "connections.", "log.format", "store."];
/// The SDK looks at this file by itself, before each call.
const FOLLOWED: &str = "upstream.app_key_file";

/// All settings of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    settings: Vec<Value>,
    /// The TOML file, if there is one.
    file: Option<PathBuf>,
}

/// One setting. It keeps no text that may be a secret.
#[derive(Clone, Debug)]
struct Value {
    setting: Setting,
    /// Where it comes from; `None` when it has its default, or none.
    place: Option<Place>,
    /// The text, where it may be shown.
    shown: Option<String>,
    /// The host of an address, in which no secret stands.
    host: Option<String>,
    /// Of the text, and of what stands in the file that it names.
    hash: [u8; 32],
    /// The file that it names.
    file: Option<PathBuf>,
    /// Of the text alone.
    hash_of_text: [u8; 32],
}

/// A setting that a reload has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: &'static str,
    /// From what to what, as far as it may be shown.
    pub told: String,
    /// Whether the change takes effect at the next start only.
    pub needs_restart: bool,
}

impl Effective {
    pub(super) fn of(reader: &Reader<'_>) -> Self {
        let values = settings().map(|setting| Value::of(*setting, reader.given(*setting)));
        Self { settings: values.collect(), file: reader.file_name() }
    }

    /// The files that the configuration was read from, but for the one of the application key.
    pub fn files(&self) -> Vec<PathBuf> {
        let followed = self.settings.iter().filter(|value| value.setting.key != FOLLOWED);
        self.file.iter().chain(followed.filter_map(|value| value.file.as_ref())).cloned().collect()
    }

    /// What another configuration would change.
    pub fn changes(&self, other: &Self) -> Vec<Change> {
        let pairs = self.settings.iter().zip(&other.settings);
        let changed = pairs.filter(|(old, new)| old.hash != new.hash);
        let change = |(old, new): (&Value, &Value)| {
            let key = old.setting.key;
            let told = if old.hash_of_text == new.hash_of_text {
                "the file has another content".to_owned()
            } else {
                format!("{} → {}", old.shown(), new.shown())
            };
            let needs_restart = AT_START
                .iter()
                .any(|at_start| key == *at_start || at_start.ends_with('.') && key.starts_with(at_start));
            Change { key, told, needs_restart }
        };
        changed.map(change).collect()
    }

    /// The file that a setting names.
    pub fn file_of(&self, key: &str) -> Option<PathBuf> {
        self.settings.iter().find(|value| value.setting.key == key)?.file.clone()
    }

    /// The value of a setting, and of an address its host alone.
    pub fn host(&self, key: &str) -> Option<String> {
        let value = self.settings.iter().find(|value| value.setting.key == key)?;
        value.host.clone().or_else(|| value.shown.clone())
    }

    /// All settings as a TOML file, each with its origin. What may be a secret is left out.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Value { setting, place, shown, .. } in &self.settings {
            let key = setting.key;
            let _ = match (place, shown) {
                (Some(place), Some(shown)) => writeln!(text, "{key} = {} # {place}", quoted(shown)),
                (Some(place), None) => {
                    writeln!(text, "# {key} is set and not shown, for it may be a secret ({place})")
                }
                (None, Some(shown)) => writeln!(text, "{key} = {} # default", quoted(shown)),
                (None, None) => writeln!(text, "# {key} is not set: {}", setting.default),
            };
        }
        text
    }
}

impl Value {
    fn of(setting: Setting, given: Option<Given>) -> Self {
        // A default is no secret, also where the setting holds an address and the default is none.
        let may_be_shown = |text: &str| {
            text == setting.default || !is_secret(&setting, text) && may_be_shown(&setting, text)
        };
        let (place, text) = match given {
            Some(Given { text, place }) => (Some(place), Some(text)),
            None => (None, setting.has_default().then(|| setting.default.to_owned())),
        };
        let file = text.as_ref().filter(|_| setting.holds == Holds::File).map(PathBuf::from);
        let mut hash = Sha256::new_with_prefix(text.as_deref().unwrap_or_default());
        let hash_of_text = hash.clone().finalize().into();
        let followed = file.as_ref().filter(|_| setting.key != FOLLOWED);
        if let Some(content) = followed.and_then(|path| fs::read(path).ok()) {
            hash.update(content);
        }
        let url = text
            .as_deref()
            .filter(|_| setting.holds == Holds::Address)
            .and_then(|text| Url::parse(text).ok());
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        let shown = text.filter(|text| may_be_shown(text));
        Self { setting, place, shown, host, hash: hash.finalize().into(), file, hash_of_text }
    }

    fn shown(&self) -> String {
        match (&self.shown, &self.place) {
            (Some(shown), _) => format!("`{}`", shortened(&self.setting, shown)),
            (None, Some(_)) => "(not shown)".to_owned(),
            (None, None) => "not set".to_owned(),
        }
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
