//! The risk ledger of a guessing game: a guess made while `n` secrets are live hits one of them with probability `n` in a million, so it is
//! booked at a price of `n` millionths. Bounding the sum of the prices bounds the expected number of hits, whatever the number of guessers.
//!
//! Counted by the minute. A minute that lies partly in the window counts in full, so the bound holds for every span of 60 minutes, not only
//! for clock hours. Pure in the time; `lua/decide.lua` does the same for Redis.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Micros;

/// The window in which a ledger bounds the sum of its bookings, in minutes.
pub const WINDOW_MINUTES: u64 = 60;

/// The name of a ledger. Lanes share the live secrets and have bookings of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Lane(pub &'static str);

/// A guess in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Booking {
    /// Which ledger.
    pub lane: Lane,
    /// What its window may hold, in millionths.
    pub capacity: u32,
    /// How long a secret stays live, in minutes.
    pub live_minutes: u64,
    /// Whether to book the guess, or only to read how the ledger stands.
    pub book: bool,
}

/// How a ledger stands after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Reading {
    /// How many secrets are live, which is the price of a guess in millionths; 1 when none is known of.
    pub live: u32,
    /// What the window holds, in millionths.
    pub spent: u32,
    /// What the window may hold, in millionths.
    pub capacity: u32,
}

impl Reading {
    /// Whether one more guess would be refused.
    pub fn is_exhausted(&self) -> bool {
        self.spent.saturating_add(self.live) > self.capacity
    }
}

/// Counts by the minute.
#[derive(Debug, Default)]
struct Minutes(BTreeMap<u64, u32>);

impl Minutes {
    /// The sum since a minute; what is older is dropped.
    fn since(&mut self, minute: u64) -> u32 {
        self.0 = self.0.split_off(&minute);
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn add(&mut self, minute: u64, count: u32) {
        let bin = self.0.entry(minute).or_default();
        *bin = bin.saturating_add(count);
    }

    fn take(&mut self, minute: u64, count: u32) {
        if let Some(bin) = self.0.get_mut(&minute) {
            *bin = bin.saturating_sub(count);
        }
    }
}

/// Live secrets and bookings, in this process.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    live: Minutes,
    booked: BTreeMap<&'static str, Minutes>,
}

pub(crate) fn minute(now: Micros) -> u64 {
    now / 60_000_000
}

impl Ledger {
    /// A secret became live in this minute.
    pub(crate) fn add_live(&mut self, minute: u64) {
        self.live.add(minute, 1);
    }

    /// Takes back a secret that [`add_live`](Self::add_live) counted in this minute: it did not become live after all.
    pub(crate) fn take_live(&mut self, minute: u64) {
        self.live.take(minute, 1);
    }

    /// How the ledger stands, and how long until the oldest booking leaves the window.
    pub(crate) fn consult(&mut self, booking: &Booking, minute: u64) -> (Reading, Duration) {
        let live = self.live.since(minute.saturating_sub(booking.live_minutes)).max(1);
        let booked = self.booked.entry(booking.lane.0).or_default();
        let spent = booked.since(minute.saturating_sub(WINDOW_MINUTES));
        let oldest = booked.0.keys().next().copied().unwrap_or(minute);
        let wait = Duration::from_secs(60 * (oldest + WINDOW_MINUTES + 1).saturating_sub(minute));
        (Reading { live, spent, capacity: booking.capacity }, wait)
    }

    pub(crate) fn book(&mut self, lane: &'static str, minute: u64, price: u32) {
        self.booked.entry(lane).or_default().add(minute, price);
    }

    pub(crate) fn take_back(&mut self, lane: &'static str, minute: u64, price: u32) {
        self.booked.entry(lane).or_default().take(minute, price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Lane = Lane("test");
    const BOOKING: Booking = Booking { lane: LANE, capacity: 1200, live_minutes: 30, book: true };

    fn with_live(secrets: u32, minute: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..secrets {
            ledger.add_live(minute);
        }
        ledger
    }

    /// The price of a guess that is booked, `None` when it is refused.
    fn guess(ledger: &mut Ledger, booking: Booking, minute: u64) -> Option<u32> {
        let (reading, _) = ledger.consult(&booking, minute);
        if reading.is_exhausted() {
            return None;
        }
        ledger.book(booking.lane.0, minute, reading.live);
        Some(reading.live)
    }

    fn guesses(ledger: &mut Ledger, minute: u64) -> usize {
        std::iter::from_fn(|| guess(ledger, BOOKING, minute)).take(10_000).count()
    }

    #[test]
    fn guesses_times_live_secrets_is_what_is_bounded() {
        for (live, expected) in [(1, 1200), (20, 60), (100, 12), (1200, 1), (1201, 0)] {
            assert_eq!(guesses(&mut with_live(live, 7), 7), expected, "{live}");
        }
        assert_eq!(guesses(&mut Ledger::default(), 7), 1200, "no secret known of counts as one");
    }

    #[test]
    fn any_hour_holds_no_more_than_the_bound() {
        let mut ledger = with_live(600, 0);
        let mut booked = Vec::new();
        for minute in 0..300 {
            ledger.add_live(minute);
            while let Some(price) = guess(&mut ledger, BOOKING, minute) {
                booked.push((minute, price));
            }
        }
        assert!(booked.len() > 10);
        for start in 0..300 {
            let hour = booked.iter().filter(|(minute, _)| (start..start + 60).contains(minute));
            assert!(hour.map(|(_, price)| price).sum::<u32>() <= 1200);
        }
    }

    #[test]
    fn a_secret_dies_and_a_booking_leaves_the_window() {
        let mut ledger = with_live(20, 0);
        assert_eq!(guesses(&mut ledger, 30), 60, "alive for all of its last minute");
        assert_eq!(ledger.consult(&BOOKING, 31).0.live, 1);
        assert_eq!(ledger.consult(&BOOKING, 40).1, Duration::from_secs(51 * 60));
        assert_eq!(guess(&mut ledger, BOOKING, 90), None);
        assert!(guess(&mut ledger, BOOKING, 91).is_some());
    }

    #[test]
    fn a_booking_that_is_taken_back_makes_room_and_lanes_count_apart() {
        let mut ledger = with_live(1200, 5);
        let (reading, _) = ledger.consult(&BOOKING, 5);
        assert_eq!((reading.is_exhausted(), reading.spent), (false, 0), "consulting is free");
        let price = guess(&mut ledger, BOOKING, 5).unwrap();
        assert_eq!(guess(&mut ledger, BOOKING, 6), None);
        assert!(guess(&mut ledger, Booking { lane: Lane("other"), ..BOOKING }, 6).is_some());
        ledger.take_back(LANE.0, 5, price);
        assert!(guess(&mut ledger, BOOKING, 6).is_some());
    }
}
