//! Two worlds that differ only in whether a login exists look the same to an attacker, in bytes and in time: the same requests at the same
//! moments get the same replies. What differs all the same is counted, printed, and held to what `SECURITY.md` declares.

use std::{sync::Arc, time::Duration};

use autoshares_counting::Weather;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Fault, HOUR, Scene, WELL, cause, for_each_seed,
    people::{Request, Seen, Visitor},
    platform::{Condition, QUESTION},
    runtime, seeds,
};
use crate::config::Answers;

/// The login that exists in one of the worlds.
const CANDIDATE: &str = "candidate";

/// One request of the attacker's.
#[derive(Clone, Debug)]
struct Act {
    at: Duration,
    /// Which of its flows it goes on with.
    flow: usize,
    /// Whether it comes from a network that has not come before.
    is_from_elsewhere: bool,
    /// Whether the next request may come before its reply, and goes on without the handle of the reply.
    is_in_passing: bool,
    replica: usize,
    request: Request,
}

/// What an attacker does in an hour, drawn before it sees anything.
#[derive(Clone, Debug)]
struct Script {
    acts: Vec<Act>,
    /// Guesses in dead flows that bring the ledger to its edge first.
    booked_before: u32,
    condition: Condition,
    faults: Vec<(Duration, Fault, Duration)>,
    /// Whether others redeem codes too.
    others: bool,
    /// Whether every login that does not exist has a decoy question, and the candidate, where it exists, a real one.
    has_decoys: bool,
    /// Whether a guess has its usual price, which depends on the number of codes that are live, and so on whether the candidate got one.
    is_priced: bool,
}

fn script(seed: u64, condition: Condition, faults: Vec<(Duration, Fault, Duration)>) -> Script {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut acts, mut codes) = (Vec::new(), Vec::<String>::new());
    let mut at = Duration::from_secs(600);
    for number in 0..300_u32 {
        // Bursts and pauses, some as long as a budget takes to come back.
        at += match random.random_range(0..10) {
            0..4 => Duration::ZERO,
            4..9 => Duration::from_millis(random.random_range(1..20_000)),
            _ => Duration::from_secs(random.random_range(20..200)),
        };
        let request = match random.random_range(0..10) {
            0 | 1 => Request::Reset { login: CANDIDATE.to_owned(), answer: None },
            2 => Request::Reset { login: CANDIDATE.to_uppercase(), answer: Some("a guess".to_owned()) },
            3 => Request::Question { login: CANDIDATE.to_owned() },
            4 if !codes.is_empty() => Request::Code(codes[random.random_range(0..codes.len())].clone()),
            5 => Request::Password { token: "no-token".to_owned() },
            _ => {
                // Odd, so that it is wrong in both worlds.
                codes.push(format!("{:06}", (seed % 1000 * 300 + u64::from(number)) * 2 % 1_000_000 + 1));
                Request::Code(codes[codes.len() - 1].clone())
            }
        };
        let (flow, is_from_elsewhere) = (random.random_range(0..5), random.random_bool(0.5));
        // Not where something fails: which handle a client has would then be told again and again by the same difference.
        let is_in_passing = faults.is_empty() && random.random_bool(0.3);
        let replica = random.random_range(0..3);
        acts.push(Act { at, flow, is_from_elsewhere, is_in_passing, replica, request });
    }
    let booked_before = 0;
    Script { acts, booked_before, condition, faults, others: false, has_decoys: false, is_priced: true }
}

/// A script at the edge of the ledger, of a share and of every budget of a flow. With one reset about the candidate, whose code is the only
/// one that is live, so that the price of a guess is one in both worlds. The ledger is brought to its edge by guesses in flows that are dead in
/// both worlds, or in that of the candidate.
fn script_at_the_edge(seed: u64) -> Script {
    let mut random = StdRng::seed_from_u64(seed);
    let mut script = script(seed, WELL, Vec::new());
    let first = Act {
        at: Duration::from_secs(599),
        flow: 0,
        is_from_elsewhere: true,
        is_in_passing: false,
        replica: 0,
        request: Request::Reset { login: CANDIDATE.to_owned(), answer: None },
    };
    script.acts.retain(|act| matches!(act.request, Request::Code(_)));
    for act in &mut script.acts {
        act.flow = 0;
        // Soon enough for the flow and the ledger.
        act.at = Duration::from_secs(600) + act.at / 20;
    }
    let booked = [100, 880, 1180, 1199][random.random_range(0..4)] + random.random_range(0..20);
    if seed.is_multiple_of(2) {
        script.booked_before = booked;
    } else {
        // By guesses in the flow of the candidate itself, a few in each moment.
        let guesses = (0..booked).map(|number| Act {
            at: Duration::from_millis(600_000 + u64::from(number / 4) * 20),
            request: Request::Code(format!("{:06}", 500_001 + number * 2)),
            ..first.clone()
        });
        script.acts.extend(guesses);
        script.acts.sort_by_key(|act| act.at);
    }
    script.acts.insert(0, first);
    script
}

