//! What a client gets on Autoshares' bad days: a problem in time, one attempt, and whether the call may have been applied.

use std::{
    io::Write,
    sync::Barrier,
    time::{Duration, Instant},
};

use autoshares_gateway::config::Answers;
use autoshares_sdk::{AppKey, Client};

use crate::{
    servers::PATIENCE,
    support::{Answered, DOCUMENTED, TestApp, client, impatient, until},
    upstream::{Upstream, response},
};

/// Far more than the deadline of the client, for a busy machine; without a deadline, a call takes as long as Autoshares is silent, a minute.
const IN_TIME: Duration = Duration::from_secs(10);

/// Every operation on one bad day. `applied` is for those that change something. Told faithfully: what uniform answers hide is tested
/// elsewhere.
async fn check(name: &str, upstream: &Upstream, status: u16, code: &str, applied: bool) {
    let app = faithful(upstream);
    for index in 0..DOCUMENTED.len() {
        let before = upstream.requests().len();
        let started = Instant::now();
        let answered = app.documented(index).await;
        assert!(started.elapsed() < IN_TIME, "{name}: {:?}", started.elapsed());
        let problem = answered.problem(status, code);
        let applied = applied && index != 1;
        assert_eq!(problem["mayHaveBeenApplied"] == true, applied, "{name}: {problem}");
        assert_eq!(problem.get("mayHaveBeenApplied").is_some(), applied);
        // A call that changes nothing is repeated when its connection breaks.
        let attempts = if index == 1 && code == "upstream-interrupted" { 2 } else { 1 };
        assert_eq!(upstream.requests().len() - before, attempts, "{name}");
    }
}

fn faithful(upstream: &Upstream) -> TestApp {
    TestApp::quick(&impatient(&upstream.base_url()), |config| config.flow.answers = Answers::Faithful)
}

#[tokio::test]
async fn nobody_listens() {
    let app = TestApp::new(&Upstream::nobody());
    for index in 0..DOCUMENTED.len() {
        let problem = app.documented(index).await.problem(503, "unavailable");
        assert_eq!(problem.get("mayHaveBeenApplied"), None);
    }
}

