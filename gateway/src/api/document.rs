//! How derived documents are written: sorted, indented, with a newline at the end, so that the same content is the same text.

use std::collections::BTreeMap;

use serde_json::Value;

/// A document as text.
pub fn text(document: Value) -> String {
    format!("{:#}\n", sorted(document))
}

/// Sorted explicitly: whether a map of `serde_json` keeps its order depends on what other crates ask of it.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        value => value,
    }
}
