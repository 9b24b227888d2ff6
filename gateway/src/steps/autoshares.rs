//! Autoshares as the steps see it: a value with one call for each step, and how far a call got that failed.

use std::{fmt, pin::Pin};

use autoshares_sdk::{
    Answered, Client, ConfirmationCode, Error as SdkError, ErrorCode, ErrorKind, Login, Password, Refusal,
    RefusalShape, ResetRequested, ResetToken, SecretAnswer, SecretQuestion,
};

use crate::{guard::Outcome, http::problem::Problem};

/// A call that is under way. Boxed, for its future is large, and a request that is refused should not carry it around.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// The platform that resets passwords: Autoshares through the SDK, or a stand-in for it.
pub trait Autoshares: fmt::Debug + Send + Sync {
    /// Asks for a reset: a code by e-mail, or a demand for the answer to the secret question.
    fn request_reset<'a>(
        &'a self,
        login: &'a Login,
        answer: Option<&'a SecretAnswer>,
    ) -> Call<'a, ResetReply>;
    /// Fetches the secret question, `None` when there is none.
    fn fetch_question<'a>(&'a self, login: &'a Login) -> Call<'a, Option<SecretQuestion>>;
    /// Trades a code for a token.
    fn redeem_code<'a>(&'a self, code: &'a ConfirmationCode) -> Call<'a, ResetToken>;
    /// Sets the new password.
    fn set_password<'a>(&'a self, token: &'a ResetToken, password: &'a Password) -> Call<'a, ()>;
}

/// What step 1 comes to when Autoshares answers it as documented.
#[derive(Clone, Debug)]
pub enum ResetReply {
    /// The trader gets a code by e-mail. `flag` is the `IsSucceed` of the reply, which means nothing.
    Accepted { flag: bool },
    /// The answer to the secret question is missing or wrong.
    AnswerNeeded(Sentences),
}

/// Autoshares' own sentences and codes. They may be about one trader.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sentences {
    /// Sentences for the trader.
    pub messages: Vec<String>,
    /// Codes beside them.
    pub codes: Vec<String>,
}

impl fmt::Debug for Sentences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sentences({} redacted)", self.messages.len())
    }
}

impl Sentences {
    /// Whether they repeat a text.
    pub fn hold(&self, text: &str) -> bool {
        self.messages.iter().chain(&self.codes).any(|sentence| sentence.contains(text))
    }
}

/// How far a call got that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The call did not reach Autoshares, or Autoshares did not process it.
    NotSent,
    /// Autoshares refused the login, the answer, the code or the password.
    Refused,
    /// The gateway cannot know whether Autoshares carried out the call.
    Unknown,
    /// Autoshares turned the call away for a reason that has nothing to do with the values in it, such as its version.
    TurnedAway,
}

/// What a call revealed about the application key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// Autoshares answered, so it took the key.
    Accepted,
    /// Autoshares does not take the key.
    Rejected,
    /// The call did not get that far.
    Unknown,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub reach: Reach,
    /// Whether Autoshares said no in a documented shape. In step 1 every such reply may be about one login.
    pub is_documented: bool,
    /// Whether Autoshares said no to the value that was sent, whatever the status.
    pub is_refusal: bool,
    /// What Autoshares said, in whatever shape.
    pub sentences: Sentences,
    /// Whether it said that in an envelope, which may be relayed.
    pub in_envelope: bool,
    pub key: KeyVerdict,
    /// The problem that the client gets when neither the words of Autoshares nor a uniform reply stand in its place.
    pub problem: Problem,
}

impl Failure {
    /// The outcome for settling, when being turned away counts as `turned_away`.
    pub fn outcome(&self, turned_away: Outcome) -> Outcome {
        match self.reach {
            Reach::NotSent => Outcome::NotSent,
            Reach::Refused => Outcome::Refused,
            Reach::Unknown => Outcome::Unknown,
            Reach::TurnedAway => turned_away,
        }
    }
}

/// The one place that reads what the SDK reports of a failed call.
impl From<SdkError> for Failure {
    fn from(error: SdkError) -> Self {
        let refusal = match error.kind() {
            ErrorKind::Refused(refusal) => Some(refusal),
            _ => None,
        };
        // A refusal of the version has nothing to do with what was asked; other errors in that shape may have.
        let is_of_version = refusal.is_some_and(|refusal| {
            refusal.shape() == RefusalShape::Version
                && refusal.codes().iter().any(|code| code.as_str() == "UnsupportedApiVersion")
        });
        let reach = match error.kind() {
            ErrorKind::NotSent | ErrorKind::KeyRejected => Reach::NotSent,
            _ if error.may_have_been_applied() => Reach::Unknown,
            ErrorKind::Refused(_) if !is_of_version => Reach::Refused,
            _ => Reach::TurnedAway,
        };
        let shape = refusal.map(Refusal::shape);
        let is_refusal = match shape {
            Some(RefusalShape::Validation) => true,
            Some(RefusalShape::ServerFailure) => false,
            _ => reach == Reach::Refused,
        };
        let key = match shape {
            Some(RefusalShape::Envelope) => KeyVerdict::Accepted,
            _ if matches!(error.kind(), ErrorKind::KeyRejected) => KeyVerdict::Rejected,
            _ => KeyVerdict::Unknown,
        };
        Self {
            reach,
            is_documented: refusal.is_some() && !is_of_version,
            is_refusal,
            sentences: refusal.map(Sentences::from).unwrap_or_default(),
            in_envelope: shape == Some(RefusalShape::Envelope),
            key,
            problem: error.into(),
        }
    }
}

impl From<&Refusal> for Sentences {
    fn from(refusal: &Refusal) -> Self {
        Self {
            messages: refusal.messages().to_vec(),
            codes: refusal.codes().iter().map(ErrorCode::as_str).map(str::to_owned).collect(),
        }
    }
}

impl Autoshares for Client {
    fn request_reset<'a>(
        &'a self,
        login: &'a Login,
        answer: Option<&'a SecretAnswer>,
    ) -> Call<'a, ResetReply> {
        Box::pin(async move {
            match Client::request_reset(self, login, answer).await?.into_inner() {
                ResetRequested::Accepted(accepted) => Ok(ResetReply::Accepted { flag: accepted.sent_flag() }),
                ResetRequested::AnswerNeeded(refusal) => Ok(ResetReply::AnswerNeeded((&refusal).into())),
                // The SDK may learn of more replies, and this gateway then has to learn of them too.
                _ => Err(Failure {
                    reach: Reach::Unknown,
                    is_documented: false,
                    is_refusal: false,
                    sentences: Sentences::default(),
                    in_envelope: false,
                    key: KeyVerdict::Accepted,
                    problem: Problem::internal(),
                }),
            }
        })
    }

    fn fetch_question<'a>(&'a self, login: &'a Login) -> Call<'a, Option<SecretQuestion>> {
        Box::pin(async move { Ok(Client::fetch_question(self, login).await.map(Answered::into_inner)?) })
    }

    fn redeem_code<'a>(&'a self, code: &'a ConfirmationCode) -> Call<'a, ResetToken> {
        Box::pin(async move { Ok(Client::redeem_code(self, code).await.map(Answered::into_inner)?) })
    }

    fn set_password<'a>(&'a self, token: &'a ResetToken, password: &'a Password) -> Call<'a, ()> {
        Box::pin(
            async move { Ok(Client::set_password(self, token, password).await.map(Answered::into_inner)?) },
        )
    }
}
