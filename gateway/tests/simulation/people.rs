//! Whoever uses the gateway in the simulation: a visitor sends requests from an address and keeps a handle; traders are visitors who want a
//! new password.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{body::to_bytes, response::Response};
use rand::{RngExt, rngs::StdRng};
use serde_json::Value;
use tokio::time::Instant;

use super::Scene;
use crate::{
    api,
    http::{
        caller::Caller,
        request_body::{CodeRedemption, PasswordUpdate, ResetRequest},
    },
    network::Networks,
    steps,
};
use autoshares_counting::Id;
use autoshares_sdk::Operation;

/// A request.
#[derive(Clone, Debug)]
pub enum Request {
    Reset { login: String, answer: Option<String> },
    Question { login: String },
    Code(String),
    Password { token: String },
}

/// What a visitor sees of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    /// Names and values, without what is random.
    pub headers: Vec<String>,
    pub body: String,
    pub took: Duration,
}

impl Seen {
    pub fn model(&self) -> Option<String> {
        serde_json::from_str::<Value>(&self.body).ok()?["Model"].as_str().map(str::to_owned)
    }

    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.iter().find_map(|header| header.strip_prefix("retry-after: "))?;
        value.parse().ok().map(Duration::from_secs)
    }

    pub fn needs_answer(&self) -> bool {
        self.body.contains("ErrorIncorrectAnswer")
    }

    pub fn is_wrong_code(&self) -> bool {
        self.body.contains("Confirmation code is incorrect")
    }
}

/// A client with an address and a handle.
#[derive(Clone)]
pub struct Visitor {
    pub scene: Arc<Scene>,
    pub address: IpAddr,
    pub handle: Option<String>,
    /// Its flow, and when it asked for the first time in it: mails since then hold codes for it.
    flow: Option<(Id, Instant)>,
    /// When its flow was begun or renewed.
    renewed: Option<Instant>,
}

impl Visitor {
    pub fn new(scene: &Arc<Scene>, address: IpAddr) -> Self {
        Self { scene: Arc::clone(scene), address, handle: None, flow: None, renewed: None }
    }

    /// Sends a request to one of the replicas.
    pub async fn send(&mut self, replica: usize, request: Request) -> Seen {
        let scene = Arc::clone(&self.scene);
        let steps = &scene.replicas[replica % scene.replicas.len()].steps;
        let started = scene.clock.now();
        let caller = Caller {
            networks: Networks::of(Some(self.address), steps.seals().ring()),
            handles: self.handle.iter().filter_map(|handle| steps.seals().open(handle)).collect(),
            sent_handle: self.handle.is_some(),
            started,
            request_id: None,
        };
        let operation = match &request {
            Request::Reset { .. } => Operation::RequestReset,
            Request::Question { .. } => Operation::FetchQuestion,
            Request::Code(_) => Operation::RedeemCode,
            Request::Password { .. } => Operation::SetPassword,
        };
        let refused = steps.refuse_unopened(&caller.networks, operation);
        let reply = match refused.and_then(|()| steps.refuse_unparsed(&caller, operation)) {
            Err(stop) => Err(stop),
            Ok(()) => match request {
                Request::Reset { login, answer } => {
                    let secret_question_answer = answer.map(Into::into);
                    let request = ResetRequest { user: login.into(), secret_question_answer };
                    steps::request_reset(steps, &caller, request).await
                }
                Request::Question { login } => steps::fetch_question(steps, &caller, login.into()).await,
                Request::Code(code) => {
                    steps::redeem_code(steps, &caller, CodeRedemption { code: code.into() }).await
                }
                Request::Password { token } => {
                    let password = || "a-new-password".into();
                    let (password, password_confirmation) = (password(), password());
                    let update = PasswordUpdate {
                        token: token.into(),
                        password,
                        password_confirmation,
                        least_strength: 0,
                    };
                    steps::set_password(steps, &caller, update).await
                }
            },
        };
        let response = match reply {
            Ok(reply) => api::respond(reply, scene.lifetime),
            Err(stop) => steps::report(steps, &caller, stop).await.render("simulated"),
        };
        let took = scene.clock.since(started);
        let seen = self.read(response, took).await;
        if let Some(handle) = self.handle.as_ref().and_then(|handle| steps.seals().open(handle))
            && self.flow.is_none_or(|(flow, _)| flow != handle.id)
        {
            self.flow = Some((handle.id, started));
        }
        if seen.headers.iter().any(|header| header.starts_with("reset-flow")) {
            self.renewed = Some(started);
        }
        seen
    }