/// What the attacker sees of a world.
async fn observe(seed: u64, script: &Script, exists: bool) -> Vec<Seen> {
    let scene = Scene::new(seed, 2, |config| {
        if !script.is_priced {
            config.limits.risk_per_hour = 1_000_000;
        }
        if script.has_decoys {
            config.flow.answers = Answers::Decoy;
            config.flow.decoy_share = 1.0;
            config.flow.decoy_questions = [QUESTION.to_owned()].into();
        }
    });
    if exists {
        scene.platform.add(CANDIDATE, script.has_decoys.then_some("an answer that nobody gives"));
    }
    let began = scene.clock.now();
    let mut number = 0;
    while number < script.booked_before {
        // One network after the other, as much as its share.
        let mut visitor = Visitor::new(&scene, scene.new_address());
        visitor.send(0, Request::Reset { login: format!("nobody-{number}"), answer: None }).await;
        for _ in 0..7 {
            visitor.send(0, Request::Code(format!("{:06}", 500_001 + number * 2))).await;
            number += 1;
            if number >= script.booked_before {
                break;
            }
        }
    }
    let storms = {
        let (scene, faults) = (Arc::clone(&scene), script.faults.clone());
        tokio::spawn(async move {
            for (at, fault, takes) in faults {
                scene.clock.sleep_until(began + at + HOUR).await;
                cause(&scene, fault, takes).await;
            }
        })
    };
    scene.platform.set(script.condition);
    let others = script.others.then(|| tokio::spawn(others(Arc::clone(&scene), seed)));
    let mut flows: Vec<_> = (0..5).map(|_| Visitor::new(&scene, scene.new_address())).collect();
    let mut tasks = Vec::new();
    for act in &script.acts {
        // After whatever was booked before; in an hour of its own where nothing was.
        let at = began + act.at + if script.booked_before > 0 { Duration::ZERO } else { HOUR };
        scene.clock.sleep_until(at).await;
        let flow = &mut flows[act.flow];
        if act.is_from_elsewhere {
            flow.address = scene.new_address();
        }
        let starts_flow = matches!(act.request, Request::Reset { .. }) && !act.is_in_passing;
        let (mut visitor, request, replica) = (flow.clone(), act.request.clone(), act.replica);
        if starts_flow {
            // The handle is needed by what follows.
            let seen = visitor.send(replica, request).await;
            flow.handle = visitor.handle;
            tasks.push(tokio::spawn(async move { seen }));
        } else {
            tasks.push(tokio::spawn(async move { visitor.send(replica, request).await }));
        }
    }
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    storms.abort();
    if let Some(others) = others {
        others.abort();
    }
    seen
}

/// Somebody else, who mistypes a code every other minute: Autoshares is not asked about the candidate alone.
async fn others(scene: Arc<Scene>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed ^ 0x07);
    scene.wait(HOUR).await;
    for number in 0..120_u32 {
        let mut visitor = Visitor::new(&scene, scene.new_address());
        let login = format!("somebody-{number}");
        scene.platform.add(&login, None);
        visitor.send(0, Request::Reset { login, answer: None }).await;
        for replica in 0..2 {
            let code = format!("{:06}", 900_001 + (number * 2 + replica) * 2);
            visitor.send(replica as usize, Request::Code(code)).await;
            scene.wait(Duration::from_secs(random.random_range(5..40))).await;
        }
    }
}

/// The places at which two worlds differ.
fn told_apart(seed: u64, script: &Script) -> Vec<usize> {
    let worlds = [true, false].map(|exists| runtime().block_on(observe(seed, script, exists)));
    let differs = |index: &usize| worlds[0][*index] != worlds[1][*index];
    let places: Vec<_> = (0..script.acts.len()).filter(differs).collect();
    if std::env::var_os("SIMULATE_TRACE").is_some() {
        for place in &places {
            println!(
                "{seed}, {place}: {:?}\n  {:?}\n  {:?}",
                script.acts[*place], worlds[0][*place], worlds[1][*place]
            );
        }
    }
    places
}

/// How often the worlds could be told apart: differences that follow each other within minutes have one cause, and tell one thing.
fn occasions(script: &Script, places: &[usize]) -> usize {
    let mut last: Option<Duration> = None;
    let mut occasions = 0;
    for place in places {
        let at = script.acts[*place].at;
        occasions += usize::from(last.is_none_or(|last| at > last + Duration::from_secs(240)));
        last = Some(at);
    }
    occasions
}

