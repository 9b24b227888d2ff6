//! Why a step ends without a reply, and the one place that counts, records and converts a refusal of the guard.

use super::Steps;
use crate::{
    guard::{Flow, FlowFault, Refused},
    http::{caller::Caller, problem::Problem},
    telemetry::audit::Event,
};

/// A step that ends without a reply.
#[derive(Debug)]
pub enum Stop {
    /// The guard refused it.
    Refused(Refused),
    /// Something else went wrong, and has been reported.
    Problem(Problem),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Stop::Refused(refused)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Problem(problem)
    }
}

/// The problem that the client gets. Says in metrics and audit trail why the guard refused.
pub async fn report(steps: &Steps, caller: &Caller, stop: Stop) -> Problem {
    match stop {
        Stop::Refused(refused) => {
            if matches!(refused, Refused::Flow(_) | Refused::TokenSpent(_)) {
                steps.guard.count_refused_step(&caller.handles).await;
            }
            refuse(steps, caller, refused)
        }
        Stop::Problem(problem) => problem,
    }
}

fn refuse(steps: &Steps, caller: &Caller, refused: Refused) -> Problem {
    match refused {
        Refused::Address { budget, wait } => {
            steps.report.metrics.budget_hit(budget, "refused", "network");
            let flow = caller.handles.first().map(|handle| handle.id);
            steps.record_in(caller, Event::BudgetHit, flow, None, Some(budget));
            Problem::too_many(wait)
        }
        Refused::Installation { budget, wait } => {
            count_exhausted(steps, caller, None, (budget, "refused", "installation"));
            Problem::resets_paused(wait)
        }
        Refused::Ledger { reading, wait } => {
            read_ledger(steps, reading);
            steps.report.metrics.guess("paused");
            steps.record(caller, Event::LedgerEmpty, None, None);
            Problem::codes_paused(wait)
        }
        Refused::Flow(fault) => {
            match fault {
                FlowFault::Gone if caller.sent_handle => {
                    steps.record(caller, Event::HandleInvalid, None, None);
                }
                FlowFault::Gone => steps.record(caller, Event::HandleMissing, None, None),
                FlowFault::OtherStep(flow) => {
                    steps.record(caller, Event::HandleInvalid, flow, Some("another step"));
                }
                FlowFault::OtherLogin(flow) => {
                    steps.record(caller, Event::HandleInvalid, flow, Some("another login"));
                }
                FlowFault::UsedUp { flow, counter } => {
                    count_exhausted(steps, caller, Some(flow), (counter, "refused", "flow"));
                }
            }
            Problem::flow_required()
        }
        Refused::TokenSpent(flow) => {
            steps.record(caller, Event::TokenRefused, Some(flow), Some("spent"));
            Problem::token_invalid()
        }
        // Recorded once by whoever watches the store, and not once for each request.
        Refused::StoreAway { wait } => Problem::store_away(wait),
    }
}

/// A budget that is used up, whether the reply says so (`refused`) or looks like another (`hidden`), and whose budget it is.
pub(super) type Exhausted = (&'static str, &'static str, &'static str);

/// Reports a budget that is used up.
pub(super) fn count_exhausted(
    steps: &Steps,
    caller: &Caller,
    flow: Option<Flow>,
    (budget, decision, source): Exhausted,
) {
    steps.report.metrics.budget_hit(budget, decision, source);
    steps.record(caller, Event::BudgetHit, flow, Some(budget));
}

/// Reports how a ledger stands.
pub(super) fn read_ledger(steps: &Steps, reading: Option<crate::guard::LedgerReading>) {
    if let Some((lane, reading)) = reading {
        steps.report.alarm.note(lane, &reading, &steps.report.metrics);
    }
}
