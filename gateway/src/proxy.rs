//! One handler for each step of the flow: takes a checked request, has it guarded, calls the SDK, says what came of it.

use std::{pin::Pin, sync::Arc};

use crate::{
    audit::Event,
    caller::Caller,
    config::{Answers, Binding, FlowSettings, PasswordRules},
    envelope::{Answer, Envelope},
    flow::{Flow, Flows, Stage, Token},
    guard::{Code, CodeOutcome, Guard, Reset, ResetOutcome, UpdateOutcome},
    keys::{KeyRing, Named, Pseudonym},
    metrics::Metrics,
    problem::{Kind, Problem},
    request::{CodeRedemption, PasswordUpdate, ResetRequest},
    uniform::{DECOY_QUESTIONS, Saying, Uniform},
};
use autoshares_sdk::{
    Answered, Client, Error as SdkError, ErrorKind, Login, Password, Refusal, RefusalShape, ResetRequested,
    ResetToken,
};

/// How many characters of a password are measured.
const MEASURED: usize = 100;

/// What the handlers work with.
#[derive(Debug)]
pub struct Proxy {
    client: Client,
    flows: Flows,
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    uniform: Uniform,
    binding: Binding,
    answers: Answers,
    decoy_share: f64,
    foreign_tokens: bool,
    password: PasswordRules,
}

/// What step 1 came to, whoever decided it.
struct Asked {
    envelope: Envelope,
    saying: Saying,
    genuine: bool,
    /// `None` opens no flow.
    stage: Option<Stage>,
    /// Why it is feigned, for metrics and audit trail.
    reason: Option<&'static str>,
}

impl Proxy {
    /// Over a client that does not repeat calls.
    pub fn new(
        client: Client,
        flows: Flows,
        guard: Arc<Guard>,
        metrics: Arc<Metrics>,
        settings: &FlowSettings,
    ) -> Self {
        Self {
            client,
            flows,
            guard,
            metrics,
            uniform: Uniform::new(settings.floor),
            binding: settings.binding,
            answers: settings.answers,
            decoy_share: settings.decoy_share,
            foreign_tokens: settings.foreign_tokens,
            password: settings.password,
        }
    }

    /// What opens the handles of callers.
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    fn ring(&self) -> &KeyRing {
        self.flows.ring()
    }

    /// Step 1: asks for a reset.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when it does not come to an envelope; the same holds for the other steps.
    pub async fn request_reset(&self, caller: &Caller, request: ResetRequest) -> Result<Answer, Problem> {
        let ResetRequest { user, secret_question_answer: answer } = request;
        let login = self.flows.login(&user);
        let asked = match self.guard.admit_reset(caller, login, answer.is_some()).await? {
            Reset::Forward(ticket) => {
                let asked = self.call(Box::pin(self.client.request_reset(&user, answer.as_ref()))).await;
                let (outcome, asked) = self.asked(caller, login, asked);
                self.guard.settle_reset(ticket, outcome).await;
                asked
            }
            Reset::Suppressed => {
                // The codes that were sent in this flow before go on working.
                let live = caller.flow.as_ref().is_some_and(|flow| flow.stage == Stage::Live);
                let live = live && caller.flow.as_ref().is_some_and(|flow| self.flows.is_about(flow, &user));
                let stage = if live { Stage::Live } else { Stage::Dead };
                Ok(self.feigned_acceptance("suppressed", stage))
            }
            Reset::AnswerSuppressed => Ok(self.feigned_wrong_answer("answer_suppressed", Stage::Question)),
        };
        let flow = match &asked {
            Ok(Asked { stage: Some(stage), .. }) => Some(self.flow(caller, &user, login, *stage).await),
            _ => None,
        };
        let (saying, genuine) =
            asked.as_ref().map_or((Saying::Anything, true), |asked| (asked.saying, asked.genuine));
        self.uniform.hold(caller.started, saying, genuine).await;

        let Asked { envelope, saying, genuine, reason, .. } = asked?;
        let answer = Answer::from(envelope);
        let Some(flow) = flow else { return Ok(answer) };
        let event = match (saying, genuine) {
            (_, true) => Event::FlowStarted,
            (Saying::WrongAnswer, false) => Event::AnswerSuppressed,
            _ => Event::FlowSuppressed,
        };
        caller.tell(event, Some(&flow), reason);
        Ok(answer.with_handle(self.flows.seal(&flow, caller.now())))
    }

    /// The flow that the caller is in already, when it is about the same login and has tries left; a new one otherwise.
    async fn flow(&self, caller: &Caller, user: &Login, login: Pseudonym, stage: Stage) -> Flow {
        match &caller.flow {
            Some(flow) if self.flows.is_about(flow, user) && self.guard.goes_on(flow.id).await => {
                self.flows.go_on(flow, login, stage)
            }
            _ => self.flows.begin(login, stage),
        }
    }

