//! The policy of the gateway: how often each step may be taken, and which charges are undone when a step did not take place after all.
//!
//! Each step of the flow is one decision of the counting crate, which checks and charges everything that the step costs at once. The guard says
//! which budgets a step is charged to, and gives back a verdict. It writes no log line, counts no metric and knows no HTTP: the
//! steps report what the verdict says.

mod decisions;
mod exhausted;
mod policy;
mod settlement;
mod verdict;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autoshares_counting::{
    Booking, Charge, Decided, Decision, Id, Lane, Level, Raise, Rate, Reading, Recalled, Settlement, Store,
    Subject, Verdict,
};

pub use decisions::{Redemption, ResetAttempt, SPENT, Update, WRONG};
pub use settlement::{Outcome, Receipts, Record};
pub use verdict::{Code, CodeVerdict, Flow, FlowFault, LedgerReading, Refused, Reset, ResetVerdict, Silent};

use crate::{clock::Clock, config::Limits, flow::Handle, network::Networks, randomness::Randomness};
use exhausted::Exhausted;
use policy::Policy;

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
    /// Step 1, from everybody together, without what is kept for newcomers.
    pub const RESETS: &str = "resets";
    /// Questions that are fetched without a handle, by everybody together.
    pub const QUESTIONS: &str = "questions";
    /// Tokens that were not issued here, from everybody together.
    pub const TOKENS: &str = "tokens";
    /// Step 1, from networks that have not asked in this hour, when `RESETS` is used up.
    pub const RESETS_RESERVE: &str = "resets_reserve";
    /// The part of the reserve that one IPv4 /16 or IPv6 /32 may use.
    pub const RESETS_PER_BLOCK: &str = "resets_per_block";
    /// Codes for one login, in flows that have a code.
    pub const CODES_PER_LOGIN: &str = "codes_per_login";
    /// Codes from one network, and tokens that were not issued here.
    pub const CODES_PER_ADDRESS: &str = "codes_per_address";
    /// The part of the risk ledger that one network may book.
    pub const RISK_PER_NETWORK: &str = "risk_per_network";
    /// Steps that were refused for their flow or their token, from one network.
    pub const REFUSED_STEPS: &str = "refused_steps";
    /// Codes in one flow.
    pub const CODES_PER_FLOW: &str = "codes_per_flow";
    /// Questions fetched in one flow.
    pub const QUESTIONS_PER_FLOW: &str = "questions_per_flow";
    /// Attempts to set the password in one flow.
    pub const UPDATES_PER_FLOW: &str = "updates_per_flow";
    /// How often a trader who needs longer gets more time in one flow.
    pub const RENEWALS_PER_FLOW: &str = "renewals_per_flow";
    /// Passwords whose strength is measured in one flow.
    pub const MEASURES_PER_FLOW: &str = "measures_per_flow";
    /// The outcome of one code in its flow.
    pub const CODE: &str = "code";
    /// The outcome of one token in its flow.
    pub const TOKEN: &str = "token";
}

/// How often a handle may come to no flow, or with a token that is not good.
const REFUSED_STEPS: [Rate; 1] = [Rate { count: 20, period: Duration::from_secs(60) }];

/// The ledger of guesses in flows.
pub const FLOWS: Lane = Lane("flow");
/// The ledger of guesses by clients without a handle.
pub const LEGACY: Lane = Lane("legacy");

/// Levels of time, one for each kind of reply whose timing could reveal something. All gateways share them.
pub mod level {
    use std::time::Duration;

    use autoshares_counting::Level;

    const HOUR: Duration = Duration::from_secs(3600);
    /// Replies to step 1.
    pub const RESET: Level = Level { name: "reset", falls_after: Duration::from_secs(24 * 3600) };
    /// Secret questions, and that there is none.
    pub const QUESTION: Level = Level { name: "question", falls_after: HOUR };
    /// Refusals of codes.
    pub const CODE: Level = Level { name: "code", falls_after: HOUR };
    /// All of them.
    pub const ALL: [Level; 3] = [RESET, QUESTION, CODE];
}

