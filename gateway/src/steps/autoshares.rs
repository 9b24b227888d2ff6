//! Autoshares as the steps see it: a value with one call for each step, and how far a call got that failed.

use std::{fmt, pin::Pin, time::Duration};

use autoshares_sdk::{
    Answered, Client, ConfirmationCode, Error as SdkError, ErrorCode, ErrorKind, Login, Password, Refusal,
    RefusalShape, ResetRequested, ResetToken, SecretAnswer, SecretQuestion, quotes,
};

use crate::{
    guard::Outcome,
    http::problem::{Problem, wait_from_retry_after},
};

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
    /// Whether there is another application key than the one that was rejected last.
    fn has_new_key(&self) -> bool {
        false
    }
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
    /// Whether a piece of the application key stands in them.
    pub quote_key: bool,
}

impl fmt::Debug for Sentences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sentences({} redacted)", self.messages.len())
    }
}

impl Sentences {
    /// Whether they may be shown: no piece of the application key or of a token stands in them, in whatever spelling.
    pub fn may_be_shown(&self, token: Option<&ResetToken>) -> bool {
        let texts = || self.messages.iter().chain(&self.codes).map(String::as_str);
        !self.quote_key && token.is_none_or(|token| !quotes(token.expose(), texts()))
    }
}

/// How far a call got that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The call did not reach Autoshares, or Autoshares' platform turned it away before anything was done.
    NotSent,
    /// Autoshares refused the login, the answer, the code or the password.
    Refused,
    /// The gateway cannot know whether Autoshares carried out the call.
    Unknown,
}

/// A failure of Autoshares' own, which says nothing about what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection came about, or there is no application key.
    NoConnection,
    /// Autoshares does not take the application key.
    KeyRejected,
    /// Autoshares does not serve this version of its API.
    WrongVersion,
    /// The platform turned the call away, with this status.
    TurnedAway(Option<u16>),
    /// The platform failed.
    Failed,
    /// No complete answer came, or none in time.
    NoAnswer,
    /// An answer came that is none.
    Unreadable,
}

impl Trouble {
    /// Its name in logs and on `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::NoConnection => "not_sent",
            Trouble::KeyRejected => "key_rejected",
            Trouble::WrongVersion => "wrong_version",
            Trouble::TurnedAway(_) => "turned_away",
            Trouble::Failed => "failed",
            Trouble::NoAnswer => "no_answer",
            Trouble::Unreadable => "unreadable",
        }
    }
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
    /// Why, when Autoshares itself is to blame. `None` when Autoshares said no to what was asked, whatever the status: any such reply may be
    /// about one login.
    pub trouble: Option<Trouble>,
    /// The status of the reply, if there was one.
    pub status: Option<u16>,
    /// How long Autoshares wants no calls, if it said so: an hour at most.
    pub retry_after: Option<Duration>,
    /// What Autoshares said, in whatever shape.
    pub sentences: Sentences,
    /// Whether it said that in an envelope, which may be relayed.
    pub in_envelope: bool,
    pub key: KeyVerdict,
    /// The problem that the client gets when neither the words of Autoshares nor a uniform reply stand in its place.
    pub problem: Problem,
}

impl Failure {
    /// The outcome for settling.
    pub fn outcome(&self) -> Outcome {
        match self.reach {
            Reach::NotSent => Outcome::NotSent,
            Reach::Refused => Outcome::Refused,
            Reach::Unknown => Outcome::Unknown,
        }
    }

    /// The same failure, taken for a refusal of what was asked.
    pub fn into_refusal(self) -> Self {
        Self { reach: Reach::Refused, trouble: None, ..self }
    }
}

/// The one place that reads what the SDK reports of a failed call.
impl From<SdkError> for Failure {
    fn from(error: SdkError) -> Self {
        let refusal = match error.kind() {
            ErrorKind::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let shape = refusal.map(Refusal::shape);
        // A refusal of the version has nothing to do with what was asked; other errors in that shape may have.
        let is_of_version = refusal.is_some_and(|refusal| {
            refusal.shape() == RefusalShape::Version
                && refusal.codes().iter().any(|code| code.as_str() == "UnsupportedApiVersion")
        });
        let unknown = if error.may_have_been_applied() { Reach::Unknown } else { Reach::Refused };
        let (reach, trouble) = match (error.kind(), shape) {
            (ErrorKind::NotSent, _) => (Reach::NotSent, Some(Trouble::NoConnection)),
            (ErrorKind::KeyRejected, _) => (Reach::NotSent, Some(Trouble::KeyRejected)),
            (ErrorKind::TurnedAway, _) => (Reach::NotSent, Some(Trouble::TurnedAway(error.status()))),
            (ErrorKind::Failed, _) => (Reach::Unknown, Some(Trouble::Failed)),
            (ErrorKind::MaybeSent, _) => (Reach::Unknown, Some(Trouble::NoAnswer)),
            _ if is_of_version => (Reach::NotSent, Some(Trouble::WrongVersion)),
            (_, Some(RefusalShape::Envelope | RefusalShape::Validation)) => (Reach::Refused, None),
            (_, Some(RefusalShape::ServerFailure)) => (unknown, Some(Trouble::Failed)),
            (_, Some(_)) if unknown == Reach::Refused => (Reach::Refused, None),
            _ => (unknown, Some(Trouble::Unreadable)),
        };
        let key = match shape {
            Some(RefusalShape::Envelope) => KeyVerdict::Accepted,
            _ if matches!(error.kind(), ErrorKind::KeyRejected) => KeyVerdict::Rejected,
            _ => KeyVerdict::Unknown,
        };
        Self {
            reach,
            trouble,
            status: error.status(),
            retry_after: wait_from_retry_after(&error),
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
            quote_key: refusal.quotes_app_key(),
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
                    trouble: Some(Trouble::Unreadable),
                    status: None,
                    retry_after: None,
                    sentences: Sentences::default(),
                    in_envelope: false,
                    key: KeyVerdict::Accepted,
                    problem: Problem::internal(),
                }),
            }
        })
    }

    fn fetch_question<'a>(&'a self, login: &'a Login) -> Call<'a, Option<SecretQuestion>> {
        Box::pin(async move {
            let mut asked = Client::fetch_question(self, login).await;
            // A call that changes nothing is made once more when its connection breaks, which happens to connections that are used again.
            let is_broken =
                |error: &SdkError| matches!(error.kind(), ErrorKind::MaybeSent) && !error.is_timeout();
            if asked.as_ref().is_err_and(is_broken) {
                asked = Client::fetch_question(self, login).await;
            }
            Ok(asked.map(Answered::into_inner)?)
        })
    }

    fn redeem_code<'a>(&'a self, code: &'a ConfirmationCode) -> Call<'a, ResetToken> {
        Box::pin(async move { Ok(Client::redeem_code(self, code).await.map(Answered::into_inner)?) })
    }

    fn set_password<'a>(&'a self, token: &'a ResetToken, password: &'a Password) -> Call<'a, ()> {
        Box::pin(
            async move { Ok(Client::set_password(self, token, password).await.map(Answered::into_inner)?) },
        )
    }

    fn has_new_key(&self) -> bool {
        Client::has_new_key(self)
    }
}
