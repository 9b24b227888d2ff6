//! Step 3: trades the confirmation code for a token, which is sealed here; Autoshares' own never leaves.
//!
//! A right code is told at once. Refusals take one of three levels of time, the same for every flow. What Autoshares has not said by the
//! last level is told when the client sends the same code again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autoshares_counting::{Id, Raise, Recalled};
use autoshares_sdk::{ConfirmationCode, Operation};

use super::{
    Reply, Said, Steps,
    autoshares::{Failure, Trouble},
    refusal::{Stop, count_exhausted, read_ledger},
    timing::HIGHEST,
};
use crate::{
    config::{Answers, Binding},
    flow::{Handle, Named},
    guard::{
        Code, CodeVerdict, FLOWS, Flow, FlowFault, LEGACY, Outcome, Receipts, Record, Redemption, Refused,
        Silent, WRONG, level,
    },
    http::{caller::Caller, request_body::CodeRedemption},
    telemetry::audit::Event,
};

const OPERATION: Operation = Operation::RedeemCode;
/// How often a client that sends the same code at the same time looks for the outcome of the first.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Trades a code for a token. The same code again, or at the same time, gets the reply of the first, and is forwarded once.
///
/// # Errors
///
/// See [`request_reset`](super::request_reset).
pub async fn redeem_code(
    steps: &Arc<Steps>,
    caller: &Caller,
    request: CodeRedemption,
) -> Result<Reply, Stop> {
    let code = request.code;
    if let Err(outage) = steps.refuse_outage(OPERATION) {
        // While Autoshares fails nothing is counted or forwarded, and what is known is given.
        return match known_outcome(steps, caller, &code).await? {
            Some((flow, mark)) => repeat(steps, caller, flow, mark, None, 0).await,
            None => {
                steps.guard.count_refused_step(&caller.handles).await;
                Err(outage.into())
            }
        };
    }
    let Code { flow, mark, reading, verdict, level } = decide_on(steps, caller, &code).await?;
    read_ledger(steps, reading);
    let receipts = match verdict {
        CodeVerdict::Forward(receipts) => receipts,
        CodeVerdict::LooksWrong(reason) => {
            report_silent(steps, caller, flow, reason);
            return Ok(looks_wrong(steps, caller, level).await);
        }
        CodeVerdict::Repeated(outcome) => {
            steps.report.metrics.guess("repeated");
            steps.record(caller, Event::CodeRepeated, Some(flow), None);
            return repeat(steps, caller, flow.id, mark, outcome, level).await;
        }
    };
    if !steps.may_forward(OPERATION) {
        steps.guard.settle(receipts, Outcome::NotSent, Record::default()).await;
        return Err(steps.outage(OPERATION).into());
    }
    if mark.is_none() {
        steps.record(caller, Event::LegacyGuess, None, None);
    }
    forward(steps, caller, flow, mark, code, receipts, level).await
}

/// The mark of a code in a flow, under which its outcome lies in the flow's record.
pub fn mark_of_code(handle: &Handle, code: &ConfirmationCode) -> Id {
    handle.mark(Named::Code, code.expose())
}

