//! `config`: prints the settings that are in force, and the documents that are derived from the table of settings.

use super::{Outcome, Settings, print};
use crate::config;

/// A document about all settings.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum About {
    /// A TOML file with every setting at its default, and its reason.
    Example,
    /// The JSON Schema of the TOML file.
    Schema,
    /// The table of the settings in Markdown.
    Table,
}

/// Prints the settings that are in force, each with its origin and without secrets; or a document about all settings.
///
/// # Errors
///
/// A bad configuration, or an output that cannot be written.
pub fn run(settings: &Settings, about: Option<About>) -> Outcome {
    let text = match about {
        None => settings.load()?.effective.text(),
        Some(About::Example) => config::example(),
        Some(About::Schema) => config::schema(),
        Some(About::Table) => config::table(),
    };
    Ok(print(text)?)
}
