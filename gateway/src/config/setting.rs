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
    /// Refused after `--set`, for `ps` shows the command line to every user of the machine.
    pub(super) secret: bool,
}

/// Gives each row (key, variable, expected, default, and `secret` where it is one) a name, and lists all of them
/// as `SETTINGS`. A file can therefore read no setting that the table lacks.
macro_rules! settings {
    ($($name:ident: $key:expr, $variable:expr, $expected:expr, $default:expr $(, $secret:ident)?;)*) => {
        $(pub(super) const $name: $crate::config::Setting = $crate::config::Setting {
            key: $key,
            variable: $variable,
            expected: $expected,
            default: $default,
            secret: settings!(@ $($secret)?),
        };)*
        pub(super) const SETTINGS: &[$crate::config::Setting] = &[$($name),*];
    };
    (@ secret) => { true };
    (@) => { false };
}

pub(super) use settings;
