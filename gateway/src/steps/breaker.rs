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
/// How seldom a probe looks at least, however long Autoshares wants to be left alone: it may be well again before that.
const PROBE_AT_LEAST: Duration = Duration::from_secs(60);

/// Whether requests are forwarded.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    since: Instant,
    next_trial: Instant,
    /// Until when Autoshares wants no calls, if it said so in `Retry-After`.
    left_alone_until: Option<Instant>,
}

impl Breaker {
    /// How long a client should wait before it tries again; `None` when requests are forwarded, or one may be for trial.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let open = state.as_ref().filter(|open| now < open.next_trial)?;
        let into = now.saturating_duration_since(open.since).as_nanos() % PROBE_EVERY.as_nanos();
        let until_probe = PROBE_EVERY - Duration::from_nanos(u64::try_from(into).unwrap_or_default());
        Some(until_probe.max(open.left_alone_for(now)))
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

    /// Forwards no more. `retry_after` is how long Autoshares wants no calls, if it said so. Whether it has been forwarding until now.
    pub fn open(&self, now: Instant, retry_after: Option<Duration>) -> bool {
        let mut state = self.state();
        let is_news = state.is_none();
        let open = Open { since: now, next_trial: now + TRIAL_EVERY, left_alone_until: None };
        state.get_or_insert(open).leave_alone(now, retry_after);
        is_news
    }

    /// A probe failed. `retry_after` is how long Autoshares wants no calls. Changes nothing if a real call has closed the breaker meanwhile.
    pub fn stay_open(&self, now: Instant, retry_after: Option<Duration>) {
        if let Some(open) = &mut *self.state() {
            open.leave_alone(now, retry_after);
        }
    }

    /// How long the next probe waits.
    pub fn probe_wait(&self, now: Instant) -> Duration {
        let alone = self.state().as_ref().map_or(Duration::ZERO, |open| open.left_alone_for(now));
        alone.clamp(PROBE_EVERY, PROBE_AT_LEAST)
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

impl Open {
    fn leave_alone(&mut self, now: Instant, retry_after: Option<Duration>) {
        if let Some(retry_after) = retry_after {
            self.left_alone_until = Some(now + retry_after);
        }
    }

    fn left_alone_for(&self, now: Instant) -> Duration {
        self.left_alone_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
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
        assert!(breaker.open(began, None) && !breaker.open(after(1), None));
        assert_eq!(breaker.open_since(), Some(began));
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

    #[test]
    fn autoshares_is_left_alone_for_as_long_as_it_says() {
        let (breaker, began) = (Breaker::default(), Clock::system().now());
        let (seconds, after) = (Duration::from_secs, |seconds| began + Duration::from_secs(seconds));
        assert_eq!(breaker.probe_wait(began), PROBE_EVERY, "none was named");
        breaker.open(began, Some(seconds(90)));
        assert_eq!((breaker.wait(after(0)), breaker.wait(after(58))), (Some(seconds(90)), Some(seconds(32))));
        assert_eq!((breaker.probe_wait(after(0)), breaker.probe_wait(after(60))), (seconds(60), seconds(30)));
        assert_eq!(breaker.probe_wait(after(89)), PROBE_EVERY);
        // What it said of one login must not stop everybody for longer than any other failure.
        assert!(!breaker.pass(after(59)) && breaker.pass(after(60)) && !breaker.pass(after(61)));
        assert_eq!(breaker.wait(after(61)), Some(seconds(29)));
        breaker.stay_open(after(92), Some(seconds(3)));
        breaker.stay_open(after(93), None);
        assert_eq!(breaker.wait(after(93)), Some(seconds(2)), "its last word stands");
        breaker.close();
        breaker.stay_open(after(94), Some(seconds(3)));
        assert!(breaker.pass(after(94)), "a late probe opens nothing");
    }
}
