//! Finds the text of a setting in its sources, and collects everything that is wrong with a configuration.

use std::{
    collections::BTreeMap,
    fmt, fs,
    ops::RangeBounds,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use url::Url;

use super::{
    Setting, file,
    files::Files,
    given::{Given, Place, is_secret, may_be_shown, shortened},
    names,
    setting::Holds,
    settings,
};

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

/// Everything that is wrong with a configuration, and what may be the cause of it.
#[derive(Debug)]
pub struct Faults {
    faults: Vec<String>,
    warnings: Vec<String>,
    /// The files that were read: the faults may be mended in each.
    pub files: Files,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} fault(s):", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  - {fault}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  warning: {warning}"))
    }
}

impl std::error::Error for Faults {}

impl Faults {
    /// All faults on one line, for the log.
    pub fn one_line(&self) -> String {
        self.faults.join("; ")
    }

    /// The store replies, and cannot be used as it is set up.
    pub fn of_the_store(reason: &str) -> Self {
        let faults = vec![format!("`store.url` (GATEWAY_STORE): Redis cannot be used: {reason}")];
        Self { faults, warnings: Vec::new(), files: Files::default() }
    }
}

/// Every file of this folder reads its settings here. A setting that is faulty or missing is recorded and read as
/// `None`, so that the other files go on and the operator is told about all faults at once.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    file: BTreeMap<String, Given>,
    /// The file, and once they were looked at those that settings name, as they were before they were read.
    files: Files,
    /// Whether there is a file that cannot be read, so that nobody knows which settings are missing.
    file_is_unread: bool,
    /// The settings whose value in the file is of another kind, which has been told.
    unread: Vec<String>,
    set: BTreeMap<String, Given>,
    defaults: &'a [(&'static str, &'static str)],
    faults: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &Sources<'a>, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let mut faults = Vec::new();
        let files = Files::look_at(sources.file.map(Path::to_owned).into_iter());
        let read = sources.file.map(|path| file::read(path, &mut faults));
        let file_is_unread = matches!(read, Some(None));
        let (file, unread) = read.flatten().unwrap_or_default();
        let set = read_command_line(sources.set, &mut faults);
        for key in set.keys() {
            match settings().find(|setting| setting.key == key) {
                None => faults.push(format!("--set: {}", names::unknown_key(key))),
                // A secret setting has a neighbour that names a file with the secret in it.
                Some(Setting { holds: Holds::Secret, variable, .. }) => {
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
        let misspelt = sources.variables.iter().filter_map(|name| names::misspelt_variable(name));
        let warnings = warning.into_iter().chain(misspelt).collect();
        Self {
            lookup,
            file,
            files,
            file_is_unread,
            unread,
            set,
            defaults: sources.defaults,
            faults,
            warnings,
        }
    }

    /// Looks at the files that settings name, before any is read.
    pub(super) fn look_at_files(&mut self) {
        let named = settings().filter(|setting| setting.holds == Holds::File);
        let named = Files::look_at(named.filter_map(|setting| self.get(*setting)).map(PathBuf::from));
        self.files.extend(named);
    }

    /// Ends reading: the value that was read, or every fault that was found anywhere.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Faults> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(Faults { faults: self.faults, warnings: self.warnings, files: self.files }),
        }
    }

    /// Forgets what was found wrong so far.
    pub(super) fn forget_faults(&mut self) {
        self.faults.clear();
    }

    /// The text of a setting; an empty variable and an empty text in the file count as unset.
    pub(super) fn get(&self, setting: Setting) -> Option<String> {
        self.given(setting).map(|given| given.text)
    }

    pub(super) fn given(&self, setting: Setting) -> Option<Given> {
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

    /// The file and those that settings name, as they were before they were read.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// The text of a variable that belongs to no setting; an empty one counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
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
    /// its place. A setting that is missing is no fault where a file cannot be read that may hold it.
    pub(super) fn fault(&mut self, setting: Setting, wrong: impl fmt::Display) {
        let Setting { key, variable, expected, .. } = setting;
        let given = match self.given(setting) {
            Some(Given { text, place }) if may_be_shown(&setting, &text) => {
                format!("; given: `{}` ({place})", shortened(&setting, &text))
            }
            Some(Given { place, .. }) => format!("; given in {place}, and not shown, for it may be a secret"),
            None if self.file_is_unread || self.is_unread(key) => return,
            None => String::new(),
        };
        self.faults.push(format!("`{key}` ({variable}) {wrong}{given}; expected: {expected}"));
    }

    /// Whether the value of a setting could not be read, or that of the one that may stand in its place.
    fn is_unread(&self, key: &str) -> bool {
        self.unread.iter().any(|unread| unread.trim_end_matches("_file") == key.trim_end_matches("_file"))
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
