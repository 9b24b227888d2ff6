//! Step 2: fetches the secret question.

use std::sync::Arc;

use autoshares_counting::Raise;
use autoshares_sdk::{Login, Operation};

use super::{Reply, Said, Steps, decoys, refusal::Stop, timing::HIGHEST};
use crate::{
    config::{Answers, Binding},
    flow::{Named, Spelling},
    guard::{Flow, FlowFault, Refused, level},
    http::{caller::Caller, request_body::bad_login},
};

const OPERATION: Operation = Operation::FetchQuestion;

/// Fetches the secret question, in the flow of that login.
///
/// # Errors
///
/// See [`request_reset`](super::request_reset).
pub async fn fetch_question(steps: &Arc<Steps>, caller: &Caller, login: Login) -> Result<Reply, Stop> {
    if caller.handles.is_empty() && steps.settings.binding == Binding::Required {
        return Err(Refused::Flow(FlowFault::Gone).into());
    }
    let spelling = Spelling::of(&login).map_err(|fault| bad_login("username", fault))?;
    let (flow, level) = flow_with_question(steps, caller, &spelling).await?;
    if !steps.may_forward(OPERATION) {
        return Err(steps.outage(OPERATION).into());
    }
    // Also for a decoy, whose question is known: it fails and takes its time as a real one does.
    let called = steps.call(OPERATION, Some(caller), steps.autoshares.fetch_question(&login)).await;
    let called = called.map_err(|failure| steps.breakers.judge(OPERATION, failure));
    steps.note(OPERATION, called.as_ref().err());
    if called.as_ref().err().is_none_or(|failure| failure.trouble.is_none()) {
        steps.recover(OPERATION);
    }
    let is_faithful = steps.settings.answers == Answers::Faithful;
    let said = match called {
        Ok(_) if flow.is_some_and(|flow| flow.stage.is_decoy()) => Ok(question_of_nobody(steps, &spelling)),
        Ok(question) => {
            Ok(Said::Question(question.map(|question| question.expose().to_owned()).unwrap_or_default()))
        }
        // Only logins that exist are not refused.
        Err(failure) if !is_faithful && failure.trouble.is_none() => Ok(question_of_nobody(steps, &spelling)),
        Err(failure) => steps.relay(caller, flow, OPERATION, failure),
    };
    let own = steps.timing.level_of(caller.started).unwrap_or(HIGHEST);
    if own > level {
        steps.guard.raise(Raise { level: level::QUESTION, to: own }).await;
    }
    steps.timing.hold(steps.timing.due(caller.started, own.max(level))).await;
    Ok(said?.into())
}

/// The flow that the question belongs to, and the level of time of its reply. The flow is `None` for a client without a handle, where that
/// is allowed.
async fn flow_with_question(
    steps: &Steps,
    caller: &Caller,
    spelling: &Spelling,
) -> Result<(Option<Flow>, u8), Refused> {
    for handle in &caller.handles {
        match steps.guard.fetch_question(handle, spelling).await {
            Err(Refused::Flow(FlowFault::Gone)) => {}
            flow => return flow.map(|(flow, level)| (Some(flow), level)),
        }
    }
    if steps.settings.binding == Binding::Required {
        return Err(Refused::Flow(FlowFault::Gone));
    }
    steps.guard.count_refused_step(&caller.handles).await;
    let level = steps.guard.fetch_question_without_flow(&caller.networks).await?;
    Ok((None, level))
}

/// The reply for a login that does not exist: its decoy question, or no question.
fn question_of_nobody(steps: &Steps, spelling: &Spelling) -> Said {
    let ring = steps.seals.ring();
    let login = ring.pseudonym(Named::Login, spelling.as_bytes());
    Said::Question(decoys::question(ring, &steps.settings, login).unwrap_or_default().to_owned())
}
