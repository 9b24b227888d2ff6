//! The settings that are in force: what each is and where it comes from, as `autoshares-gateway config` shows it, and what a reload changes.

use std::{fmt::Write, path::PathBuf};

use sha2::{Digest, Sha256};
use url::Url;

use super::{
    Setting,
    files::Files,
    given::{Given, Place, is_secret, may_be_shown, shortened},
    reader::Reader,
    setting::Holds,
    settings,
};

/// Settings that belong to sockets, to the connection to Redis or to the shape of the log. A change of theirs takes effect at the next start.
const AT_START: [&str; 6] = ["listen", "admin_listen", "stop_delay", "connections.", "log.format", "store."];
/// Settings that wait for the next start when one waits that they belong to: other keys for another store; another origin, certificate or proxy for
/// another address. The content of a file goes on being followed.
const TOGETHER: [(&str, &str); 6] = [
    ("store.", "flow.keys_file"),
    ("listen", "public_origin"),
    ("listen", "tls.certificate_file"),
    ("listen", "tls.key_file"),
    ("listen", "trusted_proxies"),
    ("listen", "forwarded_header"),
];
/// The SDK follows the content of this file by itself.
const FOLLOWED: &str = "upstream.app_key_file";

/// All settings of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    settings: Vec<Value>,
    files: Files,
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
    /// Of the text.
    hash: [u8; 32],
    /// The file that it names.
    file: Option<PathBuf>,
    /// Of what stood in that file.
    content: Option<[u8; 32]>,
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
        let values = settings().map(|setting| Value::of(*setting, reader.given(*setting), reader.files()));
        Self { settings: values.collect(), files: reader.files().clone() }
    }

    /// The files that the configuration was read from, as they were then.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The settings that stand in the TOML file.
    pub fn in_file(&self) -> Vec<&'static str> {
        let in_file = self.settings.iter().filter(|value| matches!(value.place, Some(Place::File { .. })));
        in_file.map(|value| value.setting.key).collect()
    }

    /// What another configuration would change.
    pub fn changes(&self, other: &Self) -> Vec<Change> {
        let pairs = || self.settings.iter().zip(&other.settings);
        let changed: Vec<_> = pairs().filter(|(old, new)| old.differs(new)).collect();
        let waits = |key: &str| {
            let has_other_text = |key: &str| {
                let other = |(old, new): &(&Value, &Value)| {
                    is_or_lies_in(old.setting.key, key) && old.hash != new.hash
                };
                changed.iter().any(other)
            };
            let waits_for = |(cause, waiting): &(&str, &str)| {
                key == *waiting && has_other_text(key) && has_other_text(cause)
            };
            AT_START.iter().any(|at_start| is_or_lies_in(key, at_start)) || TOGETHER.iter().any(waits_for)
        };
        let change = |(old, new): &(&Value, &Value)| {
            let key = old.setting.key;
            let told = if old.hash == new.hash {
                "the file has another content".to_owned()
            } else {
                format!("{} → {}", old.shown(), new.shown())
            };
            Change { key, told, needs_restart: waits(key) }
        };
        changed.iter().map(change).collect()
    }

    /// Leaves settings that wait for the next start as they are in force.
    pub fn keep_waiting(&mut self, in_force: &Self, changes: &[Change]) {
        for (new, old) in self.settings.iter_mut().zip(&in_force.settings) {
            if changes.iter().any(|change| change.needs_restart && change.key == old.setting.key) {
                *new = old.clone();
            }
        }
    }

    /// The file that a setting names, and the hash of what stood in it.
    pub fn file_of(&self, key: &str) -> Option<(PathBuf, Option<[u8; 32]>)> {
        let value = self.settings.iter().find(|value| value.setting.key == key)?;
        Some((value.file.clone()?, value.content))
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
    fn of(setting: Setting, given: Option<Given>, files: &Files) -> Self {
        // A default is no secret, also where the setting holds an address and the default is none.
        let may_be_shown = |text: &str| {
            text == setting.default || !is_secret(&setting, text) && may_be_shown(&setting, text)
        };
        let (place, text) = match given {
            Some(Given { text, place }) => (Some(place), Some(text)),
            None => (None, setting.has_default().then(|| setting.default.to_owned())),
        };
        let file = text.as_ref().filter(|_| setting.holds == Holds::File).map(PathBuf::from);
        let hash = Sha256::digest(text.as_deref().unwrap_or_default()).into();
        let content = file.as_ref().and_then(|path| files.content(path));
        let url = text
            .as_deref()
            .filter(|_| setting.holds == Holds::Address)
            .and_then(|text| Url::parse(text).ok());
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        let shown = text.filter(|text| may_be_shown(text));
        Self { setting, place, shown, host, hash, file, content }
    }

    fn differs(&self, other: &Self) -> bool {
        self.hash != other.hash || self.content != other.content && self.setting.key != FOLLOWED
    }

    fn shown(&self) -> String {
        match (&self.shown, &self.place) {
            (Some(shown), _) => format!("`{}`", shortened(&self.setting, shown)),
            (None, Some(_)) => "(not shown)".to_owned(),
            (None, None) => "not set".to_owned(),
        }
    }
}

/// Whether a key is another one, or lies in the table whose name ends with a dot.
fn is_or_lies_in(key: &str, other: &str) -> bool {
    key == other || other.ends_with('.') && key.starts_with(other)
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