    /// What Autoshares made of step 1, and what is said of it.
    fn asked(
        &self,
        caller: &Caller,
        login: Pseudonym,
        asked: Result<Answered<ResetRequested>, SdkError>,
    ) -> (ResetOutcome, Result<Asked, Problem>) {
        let error = match asked.map(Answered::into_inner) {
            Ok(ResetRequested::Accepted(accepted)) => {
                self.metrics.reset("accepted");
                let envelope = self.uniform.remember_accepted(accepted.sent_flag());
                let (saying, stage) = (Saying::Accepted, Some(Stage::Live));
                return (
                    ResetOutcome::Sent,
                    Ok(Asked { envelope, saying, genuine: true, stage, reason: None }),
                );
            }
            Ok(ResetRequested::AnswerNeeded(refusal)) => {
                self.metrics.reset("answer_needed");
                let envelope = match self.answers {
                    Answers::Faithful => Envelope::refused(&refusal),
                    Answers::Uniform | Answers::Decoy => Uniform::wrong_answer(),
                };
                let (saying, stage) = (Saying::WrongAnswer, Some(Stage::Question));
                return (
                    ResetOutcome::AnswerNeeded,
                    Ok(Asked { envelope, saying, genuine: true, stage, reason: None }),
                );
            }
            // The SDK may learn of more outcomes; this gateway has to learn of them too.
            Ok(_) => return (ResetOutcome::Sent, Err(Problem::internal())),
            Err(error) => error,
        };
        let outcome = match Reach::of(&error) {
            Reach::NotSent => ResetOutcome::NotSent,
            Reach::Unknown => ResetOutcome::Sent,
            Reach::Refused | Reach::TurnedAway => ResetOutcome::Refused,
        };
        match (error.kind(), self.answers) {
            // Any refusal may be of this one login, so none of them is told.
            (ErrorKind::Refused(refusal), Answers::Uniform | Answers::Decoy) if !is_version(refusal) => {
                // Where a mail may have gone out, nothing may be given back, and its code should be taken.
                if outcome == ResetOutcome::Refused && self.answers == Answers::Decoy && self.is_decoy(login)
                {
                    // A real login with a question pays no mail for a wrong answer; neither must this one.
                    (ResetOutcome::AnswerNeeded, Ok(self.feigned_wrong_answer("decoy", Stage::Decoy)))
                } else {
                    let stage = if outcome == ResetOutcome::Sent { Stage::Live } else { Stage::Dead };
                    (outcome, Ok(self.feigned_acceptance("refused", stage)))
                }
            }
            (_, answers) => {
                self.metrics.reset(if outcome == ResetOutcome::Refused { "refused" } else { "failed" });
                let said = self.failed(caller, error).map(|envelope| Asked {
                    envelope,
                    saying: Saying::Anything,
                    genuine: answers == Answers::Faithful,
                    stage: None,
                    reason: None,
                });
                (outcome, said)
            }
        }
    }

    fn feigned_acceptance(&self, reason: &'static str, stage: Stage) -> Asked {
        self.metrics.reset(reason);
        let (envelope, saying) = (self.uniform.feigned_acceptance(), Saying::Accepted);
        Asked { envelope, saying, genuine: false, stage: Some(stage), reason: Some(reason) }
    }

    fn feigned_wrong_answer(&self, reason: &'static str, stage: Stage) -> Asked {
        self.metrics.reset(reason);
        let (envelope, saying) = (Uniform::wrong_answer(), Saying::WrongAnswer);
        Asked { envelope, saying, genuine: false, stage: Some(stage), reason: Some(reason) }
    }

    /// Whether an unknown login seems to have a question: by a keyed hash, so that it always does or never does.
    fn is_decoy(&self, login: Pseudonym) -> bool {
        let [high, low, ..] = self.ring().pseudonym(Named::Decoy, &login.0).0;
        f64::from(u16::from_be_bytes([high, low])) < self.decoy_share * 65536.0
    }

