//! The risk ledger: the one bound that holds whatever the number of logins and addresses. A guess forwarded while `n` codes are live hits
//! one of them with probability `n` in a million, so it costs `n` millionths. Pure in `now`; `ledger.lua` says the same for Redis.
//!
//! Counted by the minute. Where a minute is cut, it counts whole: what is said of an hour holds for any 60 minutes.

use std::{collections::BTreeMap, time::Duration};

/// The window of the ledger, in minutes.
pub const WINDOW: u64 = 60;

/// Who guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A flow.
    Flow,
    /// A client without a handle.
    Legacy,
}

/// What the ledger says to a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it may be forwarded.
    pub admitted: bool,
    /// The minute it is booked in.
    pub minute: u64,
    /// How many codes are live, which is also its price in millionths.
    pub live: u32,
    /// What the window holds now, in millionths.
    pub spent: u32,
    /// What it may hold.
    pub capacity: u32,
    /// How long until some of it comes back.
    pub wait: Duration,
}

/// What a guess is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Who guesses.
    pub lane: Lane,
    /// What the window may hold, in millionths.
    pub capacity: u32,
    /// How long a code lives, in minutes.
    pub code_lifetime: u64,
    /// Whether to book it, or only to ask.
    pub book: bool,
    /// Codes that are live and not counted here.
    pub elsewhere: u32,
}

/// Counts by the minute.
#[derive(Debug, Default)]
struct Minutes(BTreeMap<u64, u32>);

impl Minutes {
    /// The sum since a minute; what is older is forgotten.
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

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    live: Minutes,
    spent: Minutes,
    legacy: Minutes,
}

impl Ledger {
    fn lane(&mut self, lane: Lane) -> &mut Minutes {
        match lane {
            Lane::Flow => &mut self.spent,
            Lane::Legacy => &mut self.legacy,
        }
    }

    /// A code is about to be sent.
    pub fn code_sent(&mut self, minute: u64) {
        self.live.add(minute, 1);
    }

    /// It was not sent after all.
    pub fn code_not_sent(&mut self, minute: u64) {
        self.live.take(minute, 1);
    }

    /// How many codes are live.
    pub fn live(&mut self, minute: u64, code_lifetime: u64) -> u32 {
        self.live.since(minute.saturating_sub(code_lifetime))
    }

    /// Whether a guess may be forwarded; books it when asked to.
    pub fn guess(&mut self, question: Question, minute: u64) -> Entry {
        let Question { lane, capacity, code_lifetime, book, elsewhere } = question;
        // Where there is a flow there was a code, also when its counter is lost.
        let live = self.live(minute, code_lifetime).saturating_add(elsewhere).max(1);
        let booked = self.lane(lane);
        let spent = booked.since(minute.saturating_sub(WINDOW));
        let admitted = spent.saturating_add(live) <= capacity;
        if admitted && book {
            booked.add(minute, live);
        }
        let oldest = booked.0.keys().next().copied().unwrap_or(minute);
        let wait = Duration::from_secs(60 * (oldest + WINDOW + 1).saturating_sub(minute));
        let spent = if admitted && book { spent + live } else { spent };
        Entry { admitted, minute, live, spent, capacity, wait }
    }

    /// A guess was none: its code was right, or it was not sent.
    pub fn give_back(&mut self, lane: Lane, minute: u64, price: u32) {
        self.lane(lane).take(minute, price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question =
        Question { lane: Lane::Flow, capacity: 1200, code_lifetime: 30, book: true, elsewhere: 0 };

    fn with_live(codes: u32, minute: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..codes {
            ledger.code_sent(minute);
        }
        ledger
    }

    fn admitted(ledger: &mut Ledger, question: Question, minute: u64) -> u32 {
        (0..10_000).take_while(|_| ledger.guess(question, minute).admitted).fold(0, |count, _| count + 1)
    }

    #[test]
    fn guesses_times_live_codes_is_what_is_bounded() {
        for (live, guesses) in [(1, 1200), (20, 60), (100, 12), (1200, 1), (1201, 0)] {
            assert_eq!(admitted(&mut with_live(live, 7), QUESTION, 7), guesses, "{live}");
        }
        assert_eq!(admitted(&mut Ledger::default(), QUESTION, 7), 1200, "no code known of counts as one");
        let elsewhere = Question { elsewhere: 19, ..QUESTION };
        assert_eq!(admitted(&mut with_live(1, 7), elsewhere, 7), 60);
    }

    #[test]
    fn any_hour_holds_no_more_than_the_bound() {
        let mut ledger = with_live(600, 0);
        let mut booked = Vec::new();
        for minute in 0..300 {
            ledger.code_sent(minute);
            loop {
                let entry = ledger.guess(QUESTION, minute);
                if !entry.admitted {
                    break;
                }
                booked.push((minute, entry.live));
            }
        }
        assert!(booked.len() > 10);
        for start in 0..300 {
            let hour = booked.iter().filter(|(minute, _)| (start..start + 60).contains(minute));
            assert!(hour.map(|(_, price)| price).sum::<u32>() <= 1200);
        }
    }

    #[test]
    fn a_code_dies_and_a_guess_is_forgotten() {
        let mut ledger = with_live(20, 0);
        assert_eq!(admitted(&mut ledger, QUESTION, 30), 60, "alive for all of its last minute");
        assert_eq!(ledger.live(31, 30), 0);
        assert_eq!(ledger.guess(QUESTION, 40).wait, Duration::from_secs(51 * 60));
        assert!(!ledger.guess(QUESTION, 90).admitted);
        assert!(ledger.guess(QUESTION, 91).admitted);
    }

    #[test]
    fn what_is_given_back_is_there_again_and_asking_is_free() {
        let mut ledger = with_live(1200, 5);
        let asked = ledger.guess(Question { book: false, ..QUESTION }, 5);
        assert_eq!((asked.admitted, asked.spent), (true, 0));
        let entry = ledger.guess(QUESTION, 5);
        assert!(entry.admitted && !ledger.guess(QUESTION, 6).admitted);
        assert!(ledger.guess(Question { lane: Lane::Legacy, ..QUESTION }, 6).admitted, "lanes count apart");
        ledger.give_back(Lane::Flow, entry.minute, entry.live);
        assert!(ledger.guess(QUESTION, 6).admitted);
    }
}
