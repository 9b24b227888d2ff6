//! Step 1: asks for a reset.
//!
//! The reply comes at a time that does not depend on Autoshares: what is known by then is told, and the call runs on behind. The flow may
//! be live from the moment at which the call begins, for a mail may be out.

use std::sync::Arc;

use autoshares_counting::{Owned, Raise};
use autoshares_sdk::Operation;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::warn;

use super::{
    Reply, Said, Steps,
    autoshares::{Failure, ResetReply, Sentences},
    decoys,
    refusal::{Stop, count_exhausted},
    timing::HIGHEST,
};
use crate::{
    config::Answers,
    flow::{Handle, Named, Spelling, Stage},
    guard::{Flow, Outcome, Receipts, Record, ResetAttempt, ResetVerdict, level},
    http::{
        caller::Caller,
        problem::Problem,
        request_body::{ResetRequest, bad_login},
    },
    telemetry::audit::Event,
};

const OPERATION: Operation = Operation::RequestReset;

/// How a step 1 ended that was forwarded.
struct Judged {
    said: Result<Said, Problem>,
    outcome: Outcome,
    /// The new stage of the flow; `None` leaves it as it is.
    stage: Option<Stage>,
    /// How it is counted and, where it is not what it looks like, why.
    counted: &'static str,
    event: Option<Event>,
    reason: Option<&'static str>,
}

/// Asks for a reset. The login goes on as typed, and is counted under the spelling that all of its spellings share.
///
/// # Errors
///
/// [`Stop`] when the step does not come to a reply; the same holds for the other steps.
pub async fn request_reset(
    steps: &Arc<Steps>,
    caller: &Caller,
    request: ResetRequest,
) -> Result<Reply, Stop> {
    let spelling = Spelling::of(&request.user).map_err(|fault| bad_login("User", fault))?;
    // Only a call that may run on behind its reply needs leave: the others end with their connections.
    let permit = match steps.timing.due(caller.started, 0) {
        Some(_) => Some(Arc::clone(&steps.calls).try_acquire_owned().map_err(|_| Problem::too_busy())?),
        None => None,
    };
    let ring = steps.seals.ring();
    let login = spelling.readings().map(|reading| ring.pseudonym(Named::Login, reading)).collect();
    let owned = |handle: &Handle| Owned { id: handle.id, owner: handle.owner(&spelling) };
    let fresh = steps.seals.new_handle();
    let attempt = ResetAttempt {
        login,
        current: caller.handles.iter().map(owned).collect(),
        fresh: &fresh,
        spelling: &spelling,
        answered: request.secret_question_answer.is_some(),
    };
    let reset = steps.guard.request_reset(&caller.networks, attempt).await?;
    let (flow, due) = (reset.flow, steps.timing.due(caller.started, reset.level));
    let said = match reset.verdict {
        ResetVerdict::Forward(receipts) => forward(steps, caller, flow, request, receipts, permit, due).await,
        ResetVerdict::LooksAccepted { budget } => {
            keep_place(steps, caller, permit);
            stand_in(steps, caller, flow, budget, Event::FlowSuppressed, "suppressed");
            steps.timing.hold(due).await;
            Ok(Said::Accepted { flag: false })
        }
        ResetVerdict::LooksWrong { budget } => {
            keep_place(steps, caller, permit);
            stand_in(steps, caller, flow, budget, Event::AnswerSuppressed, "answer_suppressed");
            steps.timing.hold(due).await;
            Ok(Said::AnswerIncorrect)
        }
    };
    let handle = caller.handles.iter().find(|handle| handle.id == flow.id).unwrap_or(&fresh);
    match said {
        Ok(said) => Ok(Reply::from(said).with_handle(steps.seals.seal(handle))),
        // A mail may be out, so its code should be taken.
        Err((problem, Outcome::Unknown)) => {
            Err(problem.with_handle(steps.seals.seal(handle), steps.settings.lifetime).into())
        }
        Err((problem, _)) => Err(problem.into()),
    }
}

/// Keeps the place of a call until the highest level of time, or how soon places come back would tell how long the call took, if it took no
/// longer than that. A stop does not wait for it.
fn keep_place(steps: &Steps, caller: &Caller, permit: Option<OwnedSemaphorePermit>) {
    let (timing, until) = (steps.timing.clone(), steps.timing.due(caller.started, HIGHEST));
    if let Some(permit) = permit {
        tokio::spawn(async move {
            timing.hold(until).await;
            drop(permit);
        });
    }
}

/// Reports a reply that only looks like one of Autoshares'.
fn stand_in(
    steps: &Steps,
    caller: &Caller,
    flow: Flow,
    budget: &'static str,
    event: Event,
    reason: &'static str,
) {
    count_exhausted(steps, caller, Some(flow), (budget, "hidden", "login"));
    steps.report.metrics.reset(reason);
    steps.record(caller, event, Some(flow), Some(reason));
}