/// Decides what may be done.
#[derive(Debug)]
pub struct Guard {
    store: Arc<Store>,
    limits: Limits,
    policy: Policy,
    /// How long a flow lasts after its last renewal.
    lifetime: Duration,
    /// How long a call to Autoshares may take; the outcome of one that takes longer is unknown.
    call_deadline: Duration,
    exhausted: Mutex<Exhausted>,
    /// Counters of this process alone, for refused steps: counting them in the shared store would cost as much as what they are to save.
    own: Store,
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
        let (policy, exhausted) = (Policy::of(&limits), Mutex::default());
        let own = Store::memory();
        Self { store, limits, policy, lifetime, call_deadline, exhausted, own, clock, randomness }
    }

    /// Whether budgets and ledger are kept.
    pub fn is_enabled(&self) -> bool {
        self.limits.enabled
    }

    /// Refuses a step 1 without querying the store, where the installation is known to have used up its resets. In a flow it may be the second
    /// step of a trader with a secret question, which the reserve has room for although the first has used its share.
    ///
    /// # Errors
    ///
    /// [`Refused::Installation`].
    pub fn refuse_reset(&self, networks: &Networks, is_in_flow: bool) -> Result<(), Refused> {
        if !self.limits.enabled {
            return Ok(());
        }
        let of_installation = [
            (Subject::All, budget::RESETS_RESERVE),
            (Subject::All, budget::RESETS),
            (Subject::Of(Policy::newcomer(networks, false)), budget::RESETS),
            (Subject::Of(networks.block()), budget::RESETS_PER_BLOCK),
        ];
        for (subject, budget) in of_installation {
            if is_in_flow && budget == budget::RESETS && subject != Subject::All {
                continue;
            }
            if let Some(wait) = self.known_wait(subject, budget) {
                return Err(Refused::Installation { budget, wait });
            }
        }
        Ok(())
    }

    /// Refuses a step without querying the store, where one of the client's networks is known to have used up a budget.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`].
    pub fn refuse_network(&self, networks: &Networks, budget: &'static str) -> Result<(), Refused> {
        if !self.limits.enabled {
            return Ok(());
        }
        for network in [networks.own].into_iter().chain(networks.wider.iter().map(|(_, id)| *id)) {
            if let Some(wait) = self.known_wait(Subject::Of(network), budget) {
                return Err(Refused::Address { budget, wait });
            }
        }
        Ok(())
    }

    /// Refuses a step that needs a flow without querying the store, where each of the client's handles was refused too often in the last minute.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`].
    pub fn refuse_step(&self, handles: &[Handle]) -> Result<(), Refused> {
        let budget = budget::REFUSED_STEPS;
        let waits = handles.iter().map(|handle| self.known_wait(Subject::Of(handle.id), budget));
        // With a handle that is not known for it, the store must be asked.
        match waits.collect::<Option<Vec<_>>>().and_then(|waits| waits.into_iter().min()) {
            Some(wait) => Err(Refused::Address { budget, wait }),
            None => Ok(()),
        }
    }

    /// Counts a step that was refused for its flow or its token, for each handle that came with it: looking for flows costs the store time
    /// and is charged nowhere else. Handles cannot be made up, and nobody else has this one, so nobody else has to wait.
    pub async fn count_refused_step(&self, handles: &[Handle]) {
        for handle in handles.iter().filter(|_| self.limits.enabled) {
            let charge = Charge::new(budget::REFUSED_STEPS, Subject::Of(handle.id), &REFUSED_STEPS);
            let decision = Decision { open: vec![charge], ..Decision::new(self.randomness.id()) };
            if let Ok(Decided { verdict: Verdict::Exhausted { budget, subject, wait }, .. }) =
                self.own.decide(&decision, self.clock.micros()).await
            {
                self.exhausted().remember(subject, budget, wait, self.clock.now());
            }
        }
    }

    /// Refuses what the installation is known to have used up, without querying the store.
    fn refuse_all(&self, budget: &'static str) -> Result<(), Refused> {
        match self.known_wait(Subject::All, budget) {
            Some(wait) => Err(Refused::Installation { budget, wait }),
            None => Ok(()),
        }
    }

    fn known_wait(&self, subject: Subject, budget: &'static str) -> Option<Duration> {
        self.exhausted().wait(subject, budget, self.clock.now())
    }

    /// The outcome of a code that was redeemed in a flow before.
    ///
    /// # Errors
    ///
    /// [`Refused::StoreAway`].
    pub async fn recall(&self, flow: Id, mark: Id) -> Result<Recalled, Refused> {
        self.store.recall(flow, mark, self.clock.micros()).await.map_err(Refused::from)
    }

    /// How long a call may take, and without a floor how long a repeated code waits for the outcome of the first one.
    pub fn call_deadline(&self) -> Duration {
        self.call_deadline
    }

    /// Undoes the charges that a step did not use, by the table in `settlement.rs`, and records the outcome in the flow.
    pub async fn settle(&self, receipts: Receipts, outcome: Outcome, record: Record) {
        let settlement = settlement::settlement(&receipts, outcome, &record, self.lifetime);
        self.store.settle(receipts.decision, &settlement, self.clock.micros()).await;
    }

    /// Raises a level of time, for a step that has nothing to settle.
    pub async fn raise(&self, raise: Raise) {
        let settlement = Settlement { raise: Some(raise), ..Settlement::default() };
        self.store.settle(self.randomness.id(), &settlement, self.clock.micros()).await;
    }

    /// How high a level of time stands. Lowest while the store is away.
    pub async fn level(&self, level: Level) -> u8 {
        let look = Decision { level: Some(level), ..Decision::new(self.randomness.id()) };
        self.store.decide(&look, self.clock.micros()).await.map_or(0, |decided| decided.level)
    }

    /// How both ledgers stand. Empty while the store is away, and without limits.
    pub async fn ledger_readings(&self) -> Vec<LedgerReading> {
        let mut readings = Vec::new();
        if self.limits.enabled {
            for lane in [LEGACY, FLOWS] {
                let ledger = Some(Booking { book: false, ..self.booking(lane, Id([0; 16])) });
                let look = Decision { ledger, ..Decision::new(self.randomness.id()) };
                let decided = self.store.decide(&look, self.clock.micros()).await;
                readings.extend(decided.ok().and_then(|decided| decided.reading).map(|read| (lane, read)));
            }
        }
        readings
    }

    fn booking(&self, lane: Lane, network: Id) -> Booking {
        let limits = &self.limits;
        let risk = if lane == LEGACY { limits.legacy_risk_per_hour } else { limits.risk_per_hour };
        let (live_minutes, elsewhere) = (limits.code_minutes(), limits.codes_elsewhere);
        Booking { lane, network, capacity: limits.guesses(risk), live_minutes, elsewhere, book: true }
    }

    fn exhausted(&self) -> MutexGuard<'_, Exhausted> {
        self.exhausted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the store decide. A refusal that may show comes back as an error.
    async fn decide(&self, decision: &Decision<'_>) -> Result<Decided, Refused> {
        let decided = self.store.decide(decision, self.clock.micros()).await?;
        let remember =
            |subject, budget, wait| self.exhausted().remember(subject, budget, wait, self.clock.now());
        match decided.verdict {
            Verdict::Exhausted { budget, subject, wait } => match budget {
                budget::RESETS => {
                    // Networks that have not asked yet may still come.
                    let newcomers = decision.open.iter().find_map(|charge| charge.newcomers);
                    let subject = newcomers.map_or(subject, |newcomers| Subject::Of(newcomers.network));
                    remember(subject, budget, wait);
                    Err(Refused::Installation { budget, wait })
                }
                budget::RESETS_RESERVE | budget::RESETS_PER_BLOCK | budget::QUESTIONS | budget::TOKENS => {
                    remember(subject, budget, wait);
                    Err(Refused::Installation { budget, wait })
                }
                // A network that has used up its different logins may still come with a known one.
                budget::LOGINS_PER_ADDRESS => Err(Refused::Address { budget, wait }),
                _ => {
                    remember(subject, budget, wait);
                    Err(Refused::Address { budget, wait })
                }
            },
            // A code that was redeemed before needs no share, so this is not remembered.
            Verdict::ShareExhausted { wait } => {
                Err(Refused::Address { budget: budget::RISK_PER_NETWORK, wait })
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
