//! One short handler for each operation: take, call the SDK, give back.

use autoshares_sdk::{
    Client, ConfirmationCode, Error as SdkError, ErrorCode, ErrorKind, Login, Password, Refusal,
    RefusalShape, ResetRequested, ResetToken, SecretAnswer,
};
use url::form_urlencoded;

use crate::{
    body::{Answer, CodeRedemption, Members, PasswordUpdate, ResetRequest},
    problem::{Kind, Problem},
};

/// Asks for a reset.
///
/// # Errors
///
/// A [`Problem`] when the request cannot be read or comes to no answer; the same holds for the other handlers.
pub async fn request_reset(client: &Client, members: Members) -> Result<Answer, Problem> {
    let ResetRequest { user, secret_question_answer } = ResetRequest::read(members)?;
    let answer = secret_question_answer.map(SecretAnswer::new);
    match client.request_reset(&Login::new(user), answer.as_ref()).await {
        Ok(ResetRequested::Accepted(accepted)) => Ok(Answer::plain(accepted.documented_flag())),
        Ok(ResetRequested::AnswerNeeded(refusal)) => Ok(Answer::refused(&refusal)),
        Ok(_) => Err(Problem::new(Kind::Internal, "an outcome that this gateway does not know")),
        Err(error) => refused(error),
    }
}

/// Fetches the secret question.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn fetch_question(client: &Client, query: &str) -> Result<Answer, Problem> {
    match client.fetch_question(&username(query)?).await {
        Ok(question) => {
            Ok(Answer::with_model(question.map(|question| question.expose().to_owned()).unwrap_or_default()))
        }
        Err(error) => refused(error),
    }
}

/// Trades the code for a token.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn redeem_code(client: &Client, members: Members) -> Result<Answer, Problem> {
    let CodeRedemption { code } = CodeRedemption::read(members)?;
    match client.redeem_code(&ConfirmationCode::new(code)).await {
        Ok(token) => Ok(Answer::with_model(token.expose().to_owned())),
        Err(error) => refused(error),
    }
}

/// Sets the new password.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn set_password(client: &Client, members: Members) -> Result<Answer, Problem> {
    let PasswordUpdate { token, password, .. } = PasswordUpdate::read(members)?;
    match client.set_password(&ResetToken::new(token), &Password::new(password)).await {
        Ok(()) => Ok(Answer::plain(true)),
        Err(error) => refused(error),
    }
}

/// A refusal in an envelope is an answer; anything else is a problem.
fn refused(error: SdkError) -> Result<Answer, Problem> {
    match error.kind() {
        ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope => {
            Ok(Answer::refused(refusal))
        }
        _ => Err(error.into()),
    }
}

impl Answer {
    fn plain(is_succeed: bool) -> Self {
        Self { model: None, errors: Vec::new(), errors_code: Vec::new(), is_succeed }
    }

    fn with_model(model: String) -> Self {
        Self { model: Some(model), ..Self::plain(true) }
    }

    fn refused(refusal: &Refusal) -> Self {
        Self {
            errors: refusal.messages().to_vec(),
            errors_code: refusal.codes().iter().map(ErrorCode::as_str).map(str::to_owned).collect(),
            ..Self::plain(false)
        }
    }
}

/// The one `username` of a query.
fn username(query: &str) -> Result<Login, Problem> {
    let invalid = |detail| Err(Problem::new(Kind::InvalidQuery, detail));
    let mut names = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "username");
    match (names.next(), names.next()) {
        (None, _) => invalid("`username` is missing: send the trader's login, percent-encoded"),
        (Some(_), Some(_)) => invalid("`username` is given twice: send it once"),
        (Some((_, name)), None) if name.trim().is_empty() => {
            invalid("`username` is empty: send the trader's login, percent-encoded")
        }
        // What is not UTF-8 was replaced on decoding.
        (Some((_, name)), None) if name.contains(char::REPLACEMENT_CHARACTER) => {
            invalid("`username` is not UTF-8 in percent-encoding")
        }
        (Some((_, name)), None) => Ok(Login::new(name)),
    }
}