/// A connection that never comes about is no call that may have been applied, however short the deadline.
#[tokio::test]
async fn upstream_is_a_black_hole() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Nobody accepts, and the queue is full: further attempts are left without an answer.
    let _listener = socket.listen(1).unwrap();
    let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(tokio::net::TcpStream::connect(address))).collect();
    // The two that have room in the queue.
    until("a full queue", || waiting.iter().filter(|connecting| connecting.is_finished()).count() >= 2).await;

    let app = TestApp::quick(&impatient(&format!("http://{address}/api")), |_| {});
    for index in 0..DOCUMENTED.len() {
        let started = Instant::now();
        let problem = app.documented(index).await.problem(503, "unavailable");
        assert_eq!(problem.get("mayHaveBeenApplied"), None);
        assert!(started.elapsed() < IN_TIME);
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn upstream_is_silent_or_slow() {
    check("silence", &Upstream::silent(), 504, "upstream-timeout", true).await;
    check("drip", &Upstream::dripping(), 504, "upstream-timeout", true).await;
}

#[tokio::test]
async fn upstream_breaks_off() {
    check("hang up", &Upstream::hanging_up(), 502, "upstream-interrupted", true).await;
    check("cut", &Upstream::cut_off(), 502, "upstream-interrupted", true).await;
    check("reset", &Upstream::resetting(), 502, "upstream-interrupted", true).await;
}

#[tokio::test]
async fn upstream_answers_nonsense() {
    for (name, status, body, applied) in [
        ("HTML", 200, "<html><body>Welcome</body></html>", true),
        ("HTML of a firewall", 400, "<html><body>Bad Request</body></html>", false),
        ("truncated JSON", 200, r#"{"Errors": [], "IsSu"#, true),
        ("nothing", 200, "", true),
        ("no content", 204, "", true),
        ("other JSON", 200, r#"{"status": "up"}"#, true),
        ("the wrong type", 200, r#"{"Errors": {}, "IsSucceed": true}"#, true),
    ] {
        let upstream = Upstream::json(status, body);
        check(name, &upstream, 502, "upstream-unreadable", applied).await;
    }
    check("64 MiB", &Upstream::flooding(), 502, "upstream-unreadable", true).await;
}

#[tokio::test]
async fn upstream_refuses_outside_an_envelope() {
    for (status, body, applied) in [
        (
            500,
            r#"{"message": "An error occurred while processing your request", "error": "Unexpected server error"}"#,
            true,
        ),
        (400, r#"{"Message": "The request is invalid."}"#, false),
        // What a failing platform says without being asked for its documented shape.
        (500, r#"{"Message": "An error has occurred."}"#, true),
        (502, "<html><body>Bad Gateway</body></html>", true),
        (504, "", true),
        (200, r#"{"Message": "An error has occurred."}"#, true),
    ] {
        let upstream = Upstream::json(status, body);
        check(body, &upstream, 502, "upstream-failed", applied).await;
        let answered = faithful(&upstream).documented(0).await;
        for text in ["error has", "error occurred", "invalid.", "denied", "supported"] {
            assert!(!answered.body.contains(text), "{}", answered.body);
        }
    }
}

/// A failure of the platform's own is nobody's refusal: the same 503 for everybody, and nothing was done.
#[tokio::test]
async fn upstream_turns_everybody_away() {
    for (status, body) in [
        (401, r#"{"Message": "Authorization has been denied for this request."}"#),
        (403, r#"{"Message": "no"}"#),
        (404, r#"{"Message": "No HTTP resource was found that matches the request URI."}"#),
        (404, "<html><body>Not Found</body></html>"),
        (405, ""),
        (408, r#"{"Message": "no"}"#),
        (413, r#"{"Message": "no"}"#),
        (415, r#"{"Message": "no"}"#),
        (429, r#"{"Message": "API calls quota exceeded!"}"#),
        (503, "<html><body>Service Unavailable</body></html>"),
        (400, r#"{"Error": {"Code": "UnsupportedApiVersion", "Message": "not supported"}}"#),
    ] {
        let upstream = Upstream::json(status, body);
        check(body, &upstream, 503, "unavailable", false).await;
        let answered = faithful(&upstream).documented(0).await;
        for text in ["found", "denied", "quota", "supported"] {
            assert!(!answered.body.contains(text), "{}", answered.body);
        }
        assert!(!answered.headers.contains_key("reset-flow"));
    }
}

#[tokio::test]
async fn what_a_trader_can_mend_is_passed_on() {
    let body = r#"{"Message": "Validation error occured while processing entity", "ModelState": {"userPassword.OldPassword": ["Password is required"]}}"#;
    let upstream = Upstream::json(422, body);
    let answered = TestApp::new(&upstream.base_url()).documented(3).await;
    let problem = answered.problem(422, "validation-failed");
    assert_eq!(problem["Errors"], serde_json::json!(["Password is required"]));

    // Without a sentence there is nothing to pass on, and a problem always has something to show.
    for body in [r#"{"Message": "no", "ModelState": {"x": []}}"#, r#"{"Message": "no", "ModelState": null}"#]
    {
        let upstream = Upstream::json(422, body);
        TestApp::new(&upstream.base_url()).documented(3).await.problem(502, "upstream-failed");
    }
}

#[tokio::test]
async fn a_redirect_is_a_problem_and_goes_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Upstream::json(200, r#"{"Errors": [], "IsSucceed": false}"#);
        let location = format!("{}/v1.0/users/password/reset", elsewhere.base_url());
        let upstream = Upstream::answering(response(status, &[("Location", &location)], ""));
        check("redirect", &upstream, 502, "upstream-unreadable", true).await;
        assert_eq!(elsewhere.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_others() {
    // No call is answered before all three are here.
    let all_are_here = Barrier::new(3);
    let upstream = Upstream::doing(move |stream| {
        all_are_here.wait();
        let _ = stream.write_all(response(200, &[], r#"{"Errors": [], "IsSucceed": true}"#).as_bytes());
    });
    let app = TestApp::new(&upstream.base_url());
    let (one, two, three) = tokio::join!(app.documented(0), app.documented(3), app.documented(0));
    assert_eq!([one.status, two.status, three.status], [200, 200, 200]);
}

/// Autoshares' own word on when to come back reaches everybody, within reason: also those whose request was not forwarded.
#[tokio::test]
async fn the_time_that_autoshares_names_is_passed_on() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let wait =
        |answered: &Answered| answered.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
    let in_two_days = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(172_800));
    for (status, named, told) in [
        (429, "120", 115..=120),
        (503, "120", 115..=120),
        (429, "90000", 3595..=3600),
        (503, &*in_two_days, 3595..=3600),
        (429, "18446744073709551615", 3595..=3600),
        (503, "99999999999999999999999", 3595..=3600),
        (429, "119.5", 115..=120),
        (503, "60, 120", 115..=120),
        (429, "0", 1..=30),
        (503, past, 1..=30),
        (503, "soon", 1..=30),
    ] {
        let upstream =
            Upstream::answering(response(status, &[("Retry-After", named)], "<html>not now</html>"));
        for guarded in [true, false] {
            let app = TestApp::quick(&client(&upstream.base_url()), |config| config.limits.enabled = guarded);
            // Steps 1 and 2 learn of it from a probe, for it may have been meant for one login.
            let learned = async {
                while !told.contains(&wait(&app.documented(0).await)) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(PATIENCE, learned).await.expect("a probe to be told");
            for index in (0..DOCUMENTED.len()).chain(0..DOCUMENTED.len()) {
                let answered = app.documented(index).await;
                let problem = answered.problem(503, "unavailable");
                let wait = wait(&answered);
                assert!(told.contains(&wait), "{status} {named} {guarded} {index}: {wait} {problem}");
            }
        }
    }
    // What is said of one login stops nobody else for longer than it takes to look.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let upstream = Upstream::deciding(move |request| {
        if request.contains("throttled") {
            return response(429, &[("Retry-After", "3600")], "");
        }
        // The probe takes until it is let go.
        if request.contains("probe") {
            let _ = released.lock().unwrap().recv();
        }
        response(200, &[], r#"{"Errors": [], "IsSucceed": false}"#)
    });
    let key = AppKey::new("canary-key-5c1d").unwrap();
    let patient = Client::builder(upstream.base_url()).app_key(key).timeout(Duration::from_secs(60));
    let app = TestApp::quick(&patient.build().unwrap(), |config| config.limits.enabled = true);
    app.reset("throttled").await.problem(503, "unavailable");
    let meanwhile = app.reset("anna.lee").await;
    meanwhile.problem(503, "unavailable");
    assert!(wait(&meanwhile) <= 5, "{}", wait(&meanwhile));
    release.send(()).unwrap();
    let well = async {
        while app.reset("anna.lee").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, well).await.expect("the others go on");
    // Clients repeat what carries `Retry-After`, so a call that may have been applied gets none. The question changes nothing.
    let upstream = Upstream::answering(response(502, &[("Retry-After", "7")], ""));
    let app = faithful(&upstream);
    for (index, may_have_been_applied) in [(0, true), (1, false), (2, true), (3, true)] {
        let answered = app.documented(index).await;
        let problem = answered.problem(502, "upstream-failed");
        assert_eq!(problem["mayHaveBeenApplied"] == true, may_have_been_applied, "{index}");
        assert_eq!(answered.headers.contains_key("retry-after"), !may_have_been_applied, "{index}");
    }
}
