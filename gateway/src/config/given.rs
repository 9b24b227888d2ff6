//! The text of a setting as an operator gave it, where it stands, and how much of it a fault may tell.

use std::{fmt, path::Path};

use url::Url;

use super::{Setting, setting::Holds};

/// The text of a setting, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    File {
        name: String,
        line: usize,
    },
    Variable(&'static str),
    CommandLine,
    /// A default of the command.
    Command,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { name, line } => write!(f, "{name}, line {line}"),
            Place::Variable(name) => f.write_str(name),
            Place::CommandLine => f.write_str("--set"),
            Place::Command => f.write_str("a default of this command"),
        }
    }
}

/// Whether a setting holds a secret, as an address with a password does.
pub(super) fn is_secret(setting: &Setting, text: &str) -> bool {
    setting.holds == Holds::Secret || text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Whether a fault may tell the text of a setting.
pub(super) fn may_be_shown(setting: &Setting, text: &str) -> bool {
    // What stands before an `@` may be a password, in whatever setting.
    let may_hold_password = text.contains('@') || text.contains("%40");
    let is_harmless = match setting.holds {
        Holds::Secret => false,
        Holds::Plain | Holds::List => true,
        // One that is mistyped may hold a password where none is looked for.
        Holds::Address => {
            Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
        }
        // What is no path of this machine may be the secret itself. A key may begin with a slash too, so the root is not folder enough.
        Holds::File => Path::new(text)
            .parent()
            .is_some_and(|folder| folder.is_absolute() && folder.parent().is_some() && folder.is_dir()),
    };
    is_harmless && !may_hold_password
}

/// A text as a fault tells it: on one line, and not much of it. Of each address in it the path is left out, where people paste keys too.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 160;
    let elements: Vec<_> = text.split(',').map(without_path).collect();
    let text = elements.join(",");
    let short: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST { short + "…" } else { short }
}

fn without_path(text: &str) -> String {
    let path = text.split_once("://").and_then(|(before, rest)| {
        let end = rest.find(['/', '?', '#']).filter(|end| rest.len() > end + 1)?;
        Some(before.len() + "://".len() + end)
    });
    path.map_or_else(|| text.to_owned(), |path| format!("{}/…", &text[..path]))
}