    /// A code that the trader finds, and that was asked for in this flow.
    fn code_in_mailbox(&self, login: &str) -> Option<String> {
        let (_, began) = self.flow.filter(|_| self.handle.is_some())?;
        self.scene.platform.code_in_mailbox(login, began)
    }

    async fn read(&mut self, response: Response, took: Duration) -> Seen {
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let mut headers = Vec::new();
        for (name, value) in &head.headers {
            let value = value.to_str().unwrap();
            if name == "reset-flow" {
                headers.push(format!("reset-flow: {} characters", value.len()));
                self.handle = Some(value.to_owned());
            } else if name == "set-cookie" {
                headers.push(format!("set-cookie: {} characters", value.len()));
            } else {
                headers.push(format!("{name}: {value}"));
            }
        }
        Seen { status: head.status.as_u16(), headers, body: String::from_utf8(body.to_vec()).unwrap(), took }
    }
}

/// How a trader fared.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// How many steps the trader took, and how many of them the gateway refused although nothing was wrong with them.
    pub steps: u32,
    pub refused: u32,
    /// How often a right code looked wrong although nothing failed.
    pub betrayed: u32,
    /// How often a right code found no flow, within the lifetime of one.
    pub flowless: u32,
    /// When the trader had a new password.
    pub done: Option<Duration>,
    /// What was refused, for the message of a failure.
    pub trace: Vec<String>,
}

/// A trader who wants a new password and does not give up before `until`.
pub async fn trader(mut visitor: Visitor, login: String, question: bool, seed: u64, until: Instant) -> Fate {
    let mut random: StdRng = rand::SeedableRng::seed_from_u64(seed);
    let scene = Arc::clone(&visitor.scene);
    let began = scene.clock.now();
    let mut fate = Fate::default();
    let passwords = scene.platform.passwords(&login);
    while scene.clock.now() < until && fate.done.is_none() {
        attempt(&mut visitor, &login, question, &mut random, &mut fate).await;
        if scene.platform.passwords(&login) > passwords {
            fate.done = Some(scene.clock.since(began));
        } else {
            // Whoever did not get through tries again after a while, sometimes with another browser.
            if random.random_bool(0.3) {
                visitor.handle = None;
            }
            pause(&scene, &mut random, 20..120).await;
        }
    }
    fate
}

