//! Where counters live: in Redis, shared by all replicas, or in this process. While Redis is away or slow, this process decides with its
//! share of every budget. There is no third way: nothing is ever allowed for want of an answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    count::{Attempt, Budget, Place, Spend, Spent, Subject, Tried, micros},
    ledger::{Entry, Lane, Question},
    memory::Memory,
    redis::{Redis, Shared},
};
use crate::{
    config::{StoreSettings, share},
    flow::FlowId,
    telemetry::health::Health,
    telemetry::metrics::Metrics,
};

/// See the module.
#[derive(Debug)]
pub struct Store {
    redis: Option<Arc<Redis>>,
    local: Mutex<Memory>,
    /// How many share the budgets; this process has that part of them when it decides alone.
    replicas: u32,
    started: Instant,
}

/// Microseconds in a minute.
const MINUTE: u64 = 60_000_000;

impl Store {
    /// With Redis when there is one. Watches over it on the current tokio runtime.
    pub fn new(
        settings: &StoreSettings,
        shared: &Shared,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Self {
        let watch = |client| Redis::watch(client, shared.clone(), Arc::clone(metrics), Arc::clone(health));
        let redis = settings.redis.clone().map(watch);
        Self {
            replicas: if redis.is_some() { settings.replicas } else { 1 },
            redis,
            local: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Writes to Redis, when there is one.
    ///
    /// # Errors
    ///
    /// Why it cannot be written to.
    pub async fn probe(&self) -> Result<(), String> {
        match &self.redis {
            Some(redis) => redis.look(SystemTime::now()).await,
            None => Ok(()),
        }
    }

    fn local(&self) -> MutexGuard<'_, Memory> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds, starting far enough from zero for every window to lie behind.
    fn now(&self) -> u64 {
        micros(Duration::from_secs(2 * 86400)) + micros(self.started.elapsed())
    }

    /// Spends budgets together or not at all.
    pub async fn spend(&self, spend: &Spend<'_>) -> (Spent, Place) {
        if let Some(redis) = &self.redis
            && let Some(spent) = redis.spend(spend).await
        {
            return (spent, Place::Shared);
        }
        (self.local().spend(spend, self.replicas, self.now()), Place::Local)
    }

    /// Undoes one [`spend`](Self::spend).
    pub async fn give_back(&self, place: Place, subject: Subject, budgets: &[Budget<'_>]) {
        match (place, &self.redis) {
            // What Redis does not take back stays spent, which errs on the safe side.
            (Place::Shared, Some(redis)) => redis.give_back(subject, budgets).await,
            _ => self.local().give_back(subject, budgets, self.replicas),
        }
    }

    /// Counts a try in a flow.
    pub async fn attempt(&self, attempt: &Attempt, max: u32) -> (Tried, Place) {
        if let Some(redis) = &self.redis
            && let Some(tried) = redis.attempt(attempt, max).await
        {
            return (tried, Place::Shared);
        }
        (self.local().attempt(attempt, share(max, self.replicas), self.now()), Place::Local)
    }

    /// Takes the mark of a try back, and the try itself if `whole`.
    pub async fn release(&self, place: Place, attempt: &Attempt, whole: bool) {
        match (place, &self.redis) {
            (Place::Shared, Some(redis)) => redis.release(attempt, whole).await,
            _ => self.local().release(attempt, whole),
        }
    }

    /// Whether what was said stays true when Redis is back.
    pub fn is_final(&self, place: Place) -> bool {
        place == Place::Shared || self.redis.is_none()
    }

    /// Whether a flow has tries left of each kind.
    pub async fn has_tries(&self, flow: FlowId, counters: &[(&'static str, u32)]) -> bool {
        if let Some(redis) = &self.redis
            && let Some(has_tries) = redis.has_tries(flow, counters).await
        {
            return has_tries;
        }
        let shares = counters.iter().map(|(name, max)| (*name, share(*max, self.replicas)));
        self.local().has_tries(flow, &shares.collect::<Vec<_>>(), self.now())
    }

    /// A code is about to be sent. The minute, for [`code_not_sent`](Self::code_not_sent).
    pub async fn code_sent(&self) -> (u64, Place) {
        if let Some(redis) = &self.redis
            && let Some(minute) = redis.code(None).await
        {
            return (minute, Place::Shared);
        }
        let minute = self.now() / MINUTE;
        self.local().ledger.code_sent(minute);
        (minute, Place::Local)
    }

    /// It was not sent after all.
    pub async fn code_not_sent(&self, place: Place, minute: u64) {
        match (place, &self.redis) {
            (Place::Shared, Some(redis)) => drop(redis.code(Some(minute)).await),
            _ => self.local().ledger.code_not_sent(minute),
        }
    }

    /// Asks the ledger. Codes that were sent while Redis was away are counted by whoever sent them, and every replica is taken to have sent
    /// as many.
    pub async fn guess(&self, question: Question) -> (Entry, Place) {
        let own = self.local().ledger.live(self.now() / MINUTE, question.code_lifetime);
        let alone = own.saturating_mul(self.replicas);
        if let Some(redis) = &self.redis
            && let Some(entry) = redis.guess(Question { elsewhere: alone, ..question }).await
        {
            return (entry, Place::Shared);
        }
        let capacity = share(question.capacity, self.replicas);
        let lifetime = Duration::from_secs(60 * question.code_lifetime);
        let before = match self.redis.as_ref().map(|redis| redis.live_codes()) {
            None => 0,
            Some(Some((_, at))) if at.elapsed() >= lifetime => 0,
            Some(Some((live, _))) => live,
            // Redis has never been there: as many as leave a few guesses.
            Some(None) => capacity / 4,
        };
        let elsewhere = before.saturating_add(alone.saturating_sub(own));
        let question = Question { capacity, elsewhere, ..question };
        (self.local().ledger.guess(question, self.now() / MINUTE), Place::Local)
    }

    /// A guess was none.
    pub async fn unbook(&self, place: Place, lane: Lane, minute: u64, price: u32) {
        match (place, &self.redis) {
            (Place::Shared, Some(redis)) => redis.unbook(lane, minute, price).await,
            _ => self.local().ledger.give_back(lane, minute, price),
        }
    }
}
