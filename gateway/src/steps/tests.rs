//! The steps in front of a scripted Autoshares, without sockets and in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use autoshares_counting::{Id, Store};
use autoshares_sdk::{
    AppKey, Client, ConfirmationCode, Login, Password, ResetToken, SecretAnswer, SecretQuestion,
};
use tokio::time::sleep;

use super::{
    Autoshares, Reply, Said, Steps, Stop,
    autoshares::{Call, Failure, KeyVerdict, Reach, ResetReply, Sentences, Trouble},
    request_reset,
};
use crate::{
    app::{World, wire},
    clock::Clock,
    config::{Config, PublicOrigin},
    http::{
        caller::Caller,
        problem::{Kind, Problem},
        request_body::ResetRequest,
    },
    network::Networks,
    randomness::Randomness,
};

/// Knows one trader, takes longer for that one, and can be cut off.
#[derive(Debug, Default)]
struct Scripted {
    calls: AtomicUsize,
    cut_off: AtomicUsize,
}

impl Autoshares for Scripted {
    fn request_reset<'a>(&'a self, login: &'a Login, _: Option<&'a SecretAnswer>) -> Call<'a, ResetReply> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if self
                .cut_off
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                return Err(failure(Reach::NotSent, Some(Trouble::TurnedAway(Some(408)))));
            }
            if login.expose() == "trader" {
                sleep(Duration::from_millis(400)).await;
                return Ok(ResetReply::Accepted { flag: false });
            }
            sleep(Duration::from_millis(5)).await;
            Err(failure(Reach::Refused, None))
        })
    }

    fn fetch_question<'a>(&'a self, _: &'a Login) -> Call<'a, Option<SecretQuestion>> {
        unreachable!("only step 1 is scripted")
    }

    fn redeem_code<'a>(&'a self, _: &'a ConfirmationCode) -> Call<'a, ResetToken> {
        unreachable!("only step 1 is scripted")
    }

    fn set_password<'a>(&'a self, _: &'a ResetToken, _: &'a Password) -> Call<'a, ()> {
        unreachable!("only step 1 is scripted")
    }
}

fn failure(reach: Reach, trouble: Option<Trouble>) -> Failure {
    let (sentences, key, problem) =
        (Sentences::default(), KeyVerdict::Unknown, Problem::new(Kind::UpstreamFailed, "scripted"));
    Failure { reach, trouble, status: None, sentences, in_envelope: trouble.is_none(), key, problem }
}

struct Scene {
    steps: Arc<Steps>,
    autoshares: Arc<Scripted>,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let key = AppKey::new("scripted-key").unwrap();
        let client = Client::builder("https://host.example/api").app_key(key).build().unwrap();
        let origin = PublicOrigin { text: "http://localhost".to_owned(), https: false };
        let config = Config::with_defaults(client, origin).unwrap();
        let (clock, randomness) = (Clock::system(), Randomness::seeded([1; 32]));
        let autoshares = Arc::<Scripted>::default();
        let own: Arc<dyn Autoshares> = autoshares.clone();
        let settings = (config.limits, config.flow, config.password, config.upstream.timeout);
        let world = World { clock: clock.clone(), randomness };
        let store = Arc::new(Store::memory());
        let (steps, _) = wire(own, store, settings, &config.public_origin, world, &Arc::default());
        Self { steps, autoshares, clock }
    }

    /// A step 1, each from a network of its own, and how long it took.
    async fn reset(&self, network: u8, login: &str) -> (Result<Reply, Stop>, u128) {
        let started = self.clock.now();
        let (handles, sent_handle) = (Vec::new(), false);
        let networks = Networks { own: Id([network; 16]), wider: Vec::new() };
        let caller = Caller { networks, handles, sent_handle, started, request_id: None };
        let request = ResetRequest { user: login.into(), secret_question_answer: None };
        let reply = request_reset(&self.steps, &caller, request).await;
        (reply, self.clock.since(started).as_millis())
    }
}

/// E2, through the whole step: whether Autoshares knows the login, does not, or is not asked any more.
#[tokio::test(start_paused = true)]
async fn a_reply_takes_the_same_time_whatever_the_login_is() {
    let scene = Scene::new();
    for round in 0..5 {
        for login in ["trader", "nobody"] {
            let (reply, took) = scene.reset(round, login).await;
            assert!(matches!(reply.unwrap().said, Said::Accepted { flag: false }));
            assert_eq!(took, 500, "{login}, {round}");
        }
    }
    assert_eq!(scene.autoshares.calls.load(Ordering::Relaxed), 6, "three for each login");
}

/// What Autoshares never saw is given back, however often.
#[tokio::test(start_paused = true)]
async fn a_reset_that_was_not_sent_costs_no_mail() {
    let scene = Scene::new();
    scene.autoshares.cut_off.store(9, Ordering::Relaxed);
    for network in 0..9 {
        let (reply, _) = scene.reset(network, "trader").await;
        assert!(matches!(reply, Err(Stop::Problem(problem)) if problem.kind() == Kind::Unavailable));
    }
    for network in 9..13 {
        assert!(scene.reset(network, "trader").await.0.is_ok());
    }
    assert_eq!(scene.autoshares.calls.load(Ordering::Relaxed), 12, "and then there are three");
}
