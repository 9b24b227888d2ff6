//! Finds the text of a setting in its sources, and collects everything that is wrong with a configuration.

use std::{
    collections::BTreeMap,
    fmt, fs,
    ops::{Range, RangeBounds},
    os::unix::fs::PermissionsExt,
    path::Path,
    str::FromStr,
    time::Duration,
};

use toml::de::{DeTable, DeValue};
use url::Url;

use super::{Setting, setting::Holds, settings};

/// Where settings come from, beside the environment.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The TOML file.
    pub file: Option<&'a Path>,
    /// `KEY=VALUE` from the command line.
    pub set: &'a [String],
    /// The names of all environment variables, to find misspelt ones.
    pub variables: &'a [String],
    /// Defaults in place of the usual ones, as pairs of key and text. A command that has a purpose of its own sets them.
    pub defaults: &'a [(&'static str, &'static str)],
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

impl Faults {
    /// The store replies, and cannot be used as it is set up.
    pub fn of_the_store(reason: &str) -> Self {
        Self(vec![format!("`store.url` (GATEWAY_STORE): Redis cannot be used: {reason}")])
    }
}

/// The text of a setting, and where it stands.
#[derive(Clone, Debug)]
struct Given {
    text: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
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

/// Every file of this folder reads its settings here. A setting that is faulty or missing is recorded and read as
/// `None`, so that the other files go on and the operator is told about all faults at once.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    file: BTreeMap<String, Given>,
    set: BTreeMap<String, Given>,
    defaults: &'a [(&'static str, &'static str)],
    faults: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &Sources<'a>, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let mut faults = Vec::new();
        let file = sources.file.map(|path| read_file(path, &mut faults)).unwrap_or_default();
        let set = read_command_line(sources.set, &mut faults);
        for (key, Given { place, .. }) in file.iter().chain(&set) {
            match settings().find(|setting| setting.key == key) {
                None => faults.push(format!("{place}: {} is not a setting{}", shown(key), suggestion(key))),
                // A secret setting has a neighbour that names a file with the secret in it.
                Some(Setting { holds: Holds::Secret, variable, .. })
                    if matches!(place, Place::CommandLine) =>
                {
                    faults.push(format!(
                        "--set: `{key}` is a secret, and `ps` shows the command line; use `{key}_file` or {variable}"
                    ));
                }
                Some(_) => {}
            }
        }
        let secret = settings().find(|setting| {
            file.get(setting.key)
                .is_some_and(|Given { text, .. }| !text.is_empty() && is_secret(setting, text))
        });
        let warning = secret.zip(sources.file).and_then(|(setting, path)| {
            let why = openness(path)?;
            Some(format!("{}: holds `{}`, and {why}", path.display(), setting.key))
        });
        let misspelt = sources.variables.iter().filter_map(|name| misspelt(name));
        let warnings = warning.into_iter().chain(misspelt).collect();
        Self { lookup, file, set, defaults: sources.defaults, faults, warnings }
    }

    /// Ends reading: the value that was read, or every fault that was found anywhere.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Faults> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(Faults(self.faults)),
        }
    }

    /// The text of a setting; an empty variable and an empty text in the file count as unset.
    pub(super) fn get(&self, setting: Setting) -> Option<String> {
        self.given(setting).map(|given| given.text)
    }

    fn given(&self, setting: Setting) -> Option<Given> {
        let from_environment = || {
            let text = (self.lookup)(setting.variable).filter(|text| !text.is_empty())?;
            Some(Given { text, place: Place::Variable(setting.variable) })
        };
        let from_file = || self.file.get(setting.key).filter(|given| !given.text.is_empty()).cloned();
        let from_command = || {
            let (_, text) = self.defaults.iter().find(|(key, _)| *key == setting.key)?;
            Some(Given { text: (*text).to_owned(), place: Place::Command })
        };
        let set = self.set.get(setting.key).cloned();
        set.or_else(from_environment).or_else(from_file).or_else(from_command)
    }

    /// Whether a variable is set that belongs to no setting.
    pub(super) fn is_in_environment(&self, variable: &str) -> bool {
        (self.lookup)(variable).is_some_and(|text| !text.is_empty())
    }

    /// For a setting that holds an address, which may hold a password.
    pub(super) fn refuse_password_on_command_line(&mut self, setting: Setting, url: &str) {
        let password = Url::parse(url).is_ok_and(|url| url.password().is_some());
        if password && self.set.contains_key(setting.key) {
            self.faults.push(format!(
                "--set: `{}` holds a password, and `ps` shows the command line; use {}",
                setting.key, setting.variable
            ));
        }
    }

    /// For a setting without a default: `None` when it is unset or faulty.
    pub(super) fn parse<T, E>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.get(setting)?;
        let value = parse(&text).ok();
        if value.is_none() {
            self.fault(setting, "is not valid");
        }
        value
    }

    /// For a setting with a default: `None` when it is faulty.
    pub(super) fn value<T, E>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.get(setting) {
            Some(_) => self.parse(setting, parse),
            None => parse(setting.default).ok(),
        }
    }

    /// Like [`Reader::value`], for a setting of another file that is compared with one of the caller's: the other
    /// file reports its fault, so this records none.
    pub(super) fn peek<T, E>(&self, setting: Setting, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        parse(self.get(setting).as_deref().unwrap_or(setting.default)).ok()
    }

    /// A whole number from 1 to `most`.
    pub(super) fn number(&mut self, setting: Setting, most: u32) -> Option<u32> {
        self.value(setting, |text| match u32::from_str(text) {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(()),
        })
    }

    /// `wrong` follows the name of the setting and must not quote its value, for the value may be a secret. Where it is none, it is told with
    /// its place.
    pub(super) fn fault(&mut self, setting: Setting, wrong: impl fmt::Display) {
        let Setting { key, variable, expected, .. } = setting;
        let given = match self.given(setting) {
            Some(Given { text, place }) if may_be_shown(&setting, &text) => {
                format!("; given: `{}` ({place})", shortened(&text))
            }
            Some(Given { place, .. }) => format!("; given in {place}, and not shown, for it may be a secret"),
            None => String::new(),
        };
        self.faults.push(format!("`{key}` ({variable}) {wrong}{given}; expected: {expected}"));
    }

    /// For a fault that does not lie in the text of one setting.
    pub(super) fn fault_as_written(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Warns of a setting, unless it is as the command wants it.
    pub(super) fn warn(&mut self, setting: Setting, why: impl fmt::Display) {
        if !self.given(setting).is_some_and(|given| matches!(given.place, Place::Command)) {
            self.warnings.push(format!("`{}`: {why}", setting.key));
        }
    }

    /// For a setting that names a file with a secret in it.
    pub(super) fn warn_of_open_file(&mut self, setting: Setting, path: &str) {
        let openness = openness(Path::new(path));
        self.warnings.extend(openness.map(|why| format!("`{}`: {why}", setting.key)));
    }
}

