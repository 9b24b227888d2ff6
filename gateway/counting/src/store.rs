//! Where counters live: in this process, or in a Redis that several processes share. A simulation has a third way, `shared.rs`.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

#[cfg(feature = "simulation")]
use crate::shared::Link;
use crate::{
    Micros,
    decision::{Decided, Decision, Recalled, Settlement},
    id::Id,
    memory::Memory,
    presence::{Away, Presence, Unusable},
    redis::{Redis, RedisSettings},
};

/// Counters, and the place where they live.
#[derive(Debug)]
pub struct Store(Backend);

#[derive(Debug)]
enum Backend {
    Memory(Box<Mutex<Memory>>),
    Redis(Arc<Redis>),
    #[cfg(feature = "simulation")]
    Shared(Arc<Link>),
}

impl Store {
    /// Counters in this process, which forgets them when it ends.
    pub fn memory() -> Self {
        Self(Backend::Memory(Box::default()))
    }

    /// Counters in Redis or Valkey. A task on the current tokio runtime keeps connected, until the store is dropped.
    pub fn redis(settings: RedisSettings) -> Self {
        Self(Backend::Redis(Redis::keep_connected(settings)))
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn over(link: Arc<Link>) -> Self {
        Self(Backend::Shared(link))
    }

    /// Decides whether an act may be done, and charges what it costs. In Redis this is one round trip. `now` is the time for counters in this process; Redis
    /// uses the clock of its server.
    ///
    /// # Errors
    ///
    /// [`Away`] when Redis does not reply in time. Of a decision that it made all the same, whatever has a receipt is undone as soon as it
    /// replies again.
    pub async fn decide(&self, decision: &Decision<'_>, now: Micros) -> Result<Decided, Away> {
        match &self.0 {
            Backend::Memory(memory) => Ok(lock(memory).decide(decision, now)),
            // In a box, or every decision in this process would carry the room for one in Redis along.
            Backend::Redis(redis) => Box::pin(redis.decide(decision, now)).await,
            #[cfg(feature = "simulation")]
            Backend::Shared(link) => link.decide(decision).await,
        }
    }

    /// Undoes the charges that a settlement names, once, even if the caller settles again. While Redis does not reply, the store keeps the
    /// settlement, and applies it when Redis replies again. In Redis this is one round trip.
    pub async fn settle(&self, decision: Id, settlement: &Settlement<'_>, now: Micros) {
        match &self.0 {
            Backend::Memory(memory) => lock(memory).settle(decision, settlement, now),
            Backend::Redis(redis) => Box::pin(redis.settle(decision, settlement, now)).await,
            #[cfg(feature = "simulation")]
            Backend::Shared(link) => link.settle(decision, settlement),
        }
    }

    /// The outcome of something that was marked in a record. Charges nothing.
    ///
    /// # Errors
    ///
    /// [`Away`] when Redis does not reply in time.
    pub async fn recall(&self, record: Id, mark: Id, now: Micros) -> Result<Recalled, Away> {
        match &self.0 {
            Backend::Memory(memory) => Ok(lock(memory).recall(record, mark, now)),
            Backend::Redis(redis) => Box::pin(redis.recall(record, mark, now)).await,
            #[cfg(feature = "simulation")]
            Backend::Shared(link) => link.recall(record, mark).await,
        }
    }

    /// Whether Redis replies, as a value to watch; `None` for counters in this process.
    pub fn presence(&self) -> Option<watch::Receiver<Presence>> {
        match &self.0 {
            Backend::Memory(_) => None,
            Backend::Redis(redis) => Some(redis.presence()),
            #[cfg(feature = "simulation")]
            Backend::Shared(_) => None,
        }
    }

    /// Waits until the first attempt to reach Redis has succeeded or failed.
    ///
    /// # Errors
    ///
    /// [`Unusable`].
    pub async fn probe(&self) -> Result<(), Unusable> {
        let Some(mut presence) = self.presence() else { return Ok(()) };
        let settled = presence.wait_for(|presence| *presence != Presence::Connecting).await;
        match settled.as_deref() {
            Ok(Presence::Away { reason, is_unfit }) => {
                Err(Unusable { reason: Arc::clone(reason), is_unfit: *is_unfit })
            }
            _ => Ok(()),
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
