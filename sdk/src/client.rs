//! The client: one method for each operation, and the attempts that each of them may take.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use progenitor_client::{Error as GeneratedError, ResponseValue};
use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use crate::{
    call::Call,
    error::{Error, ErrorKind},
    generated::{self, types},
    key::{AppKeySource, Refresh},
    operation::{Operation, Retry},
    outcome::{self, ResetRequested},
    retry::{RetryBudget, RetryPolicy},
    secret::{AppKey, ConfirmationCode, Login, Password, ResetToken, SecretAnswer, SecretQuestion, Wire},
    trace,
};

/// A client of Autoshares' password-reset API. Cloning is cheap; clones share one pool of connections and one budget of retries.
///
/// It never follows a redirect, ignores the system's proxy settings, and repeats only what cannot happen twice (see
/// [`RetryPolicy`]). A future that is dropped may have sent its request: treat it like [`ErrorKind::MaybeSent`].
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) retries: RetryPolicy,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) server: trace::Server,
    pub(crate) app_key: AppKeySource,
    pub(crate) api_version: String,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) budget: RetryBudget,
}

/// What a call came to, with what is known of the exchange.
///
/// It stands for its value wherever a reference to that will do; [`into_inner`](Self::into_inner) takes it out.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    value: T,
    attempts: u32,
    request_id: Option<Box<str>>,
}

impl<T> Answered<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// How often sending was tried.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The id that Autoshares gave the request, when it sent one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

