//! The client: one method for each operation of the API, and the loop that sends a call again where that is harmless.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use progenitor_client::{Error as GeneratedError, ResponseValue};
use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use crate::{
    address::Addresses,
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

/// How often a request is sent anew because a connection that was used again did not take it.
const MAX_RESENT: u32 = 3;

/// A client of Autoshares' password-reset API. Cloning is cheap; clones share one pool of connections and one budget of retries.
///
/// It never follows a redirect, ignores the system's proxy settings, and sends a call again only when Autoshares cannot thereby
/// carry it out twice (see [`RetryPolicy`]). If you drop the future of a call, its request may already have been sent: treat that
/// like [`ErrorKind::MaybeSent`].
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) retries: RetryPolicy,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) server: trace::Server,
    pub(crate) app_key: AppKeySource,
    pub(crate) api_version: String,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) budget: RetryBudget,
    /// The key that Autoshares rejected last.
    pub(crate) rejected_key: Mutex<Option<AppKey>>,
}

/// The value that a successful call returned, together with the number of attempts and the request id of Autoshares.
///
/// It dereferences to the value; [`into_inner`](Self::into_inner) returns the value itself.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    value: T,
    attempts: u32,
    request_id: Option<Box<str>>,
}

impl<T> Answered<T> {
    /// The value that the call returned, without the details of the exchange.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// How many times the SDK tried to send the request, the successful attempt included; at least 1.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The id that Autoshares gave this request in a reply header, for looking the request up with its operators. `None` when
    /// it sent no id, or one that the SDK does not trust: over-long, of unusual characters, or holding a value of the call.
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
    /// A copy of this client that makes one attempt for each call: `client.without_retries().fetch_question(…)`. It shares the
    /// connections of the original. Two kinds of call are still sent again, for Autoshares did nothing: one whose application key Autoshares
    /// rejected, if the key has changed, and one whose request an idle connection did not take because Autoshares had reset it.
    pub fn without_retries(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), retries: RetryPolicy::off() }
    }

    /// Requests a reset of the trader's password, upon which Autoshares e-mails the trader a confirmation code (`request_reset`).
    ///
    /// `login` is the trader's login or e-mail address and is sent unchanged. `answer` is the trader's answer to the secret
    /// question; pass `None` when the trader has no question or has not seen it yet. An empty answer is left out of the request,
    /// because the API does not accept an empty one.
    ///
    /// Returns [`ResetRequested::AnswerNeeded`] when Autoshares wants a secret answer first or the given one is wrong.
    ///
    /// # Errors
    ///
    /// [`Error`] for every other result. When [`Error::may_have_been_applied`] is true, the e-mail may have been sent.
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

    /// Fetches the trader's secret question (`fetch_question`). `login` is a login or an e-mail address. Returns `None` when the
    /// trader has no secret question.
    ///
    /// # Errors
    ///
    /// [`Error`] for every other result. The call changes nothing at Autoshares, so you may safely repeat it.
    pub async fn fetch_question(&self, login: &Login) -> Result<Answered<Option<SecretQuestion>>, Error> {
        let username = &Wire(login.clone());
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.fetch_question(version, username).await };
        self.run(Operation::FetchQuestion, &[login.expose()], send, outcome::question).await
    }

    /// Exchanges the confirmation code from the e-mail for a reset token (`redeem_code`). Treat the code as spent afterwards: the
    /// documentation does not say whether Autoshares accepts it a second time.
    ///
    /// # Errors
    ///
    /// [`Error`], of kind [`ErrorKind::Refused`] for a wrong code. When [`Error::may_have_been_applied`] is true, the code may be
    /// spent.
    pub async fn redeem_code(&self, code: &ConfirmationCode) -> Result<Answered<ResetToken>, Error> {
        let body = &types::CodeRedemption { code: Wire(code.clone()) };
        let version = self.inner.api_version.as_str();
        let send = |client: generated::Client| async move { client.redeem_code(version, body).await };
        self.run(Operation::RedeemCode, &[code.expose()], send, outcome::token).await
    }

    /// Sets the trader's new password with the reset token (`set_password`). The API takes the password twice; the SDK fills in the
    /// second one.
    ///
    /// # Errors
    ///
    /// [`Error`], of kind [`ErrorKind::Refused`] when the token is not valid or the password breaks a rule of Autoshares. When
    /// [`Error::may_have_been_applied`] is true, the new password may be in force.
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

    /// Sends the call again until an attempt succeeds, fails in a way that forbids another, or uses up the attempts, the retry
    /// budget or the time.
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
            let (mut key_refreshed, mut resent) = (false, 0);
            let mut attempts = 0;
            loop {
                attempts += 1;
                let timeout = self.attempt_timeout(operation, deadline);
                let call = Call::new(operation, key.clone(), &secrets, attempts, timeout, &inner.addresses);
                let client =
                    generated::Client::new_with_client(&inner.base_url, inner.http.clone(), call.clone());
                let outcome = call.conclude(send(client).await, rule);
                let seen = call.seen();
                trace::attempt(attempts, &seen, outcome.as_ref().err());
                let error = match outcome {
                    Ok(value) => {
                        if attempts == resent + 1 {
                            inner.budget.earn();
                        }
                        return Ok(Answered { value, attempts, request_id: seen.request_id });
                    }
                    Err(error) => error,
                };

                if matches!(error.kind, ErrorKind::KeyRejected) && !key_refreshed {
                    // Autoshares rejected the key before it looked at the request, so sending it again cannot apply it twice.
                    // This is not charged to the retries, because the second attempt carries another key.
                    key_refreshed = true;
                    match self.key(operation, Refresh::Yes, attempts, deadline).await {
                        Ok(fresh) if !fresh.is_same_as(&key) && Instant::now() < deadline => key = fresh,
                        _ => {
                            *inner.rejected_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
                            return Err(error);
                        }
                    }
                    continue;
                }
                // Another attempt must have time to connect. If the deadline ended it while it was still connecting, the failure
                // would look like a call that may have been sent.
                let left =
                    deadline.saturating_duration_since(Instant::now()).saturating_sub(inner.connect_timeout);
                // A connection that Autoshares had reset did not take the request, which therefore goes over another one at once. Each
                // failure takes a connection out of the pool, and a new connection hardly fails in this way.
                if call.was_not_written() && resent < MAX_RESENT && !left.is_zero() {
                    resent += 1;
                    continue;
                }
                match self.retries.wait(&error, resent) {
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

    /// Whether the source of the application key has another one than the one that Autoshares rejected last. For the gateway, which then
    /// asks Autoshares again at once. Always false for a source of your own, which may have to wait for another service.
    #[doc(hidden)]
    pub fn has_new_key(&self) -> bool {
        let rejected = self.inner.rejected_key.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*rejected, self.inner.app_key.key_now()) {
            (Some(rejected), Some(key)) => !key.is_same_as(rejected),
            _ => false,
        }
    }

    /// Gets the application key from its source. The deadline of the call applies here too, because a custom source may wait for
    /// a vault or another service.
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

    /// How long this attempt may take. If the call may be retried, the attempt must leave time for the next one; otherwise it may
    /// use all the time that the call has left.
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
