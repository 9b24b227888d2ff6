//! What answers tell strangers about which logins exist: nothing, in bytes or in time.

use std::time::{Duration, Instant};

use autoshares_gateway::{
    config::{Answers, Binding},
    flow::Stage,
};
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox, Shape, Trader},
};
use axum::http::Method;

use crate::{
    support::{Answered, CODE, JSON, KEY, QUESTION, RESET, TestApp, WRONG, ample, client, code, impatient},
    upstream::{Upstream, response},
};

const ACCEPTED: &str = r#"{"Errors": [], "IsSucceed": false}"#;
const REFUSED: &str = r#"{"Errors": ["User is not found."], "ErrorsCode": ["NotFound"], "IsSucceed": false}"#;
const WRONG_ANSWER: &str = r#"{"Errors":["Answer is incorrect, try again."],"ErrorsCode":["ErrorIncorrectAnswer"],"IsSucceed":false}"#;

fn reset(login: &str) -> String {
    format!(r#"{{"User": "{login}"}}"#)
}

/// Everything that a stranger sees, without what is random: the sealed values count by their length.
fn seen(answered: &Answered) -> String {
    let handle = answered.handle();
    let headers: Vec<_> = answered
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| {
            format!("{name}: {}", value.to_str().unwrap().replace(&handle, &"x".repeat(handle.len())))
        })
        .collect();
    format!("{}\n{}\n{}", answered.status, headers.join("\n"), answered.body)
}

