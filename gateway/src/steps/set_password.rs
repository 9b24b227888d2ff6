//! Step 4: sets the new password.

use std::sync::Arc;

use autoshares_sdk::{Operation, ResetToken};

use super::{
    Reply, Said, Steps,
    autoshares::Failure,
    password_rules::{check_length, check_strength},
    refusal::Stop,
};
use crate::{
    config::{self, Binding},
    flow::{Named, Token},
    guard::{Flow, FlowFault, Outcome, Record, Refused, SPENT, Update},
    http::{caller::Caller, problem::Problem, request_body::PasswordUpdate},
    telemetry::audit::Event,
};

const OPERATION: Operation = Operation::SetPassword;

/// Sets the new password with a token of this gateway's own, or, where that is allowed, with one that was issued elsewhere.
///
/// # Errors
///
/// See [`request_reset`](super::request_reset).
pub async fn set_password(
    steps: &Arc<Steps>,
    caller: &Caller,
    request: PasswordUpdate,
) -> Result<Reply, Stop> {
    let PasswordUpdate { token, password, least_strength, .. } = request;
    let min_strength = steps.password.min_strength.max(least_strength);
    let rules = config::Password { min_strength, ..steps.password };
    // Before the token, so that a client is not told to start again for what it can mend.
    check_length(rules, &password)?;
    let (update, token) = match steps.seals.open_token(token.expose()) {
        Some(opened) => match update_of(steps, caller, &opened) {
            Some(update) => (update, opened.token),
            None => return Err(refuse_token(steps, caller, "another flow").await),
        },
        None if steps.settings.foreign_tokens => {
            let mark = steps.seals.ring().pseudonym(Named::Token, token.expose().as_bytes());
            (Update::Foreign { mark }, token)
        }
        None => return Err(refuse_token(steps, caller, "does not open").await),
    };
    let is_measured = min_strength > 0;
    let (flow, receipts) = steps.guard.set_password(&caller.networks, &update, is_measured).await?;
    if is_measured && let Err(weak) = check_strength(rules, &password).await {
        // Measuring stays charged, or it could be repeated without end.
        steps.guard.settle(receipts, Outcome::NotSent, Record::default()).await;
        return Err(weak.into());
    }

    let called = steps.call(OPERATION, Some(caller), steps.autoshares.set_password(&token, &password)).await;
    steps.note(OPERATION, called.as_ref().err());
    let outcome = called.as_ref().map_or_else(Failure::outcome, |()| Outcome::Done);
    let record = Record { outcome: Some(SPENT.to_owned()), ..Record::default() };
    steps.guard.settle(receipts, outcome, record).await;
    match called {
        Ok(()) => {
            steps.record(caller, Event::PasswordSet, Some(flow), None);
            Ok(Reply::from(Said::PasswordSet).at_the_end())
        }
        Err(failure) => Ok(say_failed(steps, caller, flow, &token, failure)?.into()),
    }
}

/// The update for a token that this gateway issued. The client must also send the handle of the token's flow, unless the token was issued
/// to a client without one; `None` if it does not.
fn update_of(steps: &Steps, caller: &Caller, opened: &Token) -> Option<Update> {
    let mark = match caller.handles.iter().find(|handle| handle.id == opened.flow) {
        Some(handle) => handle.mark(Named::Token, opened.token.expose()),
        None if !opened.needs_handle && steps.settings.binding != Binding::Required => opened.mark(),
        None => return None,
    };
    Some(Update::Issued { flow: opened.flow, mark })
}

/// Refuses a token, or a client that is in no flow which could have one.
async fn refuse_token(steps: &Steps, caller: &Caller, reason: &'static str) -> Stop {
    let mut found = None;
    for handle in &caller.handles {
        match steps.guard.find_flow(handle).await {
            Ok(flow) => found = found.or(Some(flow)),
            Err(Refused::Flow(FlowFault::Gone)) => {}
            Err(refused) => return refused.into(),
        }
    }
    if found.is_none() && steps.settings.binding == Binding::Required {
        return Refused::Flow(FlowFault::Gone).into();
    }
    steps.guard.count_refused_step(&caller.handles).await;
    steps.record(caller, Event::TokenRefused, found, Some(reason));
    Problem::token_invalid().into()
}

/// The reply when the password was not set. Autoshares' own token never leaves, not even in Autoshares' own words.
fn say_failed(
    steps: &Steps,
    caller: &Caller,
    flow: Flow,
    token: &ResetToken,
    failure: Failure,
) -> Result<Said, Problem> {
    if !failure.sentences.may_be_shown(Some(token)) {
        return Ok(Said::PasswordNotAccepted);
    }
    steps.relay(caller, Some(flow), OPERATION, failure)
}
