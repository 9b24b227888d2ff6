//! The one way in which derived documents are written as text: sorted, indented, with a newline at the end. Equal content thereby
//! makes equal text, and a test can compare a document with its copy in the tree.

use std::collections::BTreeMap;

use serde_json::Value;

/// Writes a document as text.
pub fn text(document: Value) -> String {
    format!("{:#}\n", sorted(document))
}

/// Sorts the members of all objects. A map of `serde_json` is sorted, or keeps the order of insertion, depending on the features that
/// other crates turn on.
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
