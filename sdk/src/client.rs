//! The client: one method for each operation.

use std::{fmt, sync::Arc};

use crate::{
    call::Call,
    error::Error,
    generated::{self, types},
    operation::Operation,
    outcome::{self, ResetRequested},
    secret::{AppKey, ConfirmationCode, Login, Password, ResetToken, SecretAnswer, SecretQuestion, Wire},
};

/// A client of Autoshares' password-reset API. Cloning is cheap; clones share one pool of connections.
///
/// It never follows a redirect, ignores the system's proxy settings, and sends each request once.
/// A future that is dropped may have sent its request: treat it like [`ErrorKind::MaybeSent`](crate::ErrorKind::MaybeSent).
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) app_key: AppKey,
    pub(crate) api_version: String,
}

impl Client {
    /// Asks for a reset of the trader's password (`request_reset`).
    ///
    /// `login` goes out as it is. `answer` is the answer to the secret question; `None` when the trader has none or is yet
    /// to be asked. An empty answer is left out, as the API wants it.
    ///
    /// # Errors
    ///
    /// [`Error`] for anything but an acceptance or a missing answer. The mail may have gone out when
    /// [`Error::may_have_been_applied`] says so.
    pub async fn request_reset(
        &self,
        login: &Login,
        answer: Option<&SecretAnswer>,
    ) -> Result<ResetRequested, Error> {
        let answer = answer.filter(|answer| !answer.expose().is_empty());
        let body = types::ResetRequest {
            user: Wire(login.clone()),
            secret_question_answer: answer.cloned().map(Wire),
        };
        let client = self.call(Operation::RequestReset);
        let answered = client.request_reset(&self.inner.api_version, &body).await;
        client.inner.conclude(answered, outcome::reset_requested)
    }

    /// Fetches the trader's secret question (`fetch_question`); `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`Error`] for anything but a question or its absence. Changes nothing, so it may be repeated.
    pub async fn fetch_question(&self, login: &Login) -> Result<Option<SecretQuestion>, Error> {
        let client = self.call(Operation::FetchQuestion);
        let answered = client.fetch_question(&self.inner.api_version, &Wire(login.clone())).await;
        client.inner.conclude(answered, outcome::question)
    }

    /// Trades the code from the e-mail for a token (`redeem_code`). Take the code as spent: whether it can be used again is not
    /// documented.
    ///
    /// # Errors
    ///
    /// [`Error`], [`ErrorKind::Refused`](crate::ErrorKind::Refused) for a wrong code. The code may be spent when
    /// [`Error::may_have_been_applied`] says so.
    pub async fn redeem_code(&self, code: &ConfirmationCode) -> Result<ResetToken, Error> {
        let body = types::CodeRedemption { code: Wire(code.clone()) };
        let client = self.call(Operation::RedeemCode);
        let answered = client.redeem_code(&self.inner.api_version, &body).await;
        client.inner.conclude(answered, outcome::token)
    }

    /// Sets the new password with the token (`set_password`). The confirmation that the API wants is filled in here.
    ///
    /// # Errors
    ///
    /// [`Error`], [`ErrorKind::Refused`](crate::ErrorKind::Refused) for a token that is not valid or a password that does
    /// not please. The password may be set when [`Error::may_have_been_applied`] says so.
    pub async fn set_password(&self, token: &ResetToken, password: &Password) -> Result<(), Error> {
        let body = types::PasswordUpdate {
            token: Wire(token.clone()),
            password: Wire(password.clone()),
            password_confirmation: Wire(password.clone()),
        };
        let client = self.call(Operation::SetPassword);
        let answered = client.set_password(&self.inner.api_version, &body).await;
        client.inner.conclude(answered, outcome::password_set)
    }

    fn call(&self, operation: Operation) -> generated::Client {
        let Inner { http, base_url, app_key, .. } = &*self.inner;
        generated::Client::new_with_client(base_url, http.clone(), Call::new(operation, app_key.clone()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.inner.base_url).finish_non_exhaustive()
    }
}
