//! Single moments, each with the reply that it must bring: times that do not tell, calls that run on behind, outages.

use std::{sync::Arc, time::Duration};

use super::{
    HOUR, MINUTE, Scene, WELL,
    people::{Request, Seen, Visitor},
    platform::Condition,
    runtime,
};
use crate::config::Config;

/// Budgets that are never used up.
fn ample(config: &mut Config) {
    let rates = vec!["1000000/s".parse().unwrap()];
    let limits = &mut config.limits;
    limits.resets = rates.clone();
    limits.resets_per_login = rates.clone();
    limits.resets_per_address = rates.clone();
    limits.logins_per_address = rates.clone();
    limits.codes_per_address = rates.clone();
    limits.codes_per_login = rates;
    limits.risk_per_hour = 1_000_000;
}

fn scene(replicas: usize) -> Arc<Scene> {
    Scene::new(1, replicas, ample)
}

fn reset(login: &str) -> Request {
    Request::Reset { login: login.to_owned(), answer: None }
}

/// A step 1 by somebody new.
async fn ask(scene: &Arc<Scene>, login: &str) -> (Visitor, Seen) {
    let mut visitor = Visitor::new(scene, scene.new_address());
    let seen = visitor.send(0, reset(login)).await;
    (visitor, seen)
}

fn millis(seen: &Seen) -> u128 {
    seen.took.as_millis()
}

/// E2 and E7: pairs of logins, with quiet minutes in between. A quiet minute brings no shorter time back that would then tell.
#[test]
fn step_1_takes_the_floor_whatever_autoshares_takes() {
    runtime().block_on(async {
        let scene = scene(2);
        for (stranger, known) in [(5, 900), (900, 5), (5, 4000)] {
            scene.platform.set(Condition::Well { stranger, known, code: 10 });
            for pair in 0..200 {
                let login = format!("trader-{known}-{pair}");
                scene.platform.add(&login, None);
                let (_, exists) = ask(&scene, &login).await;
                let (_, unknown) = ask(&scene, &format!("nobody-{known}-{pair}")).await;
                assert_eq!((millis(&exists), millis(&unknown)), (500, 500), "{pair}");
                assert_eq!(exists, unknown);
                if pair % 3 == 0 {
                    scene.wait(MINUTE + Duration::from_secs(5)).await;
                }
            }
        }
    });
}

/// E7, step 3: one slow code, then quiet minutes; flows with a code and without take the same level, at every replica, and it falls by one
/// in an hour.
#[test]
fn refusals_of_codes_take_one_of_three_levels_for_everybody() {
    runtime().block_on(async {
        let scene = scene(3);
        scene.platform.add("trader", None);
        let mut guesses = 1;
        let mut took = async |replica: usize| {
            // Flows of their own, for an hour is longer than a flow lasts.
            let (mut live, mut dead) = (ask(&scene, "trader").await.0, ask(&scene, "nobody").await.0);
            guesses += 2;
            let code = Request::Code(format!("{guesses:06}"));
            let one = live.send(replica, code.clone()).await;
            let other = dead.send(replica + 1, code).await;
            assert!(one.is_wrong_code() && other.is_wrong_code());
            (millis(&one), millis(&other))
        };
        assert_eq!(took(0).await, (500, 500));
        scene.platform.set(Condition::Well { stranger: 5, known: 40, code: 800 });
        assert_eq!(took(0).await, (1000, 1000), "risen at once");
        scene.platform.set(WELL);
        for _ in 0..5 {
            scene.wait(MINUTE + Duration::from_secs(5)).await;
            for replica in 0..3 {
                assert_eq!(took(replica).await, (1000, 1000), "not forgotten in a quiet minute");
            }
        }
        scene.platform.set(Condition::Well { stranger: 5, known: 40, code: 1600 });
        assert_eq!(took(1).await, (2000, 2000));
        scene.platform.set(WELL);
        scene.wait(HOUR).await;
        assert_eq!(took(2).await, (1000, 1000), "one step an hour");
        scene.wait(HOUR).await;
        assert_eq!(took(2).await, (500, 500));
    });
}

