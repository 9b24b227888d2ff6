//! What may be done how often: the budgets, the tries of a flow, and the risk ledger. Everything is counted before it is done; what was
//! not done after all is given back.

mod alarm;
mod count;
mod exhausted;
mod gcra;
mod ledger;
mod memory;
mod redis;
mod store;
mod ticket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64};

use tokio::time::Instant;

pub use alarm::LedgerState;
pub use ticket::{
    Code, CodeOutcome, CodeTicket, Reset, ResetOutcome, ResetTicket, UpdateOutcome, UpdateTicket,
};

use crate::{
    config::{Binding, Limits, StoreSettings},
    flow::key_ring::Pseudonym,
    flow::{Flow, FlowId, Stage},
    http::caller::Caller,
    http::problem::Problem,
    telemetry::audit::Event,
    telemetry::health::Health,
    telemetry::metrics::Metrics,
};
use alarm::Alarm;
use count::{Attempt, Budget, Place, Spend, Spent, Subject, Tried};
use exhausted::Exhausted;
use ledger::{Entry, Lane, Question};
use redis::Shared;
use store::Store;
use ticket::ResetCharge;

const RESETS: &str = "resets_per_login";
const ANSWERS: &str = "answers_per_login";
const CODES: &str = "codes_per_login";
const CODE_TRIES: &str = "codes_per_flow";
const QUESTIONS: &str = "questions_per_flow";
const UPDATES: &str = "updates_per_flow";

/// How many passwords are measured in a flow.
const MEASURES: u32 = 30;

/// Guards the flow.
#[derive(Debug)]
pub struct Guard {
    store: Store,
    limits: Limits,
    metrics: Arc<Metrics>,
    alarm: Alarm,
    exhausted: Mutex<Exhausted>,
}

impl Guard {
    /// A guard whose counters live where the settings say. `not_before` follows since when they remember, in milliseconds since 1970.
    pub fn new(
        store: &StoreSettings,
        limits: Limits,
        not_before: &Arc<AtomicU64>,
        metrics: Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Self {
        let shared = Shared { code_lifetime: limits.code_minutes(), not_before: Arc::clone(not_before) };
        let store = Store::new(store, &shared, &metrics, health);
        Self { store, limits, metrics, alarm: Alarm::default(), exhausted: Mutex::default() }
    }

    /// Writes to the store.
    ///
    /// # Errors
    ///
    /// Why it cannot be written to.
    pub async fn probe_store(&self) -> Result<(), String> {
        self.store.probe().await
    }

    /// Admits a step 1, or lets it look as if it were.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the address or the installation has no budget left.
    pub async fn admit_reset(
        &self,
        caller: &Caller,
        login: Pseudonym,
        answered: bool,
    ) -> Result<Reset, Problem> {
        let limits = &self.limits;
        if !limits.enabled {
            return Ok(Reset::Forward(ResetTicket(None)));
        }
        let budgets = [
            self.resets_per_address(),
            Budget { name: "logins_per_address", rates: &limits.logins_per_address, only_new: true },
        ];
        self.admit_address(caller, &budgets, Some(login)).await?;
        let budgets = [Budget { name: "resets", rates: &limits.resets, only_new: false }];
        let spend = Spend { subject: Subject::Installation, budgets: &budgets, seen: None };
        if let (Spent::Exhausted { budget, wait }, _) = self.store.spend(&spend).await {
            self.hit(caller, budget);
            return Err(Problem::resets_paused(wait));
        }
        let budgets = self.login_budgets(answered);
        let spend = Spend { subject: Subject::Login(login), budgets: &budgets, seen: None };
        match self.store.spend(&spend).await {
            (Spent::Admitted, spent_at) => {
                let (minute, counted_at) = self.store.code_sent().await;
                let charge = ResetCharge { login, answered, spent_at, minute, counted_at };
                Ok(Reset::Forward(ResetTicket(Some(charge))))
            }
            (Spent::Exhausted { budget, .. }, _) => {
                self.hit(caller, budget);
                // Whoever has no mails left is told so in no other way, whatever the answer; so mails are asked first.
                Ok(if budget == ANSWERS { Reset::AnswerSuppressed } else { Reset::Suppressed })
            }
        }
    }

    fn resets_per_address(&self) -> Budget<'_> {
        Budget { name: "resets_per_address", rates: &self.limits.resets_per_address, only_new: false }
    }

