//! The steps of the flow, one file for each. A step takes a checked request, lets the guard decide on it, calls Autoshares, settles the
//! charges and returns a reply or the reason why there is none. It knows no header and no status.

pub mod autoshares;
mod breaker;
mod decoys;
mod fetch_question;
mod outage;
mod password_rules;
mod redeem_code;
mod refusal;
mod renew_flow;
mod request_reset;
mod said;
mod set_password;
mod timing;

use std::sync::Arc;

use autoshares_counting::Id;
use autoshares_sdk::Operation;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, debug_span};

pub use autoshares::Autoshares;
pub use fetch_question::fetch_question;
pub use redeem_code::{mark_of_code, redeem_code, token_of_code};
pub use refusal::{Stop, report};
pub use renew_flow::renew_flow;
pub use request_reset::request_reset;
pub use said::{HandleChange, Reply, Said};
pub use set_password::set_password;

use crate::{
    clock::Clock,
    config,
    flow::Seals,
    guard::{Flow, Guard, Outcome, Receipts, Record, budget},
    http::{caller::Caller, problem::Problem},
    network::Networks,
    telemetry::{
        alarm::Alarm,
        audit::{Event, Line, Trail},
        health::{Health, Outage},
        metrics::Metrics,
    },
};
use autoshares::{Call, Failure, KeyVerdict, Trouble};
use outage::Breakers;
use timing::Timing;

/// How many calls of step 1 may be under way at once, those that run on behind their replies included.
const MAX_CALLS: usize = 128;

/// Where the steps report what happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Whether the gateway is well.
    pub health: Arc<Health>,
    /// How the ledgers stand.
    pub alarm: Arc<Alarm>,
    /// What decisions that matter to security leave behind.
    pub trail: Arc<Trail>,
}

/// What the steps know of calls, and keep when other settings come: whether Autoshares fails, and which calls are under way.
#[derive(Clone, Debug)]
pub struct Lasting {
    breakers: Arc<Breakers>,
    /// Leave to call Autoshares in step 1.
    calls: Arc<Semaphore>,
    /// Calls that run on behind their replies, and settlements.
    behind: TaskTracker,
}

impl Default for Lasting {
    fn default() -> Self {
        let calls = Arc::new(Semaphore::new(MAX_CALLS));
        Self { breakers: Arc::default(), calls, behind: TaskTracker::new() }
    }
}

impl Lasting {
    /// For an Autoshares at another address, or with other certificates: how the old one failed says nothing about it.
    #[must_use]
    pub fn before_another_autoshares(&self, report: &Report) -> Self {
        self.breakers.retire();
        for outage in [Outage::Resets, Outage::Codes] {
            report.health.set_outage(outage, None);
            report.metrics.outage(outage, false);
        }
        Self { breakers: Arc::default(), ..self.clone() }
    }
}

/// The four steps.
#[derive(Debug)]
pub struct Steps {
    autoshares: Arc<dyn Autoshares>,
    seals: Seals,
    guard: Arc<Guard>,
    report: Report,
    breakers: Arc<Breakers>,
    timing: Timing,
    clock: Clock,
    settings: config::Flow,
    password: config::Password,
    /// Leave to call Autoshares in step 1.
    calls: Arc<Semaphore>,
    /// Calls that run on behind their replies, and settlements.
    behind: TaskTracker,
}

impl Steps {
    /// The steps in front of an Autoshares whose calls are not repeated (but for one whose key was replaced meanwhile).
    pub fn new(
        autoshares: Arc<dyn Autoshares>,
        seals: Seals,
        guard: Arc<Guard>,
        report: Report,
        clock: Clock,
        (settings, password): (config::Flow, config::Password),
        lasting: Lasting,
    ) -> Self {
        let is_faithful = settings.answers == config::Answers::Faithful;
        let floor = if is_faithful { std::time::Duration::ZERO } else { settings.floor };
        let timing = Timing::new(clock.clone(), floor);
        let Lasting { breakers, calls, behind } = lasting;
        Self { autoshares, seals, guard, report, breakers, timing, clock, settings, password, calls, behind }
    }

    /// The seals with which the gateway opens the handles of callers.
    pub fn seals(&self) -> &Seals {
        &self.seals
    }

    /// The calls that run on behind their replies. Stopping waits for them.
    pub fn behind(&self) -> &TaskTracker {
        &self.behind
    }