/// A code that takes longer than the last level: 503, and the same code again gives what came of it, without another call.
#[test]
fn what_is_not_known_by_the_last_level_is_told_to_whoever_sends_the_code_again() {
    runtime().block_on(async {
        let scene = scene(2);
        scene.platform.add("trader", None);
        let began = scene.clock.now();
        let (mut visitor, _) = ask(&scene, "trader").await;
        let code = scene.platform.newest_code("trader", began).unwrap();
        let (mut dead, _) = ask(&scene, "nobody").await;
        dead.send(0, Request::Code("000001".to_owned())).await;
        scene.platform.set(Condition::Slow);
        let late = visitor.send(0, Request::Code(code.clone())).await;
        assert_eq!((late.status, millis(&late)), (503, 2000));
        // While nobody is forwarded: the same for everybody, and whoever has an outcome gets it.
        let again = dead.send(0, Request::Code("000003".to_owned())).await;
        assert_eq!((again.status, &again.body), (503, &late.body));
        assert!(dead.send(0, Request::Code("000001".to_owned())).await.is_wrong_code());
        // The call ends a second later, before any probe.
        scene.wait(Duration::from_millis(1100)).await;
        let known = visitor.send(0, Request::Code(code.clone())).await;
        assert!(known.model().is_some(), "{known:?}");
        // At the other replica too.
        assert!(visitor.send(1, Request::Code(code)).await.model().is_some());
        assert_eq!(scene.platform.books(|books| books.codes_again.len()), 0);
    });
}

/// A demand for the secret answer that comes late: the reply looks accepted, the flow knows, and replies take longer from then on.
#[test]
fn a_late_demand_for_the_answer_is_told_by_the_next_call_in_that_flow() {
    runtime().block_on(async {
        let scene = scene(2);
        scene.platform.add("asked", Some("the answer"));
        scene.platform.add("trader", None);
        scene.platform.set(Condition::Well { stranger: 5, known: 700, code: 10 });
        let (mut visitor, seen) = ask(&scene, "asked").await;
        assert!(!seen.needs_answer() && seen.status == 200 && millis(&seen) == 500);
        let (_, other) = ask(&scene, "nobody").await;
        assert_eq!(seen, other, "as any other");
        scene.wait(Duration::from_secs(1)).await;
        let question = visitor.send(1, Request::Question { login: "asked".to_owned() }).await;
        assert!(question.body.contains("What was it?"), "{question:?}");
        // From now on there is time for it, at every replica.
        for replica in 0..2 {
            let mut other = Visitor::new(&scene, scene.new_address());
            let seen = other.send(replica, reset("asked")).await;
            assert!(seen.needs_answer() && millis(&seen) == 1000, "{seen:?}");
            let (_, accepted) = ask(&scene, "trader").await;
            assert_eq!(millis(&accepted), 1000);
        }
        let answer = Some("the answer".to_owned());
        visitor.send(0, Request::Reset { login: "asked".to_owned(), answer }).await;
        scene.platform.set(WELL);
        scene.wait(25 * HOUR).await;
        assert_eq!(millis(&ask(&scene, "trader").await.1), 500, "forgotten after a day without need");
    });
}

/// Where a mail may be out, the client gets a handle with the problem, or long before it, and the code from the mail is taken.
#[test]
fn a_mail_that_may_be_out_has_a_flow_for_its_code() {
    runtime().block_on(async {
        let scene = scene(1);
        let mut taken = 0;
        for condition in [Condition::Fails, Condition::Hangs] {
            for number in 0..12 {
                let login = format!("trader-{condition:?}-{number}");
                scene.platform.add(&login, None);
                let began = scene.clock.now();
                scene.platform.set(condition);
                let (mut visitor, seen) = ask(&scene, &login).await;
                assert_eq!(millis(&seen), 500);
                assert!(visitor.handle.is_some(), "{seen:?}");
                match condition {
                    Condition::Fails => {
                        assert!(seen.status == 502 && seen.body.contains("mayHaveBeenApplied"));
                    }
                    _ => assert_eq!(seen.status, 200, "not known by then"),
                }
                scene.platform.set(WELL);
                scene.wait(Duration::from_secs(12)).await;
                // In half of the cases the mail was sent.
                if let Some(code) = scene.platform.newest_code(&login, began) {
                    assert!(visitor.send(0, Request::Code(code)).await.model().is_some());
                    taken += 1;
                }
            }
        }
        assert!((6..20).contains(&taken), "{taken}");
    });
}

