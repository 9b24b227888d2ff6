//! The risk ledger of a guessing game: a guess made while `n` secrets are live hits one of them with probability `n` in a million (where
//! secrets are of six digits), so it is booked at a price of `n`. Bounding the sum of the prices bounds the expected number of hits, whatever the number of guessers.
//!
//! Nobody uses up a ledger alone: a network may book a part of it, and the rest is kept for the first guesses of others.
//!
//! Counted by the minute. A minute that lies partly in the window counts in full, so the bound holds for every span of 60 minutes, not only
//! for clock hours. Pure in the time; `lua/decide.lua` does the same for Redis.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Micros, id::Id, map::HashMap};

/// The window in which a ledger bounds the sum of its bookings, in minutes.
pub const WINDOW_MINUTES: u64 = 60;

/// The longer window, which bounds nothing and only tells, in hours.
const DAY_HOURS: u64 = 24;

/// The name of a ledger. Lanes share the live secrets and have bookings of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Lane(pub &'static str);

/// A guess in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Booking {
    /// Which ledger.
    pub lane: Lane,
    /// The network that the guess comes from.
    pub network: Id,
    /// What its window may hold, in prices of one guess at one secret.
    pub capacity: u32,
    /// How long a secret stays live, in minutes.
    pub live_minutes: u64,
    /// Secrets that are live beside those that this store knows of.
    pub elsewhere: u32,
    /// Whether to book the guess, or only to read how the ledger stands.
    pub book: bool,
}

/// The part of a ledger that one network may book, and at least two guesses: one in ten.
const SHARE: u32 = 10;
/// The part of a ledger that is kept for the first guesses of networks: one in four.
const RESERVE: u32 = 4;
/// How many guesses must have room before a client is told to come back.
const GUESSES: u32 = 5;

impl Booking {
    /// What a network may book that has booked `own` before, at a price: of its own, and of everybody's ledger.
    fn limits(&self, own: u32, price: u32) -> (u32, u32) {
        if own == 0 {
            return (u32::MAX, self.capacity);
        }
        ((self.capacity / SHARE).max(price.saturating_mul(2)), self.capacity - self.capacity / RESERVE)
    }
}

/// How a ledger stands after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Reading {
    /// How many secrets are live, which is the price of a guess; 1 when none is known of.
    pub live: u32,
    /// What the window holds, in prices of one guess at one secret.
    pub spent: u32,
    /// What the window may hold.
    pub capacity: u32,
    /// What the last 24 hours hold, counted by the hour: for whoever stays below the bound of an hour and goes on for days.
    pub day: u32,
}

impl Reading {
    /// Whether one more guess would be refused, whoever makes it.
    pub fn is_exhausted(&self) -> bool {
        self.spent.saturating_add(self.live) > self.capacity
    }
}

/// Why a guess cannot be booked, and how long until one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The ledger has no room for it.
    Ledger(Duration),
    /// The network has used up its share.
    Share(Duration),
}

/// Counts by the minute.
#[derive(Clone, Debug, Default)]
struct Minutes(BTreeMap<u64, u32>);

impl Minutes {
    /// The sum since a minute; what is older is dropped.
    fn since(&mut self, minute: u64) -> u32 {
        if self.0.first_key_value().is_some_and(|(oldest, _)| *oldest < minute) {
            self.0 = self.0.split_off(&minute);
        }
        self.sum()
    }

    fn sum(&self) -> u32 {
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

    /// How long until the window holds no more than `target`, in whole minutes. The sum must have been taken before, so that nothing older
    /// is left.
    fn until(&self, target: u32, minute: u64) -> Duration {
        let mut sum = self.0.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        let mut last = minute;
        for (bin, count) in &self.0 {
            if sum <= target {
                break;
            }
            sum = sum.saturating_sub(*count);
            last = *bin;
        }
        Duration::from_secs(60 * (last + WINDOW_MINUTES + 1).saturating_sub(minute))
    }
}

/// Live secrets and bookings, in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    live: Minutes,
    lanes: BTreeMap<&'static str, Bookings>,
}

