//! What a step says to the client. The JSON API writes it as an envelope.

use super::autoshares::Sentences;

/// A reply of a step. Everything else is a problem.
pub enum Said {
    /// The reset is accepted. `flag` is the `IsSucceed` of the reply, which means nothing: the documented `false`, unless replies are faithful.
    Accepted { flag: bool },
    /// The answer to the secret question is missing or wrong, in the documented words: Autoshares' own may be about one trader.
    AnswerIncorrect,
    /// The secret question; empty when there is none.
    Question(String),
    /// The code is wrong, or looks so.
    CodeIncorrect,
    /// The code was right: a token of the gateway's own.
    Token(String),
    /// The password is set.
    PasswordSet,
    /// The password is not set, and Autoshares' own words cannot be repeated.
    PasswordNotAccepted,
    /// The request was refused, and Autoshares' own words cannot be repeated.
    NotAccepted,
    /// Autoshares' own words.
    Refused(Sentences),
}

/// A reply of a step, and what becomes of the client's handle.
pub struct Reply {
    pub said: Said,
    pub handle: HandleChange,
}

/// Whether the client keeps its flow handle, gets one, or loses it.
pub enum HandleChange {
    Kept,
    /// The client gets this sealed handle.
    Given(String),
    /// The flow is over, so the browser drops the cookie.
    TakenAway,
}

impl From<Said> for Reply {
    fn from(said: Said) -> Self {
        Self { said, handle: HandleChange::Kept }
    }
}

impl Reply {
    /// The same reply with a handle.
    pub fn with_handle(self, handle: String) -> Self {
        Self { handle: HandleChange::Given(handle), ..self }
    }

    /// The same reply at the end of its flow.
    pub fn at_the_end(self) -> Self {
        Self { handle: HandleChange::TakenAway, ..self }
    }
}