/// While Autoshares turns calls away, everybody gets one reply, nothing is charged, and a probe notices the end.
#[test]
fn an_outage_is_one_state_for_everybody_and_costs_nobody_anything() {
    runtime().block_on(async {
        for condition in
            [401, 403, 429, 503].map(Condition::TurnsAway).into_iter().chain([Condition::Unreachable])
        {
            let scene = Scene::new(1, 1, |_| {});
            scene.platform.add("trader", None);
            let (mut live, _) = ask(&scene, "trader").await;
            let (mut dead, _) = ask(&scene, "nobody").await;
            scene.platform.set(condition);
            let mut replies = Vec::new();
            for _ in 0..8 {
                replies.push(ask(&scene, "trader").await.1);
                replies.push(ask(&scene, "nobody").await.1);
            }
            let first = live.send(0, Request::Code("000001".to_owned())).await;
            replies.push(Seen { took: Duration::ZERO, ..first.clone() });
            for visitor in [&mut dead, &mut live] {
                replies.push(visitor.send(0, Request::Code("000003".to_owned())).await);
            }
            assert!(
                replies.iter().all(|seen| seen.status == 503 && seen.body == first.body),
                "{condition:?}: {replies:?}"
            );
            assert!(
                replies[2..]
                    .iter()
                    .all(|seen| seen.took == Duration::ZERO || seen.took < Duration::from_millis(501))
            );
            assert!(replies.iter().all(|seen| seen.retry_after().is_some()));
            scene.platform.set(WELL);
            scene.wait(Duration::from_secs(6)).await;
            // Two mails and five tries are left.
            for _ in 0..2 {
                ask(&scene, "trader").await;
            }
            assert_eq!(scene.platform.books(|books| books.mails.len()), 3, "{condition:?}");
            for guess in 0..5 {
                assert!(live.send(0, Request::Code(format!("{:06}", 11 + guess * 2))).await.is_wrong_code());
            }
            assert_eq!(scene.platform.books(|books| books.guesses.len()), 5, "{condition:?}");
        }
    });
}

/// A status that could be about a login opens no breaker once Autoshares has answered; before that it means a wrong address.
#[test]
fn a_missing_page_is_a_wrong_address_until_autoshares_has_answered_once() {
    runtime().block_on(async {
        let scene = scene(1);
        scene.platform.add("trader", None);
        scene.platform.set(Condition::KnowsNobody(404));
        assert_eq!(ask(&scene, "nobody").await.1.status, 503);
        assert_eq!(ask(&scene, "trader").await.1.status, 503, "nobody is forwarded");
        // Only failing probes hold the breaker open, so one call a minute goes through; it may be anybody's.
        scene.wait(Duration::from_secs(58)).await;
        assert_eq!(ask(&scene, "trader").await.1.status, 503);
        scene.wait(Duration::from_secs(3)).await;
        let (_, trial) = ask(&scene, "trader").await;
        assert_eq!(trial.status, 200, "{trial:?}");
        // From then on nobody's absence says anything.
        let (_, unknown) = ask(&scene, "nobody").await;
        assert_eq!(unknown, trial);
        assert_eq!(ask(&scene, "trader").await.1, trial);
    });
}

/// At most 128 calls of step 1 are under way; the next is refused before its login is read.
#[test]
fn calls_that_run_on_behind_are_bounded() {
    runtime().block_on(async {
        let scene = scene(1);
        scene.platform.set(Condition::Hangs);
        let mut statuses = Vec::new();
        for number in 0..140 {
            let (scene, login) = (Arc::clone(&scene), format!("nobody-{number}"));
            statuses.push(tokio::spawn(async move { ask(&scene, &login).await.1.status }));
        }
        let mut refused = 0;
        for status in statuses {
            refused += u32::from(status.await.unwrap() == 503);
        }
        assert_eq!((refused, scene.replicas[0].steps.behind().len()), (12, 128));
        assert_eq!(ask(&scene, "nobody").await.1.status, 503);
        scene.wait(Duration::from_secs(11)).await;
        assert_eq!(scene.replicas[0].steps.behind().len(), 0, "stopping waits for them");
        scene.platform.set(WELL);
        assert_eq!(ask(&scene, "nobody").await.1.status, 200);
    });
}

