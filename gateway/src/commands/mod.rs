//! The subcommands of the binary, one file for each.

pub mod check;
pub mod config;
pub mod dev;
pub mod explain_ip;
pub mod health;
pub mod keygen;
pub mod openapi;
pub mod risk;
pub mod serve;

use std::{
    env,
    error::Error,
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use crate::config::{Config, Faults, Setting, Sources, load, misspelt_variable, settings};

/// The result of a command; `main` prints the error.
pub type Outcome = Result<(), Box<dyn Error>>;

/// Where a command finds its settings, beside the environment.
#[derive(Args, Debug)]
pub struct Settings {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, such as `listen=127.0.0.1:8081`; overrides environment and file. Not for secrets.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    fn sources(&self) -> Sources<'_> {
        Sources { file: self.config.as_deref(), set: &self.set, ..Sources::default() }
    }

    /// Reads some settings for a command that needs no others, and tells on standard error of variables that look like misspelt ones.
    fn read<T>(&self, read: impl FnOnce(&Sources<'_>) -> Result<T, Faults>) -> Result<T, Faults> {
        for warning in variables().iter().filter_map(|name| misspelt_variable(name)) {
            eprintln!("warning: {warning}");
        }
        read(&self.sources())
    }

    fn load(&self) -> Result<Config, Faults> {
        let variables = variables();
        load(&Sources { variables: &variables, ..self.sources() }, variable)
    }
}

/// Prints a text. A reader that has seen enough, such as `head`, closes the pipe, which is no fault.
///
/// # Errors
///
/// What else keeps the text from being written.
fn print(text: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The names of all environment variables.
fn variables() -> Vec<String> {
    env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|text| text.to_string_lossy().into_owned())
}

/// The text at the end of `--help`: all settings, and the meaning of the exit status.
pub fn settings_help() -> String {
    let rows = settings().map(|setting| {
        let Setting { key, variable, default, .. } = setting;
        format!("  {key:<27} {variable:<35} {default}\n")
    });
    format!(
        "Settings (key in the TOML file and for --set, environment variable, default):\n{}\n\
        Exit status: 0 for success, 2 for a bad configuration or command line, 1 for anything else.",
        rows.collect::<String>()
    )
}
