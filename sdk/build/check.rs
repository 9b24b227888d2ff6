//! Checks the OpenAPI document before progenitor reads it. At most of these faults progenitor would panic without naming the file or
//! the place. One it would not notice at all: a secret whose generated type is a plain string that can be printed.

use std::collections::BTreeSet;

use serde_json::Value;

/// The HTTP methods that an OpenAPI path item can have.
pub(crate) const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

/// Returns all faults of the document, each as `place: what is wrong; how to mend it`. Empty when the document is fit for the generator.
pub(crate) fn faults(document: &Value) -> Vec<String> {
    let mut check = Check { document, faults: Vec::new(), operation_ids: BTreeSet::new() };
    let version = document["openapi"].as_str().unwrap_or_default();
    if !version.starts_with("3.0.") {
        check.fault(
            "openapi",
            "is not 3.0.x, the only version the generator reads",
            "write `openapi: 3.0.3`",
        );
    }
    check.references(document, "");
    check.secrets(document, "");
    // The checks of the paths follow references, and would report a dangling one a second time as some other fault.
    if check.faults.is_empty() {
        check.paths();
    }
    check.faults
}

/// Follows a node's `$ref` to its target in the document. A node without `$ref` is returned as it is.
pub(crate) fn resolve<'document>(document: &'document Value, node: &'document Value) -> &'document Value {
    match node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(&Value::Null),
        None => node,
    }
}

/// Iterates over the members of an object; over nothing when the node is no object.
pub(crate) fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}

struct Check<'document> {
    document: &'document Value,
    faults: Vec<String>,
    operation_ids: BTreeSet<String>,
}

