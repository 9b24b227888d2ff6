//! Remembers which networks have used up a budget, so that the gateway refuses a flood without querying the store or filling the log. The
//! memory cannot be wrong, because no settlement gives a network anything back before the wait is over.

use std::{collections::HashMap, time::Duration};

use autoshares_counting::Id;
use tokio::time::Instant;

/// How long the audit trail records no further refusal of a network that keeps sending requests.
const QUIET: Duration = Duration::from_secs(60);
/// How many networks are remembered. Where there is no room the store is queried again.
const MAX: usize = 10_000;

/// The networks, each with the budget that it has used up.
#[derive(Debug, Default)]
pub(super) struct Exhausted(HashMap<(Id, &'static str), Known>);

#[derive(Debug)]
struct Known {
    until: Instant,
    recorded: Instant,
}

/// A budget that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// How long until some of it has come back.
    pub(super) wait: Duration,
    /// Whether the audit trail should record this refusal.
    pub(super) is_news: bool,
}

impl Exhausted {
    /// Whether a network's budget is known to be used up at this time.
    pub(super) fn hit(&mut self, address: Id, budget: &'static str, now: Instant) -> Option<Hit> {
        let known = self.0.get_mut(&(address, budget))?;
        let wait = known.until.checked_duration_since(now).filter(|wait| !wait.is_zero())?;
        let is_news = now.duration_since(known.recorded) >= QUIET;
        if is_news {
            known.recorded = now;
        }
        Some(Hit { wait, is_news })
    }

    /// Remembers a refusal of the store, which is recorded now.
    pub(super) fn remember(&mut self, address: Id, budget: &'static str, wait: Duration, now: Instant) {
        if self.0.len() >= MAX {
            self.0.retain(|_, known| known.until > now);
        }
        if self.0.len() < MAX {
            self.0.insert((address, budget), Known { until: now + wait, recorded: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_network_is_remembered_as_long_as_it_has_to_wait_and_recorded_once_a_minute() {
        let (mut exhausted, now) = (Exhausted::default(), Clock::system().now());
        let address = Id([1; 16]);
        let after = |seconds| now + Duration::from_secs(seconds);
        exhausted.remember(address, "one", Duration::from_secs(100), now);
        let hit = |wait, is_news| Some(Hit { wait: Duration::from_secs(wait), is_news });
        assert_eq!(exhausted.hit(address, "one", after(10)), hit(90, false));
        assert_eq!(exhausted.hit(address, "one", after(60)), hit(40, true));
        assert_eq!(exhausted.hit(address, "one", after(61)), hit(39, false));
        assert_eq!(exhausted.hit(address, "one", after(100)), None);
        assert_eq!(exhausted.hit(address, "two", now), None);
        assert_eq!(exhausted.hit(Id([2; 16]), "one", now), None);
    }

    #[test]
    fn the_memory_does_not_grow_without_end() {
        let (mut exhausted, now) = (Exhausted::default(), Clock::system().now());
        for number in 0..50_000_u128 {
            exhausted.remember(Id(number.to_be_bytes()), "one", Duration::from_secs(9), now);
        }
        assert_eq!(exhausted.0.len(), MAX);
        let later = now + Duration::from_secs(10);
        exhausted.remember(Id([9; 16]), "one", Duration::from_secs(9), later);
        assert_eq!(exhausted.0.len(), 1);
    }
}