/// E1, and E3 with it: whatever Autoshares makes of a login, and whether or not it is asked.
#[tokio::test]
async fn step_1_looks_the_same_whatever_the_login_is() {
    // Whoever comes first after a start is not known by it, whatever an acceptance says.
    for (flag, first) in [(false, "exists"), (false, "unknown"), (true, "exists"), (true, "unknown")] {
        let accepted = format!(r#"{{"Errors": [], "IsSucceed": {flag}}}"#);
        let upstream = Upstream::deciding(move |request| {
            let refused = |status| response(status, &[], REFUSED);
            match request.rsplit_once("User\":\"").and_then(|(_, login)| login.split('"').next()) {
                Some("exists" | "suppressed") => response(200, &[], &accepted),
                Some("unknown") => refused(200),
                Some("disabled") => response(200, &[], r#"{"Errors": ["Locked."], "IsSucceed": true}"#),
                Some("refused-400") => refused(400),
                Some("refused-403") => refused(403),
                Some("refused-500") => refused(500),
                Some("invalid") => response(400, &[], r#"{"Message": "The request is invalid."}"#),
                Some("not-valid") => {
                    response(422, &[], r#"{"Message": "no", "ModelState": {"User": ["is odd"]}}"#)
                }
                // Once Autoshares has answered, these are not the address of the installation any more.
                Some("not-there") => response(404, &[], r#"{"Message": "No user was found."}"#),
                Some("not-so") => response(405, &[], ""),
                other => panic!("{other:?}"),
            }
        });
        let app = TestApp::guarded(&client(&upstream.base_url()), |config| {
            config.limits.resets_per_address = vec!["100/h".parse().unwrap()];
            config.limits.logins_per_address = vec!["100/h".parse().unwrap()];
        });
        let ask = async |login: &str| seen(&app.send(Method::POST, RESET, &[JSON], reset(login)).await);
        let genuine = ask(first).await;
        assert!(genuine.contains(r#"{"Errors":[],"IsSucceed":false}"#), "{genuine}");
        for login in [
            "exists",
            "unknown",
            "disabled",
            "refused-400",
            "refused-403",
            "refused-500",
            "invalid",
            "not-valid",
            "not-there",
            "not-so",
            "suppressed",
            "suppressed",
            "suppressed",
        ] {
            assert_eq!(ask(login).await, genuine, "{login}");
        }
        // E3: over its budget nothing is forwarded, and nothing else changes.
        let before = upstream.requests().len();
        for _ in 0..3 {
            assert_eq!(ask("suppressed").await, genuine);
        }
        assert_eq!(upstream.requests().len(), before);
    }
}

#[tokio::test]
async fn the_fourth_reset_in_an_hour_looks_like_the_first_and_sends_no_mail() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |_| {});
    let first = seen(&app.send(Method::POST, RESET, &[JSON], reset("anna.lee")).await);
    for _ in 0..5 {
        assert_eq!(seen(&app.send(Method::POST, RESET, &[JSON], reset("anna.lee")).await), first);
    }
    assert_eq!(sandbox.calls(Operation::RequestReset), 3);
    assert_eq!(sandbox.outbox().len(), 3);
}

/// E4.
#[tokio::test]
async fn spellings_of_a_login_share_one_budget_and_go_on_as_typed() {
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::guarded(&client(&upstream.base_url()), |_| {});
    for spelling in [
        " Robert.Zak ",
        "ROBERT.ZAK",
        "ｒｏｂｅｒｔ．ｚａｋ",
        "robert.zak",
        "Robert.zaK",
        "röbert.zak😀",
        "robert.zak\u{2800}",
    ] {
        app.send(Method::POST, RESET, &[JSON], reset(spelling)).await;
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[0].ends_with(r#"{"User":" Robert.Zak "}"#) && requests[2].contains("ｒｏｂｅｒｔ．ｚａｋ")
    );
}

/// What one database takes for the login and another one for a second login is charged to both.
#[tokio::test]
async fn spellings_that_databases_read_differently_use_up_each_reading() {
    let upstream = Upstream::json(200, ACCEPTED);
    let app = TestApp::guarded(&client(&upstream.base_url()), |_| {});
    for spelling in ["robert.zakᵃ", "robert.zakᵃᵃ", "robert.zak", "robert.zakᵃᵃᵃ", "robert.zakș"]
    {
        app.send(Method::POST, RESET, &[JSON], reset(spelling)).await;
    }
    assert_eq!(upstream.requests().len(), 3);
    for spelling in ["robert.zaka", "robert.zaka", "robert.zaka"] {
        app.send(Method::POST, RESET, &[JSON], reset(spelling)).await;
    }
    assert_eq!(upstream.requests().len(), 5, "the first spelling was a mail to `robert.zaka` too");
}

/// The exception: whoever has a question must be told, and may be told often, for no mail is sent.
#[tokio::test]
async fn a_wrong_answer_is_told_and_costs_no_mail() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.limits.resets_per_address = vec!["100/h".parse().unwrap()];
    });
    let ask = async |body: &str| app.send(Method::POST, RESET, &[JSON], body.to_owned()).await;
    for _ in 0..6 {
        assert_eq!(ask(r#"{"User": "robert.zak"}"#).await.body, WRONG_ANSWER);
    }
    // Three answers an hour are forwarded; the fourth only looks wrong, though it is right.
    let genuine = seen(&ask(r#"{"User": "robert.zak", "SecretQuestionAnswer": "wrong"}"#).await);
    for answer in ["wrong", "wrong"] {
        ask(&format!(r#"{{"User": "robert.zak", "SecretQuestionAnswer": "{answer}"}}"#)).await;
    }
    let before = sandbox.calls(Operation::RequestReset);
    let over = ask(r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#).await;
    assert_eq!(seen(&over), genuine);
    assert_eq!((sandbox.calls(Operation::RequestReset), sandbox.outbox().len()), (before, 0));
    // The way on is the same too: its question can be fetched.
    let question = app.step(&over.handle(), &format!("{QUESTION}?username=robert.zak"), "").await;
    assert!(question.body.contains("third grade"), "{question:?}");
}

/// What Autoshares says may be about one trader, so it is not said to another, nor does it tell an answer that was not forwarded.
#[tokio::test]
async fn a_wrong_answer_is_refused_in_the_documented_words() {
    let own =
        r#"{"Errors":["Wrong, Robert. 2 left."],"ErrorsCode":["ErrorIncorrectAnswer"],"IsSucceed":false}"#;
    let upstream = Upstream::json(200, own);
    let app = TestApp::guarded(&client(&upstream.base_url()), |_| {});
    for _ in 0..5 {
        let body = r#"{"User": "robert.zak", "SecretQuestionAnswer": "wrong"}"#;
        assert_eq!(app.post(RESET, body).await.body, WRONG_ANSWER);
    }
    assert_eq!(upstream.requests().len(), 3);
    let app = TestApp::quick(&client(&upstream.base_url()), |config| config.flow.answers = Answers::Faithful);
    assert_eq!(app.documented(0).await.body, own);
}

/// C3: no code goes on from a flow for which none was sent, and nobody can tell.
#[tokio::test]
async fn a_dead_flow_looks_like_a_live_one_and_forwards_nothing() {
    const FLOOR: Duration = Duration::from_millis(250);
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.flow.floor = FLOOR;
        config.limits.codes_per_address = vec!["100/h".parse().unwrap()];
    });
    let live = app.send(Method::POST, RESET, &[JSON], reset("anna.lee")).await;
    let dead = app.send(Method::POST, RESET, &[JSON], reset("nobody")).await;
    assert_eq!(seen(&live), seen(&dead));
    for guess in 0..8 {
        let body = code(&format!("{guess:06}"));
        let started = Instant::now();
        let one = app.step(&live.handle(), CODE, body.clone()).await;
        let took = started.elapsed();
        let started = Instant::now();
        let other = app.step(&dead.handle(), CODE, body).await;
        assert!(took >= FLOOR && started.elapsed() >= FLOOR);
        assert_eq!((one.status, &one.body), (other.status, &other.body));
        assert_eq!(one.body, r#"{"Errors":["Confirmation code is incorrect."],"IsSucceed":false}"#);
        let names =
            |answered: &Answered| answered.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other));
    }
    // Five tries of the live one; the rest, and all of the dead one, went nowhere.
    assert_eq!(sandbox.calls(Operation::RedeemCode), 5);
}

#[tokio::test]
async fn a_wrong_code_is_refused_in_one_way_whatever_autoshares_says() {
    for (status, body) in [
        (
            200,
            r#"{"Errors": ["Code has expired for robert.zak."], "ErrorsCode": ["Expired"], "IsSucceed": false}"#,
        ),
        (400, r#"{"Errors": [], "IsSucceed": false}"#),
        (422, r#"{"Message": "no", "ModelState": {"Code": ["is odd"]}}"#),
        (422, r#"{"Message": "no", "ModelState": {"Code": ["of robert.zak has expired"]}}"#),
        (400, r#"{"Message": "The request is invalid."}"#),
    ] {
        let upstream = Upstream::json(status, body);
        let answered = TestApp::new(&upstream.base_url()).documented(2).await;
        assert_eq!(
            answered.body, r#"{"Errors":["Confirmation code is incorrect."],"IsSucceed":false}"#,
            "{body}"
        );
        assert_eq!(answered.status, 200);
    }
}

/// Not even an outage tells a flow with a code from one without.
#[tokio::test]
async fn a_dead_flow_fails_as_a_live_one_does() {
    let sandbox = Sandbox::start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.flow.floor = Duration::ZERO;
        config.limits.codes_per_flow = 100;
        config.limits.codes_per_address = vec!["1000/h".parse().unwrap()];
    });
    let live = app.send(Method::POST, RESET, &[JSON], reset("anna.lee")).await.handle();
    let dead = app.send(Method::POST, RESET, &[JSON], reset("nobody")).await.handle();
    for (number, fault) in [
        Fault::HangUp,
        Fault::Answer(500, Shape::ServerFailed),
        Fault::Html(429),
        Fault::Answer(404, Shape::Empty),
        Fault::KeyRejected,
        Fault::Raw(403, vec![], r#"{"Message": "no"}"#.to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.fail(Operation::RedeemCode, fault.clone());
        let mut answers = Vec::new();
        let calls = sandbox.calls(Operation::RedeemCode);
        for handle in [&live, &dead, &live, &dead] {
            let digits = format!("{number}{:05}", answers.len());
            let answered = app.step(handle, CODE, code(&digits)).await;
            let id = answered.headers["x-request-id"].to_str().unwrap().to_owned();
            assert_eq!(answered.status, 503, "{fault:?}");
            let names: Vec<_> = answered.headers.keys().map(ToString::to_string).collect();
            answers.push((
                names,
                answered.headers.get("retry-after").cloned(),
                answered.body.replace(&id, ""),
            ));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{fault:?}: {answers:?}");
        assert_eq!(sandbox.calls(Operation::RedeemCode), calls + 1, "the first opens the breaker");
        sandbox.heal();
        app.recover().await;
        // What Autoshares failed to judge was not counted against anybody, and is judged now.
        for handle in [&live, &dead] {
            assert_eq!(app.step(handle, CODE, code(&format!("{number}00000"))).await.body, WRONG);
        }
    }
    // A refusal in a shape of its own is one.
    let refused =
        Fault::Raw(400, vec![], r#"{"Error": {"Code": "InvalidCode", "Message": "no"}}"#.to_owned());
    sandbox.fail(Operation::RedeemCode, refused);
    for handle in [&live, &dead] {
        assert_eq!(app.step(handle, CODE, code("999999")).await.body, WRONG);
    }
}

/// Step 2 answers for a login without a question as for one that does not exist, also where no handle is wanted.
#[tokio::test]
async fn the_question_of_nobody_is_none() {
    let sandbox = Sandbox::start().await.unwrap();
    for binding in [Binding::Prefer, Binding::Off, Binding::Required] {
        let app = TestApp::guarded(&sandbox.client(), |config| {
            config.flow.floor = Duration::from_millis(20);
            config.flow.binding = binding;
        });
        let mut bodies = Vec::new();
        for login in ["anna.lee", "nobody"] {
            let started = Instant::now();
            let target = format!("{QUESTION}?username={login}");
            let answered = match binding {
                Binding::Required => app.step(&app.handle(login, Stage::QUESTION).await, &target, "").await,
                _ => app.send(Method::GET, &target, &[], "").await,
            };
            assert!(started.elapsed() >= Duration::from_millis(20));
            bodies.push((answered.status, answered.body));
        }
        assert_eq!(bodies[0], bodies[1]);
        assert_eq!(bodies[0].1, r#"{"Model":"","Errors":[],"IsSucceed":true}"#);
    }
}

/// E2: an existing login, for which a mail is sent, takes longer than an unknown one. Interleaved, over a real clock.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_answer_does_not_tell() {
    const FLOOR: Duration = Duration::from_millis(30);
    let upstream = Upstream::deciding(|request| {
        let exists = request.contains("exists");
        std::thread::sleep(Duration::from_millis(if exists { 15 } else { 2 }));
        response(200, &[], if exists { ACCEPTED } else { REFUSED })
    });
    let app = TestApp::guarded(&client(&upstream.base_url()), |config| {
        config.flow.floor = FLOOR;
        config.limits.resets_per_address = ample();
        config.limits.resets = ample();
        config.limits.resets_per_login = ample();
    });
    let time = async |login: &str| {
        let started = Instant::now();
        app.send(Method::POST, RESET, &[JSON], reset(login)).await;
        started.elapsed()
    };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        known.push(time("exists").await);
        unknown.push(time("nobody").await);
    }
    assert!(known.iter().chain(&unknown).all(|took| *took >= FLOOR));
    known.sort();
    unknown.sort();
    let (known, unknown) = (known[100], unknown[100]);
    // A busy machine wakes both late, and not equally late: 4 ms apart when it is 6 ms late. Times that tell are 13 ms apart.
    let late = known.min(unknown) - FLOOR;
    assert!(known.abs_diff(unknown) < Duration::from_millis(2) + late, "medians {known:?} and {unknown:?}");
}

/// A login that is over its budget is not asked about, and takes as long as if it were; so does a code that is not forwarded.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_forwarded_takes_as_long_as_what_is() {
    // Long beside what a busy machine adds to a time.
    const FLOOR: Duration = Duration::from_millis(500);
    let upstream = Upstream::deciding(|request| {
        let is_code = request.contains("/code");
        std::thread::sleep(if is_code { FLOOR * 5 / 4 } else { FLOOR * 3 });
        let refused = r#"{"Errors": ["Confirmation code is incorrect."], "IsSucceed": false}"#;
        response(200, &[], if is_code { refused } else { ACCEPTED })
    });
    let app = TestApp::guarded(&client(&upstream.base_url()), |config| {
        config.flow.floor = FLOOR;
    });
    let time = async |handle: &str, target: &str, body: String| {
        let started = Instant::now();
        app.step(handle, target, body).await;
        started.elapsed()
    };
    // Step 1 is answered at the floor, whether or not Autoshares has answered.
    for _ in 0..4 {
        let took = time("", RESET, reset("exists")).await;
        assert!((FLOOR..FLOOR * 2).contains(&took), "{took:?}");
    }
    assert_eq!(upstream.requests().len(), 3, "the fourth was not forwarded");

    let (live, dead) = (app.handle("exists", Stage::LIVE).await, app.handle("nobody", Stage::DEAD).await);
    let took = time(&live, CODE, code("123456")).await;
    assert!((FLOOR * 2..FLOOR * 4).contains(&took), "the next level: {took:?}");
    app.clock.advance(Duration::from_secs(60));
    let took = time(&dead, CODE, code("123456")).await;
    assert!((FLOOR * 2..FLOOR * 4).contains(&took), "a quiet minute later: {took:?}");
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn faithful_answers_are_relayed() {
    let upstream = Upstream::json(200, REFUSED);
    let app = TestApp::guarded(&client(&upstream.base_url()), |config| {
        config.flow.answers = Answers::Faithful;
    });
    let answered = app.post(RESET, r#"{"User": "nobody"}"#).await;
    assert_eq!(
        answered.body,
        r#"{"Errors":["User is not found."],"ErrorsCode":["NotFound"],"IsSucceed":false}"#
    );
    // A flow all the same, as after every answered step 1; its codes go nowhere.
    assert_eq!(app.redeem(&answered.handle(), "123456").await.body, WRONG);
    assert_eq!(upstream.requests().len(), 1);
}

/// Having a question tells nothing when some that do not exist have one as well, always the same.
#[tokio::test]
async fn decoys_have_a_question_of_their_own_and_keep_it() {
    let sandbox =
        Sandbox::builder().trader(Trader::new("real").question("Real question?", "x")).start().await.unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| {
        config.flow.answers = Answers::Decoy;
        config.flow.decoy_questions =
            ["First pet?", "First car?", "Where were you born?"].map(str::to_owned).into();
        config.flow.floor = Duration::ZERO;
        config.limits.resets_per_address = vec!["1000/s".parse().unwrap()];
        config.limits.logins_per_address = vec!["1000/s".parse().unwrap()];
    });
    let ask = async |login: &str, answer: &str| {
        let body = format!(r#"{{"User": "{login}"{answer}}}"#);
        app.send(Method::POST, RESET, &[JSON], body).await
    };
    let genuine = ask("real", "").await;
    let (mut with, mut questions) = (Vec::new(), std::collections::BTreeSet::new());
    for index in 0..100 {
        let login = format!("nobody-{index}");
        let answered = ask(&login, "").await;
        if answered.body != WRONG_ANSWER {
            continue;
        }
        assert_eq!(seen(&answered), seen(&genuine));
        let question = app.step(&answered.handle(), &format!("{QUESTION}?username={login}"), "").await;
        questions.insert(question.model());
        with.push((login, question.body));
    }
    assert!((25..75).contains(&with.len()), "about half of them: {}", with.len());
    assert!(questions.len() > 2, "{questions:?}");
    // A decoy fails as a real one does.
    let answered = ask(&with[0].0, "").await;
    sandbox.fail(Operation::FetchQuestion, Fault::Answer(500, Shape::ServerFailed));
    let target = format!("{QUESTION}?username={}", with[0].0);
    app.step(&answered.handle(), &target, "").await.problem(502, "upstream-failed");
    sandbox.heal();
    // A real login without a question has none, also where no handle is wanted.
    let lane = TestApp::guarded(&sandbox.client(), |config| {
        config.flow.answers = Answers::Decoy;
        config.flow.decoy_questions =
            ["First pet?", "First car?", "Where were you born?"].map(str::to_owned).into();
        config.flow.decoy_share = 1.0;
        config.flow.binding = Binding::Off;
        config.flow.floor = Duration::from_millis(1);
    });
    let none = lane.send(Method::GET, &format!("{QUESTION}?username=anna.lee"), &[], "").await;
    assert_eq!(none.model(), "");
    // Again and with an answer: as often as a real one, and the same question.
    for (login, question) in &with[..5] {
        for _ in 0..2 {
            assert_eq!(ask(login, "").await.body, WRONG_ANSWER);
        }
        let answered = ask(login, r#", "SecretQuestionAnswer": "guess""#).await;
        assert_eq!(seen(&answered), seen(&genuine));
        let again = app.step(&answered.handle(), &format!("{QUESTION}?username={login}"), "").await;
        assert_eq!(again.body, *question);
        // The stage of a decoy takes no code.
        app.step(&answered.handle(), CODE, code("123456")).await.problem(403, "flow-required");
        // Over its answers it looks like a real one that is over its own.
        for _ in 0..4 {
            let answered = ask(login, r#", "SecretQuestionAnswer": "guess""#).await;
            assert_eq!(seen(&answered), seen(&genuine));
            let again = app.step(&answered.handle(), &format!("{QUESTION}?username={login}"), "").await;
            assert_eq!(again.body, *question);
        }
    }
}

/// Where a mail may have gone out although no acceptance came, the problem carries a handle, and the code from the mail is taken.
#[tokio::test]
async fn a_code_that_may_have_been_sent_is_taken() {
    let sandbox = Sandbox::start().await.unwrap();
    for fault in [
        Fault::Answer(500, Shape::ServerFailed),
        Fault::Html(500),
        Fault::Html(502),
        Fault::Html(504),
        Fault::Raw(200, vec![], "<html>".to_owned()),
        Fault::Answer(204, Shape::Empty),
        Fault::Truncate,
        Fault::HangUp,
        Fault::Delay(Duration::from_secs(2)),
    ] {
        let app = TestApp::guarded(&impatient(&sandbox.base_url()), |config| {
            config.limits.resets_per_login = ample();
        });
        sandbox.set_app_key(KEY);
        sandbox.fail(Operation::RequestReset, fault.clone());
        let failed = app.post(RESET, r#"{"User": "anna.lee"}"#).await;
        assert!(failed.body.contains(r#""mayHaveBeenApplied":true"#), "{fault:?}: {failed:?}");
        assert!(failed.headers.contains_key("set-cookie"));
        sandbox.heal();
        // The mail that may be out, in the place of one that the sandbox does not send when it fails.
        app.post(RESET, r#"{"User": "anna.lee"}"#).await;
        let mail = sandbox.outbox().pop().unwrap().code;
        let redeemed = app.step(&failed.handle(), CODE, code(&mail)).await;
        assert!(redeemed.body.contains("\"Model\""), "{fault:?}: {redeemed:?}");
    }
}