impl<T> Deref for Answered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl Client {
    /// The same client without retries: `client.without_retries().fetch_question(…)`.
    pub fn without_retries(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), retries: RetryPolicy::off() }
    }

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
    ) -> Result<Answered<ResetRequested>, Error> {
        let answer = answer.filter(|answer| !answer.expose().is_empty());
        let user = Wire(login.clone());
        let body = &types::ResetRequest { user, secret_question_answer: answer.cloned().map(Wire) };
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.request_reset(version, body).await };
        let secrets = [login.expose(), answer.map(SecretAnswer::expose).unwrap_or_default()];
        self.run(Operation::RequestReset, &secrets, send, outcome::reset_requested).await
    }

    /// Fetches the trader's secret question (`fetch_question`); `None` when there is none. Takes a login or an e-mail address.
    ///
    /// # Errors
    ///
    /// [`Error`] for anything but a question or its absence. Changes nothing, so it may be repeated.
    pub async fn fetch_question(&self, login: &Login) -> Result<Answered<Option<SecretQuestion>>, Error> {
        let username = &Wire(login.clone());
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.fetch_question(version, username).await };
        self.run(Operation::FetchQuestion, &[login.expose()], send, outcome::question).await
    }

    /// Trades the code from the e-mail for a token (`redeem_code`). Take the code as spent: whether it can be used again is not
    /// documented.
    ///
    /// # Errors
    ///
    /// [`Error`], [`ErrorKind::Refused`] for a wrong code. The code may be spent when [`Error::may_have_been_applied`] says so.
    pub async fn redeem_code(&self, code: &ConfirmationCode) -> Result<Answered<ResetToken>, Error> {
        let body = &types::CodeRedemption { code: Wire(code.clone()) };
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.redeem_code(version, body).await };
        self.run(Operation::RedeemCode, &[code.expose()], send, outcome::token).await
    }

    /// Sets the new password with the token (`set_password`). The confirmation that the API wants is filled in here.
    ///
    /// # Errors
    ///
    /// [`Error`], [`ErrorKind::Refused`] for a token that is not valid or a password that does not please. The password may be set
    /// when [`Error::may_have_been_applied`] says so.
    pub async fn set_password(&self, token: &ResetToken, password: &Password) -> Result<Answered<()>, Error> {
        let body = &types::PasswordUpdate {
            token: Wire(token.clone()),
            password: Wire(password.clone()),
            password_confirmation: Wire(password.clone()),
        };
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.set_password(version, body).await };
        self.run(Operation::SetPassword, &[token.expose(), password.expose()], send, outcome::password_set)
            .await
    }

    /// Attempts until one is final: an outcome, an error that may not be repeated, or the end of attempts, budget or time.
    async fn run<T, U, F>(
        &self,
        operation: Operation,
        secrets: &[&str],
        send: impl Fn(generated::Client) -> F,
        rule: fn(T) -> Result<U, ErrorKind>,
    ) -> Result<Answered<U>, Error>
    where
        F: Future<Output = Result<ResponseValue<T>, GeneratedError<types::Refusal>>>,
    {
        let inner = &*self.inner;
        let span = trace::operation(operation, &inner.server);
        let given = secrets.iter().filter(|secret| !secret.trim().is_empty());
        let secrets: Arc<[SecretString]> = given.map(|secret| SecretString::from(*secret)).collect();
        let attempts = async {
            let deadline = Instant::now() + inner.timeout;
            let mut key = self.key(operation, Refresh::No, 0, deadline).await?;
            let mut key_refreshed = false;
            let mut attempts = 0;
            loop {
                attempts += 1;
                let timeout = self.attempt_timeout(operation, deadline);
                let call = Call::new(operation, key.clone(), &secrets, attempts, timeout);
                let client =
                    generated::Client::new_with_client(&inner.base_url, inner.http.clone(), call.clone());
                let outcome = call.conclude(send(client).await, rule);
                let seen = call.seen();
                trace::attempt(attempts, &seen, outcome.as_ref().err());
                let error = match outcome {
                    Ok(value) => {
                        if attempts == 1 {
                            inner.budget.earn();
                        }
                        return Ok(Answered { value, attempts, request_id: seen.request_id });
                    }
                    Err(error) => error,
                };

                if matches!(error.kind, ErrorKind::KeyRejected) && !key_refreshed {
                    // Rejected at the door, so it cannot happen twice; no matter of retries, for it is another key.
                    key_refreshed = true;
                    match self.key(operation, Refresh::Yes, attempts, deadline).await {
                        Ok(fresh) if !fresh.is_same_as(&key) && Instant::now() < deadline => key = fresh,
                        _ => return Err(error),
                    }
                    continue;
                }
                // What is left must at least do for connecting, or a connection that does not come about would look like a call that
                // may have been sent.
                let left =
                    deadline.saturating_duration_since(Instant::now()).saturating_sub(inner.connect_timeout);
                match self.retries.wait(&error) {
                    Some(wait) if wait < left && inner.budget.spend() => sleep(wait).await,
                    _ => return Err(error),
                }
                match self.key(operation, Refresh::No, attempts, deadline).await {
                    Ok(fresh) => key = fresh,
                    Err(_) => return Err(error),
                }
            }
        };
        attempts.instrument(span).await
    }

    /// The key, within the deadline of the call: a source of the user's own may wait for something else.
    async fn key(
        &self,
        operation: Operation,
        refresh: Refresh,
        attempts: u32,
        deadline: Instant,
    ) -> Result<AppKey, Error> {
        let (timeout, source) = match timeout_at(deadline, self.inner.app_key.key(refresh)).await {
            Ok(Ok(key)) => return Ok(key),
            Ok(Err(cause)) => (false, Some(cause)),
            Err(_) => (true, None),
        };
        let kind = ErrorKind::NotSent;
        Err(Error {
            operation,
            kind,
            status: None,
            attempts,
            timeout,
            retry_after: None,
            request_id: None,
            source,
        })
    }

    /// An attempt that may be followed by another leaves it time; one that may not takes all there is.
    fn attempt_timeout(&self, operation: Operation, deadline: Instant) -> Duration {
        let left = deadline.saturating_duration_since(Instant::now());
        if operation.retry() == Retry::Safe && !self.retries.is_off() {
            left.min(self.inner.attempt_timeout)
        } else {
            left
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.inner.base_url).finish_non_exhaustive()
    }
}
