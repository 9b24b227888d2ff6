//! The hosted page: four screens for traders, a second thin view of the same steps as the JSON API. It works without a script; everything that it
//! remembers travels sealed (`state.rs`).

mod brand;
mod failures;
mod form;
mod names;
mod screens;
mod state;
mod words;

use std::{sync::Arc, time::Duration};

use autoshares_sdk::Operation;
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};

use crate::{
    config::{self, Mailbox},
    door::Door,
    flow::{self, Seals},
    http::{
        caller::Caller,
        edge,
        problem::{Kind, Problem},
        request_body::{CodeRedemption, PasswordUpdate, ResetRequest},
    },
    steps::{self, HandleChange, Reply, Said},
    telemetry::OperationName,
};
use brand::Brand;
pub use failures::dress;
use form::Form;
use screens::{Fault, Field, Frame};
use state::{Owner, State};
use words::{Language, Words};

/// Where the page lies.
pub const PATH: &str = "/password-reset";
/// How long a browser keeps the state: longer than anybody looks at a screen, or the page would take it for one that keeps no cookies.
const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A password that takes fewer guesses than this measure of zxcvbn is one that anybody tries first.
const LEAST_STRENGTH: u8 = 2;

/// The page, put together.
#[derive(Debug)]
pub struct Page {
    door: Arc<Door>,
    brand: Brand,
    flow_lifetime: Duration,
    code_digits: u32,
    password: config::Password,
    /// The mails of the sandbox, in `dev`.
    mailbox: Option<Mailbox>,
}

/// One screen of the page, by the last part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Screen {
    Start,
    Question,
    Code,
    /// Asks for another code, and leads back to [`Screen::Code`].
    Again,
    Password,
    Done,
}

impl Screen {
    const ALL: [Self; 6] = [Self::Start, Self::Question, Self::Code, Self::Again, Self::Password, Self::Done];

    fn path(self) -> &'static str {
        match self {
            Self::Start => PATH,
            Self::Question => "/password-reset/question",
            Self::Code => "/password-reset/code",
            Self::Again => "/password-reset/again",
            Self::Password => "/password-reset/password",
            Self::Done => "/password-reset/done",
        }
    }

    /// How logs and metrics call a request to the screen.
    fn name(self) -> &'static str {
        match self {
            Self::Start => "page_start",
            Self::Question => "page_question",
            Self::Code => "page_code",
            Self::Again => "page_again",
            Self::Password => "page_password",
            Self::Done => "page_done",
        }
    }
}

impl Page {
    /// Puts the page together.
    pub fn new(
        door: Arc<Door>,
        page: config::Page,
        flow_lifetime: Duration,
        code_digits: u32,
        password: config::Password,
    ) -> Self {
        let mailbox = page.mailbox.clone();
        Self { door, brand: Brand::of(page), flow_lifetime, code_digits, password, mailbox }
    }

    /// The routes. [`dress`] has to surround them, so that every failure has a screen.
    pub fn routes(page: &Arc<Self>) -> Router {
        let screens = Screen::ALL.into_iter().fold(Router::new(), |router, screen| {
            let handler = move |Shared(page): Shared<Arc<Self>>, request: Request| async move {
                (Extension(OperationName(screen.name())), page.serve(screen, request).await)
            };
            router.route(screen.path(), any(handler))
        });
        let mut router = screens.with_state(Arc::clone(page)).merge(page.brand.routes());
        let to_start = || any(async || to(Screen::Start));
        if page.mailbox.is_some() {
            router = router.route("/", to_start());
        }
        router
            .route("/password-reset/", to_start())
            .route("/password-reset/{*rest}", any(async || Problem::not_found().into_response()))
    }

    async fn serve(&self, screen: Screen, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let served = match (&head.method, screen) {
            (&Method::GET | &Method::HEAD, Screen::Again) => Ok(to(Screen::Code)),
            (&Method::GET | &Method::HEAD, _) => self.show(screen, &head).await,
            (_, Screen::Done) => Err(Problem::method_not_allowed("GET, HEAD")),
            (&Method::POST, _) => self.take(screen, &head, body).await,
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        };
        served.unwrap_or_else(IntoResponse::into_response)
    }

