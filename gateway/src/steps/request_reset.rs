//! Step 1: asks for a reset.

use autoshares_counting::Owned;

use super::{
    Reply, Said, Steps,
    autoshares::{Failure, ResetReply, Sentences},
    decoys,
    refusal::{Stop, count_exhausted},
    uniform::{Origin, Pace},
};
use crate::{
    config::Answers,
    flow::{Handle, Named, Spelling, Stage},
    guard::{Flow, Outcome, Record, ResetAttempt, ResetVerdict, budget},
    http::{
        caller::Caller,
        problem::{Kind, Problem},
        request_body::{ResetRequest, bad_login},
    },
    telemetry::audit::Event,
};

/// The end of a step 1, whether Autoshares or the guard decided it.
struct Ending {
    said: Result<Said, Problem>,
    origin: Origin,
    /// Whether the client gets a handle.
    gives_handle: bool,
    /// Why the reply only looks like that of Autoshares, for metrics and audit trail.
    reason: Option<&'static str>,
}

/// Asks for a reset. The login goes on as typed, and is counted under the spelling that all of its spellings share.
///
/// # Errors
///
/// [`Stop`] when the step does not come to a reply; the same holds for the other steps.
pub async fn request_reset(steps: &Steps, caller: &Caller, request: ResetRequest) -> Result<Reply, Stop> {
    steps.guard.refuse_exhausted(caller.networks.own, budget::RESETS_PER_ADDRESS)?;
    let ResetRequest { user, secret_question_answer: answer } = request;
    let spelling = Spelling::of(&user).map_err(|fault| bad_login(Kind::InvalidBody, "User", fault))?;
    let login = steps.seals.ring().pseudonym(Named::Login, spelling.as_bytes());
    let owned = |handle: &Handle| Owned { id: handle.id, owner: handle.owner(&spelling) };
    let fresh = steps.seals.new_handle();
    let attempt = ResetAttempt {
        login,
        current: caller.handles.iter().map(owned).collect(),
        fresh: &fresh,
        spelling: &spelling,
        answered: answer.is_some(),
    };
    let reset = steps.guard.request_reset(caller.networks.own, attempt).await?;
    let flow = reset.flow;

    let ending = match reset.verdict {
        ResetVerdict::Forward(receipts) => {
            let called = steps.call(steps.autoshares.request_reset(&user, answer.as_ref())).await;
            let (outcome, stage, ending) = judge(steps, caller, flow, called);
            let record = Record { stage: Some(stage), ..Record::default() };
            steps.guard.settle(receipts, outcome, record).await;
            ending
        }
        ResetVerdict::LooksAccepted { budget } => {
            count_exhausted(steps, caller, Some(flow), budget);
            looks_like(steps, steps.uniform.looks_accepted(), Origin::StandIn, "suppressed")
        }
        ResetVerdict::LooksWrong { budget } => {
            count_exhausted(steps, caller, Some(flow), budget);
            looks_like(steps, Said::AnswerIncorrect, Origin::StandIn, "answer_suppressed")
        }
    };

    let Ending { said, origin, gives_handle, reason } = ending;
    let pace = match &said {
        Ok(Said::Accepted { .. }) => Some(Pace::Accepted),
        Ok(Said::AnswerIncorrect) => Some(Pace::AnswerIncorrect),
        _ => None,
    };
    steps.uniform.hold(caller.started, pace, origin).await;
    let reply = Reply::from(said?);
    if !gives_handle {
        return Ok(reply);
    }
    let event = match (pace, reason) {
        (_, None) => Event::FlowStarted,
        (Some(Pace::AnswerIncorrect), Some(_)) => Event::AnswerSuppressed,
        (_, Some(_)) => Event::FlowSuppressed,
    };
    steps.record(caller, event, Some(flow), reason);
    let handle = caller.handles.iter().find(|handle| handle.id == flow.id).unwrap_or(&fresh);
    Ok(reply.with_handle(steps.seals.seal(handle)))
}

/// Judges Autoshares' reply to step 1: the outcome for settling, the new stage of the flow, and the reply to the client.
fn judge(
    steps: &Steps,
    caller: &Caller,
    flow: Flow,
    called: Result<ResetReply, Failure>,
) -> (Outcome, Stage, Ending) {
    let failure = match called {
        Ok(ResetReply::Accepted { flag }) => {
            let ending = genuine(steps, steps.uniform.accepted(flag), "accepted");
            return (Outcome::Done, Stage::LIVE, ending);
        }
        Ok(ResetReply::AnswerNeeded(sentences)) => {
            let ending = genuine(steps, answer_needed(steps, sentences), "answer_needed");
            return (Outcome::AnswerNeeded, Stage::QUESTION, ending);
        }
        Err(failure) => failure,
    };
    let outcome = failure.outcome(Outcome::Refused);
    // Where a mail may have gone out, its code should be taken.
    let stage = if outcome == Outcome::Unknown { Stage::LIVE } else { Stage::DEAD };
    if steps.settings.answers == Answers::Faithful || !failure.is_documented {
        let counted = if outcome == Outcome::Refused { "refused" } else { "failed" };
        let said = steps.relay(caller, Some(flow), failure);
        steps.report.metrics.reset(counted);
        let origin = Origin::Autoshares;
        return (outcome, stage, Ending { said, origin, gives_handle: false, reason: None });
    }
    // Any documented refusal may be of this one login, so none of them is relayed.
    let decoy = flow.login.and_then(|login| decoys::question(steps.seals.ring(), &steps.settings, login));
    if outcome == Outcome::Refused && decoy.is_some() {
        // A real login with a question is charged no mail for a wrong answer; neither must this one be.
        let ending = looks_like(steps, Said::AnswerIncorrect, Origin::Autoshares, "decoy");
        return (Outcome::AnswerNeeded, Stage::DECOY, ending);
    }
    let ending = looks_like(steps, steps.uniform.looks_accepted(), Origin::Autoshares, "refused");
    (outcome, stage, ending)
}

fn answer_needed(steps: &Steps, sentences: Sentences) -> Said {
    match steps.settings.answers {
        Answers::Faithful => Said::Refused(sentences),
        Answers::Uniform | Answers::Decoy => Said::AnswerIncorrect,
    }
}

fn genuine(steps: &Steps, said: Said, counted: &'static str) -> Ending {
    steps.report.metrics.reset(counted);
    Ending { said: Ok(said), origin: Origin::Autoshares, gives_handle: true, reason: None }
}

fn looks_like(steps: &Steps, said: Said, origin: Origin, reason: &'static str) -> Ending {
    steps.report.metrics.reset(reason);
    Ending { said: Ok(said), origin, gives_handle: true, reason: Some(reason) }
}