/// How many places are free does not show how long a call took, if it took no longer than the highest level of time.
#[test]
fn a_place_is_kept_until_the_highest_level_whatever_the_call_takes() {
    runtime().block_on(async {
        for takes in [5, 900, 1900] {
            let scene = scene(1);
            scene.platform.set(Condition::Well { stranger: takes, known: takes, code: 10 });
            let began = scene.clock.now();
            let asks = (0..128).map(|number| {
                let scene = Arc::clone(&scene);
                tokio::spawn(async move { ask(&scene, &format!("nobody-{number}")).await.1.status })
            });
            let asks: Vec<_> = asks.collect();
            for (millis, status) in [(100, 503), (700, 503), (1000, 503), (1900, 503), (2001, 200)] {
                scene.clock.sleep_until(began + Duration::from_millis(millis)).await;
                let seen = ask(&scene, "one-more").await.1;
                assert_eq!(seen.status, status, "{takes} ms: after {millis} ms");
            }
            for status in asks {
                assert_eq!(status.await.unwrap(), 200);
            }
        }
    });
}

/// A step 1 that Autoshares never saw leaves its flow where it was.
#[test]
fn a_step_that_was_not_sent_leaves_its_flow_where_it_was() {
    runtime().block_on(async {
        let scene = Scene::new(1, 1, |_| {});
        scene.platform.add("asked", Some("the answer"));
        let (mut visitor, seen) = ask(&scene, "asked").await;
        assert!(seen.needs_answer());
        scene.platform.set(Condition::TurnsAway(408));
        let answered = Request::Reset { login: "asked".to_owned(), answer: Some("the answer".to_owned()) };
        for _ in 0..5 {
            assert_eq!(visitor.send(0, answered.clone()).await.status, 503);
        }
        scene.platform.set(WELL);
        let question = visitor.send(0, Request::Question { login: "asked".to_owned() }).await;
        assert_eq!(question.status, 200, "{question:?}");
        let began = scene.clock.now();
        assert_eq!(visitor.send(0, answered).await.status, 200);
        let code = scene.platform.newest_code("asked", began).unwrap();
        assert!(visitor.send(0, Request::Code(code)).await.model().is_some());
    });
}

/// Sends a request, waits exactly as long as each refusal says, and sends it again; how often it was refused.
async fn insist(visitor: &mut Visitor, request: Request) -> u32 {
    let mut refused = 0;
    loop {
        let seen = visitor.send(0, request.clone()).await;
        if !matches!(seen.status, 429 | 503) {
            assert_eq!(seen.status, 200, "{seen:?}");
            return refused;
        }
        refused += 1;
        let told = seen.retry_after().unwrap_or_else(|| panic!("{seen:?}"));
        assert!(!told.is_zero(), "{seen:?}");
        visitor.scene.wait(told.saturating_sub(seen.took)).await;
    }
}

/// A `Retry-After` that was told is kept: whoever waits as long as that, and is alone, is not refused again. For a host that has a whole /48,
/// so that it meets the budgets of each width.
#[test]
fn a_wait_that_a_network_is_told_is_kept() {
    runtime().block_on(async {
        let scene = Scene::new(1, 2, |config| config.flow.lifetime = 1000 * HOUR);
        let mut visitor = Visitor::new(&scene, scene.new_address());
        let mut refused = [0; 2];
        for number in 0..300_u128 {
            let subnet = number * 37 % 400;
            visitor.address = std::net::Ipv6Addr::from(0x2001_0dff_0001_u128 << 80 | subnet << 64 | 1).into();
            visitor.handle = None;
            let waited = insist(&mut visitor, reset(&format!("nobody-{number}"))).await;
            assert!(waited <= 1, "{number}: refused {waited} times");
            refused[0] += waited;
        }
        // All in one flow: its tries are soon used up, which costs a network the same.
        for number in 0..300_u128 {
            let subnet = number * 37 % 400;
            visitor.address = std::net::Ipv6Addr::from(0x2001_0dff_0001_u128 << 80 | subnet << 64 | 1).into();
            let waited = insist(&mut visitor, Request::Code(format!("{:06}", number * 2 + 1))).await;
            assert!(waited <= 1, "{number}: refused {waited} times");
            refused[1] += waited;
        }
        assert!(refused.iter().all(|refused| *refused > 20), "{refused:?}");
    });
}