/// E8 and E9 in good times: however long Autoshares takes for a login, nothing differs.
#[test]
fn two_worlds_look_the_same_in_good_times() {
    for_each_seed(seeds(40), |seed| {
        let known = [5, 40, 450, 900, 3000][usize::try_from(seed % 5).unwrap()];
        let condition = Condition::Well { stranger: 5, known, code: 10 };
        let script = script(seed, condition, Vec::new());
        let places = told_apart(seed, &script);
        assert!(places.is_empty(), "at {places:?}: {:?}", script.acts[places[0]]);
    });
}

/// E8: at the edge of the ledger, of a network's share and of a flow's tries.
#[test]
fn two_worlds_look_the_same_at_every_edge() {
    for_each_seed(seeds(30), |seed| {
        let script = script_at_the_edge(seed);
        let places = told_apart(seed, &script);
        assert!(places.is_empty(), "at {places:?}: {:?}", script.acts[places[0]]);
    });
}

/// With a decoy for every login, a login that exists and has a question looks like one that does not exist. In bursts too: what a step gives
/// back when it has ended, it gives back when its reply is due.
#[test]
fn a_decoy_looks_like_a_login_with_a_question() {
    for_each_seed(seeds(40), |seed| {
        let known = [5, 40, 450][usize::try_from(seed % 3).unwrap()];
        let condition = Condition::Well { stranger: 5, known, code: 10 };
        let mut script = Script { has_decoys: true, ..script(seed, condition, Vec::new()) };
        let mut random = StdRng::seed_from_u64(seed);
        for index in 0..script.acts.len() {
            if matches!(script.acts[index].request, Request::Reset { .. }) && random.random_bool(0.3) {
                // More than the budget of a login holds, soon after one that is under way.
                for _ in 0..4 {
                    let at = script.acts[index].at + Duration::from_millis(random.random_range(0..600));
                    let act = Act {
                        at,
                        is_from_elsewhere: true,
                        is_in_passing: true,
                        ..script.acts[index].clone()
                    };
                    script.acts.push(act);
                }
                script.acts[index].is_in_passing = true;
            }
        }
        script.acts.sort_by_key(|act| act.at);
        let places = told_apart(seed, &script);
        assert!(places.is_empty(), "at {places:?}: {:?}", script.acts[places[0]]);
    });
}

/// The residues: what differs when Autoshares is slow or fails, or the store does.
#[test]
fn what_tells_two_worlds_apart_is_what_is_declared() {
    println!(
        "what happens in an hour of 300 requests: how often a login is told apart, most and mean over the seeds; requests for each"
    );
    for (name, most_declared, condition, faults) in storms() {
        let told = std::sync::Mutex::new(Vec::new());
        for_each_seed(seeds(12), |seed| {
            let is_priced = name == PRICE;
            let script = Script { others: true, is_priced, ..script(seed, condition, faults.clone()) };
            let places = told_apart(seed, &script);
            told.lock().unwrap().push(occasions(&script, &places));
        });
        let told = told.into_inner().unwrap();
        let (most, sum, hours) = (*told.iter().max().unwrap(), told.iter().sum::<usize>(), told.len());
        let cost = (300 * hours).checked_div(sum).map_or("none".to_owned(), |cost| cost.to_string());
        println!("{name}: {most}, {:.1}; {cost}", sum as f64 / hours as f64);
        assert!(most <= most_declared, "{name}: told apart {most} times, declared are {most_declared}");
    }
}

/// How many guesses a share or the ledger buys shows how many codes are live, and so whether one more reset was accepted.
const PRICE: &str = "the ledger is spent to its edge";

type Storm = (&'static str, usize, Condition, Vec<(Duration, Fault, Duration)>);

fn storms() -> Vec<Storm> {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let from_time_to_time =
        |fault: Fault| [12, 20, 28, 36].map(|at| (minutes(at), fault, Duration::from_secs(100))).to_vec();
    let autoshares = |condition| from_time_to_time(Fault::Autoshares(condition));
    let slow_codes = Condition::Well { stranger: 5, known: 40, code: 800 };
    vec![
        (PRICE, 15, WELL, Vec::new()),
        ("the store is away, four times", 0, WELL, from_time_to_time(Fault::Store(Weather::Cut))),
        (
            "the store is deaf, four times",
            0,
            WELL,
            from_time_to_time(Fault::Store(Weather::Deaf(Duration::from_secs(1)))),
        ),
        ("the store is another one, four times", 0, WELL, from_time_to_time(Fault::Restart)),
        ("Autoshares turns away, four times", 4, WELL, autoshares(Condition::TurnsAway(503))),
        ("Autoshares cannot be reached, four times", 4, WELL, autoshares(Condition::Unreachable)),
        ("codes take 800 ms", 2, slow_codes, Vec::new()),
        ("Autoshares takes 3 s, four times", 4, WELL, autoshares(Condition::Slow)),
        ("Autoshares fails, four times", 4, WELL, autoshares(Condition::Fails)),
        ("Autoshares hangs, four times", 4, WELL, autoshares(Condition::Hangs)),
    ]
}
