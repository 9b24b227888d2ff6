//! Generates the gateway's own OpenAPI document from the route table. `cargo xtask codegen` writes it into `openapi/gateway.json`, and the gateway
//! serves that copy.

use std::collections::BTreeMap;

use autoshares_sdk::{Operation, Retry};
use axum::http::StatusCode;
use openapiv3::OpenAPI;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    api::table::{COMMON_PROBLEMS, Input, ROUTES, Route},
    document,
    http::envelope::Envelope,
    http::problem::{Kind, ProblemDocument},
};

/// The copy in the tree. To generate the document at each start would take a quarter of the time to the first answer; a test compares the two.
pub(super) const COPY: &str = include_str!("../../../openapi/gateway.json");

/// The document as text, with sorted members, so that equal documents are equal texts.
///
/// # Panics
///
/// If the route table does not make a valid OpenAPI document. A test calls this, so a released table does.
pub fn text() -> String {
    document::text(document())
}

fn document() -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let problem = generator.subschema_for::<ProblemDocument<'_>>();
    let mut paths: BTreeMap<&str, Value> = BTreeMap::new();
    let mut envelopes: BTreeMap<String, Value> = BTreeMap::new();
    for route in ROUTES {
        let (name, schema) = envelope(route);
        let method = route.method.as_str().to_ascii_lowercase();
        paths.insert(route.path, json!({ method: operation(route, &mut generator, &name) }));
        envelopes.insert(name, schema);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(envelopes);
    let document = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Autoshares password reset gateway",
            "version": "1.0",
            "description": "The password-reset API of Autoshares without a key: paths, bodies and answers are the documented ones. \
                What is not an answer is a problem document (RFC 9457) that carries `Errors`, `ErrorsCode` and `IsSucceed` too. \
                `x-autoshares-retry` says whether a call may be repeated: `safe`, or `unsent-only`.",
            "license": {"name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html"},
        },
        "servers": [{"url": "/", "description": "Wherever this document was served."}],
        // Deliberately empty: clients send no key, because the gateway adds it.
        "security": [],
        "tags": [{"name": "Password reset", "description": "The four calls of the flow, in their order."}],
        "paths": paths,
        "components": {"schemas": schemas, "responses": problems(&problem), "headers": headers(), "parameters": parameters()},
    });
    // Converts the document to a typed one and back, which fails if it is not valid OpenAPI.
    let openapi: OpenAPI = serde_json::from_value(document).expect("the table describes a valid document");
    serde_json::to_value(openapi).expect("an OpenAPI document can be written")
}

fn operation(route: &Route, generator: &mut SchemaGenerator, envelope: &str) -> Value {
    let examples: BTreeMap<_, _> = route
        .examples
        .iter()
        .map(|(name, text)| (name, json!({"value": serde_json::from_str::<Value>(text).unwrap_or_default()})))
        .collect();
    let mut operation = json!({
        "operationId": route.operation.id(),
        "summary": route.summary,
        "description": route.description,
        "tags": ["Password reset"],
        "x-autoshares-retry": if route.operation.retry() == Retry::Safe { "safe" } else { "unsent-only" },
        "responses": {"200": {
            "description": "What Autoshares said, whether it accepts or refuses.",
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/json": {
                "schema": {"$ref": format!("#/components/schemas/{envelope}")},
                "examples": examples,
            }},
        }},
    });
    match route.input {
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
    let handle = if route.operation == Operation::RequestReset {
        let given = &mut operation["responses"]["200"]["headers"];
        given["Reset-Flow"] = json!({"$ref": "#/components/headers/ResetFlow"});
        given["Set-Cookie"] = json!({"$ref": "#/components/headers/SetCookie"});
        json!({"$ref": "#/components/parameters/ResetFlowToContinue"})
    } else {
        json!({"$ref": "#/components/parameters/ResetFlow"})
    };
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.push(handle);
    operation["parameters"] = parameters.into();
    for kind in route.problems.iter().chain(COMMON_PROBLEMS) {
        let status = kind.facts().status;
        operation["responses"][status.as_str()] =
            json!({"$ref": format!("#/components/responses/Problem{}", status.as_str())});
    }
    operation
}

/// The schema of a route's envelope and its name. `Model` is described as the route says, and left out where the route has none.
fn envelope(route: &Route) -> (String, Value) {
    let mut schema =
        SchemaSettings::openapi3().into_generator().into_root_schema_for::<Envelope>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, _| name != "$schema" && name != "title");
    }
    let name = match (route.model, route.operation) {
        (None, _) => {
            if let Some(properties) = schema["properties"].as_object_mut() {
                properties.remove("Model");
            }
            return ("Acknowledgement".to_owned(), schema);
        }
        (Some(_), Operation::FetchQuestion) => "QuestionAnswer",
        (Some(_), _) => "TokenAnswer",
    };
    schema["properties"]["Model"]["description"] = json!(route.model);
    (name.to_owned(), schema)
}

/// One response for each status of a problem document; its description lists all problems of that status. Operations refer to them.
fn problems(problem: &schemars::Schema) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::all() {
        by_status.entry(kind.facts().status).or_default().push(kind);
    }
    let used = |status: &StatusCode| *status != StatusCode::NOT_FOUND;
    let described = by_status.into_iter().filter(|(status, _)| used(status)).map(|(status, kinds)| {
        let facts = kinds.iter().map(|kind| kind.facts());
        let description: Vec<_> = facts.map(|facts| format!("{} (`{}`).", facts.title, facts.code)).collect();
        let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
        if matches!(status.as_u16(), 429 | 502 | 503) {
            headers["Retry-After"] = json!({"$ref": "#/components/headers/RetryAfter"});
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers["Allow"] = json!({"$ref": "#/components/headers/Allow"});
        }
        let response = json!({
            "description": description.join(" "),
            "headers": headers,
            "content": {"application/problem+json": {"schema": problem}},
        });
        (format!("Problem{}", status.as_str()), response)
    });
    described.collect()
}

fn headers() -> Value {
    let text = json!({"type": "string"});
    json!({
        "RequestId": {"description": "Identifies the request; quote it when asking for help.", "schema": text},
        "RetryAfter": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}},
        "ResetFlow": {"description": "The handle of the flow; send it back with the later steps.", "schema": text},
        "SetCookie": {"description": "The same handle as the cookie `__Host-password-reset`.", "schema": text},
        "Allow": {"description": "The method that the path takes.", "schema": text},
    })
}

/// The header in which a client sends its handle. It is optional, for a browser sends the cookie.
fn parameters() -> Value {
    let handle = |description: &str| {
        json!({
            "name": "Reset-Flow", "in": "header", "required": false, "description": description,
            "schema": {"type": "string"},
        })
    };
    json!({
        "ResetFlow": handle("The handle that step 1 answered with, for clients that send no cookies."),
        "ResetFlowToContinue": handle("The handle of an earlier step 1 for the same login, to go on in its flow."),
    })
}
