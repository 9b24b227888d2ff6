//! The gateway's own OpenAPI document, made from the route table. `openapi/gateway.json` is its copy in the tree.

use std::collections::BTreeMap;

use openapiv3::OpenAPI;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    api::{COMMON_PROBLEMS, Input, ROWS, Row},
    body::Answer,
    problem::{Document, Kind},
};

/// The document as text: sorted, indented, with a newline at the end.
///
/// # Panics
///
/// When the table describes no valid OpenAPI document; a test builds it.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&sorted(document())).expect("a JSON value can be written");
    text.push('\n');
    text
}

fn document() -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let answer = generator.subschema_for::<Answer>();
    let problem = generator.subschema_for::<Document<'_>>();
    let paths: BTreeMap<&str, Value> = ROWS
        .iter()
        .map(|row| {
            let method = row.method.as_str().to_ascii_lowercase();
            (row.path, json!({ method: operation(row, &mut generator, &answer, &problem) }))
        })
        .collect();
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Autoshares password reset gateway",
            "version": "1.0",
            "description": "The password-reset API of Autoshares without a key: paths, bodies and answers are the documented ones. \
                What is not an answer is a problem document (RFC 9457) that carries `Errors`, `ErrorsCode` and `IsSucceed` too.",
            "license": {"name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html"},
        },
        "servers": [{"url": "/", "description": "Wherever this document was served."}],
        // Deliberately none: the gateway adds the key.
        "security": [],
        "tags": [{"name": "Password reset", "description": "The four calls of the flow."}],
        "paths": paths,
        "components": {"schemas": generator.take_definitions(true)},
    });
    // Once through the type, so that only a valid document gets out.
    let openapi: OpenAPI = serde_json::from_value(document).expect("the table describes a valid document");
    serde_json::to_value(openapi).expect("an OpenAPI document can be written")
}

fn operation(
    row: &Row,
    generator: &mut SchemaGenerator,
    answer: &schemars::Schema,
    problem: &schemars::Schema,
) -> Value {
    let mut operation = json!({
        "operationId": row.operation.id(),
        "summary": row.summary,
        "description": row.description,
        "tags": ["Password reset"],
        "responses": {"200": {
            "description": "Autoshares' answer, whether it accepts or refuses.",
            "content": {"application/json": {"schema": answer}},
        }},
    });
    match row.input {
        Input::Body(schema) => {
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": schema(generator)}}});
        }
        Input::Username => {
            operation["parameters"] = json!([{
                "name": "username", "in": "query", "required": true,
                "description": "Login or e-mail of the trader, percent-encoded.",
                "schema": {"type": "string"}, "example": "hello@autoshares.com",
            }]);
        }
    }
    let mut by_status: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in row.problems.iter().chain(COMMON_PROBLEMS) {
        by_status.entry(kind.status().as_str().to_owned()).or_default().push(*kind);
    }
    for (status, kinds) in by_status {
        let description: Vec<_> =
            kinds.iter().map(|kind| format!("{} (`{}`).", kind.title(), kind.code())).collect();
        operation["responses"][status] = json!({
            "description": description.join(" "),
            "content": {"application/problem+json": {"schema": problem}},
        });
    }
    operation
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
