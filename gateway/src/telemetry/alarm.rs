//! Shows how the risk ledgers stand in the metrics, and tells operators once when that changes.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use autoshares_counting::{Lane, Reading};
use tracing::{error, info, warn};

use super::{
    audit::{self, Event},
    metrics::Metrics,
};
use crate::config::Limits;

/// The spent share of a ledger from which on an operator should look.
const SOFT_MARK: f64 = 0.5;
/// The expected takeovers of a day from which on an operator should look, in millionths: somebody may stay below the bound of an hour, and go
/// on for days.
const DAY_MARK: u32 = 5000;

/// How a ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LedgerState {
    /// Less than half is spent, and not much in a day.
    Ample,
    /// Half is spent, or more; or much in a day.
    Low,
    /// A guess would be refused.
    Exhausted,
}

fn spent(reading: &Reading) -> f64 {
    f64::from(reading.spent) / f64::from(reading.capacity)
}

/// The last known state of each lane, so that an alarm is raised once for each change.
#[derive(Debug)]
pub struct Alarm {
    states: Mutex<Vec<(Lane, LedgerState)>>,
    /// What 24 hours may hold before an operator should look.
    day: AtomicU32,
    /// How many codes there are.
    codes: AtomicU32,
}

impl Alarm {
    /// An alarm about the ledgers of these limits.
    pub fn new(limits: &Limits) -> Self {
        let alarm = Self { states: Mutex::default(), day: AtomicU32::new(0), codes: AtomicU32::new(0) };
        alarm.follow(limits);
        alarm
    }

    /// Looks at the ledgers by other limits from now on.
    pub fn follow(&self, limits: &Limits) {
        self.day.store(limits.guesses(DAY_MARK), Ordering::Relaxed);
        self.codes.store(limits.codes(), Ordering::Relaxed);
    }

    fn state(&self, reading: &Reading) -> LedgerState {
        if reading.is_exhausted() {
            LedgerState::Exhausted
        } else if spent(reading) >= SOFT_MARK || reading.day >= self.day.load(Ordering::Relaxed) {
            LedgerState::Low
        } else {
            LedgerState::Ample
        }
    }

    /// Shows a reading in the metrics, and writes a log line when the state of its ledger has changed.
    pub fn note(&self, lane: Lane, reading: &Reading, metrics: &Metrics) -> LedgerState {
        let (state, spent, live_codes) = (self.state(reading), spent(reading), reading.live);
        let day = f64::from(reading.day) / f64::from(self.codes.load(Ordering::Relaxed));
        let is_exhausted = state == LedgerState::Exhausted;
        metrics.ledger(lane.0, spent, is_exhausted, state > LedgerState::Ample, live_codes);
        metrics.risk_of_day(lane.0, day);
        match (self.replace(lane, state), state) {
            (before, LedgerState::Exhausted) if before != state => error!(
                lane = lane.0,
                live_codes,
                spent,
                "the risk ledger is empty: no code is forwarded until some of it comes back; the rest works"
            ),
            (LedgerState::Ample, LedgerState::Low) => {
                audit::record_own(Event::LedgerLow);
                warn!(
                    lane = lane.0,
                    live_codes,
                    spent,
                    day,
                    "the risk ledger is half empty, or a day has spent much: somebody is guessing codes, or many mistype them"
                );
            }
            (LedgerState::Exhausted, state) if state != LedgerState::Exhausted => {
                info!(lane = lane.0, live_codes, spent, "the risk ledger has room again");
            }
            _ => {}
        }
        state
    }

    /// Remembers the state of a lane, and gives back the one before.
    fn replace(&self, lane: Lane, state: LedgerState) -> LedgerState {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        match states.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, known)) => std::mem::replace(known, state),
            None => {
                states.push((lane, state));
                LedgerState::Ample
            }
        }
    }
}
