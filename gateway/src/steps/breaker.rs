//! While Autoshares fails, nobody is forwarded: whether Autoshares fails is one state for everybody, or the failures would tell flows that
//! have a code from flows that have none. A probe that can change nothing looks whether Autoshares answers again.
//!
//! A breaker is a value without time and tasks of its own; `outage.rs` opens and closes it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often a probe looks whether Autoshares answers again.
pub const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How often one real call is let through while nothing but failing probes holds a breaker open: nobody knows what Autoshares says about
/// what cannot exist.
const TRIAL_EVERY: Duration = Duration::from_secs(60);

/// Whether requests are forwarded.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    since: Instant,
    next_trial: Instant,
}

impl Breaker {
    /// How long a client should wait before it tries again; `None` when requests are forwarded, or one may be for trial.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let open = state.as_ref().filter(|open| now < open.next_trial)?;
        let into = now.saturating_duration_since(open.since).as_nanos() % PROBE_EVERY.as_nanos();
        Some(PROBE_EVERY - Duration::from_nanos(u64::try_from(into).unwrap_or_default()))
    }

    /// Takes leave to forward one request: always while the breaker is closed, else once in [`TRIAL_EVERY`].
    pub fn pass(&self, now: Instant) -> bool {
        match &mut *self.state() {
            None => true,
            Some(open) if now >= open.next_trial => {
                open.next_trial = now + TRIAL_EVERY;
                true
            }
            Some(_) => false,
        }
    }

    /// Forwards no more. Whether it has been forwarding until now.
    pub fn open(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_news = state.is_none();
        state.get_or_insert(Open { since: now, next_trial: now + TRIAL_EVERY });
        is_news
    }

    /// Forwards again. Whether it has not been forwarding until now.
    pub fn close(&self) -> bool {
        self.state().take().is_some()
    }

    /// Since when it forwards nothing; `None` while it forwards.
    pub fn open_since(&self) -> Option<Instant> {
        self.state().as_ref().map(|open| open.since)
    }

    fn state(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn while_it_is_open_one_request_a_minute_passes() {
        let (breaker, began) = (Breaker::default(), Clock::system().now());
        let after = |seconds| began + Duration::from_secs(seconds);
        assert!(breaker.pass(began) && breaker.wait(began).is_none());
        assert!(breaker.open(began) && !breaker.open(after(1)) && breaker.open_since() == Some(began));
        for (seconds, wait) in [(0, 5), (1, 4), (4, 1), (5, 5), (59, 1)] {
            assert_eq!(breaker.wait(after(seconds)), Some(Duration::from_secs(wait)), "{seconds}");
            assert!(!breaker.pass(after(seconds)));
        }
        assert_eq!(breaker.wait(after(60)), None);
        assert!(breaker.pass(after(60)) && !breaker.pass(after(60)));
        assert!(breaker.wait(after(61)).is_some() && breaker.pass(after(120)));
        assert!(breaker.close() && !breaker.close());
        assert!(breaker.pass(after(121)) && breaker.pass(after(121)));
    }
}
