//! The generic cell rate algorithm: what is spent comes back one by one. Pure in `now`; times in microseconds.
//!
//! All that is kept is the theoretical arrival time: when everything will have come back. `spend.lua` and `give_back.lua` say the same for
//! Redis.

use crate::config::Rate;

fn interval(rate: Rate) -> u64 {
    let period = u64::try_from(rate.period.as_micros()).unwrap_or(u64::MAX);
    (period / u64::from(rate.count)).max(1)
}

/// Interval and burst, in microseconds.
pub fn measures(rate: Rate) -> (u64, u64) {
    (interval(rate), interval(rate) * u64::from(rate.count))
}

/// The new arrival time, or how long to wait.
pub fn spend(arrival: u64, now: u64, rate: Rate) -> Result<u64, u64> {
    let (interval, burst) = measures(rate);
    let next = arrival.max(now) + interval;
    match (next - now).checked_sub(burst) {
        Some(wait) if wait > 0 => Err(wait),
        _ => Ok(next),
    }
}

/// The arrival time as it was before one was spent.
pub fn give_back(arrival: u64, rate: Rate) -> u64 {
    arrival.saturating_sub(interval(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn three_an_hour_are_three_at_once_and_then_one_in_twenty_minutes() {
        let rate = "3/h".parse().unwrap();
        let start = 5 * MINUTE;
        let mut arrival = 0;
        for _ in 0..3 {
            arrival = spend(arrival, start, rate).unwrap();
        }
        assert_eq!(spend(arrival, start, rate), Err(20 * MINUTE));
        assert_eq!(spend(arrival, start + 19 * MINUTE, rate), Err(MINUTE));
        assert!(spend(arrival, start + 20 * MINUTE, rate).is_ok());
    }

    #[test]
    fn what_is_given_back_can_be_spent_again_and_no_more() {
        let rate = "3/h".parse().unwrap();
        let mut arrival = 0;
        for _ in 0..10 {
            arrival = give_back(spend(arrival, 0, rate).unwrap(), rate);
        }
        for _ in 0..3 {
            arrival = spend(arrival, 0, rate).unwrap();
        }
        assert!(spend(arrival, 0, rate).is_err());
    }
}
