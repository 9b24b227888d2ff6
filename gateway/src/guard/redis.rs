//! Counters in Redis or Valkey. Every decision is one script, which the server runs whole and by its own clock. No key holds a login, an
//! address or a code; all keys of a script share a hash tag, so a cluster finds them in one slot.
//!
//! A call that fails or takes longer than [`DEADLINE`] opens the breaker: nobody asks again until a look beside the requests has succeeded.
//! Such a look is taken every two seconds anyway. It brings the number of live codes, for when Redis is away, and the epoch: since when
//! Redis remembers. What was issued before is not believed any more, for its tries may be forgotten.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, ScriptInvocation,
    aio::MultiplexedConnection,
};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info};

use super::{
    count::{Attempt, Budget, FLOW_STATE, SEEN, Spend, Spent, Subject, Tried, micros},
    gcra,
    ledger::{Entry, Lane, Question, WINDOW},
};
use crate::{
    config::Rate,
    flow::{self, FlowId},
    telemetry::audit::{self, Event},
    telemetry::health::Health,
    telemetry::metrics::Metrics,
};

/// How long a decision may wait. Below 50 ms with room for a timer that is late.
const DEADLINE: Duration = Duration::from_millis(45);
/// How long nobody asks after a failure, and how often somebody looks otherwise.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the epoch outlives the last look of any replica, in milliseconds.
const EPOCH_LIFE: u32 = 86_400_000;

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {
        $(static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file))));)*
    };
}

scripts! {
    SPEND "spend.lua"
    GIVE_BACK "give_back.lua"
    ATTEMPT "attempt.lua"
    RELEASE "release.lua"
    TRIES "tries.lua"
    CODE "code.lua"
    LEDGER "ledger.lua"
    UNBOOK "unbook.lua"
    LOOK "look.lua"
}

/// What all replicas have to know of themselves and of each other.
#[derive(Clone, Debug)]
pub struct Shared {
    /// How long a code lives, in minutes.
    pub code_lifetime: u64,
    /// What was issued earlier is not believed, in milliseconds since 1970; follows the epoch.
    pub not_before: Arc<AtomicU64>,
}

/// See the module.
pub struct Redis {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    away: AtomicBool,
    live_codes: Mutex<Option<(u32, Instant)>>,
    /// The highest number of looks that was seen.
    looks: AtomicU64,
    shared: Shared,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("away", &self.away).finish_non_exhaustive()
    }
}

