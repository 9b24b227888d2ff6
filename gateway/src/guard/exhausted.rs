//! Remembers which budgets are used up, of networks and of the installation, so that the gateway refuses a flood without querying the
//! store. No settlement gives these budgets anything back before the wait is over, so the
//! memory is wrong only after the store has lost its counts, and then it refuses for too long.

use std::{collections::HashMap, time::Duration};

use autoshares_counting::Subject;
use tokio::time::Instant;

/// How many budgets are remembered. Where there is no room the store is queried again.
const MAX: usize = 10_000;

/// Budgets that are used up, each with the time until which it is.
#[derive(Debug, Default)]
pub(super) struct Exhausted {
    until: HashMap<(Subject, &'static str), Instant>,
    /// When the budgets were last searched for some that are over. Searching costs time, so it happens once in ten seconds at most.
    swept: Option<Instant>,
}

const SWEEP_AFTER: Duration = Duration::from_secs(10);

impl Exhausted {
    /// How long a budget is known to be used up from this time on.
    pub(super) fn wait(&self, subject: Subject, budget: &'static str, now: Instant) -> Option<Duration> {
        let until = self.until.get(&(subject, budget))?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Remembers a refusal of the store.
    pub(super) fn remember(&mut self, subject: Subject, budget: &'static str, wait: Duration, now: Instant) {
        let may_sweep = self.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_AFTER);
        if self.until.len() >= MAX && may_sweep {
            self.until.retain(|_, until| *until > now);
            self.swept = Some(now);
        }
        if self.until.len() < MAX {
            self.until.insert((subject, budget), now + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use autoshares_counting::Id;

    use super::*;
    use crate::clock::Clock;

    const fn network(number: u8) -> Subject {
        Subject::Of(Id([number; 16]))
    }

    #[test]
    fn a_budget_is_remembered_as_long_as_its_network_has_to_wait() {
        let (mut exhausted, now) = (Exhausted::default(), Clock::system().now());
        let after = |seconds| now + Duration::from_secs(seconds);
        exhausted.remember(network(1), "one", Duration::from_secs(100), now);
        assert_eq!(exhausted.wait(network(1), "one", after(10)), Some(Duration::from_secs(90)));
        assert_eq!(exhausted.wait(network(1), "one", after(100)), None);
        assert_eq!(exhausted.wait(network(1), "two", now), None);
        assert_eq!(exhausted.wait(network(2), "one", now), None);
        assert_eq!(exhausted.wait(Subject::All, "one", now), None);
    }

    #[test]
    fn the_memory_does_not_grow_without_end() {
        let (mut exhausted, now) = (Exhausted::default(), Clock::system().now());
        for number in 0..50_000_u128 {
            exhausted.remember(Subject::Of(Id(number.to_be_bytes())), "one", Duration::from_secs(9), now);
        }
        assert_eq!(exhausted.until.len(), MAX);
        let later = now + Duration::from_secs(10);
        exhausted.remember(network(9), "one", Duration::from_secs(9), later);
        assert_eq!(exhausted.until.len(), 1);
    }
}
