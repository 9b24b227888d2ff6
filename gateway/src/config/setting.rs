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
    /// What its text may give away.
    pub(super) holds: Holds,
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

/// Gives each row (key, variable, expected, default, and `list`, `secret`, `address` or `file` where it holds one) a name, and lists all of them
/// as `SETTINGS`. A file can therefore read no setting that the table lacks.
macro_rules! settings {
    ($($name:ident: $key:expr, $variable:expr, $expected:expr, $default:expr $(, $holds:ident)?;)*) => {
        $(pub(super) const $name: $crate::config::Setting = $crate::config::Setting {
            key: $key,
            variable: $variable,
            expected: $expected,
            default: $default,
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
