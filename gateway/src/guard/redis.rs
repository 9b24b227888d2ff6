//! Counters in Redis or Valkey. Every decision is one script, which the server runs whole and by its own clock. No key holds a login, an
//! address or a code; all keys of a script share a hash tag, so a cluster finds them in one slot.
//!
//! A call that fails or takes longer than [`DEADLINE`] opens the breaker: nobody asks again until a probe beside the requests has written.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisError, Script, ScriptInvocation,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::{error, info};

use super::{
    gcra,
    ledger::{Entry, Lane, Question, WINDOW},
    store::{Attempt, Budget, FLOW_STATE, SEEN, Spend, Spent, Subject, Tried, micros},
};
use crate::{
    audit::{self, Event},
    flow::FlowId,
    metrics::Metrics,
};

/// How long a decision may wait. Below 50 ms with room for a timer that is late.
const DEADLINE: Duration = Duration::from_millis(45);
/// How long nobody asks after a failure.
const PAUSE: Duration = Duration::from_secs(2);

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
}

/// See the module.
pub struct Redis {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
    away: AtomicBool,
    failed: Notify,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("away", &self.away).finish_non_exhaustive()
    }
}

impl Redis {
    /// Looks after one on the current tokio runtime, until it is dropped.
    pub fn watch(client: Client, metrics: Arc<Metrics>) -> Arc<Self> {
        // Its client asks for whatever provider the process has; the SDK brings its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redis = Arc::new(Self {
            client,
            connection: Mutex::default(),
            away: AtomicBool::new(false),
            failed: Notify::new(),
            metrics,
        });
        redis.metrics.note_store(true);
        tokio::spawn(heal(Arc::downgrade(&redis)));
        redis
    }

    /// Whether it can be written to.
    ///
    /// # Errors
    ///
    /// What is wrong, without the address, which may hold a password.
    pub async fn probe(&self) -> Result<(), String> {
        let written = async {
            let mut connection = self.connection().await?;
            redis::cmd("SET")
                .arg("password-reset:{probe}")
                .arg(1)
                .arg("PX")
                .arg(10_000)
                .query_async::<()>(&mut connection)
                .await
        };
        let failure = match timeout(DEADLINE, written).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => reason(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        self.disconnect();
        Err(failure)
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

    /// Runs a script; `None` when this process has to decide alone.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        if self.away.load(Ordering::Relaxed) {
            return None;
        }
        let asked = async {
            let mut connection = self.connection().await?;
            script.invoke_async(&mut connection).await
        };
        let failure = match timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => reason(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        self.disconnect();
        // Told once, by whoever finds out first.
        if !self.away.swap(true, Ordering::Relaxed) {
            self.metrics.note_store(false);
            audit::note(Event::StoreAway);
            error!(failure, "the store is away: this replica decides with its share of the budgets");
            self.failed.notify_one();
        }
        None
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
        self.run(&script).await
    }

    pub(super) async fn guess(&self, question: Question) -> Option<Entry> {
        let Question { lane, capacity, code_lifetime, book, elsewhere } = question;
        let mut script = LEDGER.prepare_invoke();
        script.key(key(Subject::Installation, "live")).key(lane_key(lane));
        script.arg(capacity).arg(code_lifetime).arg(u8::from(book)).arg(elsewhere).arg(WINDOW);
        let (admitted, minute, live, spent, wait): (bool, u64, u32, u32, u64) = self.run(&script).await?;
        let wait = Duration::from_secs(wait.min(60 * (WINDOW + 1)));
        Some(Entry { admitted, minute, live, spent, capacity, wait })
    }

    pub(super) async fn unbook(&self, lane: Lane, minute: u64, price: u32) {
        let mut script = UNBOOK.prepare_invoke();
        script.key(lane_key(lane)).arg(minute).arg(price);
        self.run::<u32>(&script).await;
    }
}

/// After a failure waits, then probes until something can be written. Ends with the one it looks after.
async fn heal(redis: Weak<Redis>) {
    loop {
        let Some(watched) = redis.upgrade() else { return };
        // Looks up now and then, so that it notices when it is not needed any more.
        if timeout(PAUSE, watched.failed.notified()).await.is_err() {
            continue;
        }
        drop(watched);
        loop {
            sleep(PAUSE).await;
            let Some(watched) = redis.upgrade() else { return };
            if watched.probe().await.is_ok() {
                watched.away.store(false, Ordering::Relaxed);
                watched.metrics.note_store(true);
                audit::note(Event::StoreBack);
                info!("the store is back: replicas count together again");
                break;
            }
        }
    }
}

/// What went wrong, in a word or two: the text of an error may hold the address, and with it a password.
fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None => error.category().to_owned(),
    }
}

fn lines<'a>(budgets: &'a [Budget<'a>]) -> Vec<(&'a Budget<'a>, crate::config::Rate)> {
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
