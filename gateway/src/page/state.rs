//! What the page remembers of a reset between two screens. It travels sealed in a cookie of its own, beside the handle of the flow; neither key
//! nor Autoshares' token is in it. Each form carries a sealed token that says which browser and which reset it was made for, so that no other
//! site and no older window can send it.

use std::time::Duration;

use autoshares_counting::Id;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::words::Language;
use crate::flow::{self, Purpose, Seals};

/// The cookie of the state.
const COOKIE: &str = "__Host-password-reset-page";
/// The longest question that is kept, in bytes: a browser keeps no cookie over 4 KiB.
const MAX_QUESTION: usize = 1200;

/// The state of the page in one browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Drawn when the browser first opens the page.
    pub(super) browser: Id,
    /// Drawn for each reset, so that a form of an older window is known by it.
    pub(super) reset: Id,
    /// Set when the trader has chosen a language.
    pub language: Option<Language>,
    /// As typed; empty before the first step.
    pub login: String,
    /// The trader's secret question, when it has been asked for.
    pub question: Option<String>,
    /// The mark of the code that was accepted. The flow's record has the token under it.
    pub code: Option<Id>,
    /// Whether a code may be on its way.
    pub is_sent: bool,
    /// When the flow ends, in microseconds of the gateway's clock, for the trader to read; the store alone ends it.
    #[serde(default)]
    pub ends: u64,
    /// Whether the password is set.
    pub is_done: bool,
}

impl State {
    /// The state of a browser that opens the page for the first time.
    pub fn new(seals: &Seals) -> Self {
        let drawn = || seals.new_handle().id;
        let (login, question) = (String::new(), None);
        Self {
            browser: drawn(),
            reset: drawn(),
            language: None,
            login,
            question,
            code: None,
            is_sent: false,
            ends: 0,
            is_done: false,
        }
    }

    /// The state after step 1 for a login: another reset, unless it is the same login again.
    #[must_use]
    pub fn with_login(self, login: &str, seals: &Seals) -> Self {
        if self.login == login && !self.is_done {
            return Self { code: None, ..self };
        }
        let (reset, login) = (seals.new_handle().id, login.to_owned());
        Self { reset, login, question: None, code: None, is_sent: false, ends: 0, is_done: false, ..self }
    }

    /// The state of the browser before it has sent a login.
    #[must_use]
    pub fn anew(self, seals: &Seals) -> Self {
        self.with_login("", seals)
    }

    /// The state at the end.
    #[must_use]
    pub fn done(self) -> Self {
        Self { is_done: true, login: String::new(), code: None, question: None, ..self }
    }

    /// The state with a secret question. What is longer than a cookie holds is cut off.
    #[must_use]
    pub fn with_question(self, question: &str) -> Self {
        let end = question.floor_char_boundary(MAX_QUESTION);
        let rest = if end < question.len() { "…" } else { "" };
        Self { question: Some(format!("{}{rest}", &question[..end])), ..self }
    }

    /// The state of the browser that sent a request; `None` when it sent none, or one that this installation did not seal.
    pub fn of(headers: &HeaderMap, seals: &Seals) -> Option<Self> {
        let sealed = flow::cookies(headers, COOKIE).last()?;
        serde_json::from_slice(&seals.open_text(Purpose::PageState, sealed)?).ok()
    }

    /// Whether a request carries a state at all, also one that does not open.
    pub fn is_sent_in(headers: &HeaderMap) -> bool {
        flow::cookies(headers, COOKIE).next().is_some()
    }

    /// Gives the state to the browser.
    pub fn give(&self, headers: &mut HeaderMap, seals: &Seals, lifetime: Duration) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let sealed = seals.seal_text(Purpose::PageState, &text);
        // Unlike the handle it comes along when another site leads to the page, or such a visit would begin anew and end the reset that is
        // open. Forms need the handle, and are checked besides.
        flow::set_cookie(headers, COOKIE, &sealed, lifetime, "Lax");
    }

    /// The token of a form.
    pub fn form_token(&self, seals: &Seals) -> String {
        seals.seal_text(Purpose::PageForm, &[self.browser.0, self.reset.0].concat())
    }

    /// Whose a form is, by its token.
    pub fn owner_of(&self, token: &str, seals: &Seals) -> Owner {
        let text = seals.open_text(Purpose::PageForm, token);
        match text.as_deref().and_then(|text| text.split_first_chunk::<16>()) {
            Some((browser, reset)) if *browser == self.browser.0 => {
                if *reset == self.reset.0 {
                    Owner::ThisReset
                } else {
                    Owner::OlderReset
                }
            }
            _ => Owner::Stranger,
        }
    }
}

/// Whose a form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    ThisReset,
    /// The browser has begun another reset since.
    OlderReset,
    /// The form was not made for this browser.
    Stranger,
}
