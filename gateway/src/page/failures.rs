//! A screen for every failure: shows a problem of the page's routes as a page, with the ways on.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderMap, header},
    response::Response,
};

use super::{
    Page, Screen,
    screens::{self, Failed, Frame},
    state::State,
    words::Words,
};
use crate::http::{
    problem::{Kind, Problem},
    request_id::RequestId,
};

/// What a screen for a failed request needs of the request, which is used up by then.
pub struct Failing {
    page: Arc<Page>,
    headers: HeaderMap,
    id: Option<String>,
    screen: Option<Screen>,
}

impl Failing {
    /// Keeps what the screen will need, in case the request fails. The request has its id already.
    pub fn keep(page: &Arc<Page>, request: &Request) -> Self {
        Self {
            page: Arc::clone(page),
            headers: request.headers().clone(),
            id: request.extensions().get::<RequestId>().map(|RequestId(id)| id.to_string()),
            screen: Screen::ALL.into_iter().find(|screen| screen.path() == request.uri().path()),
        }
    }

    /// Shows the problem that rides on a reply as a screen. It rides on to `telemetry`, which counts and logs it and adds its headers.
    pub fn show(self, mut reply: Response) -> Response {
        let is_bare = !reply.headers().contains_key(header::CONTENT_TYPE);
        let Some(problem) = reply.extensions_mut().remove::<Problem>() else { return reply };
        if is_bare {
            let own = reply.headers().clone();
            reply = self.page.failed(&self.headers, &problem, self.screen, self.id);
            reply.headers_mut().extend(own);
        }
        reply.extensions_mut().insert(problem);
        reply
    }
}

impl Page {
    fn failed(
        &self,
        headers: &HeaderMap,
        problem: &Problem,
        screen: Option<Screen>,
        id: Option<String>,
    ) -> Response {
        let words = self.words(headers);
        let is_password = screen == Some(Screen::Password);
        let unknown = || if is_password { words.unknown_password() } else { words.unknown_mail() };
        let (title, mut sentences, may_log_in) = match problem.kind() {
            _ if problem.may_have_been_applied() => (words.unknown_title(), vec![unknown()], is_password),
            Kind::TooManyRequests => (words.limits_title(), vec![words.limits_lead()], false),
            Kind::CodesPaused => (words.codes_title(), vec![words.codes_lead()], false),
            Kind::FlowRequired | Kind::TokenInvalid => (words.ended_title(), vec![words.ended_lead()], true),
            Kind::CrossSite => (words.other_site_title(), vec![words.other_site_lead()], false),
            Kind::NotFound => (words.not_found_title(), vec![words.not_found_lead()], false),
            Kind::BodyTooLarge | Kind::HeadersTooLarge | Kind::LoginMalformed | Kind::AnswerTooLong => {
                (words.too_long_title(), vec![words.too_long_lead()], false)
            }
            Kind::ResetsPaused
            | Kind::StoreAway
            | Kind::Unavailable
            | Kind::UpstreamTimeout
            | Kind::UpstreamInterrupted
            | Kind::UpstreamFailed
            | Kind::UpstreamUnreadable => (words.later_title(), vec![words.later_lead()], false),
            _ => (words.broken_title(), vec![words.broken_lead()], false),
        };
        if let Some(seconds) = problem.retry_after() {
            sentences.push(words.wait_minutes(seconds.div_ceil(60).max(1) as usize));
        }
        let back = match screen {
            _ if problem.may_have_been_applied() => {
                (!is_password).then(|| (Screen::Code.path(), words.enter_code()))
            }
            // What was not done can be done from the same screen, and a code that is out stays good.
            Some(Screen::Again | Screen::Code) if is_passing(problem.kind()) => {
                Some((Screen::Code.path(), words.try_again()))
            }
            Some(screen @ (Screen::Question | Screen::Password)) if is_passing(problem.kind()) => {
                Some((screen.path(), words.try_again()))
            }
            _ => None,
        };
        let reference = id.filter(|_| is_passing(problem.kind()));
        let failed = Failed { frame: self.frame(&words, title), sentences, may_log_in, back, reference };
        screens::page(problem.kind().facts().status, words.language, failed.render())
    }

    /// The screen for a browser that keeps no cookies.
    pub(super) fn cookies_off(&self, headers: &HeaderMap, problem: Problem) -> Response {
        let words = self.words(headers);
        self.told(&words, words.cookies_title(), words.cookies_lead(), problem)
    }

    /// The screen for a form of an older window.
    pub(super) fn other_window(&self, headers: &HeaderMap, problem: Problem) -> Response {
        let words = self.words(headers);
        self.told(&words, words.other_window_title(), words.other_window_lead(), problem)
    }

    fn told(&self, words: &Words, title: String, sentence: String, problem: Problem) -> Response {
        let frame = self.frame(words, title);
        let failed =
            Failed { frame, sentences: vec![sentence], may_log_in: false, back: None, reference: None };
        let mut response = screens::page(problem.kind().facts().status, words.language, failed.render());
        response.extensions_mut().insert(problem);
        response
    }

    fn frame<'a>(&'a self, words: &'a Words, title: String) -> Frame<'a> {
        Frame { title, ..Frame::new(self, words, super::PATH) }
    }

    fn words(&self, headers: &HeaderMap) -> Words {
        Words::of(self.language(State::of(headers, self.seals()).as_ref(), headers))
    }
}

/// Whether a failure passes by itself, and may be somebody's to look into.
fn is_passing(kind: Kind) -> bool {
    kind == Kind::TooManyRequests || kind.facts().status.is_server_error()
}