impl Redis {
    /// Looks after one on the current tokio runtime, until it is dropped.
    pub fn watch(client: Client, shared: Shared, metrics: Arc<Metrics>, health: Arc<Health>) -> Arc<Self> {
        // Its client asks for whatever provider the process has; the SDK brings its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redis = Arc::new(Self {
            client,
            connection: Mutex::default(),
            away: AtomicBool::new(false),
            live_codes: Mutex::default(),
            looks: AtomicU64::new(0),
            shared,
            metrics,
            health,
        });
        redis.note_store(true);
        tokio::spawn(look_after(Arc::downgrade(&redis)));
        redis
    }

    /// Looks whether it can be written to, and at what all replicas have to know. Where it turns out that Redis has forgotten, or never knew,
    /// it is taken to remember since `epoch`.
    ///
    /// # Errors
    ///
    /// What is wrong, without the address, which may hold a password.
    pub async fn look(&self, epoch: SystemTime) -> Result<(), String> {
        let mut script = LOOK.prepare_invoke();
        for name in ["epoch", "looks", "live"] {
            script.key(key(Subject::Installation, name));
        }
        script.arg(flow::milliseconds(epoch)).arg(self.looks.load(Ordering::Relaxed));
        script.arg(self.shared.code_lifetime).arg(EPOCH_LIFE);
        let (epoch, looks, live): (u64, u64, u32) = self.ask(&script).await?;
        self.shared.not_before.store(epoch, Ordering::Relaxed);
        self.looks.store(looks, Ordering::Relaxed);
        self.note_live(live);
        Ok(())
    }

    fn note_live(&self, live: u32) {
        let known = Some((live, Instant::now()));
        *self.live_codes.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// How many codes were live when Redis was last asked, if it ever was, and when that was.
    pub(super) fn live_codes(&self) -> Option<(u32, Instant)> {
        *self.live_codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(connection) = &*self.connection.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    /// A connection that failed may still bring answers to questions that nobody waits for any more.
    fn disconnect(&self) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs a script within the deadline.
    async fn ask<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, String> {
        let asked = async {
            let mut connection = self.connection().await?;
            script.invoke_async(&mut connection).await
        };
        let failure = match timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => reason(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        self.disconnect();
        Err(failure)
    }

    /// The same for a decision; `None` when this process has to decide alone.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        if self.away.load(Ordering::Relaxed) {
            return None;
        }
        match self.ask(script).await {
            Ok(answer) => Some(answer),
            Err(failure) => {
                self.note_away(&failure);
                None
            }
        }
    }

    fn note_store(&self, answers: bool) {
        self.health.note_store(answers);
        self.metrics.store(answers);
    }

    /// Told once, by whoever finds out first.
    fn note_away(&self, failure: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            self.note_store(false);
            audit::record_own(Event::StoreAway);
            error!(failure, "the store is away: this replica decides with its share of the budgets");
        }
    }

    fn note_back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            self.note_store(true);
            audit::record_own(Event::StoreBack);
            info!("the store is back: replicas count together again");
        }
    }

    pub(super) async fn spend(&self, spend: &Spend<'_>) -> Option<Spent> {
        let mut script = SPEND.prepare_invoke();
        let lines = lines(spend.budgets);
        let life = if spend.seen.is_some() { micros(SEEN) / 1000 } else { 0 };
        script.arg(lines.len()).arg(life);
        for (budget, rate) in &lines {
            let (interval, burst) = gcra::measures(*rate);
            script.key(budget_key(spend.subject, budget.name, rate.period));
            script.arg(interval).arg(burst).arg(u8::from(budget.only_new));
        }
        if let Some(seen) = spend.seen {
            script.key(key(spend.subject, format_args!("seen:{seen}")));
        }
        let (which, wait): (usize, u64) = self.run(&script).await?;
        Some(match which.checked_sub(1).and_then(|index| lines.get(index)) {
            None => Spent::Admitted,
            Some((budget, _)) => Spent::Exhausted { budget: budget.name, wait: Duration::from_micros(wait) },
        })
    }

    pub(super) async fn give_back(&self, subject: Subject, budgets: &[Budget<'_>]) {
        let mut script = GIVE_BACK.prepare_invoke();
        for (budget, rate) in lines(budgets) {
            script.key(budget_key(subject, budget.name, rate.period)).arg(gcra::measures(rate).0);
        }
        self.run::<u32>(&script).await;
    }

    pub(super) async fn attempt(&self, attempt: &Attempt, max: u32) -> Option<Tried> {
        let mut script = ATTEMPT.prepare_invoke();
        keys_of(&mut script, attempt);
        script.arg(max).arg(micros(FLOW_STATE) / 1000);
        Some(match self.run(&script).await? {
            0_u8 => Tried::Admitted,
            2 => Tried::Repeated,
            _ => Tried::Exhausted,
        })
    }

    pub(super) async fn release(&self, attempt: &Attempt, whole: bool) {
        let mut script = RELEASE.prepare_invoke();
        keys_of(&mut script, attempt);
        script.arg(u8::from(whole));
        self.run::<u32>(&script).await;
    }

    pub(super) async fn has_tries(&self, flow: FlowId, counters: &[(&'static str, u32)]) -> Option<bool> {
        let mut script = TRIES.prepare_invoke();
        script.arg(micros(FLOW_STATE) / 1000);
        for (name, max) in counters {
            script.key(flow_key(flow, name)).arg(max);
        }
        self.run(&script).await
    }

    /// One live code more, or one less of a minute.
    pub(super) async fn code(&self, less: Option<u64>) -> Option<u64> {
        let mut script = CODE.prepare_invoke();
        let minute = less.map(|minute| minute.to_string()).unwrap_or_default();
        // The longest life of a code that can be set is a day.
        script.key(key(Subject::Installation, "live")).arg(minute).arg(86400 + 120);
        let minute = self.run(&script).await?;
        let mut known = self.live_codes.lock().unwrap_or_else(PoisonError::into_inner);
        let live = known.map_or(0, |(live, _)| live);
        let live = if less.is_none() { live.saturating_add(1) } else { live.saturating_sub(1) };
        *known = Some((live, Instant::now()));
        Some(minute)
    }

    pub(super) async fn guess(&self, question: Question) -> Option<Entry> {
        let Question { lane, capacity, code_lifetime, book, elsewhere } = question;
        let mut script = LEDGER.prepare_invoke();
        script.key(key(Subject::Installation, "live")).key(lane_key(lane));
        script.arg(capacity).arg(code_lifetime).arg(u8::from(book)).arg(elsewhere).arg(WINDOW);
        let (admitted, minute, live, spent, wait): (bool, u64, u32, u32, u64) = self.run(&script).await?;
        self.note_live(live.saturating_sub(elsewhere));
        let wait = Duration::from_secs(wait.min(60 * (WINDOW + 1)));
        Some(Entry { admitted, minute, live, spent, capacity, wait })
    }

    pub(super) async fn unbook(&self, lane: Lane, minute: u64, price: u32) {
        let mut script = UNBOOK.prepare_invoke();
        script.key(lane_key(lane)).arg(minute).arg(price);
        self.run::<u32>(&script).await;
    }
}

/// Looks now and then, and after a failure until it succeeds. Ends with the one it looks after.
async fn look_after(redis: Weak<Redis>) {
    // The first gateway of all has counted since it started; one that finds nothing later does not know since when it is gone.
    let mut epoch = SystemTime::now();
    loop {
        let Some(watched) = redis.upgrade() else { return };
        match watched.look(epoch).await {
            Ok(()) => watched.note_back(),
            Err(failure) => watched.note_away(&failure),
        }
        drop(watched);
        sleep(PAUSE).await;
        epoch = SystemTime::now();
    }
}

/// What went wrong, in a word or two: the text of an error may hold the address, and with it a password.
fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None => error.category().to_owned(),
    }
}