impl Check<'_> {
    fn fault(&mut self, place: &str, wrong: &str, fix: &str) {
        self.faults.push(format!("{place}: {wrong}; {fix}"));
    }

    fn references(&mut self, node: &Value, place: &str) {
        if let Some(reference) = node["$ref"].as_str() {
            let found = reference.strip_prefix('#').is_some_and(|p| self.document.pointer(p).is_some());
            if !found {
                self.fault(
                    place,
                    &format!("`{reference}` is not in this document"),
                    "name a component that exists, as `#/components/…`",
                );
            }
        }
        for_each_child(node, place, |child, place| self.references(child, place));
    }

    /// Requires every secret to be a named component with `x-autoshares-redact`. Only then does the generator use the SDK's own type for
    /// it, which cannot be printed.
    fn secrets(&mut self, node: &Value, place: &str) {
        let component = place.strip_prefix("components.schemas.").is_some_and(|name| !name.contains('.'));
        let redacted = node["x-autoshares-redact"] == true;
        if node["format"] == "password" && !(component && redacted) {
            self.fault(
                place,
                "a secret that would become a plain, printable string",
                "make it a schema under components.schemas with `x-autoshares-redact: true` and refer to it",
            );
        }
        if redacted && (!component || node["type"] != "string") {
            self.fault(
                place,
                "`x-autoshares-redact` works only on a named string",
                "move it to a schema with `type: string` directly under components.schemas",
            );
        }
        for_each_child(node, place, |child, place| self.secrets(child, place));
    }

    fn paths(&mut self) {
        for (path, item) in members(&self.document["paths"]) {
            let place = format!("paths.{path}");
            if item.get("$ref").is_some() {
                self.fault(&place, "a path item by reference", "write the path item out here");
                continue;
            }
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    self.operation(path, item, operation, &format!("{place}.{method}"));
                }
            }
        }
    }

    fn operation(&mut self, path: &str, item: &Value, operation: &Value, place: &str) {
        match operation["operationId"].as_str() {
            None => self.fault(place, "no `operationId`", "name it, verb then noun, in snake case"),
            Some(id) => {
                let snake = id.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                if id.is_empty() || !snake {
                    self.fault(
                        place,
                        &format!("`operationId: {id}` is not in snake case"),
                        "use a-z and _ only",
                    );
                }
                if !self.operation_ids.insert(id.to_owned()) {
                    self.fault(place, &format!("`operationId: {id}` is taken"), "give it a name of its own");
                }
            }
        }
        if !["safe", "unsent-only"].map(Value::from).contains(&operation["x-autoshares-retry"]) {
            self.fault(
                place,
                "does not say whether the call may be repeated",
                "add `x-autoshares-retry: safe` or `x-autoshares-retry: unsent-only`",
            );
        }
        self.parameters(path, item, operation, place);
        self.request_body(operation, place);
        self.responses(operation, place);
    }

    fn parameters(&mut self, path: &str, item: &Value, operation: &Value, place: &str) {
        let mut in_path = BTreeSet::new();
        for node in [item, operation].into_iter().filter_map(|node| node["parameters"].as_array()).flatten() {
            let parameter = resolve(self.document, node);
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = format!("{place}.parameters.{name}");
            match parameter["in"].as_str() {
                Some("path") => {
                    in_path.insert(name.to_owned());
                    if parameter["required"] != true {
                        self.fault(&place, "a path parameter that may be absent", "add `required: true`");
                    }
                }
                Some("query") => {}
                _ => self.fault(
                    &place,
                    "is neither in the path nor in the query",
                    "a header such as the key belongs into components.securitySchemes",
                ),
            }
            if parameter.get("schema").is_none() {
                self.fault(&place, "has no `schema`", "give it one; the generator does not read `content`");
            }
        }
        let template: BTreeSet<String> =
            path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect();
        for name in template.symmetric_difference(&in_path) {
            self.fault(
                place,
                &format!("path parameter `{name}` is not both in the path and declared"),
                "declare it under `parameters`, or take it out",
            );
        }
    }

    fn request_body(&mut self, operation: &Value, place: &str) {
        let Some(body) = operation.get("requestBody") else { return };
        let place = format!("{place}.requestBody");
        self.content(resolve(self.document, body), &place);
    }

    /// Requires all successes of an operation to share one type, and all its failures another, because the generator knows one type for
    /// each. The status `default` is refused, because it would count as both.
    fn responses(&mut self, operation: &Value, place: &str) {
        let mut types = [BTreeSet::new(), BTreeSet::new()];
        for (status, response) in members(&operation["responses"]) {
            let place = format!("{place}.responses.{status}");
            let kind = match status.as_bytes().first() {
                Some(b'2') => 0,
                Some(b'4' | b'5') => 1,
                _ => {
                    self.fault(
                        &place,
                        "counts as success and failure at once",
                        "name the statuses one by one",
                    );
                    continue;
                }
            };
            if let Some(reference) = self.content(resolve(self.document, response), &place) {
                types[kind].insert(reference);
            }
        }
        for (types, what) in types.iter().zip(["successes", "failures"]) {
            if types.len() != 1 {
                let found = if types.is_empty() {
                    "none".to_owned()
                } else {
                    types.iter().cloned().collect::<Vec<_>>().join(", ")
                };
                self.fault(
                    &format!("{place}.responses"),
                    &format!("the {what} have not one type but {found}"),
                    "give them one `$ref`; a schema with `oneOf` can hold several shapes",
                );
            }
        }
    }

    /// Requires a body to have JSON as its only media type, with a schema by reference. Returns the reference.
    fn content(&mut self, holder: &Value, place: &str) -> Option<String> {
        let types: Vec<_> = members(&holder["content"]).collect();
        let [(media_type, media)] = types[..] else {
            self.fault(
                place,
                &format!("{} media types; the generator takes one", types.len()),
                "keep `application/json` alone",
            );
            return None;
        };
        if media_type != "application/json" {
            self.fault(place, &format!("media type `{media_type}`"), "the API speaks `application/json`");
        }
        let reference = media["schema"]["$ref"].as_str();
        if reference.is_none() {
            self.fault(place, "an unnamed schema", "move it under components.schemas and refer to it");
        }
        reference.map(str::to_owned)
    }
}

fn for_each_child(node: &Value, place: &str, mut visit: impl FnMut(&Value, &str)) {
    let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match node {
        Value::Object(members) => members.iter().for_each(|(name, child)| visit(child, &below(name))),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, child)| visit(child, &below(&index.to_string())));
        }
        _ => {}
    }
}