/// What is wrong with the permissions of a file that holds a secret: whoever can read it has the secret, and whoever can write it chooses
/// it.
fn openness(path: &Path) -> Option<&'static str> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    match (mode & 0o004 != 0, mode & 0o022 != 0) {
        (true, true) => Some("other users of this machine can read and write the file; chmod 600"),
        (true, false) => Some("every user of this machine can read the file; chmod 600"),
        (false, true) => Some("other users of this machine can write the file; chmod 600"),
        (false, false) => None,
    }
}

/// Whether a setting holds a secret, as an address with a password does.
fn is_secret(setting: &Setting, text: &str) -> bool {
    setting.holds == Holds::Secret || text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Whether a fault may tell the text of a setting.
fn may_be_shown(setting: &Setting, text: &str) -> bool {
    // What stands before an `@` may be a password, in whatever setting.
    let may_hold_password = text.contains('@') || text.contains("%40");
    let is_harmless = match setting.holds {
        Holds::Secret => false,
        Holds::Plain => true,
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

/// A text as a fault tells it: on one line, and not much of it. Of an address the path is left out, where people paste keys too.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    if let Some((before, rest)) = text.split_once("://")
        && let Some(end) = rest.find(['/', '?', '#']).filter(|end| rest.len() > end + 1)
    {
        return shortened(&format!("{before}://{}", &rest[..end])) + "/…";
    }
    let short: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST { short + "…" } else { short }
}

/// Reads a duration such as `500ms`, if it lies within the bounds.
pub(super) fn duration(text: &str, bounds: impl RangeBounds<Duration>) -> Result<Duration, ()> {
    let duration = humantime::parse_duration(text).map_err(|_| ())?;
    bounds.contains(&duration).then_some(duration).ok_or(())
}

fn read_command_line(pairs: &[String], faults: &mut Vec<String>) -> BTreeMap<String, Given> {
    let mut set = BTreeMap::new();
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) => {
                let given = Given { text: value.to_owned(), place: Place::CommandLine };
                set.insert(key.to_owned(), given);
            }
            // The whole text may be a secret that was pasted in the wrong place.
            None => faults.push("--set: expected `KEY=VALUE`".to_owned()),
        }
    }
    set
}

