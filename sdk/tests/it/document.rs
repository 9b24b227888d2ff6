//! The OpenAPI document: its examples fit its schemas, and a fault that would make the generator panic is reported in a sentence instead.

use autoshares_sdk::{Operation, Retry};
use serde_json::{Value, json};

#[path = "../../build/check.rs"]
mod check;

fn document() -> Value {
    serde_yaml_ng::from_str(include_str!("../../openapi/autoshares.yaml")).unwrap()
}

/// Turns `nullable: true`, which only OpenAPI 3.0 knows, into its equivalent in JSON Schema, so that the validator understands it.
fn as_json_schema(node: &mut Value) {
    if node["nullable"] == true {
        let mut inner = node.clone();
        inner["nullable"] = json!(false);
        as_json_schema(&mut inner);
        *node = json!({"anyOf": [inner, {"type": "null"}]});
        return;
    }
    match node {
        Value::Object(members) => members.values_mut().for_each(as_json_schema),
        Value::Array(items) => items.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut components = document["components"].clone();
    as_json_schema(&mut components);
    let mut examples = 0;
    let mut visit = vec![&document];
    while let Some(node) = visit.pop() {
        if let (Some(named), Some(schema)) = (node["examples"].as_object(), node.get("schema")) {
            let mut schema = schema.clone();
            schema["components"] = components.clone();
            let validator = jsonschema::validator_for(&schema).unwrap();
            for (name, example) in named {
                examples += 1;
                let faults: Vec<String> =
                    validator.iter_errors(&example["value"]).map(|error| error.to_string()).collect();
                assert!(faults.is_empty(), "{name}: {faults:?}");
            }
        }
        match node {
            Value::Object(members) => visit.extend(members.values()),
            Value::Array(items) => visit.extend(items),
            _ => {}
        }
    }
    assert_eq!(examples, 17, "an example that is not visited is not checked");
}

#[test]
fn the_validator_tells_a_wrong_example() {
    let mut schema = json!({"$ref": "#/components/schemas/Acknowledgement"});
    let mut components = document()["components"].clone();
    as_json_schema(&mut components);
    schema["components"] = components;
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json!({"Errors": null, "IsSucceed": true})));
    assert!(!validator.is_valid(&json!({"Errors": "none", "IsSucceed": true})));
    assert!(!validator.is_valid(&json!({"Errors": []})));
}

#[test]
fn every_operation_has_its_row() {
    for operation in Operation::ALL {
        let path = &document()["paths"][operation.path_template()];
        let described = &path[operation.method().to_ascii_lowercase()];
        assert_eq!(described["operationId"], operation.id());
        let retry = if operation.retry() == Retry::Safe { "safe" } else { "unsent-only" };
        assert_eq!(described["x-autoshares-retry"], retry);
    }
}

#[test]
fn the_document_is_without_fault() {
    assert_eq!(check::faults(&document()), Vec::<String>::new());
}

/// Replaces one value of the document by a wrong one, and expects a fault whose text contains all of `expected`.
#[track_caller]
fn check_fault(pointer: &str, value: Value, expected: &[&str]) {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    document.pointer_mut(parent).unwrap()[name] = value;
    let faults = check::faults(&document).join("\n");
    for text in expected {
        assert!(faults.contains(text), "{text} missing in: {faults}");
    }
}

const RESET: &str = "/paths/~1v{version}~1users~1password~1reset/post";

#[test]
fn a_fault_names_its_place_and_its_fix() {
    check_fault("/openapi", json!("3.1.0"), &["openapi: is not 3.0.x", "write `openapi: 3.0.3`"]);
    check_fault(
        &format!("{RESET}/operationId"),
        json!("fetch_question"),
        &["paths./v{version}/users/password/", "`operationId: fetch_question` is taken"],
    );
    check_fault(&format!("{RESET}/operationId"), json!(null), &["reset.post: no `operationId`"]);
    check_fault(&format!("{RESET}/x-autoshares-retry"), json!("sometimes"), &["x-autoshares-retry: safe"]);
    check_fault(
        &format!("{RESET}/requestBody/content/text~1plain"),
        json!({"schema": {"$ref": "#/components/schemas/ResetRequest"}}),
        &["reset.post.requestBody: 2 media types", "keep `application/json` alone"],
    );
    check_fault(
        &format!("{RESET}/responses/201"),
        json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/TokenAnswer"}}}}),
        &["reset.post.responses: the successes have not one type", "`oneOf`"],
    );
    check_fault(
        &format!("{RESET}/responses/404"),
        json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/TokenAnswer"}}}}),
        &["reset.post.responses: the failures have not one type"],
    );
    check_fault(
        &format!("{RESET}/responses/default"),
        json!({"$ref": "#/components/responses/BadRequest"}),
        &["reset.post.responses.default: counts as success and failure"],
    );
    check_fault(
        &format!("{RESET}/parameters"),
        json!([{"name": "Et-App-Key", "in": "header", "required": true, "schema": {"type": "string"}}]),
        &["reset.post.parameters.Et-App-Key", "components.securitySchemes"],
    );
    check_fault(
        "/components/parameters/Version/name",
        json!("number"),
        &["path parameter `number`", "path parameter `version`"],
    );
    check_fault(
        &format!("{RESET}/requestBody/content/application~1json/schema"),
        json!({"$ref": "#/components/schemas/Nowhere"}),
        &["`#/components/schemas/Nowhere` is not in this document"],
    );
}

#[test]
fn a_secret_that_would_print_is_a_fault() {
    check_fault(
        "/components/schemas/PasswordUpdate/properties/Password",
        json!({"type": "string", "format": "password", "minLength": 8}),
        &["components.schemas.PasswordUpdate.properties.Password: a secret that would become a plain"],
    );
    check_fault(
        "/components/schemas/Password/x-autoshares-redact",
        json!(false),
        &["components.schemas.Password: a secret that would become a plain"],
    );
}

/// Every member that carries a secret gets a type that cannot be printed. The members are listed by hand, so that removing the mark in
/// the document cannot also remove the check.
#[test]
fn every_secret_member_is_a_redacted_component() {
    let document = document();
    let secret = |schema: &str, member: &str| {
        let node = &document["components"]["schemas"][schema]["properties"][member];
        let reference = node["$ref"].as_str().or(node["allOf"][0]["$ref"].as_str()).unwrap();
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        assert_eq!(target["x-autoshares-redact"], true, "{schema}.{member}");
    };
    secret("ResetRequest", "User");
    secret("ResetRequest", "SecretQuestionAnswer");
    secret("CodeRedemption", "Code");
    secret("PasswordUpdate", "Token");
    secret("PasswordUpdate", "Password");
    secret("PasswordUpdate", "PasswordConfirmation");
    secret("QuestionAnswer", "Model");
    secret("TokenAnswer", "Model");
}