    /// Refuses what can be refused before the handles are opened, which costs as much as all else about a refused request: steps 1 and 2 while
    /// Autoshares fails, and steps 1 and 3 of networks that are known to have used up a budget. Step 3 looks for a known outcome before it is
    /// refused in an outage.
    ///
    /// # Errors
    ///
    /// [`Stop`].
    pub fn refuse_unopened(&self, networks: &Networks, operation: Operation) -> Result<(), Stop> {
        match operation {
            Operation::RequestReset => {
                self.refuse_outage(operation)?;
                if self.calls.available_permits() == 0 {
                    return Err(Problem::too_busy().into());
                }
                self.guard.refuse_network(networks, budget::RESETS_PER_ADDRESS)?;
            }
            Operation::FetchQuestion => self.refuse_outage(operation)?,
            Operation::RedeemCode => self.guard.refuse_network(networks, budget::CODES_PER_ADDRESS)?,
            Operation::SetPassword => {}
        }
        Ok(())
    }

    /// Refuses what can be refused before the body is parsed: step 1 where the installation has used up its resets; steps 2 to 4 with handles
    /// that were refused too often.
    ///
    /// # Errors
    ///
    /// [`Stop`].
    pub fn refuse_unparsed(&self, caller: &Caller, operation: Operation) -> Result<(), Stop> {
        match operation {
            Operation::RequestReset => {
                self.guard.refuse_reset(&caller.networks, !caller.handles.is_empty())?;
            }
            _ => self.guard.refuse_step(&caller.handles)?,
        }
        Ok(())
    }

    /// Waits for a call to Autoshares, and measures it. A trace shows it below the request that it is made for; a probe is made for none.
    async fn call<T>(
        &self,
        operation: Operation,
        caller: Option<&Caller>,
        call: Call<'_, T>,
    ) -> Result<T, Failure> {
        let span = match caller.and_then(|caller| caller.request_id.as_ref()) {
            Some(id) => debug_span!("request", request_id = &*id.0),
            None => Span::none(),
        };
        let began = self.clock.now();
        let called = call.instrument(span).await;
        let (status, trouble) = match &called {
            Ok(_) => (Some(200), None),
            Err(failure) => (failure.status, failure.trouble),
        };
        let error_type = trouble.map_or("", Trouble::name);
        self.report.metrics.call(operation, status, error_type, self.clock.since(began));
        called
    }

    /// Settles a step whose reply is due now. The settlement goes to the store before the reply goes to the client, whose next step may rely
    /// on it; but the reply does not wait for the store, or its time would tell that there was something to settle.
    async fn settle_at_reply(self: &Arc<Self>, receipts: Receipts, outcome: Outcome, record: Record) {
        let steps = Arc::clone(self);
        let settling = async move { steps.guard.settle(receipts, outcome, record).await };
        if self.timing.due(self.clock.now(), 0).is_none() {
            settling.await;
        } else {
            self.behind.spawn(settling);
            // Lets the task begin.
            tokio::task::yield_now().await;
        }
    }

    /// The reply to a failed call that need not be hidden: Autoshares' own words if they came in an envelope, else a problem.
    fn relay(
        &self,
        caller: &Caller,
        flow: Option<Flow>,
        operation: Operation,
        failure: Failure,
    ) -> Result<Said, Problem> {
        if failure.in_envelope {
            let shown = failure.sentences.may_be_shown(None);
            return Ok(if shown { Said::Refused(failure.sentences) } else { Said::NotAccepted });
        }
        if failure.key == KeyVerdict::Rejected {
            self.record(caller, Event::KeyRefused, flow, None);
        }
        if failure.outcome() == Outcome::NotSent {
            return Err(self.outage_of(operation, Some(&failure)));
        }
        Err(failure.problem)
    }

    /// Records an event of a request in the audit trail.
    pub fn record(&self, caller: &Caller, event: Event, flow: Option<Flow>, reason: Option<&'static str>) {
        self.record_in(caller, event, flow.map(|flow| flow.id), flow.and_then(|flow| flow.login), reason);
    }

    fn record_in(
        &self,
        caller: &Caller,
        event: Event,
        flow: Option<Id>,
        login: Option<Id>,
        reason: Option<&'static str>,
    ) {
        let request_id = caller.request_id.as_ref().map(|id| &*id.0);
        let address = Some(caller.networks.own);
        self.report.trail.record(&Line { event, request_id, address, flow, login, reason });
    }
}