    /// Step 2: fetches the secret question, in the flow of that login.
    ///
    /// # Errors
    ///
    /// See [`request_reset`](Self::request_reset).
    pub async fn fetch_question(&self, caller: &Caller, login: Login) -> Result<Answer, Problem> {
        let flow = caller.flow_at(&[Stage::Question, Stage::Decoy], self.binding)?;
        if let Some(flow) = flow
            && !self.flows.is_about(flow, &login)
        {
            caller.tell(Event::HandleInvalid, Some(flow), Some("another login"));
            return Err(Problem::flow_required());
        }
        self.guard.admit_question(caller, flow).await?;
        let (envelope, genuine) = if flow.is_some_and(|flow| flow.stage == Stage::Decoy) {
            (Ok(self.no_question(&login)), false)
        } else {
            match self.call(Box::pin(self.client.fetch_question(&login))).await.map(Answered::into_inner) {
                Ok(Some(question)) => (Ok(Envelope::with_model(question.expose().to_owned())), true),
                Ok(None) => (Ok(self.no_question(&login)), true),
                // Only logins that exist are not refused.
                Err(error) if self.answers != Answers::Faithful && Reach::of(&error) == Reach::Refused => {
                    (Ok(self.no_question(&login)), true)
                }
                Err(error) => (self.failed(caller, error), true),
            }
        };
        if self.answers != Answers::Faithful {
            let saying = if envelope.is_ok() { Saying::Question } else { Saying::Anything };
            self.uniform.hold(caller.started, saying, genuine).await;
        }
        envelope.map(Answer::from)
    }

    /// What a login without a question gets, whether or not it exists: none, or its decoy.
    fn no_question(&self, login: &Login) -> Envelope {
        let decoy = self.answers == Answers::Decoy && self.is_decoy(self.flows.login(login));
        Envelope::with_model(if decoy { self.decoy_question(login).to_owned() } else { String::new() })
    }

