//! What a step says to the client. The JSON API writes it as an envelope.

use super::autoshares::Sentences;

/// A reply of a step. Everything else is a problem.
pub enum Said {
    /// The reset is accepted. `flag` is the `IsSucceed` of the reply, which means nothing.
    Accepted {
        /// The flag.
        flag: bool,
    },
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
    /// Autoshares' own words.
    Refused(Sentences),
}

/// A reply of a step, and what becomes of the client's handle.
pub struct Reply {
    /// What is said.
    pub said: Said,
    /// What becomes of the handle.
    pub handle: HandleChange,
}

/// What becomes of the client's handle.
pub enum HandleChange {
    /// The client keeps it.
    Kept,
    /// The client gets this one.
    Given(String),
    /// The flow is over.
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
