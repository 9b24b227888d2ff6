//! Reads the TOML file as `key → text`.

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    given::{Given, Place},
    names,
    setting::Holds,
    settings,
};

/// The settings of a file, and the keys whose value is of another kind.
type Read = (BTreeMap<String, Given>, Vec<String>);

/// The file as `key → text`, nested tables with dots; a list becomes text with commas. `None` when it cannot be read at all. Every fault is
/// recorded.
pub(super) fn read(path: &Path, faults: &mut Vec<String>) -> Option<Read> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("{name}: cannot be read: {error}"));
            return None;
        }
    };
    let line = |span: Range<usize>| text[..span.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
    match DeTable::parse(&text) {
        Ok(table) => {
            let (mut flat, mut unread) = Read::default();
            flatten(table.get_ref(), "", &mut |key, value, span| {
                let place = Place::File { name: name.to_string(), line: line(span) };
                match text_of(&key, value) {
                    Ok(text) => {
                        flat.insert(key, Given { text, place });
                    }
                    Err(fault) => {
                        faults.push(format!("{place}: {fault}"));
                        unread.push(key);
                    }
                }
            });
            Some((flat, unread))
        }
        Err(error) => {
            // `Display` quotes the line, which may hold the key; the message alone does not.
            let line = error.span().map_or(1, line);
            faults.push(format!("{name}, line {line}: not TOML: {}", error.message()));
            None
        }
    }
}

/// Visits every value that is no table, and tables that stand in the place of a setting, or hold nothing and are none of the configuration's.
fn flatten<'t>(
    table: &'t DeTable<'_>,
    prefix: &str,
    visit: &mut impl FnMut(String, &'t DeValue<'_>, Range<usize>),
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(table) if is_table(&key) || !table.is_empty() && !is_setting(&key) => {
                flatten(table, &format!("{key}."), visit);
            }
            value => visit(key, value, name.span()),
        }
    }
}

fn is_setting(key: &str) -> bool {
    settings().any(|setting| setting.key == key)
}

/// Whether settings lie in a table of this name.
fn is_table(key: &str) -> bool {
    settings().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn text_of(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    if is_table(key) && !is_setting(key) {
        return Err(format!("`{key}` is a table: write `[{key}]`, and its settings below"));
    }
    let Some(setting) = settings().find(|setting| setting.key == key) else {
        return Err(names::unknown_key(key));
    };
    let wrong = |what: &str| Err(format!("`{key}` is a {what}; expected: {}", setting.expected));
    match value {
        DeValue::Table(_) => wrong("table"),
        DeValue::Array(items) if setting.holds == Holds::List => {
            let texts: Option<Vec<_>> = items.iter().map(|item| plain(item.get_ref())).collect();
            texts.map_or_else(|| wrong("list of other things than texts"), |texts| Ok(texts.join(",")))
        }
        DeValue::Array(_) => wrong("list"),
        value => plain(value).map_or_else(|| wrong("value of another kind"), Ok),
    }
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
