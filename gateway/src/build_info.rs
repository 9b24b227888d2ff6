//! Which build this is: its version, and the commit that `cargo xtask dist` built it from.

use std::sync::LazyLock;

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, where the build was told it.
pub const COMMIT: &str = match option_env!("AUTOSHARES_GATEWAY_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Both, for `--version`.
pub fn version_and_commit() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| match COMMIT {
        "unknown" => VERSION.to_owned(),
        commit => format!("{VERSION} ({commit})"),
    });
    &TEXT
}
