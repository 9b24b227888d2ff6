//! What the hosted page takes from whom, and what it gives away. `gateway/tests/page` has it in real browsers.

use std::time::{Duration, Instant};

use autoshares_gateway::{config::Config, flow::Purpose};
use autoshares_sdk::{
    Operation,
    sandbox::{Fault, Sandbox, Trader},
};
use axum::http::Method;
use url::form_urlencoded;

use crate::support::{Answered, ORIGIN, TestApp, on_sandbox};

const START: &str = "/password-reset";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const GOOD: &str = "green tea on the roof";

/// A browser with the page open: its cookies, and the token of the form that it shows.
struct Browser {
    app: TestApp,
    cookies: Vec<(String, String)>,
    form: String,
}

async fn browser(change: impl FnOnce(&mut Config)) -> (Sandbox, Browser) {
    let (sandbox, app) = on_sandbox(|config| {
        config.page.enabled = true;
        change(config);
    })
    .await;
    let mut browser = Browser { app, cookies: Vec::new(), form: String::new() };
    browser.open(START).await;
    (sandbox, browser)
}

impl Browser {
    fn keep(&mut self, answered: &Answered) {
        for cookie in answered.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !cookie.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if let Some((_, rest)) = answered.body.split_once("name=\"form\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.form);
        }
    }

    async fn open(&mut self, path: &str) -> Answered {
        let cookies = self.cookie();
        let answered = self.app.send(Method::GET, path, &[("cookie", &cookies)], "").await;
        self.keep(&answered);
        answered
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}; ")).collect()
    }

    /// Sends a form as a browser does, and follows to the next screen.
    async fn send(&mut self, path: &str, field: &str, text: &str) -> Answered {
        let body = body(&[("form", &self.form), (field, text)]);
        let cookies = self.cookie();
        let headers = [FORM, ("origin", ORIGIN), ("sec-fetch-site", "same-origin"), ("cookie", &cookies)];
        let answered = self.app.send(Method::POST, path, &headers, body).await;
        self.keep(&answered);
        if answered.status != 303 {
            return answered;
        }
        let next = answered.headers["location"].to_str().unwrap().to_owned();
        self.open(&next).await
    }

    async fn walk_to_password(&mut self, sandbox: &Sandbox) -> Answered {
        self.send(START, "login", "anna.lee").await;
        let code = sandbox.outbox().pop().unwrap().code;
        self.send("/password-reset/code", "code", &code).await
    }
}

