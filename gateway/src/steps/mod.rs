//! One handler for each step of the flow: takes a checked request, has it guarded, calls the SDK, says what came of it.

pub mod reach;
pub mod uniform;

use std::{pin::Pin, sync::Arc};

use crate::{
    config::{Answers, Binding, FlowSettings, PasswordRules},
    flow::key_ring::{KeyRing, Named, Pseudonym},
    flow::{Flow, Flows, Stage, Token},
    guard::{Code, CodeOutcome, Guard, Reset, ResetOutcome, UpdateOutcome},
    http::caller::Caller,
    http::envelope::{Answer, Envelope},
    http::problem::{Kind, Problem},
    http::request_body::{CodeRedemption, PasswordUpdate, ResetRequest},
    steps::reach::{Reach, is_refusal, is_version, tells},
    steps::uniform::{DECOY_QUESTIONS, Saying, Uniform},
    telemetry::audit::Event,
    telemetry::health::Health,
    telemetry::metrics::Metrics,
};
use autoshares_sdk::{
    Answered, Client, Error as SdkError, ErrorKind, Login, Password, RefusalShape, ResetRequested, ResetToken,
};

/// How many characters of a password are measured; more would only cost time.
const MEASURED: usize = 40;

/// What the handlers work with.
#[derive(Debug)]
pub struct Proxy {
    client: Client,
    flows: Flows,
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
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
    /// Whether Autoshares was asked.
    asked: bool,
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
        health: Arc<Health>,
        settings: &FlowSettings,
    ) -> Self {
        Self {
            client,
            flows,
            guard,
            metrics,
            health,
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
        let admitted = self.guard.admit_reset(caller, login, answer.is_some()).await?;
        let current = self.current_flow(caller, &user).await;
        // The codes that were sent in a flow before go on working.
        let unsent = match &current {
            Some(flow) if flow.stage == Stage::Live => Stage::Live,
            _ => Stage::Dead,
        };
        let asked = match admitted {
            Reset::Forward(ticket) => {
                let asked = self.call(Box::pin(self.client.request_reset(&user, answer.as_ref()))).await;
                let (outcome, asked) = self.asked(caller, login, unsent, asked);
                self.guard.settle_reset(ticket, outcome).await;
                asked
            }
            Reset::Suppressed => Ok(self.feigned_acceptance("suppressed", unsent, false)),
            Reset::AnswerSuppressed => {
                Ok(self.feigned_wrong_answer("answer_suppressed", Stage::Question, false))
            }
        };
        let (saying, was_asked) =
            asked.as_ref().map_or((Saying::Anything, true), |asked| (asked.saying, asked.asked));
        self.uniform.hold(caller.started, saying, was_asked).await;

        let Asked { envelope, saying, stage, reason, .. } = asked?;
        let answer = Answer::from(envelope);
        let Some(stage) = stage else { return Ok(answer) };
        let flow = match current {
            Some(flow) => self.flows.go_on(&flow, login, stage),
            None => self.flows.begin(login, stage),
        };
        let event = match (saying, reason) {
            (_, None) => Event::FlowStarted,
            (Saying::WrongAnswer, Some(_)) => Event::AnswerSuppressed,
            (_, Some(_)) => Event::FlowSuppressed,
        };
        caller.tell(event, Some(&flow), reason);
        Ok(answer.with_handle(self.flows.seal(&flow, caller.now())))
    }

    /// The flow that the caller is in already, when it is about the same login and has tries left.
    async fn current_flow(&self, caller: &Caller, user: &Login) -> Option<Flow> {
        let flow = caller.flow.filter(|flow| self.flows.is_about(flow, user))?;
        self.guard.goes_on(flow.id).await.then_some(flow)
    }

    /// What Autoshares made of step 1, and what is said of it.
    fn asked(
        &self,
        caller: &Caller,
        login: Pseudonym,
        unsent: Stage,
        asked: Result<Answered<ResetRequested>, SdkError>,
    ) -> (ResetOutcome, Result<Asked, Problem>) {
        let error = match asked.map(Answered::into_inner) {
            Ok(ResetRequested::Accepted(accepted)) => {
                self.metrics.reset("accepted");
                let envelope = self.uniform.remember_accepted(accepted.sent_flag());
                let (saying, stage) = (Saying::Accepted, Some(Stage::Live));
                return (
                    ResetOutcome::Sent,
                    Ok(Asked { envelope, saying, asked: true, stage, reason: None }),
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
                    Ok(Asked { envelope, saying, asked: true, stage, reason: None }),
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
                if outcome == ResetOutcome::Refused && self.decoy(login).is_some() {
                    // A real login with a question pays no mail for a wrong answer; neither must this one.
                    (ResetOutcome::AnswerNeeded, Ok(self.feigned_wrong_answer("decoy", Stage::Decoy, true)))
                } else {
                    let stage = if outcome == ResetOutcome::Sent { Stage::Live } else { unsent };
                    (outcome, Ok(self.feigned_acceptance("refused", stage, true)))
                }
            }
            _ => {
                self.metrics.reset(if outcome == ResetOutcome::Refused { "refused" } else { "failed" });
                let said = self.failed(caller, error).map(|envelope| Asked {
                    envelope,
                    saying: Saying::Anything,
                    asked: true,
                    stage: None,
                    reason: None,
                });
                (outcome, said)
            }
        }
    }

    fn feigned_acceptance(&self, reason: &'static str, stage: Stage, asked: bool) -> Asked {
        self.metrics.reset(reason);
        let (envelope, saying) = (self.uniform.feigned_acceptance(), Saying::Accepted);
        Asked { envelope, saying, asked, stage: Some(stage), reason: Some(reason) }
    }

    fn feigned_wrong_answer(&self, reason: &'static str, stage: Stage, asked: bool) -> Asked {
        self.metrics.reset(reason);
        let (envelope, saying) = (Uniform::wrong_answer(), Saying::WrongAnswer);
        Asked { envelope, saying, asked, stage: Some(stage), reason: Some(reason) }
    }

    /// The question that an unknown login seems to have, if any: by a keyed hash, so that it always has the same.
    fn decoy(&self, login: Pseudonym) -> Option<&'static str> {
        let [high, low, .., last] = self.ring().pseudonym(Named::Decoy, &login.0).0;
        let has_one = self.answers == Answers::Decoy
            && f64::from(u16::from_be_bytes([high, low])) < self.decoy_share * 65536.0;
        has_one.then(|| DECOY_QUESTIONS[usize::from(last) % DECOY_QUESTIONS.len()])
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
        // Also for a decoy, whose answer is known: it fails and takes its time as a real one does.
        let is_decoy = flow.is_some_and(|flow| flow.stage == Stage::Decoy);
        let asked = self.call(Box::pin(self.client.fetch_question(&login))).await.map(Answered::into_inner);
        let envelope = match asked {
            Ok(_) if is_decoy => Ok(self.question_of_nobody(&login)),
            Ok(Some(question)) => Ok(Envelope::with_model(question.expose().to_owned())),
            Ok(None) => Ok(Envelope::with_model(String::new())),
            // Only logins that exist are not refused.
            Err(error) if self.answers != Answers::Faithful && is_refusal(&error) => {
                Ok(self.question_of_nobody(&login))
            }
            Err(error) => self.failed(caller, error),
        };
        if self.answers != Answers::Faithful {
            let saying = if envelope.is_ok() { Saying::Question } else { Saying::Anything };
            self.uniform.hold(caller.started, saying, true).await;
        }
        envelope.map(Answer::from)
    }

    /// What a login that does not exist gets: its decoy, or none.
    fn question_of_nobody(&self, login: &Login) -> Envelope {
        Envelope::with_model(self.decoy(self.flows.login(login)).unwrap_or_default().to_owned())
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
                let mark = flow.mark(Named::Code, code.expose());
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
            // Whatever the status: a code that is not valid was not taken, and what is said of it is nobody else's business.
            Err(error) if is_refusal(error) => CodeOutcome::Refused,
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
            self.long_enough(&password)?;
            return self.update(caller, None, &token, &password).await;
        }
        let flow = caller.flow_at(&[Stage::Live, Stage::Dead], self.binding)?;
        // Before the token, so that a client is not told to start again for what it can mend.
        self.long_enough(&password)?;
        let reason = match opened {
            Some(Token { flow: bound, token }) if bound == flow.map(|flow| flow.id) => {
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
            Some(flow) => flow.mark(Named::Token, token.expose()),
            None => self.ring().pseudonym(Named::Token, token.expose().as_bytes()),
        };
        if self.password.min_strength > 0 {
            self.guard.admit_measure(caller, flow, mark).await?;
            self.strong_enough(password).await?;
        }
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
            && tells(refusal, token.expose())
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
            Ok(_) => self.note_key(true),
            Err(ErrorKind::Refused(refusal)) if refusal.shape() == RefusalShape::Envelope => {
                self.note_key(true);
            }
            Err(ErrorKind::KeyRejected) => self.note_key(false),
            Err(_) => {}
        }
        called
    }

    fn note_key(&self, accepted: bool) {
        self.health.set_key_accepted(accepted);
        self.metrics.key(accepted);
    }

    fn long_enough(&self, password: &Password) -> Result<(), Problem> {
        let min_length = self.password.min_length;
        if password.expose().chars().count() >= min_length {
            return Ok(());
        }
        let detail = format!("`Password` is too short: use {min_length} characters or more");
        Err(Problem::new(Kind::InvalidBody, detail))
    }

    /// On another thread, for some passwords take long to measure, and only for who has a token.
    async fn strong_enough(&self, password: &Password) -> Result<(), Problem> {
        let password = password.clone();
        let measured = tokio::task::spawn_blocking(move || {
            let end = password.expose().char_indices().nth(MEASURED).map_or(usize::MAX, |(index, _)| index);
            let first = password.expose().get(..end).unwrap_or(password.expose());
            u8::from(zxcvbn::zxcvbn(first, &[]).score())
        });
        match measured.await {
            Ok(strength) if strength >= self.password.min_strength => Ok(()),
            Ok(_) => {
                let detail = "`Password` is easy to guess: use a few words that do not belong together";
                Err(Problem::new(Kind::InvalidBody, detail))
            }
            Err(_) => Err(Problem::internal()),
        }
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
