//! Simulated hours: several replicas over one store, an Autoshares with every way to fail, honest traders and attackers, without sockets and
//! in virtual time. Every run is named by its seed and repeats exactly. After a run its books are checked.
//!
//! `cargo xtask test` runs a hundred seeds; `cargo xtask simulate --seeds N` runs more, and prints what attacks cost honest traders.

mod attacks;
mod books;
mod moments;
mod people;
mod platform;
mod worlds;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use autoshares_counting::{Shared, Vane, Weather};
use autoshares_sdk::{AppKey, Client};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{runtime::Runtime, task::JoinSet, time::Instant};

use crate::{
    app::{World, report, wire},
    clock::Clock,
    config::{Config, PublicOrigin},
    flow::Secrets,
    randomness::Randomness,
    steps::{Autoshares, Lasting, Steps},
};
use attacks::Attack;
use people::{Fates, Visitor, trader};
use platform::{CODE_LIFETIME, Condition, DEADLINE, Platform};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Autoshares on a good day.
const WELL: Condition = Condition::Well { stranger: 5, known: 40, code: 10 };

/// A gateway of the simulation.
struct Replica {
    steps: Arc<Steps>,
    vane: Vane,
}

/// Everything that stands in a run.
struct Scene {
    clock: Clock,
    platform: Arc<Platform>,
    shared: Shared,
    replicas: Vec<Replica>,
    lifetime: Duration,
    calm: AtomicBool,
    /// Moments at which the store lost what it had counted, so that budgets began anew.
    losses: std::sync::Mutex<Vec<Instant>>,
    /// When Autoshares began to fail, and when it was well again.
    outages: std::sync::Mutex<Vec<(Instant, Instant)>>,
    next_address: AtomicU64,
}

impl Scene {
    fn new(seed: u64, replicas: usize, change: impl FnOnce(&mut Config)) -> Arc<Self> {
        let clock = Clock::system();
        let platform = Arc::new(Platform::new(clock.clone(), seed));
        let server_clock = clock.clone();
        // The server's clock begins somewhere else than the gateways'.
        let shared = Shared::new(move || server_clock.micros() + 400_000_000_000);
        let client =
            Client::builder("https://host.example/api").app_key(AppKey::new("simulated-key").unwrap());
        let origin = PublicOrigin { text: "http://localhost".to_owned(), https: false };
        let mut config = Config::with_defaults(client.build().unwrap(), origin.clone()).unwrap();
        config.flow.keys = Secrets::random();
        config.upstream.timeout = DEADLINE;
        change(&mut config);
        let lifetime = config.flow.lifetime;
        let replicas = (0..replicas).map(|number| {
            let (store, vane) = shared.store();
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            bytes[8] = u8::try_from(number).unwrap();
            let world = World { clock: clock.clone(), randomness: Randomness::seeded(bytes) };
            let autoshares: Arc<dyn Autoshares> = platform.clone();
            let settings =
                (config.limits.clone(), config.flow.clone(), config.password, config.upstream.timeout);
            let parts =
                (Arc::new(store), report(&config.limits, &Arc::default(), &world), Lasting::default());
            let (steps, _) = wire(autoshares, parts, settings, &origin, world);
            Replica { steps, vane }
        });
        let replicas = replicas.collect();
        Arc::new(Self {
            clock,
            platform,
            shared,
            replicas,
            lifetime,
            calm: AtomicBool::new(true),
            losses: Default::default(),
            outages: Default::default(),
            next_address: AtomicU64::new(0),
        })
    }

    /// Whether nothing fails at the moment, and nothing has failed just before.
    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// An address in a network that nobody else has: an IPv4 /24, or an IPv6 /48.
    fn new_address(&self) -> IpAddr {
        let number = u32::try_from(self.next_address.fetch_add(1, Ordering::Relaxed)).unwrap();
        if number % 3 == 0 {
            Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number) << 80 | 1).into()
        } else {
            // Over many blocks, as traders are.
            let block = number.wrapping_mul(2_654_435_761) >> 8 & 0xffff;
            Ipv4Addr::from(0x0b00_0000 + (block << 12) + (number << 8) + 7).into()
        }
    }

    async fn wait(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    fn set_all(&self, weather: Weather) {
        self.replicas.iter().for_each(|replica| replica.vane.set(weather));
    }
}

/// Something that goes wrong for a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Store(Weather),
    /// One replica cannot reach the store, the others can.
    Split(Weather),
    /// The store is another server, with what it had counted.
    Restart,
    /// The store is another server, and has lost everything.
    Forget,
    /// The store is another server, with what it had counted some minutes ago.
    GoBack,
    Autoshares(Condition),
}

/// What happens in a run.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    replicas: usize,
    /// Resets that honest traders ask for in an hour.
    honest: u64,
    faults: Vec<(Duration, Fault, Duration)>,
    attack: Attack,
    attack_begins: Duration,
}

impl Plan {
    /// Nothing goes wrong and nobody attacks.
    fn quiet(seed: u64, honest: u64) -> Self {
        let (faults, attack, attack_begins) = (Vec::new(), Attack::None, Duration::ZERO);
        Self { seed, replicas: 2, honest, faults, attack, attack_begins }
    }