    /// Shows a screen, if the reset has come as far; or leads to the one that it has come to.
    async fn show(&self, screen: Screen, head: &Parts) -> Result<Response, Problem> {
        let seals = self.seals();
        let mut state = State::of(&head.headers, seals).unwrap_or_else(|| State::new(seals));
        if let Some(language) = self.asked_for(head) {
            state.language = Some(language);
        }
        let reached = match screen {
            Screen::Start => true,
            Screen::Done => state.is_done,
            _ if state.is_done => return Ok(to(Screen::Done)),
            Screen::Password => state.code.is_some(),
            _ => !state.login.is_empty(),
        };
        if !reached {
            return Ok(to(Screen::Start));
        }
        if screen == Screen::Start && state.is_done {
            state = state.anew(seals);
        }
        if screen == Screen::Question && state.question.is_none() {
            if state.is_sent {
                return Ok(to(Screen::Code));
            }
            let caller = self.door.admit(head, Operation::FetchQuestion).await?;
            state = self.with_question(state, &caller).await?;
        }
        let is_again = head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "again"));
        let mut response = self.render(screen, &state, &head.headers, is_again, None);
        self.remember(&state, response.headers_mut());
        Ok(response)
    }

    /// Takes a form: runs its step, and leads to the next screen, or shows the form again with what to mend.
    async fn take(&self, screen: Screen, head: &Parts, body: Body) -> Result<Response, Problem> {
        let (door, seals) = (&self.door, self.seals());
        door.site.check_own(head).map_err(|problem| door.refuse_cross_site(head, problem))?;
        // The layer `edge::small` has already read the body and checked its size, so this cannot fail.
        let body = to_bytes(body, edge::MAX_BODY).await.unwrap_or_default();
        let form = Form::read(&head.headers, &body)?;
        let Some(state) = State::of(&head.headers, seals) else {
            // The first form comes back without its cookie: the browser keeps none.
            let no_cookies = screen == Screen::Start && !State::is_sent_in(&head.headers);
            let problem = Problem::flow_required();
            return if no_cookies { Ok(self.cookies_off(&head.headers, problem)) } else { Err(problem) };
        };
        match state.owner_of(form.token(), seals) {
            Owner::ThisReset => {}
            // A new login begins another reset anyway.
            Owner::OlderReset if screen == Screen::Start => {}
            Owner::OlderReset => return Ok(self.other_window(&head.headers, Problem::flow_required())),
            Owner::Stranger => {
                let problem = Problem::new(
                    Kind::CrossSite,
                    "the form was not made for this browser; open the page again",
                );
                return Err(door.refuse_cross_site(head, problem));
            }
        }
        let asks = matches!(screen, Screen::Start | Screen::Question | Screen::Again);
        let login = if screen == Screen::Start { form.text("login") } else { &state.login }.to_owned();
        match self.step(screen, head, &form, state.clone()).await {
            Ok(next) => Ok(self.lead(next)),
            Err(Halt::Mend { field, fault, problem, handle }) => {
                let fault = Some((field, fault, &form));
                let state = self.timed(state, &handle);
                let mut response = self.render(screen, &state, &head.headers, false, fault);
                self.hand(handle, response.headers_mut());
                self.remember(&state, response.headers_mut());
                *response.status_mut() = problem.kind().facts().status;
                response.extensions_mut().insert(problem);
                Ok(response)
            }
            // A mail may be out, so its code should be taken: the trader can go on to the next screen.
            Err(Halt::Problem(problem)) if asks && problem.may_have_been_applied() => {
                let mut response = problem.into_response();
                self.remember(&state.with_login(&login, seals), response.headers_mut());
                Ok(response)
            }
            Err(Halt::Problem(problem)) => Err(problem),
        }
    }

    /// The redirect to the next screen, with its cookies.
    fn lead(&self, Next { screen, state, handle, again }: Next) -> Response {
        let mut response = to(screen);
        let headers = response.headers_mut();
        if again {
            headers.insert(header::LOCATION, HeaderValue::from_static("/password-reset/code?again"));
        }
        let state = self.timed(state, &handle);
        self.hand(handle, headers);
        self.remember(&state, headers);
        response
    }

    /// Does with the browser's handle what a step says.
    fn hand(&self, handle: HandleChange, headers: &mut HeaderMap) {
        match handle {
            HandleChange::Kept => {}
            HandleChange::Given(handle) => flow::give(headers, &handle, self.flow_lifetime),
            HandleChange::TakenAway => flow::take_away(headers),
        }
    }

    /// The state with the end of the flow, whose whole lifetime begins with each handle that is given.
    fn timed(&self, state: State, handle: &HandleChange) -> State {
        let lifetime = u64::try_from(self.flow_lifetime.as_micros()).unwrap_or(u64::MAX);
        match handle {
            HandleChange::Given(_) => {
                State { ends: self.door.clock.micros().saturating_add(lifetime), ..state }
            }
            _ => state,
        }
    }

    async fn step(&self, screen: Screen, head: &Parts, form: &Form, state: State) -> Result<Next, Halt> {
        match screen {
            Screen::Start => self.ask(screen, head, form.text("login"), None, state).await,
            Screen::Again => {
                let login = state.login.clone();
                self.ask(screen, head, &login, None, state).await
            }
            Screen::Question => {
                let (login, answer) = (state.login.clone(), form.text("answer"));
                if answer.is_empty() {
                    return Err(Halt::mend(Field::Answer, Fault::AnswerEmpty));
                }
                self.ask(screen, head, &login, Some(answer), state).await
            }
            Screen::Code => self.redeem(head, form.text("code"), state).await,
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
        if login.trim().is_empty() {
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
                Ok(Next { screen: Screen::Question, state, handle, again: false })
            }
            Said::Refused(sentences) => {
                Err(Halt::mend(Field::Login, Fault::Refused(sentences.messages.join(" "))))
            }
            Said::NotAccepted => Err(Halt::mend(Field::Login, Fault::LoginMalformed)),
            _ => {
                let state = State { is_sent: true, ..state };
                Ok(Next { screen: Screen::Code, state, handle, again: screen == Screen::Again })
            }
        }
    }

    async fn with_question(&self, state: State, caller: &Caller) -> Result<State, Problem> {
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
                Ok(Next { screen: Screen::Password, state, handle, again: false })
            }
            (Said::Refused(sentences), _) if !sentences.messages.is_empty() => {
                Err(Halt::mend(Field::Code, Fault::Refused(sentences.messages.join(" "))))
            }
            _ => Err(Halt::mend(Field::Code, Fault::CodeWrong)),
        }
    }

    /// Step 4.
    async fn set(&self, head: &Parts, form: &Form, state: State) -> Result<Next, Halt> {
        let caller = self.door.admit(head, Operation::SetPassword).await?;
        let password = form.text("password");
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
                Ok(Next { screen: Screen::Done, state, handle, again: false })
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

    /// Renders a screen, with what has to be mended in the form that was sent.
    fn render(
        &self,
        screen: Screen,
        state: &State,
        headers: &HeaderMap,
        is_again: bool,
        fault: Option<(Field, Fault, &Form)>,
    ) -> Response {
        let words = Words::of(self.language(Some(state), headers));
        let mut frame = Frame::new(self, &words, screen.path());
        frame.form = state.form_token(self.seals());
        if state.ends > 0 {
            let left = state.ends.saturating_sub(self.door.clock.micros()).div_ceil(60_000_000);
            frame.minutes = usize::try_from(left).unwrap_or(usize::MAX).clamp(1, frame.minutes.max(1));
        }
        let sent = fault.as_ref().map(|(.., form)| form.text("login").to_owned()).unwrap_or_default();
        if let Some((field, fault, _)) = fault {
            frame.fault = Some((field, fault.told(&words, self.code_digits, self.password.min_length)));
        }
        screens::render(screen, frame, state, &sent, is_again)
    }

    /// The language that a request asks for by `?lang=`.
    fn asked_for(&self, head: &Parts) -> Option<Language> {
        let tag = head.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("lang="))?;
        Language::of_tag(tag).filter(|language| self.languages().contains(language))
    }

    fn language(&self, state: Option<&State>, headers: &HeaderMap) -> Language {
        let accepted = || Language::accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?);
        let chosen = state.and_then(|state| state.language);
        let language = chosen.or_else(accepted).filter(|language| self.languages().contains(language));
        language.unwrap_or_default()
    }

    /// The languages that can be chosen.
    fn languages(&self) -> Vec<Language> {
        let pseudo = self.mailbox.is_some().then_some(Language::Pseudo);
        Language::OFFERED.into_iter().chain(pseudo).collect()
    }

    fn remember(&self, state: &State, headers: &mut HeaderMap) {
        state.give(headers, self.seals(), ONE_DAY);
    }

    fn seals(&self) -> &Seals {
        self.door.steps.seals()
    }
}

/// Where a form leads to.
struct Next {
    screen: Screen,
    state: State,
    handle: HandleChange,
    /// Whether another code was sent.
    again: bool,
}

/// Why a form leads nowhere.
enum Halt {
    /// The trader can mend it in the form. The problem is for the log.
    Mend {
        field: Field,
        fault: Fault,
        problem: Problem,
        handle: HandleChange,
    },
    Problem(Problem),
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

/// Leads the browser to a screen, by GET.
fn to(screen: Screen) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, screen.path())]).into_response()
}
