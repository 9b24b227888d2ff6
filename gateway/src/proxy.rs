//! One short handler for each operation: takes a checked request, calls the SDK, gives back what Autoshares said.

use autoshares_sdk::{Answered, Client, Error as SdkError, ErrorKind, Login, RefusalShape, ResetRequested};

use crate::{
    envelope::Envelope,
    problem::{Kind, Problem},
    request::{CodeRedemption, PasswordUpdate, ResetRequest},
};

/// Asks for a reset.
///
/// # Errors
///
/// A [`Problem`] when it does not come to an envelope; the same holds for the other handlers.
pub async fn request_reset(client: &Client, request: ResetRequest) -> Result<Envelope, Problem> {
    let asked = client.request_reset(&request.user, request.secret_question_answer.as_ref()).await;
    match asked.map(Answered::into_inner) {
        Ok(ResetRequested::Accepted(accepted)) => Ok(Envelope::plain(accepted.sent_flag())),
        Ok(ResetRequested::AnswerNeeded(refusal)) => Ok(Envelope::refused(&refusal)),
        // The SDK may learn of more outcomes; this gateway has to learn of them too.
        Ok(_) => {
            Err(Problem::new(Kind::Internal, "the gateway failed; quote `instance` when asking for help"))
        }
        Err(error) => refused(error),
    }
}

/// Fetches the secret question.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn fetch_question(client: &Client, login: Login) -> Result<Envelope, Problem> {
    match client.fetch_question(&login).await.map(Answered::into_inner) {
        Ok(Some(question)) => Ok(Envelope::with_model(question.expose().to_owned())),
        Ok(None) => Ok(Envelope::with_model(String::new())),
        Err(error) => refused(error),
    }
}

/// Trades the code for a token.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn redeem_code(client: &Client, request: CodeRedemption) -> Result<Envelope, Problem> {
    match client.redeem_code(&request.code).await {
        Ok(token) => Ok(Envelope::with_model(token.expose().to_owned())),
        Err(error) => refused(error),
    }
}

/// Sets the new password.
///
/// # Errors
///
/// See [`request_reset`].
pub async fn set_password(client: &Client, request: PasswordUpdate) -> Result<Envelope, Problem> {
    match client.set_password(&request.token, &request.password).await {
        Ok(_) => Ok(Envelope::plain(true)),
        Err(error) => refused(error),
    }
}

/// A refusal in an envelope is given back as one; anything else is a problem.
fn refused(error: SdkError) -> Result<Envelope, Problem> {
    match error.kind() {
        ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope => {
            Ok(Envelope::refused(refusal))
        }
        _ => Err(error.into()),
    }
}
