//! The documents that are derived from the table of settings: an example file, its JSON Schema, and the table of `docs/operating.md`.

use std::fmt::Write;

use super::{Setting, effective::quoted, settings};

/// A file with every setting at its default, commented out, and the reason for it above.
pub fn example() -> String {
    let mut text = String::from(
        "# Every setting of the gateway, at its default. A `#` before a line takes the setting out; remove it to change the setting.\n\
         # A variable of the environment takes the place of the setting in this file, and `--set KEY=VALUE` that of both.\n",
    );
    for setting in settings() {
        let Setting { key, variable, expected, default, why, .. } = setting;
        let value = if setting.has_default() { quoted(default) } else { format!("\"…\" # {default}") };
        let _ = write!(
            text,
            "\n# {}\n# Expected: {expected}\n# Variable: {variable}\n#{key} = {value}\n",
            sentence(why)
        );
    }
    text
}

/// The table of `docs/operating.md`.
pub fn table() -> String {
    let mut text = String::from("| key | variable | default; reason |\n|---|---|---|\n");
    for setting in settings() {
        let Setting { key, variable, default, why, .. } = setting;
        // A phrase is no code, but for an address with a gap in it.
        let is_code = setting.has_default() || default.contains('<');
        let default = if is_code { format!("`{default}`") } else { (*default).to_owned() };
        let _ = writeln!(text, "| `{key}` | `{variable}` | {default}; {why} |");
    }
    text
}

/// The JSON Schema of the TOML file, for editors.
pub fn schema() -> String {
    let mut tables = serde_json::Map::new();
    for setting in settings() {
        let (table, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        let mut schema = serde_json::json!({
            "type": setting.kinds(),
            "description": format!("{} Expected: {}. Variable: {}.", sentence(setting.why), setting.expected, setting.variable),
        });
        if setting.has_default() {
            schema["default"] = setting.default.into();
        }
        let properties = if table.is_empty() {
            &mut tables
        } else {
            let empty =
                serde_json::json!({ "type": "object", "additionalProperties": false, "properties": {} });
            let table = tables.entry(table).or_insert(empty);
            let Some(properties) = table["properties"].as_object_mut() else { continue };
            properties
        };
        properties.insert(name.to_owned(), schema);
    }
    crate::document::text(serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of autoshares-gateway",
        "type": "object",
        "additionalProperties": false,
        "properties": tables,
    }))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}