fn body(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[tokio::test]
async fn a_trader_walks_through_and_the_token_stays_here() {
    let (sandbox, mut browser) = browser(|_| {}).await;
    let asked = browser.send(START, "login", "robert.zak").await;
    assert!(asked.body.contains("What street did you live on in third grade?"), "{}", asked.body);
    let sent = browser.send("/password-reset/question", "answer", "Peterson").await;
    assert!(sent.body.contains("Check your e-mail"), "{}", sent.body);
    let code = sandbox.outbox().pop().unwrap().code;
    let redeemed =
        browser.send("/password-reset/code", "code", &format!("{} {}", &code[..3], &code[3..])).await;
    assert!(redeemed.body.contains("Choose a new password"), "{}", redeemed.body);
    let done = browser.send("/password-reset/password", "password", GOOD).await;
    assert!(done.body.contains("Your password is set"), "{}", done.body);
    assert_eq!(sandbox.password_of("robert.zak").as_deref(), Some(GOOD));
    // One call for each step, and one for the question.
    assert_eq!(Operation::ALL.map(|operation| sandbox.calls(operation)), [2, 1, 1, 1]);
    let token = sandbox.received().pop().unwrap().body;
    let token =
        serde_json::from_str::<serde_json::Value>(&token).unwrap()["Token"].as_str().unwrap().to_owned();
    let state = &browser.cookies.iter().find(|(name, _)| name == "__Host-password-reset-page").unwrap().1;
    let state = browser.app.seals.open_text(Purpose::PageState, state).unwrap();
    let state = String::from_utf8(state).unwrap();
    assert!(state.contains(r#""is_done":true"#) && !state.contains("robert.zak"), "{state}");
    let seen = format!("{}{}{}{state}", redeemed.body, done.body, browser.cookie());
    assert!(!seen.contains(&token) && !seen.contains("sandbox-key"));
    assert_eq!(browser.cookies.len(), 1, "the handle is taken away: {:?}", browser.cookies);
}

/// A form of another site, of another browser or of nobody begins and drives nothing.
#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let (sandbox, mut browser) = browser(|config| {
        config.allowed_origins = vec!["https://www.example.com".to_owned()];
    })
    .await;
    let cookies = browser.cookie();
    let own = browser.form.clone();
    let foreign = {
        let other = browser.app.send(Method::GET, START, &[], "").await;
        let (_, rest) = other.body.split_once("name=\"form\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let good = [FORM, ("origin", ORIGIN), ("cookie", &*cookies)];
    let of = |headers: &[(&'static str, &'static str)]| [&[FORM, ("cookie", &*cookies)], headers].concat();
    for (headers, form) in [
        (of(&[("origin", "https://evil.example")]), &own),
        (of(&[("origin", "null")]), &own),
        // May call the API, and has no forms here.
        (of(&[("origin", "https://www.example.com")]), &own),
        (of(&[("origin", ORIGIN), ("origin", ORIGIN)]), &own),
        (of(&[("sec-fetch-site", "cross-site")]), &own),
        (of(&[("origin", ORIGIN), ("sec-fetch-site", "same-site")]), &own),
        (good.to_vec(), &foreign),
        (good.to_vec(), &String::new()),
        (good.to_vec(), &own[..own.len() - 1].to_owned()),
    ] {
        let text = body(&[("form", form), ("login", "anna.lee")]);
        let refused = browser.app.send(Method::POST, START, &headers, text).await;
        assert_eq!(refused.status, 403, "{headers:?}");
        assert!(refused.body.contains("This form came from another page"), "{}", refused.body);
    }
    assert_eq!(sandbox.received().len(), 0);
    let taken = browser.send(START, "login", "anna.lee").await;
    assert!(taken.body.contains("Check your e-mail"), "{}", taken.body);
}

#[tokio::test]
async fn a_form_of_an_older_window_drives_no_newer_reset() {
    let (sandbox, mut browser) = browser(|_| {}).await;
    browser.send(START, "login", "anna.lee").await;
    let older = browser.form.clone();
    browser.open(START).await;
    browser.send(START, "login", "robert.zak").await;
    browser.form = older;
    let refused = browser.send("/password-reset/code", "code", "123456").await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("You have begun another reset since"), "{}", refused.body);
    assert_eq!(sandbox.calls(Operation::RedeemCode), 0);
}

/// Without the page's own cookie the first form ends before a mail is asked for.
#[tokio::test]
async fn a_browser_without_cookies_is_told_before_a_mail_is_sent() {
    let (sandbox, mut browser) = browser(|_| {}).await;
    browser.cookies.clear();
    let told = browser.send(START, "login", "anna.lee").await;
    assert_eq!(told.status, 403);
    assert!(told.body.contains("Your browser keeps no cookies"), "{}", told.body);
    assert_eq!(sandbox.received().len(), 0);
}

#[tokio::test]
async fn what_a_trader_can_mend_is_told_beside_the_field() {
    let (sandbox, mut browser) = browser(|_| {}).await;
    let empty = browser.send(START, "login", " ").await;
    assert_eq!(empty.status, 422);
    for part in [
        "<title>Error: Reset your password",
        "href=\"#login\"",
        "aria-invalid=\"true\"",
        "id=\"login-fault\"",
    ] {
        assert!(empty.body.contains(part), "{part}: {}", empty.body);
    }
    let malformed = browser.send(START, "login", "a\u{7}b<script>").await;
    assert_eq!(malformed.status, 400);
    assert!(malformed.body.contains("a\u{7}b&#60;script&#62;"), "what was typed is kept: {}", malformed.body);
    // Keyboards of phones add a blank after a word.
    browser.send(START, "login", "\u{200e} anna.lee ").await;
    assert_eq!(sandbox.outbox().len(), 1, "the login is asked for without its blanks");
    browser.open(START).await;
    browser.walk_to_password(&sandbox).await;
    for (password, status, told) in [
        ("", 422, "Enter a new password"),
        ("tea", 400, "Choose a password of 8 characters or more"),
        ("password1", 400, "one of the first that somebody would guess"),
        ("anna.lee-2026", 422, "little more than your login or our name"),
        (&"x".repeat(300), 400, "Choose a password of 256 characters or fewer"),
    ] {
        let refused = browser.send("/password-reset/password", "password", password).await;
        assert_eq!(refused.status, status, "{password}");
        assert!(
            refused.body.contains(told)
                && (password.is_empty() || !refused.body.contains(&format!("\"{password}"))),
            "{password}: {}",
            refused.body
        );
    }
    sandbox.fail_times(
        Operation::SetPassword,
        Fault::Refuse { errors: vec!["Used <before>.".into()], codes: vec![] },
        1,
    );
    let refused = browser.send("/password-reset/password", "password", GOOD).await;
    assert!(
        refused.body.contains(
            r#"The password was not accepted: <span lang="en" dir="auto">Used &#60;before&#62;.</span>"#
        ),
        "{}",
        refused.body
    );
    assert!(browser.send("/password-reset/password", "password", GOOD).await.body.contains("is set"));
}

/// The guard stands before the page as it stands before the API.
#[tokio::test]
async fn the_guard_counts_what_the_page_does() {
    let (sandbox, mut browser) = browser(|config| config.limits.codes_per_flow = 2).await;
    browser.send(START, "login", "anna.lee").await;
    for code in ["000001", "000002", "000003", "000004"] {
        let refused = browser.send("/password-reset/code", "code", code).await;
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains("This code is not right"), "{}", refused.body);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 2);
    // A login that nobody has looks the same, and its codes are never forwarded.
    browser.open(START).await;
    let sent = browser.send(START, "login", "nobody").await;
    assert!(sent.body.contains("Check your e-mail"), "{}", sent.body);
    browser.send("/password-reset/code", "code", "000005").await;
    assert_eq!(sandbox.calls(Operation::RedeemCode), 2);
}