/// Calls Autoshares, and tells what is known when the reply is due. A problem comes with the outcome, which says whether a mail may be out.
async fn forward(
    steps: &Arc<Steps>,
    caller: &Caller,
    flow: Flow,
    request: ResetRequest,
    receipts: Receipts,
    permit: Option<OwnedSemaphorePermit>,
    due: Option<Instant>,
) -> Result<Said, (Problem, Outcome)> {
    if !steps.may_forward(OPERATION) {
        steps.settle_at_reply(receipts, Outcome::NotSent, Record::default()).await;
        return Err((steps.outage(OPERATION), Outcome::NotSent));
    }
    let mut call = Box::pin(call(Arc::clone(steps), caller.clone(), request));
    if let Some(called) = steps.timing.by(due, &mut call).await {
        keep_place(steps, caller, permit);
        let judged = judge(steps, caller, flow, called);
        steps.timing.hold(due).await;
        let Judged { said, outcome, stage, .. } = judged;
        let record = Record { stage, ..Record::default() };
        steps.settle_at_reply(receipts, outcome, record).await;
        return said.map_err(|problem| (problem, outcome));
    }
    let (behind, caller) = (Arc::clone(steps), caller.clone());
    steps.behind.spawn(async move {
        let called = call.await;
        let raise = late(&behind, &caller, &called);
        let Judged { outcome, stage, .. } = judge(&behind, &caller, flow, called);
        behind.guard.settle(receipts, outcome, Record { stage, raise, ..Record::default() }).await;
        keep_place(&behind, &caller, permit);
    });
    Ok(Said::Accepted { flag: false })
}

async fn call(steps: Arc<Steps>, caller: Caller, request: ResetRequest) -> Result<ResetReply, Failure> {
    let call = steps.autoshares.request_reset(&request.user, request.secret_question_answer.as_ref());
    let called = steps.call(OPERATION, Some(&caller), call).await;
    let called = called.map_err(|failure| steps.breakers.judge(OPERATION, failure));
    steps.note(OPERATION, called.as_ref().err());
    if called.as_ref().err().is_none_or(|failure| failure.trouble.is_none()) {
        steps.recover(OPERATION);
    }
    called
}

/// Reports an answer that came after its reply. Only a demand for the secret answer raises the level of time: its bytes reveal that the
/// login exists anyway.
fn late(steps: &Steps, caller: &Caller, called: &Result<ResetReply, Failure>) -> Option<Raise> {
    steps.report.metrics.late_call(OPERATION.id());
    if !matches!(called, Ok(ResetReply::AnswerNeeded(_))) {
        return None;
    }
    let took_ms = u64::try_from(steps.clock.since(caller.started).as_millis()).unwrap_or(u64::MAX);
    warn!(
        took_ms,
        "Autoshares asked for a secret answer after the reply was due: replies to step 1 take longer from now on; set `flow.floor` above this time"
    );
    let to = steps.timing.level_of(caller.started).unwrap_or(HIGHEST);
    Some(Raise { level: level::RESET, to })
}

/// Judges Autoshares' reply to step 1, and reports it.
fn judge(steps: &Steps, caller: &Caller, flow: Flow, called: Result<ResetReply, Failure>) -> Judged {
    let judged = judged(steps, caller, flow, called);
    steps.report.metrics.reset(judged.counted);
    if let Some(event) = judged.event {
        steps.record(caller, event, Some(flow), judged.reason);
    }
    judged
}

fn judged(steps: &Steps, caller: &Caller, flow: Flow, called: Result<ResetReply, Failure>) -> Judged {
    let is_faithful = steps.settings.answers == Answers::Faithful;
    let genuine = |said, outcome, stage, counted| {
        let event = Some(Event::FlowStarted);
        Judged { said: Ok(said), outcome, stage: Some(stage), counted, event, reason: None }
    };
    let failure = match called {
        Ok(ResetReply::Accepted { flag }) => {
            let said = Said::Accepted { flag: flag && is_faithful };
            return genuine(said, Outcome::Done, Stage::LIVE, "accepted");
        }
        Ok(ResetReply::AnswerNeeded(sentences)) => {
            let said = if is_faithful { faithful(sentences) } else { Said::AnswerIncorrect };
            return genuine(said, Outcome::AnswerNeeded, Stage::QUESTION, "answer_needed");
        }
        Err(failure) => failure,
    };
    let outcome = failure.outcome();
    if is_faithful || failure.trouble.is_some() {
        let counted = if outcome == Outcome::Refused { "refused" } else { "failed" };
        let stage = match outcome {
            // Where a mail may be out, the flow stays one that may be live.
            Outcome::Unknown => Some(Stage::LIVE),
            Outcome::Refused => Some(Stage::DEAD),
            _ => None,
        };
        let unknown = outcome == Outcome::Unknown;
        let said = steps.relay(caller, Some(flow), OPERATION, failure);
        let (event, reason) = (unknown.then_some(Event::FlowStarted), unknown.then_some("unknown"));
        return Judged { said, outcome, stage, counted, event, reason };
    }
    // Any refusal may be of this one login, so none of them is relayed.
    let decoy = flow.login.and_then(|login| decoys::question(steps.seals.ring(), &steps.settings, login));
    let (said, outcome, stage, counted, event) = if decoy.is_some() {
        // A real login with a question is charged no mail for a wrong answer; neither must this one be.
        (Said::AnswerIncorrect, Outcome::AnswerNeeded, Stage::DECOY, "decoy", Event::AnswerSuppressed)
    } else {
        (Said::Accepted { flag: false }, outcome, Stage::DEAD, "refused", Event::FlowSuppressed)
    };
    Judged { said: Ok(said), outcome, stage: Some(stage), counted, event: Some(event), reason: Some(counted) }
}

fn faithful(sentences: Sentences) -> Said {
    if sentences.may_be_shown(None) { Said::Refused(sentences) } else { Said::AnswerIncorrect }
}
