//! Writes the reply of a step as Autoshares documents it: an envelope with status 200.

use std::time::Duration;

use axum::response::{IntoResponse, Response};

use crate::{
    flow,
    http::envelope::Envelope,
    steps::{HandleChange, Reply, Said},
};

/// Turns the reply of a step into an HTTP response. If the reply gives the client a new flow handle, a browser keeps it, as a cookie, for
/// `flow_lifetime`.
pub fn respond(reply: Reply, flow_lifetime: Duration) -> Response {
    let mut response = envelope(reply.said).into_response();
    match reply.handle {
        HandleChange::Kept => {}
        HandleChange::Given(handle) => flow::give(response.headers_mut(), &handle, flow_lifetime),
        HandleChange::TakenAway => flow::take_away(response.headers_mut()),
    }
    response
}

fn envelope(said: Said) -> Envelope {
    let refusal = |sentence: &str| Envelope { errors: vec![sentence.to_owned()], ..Envelope::plain(false) };
    match said {
        Said::Accepted { flag } => Envelope::plain(flag),
        Said::AnswerIncorrect => Envelope {
            errors_code: vec!["ErrorIncorrectAnswer".to_owned()],
            ..refusal("Answer is incorrect, try again.")
        },
        Said::Question(text) | Said::Token(text) => Envelope::with_model(text),
        Said::CodeIncorrect => refusal("Confirmation code is incorrect."),
        Said::PasswordSet => Envelope::plain(true),
        Said::NotAccepted => refusal("The request was not accepted. Please start again."),
        Said::PasswordNotAccepted => refusal("The password was not accepted. Please start again."),
        Said::Refused(sentences) => {
            Envelope { errors: sentences.messages, errors_code: sentences.codes, ..Envelope::plain(false) }
        }
    }
}