    /// Whatever the seed makes of it.
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults: Vec<_> = (0..random.random_range(0..5))
            .map(|_| {
                let at = Duration::from_secs(random.random_range(60..2700));
                (at, Fault::any(&mut random), Duration::from_secs(random.random_range(3..240)))
            })
            .collect();
        faults.sort_by_key(|(at, ..)| *at);
        let mut attack = Attack::any(&mut random);
        // Often when something has just failed, while there is room in every budget.
        let first_fault = faults.first().filter(|_| random.random_bool(0.5));
        let mut attack_begins = first_fault.map_or(Duration::ZERO, |(at, ..)| *at + Duration::from_secs(1));
        // Whoever knows that a store may forget has a flow before, and tries what may be forgotten.
        let forgets = faults.iter().find(|(_, fault, _)| matches!(fault, Fault::GoBack | Fault::Forget));
        if let Some((at, ..)) = forgets.filter(|_| random.random_bool(0.5)) {
            attack = Attack::Repeat(10);
            attack_begins = at.saturating_sub(Duration::from_secs(random.random_range(1..20)));
        }
        Self { seed, replicas: random.random_range(1..4), honest: 50, faults, attack, attack_begins }
    }
}

impl Fault {
    fn any(random: &mut StdRng) -> Self {
        let weather =
            if random.random_bool(0.5) { Weather::Cut } else { Weather::Deaf(Duration::from_secs(1)) };
        match random.random_range(0..14) {
            0 | 1 => Fault::Store(weather),
            2 => Fault::Split(weather),
            3 => Fault::Restart,
            4 => Fault::Forget,
            5 => Fault::GoBack,
            6 => Fault::Autoshares(Condition::TurnsAway(
                [401, 403, 404, 405, 408, 413, 415, 429, 503][random.random_range(0..9)],
            )),
            7 => Fault::Autoshares(Condition::Unreachable),
            8 | 9 => Fault::Autoshares(Condition::Fails),
            10 | 11 => Fault::Autoshares(Condition::Hangs),
            12 => Fault::Autoshares(Condition::Slow),
            _ => Fault::Autoshares(Condition::Well {
                stranger: 5,
                known: random.random_range(5..1900),
                code: random.random_range(5..1900),
            }),
        }
    }
}

/// What a run came to.
struct Ran {
    scene: Arc<Scene>,
    fates: Fates,
    began: Instant,
    /// When the last fault or attack was over.
    settled: Instant,
}

/// A runtime whose time passes when nobody has anything to do.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs a plan, until every trader is done or an hour and a minute have passed since the last fault and the last code of an attacker.
async fn run(plan: &Plan) -> Ran {
    let scene = Scene::new(plan.seed, plan.replicas, |_| {});
    let mut random = StdRng::seed_from_u64(plan.seed ^ 0x5eed);
    let began = scene.clock.now();
    // Not at the very beginning of a clock, so that a window can lie behind.
    let last_fault = plan.faults.iter().map(|(at, _, takes)| *at + *takes).max().unwrap_or_default();
    // The codes that an attacker asked for go on raising the price of a guess until they die.
    let attack_ends =
        if plan.attack == Attack::None { Duration::ZERO } else { plan.attack_begins + HOUR + CODE_LIFETIME };
    let settled = began + last_fault.max(attack_ends).max(HOUR);
    let until = settled + HOUR + MINUTE;

    let (fates, mut crowd) = (Fates::default(), JoinSet::new());
    let office = scene.new_address();
    for number in 0..plan.honest {
        let login = format!("trader-{number}");
        let question = (number % 4 == 0).then_some("the answer");
        scene.platform.add(&login, question);
        let at = began + Duration::from_secs(random.random_range(0..3500));
        let address = if number < 5 { office } else { scene.new_address() };
        let (visitor, seed, fates) = (Visitor::new(&scene, address), random.random(), fates.clone());
        let clock = scene.clock.clone();
        crowd.spawn(async move {
            clock.sleep_until(at).await;
            let fate = trader(visitor, login.clone(), question.is_some(), seed, until).await;
            fates.add(login, fate);
        });
    }
    let attackers = {
        let (scene, attack, seed) = (Arc::clone(&scene), plan.attack, random.random());
        let (from, until) = (began + plan.attack_begins, began + plan.attack_begins + HOUR);
        tokio::spawn(async move {
            scene.clock.sleep_until(from).await;
            attacks::begin(&scene, attack, seed, until).join_all().await;
        })
    };
    let storms = {
        let (scene, faults) = (Arc::clone(&scene), plan.faults.clone());
        tokio::spawn(async move {
            for (at, fault, takes) in faults {
                scene.clock.sleep_until(began + at).await;
                cause(&scene, fault, takes).await;
            }
        })
    };
    while crowd.join_next().await.is_some() {}
    attackers.await.unwrap();
    storms.await.unwrap();
    Ran { scene, fates, began, settled }
}

