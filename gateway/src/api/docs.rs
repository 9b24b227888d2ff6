//! Serves the description of the gateway's API: `/openapi.json` for programs and `/docs` for people. The page is plain HTML with a style
//! sheet of the gateway; it runs no script and loads nothing from other hosts.

use askama::Template;
use axum::{
    Router,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::Value;

use crate::{
    api::openapi,
    api::table::{COMMON_PROBLEMS, Input, ROUTES, Route},
    http::problem::{Kind, Problem},
};

const STYLE: &str = include_str!("../../templates/docs.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    operations: Vec<Described>,
    problems: Vec<Kind>,
}

struct Described {
    route: &'static Route,
    example: Option<String>,
    members: Vec<Member>,
    problems: Vec<Kind>,
}

struct Member {
    name: String,
    required: bool,
    description: String,
}

/// Mounts the document and the page. Both are rendered once, at start.
pub fn routes() -> Router {
    let document = openapi::text();
    let page = page(&document);
    Router::new()
        .route("/openapi.json", any(move |method| fixed(method, "application/json", document.clone())))
        .route("/docs", any(move |method| fixed(method, "text/html; charset=utf-8", page.clone())))
        .route("/docs.css", any(|method| fixed(method, "text/css; charset=utf-8", STYLE.to_owned())))
}

async fn fixed(method: Method, content_type: &'static str, body: String) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed("GET, HEAD").into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, body).into_response()
}

fn page(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let operations = ROUTES.iter().map(|route| describe(route, &document)).collect();
    let page = Page { operations, problems: Kind::all().collect() };
    page.render().unwrap_or_else(|error| format!("the page could not be made: {error}"))
}

/// Describes a route for the page. The members of its input are read from the OpenAPI document, so that the page and the document agree.
fn describe(route: &'static Route, document: &Value) -> Described {
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
    let mut problems: Vec<Kind> = route.problems.iter().chain(COMMON_PROBLEMS).copied().collect();
    problems.sort_by_key(|kind| kind.facts().status);
    Described { route, example, members, problems }
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
