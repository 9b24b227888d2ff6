//! Which budgets of which addresses are known to be exhausted, so that refusing a flood asks no store and fills no log. Exact, for an address
//! gets nothing back.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::flow::key_ring::Pseudonym;

/// How long an address that goes on is not told of again.
const QUIET: Duration = Duration::from_secs(60);
/// How many are remembered. Where there is no room the store is asked again.
const MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Exhausted(HashMap<(Pseudonym, &'static str), Known>);

#[derive(Debug)]
struct Known {
    until: Instant,
    told: Instant,
}

/// What is known of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// When it will have room.
    pub wait: Duration,
    /// Whether it is time to tell of it again.
    pub tell: bool,
}

impl Exhausted {
    /// What is known, unless it has room by now.
    pub fn hit(&mut self, address: Pseudonym, budget: &'static str, now: Instant) -> Option<Hit> {
        let known = self.0.get_mut(&(address, budget))?;
        let wait = known.until.checked_duration_since(now).filter(|wait| !wait.is_zero())?;
        let tell = now.duration_since(known.told) >= QUIET;
        if tell {
            known.told = now;
        }
        Some(Hit { wait, tell })
    }

    /// Remembers what the store said, and that it was told.
    pub fn remember(&mut self, address: Pseudonym, budget: &'static str, wait: Duration, now: Instant) {
        if self.0.len() >= MAX {
            self.0.retain(|_, known| known.until > now);
        }
        if self.0.len() < MAX {
            self.0.insert((address, budget), Known { until: now + wait, told: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_remembered_as_long_as_it_has_to_wait_and_told_of_once_a_minute() {
        let (mut exhausted, now) = (Exhausted::default(), Instant::now());
        let address = Pseudonym([1; 16]);
        let after = |seconds| now + Duration::from_secs(seconds);
        exhausted.remember(address, "one", Duration::from_secs(100), now);
        let hit = |wait, tell| Some(Hit { wait: Duration::from_secs(wait), tell });
        assert_eq!(exhausted.hit(address, "one", after(10)), hit(90, false));
        assert_eq!(exhausted.hit(address, "one", after(60)), hit(40, true));
        assert_eq!(exhausted.hit(address, "one", after(61)), hit(39, false));
        assert_eq!(exhausted.hit(address, "one", after(100)), None);
        assert_eq!(exhausted.hit(address, "two", now), None);
        assert_eq!(exhausted.hit(Pseudonym([2; 16]), "one", now), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let (mut exhausted, now) = (Exhausted::default(), Instant::now());
        for number in 0..50_000_u128 {
            exhausted.remember(Pseudonym(number.to_be_bytes()), "one", Duration::from_secs(9), now);
        }
        assert_eq!(exhausted.0.len(), MAX);
        let later = now + Duration::from_secs(10);
        exhausted.remember(Pseudonym([9; 16]), "one", Duration::from_secs(9), later);
        assert_eq!(exhausted.0.len(), 1);
    }
}
