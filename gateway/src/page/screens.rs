//! The screens: what each template shows.

use std::borrow::Borrow;

use askama::Template;
use autoshares_sdk::sandbox::Mail;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{config::Mailbox, http::request_body::MAX_PASSWORD};

use super::{
    Page, Screen,
    brand::Brand,
    state::State,
    words::{Language, Words},
};

/// Nothing from elsewhere, and nothing inline. `data:` is for the empty icon, without which browsers would ask for one.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A field of a form; its name is its `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Login,
    Answer,
    Code,
    Password,
    Again,
}

impl Field {
    pub fn id(&self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Answer => "answer",
            Self::Code => "code",
            Self::Password => "password",
            Self::Again => "again",
        }
    }
}

/// What has to be mended in a form.
#[derive(Clone, Debug)]
pub enum Fault {
    LoginEmpty,
    LoginMalformed,
    AnswerEmpty,
    AnswerWrong,
    AnswerTooLong,
    CodeMalformed,
    CodeWrong,
    PasswordEmpty,
    PasswordTooShort,
    PasswordTooLong,
    PasswordEasy,
    PasswordNamed,
    PasswordsDiffer,
    /// In Autoshares' own words.
    PasswordRefused(String),
    PasswordNotAccepted,
    /// In Autoshares' own words.
    Refused(String),
}

impl Fault {
    /// Whether the form shows again what was typed. Passwords are never shown, and a wrong answer or code is typed anew.
    pub fn keeps_typed(&self) -> bool {
        matches!(self, Self::LoginMalformed | Self::AnswerTooLong | Self::CodeMalformed | Self::Refused(_))
    }

    /// What the trader is told.
    pub fn told(self, words: &Words, digits: u32, characters: usize) -> Told {
        let sentence = match &self {
            Self::LoginEmpty => words.login_empty(),
            Self::LoginMalformed => words.login_malformed(),
            Self::AnswerEmpty => words.answer_empty(),
            Self::AnswerWrong => words.answer_wrong(),
            Self::AnswerTooLong => words.answer_too_long(),
            Self::CodeMalformed => words.code_malformed(digits as usize),
            Self::CodeWrong => words.code_wrong(),
            Self::PasswordEmpty => words.password_empty(),
            Self::PasswordTooShort => words.password_too_short(characters),
            Self::PasswordTooLong => words.password_too_long(MAX_PASSWORD),
            Self::PasswordEasy => words.password_easy(),
            Self::PasswordNamed => words.password_named(),
            Self::PasswordsDiffer => words.passwords_differ(),
            Self::PasswordRefused(_) => words.password_refused(),
            Self::PasswordNotAccepted => words.password_not_accepted(),
            Self::Refused(_) => String::new(),
        };
        let reason = match self {
            Self::PasswordRefused(reason) | Self::Refused(reason) => Some(reason),
            _ => None,
        };
        Told { sentence, reason }
    }
}

/// What the trader is told of a fault.
pub struct Told {
    /// In the language of the page; empty when Autoshares' words say it all.
    sentence: String,
    /// Autoshares' own words, in another language perhaps.
    reason: Option<String>,
}

/// What surrounds every screen.
pub struct Frame<'a> {
    pub words: &'a Words,
    pub brand: &'a Brand,
    /// The heading, which is the title of the document too.
    pub title: String,
    /// The address of the screen, for the links to other languages.
    pub path: &'static str,
    pub languages: Vec<Words>,
    /// The sealed token of the form.
    pub form: String,
    pub fault: Option<(Field, Told)>,
    /// What happened, when the screen would not show it.
    pub notice: Option<String>,
    /// How long the flow goes on, in seconds.
    pub seconds: u64,
    pub digits: usize,
    pub characters: usize,
    /// Whether this is `dev`, and its latest mail.
    pub is_dev: bool,
    pub mail: Option<Mail>,
}

impl<'a> Frame<'a> {
    pub fn new(page: &'a Page, words: &'a Words, path: &'static str) -> Self {
        Self {
            words,
            brand: &page.brand,
            title: String::new(),
            path,
            languages: page.languages().into_iter().map(Words::of).collect(),
            form: String::new(),
            fault: None,
            notice: None,
            seconds: page.flow_lifetime.as_secs(),
            digits: page.code_digits as usize,
            characters: page.password.min_length,
            is_dev: page.mailbox.is_some(),
            mail: page.mailbox.as_ref().and_then(Mailbox::latest),
        }
    }

    fn name(&self) -> String {
        self.brand.name().map_or_else(|| self.words.page_name(), str::to_owned)
    }

    /// The fault of a field.
    fn fault_of(&self, field: impl Borrow<Field>) -> Option<&Told> {
        self.fault.as_ref().filter(|(of, _)| of == field.borrow()).map(|(_, told)| told)
    }

    /// How long the flow goes on, to the nearest minute.
    fn minutes(&self) -> usize {
        usize::try_from((self.seconds + 30) / 60).unwrap_or(usize::MAX).max(1)
    }

    fn is_current(&self, words: &Words) -> bool {
        words.language == self.words.language
    }
}

#[derive(Template)]
#[template(path = "page/start.html")]
struct Start<'a> {
    frame: Frame<'a>,
    typed: &'a str,
}

#[derive(Template)]
#[template(path = "page/question.html")]
struct Question<'a> {
    frame: Frame<'a>,
    question: &'a str,
    typed: &'a str,
}

#[derive(Template)]
#[template(path = "page/code.html")]
struct Code<'a> {
    frame: Frame<'a>,
    login: &'a str,
    typed: &'a str,
}

#[derive(Template)]
#[template(path = "page/password.html")]
struct Password<'a> {
    frame: Frame<'a>,
    login: &'a str,
}

#[derive(Template)]
#[template(path = "page/done.html")]
struct Done<'a> {
    frame: Frame<'a>,
}

/// A screen without a form: a failure, and the ways on.
#[derive(Template)]
#[template(path = "page/failed.html")]
pub struct Failed<'a> {
    pub frame: Frame<'a>,
    pub sentences: Vec<String>,
    pub may_log_in: bool,
    /// The screen to go on from, and what the link says.
    pub back: Option<(&'static str, String)>,
    pub reference: Option<String>,
}

/// Renders a screen. `typed` is the text that its field holds.
pub fn render(screen: Screen, mut frame: Frame<'_>, state: &State, typed: &str) -> Response {
    let words = frame.words;
    frame.title = match screen {
        Screen::Start => words.start_title(),
        Screen::Question => words.question_title(),
        Screen::Code | Screen::Again | Screen::MoreTime => words.code_title(),
        Screen::Password => words.password_title(),
        Screen::Done => words.done_title(),
    };
    let (language, login) = (words.language, state.login.as_str());
    let text = match screen {
        Screen::Start => Start { frame, typed }.render(),
        Screen::Question => {
            Question { frame, question: state.question.as_deref().unwrap_or_default(), typed }.render()
        }
        Screen::Code | Screen::Again | Screen::MoreTime => Code { frame, login, typed }.render(),
        Screen::Password => Password { frame, login }.render(),
        Screen::Done => Done { frame }.render(),
    };
    page(StatusCode::OK, language, text)
}

/// A page of HTML with its headers. A form under `no-referrer` would send `Origin: null`.
pub fn page(status: StatusCode, language: Language, text: askama::Result<String>) -> Response {
    let Ok(text) = text else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag())),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (status, headers, text).into_response()
}
