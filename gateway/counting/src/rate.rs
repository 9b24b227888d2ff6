//! Rates, and the generic cell rate algorithm (GCRA) that spends them: what is spent comes back one by one.
//!
//! All that is kept of a budget is its *arrival time*: the moment at which everything will have come back. `lua/decide.lua` and
//! `lua/settle.lua` do the same arithmetic for Redis.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::Micros;

/// How much of a budget may be spent in a period. A full budget may be spent at once; the units come back one by one, evenly over the
/// period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may be spent at once.
    pub count: u32,
    /// The time after which all of them have come back.
    pub period: Duration,
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86400)];

impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (count, unit) = text.trim().split_once('/').ok_or(())?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or(())?;
        let count: u32 = count.trim().parse().map_err(|_| ())?;
        // Time is counted in microseconds; more than one in each has no meaning.
        let fits = count > 0 && u64::from(count) <= seconds * 1_000_000;
        fits.then_some(Self { count, period: Duration::from_secs(seconds) }).ok_or(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.into_iter().find(|(_, seconds)| *seconds == self.period.as_secs());
        write!(f, "{}/{}", self.count, unit.map_or("period", |(name, _)| name))
    }
}

impl Rate {
    /// How long one of them takes to come back.
    pub(crate) fn interval(self) -> Micros {
        (micros(self.period) / u64::from(self.count)).max(1)
    }

    /// How far the arrival time may lie ahead when all of them are spent.
    pub(crate) fn burst(self) -> Micros {
        self.interval() * u64::from(self.count)
    }

    /// Spends one: the new arrival time, or how long to wait until one has come back. An arrival time that lies further ahead than all of them
    /// spent is of a clock that was set back since, and means that all are spent.
    pub(crate) fn spend(self, arrival: Micros, now: Micros) -> Result<Micros, Micros> {
        let next = arrival.clamp(now, now + self.burst()) + self.interval();
        match (next - now).checked_sub(self.burst()) {
            Some(wait) if wait > 0 => Err(wait),
            _ => Ok(next),
        }
    }
}

/// What the scripts need to know of a rate.
impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rate = serializer.serialize_struct("Rate", 3)?;
        rate.serialize_field("seconds", &self.period.as_secs())?;
        rate.serialize_field("interval", &self.interval())?;
        rate.serialize_field("burst", &self.burst())?;
        rate.end()
    }
}

pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60_000_000;

    #[test]
    fn three_an_hour_are_three_at_once_and_then_one_in_twenty_minutes() {
        let rate: Rate = "3/h".parse().unwrap();
        let start = 5 * MINUTE;
        let mut arrival = 0;
        for _ in 0..3 {
            arrival = rate.spend(arrival, start).unwrap();
        }
        assert_eq!(rate.spend(arrival, start), Err(20 * MINUTE));
        assert_eq!(rate.spend(arrival, start + 19 * MINUTE), Err(MINUTE));
        assert!(rate.spend(arrival, start + 20 * MINUTE).is_ok());
    }

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for text in ["3/h", "10/day", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["", "3", "0/h", "-1/h", "3/week", "3/h,", "1000001/s", "4294967296/h"] {
            assert_eq!(bad.parse::<Rate>(), Err(()), "{bad}");
        }
    }
}