async fn attempt(visitor: &mut Visitor, login: &str, question: bool, random: &mut StdRng, fate: &mut Fate) {
    let scene = Arc::clone(&visitor.scene);
    let (mut answer, mut patience) = (None, 20);
    loop {
        let request = Request::Reset { login: login.to_owned(), answer: answer.clone() };
        let seen = take(visitor, request, random, fate).await;
        if visitor.code_in_mailbox(login).is_some() && random.random_bool(0.5) {
            // The mail from before has come meanwhile, so it does not matter what became of this try.
            break;
        }
        if seen.status != 200 {
            if seen.body.contains("mayHaveBeenApplied") && visitor.handle.is_some() {
                // The mail may be out, so the trader looks into it.
                break;
            }
            // As told, and then the same again.
            wait(&scene, &seen, random).await;
            patience -= 1;
            if patience == 0 {
                return;
            }
            continue;
        }
        if seen.needs_answer() && question {
            let request = Request::Question { login: login.to_owned() };
            let seen = take(visitor, request, random, fate).await;
            if seen.status != 200 || answer.is_some() {
                return wait(&scene, &seen, random).await;
            }
            answer = Some("the answer".to_owned());
            pause(&scene, random, 5..30).await;
            continue;
        }
        if question && answer.is_none() {
            // The demand came late: the question call in this flow knows.
            let request = Request::Question { login: login.to_owned() };
            pause(&scene, random, 5..15).await;
            if take_quietly(visitor, request, random).await.status == 200 {
                answer = Some("the answer".to_owned());
                continue;
            }
        }
        break;
    }
    // The mail takes a while.
    let mut code = None;
    for _ in 0..6 {
        pause(&scene, random, 5..30).await;
        code = visitor.code_in_mailbox(login);
        if code.is_some() {
            break;
        }
    }
    let Some(code) = code else { return };
    if random.random_bool(0.05) {
        // A code that nobody else makes up, and that no mail holds: odd.
        let number: u32 = login.rsplit('-').next().unwrap().parse().unwrap();
        let wrong = format!("{:06}", 900_001 + 2 * (number * 240 + fate.steps % 240));
        take(visitor, Request::Code(wrong), random, fate).await;
    }
    for _ in 0..8 {
        let request = Request::Code(code.clone());
        let seen = if random.random_bool(0.1) {
            // A double click: both must get the same.
            let mut other = visitor.clone();
            let (one, two) = (random.random_range(0..9), random.random_range(0..9));
            let (one, two) = tokio::join!(visitor.send(one, request.clone()), other.send(two, request));
            if let (Some(one), Some(two)) = (one.model(), two.model()) {
                assert_eq!(one, two, "a double click got two tokens");
            }
            note(&one, fate, "code");
            if one.model().is_some() { one } else { two }
        } else {
            take(visitor, request, random, fate).await
        };
        if let Some(token) = seen.model() {
            pause(&scene, random, 5..60).await;
            for _ in 0..4 {
                let set = take(visitor, Request::Password { token: token.clone() }, random, fate).await;
                if set.status == 200 || set.status == 403 {
                    return;
                }
                if set.body.contains("mayHaveBeenApplied") {
                    // Some press the button again all the same.
                    if random.random_bool(0.5) {
                        visitor.send(random.random_range(0..9), Request::Password { token }).await;
                    }
                    return;
                }
                wait(&scene, &set, random).await;
            }
            return;
        }
        if seen.status == 200 || seen.status == 403 {
            let lasts = visitor.renewed.is_some_and(|at| scene.clock.since(at) < scene.lifetime);
            if seen.status == 403 && lasts && scene.platform.is_redeemable(&code) {
                fate.flowless += 1;
            }
            if seen.is_wrong_code() {
                // One that was redeemed by a call whose answer was lost is right no longer.
                if scene.is_calm() && scene.platform.is_redeemable(&code) {
                    fate.refused += 1;
                    fate.betrayed += 1;
                    fate.trace.push(format!("a right code looked wrong: {seen:?}"));
                }
                if random.random_bool(0.5) {
                    // Whoever is sure of a code tries it again.
                    pause(&scene, random, 30..600).await;
                    continue;
                }
            }
            return;
        }
        wait(&scene, &seen, random).await;
    }
}

async fn take(visitor: &mut Visitor, request: Request, random: &mut StdRng, fate: &mut Fate) -> Seen {
    let what = format!("{request:?}");
    let seen = visitor.send(random.random_range(0..9), request).await;
    note(&seen, fate, &what);
    seen
}

/// A step of which nobody expects anything.
async fn take_quietly(visitor: &mut Visitor, request: Request, random: &mut StdRng) -> Seen {
    visitor.send(random.random_range(0..9), request).await
}

fn note(seen: &Seen, fate: &mut Fate, what: &str) {
    fate.steps += 1;
    if matches!(seen.status, 429 | 503) {
        fate.refused += 1;
        let code =
            seen.body.split("/docs#").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        fate.trace.push(format!(
            "{}: {} {code}",
            what.split(['{', '(']).next().unwrap_or_default(),
            seen.status
        ));
    }
}

/// Waits as long as the gateway said, and not much longer.
async fn wait(scene: &Scene, seen: &Seen, random: &mut StdRng) {
    let told = seen.retry_after().unwrap_or(Duration::from_secs(5)).min(Duration::from_secs(1200));
    scene
        .clock
        .sleep_until(scene.clock.now() + told + Duration::from_millis(random.random_range(0..3000)))
        .await;
}

async fn pause(scene: &Scene, random: &mut StdRng, seconds: std::ops::Range<u64>) {
    let seconds = random.random_range(seconds);
    scene.clock.sleep_until(scene.clock.now() + Duration::from_secs(seconds)).await;
}

/// Fates of many traders, gathered while they run.
#[derive(Clone, Default)]
pub struct Fates(Arc<Mutex<Vec<(String, Fate)>>>);

impl Fates {
    pub fn add(&self, login: String, fate: Fate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((login, fate));
    }

    pub fn all(&self) -> Vec<(String, Fate)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
