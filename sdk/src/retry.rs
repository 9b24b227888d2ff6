//! Decides whether a failed call is sent again, and when. The OpenAPI document says which operations are safe to repeat; the SDK
//! repeats the others only when Autoshares provably did not carry out the earlier attempt.

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

/// Caps [`RetryPolicy::cap`] at the longest timeout that a client can have; a longer wait could never happen.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the SDK tries a call, and how long it waits in between. The default is three attempts.
///
/// Each wait is random, between zero and a bound that starts at [`base`](Self::base) and doubles up to [`cap`](Self::cap), so that
/// many clients do not all return at the same moment. When Autoshares names a time in `Retry-After`, the SDK waits that long in
/// addition. If the deadline of the call would pass during the wait, the call fails at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts; the first wait is at most 200 ms, the second at most 400 ms, both without `Retry-After`.
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_millis(200), cap: Duration::from_secs(2) }
    }
}

impl RetryPolicy {
    /// A policy without retries: each call gets one attempt.
    pub fn off() -> Self {
        Self::default().attempts(1)
    }

    /// Sets the largest number of attempts for a call, the first one included; 0 counts as 1. 3 by default.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the longest wait before the second attempt; the bound then doubles with each further attempt. 200 ms by default.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the longest wait before any attempt, `Retry-After` not counted. 2 seconds by default; more than a day counts as a day.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap.min(LONGEST_WAIT);
        self
    }

    pub(crate) fn is_off(self) -> bool {
        self.attempts == 1
    }

    /// How long to wait before the next attempt; `None` when the call must not be tried again. `resent` attempts do not count, for no
    /// connection took them.
    pub(crate) fn wait(self, error: &Error, resent: u32) -> Option<Duration> {
        let attempts = error.attempts.saturating_sub(resent);
        if attempts >= self.attempts || !may_be_repeated(error) {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(16);
        let bound = self.base.saturating_mul(1 << doublings).min(self.cap);
        // The random wait comes on top of `Retry-After`; otherwise all clients would return at the instant that Autoshares named.
        Some(error.retry_after.unwrap_or_default().saturating_add(bound.mul_f64(random_fraction())))
    }
}

/// Whether the failed call may be sent again. No other code decides this, except that `Client` sends a call once more with a new
/// application key.
fn may_be_repeated(error: &Error) -> bool {
    // An envelope means that Autoshares processed the request and refused it. Its answer would be the same, even if the status is a 503.
    if matches!(&error.kind, ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope) {
        return false;
    }
    match (&error.kind, error.operation.retry()) {
        (ErrorKind::KeyRejected, _) => false,
        // Nothing was sent, so a retry is harmless. With 0 attempts it was the key source that failed, and that is not retried.
        (ErrorKind::NotSent, _) => error.attempts > 0,
        // A connection that breaks is the commonest fault of one that is used again.
        (ErrorKind::MaybeSent, Retry::Safe) => true,
        (_, Retry::Safe) => matches!(error.status, Some(408 | 429 | 502 | 503 | 504)),
        (ErrorKind::MaybeSent, Retry::UnsentOnly) => false,
        // Autoshares named a time for trying again, and nothing suggests that it carried out the request nonetheless.
        (_, Retry::UnsentOnly) => {
            matches!(error.status, Some(429 | 503))
                && error.retry_after.is_some()
                && !error.may_have_been_applied()
        }
    }
}

/// Parses `Retry-After` into the time to wait from `now`. RFC 9110 allows whole seconds and a date in GMT; servers also write fractions of a
/// second, other names of GMT, a date by ISO 8601, and a list where a proxy has added its own time, of which the longest counts.
pub(crate) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Some(date) = date(text) {
        // A date in the past means that there is nothing to wait for.
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let times: Option<Vec<Duration>> =
        text.trim_end_matches(',').split(',').map(|time| seconds(time.trim())).collect();
    times?.into_iter().max()
}

/// A number of seconds, rounded up to a whole one. One that no counter holds is as good as for ever.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let is_whole = fraction.bytes().all(|digit| digit == b'0');
    Some(Duration::from_secs(whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add((!is_whole).into())))
}

fn date(text: &str) -> Option<SystemTime> {
    let without_zone =
        ["UTC", "Z", "+0000", "-0000", "+00:00"].iter().find_map(|zone| text.strip_suffix(zone));
    let in_gmt = |text: &str| httpdate::parse_http_date(&format!("{} GMT", text.trim_end())).ok();
    httpdate::parse_http_date(text)
        .ok()
        .or_else(|| in_gmt(without_zone?))
        .or_else(|| humantime::parse_rfc3339_weak(without_zone.unwrap_or(text).trim_end()).ok())
}

/// A random number from 0 to 1. The standard library seeds each `RandomState` from the system's randomness, which saves a dependency.
fn random_fraction() -> f64 {
    f64::from(u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(u32::MAX))
        / f64::from(u32::MAX)
}

/// Limits the retries of all clones of a client together: while Autoshares fails, every call would otherwise be sent three times and
/// add to its load.
///
/// The budget starts full with ten retries. A call that succeeds at its first attempt earns a tenth of a retry.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    const RETRY: u32 = 10;
    const FULL: u32 = 10 * Self::RETRY;

    pub(crate) fn full() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    /// Takes one retry out of the budget. Returns whether there was one.
    pub(crate) fn spend(&self) -> bool {
        self.change(|tokens| tokens.checked_sub(Self::RETRY))
    }

    /// Adds a tenth of a retry, for a call that succeeded at its first attempt.
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
        assert_eq!(after("1.5"), Some(Duration::from_secs(2)));
        assert_eq!(after("2.0"), Some(Duration::from_secs(2)));
        assert_eq!(after("120, 120"), Some(Duration::from_secs(120)));
        assert_eq!(after("5,60"), Some(Duration::from_secs(60)), "one for each proxy");
        assert_eq!(after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        for zone in ["UTC", "+0000", "-0000", "Z", "+00:00"] {
            let date = format!("Tue, 24 Nov 2026 03:00:07 {zone}");
            assert_eq!(retry_after(&date, now), Some(Duration::from_secs(7)), "{zone}");
        }
        for date in [
            "2026-11-24T03:00:07Z",
            "2026-11-24T03:00:07+00:00",
            "2026-11-24 03:00:07",
            "2026-11-24 03:00:07 UTC",
        ] {
            assert_eq!(after(date), Some(Duration::from_secs(7)), "{date}");
        }
        for text in
            ["", "soon", "-1", "+1", "1.", ".5", "1e3", "120, soon", "Tue, 24 Nov 2026 03:00:07 +0200"]
        {
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
            policy.wait(&error, 0)
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
