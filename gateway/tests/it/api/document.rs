//! The gateway's own document: up to date, valid, fit for a generator, and true.

use std::{fs, path::Path};

use autoshares_gateway::{api::openapi, api::table::ROUTES, telemetry::audit};
use autoshares_sdk::sandbox::Sandbox;
use axum::http::Method;
use serde_json::Value;

use crate::support::TestApp;

/// What progenitor makes of the document. That this compiles is the proof that a generator takes it.
#[allow(unused_qualifications, clippy::all, clippy::unwrap_used)]
mod generated {
    progenitor::generate_api!(spec = "../openapi/gateway.json");
}

#[test]
fn the_copy_in_the_tree_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/gateway.json");
    let copy = fs::read_to_string(path).unwrap();
    let made = openapi::text();
    assert!(
        copy == made,
        "run `cargo xtask codegen`:\n{}",
        similar::TextDiff::from_lines(&copy, &made).unified_diff()
    );
}

#[test]
fn the_schema_of_the_audit_trail_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/audit.schema.json");
    assert!(fs::read_to_string(path).unwrap() == audit::schema(), "run `cargo xtask codegen`");
}

#[test]
fn it_is_openapi_3_0_with_one_operation_for_each_route() {
    let document: openapiv3::OpenAPI = serde_json::from_str(&openapi::text()).unwrap();
    assert_eq!(document.openapi, "3.0.3");
    let mut described: Vec<_> = document
        .operations()
        .map(|(path, method, operation)| {
            (path.to_owned(), method.to_uppercase(), operation.operation_id.clone().unwrap())
        })
        .collect();
    let mut mounted: Vec<_> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_string(), route.operation.id().to_owned()))
        .collect();
    described.sort();
    mounted.sort();
    assert_eq!(described, mounted);
}

#[tokio::test]
async fn what_is_served_is_what_is_in_the_tree() {
    let sandbox = Sandbox::start().await.unwrap();
    let served = TestApp::with(&sandbox.client(), false).send(Method::GET, "/openapi.json", &[], "").await;
    assert_eq!(served.body, include_str!("../../../../openapi/gateway.json"));
    assert_eq!(served.headers["content-type"], "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_drives_the_gateway() {
    let sandbox = Sandbox::start().await.unwrap();
    let address = TestApp::with(&sandbox.client(), false).listen();
    let client = generated::Client::new_with_client(&format!("http://{address}"), crate::support::http());
    let reset = |answer: Option<&str>| generated::types::ResetRequest {
        user: "robert.zak".to_owned(),
        secret_question_answer: answer.map(str::to_owned),
    };

    let refused = client.request_reset(None, &reset(None)).await.unwrap();
    assert_eq!(refused.errors_code, ["ErrorIncorrectAnswer"]);
    let handle = refused.headers()["reset-flow"].to_str().unwrap().to_owned();
    let question = client.fetch_question("robert.zak", Some(&handle)).await.unwrap();
    assert_eq!(question.model.as_deref(), Some("What street did you live on in third grade?"));
    let accepted = client.request_reset(Some(&handle), &reset(Some("Peterson"))).await.unwrap();
    assert!(accepted.errors.is_empty());
    let handle = accepted.headers()["reset-flow"].to_str().unwrap().to_owned();

    let code = sandbox.outbox().pop().unwrap().code;
    let redemption = generated::types::CodeRedemption { code };
    let token = client.redeem_code(Some(&handle), &redemption).await.unwrap();
    let update = generated::types::PasswordUpdate {
        token: token.model.clone().unwrap(),
        password: "new-password".to_owned(),
        password_confirmation: "new-password".to_owned(),
    };
    assert!(client.set_password(Some(&handle), &update).await.unwrap().is_succeed);
    assert_eq!(sandbox.password_of("robert.zak").as_deref(), Some("new-password"));

    // Progenitor hands out `application/problem+json` as bytes; what is in them is tested elsewhere.
    match client.fetch_question(" ", None).await {
        Err(generated::Error::ErrorResponse(problem)) => assert_eq!(problem.status(), 400),
        other => panic!("{other:?}"),
    }
}

/// The bodies are read by hand and described by derive: what the document calls required is, and the rest is not.
#[tokio::test]
async fn required_members_are_required_and_optional_ones_are_not() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::with(&sandbox.client(), false);
    let document: Value = serde_json::from_str(&openapi::text()).unwrap();
    let mut checked = 0;
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let Some(reference) =
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
        else {
            continue;
        };
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        for name in schema["properties"].as_object().unwrap().keys() {
            let mut body = schema["example"].clone();
            body.as_object_mut().unwrap().remove(name).unwrap();
            let json = [("content-type", "application/json")];
            let answered = app.send(route.method.clone(), route.path, &json, body.to_string()).await;
            // Without a handle a good body is refused for that.
            assert!(matches!(answered.status.as_u16(), 200 | 400 | 403), "{answered:?}");
            let required = schema["required"].as_array().unwrap().iter().any(|required| required == name);
            assert_eq!(answered.status == 400, required, "{name}: {answered:?}");
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}

/// The samples of `/docs` that call with curl, run in their order with what the steps before gave.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_the_docs_work_as_shown() {
    let (sandbox, listener) = (Sandbox::start().await.unwrap(), crate::support::listener());
    let origin = format!("http://{}", listener.address());
    let app = TestApp::guarded(&sandbox.client(), |config| config.public_origin.text.clone_from(&origin));
    tokio::spawn(crate::support::serve(listener, app.router.clone()));
    let page = app.send(Method::GET, "/docs", &[], "").await.body;
    let page = page.replace("&#39;", "'").replace("&#34;", "\"").replace("&quot;", "\"");
    let page = page.replace("&#60;", "<").replace("&lt;", "<").replace("&#62;", ">").replace("&gt;", ">");
    let samples: Vec<_> =
        page.split("<pre>").skip(1).map(|block| block.split("</pre>").next().unwrap()).collect();
    let curls: Vec<_> = samples.iter().filter(|sample| sample.starts_with("curl")).collect();
    let fetches: Vec<_> =
        samples.iter().filter(|sample| sample.contains("await fetch(\"/v1.0/users")).collect();
    assert_eq!((curls.len(), fetches.len()), (4, 4), "{page}");
    let run = |sample: &str| {
        let output =
            std::process::Command::new("bash").args(["-c", &sample.replace("curl ", "curl -s ")]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let refused = app.reset("robert.zak").await;
    let question = run(&curls[1].replace("<handle>", &refused.handle()));
    assert!(question.contains("third grade"), "{question}");
    let asked = run(curls[0]);
    let handle =
        asked.lines().find_map(|line| line.strip_prefix("reset-flow: ")).unwrap_or_else(|| panic!("{asked}"));
    let mail = sandbox.outbox().pop().unwrap().code;
    let redeemed = run(&curls[2].replace("<handle>", handle.trim()).replace("<code>", &mail));
    let redeemed: Value = serde_json::from_str(&redeemed).unwrap();
    let token = redeemed["Model"].as_str().unwrap();
    let set = run(&curls[3].replace("<handle>", handle.trim()).replace("<token>", token));
    assert_eq!(set, r#"{"Errors":[],"IsSucceed":true}"#);
}
