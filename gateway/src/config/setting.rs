//! One row of the table of settings, and the macro that writes the rows of a file.

/// One setting, as `--help`, faults and `docs/operating.md` describe it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name in the TOML file and after `--set`.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// Follows "expected:" in a fault.
    pub expected: &'static str,
    /// A value that the setting is read from when it is not set, or a phrase such as `required`.
    pub default: &'static str,
    /// Why the default is what it is, and what else an operator should know, in Markdown.
    pub why: &'static str,
    /// What its text may give away.
    pub(super) holds: Holds,
}

impl Setting {
    /// Whether the default is a value, and no phrase that says what holds without one.
    pub(super) fn has_default(&self) -> bool {
        let phrases = [
            "none",
            "required",
            "instead of",
            "random at",
            "text on",
            "http://localhost:<",
            "autoshares-sdk/<",
        ];
        // `required` is also a value of its own.
        self.default == "required" && self.expected.starts_with("`required`")
            || !phrases.iter().any(|phrase| self.default.starts_with(phrase))
    }

    /// The kinds of value that the TOML file may have for it.
    pub(super) fn kinds(&self) -> &'static [&'static str] {
        if self.holds == Holds::List {
            &["string", "array"]
        } else if matches!(self.default, "true" | "false") {
            &["boolean", "string"]
        } else if self.has_default() && self.default.parse::<f64>().is_ok() {
            &["number", "string"]
        } else {
            &["string"]
        }
    }
}

/// What the text of a setting may give away, which decides where it may stand and whether a fault tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Nothing.
    Plain,
    /// Nothing, and it may be a list in the TOML file.
    List,
    /// A secret. Refused after `--set`, for `ps` shows the command line to every user of the machine.
    Secret,
    /// An address, in which a password may stand.
    Address,
    /// The path of a file. People give what belongs into the file in its place.
    File,
}

/// Gives each row (key, variable, expected, default, why, and `list`, `secret`, `address` or `file` where it holds one) a name, and lists all of them
/// as `SETTINGS`. A file can therefore read no setting that the table lacks.
macro_rules! settings {
    ($($name:ident: $key:expr, $variable:expr, $expected:expr, $default:expr, $why:expr $(, $holds:ident)?;)*) => {
        $(pub(super) const $name: $crate::config::Setting = $crate::config::Setting {
            key: $key,
            variable: $variable,
            expected: $expected,
            default: $default,
            why: $why,
            holds: settings!(@ $($holds)?),
        };)*
        pub(super) const SETTINGS: &[$crate::config::Setting] = &[$($name),*];
    };
    (@ list) => { $crate::config::setting::Holds::List };
    (@ secret) => { $crate::config::setting::Holds::Secret };
    (@ address) => { $crate::config::setting::Holds::Address };
    (@ file) => { $crate::config::setting::Holds::File };
    (@) => { $crate::config::setting::Holds::Plain };
}

pub(super) use settings;
