//! How the risk ledger is doing, and telling operators once when that changes.

use std::sync::{Mutex, PoisonError};

use tracing::{error, info, warn};

use super::ledger::{Entry, Lane};
use crate::{
    telemetry::audit::{self, Event},
    telemetry::metrics::Metrics,
};

/// From here on somebody should look.
const SOFT_MARK: f64 = 0.5;

/// How a ledger is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LedgerState {
    /// Less than half is spent.
    Ample,
    /// Half is spent, or more.
    Low,
    /// A guess would not be forwarded.
    Empty,
}

impl LedgerState {
    fn of(entry: &Entry) -> Self {
        if !entry.admitted {
            LedgerState::Empty
        } else if spent(entry) >= SOFT_MARK {
            LedgerState::Low
        } else {
            LedgerState::Ample
        }
    }
}

fn spent(entry: &Entry) -> f64 {
    f64::from(entry.spent) / f64::from(entry.capacity)
}

/// What was told last, for each lane.
#[derive(Debug)]
pub struct Alarm {
    flow: Mutex<LedgerState>,
    legacy: Mutex<LedgerState>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { flow: Mutex::new(LedgerState::Ample), legacy: Mutex::new(LedgerState::Ample) }
    }
}

impl Alarm {
    /// Shows what an entry says in the metrics, and tells of it when it is news.
    pub fn note(&self, lane: Lane, entry: &Entry, metrics: &Metrics) -> LedgerState {
        let (name, last) = match lane {
            Lane::Flow => ("flow", &self.flow),
            Lane::Legacy => ("legacy", &self.legacy),
        };
        let (state, spent, live_codes) = (LedgerState::of(entry), spent(entry), entry.live);
        metrics.ledger(name, spent, state == LedgerState::Empty, state > LedgerState::Ample, live_codes);
        let before = std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), state);
        match (before, state) {
            (before, LedgerState::Empty) if before != state => error!(
                lane = name,
                live_codes,
                spent,
                "the risk ledger is empty: no code is forwarded until some of it comes back; the rest works"
            ),
            (LedgerState::Ample, LedgerState::Low) => {
                audit::record_own(Event::LedgerLow);
                warn!(
                    lane = name,
                    live_codes,
                    spent,
                    "the risk ledger is half empty: somebody is guessing codes, or many mistype them"
                );
            }
            (LedgerState::Empty, state) if state != LedgerState::Empty => {
                info!(lane = name, live_codes, spent, "the risk ledger has room again");
            }
            _ => {}
        }
        state
    }
}
