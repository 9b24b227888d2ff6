//! Whether a failed call is repeated, and when. Only what cannot happen twice: the document says which operations are safe, and
//! the rest is repeated only when it provably never reached Autoshares' business.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use crate::{
    error::{Error, ErrorKind},
    operation::Retry,
    refusal::RefusalShape,
};

/// Beyond this no wait makes sense.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a call is tried, and how long to wait in between.
///
/// The wait is drawn anew each time between nothing and a bound that doubles from [`base`](Self::base) to [`cap`](Self::cap), so
/// that clients do not come back in step. When Autoshares names a time in `Retry-After`, that is waited first; a call whose deadline
/// would pass meanwhile fails at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts, waiting up to 200 ms, then up to 400 ms.
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_millis(200), cap: Duration::from_secs(2) }
    }
}

impl RetryPolicy {
    /// Each call is tried once.
    pub fn off() -> Self {
        Self::default().attempts(1)
    }

    /// How often a call is tried at the most, the first time included. At least 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The longest first wait.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest wait of all, at most a day.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap.min(LONGEST_WAIT);
        self
    }

    pub(crate) fn is_off(self) -> bool {
        self.attempts == 1
    }

    /// How long to wait before the next attempt; `None` when there is none.
    pub(crate) fn wait(self, error: &Error) -> Option<Duration> {
        if error.attempts >= self.attempts || !may_be_repeated(error) {
            return None;
        }
        let doublings = error.attempts.saturating_sub(1).min(16);
        let bound = self.base.saturating_mul(1 << doublings).min(self.cap);
        // On top of the time that Autoshares named, or all clients would come back at that instant.
        Some(error.retry_after.unwrap_or_default().saturating_add(bound.mul_f64(random_fraction())))
    }
}

/// The one place that decides what may be repeated.
fn may_be_repeated(error: &Error) -> bool {
    // An answer in an envelope is an answer, whatever its status.
    if matches!(&error.kind, ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope) {
        return false;
    }
    match (&error.kind, error.operation.retry()) {
        (ErrorKind::KeyRejected, _) => false,
        // Nothing was sent; a key that could not be had is not a matter of trying again at once.
        (ErrorKind::NotSent, _) => error.attempts > 0,
        (_, Retry::Safe) => error.timeout || matches!(error.status, Some(408 | 429 | 502 | 503 | 504)),
        (ErrorKind::MaybeSent, Retry::UnsentOnly) => false,
        // Told to come back later, and nothing says that the request went through all the same.
        (_, Retry::UnsentOnly) => {
            matches!(error.status, Some(429 | 503))
                && error.retry_after.is_some()
                && !error.may_have_been_applied()
        }
    }
}

/// `Retry-After` as a time from now: seconds, or a date.
pub(crate) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date that has passed means now.
    Some(date.duration_since(now).unwrap_or_default())
}

/// From 0 to 1. The standard library seeds each of these from the system's randomness, which spares a dependency.
fn random_fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(u32::MAX))
        / f64::from(u32::MAX)
}

/// What all clones of a client may spend on retries together, so that a failing Autoshares is not asked three times as often.
///
/// It starts full with ten retries; a call that succeeds at once returns a tenth of one.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    const RETRY: u32 = 10;
    const FULL: u32 = 10 * Self::RETRY;

    pub(crate) fn full() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    /// Takes the price of one retry, if it is there.
    pub(crate) fn spend(&self) -> bool {
        self.change(|tokens| tokens.checked_sub(Self::RETRY))
    }

    /// Notes a call that succeeded at once.
    pub(crate) fn earn(&self) {
        self.change(|tokens| (tokens < Self::FULL).then_some(tokens + 1));
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 03:00:00 GMT").unwrap();
        let after = |text| retry_after(text, now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        assert_eq!(after("Tue, 24 Nov 2026 03:00:07 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(after("Tue, 24 Nov 2026 02:00:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn the_budget_pays_for_ten_retries_and_earns_one_with_ten_successes() {
        let budget = RetryBudget::full();
        budget.earn();
        assert_eq!((0..20).filter(|_| budget.spend()).count(), 10);
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend());
    }

    #[test]
    fn waits_are_drawn_anew_below_a_doubling_bound() {
        let policy = RetryPolicy::default()
            .attempts(9)
            .base(Duration::from_millis(100))
            .cap(Duration::from_millis(300));
        let wait = |attempts| {
            let error = Error {
                retry_after: None,
                operation: crate::Operation::FetchQuestion,
                kind: ErrorKind::NotSent,
                status: None,
                attempts,
                timeout: false,
                request_id: None,
                source: None,
            };
            policy.wait(&error)
        };
        for (attempts, bound) in [(1, 100), (2, 200), (3, 300), (8, 300)] {
            let waits: Vec<_> = (0..50).map(|_| wait(attempts).unwrap()).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(bound)));
            assert!(waits.iter().any(|wait| *wait > Duration::from_millis(bound / 2)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait < Duration::from_millis(bound / 2)), "{waits:?}");
        }
        assert_eq!(wait(9), None);
        assert_eq!(wait(0), None, "nothing was tried");
    }
}
