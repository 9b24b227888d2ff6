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
        Holds::Address => host_of(text).is_some(),
        // What is no path of this machine may be the secret itself. A key may begin with a slash too, so the root is not folder enough.
        Holds::File => Path::new(text)
            .parent()
            .is_some_and(|folder| folder.is_absolute() && folder.parent().is_some() && folder.is_dir()),
    };
    is_harmless && !may_hold_password
}

/// The text of a setting as a fault tells it: on one line, and not much of it. Of each address the path is left out, where people paste keys
/// too.
pub(super) fn shortened(setting: &Setting, text: &str) -> String {
    match setting.holds {
        Holds::Address => clipped(&host_of(text).unwrap_or_else(|| text.to_owned())),
        Holds::List => clipped(&text.split(',').map(element).collect::<Vec<_>>().join(",")),
        Holds::Plain | Holds::Secret | Holds::File => clipped(text),
    }
}

/// An element of a list as a fault tells it. What follows a comma in the path of an address looks like an element of its own, so of anything
/// but names and numbers nothing is shown.
pub(super) fn element(text: &str) -> String {
    let is_harmless = |character: char| character.is_alphanumeric() || " .:/[]*-_".contains(character);
    let text = text.trim();
    host_of(text).unwrap_or_else(|| {
        let is_name = text.chars().count() <= 60 && !text.contains("//");
        if text.chars().all(is_harmless) && (is_name || text.contains("://")) {
            clipped(text)
        } else {
            "…".to_owned()
        }
    })
}

/// An address without its path.
fn host_of(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = if matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() {
        ""
    } else {
        "/…"
    };
    Some(format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default()))
}

fn clipped(text: &str) -> String {
    const MOST: usize = 80;
    let short: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST { short + "…" } else { short }
}