#[tokio::test]
async fn every_reply_of_the_page_has_its_headers() {
    let (_sandbox, mut browser) = browser(|config| config.public_origin.https = true).await;
    for (path, status) in [(START, 200), ("/password-reset/code", 303), ("/password-reset/nowhere", 404)] {
        let reply = browser.open(path).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["x-frame-options"], "DENY");
        assert!(reply.headers.contains_key("strict-transport-security"));
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for cookie in reply.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let site = if cookie.starts_with("__Host-password-reset-page=") { "Lax" } else { "Strict" };
            assert!(cookie.ends_with(&format!("Path=/; Secure; HttpOnly; SameSite={site}")), "{cookie}");
        }
    }
    assert_eq!(browser.open(START).await.headers["referrer-policy"], "same-origin");
    let start = browser.open(START).await.body;
    let (_, rest) = start.split_once("/password-reset/style.css?").unwrap();
    let version = rest.split('"').next().unwrap();
    for (query, caching) in
        [(version, "public, max-age=31536000, immutable"), ("other", "no-cache"), ("", "no-cache")]
    {
        let style = browser.open(&format!("/password-reset/style.css?{query}")).await;
        assert_eq!(style.headers["cache-control"], caching, "{query}");
    }
    for (method, path) in [
        (Method::PUT, START),
        (Method::POST, "/password-reset/done"),
        (Method::DELETE, "/password-reset/code"),
    ] {
        let refused = browser.app.send(method, path, &[], "").await;
        assert_eq!(refused.status, 405);
        assert!(refused.headers.contains_key("allow") && refused.body.starts_with("<!doctype html>"));
    }
}

/// Two logins with a question in one browser: each gets its own.
#[tokio::test]
async fn a_question_is_shown_to_its_own_login() {
    let sandbox = Sandbox::builder()
        .trader(Trader::new("one").question("First car?", "x"))
        .trader(Trader::new("two").question("First pet?", "y"))
        .start()
        .await
        .unwrap();
    let app = TestApp::guarded(&sandbox.client(), |config| config.page.enabled = true);
    let mut browser = Browser { app, cookies: Vec::new(), form: String::new() };
    browser.open(START).await;
    for (login, question) in [("one", "First car?"), ("two", "First pet?"), ("one", "First car?")] {
        browser.open(START).await;
        let asked = browser.send(START, "login", login).await;
        assert!(asked.body.contains(question), "{login}: {}", asked.body);
    }
    // Back from the code to the question, which is still there.
    browser.send("/password-reset/question", "answer", "x").await;
    let back = browser.open("/password-reset/question").await;
    assert!(back.status == 200 && back.body.contains("First car?"), "{back:?}");
}

/// The page fetches the question after step 1, and its time is the question's alone: else the level of time would rise for everybody.
#[tokio::test]
async fn the_question_of_the_page_raises_no_level_of_time() {
    const FLOOR: Duration = Duration::from_secs(1);
    let (_sandbox, mut browser) = browser(|config| config.flow.floor = FLOOR).await;
    let asked = browser.send(START, "login", "robert.zak").await;
    assert!(asked.body.contains("third grade"), "{}", asked.body);
    let handle = browser.app.reset("robert.zak").await.handle();
    let began = Instant::now();
    browser.app.step(&handle, "/v1.0/users/password/secret-question?username=robert.zak", "").await.model();
    assert!(began.elapsed() < 2 * FLOOR, "{:?}", began.elapsed());
}

