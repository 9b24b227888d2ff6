//! What the forms do: each runs a step of the flow, and leads to the next screen or to what has to be mended.

use autoshares_sdk::Operation;
use axum::http::request::Parts;

use super::{
    Page, Screen,
    form::Form,
    names,
    screens::{Fault, Field},
    state::State,
};
use crate::{
    http::{
        caller::Caller,
        problem::{Kind, Problem},
        request_body::{CodeRedemption, PasswordUpdate, ResetRequest},
    },
    steps::{self, HandleChange, Reply, Said},
};

/// A password that takes fewer guesses than this measure of zxcvbn is one that anybody tries first.
const LEAST_STRENGTH: u8 = 2;

/// Where a form leads to.
pub struct Next {
    pub screen: Screen,
    pub state: State,
    pub handle: HandleChange,
    /// What the next screen says besides.
    pub notice: Option<Notice>,
}

/// What a screen says besides, once: the redirect to it names it in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Another code was sent.
    NewCode,
    /// Another code is sent once the question is answered again.
    AnswerNeeded,
    MoreTime,
    /// The flow was renewed as often as it may be.
    NoMoreTime,
}

impl Notice {
    const ALL: [Self; 4] = [Self::NewCode, Self::AnswerNeeded, Self::MoreTime, Self::NoMoreTime];

    /// The query that names it.
    pub fn query(self) -> &'static str {
        match self {
            Self::NewCode => "new-code",
            Self::AnswerNeeded => "answer-needed",
            Self::MoreTime => "more-time",
            Self::NoMoreTime => "no-more-time",
        }
    }

    /// The notice that a query names.
    pub fn of(query: &str) -> Option<Self> {
        query.split('&').find_map(|part| Self::ALL.into_iter().find(|notice| notice.query() == part))
    }
}

/// Why a form leads nowhere.
pub enum Halt {
    /// The trader can mend it in the form. The problem is for the log.
    Mend {
        field: Field,
        fault: Fault,
        problem: Problem,
        handle: HandleChange,
    },
    Problem(Problem),
}

impl Page {
    /// Runs the step of a form.
    pub(super) async fn advance(
        &self,
        screen: Screen,
        head: &Parts,
        form: &Form,
        state: State,
    ) -> Result<Next, Halt> {
        match screen {
            Screen::Start => self.ask(screen, head, form.login(), None, state).await,
            Screen::Again => {
                let login = state.login.clone();
                self.ask(screen, head, &login, None, state).await
            }
            Screen::Question => {
                let (login, answer) = (state.login.clone(), form.text("answer").trim());
                if answer.is_empty() {
                    return Err(Halt::mend(Field::Answer, Fault::AnswerEmpty));
                }
                self.ask(screen, head, &login, Some(answer), state).await
            }
            Screen::Code => self.redeem(head, form.text("code"), state).await,
            Screen::MoreTime => self.renew(head, form.text("screen"), state).await,
            Screen::Password => self.set(head, form, state).await,
            Screen::Done => Err(Problem::not_found().into()),
        }
    }

    /// Step 1, and step 2 where an answer is wanted.
    async fn ask(
        &self,
        screen: Screen,
        head: &Parts,
        login: &str,
        answer: Option<&str>,
        state: State,
    ) -> Result<Next, Halt> {
        if login.is_empty() {
            return Err(Halt::mend(Field::Login, Fault::LoginEmpty));
        }
        let mut caller = self.door.admit(head, Operation::RequestReset).await?;
        let request = ResetRequest::checked(login.to_owned(), answer.map(str::to_owned))?;
        let reply = steps::request_reset(&self.door.steps, &caller, request).await;
        let Reply { said, handle } = self.heard(&caller, reply).await?;
        let state = state.with_login(login, self.seals());
        match said {
            Said::AnswerIncorrect if answer.is_some() => {
                Err(Halt::mend(Field::Answer, Fault::AnswerWrong).with_handle(handle))
            }
            Said::AnswerIncorrect => {
                if let HandleChange::Given(handle) = &handle {
                    caller.handles = self.seals().open(handle).into_iter().collect();
                }
                // A step of its own, whose time begins now: counted from the first one it would look late, and raise the level of time.
                caller.started = self.door.clock.now();
                // A question that cannot be had now is asked for again by its screen.
                let state = match state.question {
                    Some(_) => state,
                    None => self.with_question(state.clone(), &caller).await.unwrap_or(state),
                };
                // Another code needs the answer again.
                let notice = (screen == Screen::Again).then_some(Notice::AnswerNeeded);
                Ok(Next { screen: Screen::Question, state, handle, notice })
            }
            Said::Refused(sentences) => {
                Err(Halt::mend(Field::Login, Fault::Refused(sentences.messages.join(" "))))
            }
            Said::NotAccepted => Err(Halt::mend(Field::Login, Fault::LoginMalformed)),
            _ => {
                let state = State { is_sent: true, ..state };
                let notice = (screen == Screen::Again).then_some(Notice::NewCode);
                Ok(Next { screen: Screen::Code, state, handle, notice })
            }
        }
    }

    pub(super) async fn with_question(&self, state: State, caller: &Caller) -> Result<State, Problem> {
        let asked = steps::fetch_question(&self.door.steps, caller, state.login.as_str().into()).await;
        match self.heard(caller, asked).await?.said {
            Said::Question(text) => Ok(state.with_question(&text)),
            _ => Ok(state.with_question("")),
        }
    }