/// An unknown key that does not look like a key may be a secret in the wrong place.
fn shown(key: &str) -> String {
    let is_name = key.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
    if is_name { format!("`{key}`") } else { "a name that is not shown".to_owned() }
}

/// How much alike two names must be for one to be the other, misspelt.
const ALIKE: f64 = 0.8;

/// The setting that is most like something else, if it is like it enough.
fn nearest(likeness: impl Fn(&Setting) -> f64) -> Option<&'static Setting> {
    let all = settings().map(|setting| (likeness(setting), setting));
    let (likeness, nearest) = all.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= ALIKE).then_some(nearest)
}

fn suggestion(key: &str) -> String {
    let nearest = nearest(|setting| strsim::normalized_damerau_levenshtein(key, setting.key));
    nearest.map_or_else(String::new, |setting| format!("; did you mean `{}`?", setting.key))
}

/// Warns of an environment variable that is no setting and looks like one. Others may begin with the same words: Kubernetes sets
/// `GATEWAY_SERVICE_HOST` for a service that is called gateway.
fn misspelt(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase().replace('-', "_");
    let is_ours = ["GATEWAY_", "AUTOSHARES_"].iter().any(|prefix| upper.starts_with(prefix));
    if !is_ours || settings().any(|setting| setting.variable == name) {
        return None;
    }
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&upper, known);
    let nearest = nearest(|setting| {
        // The variable that one would make of the key.
        let of_key = format!("GATEWAY_{}", setting.key.to_ascii_uppercase().replace('.', "_"));
        likeness(setting.variable).max(likeness(&of_key))
    })?;
    Some(format!("{name} is set, and is no setting; did you mean {}?", nearest.variable))
}

/// The file as `key → text`, nested tables with dots. A list becomes text with commas.
fn read_file(path: &Path, faults: &mut Vec<String>) -> BTreeMap<String, Given> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("{name}: cannot be read ({})", error.kind()));
            return BTreeMap::new();
        }
    };
    let line = |span: Range<usize>| text[..span.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
    match DeTable::parse(&text) {
        Ok(table) => {
            let mut flat = BTreeMap::new();
            flatten(table.get_ref(), "", &mut |key, text, span| {
                let place = Place::File { name: name.to_string(), line: line(span) };
                flat.insert(key, Given { text, place });
            });
            flat
        }
        Err(error) => {
            // `Display` quotes the line, which may hold the key; the message alone does not.
            let line = error.span().map_or(1, line);
            faults.push(format!("{name}, line {line}: not TOML: {}", error.message()));
            BTreeMap::new()
        }
    }
}

fn flatten(table: &DeTable<'_>, prefix: &str, keep: &mut impl FnMut(String, String, Range<usize>)) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            // Only a table that some setting lies in is opened; any other is reported by its name as unknown.
            DeValue::Table(table)
                if settings().any(|setting| setting.key.starts_with(&format!("{key}."))) =>
            {
                flatten(table, &format!("{key}."), keep);
            }
            value => keep(key, plain(value), name.span()),
        }
    }
}

fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect::<Vec<_>>().join(","),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