/// The bookings of one lane.
#[derive(Clone, Debug, Default)]
struct Bookings {
    all: Minutes,
    /// By the hour.
    day: Minutes,
    by_network: HashMap<Id, Minutes>,
    /// The minute in which networks without bookings were dropped.
    swept: u64,
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

    /// How the ledger stands, and whether a guess has room.
    pub(crate) fn consult(&mut self, booking: &Booking, minute: u64) -> (Reading, Result<(), NoRoom>) {
        let live = self.live.since(minute.saturating_sub(booking.live_minutes));
        let live = live.saturating_add(booking.elsewhere).max(1);
        let first = minute.saturating_sub(WINDOW_MINUTES);
        let bookings = self.lanes.entry(booking.lane.0).or_default();
        if bookings.swept < minute {
            bookings.by_network.retain(|_, minutes| minutes.since(first) > 0);
            bookings.swept = minute;
        }
        let spent = bookings.all.since(first);
        let day = bookings.day.since((minute / 60).saturating_sub(DAY_HOURS));
        let reading = Reading { live, spent, capacity: booking.capacity, day };
        let own_minutes = bookings.by_network.get(&booking.network);
        let own = own_minutes.map_or(0, Minutes::sum);
        let (share, limit) = booking.limits(own, live);
        if let Some(minutes) = own_minutes
            && own.saturating_add(live) > share
        {
            return (reading, Err(NoRoom::Share(minutes.until(share.saturating_sub(live), minute))));
        }
        if spent.saturating_add(live) > limit {
            let target = limit.saturating_sub(live.saturating_mul(GUESSES));
            return (reading, Err(NoRoom::Ledger(bookings.all.until(target, minute))));
        }
        (reading, Ok(()))
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn live(&mut self, live_minutes: u64, minute: u64) -> u32 {
        self.live.since(minute.saturating_sub(live_minutes))
    }

    /// Books a guess at a price.
    pub(crate) fn book(&mut self, booking: &Booking, minute: u64, price: u32) {
        let bookings = self.lanes.entry(booking.lane.0).or_default();
        bookings.all.add(minute, price);
        bookings.day.add(minute / 60, price);
        bookings.by_network.entry(booking.network).or_default().add(minute, price);
    }

    /// Takes back a guess that was booked in this minute.
    pub(crate) fn take_back(&mut self, lane: Lane, network: Id, minute: u64, price: u32) {
        let bookings = self.lanes.entry(lane.0).or_default();
        bookings.all.take(minute, price);
        bookings.day.take(minute / 60, price);
        if let Some(minutes) = bookings.by_network.get_mut(&network) {
            minutes.take(minute, price);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Lane = Lane("test");
    const BOOKING: Booking = Booking {
        lane: LANE,
        network: Id([0; 16]),
        capacity: 1200,
        live_minutes: 30,
        elsewhere: 0,
        book: true,
    };

    fn from(network: usize) -> Booking {
        Booking { network: Id((network as u128).to_be_bytes()), ..BOOKING }
    }

    fn with_live(secrets: u32, minute: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..secrets {
            ledger.add_live(minute);
        }
        ledger
    }

    /// The price of a guess that is booked, or why it is not.
    fn guess(ledger: &mut Ledger, booking: Booking, minute: u64) -> Result<u32, NoRoom> {
        let (reading, room) = ledger.consult(&booking, minute);
        room?;
        ledger.book(&booking, minute, reading.live);
        Ok(reading.live)
    }

    /// How many guesses are booked, each from a network of its own.
    fn guesses(ledger: &mut Ledger, minute: u64) -> usize {
        (0..10_000).take_while(|network| guess(ledger, from(*network), minute).is_ok()).count()
    }

    #[test]
    fn guesses_times_live_secrets_is_what_is_bounded() {
        for (live, expected) in [(1, 1200), (20, 60), (100, 12), (1200, 1), (1201, 0)] {
            assert_eq!(guesses(&mut with_live(live, 7), 7), expected, "{live}");
        }
        assert_eq!(guesses(&mut Ledger::default(), 7), 1200, "no secret known of counts as one");
        let booking = Booking { elsewhere: 19, ..from(1) };
        assert_eq!(with_live(1, 7).consult(&booking, 7).0.live, 20, "those asked for elsewhere count");
    }

    #[test]
    fn any_hour_holds_no_more_than_the_bound() {
        let mut ledger = with_live(600, 0);
        let mut booked = Vec::new();
        for minute in 0..300 {
            ledger.add_live(minute);
            while let Ok(price) = guess(&mut ledger, from(booked.len()), minute) {
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
        assert!(guess(&mut ledger, from(100), 90).is_err());
        assert!(guess(&mut ledger, from(100), 91).is_ok());
    }

    #[test]
    fn a_client_comes_back_when_there_is_room_for_five_guesses() {
        let mut ledger = with_live(100, 0);
        for (network, minute) in (0..12).zip([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) {
            guess(&mut ledger, from(network), minute).unwrap();
        }
        // The fifth of them leaves in minute 65.
        let waits = |minutes: u64| Err(NoRoom::Ledger(Duration::from_secs(60 * minutes)));
        assert_eq!(guess(&mut ledger, from(99), 20), waits(45));
        // A network that has booked before waits for three more, which are kept for others.
        assert_eq!(guess(&mut ledger, from(0), 20), waits(48));
        assert_eq!(guess(&mut with_live(1201, 0), from(0), 0), waits(61), "there never is");
    }

    #[test]
    fn a_network_books_a_tenth_or_two_guesses_and_none_of_the_last_quarter() {
        for (live, expected) in [(1, 120), (20, 6), (60, 2), (100, 2), (300, 2), (600, 1), (1000, 1)] {
            let mut ledger = with_live(live, 0);
            let booked = (0..500).take_while(|_| guess(&mut ledger, from(1), 0).is_ok()).count();
            assert_eq!(booked, expected, "{live}");
        }
        let mut ledger = with_live(100, 0);
        let share = NoRoom::Share(Duration::from_secs(61 * 60));
        assert_eq!([(); 3].map(|()| guess(&mut ledger, from(1), 0)), [Ok(100), Ok(100), Err(share)]);
        // Four networks use up what is not kept; then each network has its first guess.
        for network in 2..=4 {
            assert!(
                guess(&mut ledger, from(network), 1).is_ok() && guess(&mut ledger, from(network), 1).is_ok()
            );
        }
        assert!(guess(&mut ledger, from(5), 1).is_ok());
        assert!(matches!(guess(&mut ledger, from(5), 1), Err(NoRoom::Ledger(_))));
        assert_eq!((6..20).take_while(|network| guess(&mut ledger, from(*network), 1).is_ok()).count(), 3);
        // A booking that is taken back makes room for its network too.
        ledger.take_back(LANE, from(1).network, 0, 100);
        ledger.take_back(LANE, from(2).network, 1, 100);
        ledger.take_back(LANE, from(3).network, 1, 100);
        ledger.take_back(LANE, from(4).network, 1, 100);
        assert_eq!(guess(&mut ledger, from(1), 2), Ok(100));
    }

    #[test]
    fn a_booking_that_is_taken_back_makes_room_and_lanes_count_apart() {
        let mut ledger = with_live(1200, 5);
        let (reading, room) = ledger.consult(&BOOKING, 5);
        assert_eq!((reading.is_exhausted(), reading.spent, room), (false, 0, Ok(())), "consulting is free");
        let price = guess(&mut ledger, BOOKING, 5).unwrap();
        assert!(ledger.consult(&BOOKING, 5).0.is_exhausted());
        assert!(guess(&mut ledger, from(1), 6).is_err());
        assert!(guess(&mut ledger, Booking { lane: Lane("other"), ..BOOKING }, 6).is_ok());
        ledger.take_back(LANE, BOOKING.network, 5, price);
        assert!(guess(&mut ledger, from(1), 6).is_ok());
    }

    #[test]
    fn networks_without_bookings_are_forgotten() {
        let mut ledger = Ledger::default();
        for minute in 0..200 {
            for network in 0..5 {
                guess(&mut ledger, from(usize::try_from(minute).unwrap() * 5 + network), minute).unwrap();
            }
        }
        assert!(ledger.lanes["test"].by_network.len() <= 5 * 62);
    }
}