    /// Step 3. The token stays in the record of the flow; the state keeps the mark under which it lies there.
    async fn redeem(&self, head: &Parts, code: &str, state: State) -> Result<Next, Halt> {
        let caller = self.door.admit(head, Operation::RedeemCode).await?;
        let request = CodeRedemption::checked(code, self.code_digits)?;
        let code = request.code.clone();
        let reply = steps::redeem_code(&self.door.steps, &caller, request).await;
        let Reply { said, handle } = self.heard(&caller, reply).await?;
        match (said, &handle) {
            (Said::Token(_), HandleChange::Given(sealed)) => {
                let code = self.seals().open(sealed).map(|handle| steps::mark_of_code(&handle, &code));
                let state = State { code, ..state };
                Ok(Next { screen: Screen::Password, state, handle, notice: None })
            }
            (Said::Refused(sentences), _) if !sentences.messages.is_empty() => {
                Err(Halt::mend(Field::Code, Fault::Refused(sentences.messages.join(" "))))
            }
            _ => Err(Halt::mend(Field::Code, Fault::CodeWrong)),
        }
    }

    /// No step: it gives more time, and leads back to the screen that asked for it.
    async fn renew(&self, head: &Parts, asked: &str, state: State) -> Result<Next, Halt> {
        // Like a step in a flow, it is refused to handles that came to no flow too often.
        let caller = self.door.admit(head, Operation::SetPassword).await?;
        let renewed = steps::renew_flow(&self.door.steps, &caller).await.map_err(Into::into);
        let handle = self.heard(&caller, renewed).await?;
        let of_form = |screen: &Screen| asked == screen.path();
        let screen = [Screen::Question, Screen::Password].into_iter().find(of_form).unwrap_or(Screen::Code);
        let notice = match handle {
            HandleChange::Given(_) => Notice::MoreTime,
            _ => Notice::NoMoreTime,
        };
        let notice = Some(notice);
        Ok(Next { screen, state, handle, notice })
    }

    /// Step 4.
    async fn set(&self, head: &Parts, form: &Form, state: State) -> Result<Next, Halt> {
        let caller = self.door.admit(head, Operation::SetPassword).await?;
        let password = form.text("password");
        if password.is_empty() {
            return Err(Halt::mend(Field::Password, Fault::PasswordEmpty));
        }
        // A script shows the password and takes the second field away.
        let again = form.find("again").unwrap_or(password);
        let Some(mark) = state.code else { return Err(Problem::flow_required().into()) };
        let token = steps::token_of_code(&self.door.steps, &caller, mark).await;
        let Some(token) = self.heard(&caller, token.map_err(Into::into)).await? else {
            return Err(Problem::flow_required().into());
        };
        let update = PasswordUpdate::checked(token, password.to_owned(), again.to_owned())?;
        let own = [self.brand.name().unwrap_or_default(), &state.login];
        if names::is_little_more_than(password, &own) {
            return Err(Halt::mend(Field::Password, Fault::PasswordNamed));
        }
        let update = PasswordUpdate { least_strength: LEAST_STRENGTH, ..update };
        let reply = steps::set_password(&self.door.steps, &caller, update).await;
        let Reply { said, handle } = self.heard(&caller, reply).await?;
        match said {
            Said::PasswordSet => {
                let state = state.done();
                Ok(Next { screen: Screen::Done, state, handle, notice: None })
            }
            Said::Refused(sentences) if !sentences.messages.is_empty() => {
                Err(Halt::mend(Field::Password, Fault::PasswordRefused(sentences.messages.join(" "))))
            }
            _ => Err(Halt::mend(Field::Password, Fault::PasswordNotAccepted)),
        }
    }

    /// The reply of a step, or the problem that it ended in, which has been recorded.
    async fn heard<T>(&self, caller: &Caller, reply: Result<T, steps::Stop>) -> Result<T, Problem> {
        match reply {
            Ok(reply) => Ok(reply),
            Err(stop) => Err(self.door.report(caller, stop).await),
        }
    }
}

impl Halt {
    /// What Autoshares, or the page itself, did not accept.
    fn mend(field: Field, fault: Fault) -> Self {
        let problem = Problem::new(Kind::ValidationFailed, "the trader is told what to mend");
        Self::Mend { field, fault, problem, handle: HandleChange::Kept }
    }

    /// With what becomes of the handle.
    fn with_handle(self, handle: HandleChange) -> Self {
        match self {
            Self::Mend { field, fault, problem, .. } => Self::Mend { field, fault, problem, handle },
            halt @ Self::Problem(_) => halt,
        }
    }
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        let (field, fault) = match problem.kind() {
            Kind::LoginMalformed => (Field::Login, Fault::LoginMalformed),
            Kind::AnswerTooLong => (Field::Answer, Fault::AnswerTooLong),
            Kind::CodeMalformed => (Field::Code, Fault::CodeMalformed),
            Kind::PasswordTooShort => (Field::Password, Fault::PasswordTooShort),
            Kind::PasswordTooLong => (Field::Password, Fault::PasswordTooLong),
            Kind::PasswordEasyToGuess => (Field::Password, Fault::PasswordEasy),
            Kind::PasswordsDiffer => (Field::Again, Fault::PasswordsDiffer),
            _ => return Self::Problem(problem),
        };
        Self::Mend { field, fault, problem, handle: HandleChange::Kept }
    }
}