fn lines<'a>(budgets: &'a [Budget<'a>]) -> Vec<(&'a Budget<'a>, Rate)> {
    budgets.iter().flat_map(|budget| budget.rates.iter().map(move |rate| (budget, *rate))).collect()
}

fn key(subject: Subject, name: impl fmt::Display) -> String {
    match subject {
        Subject::Installation => format!("password-reset:{{all}}:{name}"),
        Subject::Login(login) => format!("password-reset:{{login:{login}}}:{name}"),
        Subject::Address(address) => format!("password-reset:{{address:{address}}}:{name}"),
    }
}

fn budget_key(subject: Subject, name: &str, period: Duration) -> String {
    key(subject, format_args!("{name}:{}", period.as_secs()))
}

fn lane_key(lane: Lane) -> String {
    key(
        Subject::Installation,
        match lane {
            Lane::Flow => "risk",
            Lane::Legacy => "legacy-risk",
        },
    )
}

fn flow_key(flow: FlowId, name: &str) -> String {
    format!("password-reset:{{flow:{flow}}}:{name}")
}

fn keys_of(script: &mut ScriptInvocation<'_>, attempt: &Attempt) {
    script.key(flow_key(attempt.flow, attempt.name));
    if let Some(mark) = attempt.mark {
        script.key(flow_key(attempt.flow, &format!("{}:{mark}", attempt.name)));
    }
}