/// The token that lies under the mark of an accepted code, in one of the client's flows.
///
/// # Errors
///
/// [`Refused`] when the store is away.
pub async fn token_of_code(steps: &Steps, caller: &Caller, mark: Id) -> Result<Option<String>, Refused> {
    for handle in &caller.handles {
        if let Recalled::Outcome(outcome) = steps.guard.recall(handle.id, mark).await?
            && outcome != WRONG
        {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Calls Autoshares, and tells what is known by the last level of time.
async fn forward(
    steps: &Arc<Steps>,
    caller: &Caller,
    flow: Flow,
    mark: Option<Id>,
    code: ConfirmationCode,
    receipts: Receipts,
    level: u8,
) -> Result<Reply, Stop> {
    let is_late = Arc::new(AtomicBool::new(false));
    let called = call(Arc::clone(steps), caller.clone(), flow, mark.is_some(), code, Arc::clone(&is_late));
    let mut called = Box::pin(called);
    let Some(called) = steps.timing.by(steps.timing.due(caller.started, HIGHEST), &mut called).await else {
        let behind = Arc::clone(steps);
        is_late.store(true, Ordering::Relaxed);
        steps.behind.spawn(async move {
            behind.report.metrics.late_call(OPERATION.id());
            let (outcome, record) = ended(called.await).0;
            behind.guard.settle(receipts, outcome, record).await;
        });
        steps.fail(OPERATION, Trouble::NoAnswer, None, "no answer by the last level of time");
        return Err(steps.outage(OPERATION).into());
    };
    // A late answer would not show that Autoshares answers in time.
    if called.as_ref().err().is_none_or(|failure| failure.trouble.is_none()) {
        steps.recover(OPERATION);
    }
    let ((outcome, record), failure) = ended(called);
    let Some(failure) = failure else {
        let token = record.outcome.clone().unwrap_or_default();
        steps.guard.settle(receipts, outcome, record).await;
        return Ok(accepted(steps, caller, flow.id, token));
    };
    let own = steps.timing.level_of(caller.started).unwrap_or(HIGHEST);
    let raise = (own > level).then_some(Raise { level: level::CODE, to: own });
    let (due, record) = (steps.timing.due(caller.started, own.max(level)), Record { raise, ..record });
    if outcome == Outcome::Refused {
        // Gives nothing back, so nobody can see it; and whoever has sent the same code meanwhile must know the outcome when that reply is due.
        // The reply does not wait for the store, or its time would tell that there was something to settle.
        steps.settle_at_reply(receipts, outcome, record).await;
        steps.timing.hold(due).await;
    } else {
        steps.timing.hold(due).await;
        steps.settle_at_reply(receipts, outcome, record).await;
    }
    if steps.settings.answers == Answers::Faithful {
        return Ok(steps.relay(caller, Some(flow), OPERATION, failure)?.into());
    }
    match outcome {
        Outcome::Refused => Ok(Said::CodeIncorrect.into()),
        // The same for everybody: from now on nobody's code is forwarded.
        _ => Err(steps.outage_of(OPERATION, Some(&failure)).into()),
    }
}

/// One call to Autoshares: the sealed token, or how it failed.
async fn call(
    steps: Arc<Steps>,
    caller: Caller,
    flow: Flow,
    needs_handle: bool,
    code: ConfirmationCode,
    is_late: Arc<AtomicBool>,
) -> Result<String, Failure> {
    let called = steps.call(OPERATION, Some(&caller), steps.autoshares.redeem_code(&code)).await;
    if is_late.load(Ordering::Relaxed) {
        // The call has opened the breaker already, and probes may have closed it since.
        steps.observe(OPERATION, called.as_ref().err());
    } else {
        steps.note(OPERATION, called.as_ref().err());
    }
    let called = called.map(|token| steps.seals.seal_token(flow.id, needs_handle, &token));
    let outcome = called.as_ref().map_or_else(Failure::outcome, |_| Outcome::Done);
    report_outcome(&steps, &caller, flow, outcome);
    called
}

/// What a call comes to for settling; and how it failed, if it did.
fn ended(called: Result<String, Failure>) -> ((Outcome, Record), Option<Failure>) {
    match called {
        Ok(token) => {
            ((Outcome::Done, Record { outcome: Some(token), renews: true, ..Record::default() }), None)
        }
        Err(failure) => {
            let outcome = failure.outcome();
            let known = (outcome == Outcome::Refused).then(|| WRONG.to_owned());
            ((outcome, Record { outcome: known, ..Record::default() }), Some(failure))
        }
    }
}

/// Has the guard decide, in the first flow of the client's that stands, or else in the lane without handles where that is allowed.
async fn decide_on(steps: &Steps, caller: &Caller, code: &ConfirmationCode) -> Result<Code, Refused> {
    let (guard, networks) = (&steps.guard, &caller.networks);
    for handle in &caller.handles {
        match guard.redeem_code(networks, &Redemption::Flow(handle), code.expose()).await {
            Err(Refused::Flow(FlowFault::Gone)) => {}
            decided => return decided,
        }
    }
    let lane = match steps.settings.binding {
        Binding::Required => return Err(Refused::Flow(FlowFault::Gone)),
        Binding::Prefer => LEGACY,
        Binding::Off => FLOWS,
    };
    guard.count_refused_step(&caller.handles).await;
    let fresh = steps.seals.new_handle().id;
    guard.redeem_code(networks, &Redemption::Lane(lane, fresh), code.expose()).await
}

/// The flow and the mark of a code that was sent before in one of the client's flows. Charges nothing.
async fn known_outcome(
    steps: &Steps,
    caller: &Caller,
    code: &ConfirmationCode,
) -> Result<Option<(Id, Option<Id>)>, Refused> {
    for handle in &caller.handles {
        let mark = mark_of_code(handle, code);
        if steps.guard.recall(handle.id, mark).await? != Recalled::Nothing {
            return Ok(Some((handle.id, Some(mark))));
        }
    }
    Ok(None)
}

/// The reply with a token. The flow lasts for its whole lifetime again, so the browser gets the cookie anew: it would drop the old one in the
/// middle of the flow.
fn accepted(steps: &Steps, caller: &Caller, flow: Id, token: String) -> Reply {
    let reply = Reply::from(Said::Token(token));
    match caller.handles.iter().find(|handle| handle.id == flow) {
        Some(handle) => reply.with_handle(steps.seals.seal(handle)),
        None => reply,
    }
}

/// The reply to a code that is not forwarded: as late as one that is, also when the store was slow.
async fn looks_wrong(steps: &Arc<Steps>, caller: &Caller, level: u8) -> Reply {
    let own = steps.timing.level_of(caller.started).unwrap_or(HIGHEST);
    if own > level {
        let behind = Arc::clone(steps);
        steps.behind.spawn(async move { behind.guard.raise(Raise { level: level::CODE, to: own }).await });
    }
    steps.timing.hold(steps.timing.due(caller.started, own.max(level))).await;
    Said::CodeIncorrect.into()
}

fn report_silent(steps: &Steps, caller: &Caller, flow: Flow, reason: Silent) {
    match reason {
        Silent::TriesUsedUp => {
            steps.report.metrics.guess("exhausted");
            steps.record(caller, Event::TriesExhausted, Some(flow), None);
        }
        Silent::LoginExhausted { budget } => {
            count_exhausted(steps, caller, Some(flow), (budget, "hidden", "login"));
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

/// The reply of the first time, for the same code again. While Autoshares is still being asked, this waits for it, as long as the first reply
/// would.
async fn repeat(
    steps: &Arc<Steps>,
    caller: &Caller,
    flow: Id,
    mark: Option<Id>,
    mut outcome: Option<String>,
    level: u8,
) -> Result<Reply, Stop> {
    let last = steps.timing.due(caller.started, HIGHEST);
    let deadline = last.unwrap_or(caller.started + steps.guard.call_deadline());
    while outcome.is_none() {
        let Some(mark) = mark else { break };
        outcome = match steps.guard.recall(flow, mark).await? {
            Recalled::Outcome(outcome) => Some(outcome),
            Recalled::Held => Some(WRONG.to_owned()),
            Recalled::UnderWay if steps.clock.now() < deadline => {
                let (now, next) = (steps.clock.now(), steps.clock.now() + LOOK_AGAIN);
                // Also at the moment at which the reply is due.
                let due = steps.timing.due(caller.started, level).filter(|due| *due > now);
                steps.clock.sleep_until(next.min(due.unwrap_or(deadline)).min(deadline)).await;
                continue;
            }
            _ => break,
        };
    }
    match outcome.as_deref() {
        Some(WRONG) => Ok(looks_wrong(steps, caller, level).await),
        Some(token) => Ok(accepted(steps, caller, flow, token.to_owned())),
        // Nobody knows yet, or the first try failed and may be made again.
        None => {
            steps.timing.hold(steps.timing.due(caller.started, level)).await;
            Err(steps.outage(OPERATION).into())
        }
    }
}