async fn cause(scene: &Scene, fault: Fault, takes: Duration) {
    scene.calm.store(false, Ordering::Relaxed);
    let lose = || scene.losses.lock().unwrap().push(scene.clock.now());
    match fault {
        Fault::Store(weather) => {
            scene.set_all(weather);
            scene.wait(takes).await;
            scene.set_all(Weather::Fair);
        }
        Fault::Split(weather) => {
            scene.replicas[0].vane.set(weather);
            scene.wait(takes).await;
            scene.replicas[0].vane.set(Weather::Fair);
        }
        Fault::Restart => {
            scene.set_all(Weather::Cut);
            scene.wait(takes.min(MINUTE)).await;
            scene.shared.restart();
            scene.set_all(Weather::Fair);
        }
        Fault::Forget => {
            scene.shared.forget();
            lose();
        }
        Fault::GoBack => {
            scene.shared.remember();
            scene.wait(takes).await;
            scene.shared.go_back();
            lose();
        }
        Fault::Autoshares(condition) => {
            let began = scene.clock.now();
            scene.platform.set(condition);
            scene.wait(takes).await;
            scene.platform.set(WELL);
            if condition.is_outage() {
                scene.outages.lock().unwrap().push((began, scene.clock.now()));
            }
        }
    }
    // Breakers and calls that run behind need a moment.
    scene.wait(Duration::from_secs(75)).await;
    scene.calm.store(true, Ordering::Relaxed);
}

/// How many seeds are run; `cargo xtask simulate` asks for more.
fn seeds(usual: u64) -> Range<u64> {
    let first = variable("SIMULATE_FIRST").unwrap_or(1);
    first..first + variable("SIMULATE_SEEDS").unwrap_or(usual)
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs something for each seed, on both cores, and says which seed failed.
fn for_each_seed(seeds: Range<u64>, check: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from).min(4))
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = seeds.start + next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return;
                        }
                        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed))).is_err() {
                            panic!("seed {seed} failed: `cargo xtask simulate --first {seed}` repeats it");
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn whatever_happens_the_books_are_right() {
    for_each_seed(seeds(100), |seed| {
        let plan = Plan::of(seed);
        runtime().block_on(async {
            let ran = run(&plan).await;
            books::check(&plan, &ran).await;
        });
    });
}

/// A run is named by its seed: it repeats exactly.
#[test]
fn a_seed_repeats_its_run() {
    let summary = |seed| {
        let plan = Plan::of(seed);
        runtime().block_on(async {
            let ran = run(&plan).await;
            let mut fates: Vec<_> =
                ran.fates.all().into_iter().map(|(login, fate)| (login, fate.steps, fate.done)).collect();
            fates.sort();
            (fates, ran.scene.platform.books(|books| (books.mails.len(), books.guesses.len())))
        })
    };
    for seed in [3, 7, 20] {
        assert_eq!(summary(seed), summary(seed), "{seed}");
    }
}

/// Honest users are not the price: at fifty resets an hour nobody is refused.
#[test]
fn nobody_is_refused_wrongly_while_nobody_attacks() {
    for honest in [50, 100, 200] {
        let (mut steps, mut refused, mut failed, mut trace) = (0, 0, 0, Vec::new());
        for seed in 1..=3 {
            let plan = Plan::quiet(seed, honest);
            let ran = runtime().block_on(run(&plan));
            for (login, fate) in ran.fates.all() {
                steps += fate.steps;
                refused += fate.refused;
                failed += u32::from(fate.done.is_none());
                trace.extend(fate.trace.into_iter().map(|line| format!("{login}: {line}")));
            }
        }
        println!(
            "{honest:>4} honest resets an hour, no attack: {refused} of {steps} steps refused, {failed} traders without a password"
        );
        if honest == 50 {
            assert_eq!((refused, failed), (0, 0), "{trace:#?}");
        }
    }
}

/// What attacks cost honest traders, by the number of networks that attack. Printed with `--nocapture`.
#[test]
fn attacks_cost_honest_traders_no_more_than_is_declared() {
    println!(
        "attack, networks: refused steps of honest traders in that hour, traders without a password afterwards"
    );
    // A tenth of the seeds, for each of them is run once for each attack.
    let all = seeds(20);
    let seeds = all.start..all.start + (all.end - all.start).div_ceil(10);
    for attack in Attack::table() {
        let sums = std::sync::Mutex::new((0, 0, 0));
        for_each_seed(seeds.clone(), |seed| {
            let plan = Plan { attack, ..Plan::quiet(seed, 50) };
            let ran = runtime().block_on(run(&plan));
            let mut sums = sums.lock().unwrap();
            for (_, fate) in ran.fates.all() {
                sums.0 += fate.steps;
                sums.1 += fate.refused;
                sums.2 += u32::from(fate.done.is_none());
            }
        });
        let (steps, refused, failed) = sums.into_inner().unwrap();
        let share = 100.0 * f64::from(refused) / f64::from(steps);
        println!("{attack:?}: {refused} of {steps} ({share:.3} %), {failed}");
        assert_eq!(failed, 0, "{attack:?}: everybody gets through when it is over");
        let most = attack.declared();
        assert!(share <= most, "{attack:?}: {share:.3} % of the steps, declared are {most} %");
    }
}
