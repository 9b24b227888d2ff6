//! The documented requests and answers, byte for byte, against an upstream that is not the sandbox; and the whole flow against
//! the sandbox.

use autoshares_gateway::{config::Answers, flow::Stage};
use autoshares_sdk::sandbox::Sandbox;
use axum::http::Method;

use crate::{
    support::{CODE, DOCUMENTED, JSON, PASSWORD, QUESTION, RESET, TestApp, client, code, update},
    upstream::Upstream,
};

const REFUSED: &str = r#"{"Errors":["Answer is incorrect, try again."],"ErrorsCode":["ErrorIncorrectAnswer"],"IsSucceed":false}"#;
const QUESTION_ANSWER: &str =
    r#"{"Model":"What street did you live on in third grade?","Errors":[],"IsSucceed":true}"#;
const DOCUMENTED_TOKEN: &str =
    r#"{"Model":"ba6b8cac-6738-4434-bd26-825db020a05c","Errors":[],"IsSucceed":true}"#;

/// Every documented answer, at whatever status upstream sends it.
#[tokio::test]
async fn the_documented_answers_come_back_byte_for_byte() {
    for (index, answer) in [
        (0, r#"{"Errors":[],"IsSucceed":false}"#),
        (0, REFUSED),
        (1, QUESTION_ANSWER),
        (1, r#"{"Model":"","Errors":[],"IsSucceed":true}"#),
        (2, r#"{"Errors":["Confirmation code is incorrect."],"IsSucceed":false}"#),
        (3, r#"{"Errors":[],"IsSucceed":true}"#),
        (3, r#"{"Errors":[],"IsSucceed":false}"#),
    ] {
        for status in [200, 400, 403, 422, 500] {
            let upstream = Upstream::json(status, answer);
            let answered = TestApp::new(&upstream.base_url()).documented(index).await;
            assert_eq!(answered.body, answer);
            assert_eq!(answered.status, 200);
            assert_eq!(answered.headers["content-type"], "application/json");
            assert_eq!(upstream.requests().len(), 1);
        }
    }
}

/// What an acceptance says beside its empty list tells strangers which logins exist, so it is always the documented `false`, from the first
/// answer on, whoever comes first.
#[tokio::test]
async fn an_acceptance_always_says_false_unless_replies_are_faithful() {
    let accepted = r#"{"Errors":[],"IsSucceed":true}"#;
    for (answers, expected) in [
        (Answers::Uniform, r#"{"Errors":[],"IsSucceed":false}"#),
        (Answers::Decoy, r#"{"Errors":[],"IsSucceed":false}"#),
        (Answers::Faithful, accepted),
    ] {
        let upstream = Upstream::json(200, accepted);
        let app = TestApp::quick(&client(&upstream.base_url()), |config| config.flow.answers = answers);
        for _ in 0..2 {
            assert_eq!(app.documented(0).await.body, expected, "{answers:?}");
        }
    }
}

/// The documented token comes as one of the gateway's own, which holds it.
#[tokio::test]
async fn the_documented_token_is_sealed() {
    let upstream = Upstream::json(200, DOCUMENTED_TOKEN);
    let app = TestApp::new(&upstream.base_url());
    let answered = app.documented(2).await;
    assert!(!answered.body.contains("ba6b8cac"));
    let expected = format!(r#"{{"Model":"{}","Errors":[],"IsSucceed":true}}"#, answered.model());
    assert_eq!(answered.body, expected);
    let token = app.seals.open_token(&answered.model()).unwrap();
    assert_eq!(token.token.expose(), "ba6b8cac-6738-4434-bd26-825db020a05c");
}

#[tokio::test]
async fn an_answer_is_written_exactly_however_loosely_it_came() {
    for (index, came, written) in [
        (0, r#"{"IsSucceed": false}"#, r#"{"Errors":[],"IsSucceed":false}"#),
        (
            0,
            r#"{"ErrorsCode": null, "Model": null, "Errors": null, "StatusCode": "OK", "IsSucceed": true}"#,
            r#"{"Errors":[],"IsSucceed":true}"#,
        ),
        (1, r#"{"Model": null, "IsSucceed": true}"#, r#"{"Model":"","Errors":[],"IsSucceed":true}"#),
        (
            2,
            r#"{"Model": "string", "Errors": ["string"], "ErrorsCode": ["string"], "StatusCode": "Continue", "IsSucceed": true}"#,
            r#"{"Errors":["string"],"ErrorsCode":["string"],"IsSucceed":false}"#,
        ),
    ] {
        let upstream = Upstream::json(200, came);
        let app =
            TestApp::quick(&client(&upstream.base_url()), |config| config.flow.answers = Answers::Faithful);
        assert_eq!(app.documented(index).await.body, written);
    }
}

#[tokio::test]
async fn the_documented_requests_arrive_byte_for_byte() {
    for (index, line) in [
        (0, "POST /api/v1.0/users/password/reset HTTP/1.1\r\n"),
        (1, "GET /api/v1.0/users/password/secret-question?username=hello%40autoshares.com HTTP/1.1\r\n"),
        (2, "POST /api/v1.0/users/password/reset/code HTTP/1.1\r\n"),
        (3, "PUT /api/v1.0/users/passwords/reset/ HTTP/1.1\r\n"),
    ] {
        let upstream = Upstream::json(200, r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#);
        TestApp::new(&upstream.base_url()).documented(index).await;
        let requests = upstream.requests();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].starts_with(line), "{}", requests[0]);
        let (_, body) = requests[0].split_once("\r\n\r\n").unwrap();
        // The samples are printed with spaces; on the wire there are none.
        assert_eq!(body, DOCUMENTED[index].2.replace(": ", ":").replace(", ", ","));
    }
}

#[tokio::test]
async fn a_login_goes_on_as_typed() {
    let upstream = Upstream::json(200, r#"{"Errors": [], "IsSucceed": false}"#);
    let app = TestApp::new(&upstream.base_url());
    app.post(RESET, r#"{"User": " Robert.Zak\u0040x  ", "Unknown": {"a": [null]}}"#).await;
    assert!(upstream.requests()[0].ends_with(r#"{"User":" Robert.Zak@x  "}"#));
    let handle = app.handle("Jürgen a+b&c=d", Stage::QUESTION).await;
    app.step(&handle, &format!("{QUESTION}?other=1&username=J%C3%BCrgen+a%2Bb%26c%3Dd"), "").await;
    assert!(upstream.requests()[1].contains("?username=J%C3%BCrgen+a%2Bb%26c%3Dd HTTP"));
}

#[tokio::test]
async fn a_trader_resets_a_password() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::with(&sandbox.client(), false);

    let refused = app.post(RESET, r#"{"User": "robert.zak"}"#).await;
    assert_eq!(refused.body, REFUSED);
    let question = app.step(&refused.handle(), &format!("{QUESTION}?username=robert.zak"), "").await;
    assert_eq!(question.body, QUESTION_ANSWER);
    let answered = r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#;
    let asked = app.step(&refused.handle(), RESET, answered).await;
    assert_eq!(asked.body, r#"{"Errors":[],"IsSucceed":false}"#);

    let mail = sandbox.outbox().pop().unwrap().code;
    let token = app.step(&asked.handle(), CODE, code(&mail)).await.model();
    // Without the trailing slash.
    let headers = [JSON, ("reset-flow", &*asked.handle())];
    let target = PASSWORD.trim_end_matches('/');
    let set = app.send(Method::PUT, target, &headers, update(&token, "new-password")).await;
    assert_eq!(set.body, r#"{"Errors":[],"IsSucceed":true}"#);
    assert_eq!(sandbox.password_of("robert.zak").as_deref(), Some("new-password"));
}