    fn login_budgets(&self, answered: bool) -> Vec<Budget<'_>> {
        let resets = Budget { name: RESETS, rates: &self.limits.resets_per_login, only_new: false };
        let answers = Budget { name: ANSWERS, rates: &self.limits.answers_per_login, only_new: false };
        if answered { vec![resets, answers] } else { vec![resets] }
    }

    /// Gives back what a step 1 was charged and did not use. Mails are what is counted, so a refusal for the answer costs none.
    pub async fn settle_reset(&self, ticket: ResetTicket, outcome: ResetOutcome) {
        let Some(charge) = ticket.0 else { return };
        if outcome == ResetOutcome::Sent {
            return;
        }
        self.store.code_not_sent(charge.counted_at, charge.minute).await;
        let budgets = match outcome {
            ResetOutcome::AnswerNeeded => self.login_budgets(false),
            ResetOutcome::NotSent => self.login_budgets(charge.answered),
            ResetOutcome::Sent | ResetOutcome::Refused => return,
        };
        self.store.give_back(charge.spent_at, Subject::Login(charge.login), &budgets).await;
    }

    /// Whether a flow goes on, or has used up its tries and gives way to a new one.
    pub async fn goes_on(&self, flow: FlowId) -> bool {
        let limits = &self.limits;
        let counters = [
            (CODE_TRIES, limits.codes_per_flow),
            (QUESTIONS, limits.questions_per_flow),
            (UPDATES, limits.updates_per_flow),
        ];
        self.store.has_tries(flow, &counters).await
    }

    /// Admits fetching the question.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when it was fetched too often, or the address has no budget left.
    pub async fn admit_question(&self, caller: &Caller, flow: Option<&Flow>) -> Result<(), Problem> {
        let Some(flow) = flow else {
            return self.admit_address(caller, &[self.resets_per_address()], None).await;
        };
        let name = QUESTIONS;
        let attempt = Attempt { flow: flow.id, name, mark: None };
        match self.store.attempt(&attempt, self.limits.questions_per_flow).await.0 {
            Tried::Admitted | Tried::Repeated => Ok(()),
            Tried::Exhausted => {
                self.hit(caller, name);
                Err(Problem::flow_required())
            }
        }
    }

    /// Admits a code of a flow, or lets it look wrong. `mark` stands for the code: each is forwarded once in a flow.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the address has no budget left or the ledger is empty.
    pub async fn admit_code(&self, caller: &Caller, flow: &Flow, mark: Pseudonym) -> Result<Code, Problem> {
        self.admit_address(caller, &self.code_budgets(), None).await?;
        let attempt = Attempt { flow: flow.id, name: CODE_TRIES, mark: Some(mark) };
        let (tried, tried_at) = self.store.attempt(&attempt, self.limits.codes_per_flow).await;
        if tried != Tried::Admitted {
            let (event, outcome) = match tried {
                Tried::Repeated => (Event::CodeRepeated, "repeated"),
                _ => (Event::TriesExhausted, "exhausted"),
            };
            self.metrics.guess(outcome);
            caller.tell(event, Some(flow), None);
            return Ok(Code::Refuse);
        }
        let mut ticket = CodeTicket { attempt: Some((attempt, tried_at)), spent: None, booked: None };
        if self.limits.enabled {
            let budgets = self.codes_per_login(flow.stage);
            let subject = Subject::Login(flow.login);
            let (spent, spent_at) = self.store.spend(&Spend { subject, budgets: &budgets, seen: None }).await;
            if spent != Spent::Admitted {
                // It was not asked about, so it is not known to be wrong.
                self.store.release(tried_at, &attempt, false).await;
                self.hit(caller, CODES);
                self.metrics.guess("suppressed");
                return Ok(Code::Refuse);
            }
            ticket.spent = Some((subject, spent_at));
            // A dead flow is asked about too, though nothing is booked, or an empty ledger would tell the two apart.
            match self.ask_ledger(caller, Lane::Flow, flow.stage == Stage::Live).await {
                Ok(booked) => ticket.booked = Some(booked),
                Err(problem) => {
                    self.store.release(tried_at, &attempt, true).await;
                    self.store.give_back(spent_at, subject, &budgets).await;
                    return Err(problem);
                }
            }
        }
        if flow.stage == Stage::Live {
            return Ok(Code::Forward(ticket));
        }
        self.metrics.guess("dead");
        caller.tell(Event::DeadFlowGuess, Some(flow), None);
        Ok(Code::Refuse)
    }

    /// Admits a code of a client without a handle.
    ///
    /// # Errors
    ///
    /// See [`admit_code`](Self::admit_code).
    pub async fn admit_code_without_flow(
        &self,
        caller: &Caller,
        binding: Binding,
    ) -> Result<CodeTicket, Problem> {
        if !self.limits.enabled {
            return Ok(CodeTicket { attempt: None, spent: None, booked: None });
        }
        self.admit_address(caller, &self.code_budgets(), None).await?;
        let lane = if binding == Binding::Off { Lane::Flow } else { Lane::Legacy };
        let booked = self.ask_ledger(caller, lane, true).await?;
        Ok(CodeTicket { attempt: None, spent: None, booked: Some(booked) })
    }

    /// Flows without a code count apart, or anybody could use up what the trader with the code needs.
    fn codes_per_login(&self, stage: Stage) -> [Budget<'_>; 1] {
        let name = if stage == Stage::Live { CODES } else { "dead_codes_per_login" };
        [Budget { name, rates: &self.limits.codes_per_login, only_new: false }]
    }

    fn code_budgets(&self) -> [Budget<'_>; 1] {
        [Budget { name: "codes_per_address", rates: &self.limits.codes_per_address, only_new: false }]
    }

    async fn ask_ledger(
        &self,
        caller: &Caller,
        lane: Lane,
        book: bool,
    ) -> Result<(Lane, Entry, Place), Problem> {
        let (entry, place) = self.store.guess(self.question(lane, book)).await;
        self.alarm.note(lane, &entry, &self.metrics);
        if entry.admitted {
            return Ok((lane, entry, place));
        }
        self.metrics.guess("paused");
        caller.tell(Event::LedgerEmpty, None, None);
        Err(Problem::codes_paused(entry.wait))
    }

    fn question(&self, lane: Lane, book: bool) -> Question {
        let capacity = match lane {
            Lane::Flow => self.limits.risk_per_hour,
            Lane::Legacy => self.limits.legacy_risk_per_hour,
        };
        Question { lane, capacity, code_lifetime: self.limits.code_minutes(), book, elsewhere: 0 }
    }

    /// Gives back what a code was charged and did not use.
    pub async fn settle_code(&self, ticket: CodeTicket, outcome: CodeOutcome) {
        self.metrics.guess(match outcome {
            CodeOutcome::Accepted => "accepted",
            CodeOutcome::Refused => "refused",
            CodeOutcome::Unknown => "unknown",
            CodeOutcome::NotSent => "not_sent",
        });
        if let Some((lane, entry, place)) = ticket.booked
            && matches!(outcome, CodeOutcome::Accepted | CodeOutcome::NotSent)
        {
            self.store.unbook(place, lane, entry.minute, entry.live).await;
        }
        if let Some((subject, place)) = ticket.spent
            && outcome == CodeOutcome::NotSent
        {
            self.store.give_back(place, subject, &self.codes_per_login(Stage::Live)).await;
        }
        // Whoever does not know whether a code was taken may ask again, which costs another try.
        if let Some((attempt, place)) = ticket.attempt
            && matches!(outcome, CodeOutcome::Unknown | CodeOutcome::NotSent)
        {
            self.store.release(place, &attempt, outcome == CodeOutcome::NotSent).await;
        }
    }

    /// Admits an attempt to set the password. `mark` stands for the token, which is forwarded once; a token without a flow counts under
    /// itself.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the token is spent or being spent, or the flow has ended.
    pub async fn admit_update(
        &self,
        caller: &Caller,
        flow: Option<&Flow>,
        mark: Pseudonym,
    ) -> Result<UpdateTicket, Problem> {
        let name = UPDATES;
        let id = flow.map_or(FlowId(mark.0), |flow| flow.id);
        let attempt = Attempt { flow: id, name, mark: Some(mark) };
        match self.store.attempt(&attempt, self.limits.updates_per_flow).await {
            (Tried::Admitted, place) => Ok(UpdateTicket(attempt, place)),
            (Tried::Repeated, _) => {
                caller.tell(Event::TokenRefused, flow, Some("spent"));
                Err(Problem::token_invalid())
            }
            (Tried::Exhausted, _) => {
                self.hit(caller, name);
                Err(Problem::flow_required())
            }
        }
    }

    /// Admits measuring a password, which takes its time.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when there were too many in this flow, or with this token.
    pub async fn admit_measure(
        &self,
        caller: &Caller,
        flow: Option<&Flow>,
        mark: Pseudonym,
    ) -> Result<(), Problem> {
        let name = "measures_per_flow";
        let attempt = Attempt { flow: flow.map_or(FlowId(mark.0), |flow| flow.id), name, mark: None };
        if self.store.attempt(&attempt, MEASURES).await.0 == Tried::Admitted {
            return Ok(());
        }
        self.hit(caller, name);
        Err(Problem::flow_required())
    }

    /// Makes a token good again that was not spent.
    pub async fn settle_update(&self, UpdateTicket(attempt, place): UpdateTicket, outcome: UpdateOutcome) {
        if outcome != UpdateOutcome::Spent {
            self.store.release(place, &attempt, outcome == UpdateOutcome::NotSent).await;
        }
    }

    /// Admits something that only its address bounds.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the address has no budget left.
    pub async fn admit_foreign_token(&self, caller: &Caller) -> Result<(), Problem> {
        self.admit_address(caller, &self.code_budgets(), None).await
    }

    async fn admit_address(
        &self,
        caller: &Caller,
        budgets: &[Budget<'_>],
        seen: Option<Pseudonym>,
    ) -> Result<(), Problem> {
        if !self.limits.enabled {
            return Ok(());
        }
        for budget in budgets.iter().filter(|budget| !budget.only_new) {
            if let Some(hit) = self.exhausted().hit(caller.address, budget.name, Instant::now()) {
                self.metrics.budget_hit(budget.name);
                if hit.tell {
                    caller.tell(Event::BudgetHit, caller.flow.as_ref(), Some(budget.name));
                }
                return Err(Problem::too_many(hit.wait));
            }
        }
        let spend = Spend { subject: Subject::Address(caller.address), budgets, seen };
        match self.store.spend(&spend).await {
            (Spent::Admitted, _) => Ok(()),
            (Spent::Exhausted { budget, wait }, place) => {
                // Of what is only for new logins nothing follows for known ones, and of the share of one replica nothing for later.
                if self.store.is_final(place)
                    && budgets.iter().any(|known| known.name == budget && !known.only_new)
                {
                    self.exhausted().remember(caller.address, budget, wait, Instant::now());
                }
                self.hit(caller, budget);
                Err(Problem::too_many(wait))
            }
        }
    }

    fn exhausted(&self) -> MutexGuard<'_, Exhausted> {
        self.exhausted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a hit, and tells of it.
    fn hit(&self, caller: &Caller, budget: &'static str) {
        self.metrics.budget_hit(budget);
        caller.tell(Event::BudgetHit, caller.flow.as_ref(), Some(budget));
    }

    /// Looks into the ledger for whoever asks how things are.
    pub async fn ledger_state(&self) -> LedgerState {
        let mut worst = LedgerState::Ample;
        if self.limits.enabled {
            for lane in [Lane::Legacy, Lane::Flow] {
                let (entry, _) = self.store.guess(self.question(lane, false)).await;
                worst = worst.max(self.alarm.note(lane, &entry, &self.metrics));
            }
        }
        worst
    }
}