    fn decoy_question(&self, login: &Login) -> &'static str {
        let [.., last] = self.ring().pseudonym(Named::Decoy, &self.flows.login(login).0).0;
        DECOY_QUESTIONS[usize::from(last) % DECOY_QUESTIONS.len()]
    }

    /// Step 3: trades the code for a token, which is sealed here and never leaves as it is.
    ///
    /// # Errors
    ///
    /// See [`request_reset`](Self::request_reset).
    pub async fn redeem_code(&self, caller: &Caller, request: CodeRedemption) -> Result<Answer, Problem> {
        let code = request.code;
        let flow = caller.flow_at(&[Stage::Live, Stage::Dead], self.binding)?;
        let ticket = match flow {
            Some(flow) => {
                let mark = self.flows.mark(flow, Named::Code, code.expose());
                match self.guard.admit_code(caller, flow, mark).await? {
                    Code::Forward(ticket) => ticket,
                    Code::Refuse => {
                        return self.uniform.feigned_wrong_code(caller.started).await.map(Answer::from);
                    }
                }
            }
            None => {
                let ticket = self.guard.admit_code_without_flow(caller, self.binding).await?;
                caller.tell(Event::LegacyGuess, None, None);
                ticket
            }
        };
        let redeemed = self.call(Box::pin(self.client.redeem_code(&code))).await;
        let outcome = match &redeemed {
            Ok(_) => CodeOutcome::Accepted,
            Err(error) => match Reach::of(error) {
                Reach::NotSent => CodeOutcome::NotSent,
                Reach::Refused => CodeOutcome::Refused,
                Reach::Unknown | Reach::TurnedAway => CodeOutcome::Unknown,
            },
        };
        self.guard.settle_code(ticket, outcome).await;
        match outcome {
            CodeOutcome::Accepted => caller.tell(Event::CodeAccepted, flow, None),
            CodeOutcome::Refused => caller.tell(Event::CodeRefused, flow, None),
            CodeOutcome::Unknown | CodeOutcome::NotSent => {}
        }
        let error = match redeemed {
            Ok(token) => {
                self.uniform.remember_code_failure(None);
                let sealed = self.flows.seal_token(flow.map(|flow| flow.id), &token, caller.now());
                return Ok(Envelope::with_model(sealed).into());
            }
            Err(error) => error,
        };
        if self.answers == Answers::Faithful {
            return self.failed(caller, error).map(Answer::from);
        }
        if outcome == CodeOutcome::Refused {
            self.uniform.remember_code_failure(None);
            self.uniform.hold(caller.started, Saying::WrongCode, true).await;
            return Ok(Uniform::wrong_code().into());
        }
        let failed = self.failed(caller, error);
        self.uniform.remember_code_failure(failed.as_ref().err());
        self.uniform.hold(caller.started, Saying::CodeFailed, true).await;
        failed.map(Answer::from)
    }

    /// Step 4: sets the new password.
    ///
    /// # Errors
    ///
    /// See [`request_reset`](Self::request_reset).
    pub async fn set_password(&self, caller: &Caller, request: PasswordUpdate) -> Result<Answer, Problem> {
        let PasswordUpdate { token, password, .. } = request;
        let opened = self.flows.open_token(token.expose(), caller.now());
        if opened.is_none() && self.foreign_tokens {
            self.guard.admit_foreign_token(caller).await?;
            self.good_enough(&password)?;
            return self.update(caller, None, &token, &password).await;
        }
        let flow = caller.flow_at(&[Stage::Live, Stage::Dead], self.binding)?;
        // Before the token, so that a client is not told to start again for what it can mend.
        self.good_enough(&password)?;
        let reason = match opened {
            Some(Token { flow: bound, token, .. }) if bound == flow.map(|flow| flow.id) => {
                return self.update(caller, flow, &token, &password).await;
            }
            Some(_) => "another flow",
            None => "does not open",
        };
        caller.tell(Event::TokenRefused, flow, Some(reason));
        Err(Problem::token_invalid())
    }

    async fn update(
        &self,
        caller: &Caller,
        flow: Option<&Flow>,
        token: &ResetToken,
        password: &Password,
    ) -> Result<Answer, Problem> {
        let mark = match flow {
            Some(flow) => self.flows.mark(flow, Named::Token, token.expose()),
            None => self.ring().pseudonym(Named::Token, token.expose().as_bytes()),
        };
        let ticket = self.guard.admit_update(caller, flow, mark).await?;
        let error = match self.call(Box::pin(self.client.set_password(token, password))).await {
            Ok(_) => {
                self.guard.settle_update(ticket, UpdateOutcome::Spent).await;
                caller.tell(Event::PasswordSet, flow, None);
                return Ok(Answer::from(Envelope::plain(true)).at_the_end());
            }
            Err(error) => error,
        };
        let outcome = match Reach::of(&error) {
            Reach::NotSent => UpdateOutcome::NotSent,
            Reach::Unknown => UpdateOutcome::Spent,
            Reach::Refused | Reach::TurnedAway => UpdateOutcome::Refused,
        };
        self.guard.settle_update(ticket, outcome).await;
        if let ErrorKind::Refused(refusal) = error.kind()
            && refusal.messages().iter().any(|message| message.contains(token.expose()))
        {
            // The real token never leaves.
            let errors = vec!["The password was not accepted. Please start again.".to_owned()];
            return Ok(Envelope { errors, ..Envelope::plain(false) }.into());
        }
        self.failed(caller, error).map(Answer::from)
    }

    /// Awaits a call to Autoshares, and remembers what it made of the application key. The call is boxed, for its future is large, and a
    /// request that is refused should not carry it around.
    async fn call<T, F>(&self, call: Pin<Box<F>>) -> Result<T, SdkError>
    where
        F: Future<Output = Result<T, SdkError>>,
    {
        let called = call.await;
        match called.as_ref().map_err(SdkError::kind) {
            Ok(_) => self.metrics.key(true),
            Err(ErrorKind::Refused(refusal)) if refusal.shape() == RefusalShape::Envelope => {
                self.metrics.key(true);
            }
            Err(ErrorKind::KeyRejected) => self.metrics.key(false),
            Err(_) => {}
        }
        called
    }

    /// What can be said of a password without asking anybody.
    fn good_enough(&self, password: &Password) -> Result<(), Problem> {
        let PasswordRules { min_length, min_strength } = self.password;
        let invalid = |detail: String| Err(Problem::new(Kind::InvalidBody, detail));
        if password.expose().chars().count() < min_length {
            return invalid(format!("`Password` is too short: use {min_length} characters or more"));
        }
        // More than the first characters would only cost time, and could be made to cost much.
        let first: String = password.expose().chars().take(MEASURED).collect();
        if min_strength > 0 && u8::from(zxcvbn::zxcvbn(&first, &[]).score()) < min_strength {
            return invalid(
                "`Password` is easy to guess: use a few words that do not belong together".to_owned(),
            );
        }
        Ok(())
    }

    /// A refusal in an envelope is given back as one; anything else is a problem.
    fn failed(&self, caller: &Caller, error: SdkError) -> Result<Envelope, Problem> {
        match error.kind() {
            ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope => {
                return Ok(Envelope::refused(refusal));
            }
            ErrorKind::KeyRejected => caller.tell(Event::KeyRefused, caller.flow.as_ref(), None),
            _ => {}
        }
        Err(error.into())
    }
}

/// How far a call got that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Autoshares never looked at it.
    NotSent,
    /// Autoshares said no, to what was asked.
    Refused,
    /// Nobody knows whether it was done.
    Unknown,
    /// It was turned away for a reason that has nothing to do with what was asked.
    TurnedAway,
}

impl Reach {
    fn of(error: &SdkError) -> Self {
        match error.kind() {
            ErrorKind::NotSent | ErrorKind::KeyRejected => Reach::NotSent,
            _ if error.may_have_been_applied() => Reach::Unknown,
            ErrorKind::Refused(refusal) if !is_version(refusal) => Reach::Refused,
            _ => Reach::TurnedAway,
        }
    }
}

/// Whether a refusal is of the version, which has nothing to do with what was asked; other errors in that shape may have.
fn is_version(refusal: &Refusal) -> bool {
    refusal.shape() == RefusalShape::Version
        && refusal.codes().iter().any(|code| code.as_str() == "UnsupportedApiVersion")
}
