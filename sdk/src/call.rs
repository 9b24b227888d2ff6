//! One attempt: what the generated client does on the way out and back, and what is remembered of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use progenitor_client::{ClientHooks, ClientInfo, Error as GeneratedError, OperationInfo, ResponseValue};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    error::{Error, ErrorKind, Unreadable},
    generated::{self, types},
    operation::Operation,
    outcome::{self, Shape},
    retry,
    secret::AppKey,
};

/// The longest answer that is read; the documented ones have a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// The longest request id of Autoshares' that is kept.
const MAX_REQUEST_ID: usize = 128;

/// The context of one attempt, carried by the generated client as its inner value.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    operation: Operation,
    key: AppKey,
    /// What the user gave for this call; upstream may send it back where nobody expects it.
    secrets: Arc<[SecretString]>,
    /// How many attempts there were, this one included.
    attempts: u32,
    /// How long this attempt may take.
    timeout: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// What came back, as far as it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<Box<str>>,
    shape: Option<Shape>,
    size: usize,
}

impl ClientHooks<Call> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _: &OperationInfo,
    ) -> Result<(), GeneratedError<E>> {
        *request.timeout_mut() = Some(self.inner().timeout);
        let headers = request.headers_mut();
        // Progenitor adds `api-version` to every request; Autoshares versions by path.
        headers.remove("api-version");
        headers.insert("et-app-key", self.inner().key.header());
        Ok(())
    }

    /// Sends the request once, reads the answer up to the cap, and makes its status agree with its body: the generated
    /// code picks the type by status, while at Autoshares the body decides.
    async fn exec(&self, request: reqwest::Request, _: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        let call = self.inner();
        let response = self.client().execute(request).await?;
        let status = response.status().as_u16();
        call.note(|seen| {
            let header = |name: &str| response.headers().get(name)?.to_str().ok();
            seen.status = Some(status);
            seen.retry_after =
                header("retry-after").and_then(|text| retry::retry_after(text, SystemTime::now()));
            let id = ["x-request-id", "request-id", "x-correlation-id"].into_iter().find_map(header);
            seen.request_id = id.filter(|id| call.is_request_id(id)).map(Box::from);
        });

        let body = read_capped(response).await?;
        let shape = outcome::shape(status, body.as_deref(), &call.key);
        call.note(|seen| {
            seen.shape = Some(shape);
            seen.size = body.as_ref().map_or(0, Vec::len);
        });
        let declared = match shape {
            Shape::Envelope => http::StatusCode::OK,
            Shape::Refusal => http::StatusCode::INTERNAL_SERVER_ERROR,
            // Declared for no operation, so the generated code reads no body.
            Shape::KeyRejected | Shape::Unreadable(_) => http::StatusCode::NOT_IMPLEMENTED,
        };
        let mut answer = http::Response::new(body.unwrap_or_default());
        *answer.status_mut() = declared;
        Ok(answer.into())
    }
}

/// The whole body, or `None` when it is larger than [`MAX_BODY`]; the rest is then left unread.
async fn read_capped(mut response: reqwest::Response) -> reqwest::Result<Option<Vec<u8>>> {
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

impl Call {
    pub(crate) fn new(
        operation: Operation,
        key: AppKey,
        secrets: &Arc<[SecretString]>,
        attempts: u32,
        timeout: Duration,
    ) -> Self {
        Self { operation, key, secrets: Arc::clone(secrets), attempts, timeout, seen: Arc::default() }
    }

    /// An id goes into logs, so it must look like one, and hold nothing of the call.
    fn is_request_id(&self, text: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let lower = text.to_ascii_lowercase();
        let tells =
            |secret: &SecretString| lower.contains(&secret.expose_secret().trim().to_ascii_lowercase());
        (1..=MAX_REQUEST_ID).contains(&text.len())
            && text.bytes().all(fits)
            && !self.key.appears_in(text)
            && !self.secrets.iter().any(tells)
    }

    /// Turns the generated client's result into an outcome, by its ruling, or an [`Error`].
    pub(crate) fn conclude<T, U>(
        &self,
        answered: Result<ResponseValue<T>, GeneratedError<types::Refusal>>,
        rule: impl FnOnce(T) -> Result<U, ErrorKind>,
    ) -> Result<U, Error> {
        match answered {
            Ok(answer) => rule(answer.into_inner()).map_err(|kind| self.error(kind)),
            Err(GeneratedError::ErrorResponse(refusal)) => {
                Err(self.error(outcome::refused(refusal.into_inner(), self.seen().size)))
            }
            Err(GeneratedError::CommunicationError(error)) => Err(self.transport(error)),
            // The generated error prints bodies and addresses: nothing of it goes on.
            Err(GeneratedError::InvalidResponsePayload(body, _)) => {
                Err(self.error(ErrorKind::Unreadable(Unreadable::UnknownShape { size: body.len() })))
            }
            Err(GeneratedError::InvalidRequest(_) | GeneratedError::Custom(_)) => {
                Err(self.error(ErrorKind::NotSent))
            }
            Err(_) => Err(self.error(match self.seen().shape {
                Some(Shape::KeyRejected) => ErrorKind::KeyRejected,
                Some(Shape::Unreadable(unreadable)) => ErrorKind::Unreadable(unreadable),
                _ => ErrorKind::Unreadable(Unreadable::Empty),
            })),
        }
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        let sent = !error.is_connect() && !error.is_builder();
        Error {
            timeout: error.is_timeout(),
            // The address holds the login.
            source: Some(Box::new(error.without_url())),
            ..self.error(if sent { ErrorKind::MaybeSent } else { ErrorKind::NotSent })
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        let Seen { status, retry_after, request_id, .. } = self.seen();
        let Self { operation, attempts, .. } = *self;
        Error { operation, kind, status, attempts, timeout: false, retry_after, request_id, source: None }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