/// A state that does not open any more, as after a restart, is no sign that the browser keeps no cookies.
#[tokio::test]
async fn a_state_of_before_a_restart_has_ended() {
    let (sandbox, mut browser) = browser(|_| {}).await;
    browser.cookies = vec![("__Host-password-reset-page".to_owned(), "x".repeat(200))];
    let told = browser.send(START, "login", "anna.lee").await;
    assert!(told.status == 403 && told.body.contains("This reset has ended"), "{}", told.body);
    assert_eq!(sandbox.received().len(), 0);
}

/// On each screen that a flow stands behind, the trader gets its whole lifetime again: ten times, and not for ever.
#[tokio::test]
async fn a_trader_who_needs_longer_gets_more_time() {
    const MORE_TIME: &str = "/password-reset/more-time";
    let (sandbox, mut browser) = browser(|_| {}).await;
    let almost = Duration::from_secs(599);
    let asked = browser.send(START, "login", "robert.zak").await;
    assert!(asked.body.contains("This page works for 10 minutes."), "{}", asked.body);
    browser.app.clock.advance(almost);
    let late = browser.open("/password-reset/question").await;
    assert!(late.body.contains("This page works for 1 minute."), "{}", late.body);
    let more = browser.send(MORE_TIME, "screen", "/password-reset/question").await;
    for part in ["Your secret question", "third grade", "This page works for 10 minutes."] {
        assert!(more.body.contains(part), "{part}: {}", more.body);
    }
    browser.app.clock.advance(almost);
    browser.send("/password-reset/question", "answer", "Peterson").await;
    browser.app.clock.advance(almost);
    assert!(
        browser.send(MORE_TIME, "screen", "https://evil.example").await.body.contains("Check your e-mail")
    );
    browser.app.clock.advance(almost);
    let code = sandbox.outbox().pop().unwrap().code;
    browser.send("/password-reset/code", "code", &code).await;
    for _ in 0..8 {
        browser.app.clock.advance(almost);
        let more = browser.send(MORE_TIME, "screen", "/password-reset/password").await;
        assert!(more.body.contains("Choose a new password") && more.body.contains("10 minutes."), "{more:?}");
    }
    browser.app.clock.advance(almost);
    let no_more = browser.send(MORE_TIME, "screen", "/password-reset/password").await;
    for part in ["You cannot have more time.", "This page works for 1 minute."] {
        assert!(no_more.body.contains(part), "{part}: {}", no_more.body);
    }
    let done = browser.send("/password-reset/password", "password", GOOD).await;
    assert!(done.body.contains("Your password is set"), "{}", done.body);
    assert_eq!(Operation::ALL.map(|operation| sandbox.calls(operation)), [2, 1, 1, 1]);
}

/// More time is given to a flow that stands, and to nobody else.
#[tokio::test]
async fn a_flow_that_has_ended_gets_no_more_time() {
    const MORE_TIME: &str = "/password-reset/more-time";
    let (sandbox, mut browser) = browser(|_| {}).await;
    assert!(browser.send(MORE_TIME, "", "").await.body.contains("This reset has ended"));
    for login in ["anna.lee", "nobody"] {
        browser.open(START).await;
        browser.send(START, "login", login).await;
        browser.app.clock.advance(Duration::from_secs(601));
        let ended = browser.send(MORE_TIME, "", "").await;
        assert!(ended.status == 403 && ended.body.contains("This reset has ended"), "{ended:?}");
        let code = browser.send("/password-reset/code", "code", "123456").await;
        assert!(code.body.contains("This reset has ended"), "{}", code.body);
    }
    assert_eq!(sandbox.calls(Operation::RedeemCode), 0);
}

/// Switched off, there is nothing.
#[tokio::test]
async fn the_page_is_off_unless_it_is_switched_on() {
    let (_sandbox, app) = on_sandbox(|_| {}).await;
    for path in [START, "/password-reset/style.css", "/password-reset/code", "/"] {
        app.send(Method::GET, path, &[], "").await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn the_look_is_the_brokers() {
    let (_sandbox, mut browser) = browser(|config| {
        config.page.name = Some("Example & Sons".to_owned());
        config.page.support_url = Some("mailto:help@example.com".to_owned());
        config.page.privacy_url = Some("https://example.com/privacy".to_owned());
    })
    .await;
    let start = browser.open(START).await.body;
    for part in [
        "Reset your password – Example &#38; Sons</title>",
        "mailto:help@example.com",
        "https://example.com/privacy",
    ] {
        assert!(start.contains(part), "{part}: {start}");
    }
    assert!(!start.contains("en-XB"), "the pseudo-language is for `dev`");
}
