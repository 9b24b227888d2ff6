//! What a client gets for a request that is not the documented one: what to mend, and nothing is sent upstream.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use autoshares_gateway::flow::Stage;
use autoshares_sdk::sandbox::Sandbox;
use axum::{body::Body, http::Method};

use crate::{
    canary::holds,
    support::{CODE, DOCUMENTED, JSON, PASSWORD, QUESTION, RESET, TestApp, update},
    upstream::Upstream,
};

const TWICE: &str = "a member stands twice, and the case of its name makes no difference: send each once";

async fn app() -> (Sandbox, TestApp) {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::with(&sandbox.client(), false);
    (sandbox, app)
}

#[tokio::test]
async fn a_bad_body_is_told_what_to_mend() {
    let (sandbox, app) = app().await;
    let many = format!("{{\"User\": [{}1]}}", "1,".repeat(64));
    let deep = format!("{{\"User\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for (method, target, body, detail) in [
        (Method::POST, RESET, "", "the body is empty: send one JSON object"),
        (Method::POST, RESET, " \r\n", "the body is empty: send one JSON object"),
        (Method::POST, RESET, "{", "not valid JSON (line 1, column 1)"),
        (Method::POST, RESET, r#"{"User": "a"} x"#, "not valid JSON (line 1, column 15)"),
        (Method::POST, RESET, r#"{"User": "a"}{"User": "b"}"#, "not valid JSON"),
        (Method::POST, RESET, "\u{feff}\u{feff}{\"User\": \"a\"}", "not valid JSON"),
        (Method::POST, RESET, &deep, "the body holds more than any documented one: 64 values at most"),
        (Method::POST, RESET, &many, "the body holds more than any documented one"),
        (Method::POST, RESET, "[]", "send one JSON object, in braces (line 1, column 0)"),
        (Method::POST, RESET, "\"robert.zak\"", "send one JSON object, in braces"),
        (Method::POST, RESET, r#"{"User": "a", "User": "b"}"#, TWICE),
        (Method::POST, RESET, r#"{"User": "a", "\u0055ser": "b"}"#, TWICE),
        (Method::POST, RESET, r#"{"User": "a", "x": 1, "x": 1}"#, TWICE),
        (Method::POST, RESET, r#"{"User": "a\ud83d"}"#, "an escape in a string is half of a character"),
        (Method::POST, RESET, r#"{"User": "\ud83dx"}"#, "an escape in a string is half of a character"),
        (Method::POST, RESET, r#"{"User": "a", "x": 1e999}"#, "a number is too large (line 1, column"),
        (Method::POST, RESET, "{\"User\": \"a\nb\"}", "not valid JSON (line 2, column 0)"),
        (Method::POST, RESET, "{}", "`User` is missing: send the trader's login"),
        (Method::POST, RESET, r#"{"User": "a", "user": "a"}"#, TWICE),
        (Method::POST, RESET, r#"{"User": "a", "x": 1, "X": 1}"#, TWICE),
        (Method::POST, RESET, r#"{"Usr": "a"}"#, "`User` is missing"),
        (Method::POST, RESET, r#"{"User": 5}"#, "`User` is not a string"),
        (
            Method::PUT,
            PASSWORD,
            &format!(r#"{{"Token": "{}", "Password": "a", "PasswordConfirmation": "a"}}"#, "t".repeat(2049)),
            "`Token` is too long: send 2048 characters at most",
        ),
        (Method::PUT, PASSWORD, &update(" ", "password"), "`Token` is empty"),
        (Method::POST, RESET, r#"{"User": "a", "SecretQuestionAnswer": ["b"]}"#, "is not a string"),
        (
            Method::POST,
            CODE,
            r#"{"Code": 741175}"#,
            "`Code` is not a string: send the code from the e-mail in quotes",
        ),
        (Method::POST, CODE, r#"{"Cod": "741175"}"#, "`Code` is missing"),
        (Method::PUT, PASSWORD, r#"{"Password": "a", "PasswordConfirmation": "a"}"#, "`Token` is missing"),
        (Method::PUT, PASSWORD, r#"{"Token": "t", "PasswordConfirmation": "a"}"#, "`Password` is missing"),
        (Method::PUT, PASSWORD, r#"{"Token": "t", "Password": "a"}"#, "`PasswordConfirmation` is missing"),
    ] {
        let answered = app.send(method, target, &[JSON], body.to_owned()).await;
        let problem = answered.problem(400, "invalid-body");
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{body}: {told}");
        assert_eq!(problem["Errors"], serde_json::json!([PAGE]));
        assert!(!holds(&answered.body, "741175"), "a value is not repeated");
    }
    assert_eq!(sandbox.received().len(), 0);
}

/// The sentence for a trader who can mend nothing, because the page is wrong.
const PAGE: &str =
    "Something is wrong with this page, not with what you entered. Please tell the support of your broker.";

/// What a trader can mend has a code of its own, a plain sentence for the trader, and a detail for developers.
#[tokio::test]
async fn what_a_trader_can_mend_has_a_code_and_a_sentence() {
    let (sandbox, app) = app().await;
    let handle = app.handle("a", Stage::QUESTION).await;
    let user = |login: &str| serde_json::json!({"User": login}).to_string();
    let pasted = |code: &str| serde_json::json!({"Code": code}).to_string();
    let enter_login = "Please enter your login.";
    let odd_login = "This login holds a character that no login has. Please type it instead of pasting it.";
    let long_login = "This login is too long. Please check it.";
    let six_digits = "Please enter the 6 digits of the code from the e-mail.";
    let differ = "The two passwords are not the same. Please enter them again.";
    let short = "Please choose a password of at least 8 characters.";
    let long = "Please choose a password of at most 256 characters.";
    let question = |login: &str| format!("{QUESTION}?username={login}");
    let two = |one: &str, other: &str| {
        serde_json::json!({"Token": "t", "Password": one, "PasswordConfirmation": other}).to_string()
    };
    for (method, target, body, code, sentence) in [
        (Method::POST, RESET.to_owned(), user(""), "login-malformed", enter_login),
        (Method::POST, RESET.to_owned(), user(" "), "login-malformed", enter_login),
        (Method::POST, RESET.to_owned(), user("\u{200e} "), "login-malformed", enter_login),
        (Method::POST, RESET.to_owned(), user("rob\u{200b}ert"), "login-malformed", odd_login),
        (Method::POST, RESET.to_owned(), user(&"a".repeat(257)), "login-malformed", long_login),
        (
            Method::POST,
            RESET.to_owned(),
            serde_json::json!({"User": "a", "SecretQuestionAnswer": "é".repeat(257)}).to_string(),
            "answer-too-long",
            "This answer is too long. Please check it.",
        ),
        (Method::POST, CODE.to_owned(), pasted(""), "code-malformed", six_digits),
        (Method::POST, CODE.to_owned(), pasted("74117"), "code-malformed", six_digits),
        (Method::POST, CODE.to_owned(), pasted("7411755"), "code-malformed", six_digits),
        (Method::POST, CODE.to_owned(), pasted("74117S"), "code-malformed", six_digits),
        (Method::POST, CODE.to_owned(), pasted(&"1".repeat(65)), "code-malformed", six_digits),
        (Method::PUT, PASSWORD.to_owned(), two("", ""), "password-too-short", short),
        (Method::PUT, PASSWORD.to_owned(), two("1234567", "1234567"), "password-too-short", short),
        (Method::PUT, PASSWORD.to_owned(), two(&"p".repeat(257), ""), "password-too-long", long),
        (Method::PUT, PASSWORD.to_owned(), two("password-a", "password-b"), "passwords-differ", differ),
        (Method::PUT, PASSWORD.to_owned(), two("password-a", ""), "passwords-differ", differ),
        (Method::GET, question(""), String::new(), "login-malformed", enter_login),
        (Method::GET, question("%20"), String::new(), "login-malformed", enter_login),
        (Method::GET, question("a%00"), String::new(), "login-malformed", odd_login),
        (Method::GET, question(&"a".repeat(257)), String::new(), "login-malformed", long_login),
    ] {
        let answered = app.send(method, &target, &[JSON, ("reset-flow", &handle)], body.clone()).await;
        let problem = answered.problem(400, code);
        assert_eq!(problem["Errors"], serde_json::json!([sentence]), "{body}");
        assert!(problem["detail"].as_str().unwrap().contains('`'), "{problem}");
    }
    assert_eq!(sandbox.received().len(), 0);
}

/// Ruling 13: names in any case, and an answer that generated clients write as null or empty when there is none.
#[tokio::test]
async fn names_and_paths_are_read_in_any_case_and_go_out_as_documented() {
    let upstream = Upstream::json(200, r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#);
    let app = TestApp::new(&upstream.base_url());
    let documented = r#"{"User":"anna.lee"}"#;
    for (target, body, sent) in [
        (RESET, r#"{"user": "anna.lee"}"#, documented),
        (RESET, r#"{"USER": "anna.lee", "secretQuestionAnswer": null}"#, documented),
        (RESET, r#"{"uSER": "anna.lee", "SecretQuestionAnswer": ""}"#, documented),
        (
            RESET,
            r#"{"secretquestionanswer": "Peterson", "user": "anna.lee"}"#,
            r#"{"User":"anna.lee","SecretQuestionAnswer":"Peterson"}"#,
        ),
        ("/V1.0/Users/Password/Reset", r#"{"User": "anna.lee"}"#, documented),
        ("/v1.0/USERS/PASSWORD/RESET?X=Y", r#"{"User": "anna.lee"}"#, documented),
        ("/V1.0/users/password/Reset/Code", r#"{"code": "741175"}"#, r#"{"Code":"741175"}"#),
    ] {
        let live = app.handle("anna.lee", Stage::LIVE).await;
        let headers = [JSON, ("reset-flow", &*live)];
        let answered = app.send(Method::POST, target, &headers, body.to_owned()).await;
        assert_eq!(answered.status, 200, "{target} {body}: {}", answered.body);
        let request = upstream.requests().pop().unwrap();
        assert!(request.ends_with(sent), "{body}: {request}");
        assert!(request.starts_with("POST /api/v1.0/users/password/reset"), "{request}");
    }
    let handle = app.handle("anna.lee", Stage::QUESTION).await;
    for query in ["Username=anna.lee", "USERNAME=anna.lee"] {
        let target = format!("/V1.0/Users/Password/Secret-Question?{query}");
        let answered = app.step(&handle, &target, "").await;
        assert_eq!(answered.status, 200, "{}", answered.body);
        assert!(upstream.requests().pop().unwrap().contains("secret-question?username=anna.lee HTTP"));
    }
    let answered = app.send(Method::GET, "/DOCS", &[], "").await;
    assert_eq!((answered.status.as_u16(), answered.headers["x-request-id"].len()), (200, 36));
}

/// Codes as people paste them are one code: the same one again costs no try, however it is written.
#[tokio::test]
async fn a_code_is_forwarded_as_its_digits() {
    let upstream = Upstream::json(200, r#"{"Model": "x", "Errors": [], "IsSucceed": true}"#);
    let app = TestApp::new(&upstream.base_url());
    let handle = app.handle("anna.lee", Stage::LIVE).await;
    for pasted in ["741175 ", "741 175", "741-175", "７４１１７５", "\u{feff}741\u{200b}175"] {
        let body = serde_json::json!({"Code": pasted}).to_string();
        assert_eq!(app.step(&handle, CODE, body).await.status, 200, "{pasted:?}");
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1, "the same code in five spellings");
    assert!(requests[0].ends_with(r#"{"Code":"741175"}"#));
}

#[tokio::test]
async fn a_bad_query_is_told_what_to_mend() {
    let (sandbox, app) = app().await;
    for (query, detail) in [
        ("", "`username` is missing"),
        ("?", "`username` is missing"),
        ("?user=a", "`username` is missing"),
        ("?username=a&username=b", "`username` is given twice"),
        ("?username=a&UserName=b", "`username` is given twice"),
        ("?username=%ff", "`username` is not UTF-8"),
        (&format!("?{}username=a", "a&".repeat(32)), "there are too many parameters"),
        (&format!("?username=a&b={}", "%61".repeat(2000)), "the query is too long"),
    ] {
        let answered = app.send(Method::GET, &format!("{QUESTION}{query}"), &[], "").await;
        let problem = answered.problem(400, "invalid-query");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{query}: {problem}");
    }
    assert_eq!(sandbox.received().len(), 0);
}

#[tokio::test]
async fn only_json_in_utf_8_is_read() {
    let (sandbox, app) = app().await;
    let body = r#"{"User": "anna.lee"}"#;
    let long = format!("application/json;{}", "a=b;".repeat(100));
    let refused: [&[(&str, &str)]; 18] = [
        &[("content-type", &long)],
        &[("content-type", "application/json; charset=\"\"")],
        &[("content-type", "application/json; a=\"\\\"; charset=utf-8\"; charset=utf-16")],
        &[],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json; charset=utf-8; charset=utf-16")],
        &[("content-type", "application/json; version=1; CHARSET=\"ISO-8859-1\"")],
        &[("content-type", "text/html+json")],
        &[("content-type", "image/json")],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "*/*")],
        &[JSON, JSON],
        &[JSON, ("content-type", "text/plain")],
        &[JSON, ("content-encoding", "gzip")],
    ];
    for headers in refused {
        app.send(Method::POST, RESET, headers, body).await.problem(415, "unsupported-media-type");
    }
    assert_eq!(sandbox.received().len(), 0);
    for taken in [
        "application/json",
        "Application/JSON;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json; charset=utf8",
        "application/json;",
        "text/json",
        "text/json; charset=utf-8",
        "application/json ; charset=utf-8",
        "application/json;\tcharset=utf-8 ; version=1",
        "application/json;;charset=utf-8",
        "application/json; a=\"\\\"; charset=utf-16\"",
        "application/vnd.broker.v2+json",
        "application/problem+JSON",
        "application/json; version=1.0",
        "application/json;odata.metadata=minimal;IEEE754Compatible=true",
        "application/json; profile=\"https://broker.example/a;charset=utf-16\"; charset=utf-8",
        "application/json; title=\"José\"",
        "application/json; title*=UTF-8''Jos%E9; charset=utf-8",
    ] {
        let answered = app.send(Method::POST, RESET, &[("content-type", taken)], body).await;
        assert_eq!(answered.status, 200, "{taken}: {}", answered.body);
    }
    let plain = [JSON, ("content-encoding", "identity")];
    assert_eq!(app.send(Method::POST, RESET, &plain, body).await.status, 200);
    let latin = b"{\"User\": \"jos\xe9\"}".to_vec();
    let problem = app.send(Method::POST, RESET, &[JSON], latin).await.problem(400, "invalid-body");
    assert_eq!(problem["detail"], "the body is not UTF-8, after 13 good bytes");
}

/// What a trader may have typed too much of is told to the trader, and not as a fault of the page.
#[tokio::test]
async fn what_is_too_long_is_told_to_the_trader() {
    let (sandbox, app) = app().await;
    let said = |problem: &serde_json::Value| problem["Errors"][0].as_str().unwrap().to_owned();
    let long = "x".repeat(20_000);
    for (method, target, body) in [
        (Method::POST, RESET, format!(r#"{{"User": "{long}"}}"#)),
        (Method::POST, RESET, format!(r#"{{"User": "anna.lee", "SecretQuestionAnswer": "{long}"}}"#)),
        (Method::POST, CODE, format!(r#"{{"Code": "{long}"}}"#)),
        (Method::PUT, PASSWORD, update("token", &long)),
    ] {
        let problem = app.send(method, target, &[JSON], body).await.problem(413, "body-too-large");
        assert_eq!(said(&problem), "What you entered is too long. Please check it.");
    }
    for length in [257, 4_700, 15_000] {
        for name in ["username", "UserName"] {
            let target = format!("{QUESTION}?a=b&{name}={}", "x".repeat(length));
            let problem = app.send(Method::GET, &target, &[], "").await.problem(400, "login-malformed");
            assert_eq!(said(&problem), "This login is too long. Please check it.");
        }
    }
    let target = format!("{QUESTION}?username={}", "x".repeat(17_000));
    let problem = app.send(Method::GET, &target, &[], "").await.problem(431, "headers-too-large");
    assert_eq!(said(&problem), "This login is too long. Please check it.");
    let target = format!("{QUESTION}?username=anna.lee&{}", "x".repeat(5_000));
    app.send(Method::GET, &target, &[], "").await.problem(400, "invalid-query");
    assert_eq!(sandbox.received().len(), 0);
}

/// Ruling 12: what .NET writes in front of good JSON, and white space around it.
#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_read_over() {
    let (sandbox, app) = app().await;
    for body in ["\u{feff}{\"User\": \"anna.lee\"}", "\u{feff}\r\n {\"User\": \"anna.lee\"}\r\n"] {
        assert_eq!(app.send(Method::POST, RESET, &[JSON], body.to_owned()).await.status, 200);
    }
    assert_eq!(sandbox.outbox().len(), 2);
}

#[tokio::test]
async fn a_body_over_16_kib_is_refused_and_one_of_16_kib_read() {
    let (sandbox, app) = app().await;
    let padded = |size: usize| {
        let start = r#"{"User": "anna.lee", "x": ""#;
        format!("{start}{}\"}}", "x".repeat(size - start.len() - 2))
    };
    assert_eq!(app.send(Method::POST, RESET, &[JSON], padded(16 * 1024)).await.status, 200);
    assert_eq!(sandbox.received().len(), 1);
    app.send(Method::POST, RESET, &[JSON], padded(16 * 1024 + 1)).await.problem(413, "body-too-large");
    // Announced as more than is worth reading: refused at once, and the connection with it.
    let announced = [JSON, ("content-length", "2000000")];
    let answered = app.send(Method::POST, RESET, &announced, Body::empty()).await;
    answered.problem(413, "body-too-large");
    assert_eq!(answered.headers["connection"], "close");
    assert_eq!(sandbox.received().len(), 1);
}

/// A refusal leaves the connection ready for the next request, also when the body comes late, in chunks, or is far too large.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_break_the_connection() {
    let (sandbox, app) = app().await;
    let address = app.listen();
    let large = "x".repeat(600_000);
    for (line, headers, body, status) in [
        ("POST /nowhere", "Content-Type: application/json", "{}", 404),
        ("DELETE /docs", "Content-Type: application/json", "{}", 405),
        ("POST /v1.0/users/password/reset", "Content-Type: text/plain", "{}", 415),
        ("POST /v1.0/users/password/reset", "Content-Type: application/json", large.as_str(), 413),
        ("POST /nowhere", "Content-Type: application/json", large.as_str(), 413),
    ] {
        for chunked in [false, true] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let framing = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", body.len())
            };
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            let body =
                if chunked { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.to_owned() };
            stream.write_all(body.as_bytes()).unwrap();
            let mut answer = [0; 4096];
            let read = stream.read(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");

            stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut next = String::new();
            stream.read_to_string(&mut next).unwrap();
            assert!(next.starts_with("HTTP/1.1 200 "), "{line}: {next}");
        }
    }
    assert_eq!(sandbox.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_said_all_it_has_to_say_gets_its_answer() {
    let (_sandbox, app) = app().await;
    let mut stream = TcpStream::connect(app.listen()).unwrap();
    let body = r#"{"User": "anna.lee"}"#;
    let head = format!(
        "POST {RESET} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"Errors":[],"IsSucceed":false}"#), "{answer}");
}

/// Malformed framing is a problem like any other, and a body that breaks off is not called too large.
#[tokio::test(flavor = "multi_thread")]
async fn a_badly_framed_body_is_called_that() {
    let (sandbox, app) = app().await;
    let head = format!(
        "POST {RESET} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let answer = exchange(app.listen(), &(head + "zz\r\n{}\r\n0\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"invalid-body\""), "{answer}");
    assert_eq!(sandbox.received().len(), 0);
}

#[tokio::test]
async fn another_method_is_told_which_one() {
    let (sandbox, app) = app().await;
    for (right, target, body) in DOCUMENTED {
        let others = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"];
        for method in others.iter().filter(|method| **method != right.as_str()) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answered = app.send(method, target, &[JSON], body).await;
            assert_eq!(answered.status, 405);
            assert_eq!(answered.headers["allow"], right.as_str());
            // An answer to HEAD has no body.
            if !answered.body.is_empty() {
                answered.problem(405, "method-not-allowed");
            }
        }
    }
    for target in ["/docs", "/openapi.json", "/docs.css"] {
        app.send(Method::POST, target, &[], "").await.problem(405, "method-not-allowed");
        assert_eq!(app.send(Method::HEAD, target, &[], "").await.status, 200);
    }
    assert_eq!(sandbox.received().len(), 0);
}

#[tokio::test]
async fn there_is_nothing_at_any_other_path() {
    let (sandbox, app) = app().await;
    for target in [
        "/",
        "//",
        "/v1.0/users/password",
        "/v1.0/users/password/reset/",
        "//v1.0/users/password/reset",
        "/v1.0//users/password/reset",
        "/v1.0/users/password/reset/code/",
        "/v1.0/users/x/../password/reset",
        "/v1.0/users/x/..;/password/reset",
        "/v1.0/users/password;x=1/reset",
        "/v1.0/users%2Fpassword/reset",
        "/v1.0/users/password%2freset",
        "/v1.0/users/password/%72eset",
        "/v1.0/users/password/reset%00",
        "/V1.0/users/x/../password/Reset",
        "/V1.0/users%2Fpassword/reset",
        "/v1.1/users/password/reset",
        "/v2/users/password/reset",
        "/api/v1.0/users/password/reset",
        "/v1.0/users/identifiers/reset/code",
        "/metrics",
        "/livez",
        "/sandbox/outbox",
        "/favicon.ico",
    ] {
        let answered = app.send(Method::POST, target, &[JSON], r#"{"User": "anna.lee"}"#).await;
        answered.problem(404, "not-found");
    }
    assert_eq!(sandbox.received().len(), 0);
}

/// Whoever asks for much and reads nothing does not hold a connection for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_hung_up_on() {
    let (_sandbox, app) = app().await;
    let mut stream = TcpStream::connect(app.listen()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(700);
    // As much as it takes; the rest would have to wait for somebody to read.
    let _ = stream.write_all(&asked);
    tokio::time::sleep(Duration::from_secs(12)).await;
    // What is left in between is read, and then there is an end.
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut answers = Vec::new();
    let end = stream.read_to_end(&mut answers);
    let still_open = end.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock));
    assert!(!still_open && answers.len() < 700 * 20_000, "{} bytes", answers.len());
}

/// What the listener itself refuses, and the limit on the head, over a socket.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_16_kib_is_refused() {
    let (sandbox, app) = app().await;
    let address = app.listen();
    let with_header = |size: usize| {
        format!(
            "POST {RESET} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\nConnection: close\r\nX: {}\r\n\r\n{{\"User\": \"anna.lee\"}}",
            "x".repeat(size)
        )
    };
    assert!(exchange(address, &with_header(15 * 1024)).starts_with("HTTP/1.1 200"));
    let refused = exchange(address, &with_header(17 * 1024));
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    assert!(refused.contains("\"headers-too-large\""), "{refused}");
    // Many small ones are no reason for a bare answer.
    let many =
        format!("GET /docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", "a: b\r\n".repeat(300));
    assert!(exchange(address, &many).starts_with("HTTP/1.1 200"));
    // Beyond the listener's own limit nothing is parsed, so the answer is bare.
    let bare = exchange(address, &with_header(80 * 1024));
    assert!(bare.starts_with("HTTP/1.1 431") && !bare.contains("headers-too-large"), "{bare}");
    assert_eq!(sandbox.received().len(), 1);

    for garbage in
        ["POST / HTTP/1.1\r\nHost: x\r\nNo Colon\r\n\r\n", "\0\0\0\r\n\r\n", "GET /v1.0\0 HTTP/1.1\r\n\r\n"]
    {
        let answer = exchange(address, garbage);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(sandbox.received().len(), 1);
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // A refusal may come before everything is sent.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
