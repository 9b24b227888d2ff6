//! The hosted page: four screens for traders, a second thin view of the same steps as the JSON API. It works without a script; everything that it
//! remembers travels sealed (`state.rs`).

mod advance;
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
        edge,
        problem::{Kind, Problem},
    },
    steps::HandleChange,
    telemetry::OperationName,
};
use advance::{Halt, Next, Notice};
use brand::Brand;
pub use failures::Failing;
use form::Form;
use screens::{Fault, Field, Frame};
use state::{Owner, State};
use words::{Language, Words};

/// Where the page lies.
pub const PATH: &str = "/password-reset";
/// How long a browser keeps the state: longer than anybody looks at a screen, or the page would take it for one that keeps no cookies.
const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Gives more time, and leads back to the screen that the reset has come to.
    MoreTime,
    Password,
    Done,
}

impl Screen {
    const ALL: [Self; 7] =
        [Self::Start, Self::Question, Self::Code, Self::Again, Self::MoreTime, Self::Password, Self::Done];

    fn path(self) -> &'static str {
        match self {
            Self::Start => PATH,
            Self::Question => "/password-reset/question",
            Self::Code => "/password-reset/code",
            Self::Again => "/password-reset/again",
            Self::MoreTime => "/password-reset/more-time",
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
            Self::MoreTime => "page_more_time",
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

    /// The routes. Their failures have to go through [`Failing`], so that each has a screen.
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
            (&Method::GET | &Method::HEAD, Screen::Again | Screen::MoreTime) => Ok(to(Screen::Code)),
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
        let notice = head.uri.query().and_then(Notice::of);
        let mut response = self.render(screen, &state, &head.headers, notice, None);
        self.remember(&state, response.headers_mut());
        Ok(response)
    }

    /// Takes a form: runs its step, and leads to the next screen, or shows the form again with what to mend.
    async fn take(&self, screen: Screen, head: &Parts, body: Body) -> Result<Response, Problem> {
        let (door, seals) = (&self.door, self.seals());
        door.site.check_own(head).map_err(|problem| door.refuse_cross_site(head, problem))?;
        // `edge::read` has already read the body and checked its size, so this cannot fail.
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
        let login = if screen == Screen::Start { form.login() } else { &state.login }.to_owned();
        match self.advance(screen, head, &form, state.clone()).await {
            Ok(next) => Ok(self.lead(next)),
            Err(Halt::Mend { field, fault, problem, handle }) => {
                // Only the first screen has a field for the login.
                let screen = if field == Field::Login { Screen::Start } else { screen };
                let state = self.timed(state, &handle);
                let fault = Some((field, fault, &form));
                let mut response = self.render(screen, &state, &head.headers, None, fault);
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
    fn lead(&self, Next { screen, state, handle, notice }: Next) -> Response {
        let mut response = to(screen);
        let headers = response.headers_mut();
        let location = notice.map(|notice| format!("{}?{}", screen.path(), notice.query()));
        if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
            headers.insert(header::LOCATION, location);
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

    /// Renders a screen, with what has to be mended in the form that was sent.
    fn render(
        &self,
        screen: Screen,
        state: &State,
        headers: &HeaderMap,
        notice: Option<Notice>,
        fault: Option<(Field, Fault, &Form)>,
    ) -> Response {
        let words = Words::of(self.language(Some(state), headers));
        let mut frame = Frame::new(self, &words, screen.path());
        frame.form = state.form_token(self.seals());
        if state.ends > 0 {
            // Another gateway's clock may have set the end.
            frame.seconds =
                frame.seconds.min(state.ends.saturating_sub(self.door.clock.micros()) / 1_000_000);
        }
        frame.notice = notice.map(|notice| match notice {
            Notice::NewCode => words.code_new(),
            Notice::AnswerNeeded => words.answer_needed(),
            Notice::MoreTime => words.time_given(),
            Notice::NoMoreTime => words.time_not_given(),
        });
        let mut typed = if screen == Screen::Start { state.login.as_str() } else { "" };
        if let Some((field, fault, form)) = fault {
            if fault.keeps_typed() {
                typed = form.find(field.id()).unwrap_or(typed);
            }
            frame.fault = Some((field, fault.told(&words, self.code_digits, self.password.min_length)));
        }
        screens::render(screen, frame, state, typed)
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

/// Leads the browser to a screen, by GET.
fn to(screen: Screen) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, screen.path())]).into_response()
}
