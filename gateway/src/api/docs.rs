//! Serves the description of the gateway's API: `/openapi.json` for programs and `/docs` for people. The page is plain HTML with a style
//! sheet of the gateway; it runs no script and loads nothing from other hosts.

use std::sync::{Arc, LazyLock};

use askama::Template;
use autoshares_sdk::Operation;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::Value;

use crate::{
    api::openapi,
    api::table::{COMMON_PROBLEMS, Input, ROUTES, Route},
    config::PublicOrigin,
    http::problem::{Kind, Problem},
};

const STYLE: &str = include_str!("../../templates/docs.css");
/// With `connect-src`, so that the samples run in the console of the browser that shows the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    operations: Vec<Described>,
    common: &'static [Kind],
    problems: Vec<Kind>,
}

struct Described {
    route: &'static Route,
    example: Option<String>,
    members: Vec<Member>,
    /// The problems that not every step shares.
    problems: Vec<Kind>,
    curl: String,
    fetch: String,
}

struct Member {
    name: String,
    required: bool,
    description: String,
}

/// Mounts the document and the page, whose samples call the public origin. The first request for the page renders it.
pub fn routes(origin: &PublicOrigin) -> Router {
    let origin = origin.text.clone();
    let rendered = Arc::new(LazyLock::new(move || Bytes::from(page(openapi::COPY, &origin))));
    let document = Bytes::from_static(openapi::COPY.as_bytes());
    let style = Bytes::from_static(STYLE.as_bytes());
    Router::new()
        .route("/openapi.json", any(|method| fixed(method, "application/json", document)))
        .route(
            "/docs",
            any(move |method| fixed(method, "text/html; charset=utf-8", LazyLock::force(&rendered).clone())),
        )
        .route("/docs.css", any(|method| fixed(method, "text/css; charset=utf-8", style)))
}

async fn fixed(method: Method, content_type: &'static str, body: Bytes) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed("GET, HEAD").into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, body).into_response()
}

fn page(document: &str, origin: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let operations = ROUTES.iter().map(|route| describe(route, &document, origin)).collect();
    let page = Page { operations, common: COMMON_PROBLEMS, problems: Kind::all().collect() };
    page.render().unwrap_or_else(|error| format!("the page could not be made: {error}"))
}

/// Describes a route for the page. The members of its input are read from the OpenAPI document, so that the page and the document agree.
fn describe(route: &'static Route, document: &Value, origin: &str) -> Described {
    let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
    let reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
    let schema = reference.and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    let members = match (route.input, schema) {
        (Input::Username, _) => {
            let query = |parameter: &&Value| parameter["in"] == "query";
            operation["parameters"].as_array().into_iter().flatten().filter(query).map(parameter).collect()
        }
        (Input::Body(_), Some(schema)) => schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, member)| property(name, member, schema))
            .collect(),
        (Input::Body(_), None) => Vec::new(),
    };
    let example = schema.and_then(|schema| serde_json::to_string_pretty(&schema["example"]).ok());
    let mut problems = route.problems.to_vec();
    problems.sort_by_key(|kind| kind.facts().status);
    let (curl, fetch) = samples(route, schema.map(|schema| &schema["example"]), origin);
    Described { route, example, members, problems, curl, fetch }
}

/// A call with curl and one with `fetch`. What an earlier step gave stands in angle brackets.
fn samples(route: &Route, example: Option<&Value>, origin: &str) -> (String, String) {
    let is_first = route.operation == Operation::RequestReset;
    let Route { method, path, .. } = route;
    let Some(body) = example.map(sample_body) else {
        let target = format!("{path}?username=robert.zak");
        return (
            format!("curl '{origin}{target}' -H 'Reset-Flow: <handle>'"),
            format!(
                "const reply = await fetch(\"{target}\");\nconst {{ Model, Errors }} = await reply.json();"
            ),
        );
    };
    let handle = if is_first { "" } else { " -H 'Reset-Flow: <handle>'" };
    // `-i` shows the handle.
    let options = if is_first { "-i " } else { "" };
    let curl = format!(
        "curl {options}-X {method} {origin}{path} \\\n  -H 'Content-Type: application/json'{handle} \\\n  -d '{body}'"
    );
    let fetch = format!(
        "const reply = await fetch(\"{path}\", {{\n  method: \"{method}\",\n  headers: {{ \"Content-Type\": \"application/json\" }},\n  \
         body: JSON.stringify({body}),\n}});\nconst {{ {members}Errors, ErrorsCode, IsSucceed }} = await reply.json();",
        members = if route.model.is_some() { "Model, " } else { "" },
    );
    (curl, fetch)
}

/// The body of a sample: the documented one, with placeholders for what only an earlier step can give.
fn sample_body(example: &Value) -> String {
    let mut body = example.clone();
    for (member, placeholder) in [("Code", "<code>"), ("Token", "<token>")] {
        if let Some(value) = body.get_mut(member) {
            *value = placeholder.into();
        }
    }
    body.to_string()
}

fn parameter(parameter: &Value) -> Member {
    let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
    Member { name: text("name"), required: parameter["required"] == true, description: text("description") }
}

fn property(name: &str, member: &Value, schema: &Value) -> Member {
    Member {
        name: name.to_owned(),
        required: schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|known| known == name)),
        description: member["description"].as_str().unwrap_or_default().to_owned(),
    }
}
