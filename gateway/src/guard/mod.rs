//! The policy of the gateway: how often each step may be taken, and which charges are undone when a step did not take place after all.
//!
//! Each step of the flow is one decision of the counting crate, which checks and charges everything that the step costs at once. The guard says
//! which budgets a step is charged to, and gives back a verdict. It writes no log line, counts no metric and knows no HTTP: the
//! steps report what the verdict says.

mod decisions;
mod exhausted;
mod settlement;
mod verdict;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autoshares_counting::{Booking, Decided, Decision, Id, Lane, Reading, Recalled, Store, Verdict};

pub use decisions::{Redemption, ResetAttempt, SPENT, Update, WRONG};
pub use settlement::{Outcome, Receipts, Record};
pub use verdict::{Code, CodeVerdict, Flow, FlowFault, LedgerReading, Refused, Reset, ResetVerdict, Silent};

use crate::{clock::Clock, config::Limits, randomness::Randomness};
use exhausted::Exhausted;

/// The names of budgets and counters, which are also those of their receipts, in metrics and in the audit trail.
pub mod budget {
    /// Mails to one login.
    pub const RESETS_PER_LOGIN: &str = "resets_per_login";
    /// Answers to one login's secret question.
    pub const ANSWERS_PER_LOGIN: &str = "answers_per_login";
    /// Step 1 from one network, and questions that are fetched without a handle.
    pub const RESETS_PER_ADDRESS: &str = "resets_per_address";
    /// Different logins in step 1 from one network.
    pub const LOGINS_PER_ADDRESS: &str = "logins_per_address";
    /// Step 1, from everybody together.
    pub const RESETS: &str = "resets";
    /// Codes for one login, in flows that have a code.
    pub const CODES_PER_LOGIN: &str = "codes_per_login";
    /// Codes for one login, in flows without a code. Counted apart, or a stranger could use up the codes of the trader.
    pub const DEAD_CODES_PER_LOGIN: &str = "dead_codes_per_login";
    /// Codes from one network, and tokens that were not issued here.
    pub const CODES_PER_ADDRESS: &str = "codes_per_address";
    /// Codes in one flow.
    pub const CODES_PER_FLOW: &str = "codes_per_flow";
    /// Questions fetched in one flow.
    pub const QUESTIONS_PER_FLOW: &str = "questions_per_flow";
    /// Attempts to set the password in one flow.
    pub const UPDATES_PER_FLOW: &str = "updates_per_flow";
    /// Passwords whose strength is measured in one flow.
    pub const MEASURES_PER_FLOW: &str = "measures_per_flow";
    /// The outcome of one code in its flow.
    pub const CODE: &str = "code";
    /// The outcome of one token in its flow.
    pub const TOKEN: &str = "token";
}

/// The ledger of guesses in flows.
pub const FLOWS: Lane = Lane("flow");
/// The ledger of guesses by clients without a handle.
pub const LEGACY: Lane = Lane("legacy");

/// Decides what may be done.
#[derive(Debug)]
pub struct Guard {
    store: Arc<Store>,
    limits: Limits,
    /// How long a flow lasts after its last renewal.
    lifetime: Duration,
    /// How long a call to Autoshares may take; the outcome of one that takes longer is unknown.
    call_deadline: Duration,
    exhausted: Mutex<Exhausted>,
    clock: Clock,
    randomness: Randomness,
}

impl Guard {
    /// A guard over a store.
    pub fn new(
        store: Arc<Store>,
        limits: Limits,
        lifetime: Duration,
        call_deadline: Duration,
        clock: Clock,
        randomness: Randomness,
    ) -> Self {
        let exhausted = Mutex::default();
        Self { store, limits, lifetime, call_deadline, exhausted, clock, randomness }
    }

    /// Refuses a network whose budget is known to be exhausted, without querying the store: the cheapest refusal there is.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`].
    pub fn refuse_exhausted(&self, address: Id, budget: &'static str) -> Result<(), Refused> {
        if !self.limits.enabled {
            return Ok(());
        }
        match self.exhausted().hit(address, budget, self.clock.now()) {
            Some(hit) => Err(Refused::Address { budget, wait: hit.wait, is_news: hit.is_news }),
            None => Ok(()),
        }
    }

    /// The outcome of a code that was redeemed in a flow before.
    ///
    /// # Errors
    ///
    /// [`Refused::StoreAway`].
    pub async fn recall(&self, flow: Id, mark: Id) -> Result<Recalled, Refused> {
        self.store.recall(flow, mark, self.clock.micros()).await.map_err(Refused::from)
    }

    /// How long a repeated code waits, at most, for the outcome of the first one.
    pub fn call_deadline(&self) -> Duration {
        self.call_deadline
    }

    /// Undoes the charges that a step did not use, by the table in `settlement.rs`, and records the outcome in the flow.
    pub async fn settle(&self, receipts: Receipts, outcome: Outcome, record: Record<'_>) {
        let settlement = settlement::settlement(&receipts, outcome, record, self.lifetime);
        self.store.settle(receipts.decision, &settlement, self.clock.micros()).await;
    }

    /// How both ledgers stand. Empty while the store is away, and without limits.
    pub async fn ledger_readings(&self) -> Vec<LedgerReading> {
        let mut readings = Vec::new();
        if self.limits.enabled {
            for lane in [LEGACY, FLOWS] {
                let ledger = Some(Booking { book: false, ..self.booking(lane) });
                let look = Decision { ledger, ..Decision::new(self.randomness.id()) };
                let decided = self.store.decide(&look, self.clock.micros()).await;
                readings.extend(decided.ok().and_then(|decided| decided.reading).map(|read| (lane, read)));
            }
        }
        readings
    }

    fn booking(&self, lane: Lane) -> Booking {
        let capacity =
            if lane == LEGACY { self.limits.legacy_risk_per_hour } else { self.limits.risk_per_hour };
        Booking { lane, capacity, live_minutes: self.limits.code_minutes(), book: true }
    }

    fn exhausted(&self) -> MutexGuard<'_, Exhausted> {
        self.exhausted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the store decide. A refusal that may show comes back as an error.
    async fn decide(&self, address: Id, decision: &Decision<'_>) -> Result<Decided, Refused> {
        let decided = self.store.decide(decision, self.clock.micros()).await?;
        match decided.verdict {
            Verdict::Exhausted { budget: budget::RESETS, wait } => Err(Refused::Installation { wait }),
            Verdict::Exhausted { budget, wait } => {
                // A network that has used up its different logins may still come with a known one.
                if budget != budget::LOGINS_PER_ADDRESS {
                    self.exhausted().remember(address, budget, wait, self.clock.now());
                }
                Err(Refused::Address { budget, wait, is_news: true })
            }
            Verdict::LedgerExhausted { wait } => {
                Err(Refused::Ledger { reading: reading(decision, decided.reading), wait })
            }
            Verdict::Absent => Err(Refused::Flow(FlowFault::Gone)),
            Verdict::OtherStage => Err(Refused::Flow(FlowFault::OtherStep(decided.record.map(Flow::from)))),
            Verdict::OtherOwner => Err(Refused::Flow(FlowFault::OtherLogin(decided.record.map(Flow::from)))),
            _ => Ok(decided),
        }
    }
}

/// The reading of a decision with the lane that it is about.
fn reading(decision: &Decision<'_>, reading: Option<Reading>) -> Option<LedgerReading> {
    decision.ledger.map(|booking| booking.lane).zip(reading)
}
