//! One call: what the generated client does on the way out and back, and what is remembered of it.

use std::sync::{Arc, Mutex, PoisonError};

use progenitor_client::{ClientHooks, ClientInfo, Error as GeneratedError, OperationInfo, ResponseValue};

use crate::{
    error::{Error, ErrorKind, Unreadable},
    generated::{self, types},
    operation::Operation,
    outcome::{self, Shape},
    secret::AppKey,
};

/// The longest answer that is read; the documented ones have a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// The context of one call, carried by the generated client as its inner value.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    operation: Operation,
    key: AppKey,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    attempts: u32,
    status: Option<u16>,
    unreadable: Option<Unreadable>,
}

impl ClientHooks<Call> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _: &OperationInfo,
    ) -> Result<(), GeneratedError<E>> {
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
        call.note(|seen| seen.attempts += 1);
        let response = self.client().execute(request).await?;
        let status = response.status().as_u16();
        call.note(|seen| seen.status = Some(status));

        let body = read_capped(response).await?;
        let declared = match outcome::shape(status, body.as_deref(), &call.key) {
            Shape::Envelope => http::StatusCode::OK,
            Shape::Refusal => http::StatusCode::INTERNAL_SERVER_ERROR,
            Shape::Unreadable(unreadable) => {
                call.note(|seen| seen.unreadable = Some(unreadable));
                // Declared for no operation, so the generated code reads no body.
                http::StatusCode::NOT_IMPLEMENTED
            }
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
    pub(crate) fn new(operation: Operation, key: AppKey) -> Self {
        Self { operation, key, seen: Arc::default() }
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
                Err(self.error(outcome::refused(refusal.into_inner())))
            }
            Err(GeneratedError::CommunicationError(error)) => Err(self.transport(error)),
            // The generated error prints bodies and addresses: nothing of it goes on.
            Err(GeneratedError::InvalidResponsePayload(body, _)) => {
                Err(self.error(ErrorKind::Unreadable(Unreadable::UnknownShape { size: body.len() })))
            }
            Err(GeneratedError::InvalidRequest(_) | GeneratedError::Custom(_)) => {
                Err(self.error(ErrorKind::NotSent))
            }
            Err(_) => {
                let unreadable = self.seen().unreadable.unwrap_or(Unreadable::Empty);
                Err(self.error(ErrorKind::Unreadable(unreadable)))
            }
        }
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        let seen = self.seen();
        let sent = seen.attempts > 0 && !error.is_connect() && !error.is_builder();
        Error {
            timeout: error.is_timeout(),
            // The address holds the login.
            source: Some(Box::new(error.without_url())),
            ..self.error(if sent { ErrorKind::MaybeSent } else { ErrorKind::NotSent })
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        let Seen { attempts, status, .. } = self.seen();
        Error { operation: self.operation, kind, status, attempts, timeout: false, source: None }
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
