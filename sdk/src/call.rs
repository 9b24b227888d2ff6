//! One attempt of a call: the hooks that adapt the generated client's request and reply, and the facts kept of the reply.

use std::{
    error::Error as _,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::HeaderName;
use progenitor_client::{ClientHooks, ClientInfo, Error as GeneratedError, OperationInfo, ResponseValue};
use reqwest::{ResponseBuilderExt, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    address::Addresses,
    body,
    error::{Error, ErrorKind, Unreadable},
    generated::{self, types},
    operation::Operation,
    outcome::{self, Shape},
    retry,
    secret::AppKey,
};

const APP_KEY: HeaderName = HeaderName::from_static("et-app-key");
/// The headers in which a reply may carry the request id of Autoshares.
const REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-correlation-id"),
];

/// The longest request id of Autoshares that is kept, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// The context of one attempt. The generated client carries it as its inner value and hands it to the hooks.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    operation: Operation,
    key: AppKey,
    /// The login, secret answer, code, token or password that the caller passed. Autoshares may send one back in its request id,
    /// which must then not be logged.
    secrets: Arc<[SecretString]>,
    /// The number of attempts so far, this one included.
    attempts: u32,
    timeout: Duration,
    addresses: Arc<Addresses>,
    seen: Arc<Mutex<Seen>>,
}

/// The facts of the reply that errors and traces may report. They hold none of its text except a checked request id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<Box<str>>,
    shape: Option<Shape>,
    size: usize,
    /// Whether the connection did not take the request.
    unwritten: bool,
}

impl ClientHooks<Call> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _: &OperationInfo,
    ) -> Result<(), GeneratedError<E>> {
        *request.timeout_mut() = Some(self.inner().timeout);
        let headers = request.headers_mut();
        // Progenitor adds an `api-version` header to every request, but Autoshares takes the version from the path.
        headers.remove("api-version");
        headers.insert(APP_KEY, self.inner().key.header());
        if let Some(host) = self.inner().addresses.host() {
            headers.insert(http::header::HOST, host.clone());
        }
        // Without this header a server may compress as it likes. One that does all the same is read, too.
        headers.insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        Ok(())
    }

    /// Sends the request once, reads the reply up to the cap, and replaces its status by the one that fits its body. The generated
    /// code chooses the type to parse by status, but Autoshares sends refusals with status 200 too, so the body has to decide.
    async fn exec(&self, request: reqwest::Request, _: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        let call = self.inner();
        let response = self.client().execute(request).await?;
        let status = response.status().as_u16();
        call.note(|seen| {
            let header = |name: &HeaderName| response.headers().get(name)?.to_str().ok();
            seen.status = Some(status);
            // Of several, as proxies add them, the longest counts.
            let times = response
                .headers()
                .get_all(http::header::RETRY_AFTER)
                .iter()
                .filter_map(|time| time.to_str().ok());
            let now = SystemTime::now();
            seen.retry_after = times.filter_map(|time| retry::retry_after(time, now)).max();
            let id = REQUEST_IDS.iter().find_map(header);
            seen.request_id = id.filter(|id| call.is_request_id(id)).map(Box::from);
        });

        let body = body::read(response).await?;
        let shape = outcome::shape(status, body.as_deref(), &call.key);
        call.note(|seen| {
            seen.shape = Some(shape);
            seen.size = body.as_ref().map_or(0, Vec::len);
        });
        let declared = match shape {
            Shape::Envelope => http::StatusCode::OK,
            Shape::Refusal => http::StatusCode::INTERNAL_SERVER_ERROR,
            // The document declares 501 for no operation, so the generated code does not parse the body.
            Shape::KeyRejected | Shape::TurnedAway | Shape::Failed | Shape::Unreadable(_) => {
                http::StatusCode::NOT_IMPLEMENTED
            }
        };
        // Not the address of the request, which may hold the login. Without one, reqwest parses one like it.
        static NOWHERE: LazyLock<Url> =
            LazyLock::new(|| Url::parse("http://reply.invalid").expect("an address"));
        let answer = http::Response::builder().status(declared).url(NOWHERE.clone());
        Ok(answer.body(body.unwrap_or_default()).expect("a status and an address").into())
    }
}

/// Whether writing the request failed. Autoshares then has at most a part of it, and does nothing with a part. This happens on a connection
/// that Autoshares has reset while it was idle, when the request comes before the reset has been noticed. (Where the reset has been noticed,
/// hyper takes another connection by itself.) hyper shows this kind of error in its text alone, so a test compares the text. (It also shows it when TLS owes
/// the peer a message of its own after a whole request, such as a new key, and the peer resets the connection just then.)
fn was_not_written(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.to_string() == "error writing a body to connection" {
            return true;
        }
        source = error.source();
    }
    false
}

impl Call {
    pub(crate) fn new(
        operation: Operation,
        key: AppKey,
        secrets: &Arc<[SecretString]>,
        attempts: u32,
        timeout: Duration,
        addresses: &Arc<Addresses>,
    ) -> Self {
        let (secrets, addresses) = (Arc::clone(secrets), Arc::clone(addresses));
        Self { operation, key, secrets, attempts, timeout, addresses, seen: Arc::default() }
    }

    /// The address of the request, parsed, for the code that the build script writes.
    pub(crate) fn address(&self, compose: impl FnOnce() -> String) -> Option<Url> {
        self.addresses.of(self.operation, compose)
    }

    /// Whether a reply header is fit to be kept as the request id. Request ids are logged, so it must consist of harmless characters
    /// and must not contain the application key or a value that the caller passed.
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

    /// Turns the generated client's result into the outcome that `rule` reads from the parsed body, or into an [`Error`].
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
            // The generated error prints reply bodies and URLs, so it is dropped; only the size of the body is kept.
            Err(GeneratedError::InvalidResponsePayload(body, _)) => {
                Err(self.error(ErrorKind::Unreadable(Unreadable::UnknownShape { size: body.len() })))
            }
            Err(GeneratedError::InvalidRequest(_) | GeneratedError::Custom(_)) => {
                Err(self.error(ErrorKind::NotSent))
            }
            Err(_) => Err(self.error(match self.seen().shape {
                Some(Shape::KeyRejected) => ErrorKind::KeyRejected,
                Some(Shape::TurnedAway) => ErrorKind::TurnedAway,
                Some(Shape::Failed) => ErrorKind::Failed,
                Some(Shape::Unreadable(unreadable)) => ErrorKind::Unreadable(unreadable),
                _ => ErrorKind::Unreadable(Unreadable::Empty),
            })),
        }
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        let unwritten = was_not_written(&error);
        self.note(|seen| seen.unwritten = unwritten);
        let sent = !error.is_connect() && !error.is_builder() && !unwritten;
        Error {
            timeout: error.is_timeout(),
            // The URL of `fetch_question` holds the login.
            source: Some(Box::new(error.without_url())),
            ..self.error(if sent { ErrorKind::MaybeSent } else { ErrorKind::NotSent })
        }
    }

    fn error(&self, mut kind: ErrorKind) -> Error {
        if let ErrorKind::Refused(refusal) = &mut kind {
            refusal.quotes_key = self.key.is_quoted_in(refusal.texts());
        }
        let Seen { status, retry_after, request_id, .. } = self.seen();
        let Self { operation, attempts, .. } = *self;
        Error { operation, kind, status, attempts, timeout: false, retry_after, request_id, source: None }
    }

    /// Whether the attempt failed because its connection did not take the request.
    pub(crate) fn was_not_written(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unwritten
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
