//! Step 2: fetches the secret question.

use autoshares_sdk::Login;

use super::{
    Reply, Said, Steps, decoys,
    refusal::Stop,
    uniform::{Origin, Pace},
};
use crate::{
    config::{Answers, Binding},
    flow::{Named, Spelling},
    guard::{Flow, FlowFault, Refused},
    http::{caller::Caller, problem::Kind, request_body::bad_login},
};

/// Fetches the secret question, in the flow of that login.
///
/// # Errors
///
/// See [`request_reset`](super::request_reset).
pub async fn fetch_question(steps: &Steps, caller: &Caller, login: Login) -> Result<Reply, Stop> {
    if caller.handles.is_empty() && steps.settings.binding == Binding::Required {
        return Err(Refused::Flow(FlowFault::Gone).into());
    }
    let spelling = Spelling::of(&login).map_err(|fault| bad_login(Kind::InvalidQuery, "username", fault))?;
    let flow = flow_with_question(steps, caller, &spelling).await?;
    // Also for a decoy, whose question is known: it fails and takes its time as a real one does.
    let called = steps.call(steps.autoshares.fetch_question(&login)).await;
    let said = match called {
        Ok(_) if flow.is_some_and(|flow| flow.stage.is_decoy()) => Ok(question_of_nobody(steps, &spelling)),
        Ok(question) => {
            Ok(Said::Question(question.map(|question| question.expose().to_owned()).unwrap_or_default()))
        }
        // Only logins that exist are not refused.
        Err(failure) if steps.settings.answers != Answers::Faithful && failure.is_refusal => {
            Ok(question_of_nobody(steps, &spelling))
        }
        Err(failure) => steps.relay(caller, flow, failure),
    };
    if steps.settings.answers != Answers::Faithful {
        let pace = said.is_ok().then_some(Pace::Question);
        steps.uniform.hold(caller.started, pace, Origin::Autoshares).await;
    }
    Ok(said?.into())
}

/// The flow that the question belongs to; `None` for a client without a handle, where that is allowed.
async fn flow_with_question(
    steps: &Steps,
    caller: &Caller,
    spelling: &Spelling,
) -> Result<Option<Flow>, Refused> {
    for handle in &caller.handles {
        match steps.guard.fetch_question(caller.networks.own, handle, spelling).await {
            Err(Refused::Flow(FlowFault::Gone)) => {}
            flow => return flow.map(Some),
        }
    }
    if steps.settings.binding == Binding::Required {
        return Err(Refused::Flow(FlowFault::Gone));
    }
    steps.guard.fetch_question_without_flow(caller.networks.own).await?;
    Ok(None)
}

/// The reply for a login that does not exist: its decoy question, or no question.
fn question_of_nobody(steps: &Steps, spelling: &Spelling) -> Said {
    let ring = steps.seals.ring();
    let login = ring.pseudonym(Named::Login, spelling.as_bytes());
    Said::Question(decoys::question(ring, &steps.settings, login).unwrap_or_default().to_owned())
}
