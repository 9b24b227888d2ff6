//! Step 3: trades the confirmation code for a token, which is sealed here; Autoshares' own never leaves.

use std::time::Duration;

use autoshares_counting::{Id, Recalled};
use autoshares_sdk::ConfirmationCode;

use super::{
    Reply, Said, Steps,
    autoshares::Failure,
    refusal::{Stop, count_exhausted, read_ledger},
    uniform::{Origin, Pace},
};
use crate::{
    config::{Answers, Binding},
    guard::{
        Code, CodeVerdict, FLOWS, Flow, FlowFault, LEGACY, Outcome, Record, Redemption, Refused, Silent,
        WRONG, budget,
    },
    http::{caller::Caller, problem::Problem, request_body::CodeRedemption},
    telemetry::audit::Event,
};

/// How often a client that sends the same code at the same time looks for the outcome of the first.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Trades a code for a token. The same code again, or at the same time, gets the reply of the first, and is forwarded once.
///
/// # Errors
///
/// See [`request_reset`](super::request_reset).
pub async fn redeem_code(steps: &Steps, caller: &Caller, request: CodeRedemption) -> Result<Reply, Stop> {
    steps.guard.refuse_exhausted(caller.networks.own, budget::CODES_PER_ADDRESS)?;
    let code = request.code;
    let Code { flow, mark, reading, verdict } = decide_on(steps, caller, &code).await?;
    read_ledger(steps, reading);
    let receipts = match verdict {
        CodeVerdict::Forward(receipts) => receipts,
        CodeVerdict::LooksWrong(reason) => {
            report_silent(steps, caller, flow, reason);
            return Ok(steps.uniform.looks_wrong(caller.started).await?.into());
        }
        CodeVerdict::Repeated(outcome) => {
            steps.report.metrics.guess("repeated");
            steps.record(caller, Event::CodeRepeated, Some(flow), None);
            return repeat(steps, caller, flow, mark, outcome).await;
        }
    };
    if mark.is_none() {
        steps.record(caller, Event::LegacyGuess, None, None);
    }

    let called = steps.call(steps.autoshares.redeem_code(&code)).await;
    let called = called.map(|token| steps.seals.seal_token(flow.id, mark.is_some(), &token));
    let (outcome, record) = match &called {
        Ok(token) => (Outcome::Done, Record { outcome: Some(token), renews: true, stage: None }),
        Err(failure) => {
            // Whatever the status: Autoshares did not take the code, and why is nobody else's business.
            let outcome =
                if failure.is_refusal { Outcome::Refused } else { failure.outcome(Outcome::Unknown) };
            let known = (outcome == Outcome::Refused).then_some(WRONG);
            (outcome, Record { outcome: known, ..Record::default() })
        }
    };
    steps.guard.settle(receipts, outcome, record).await;
    report_outcome(steps, caller, flow, outcome);
    match called {
        Ok(token) => {
            steps.uniform.remember_code_failure(None);
            Ok(Said::Token(token).into())
        }
        Err(failure) => Ok(say_refused(steps, caller, flow, outcome, failure).await?.into()),
    }
}

/// Has the guard decide, in the first flow of the client's that stands, or else in the lane without handles where that is allowed.
async fn decide_on(steps: &Steps, caller: &Caller, code: &ConfirmationCode) -> Result<Code, Refused> {
    let (guard, address) = (&steps.guard, caller.networks.own);
    for handle in &caller.handles {
        match guard.redeem_code(address, &Redemption::Flow(handle), code.expose()).await {
            Err(Refused::Flow(FlowFault::Gone)) => {}
            decided => return decided,
        }
    }
    let lane = match steps.settings.binding {
        Binding::Required => return Err(Refused::Flow(FlowFault::Gone)),
        Binding::Prefer => LEGACY,
        Binding::Off => FLOWS,
    };
    let fresh = steps.seals.new_handle().id;
    guard.redeem_code(address, &Redemption::Lane(lane, fresh), code.expose()).await
}

fn report_silent(steps: &Steps, caller: &Caller, flow: Flow, reason: Silent) {
    match reason {
        Silent::TriesUsedUp => {
            steps.report.metrics.guess("exhausted");
            steps.record(caller, Event::TriesExhausted, Some(flow), None);
        }
        Silent::LoginExhausted => {
            count_exhausted(steps, caller, Some(flow), budget::CODES_PER_LOGIN);
            steps.report.metrics.guess("suppressed");
        }
        Silent::DeadFlow => {
            steps.report.metrics.guess("dead");
            steps.record(caller, Event::DeadFlowGuess, Some(flow), None);
        }
    }
}

fn report_outcome(steps: &Steps, caller: &Caller, flow: Flow, outcome: Outcome) {
    steps.report.metrics.guess(match outcome {
        Outcome::Done => "accepted",
        Outcome::Refused | Outcome::AnswerNeeded => "refused",
        Outcome::Unknown => "unknown",
        Outcome::NotSent => "not_sent",
    });
    match outcome {
        Outcome::Done => steps.record(caller, Event::CodeAccepted, Some(flow), None),
        Outcome::Refused => steps.record(caller, Event::CodeRefused, Some(flow), None),
        _ => {}
    }
}

/// The reply to a code that Autoshares did not take.
async fn say_refused(
    steps: &Steps,
    caller: &Caller,
    flow: Flow,
    outcome: Outcome,
    failure: Failure,
) -> Result<Said, Problem> {
    if steps.settings.answers == Answers::Faithful {
        return steps.relay(caller, Some(flow), failure);
    }
    if outcome == Outcome::Refused {
        steps.uniform.remember_code_failure(None);
        steps.uniform.hold(caller.started, Some(Pace::CodeIncorrect), Origin::Autoshares).await;
        return Ok(Said::CodeIncorrect);
    }
    let said = steps.relay(caller, Some(flow), failure);
    steps.uniform.remember_code_failure(said.as_ref().err());
    steps.uniform.hold(caller.started, Some(Pace::CodeFailed), Origin::Autoshares).await;
    said
}

/// The reply of the first time, for the same code again. While Autoshares is still being asked, this waits for it.
async fn repeat(
    steps: &Steps,
    caller: &Caller,
    flow: Flow,
    mark: Option<Id>,
    mut outcome: Option<String>,
) -> Result<Reply, Stop> {
    let deadline = caller.started + steps.guard.call_deadline();
    while outcome.is_none() && steps.clock.now() < deadline {
        let Some(mark) = mark else { break };
        tokio::time::sleep(LOOK_AGAIN).await;
        let recalled = steps.guard.recall(flow.id, mark).await;
        outcome = match recalled? {
            Recalled::Outcome(outcome) => Some(outcome),
            Recalled::UnderWay => None,
            Recalled::Nothing => break,
        };
    }
    match outcome.as_deref() {
        Some(token) if token != WRONG => Ok(Said::Token(token.to_owned()).into()),
        // The outcome that is not known is that of a failure, which a dead flow shows in the same way.
        _ => Ok(steps.uniform.looks_wrong(caller.started).await?.into()),
    }
}
