//! The client: where Autoshares is, which key, how long to wait; then one method for each operation.

use std::{env, error::Error as StdError, fmt, fs, sync::Arc, time::Duration};

use reqwest::Url;

use crate::{
    call::Call,
    error::Error,
    generated::{self, types},
    operation::Operation,
    outcome::{self, ResetRequested},
    secret::{AppKey, ConfirmationCode, Login, Password, ResetToken, SecretAnswer, SecretQuestion, Wire},
};

const API_VERSION: &str = "1.0";
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the keep-alive of common servers, so that a request seldom meets a connection that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// A client of Autoshares' password-reset API. Cloning is cheap; clones share one pool of connections.
///
/// It never follows a redirect, ignores the system's proxy settings, and sends each request once.
/// A future that is dropped may have sent its request: treat it like [`ErrorKind::MaybeSent`](crate::ErrorKind::MaybeSent).
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    base_url: String,
    app_key: AppKey,
    api_version: String,
}

impl Client {
    /// Starts a client for an installation. `base_url` usually ends in `/api`; it is https, or http to a loopback address.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.into(),
            app_key: None,
            api_version: API_VERSION.to_owned(),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// A client from the environment: `AUTOSHARES_BASE_URL`, one of `AUTOSHARES_APP_KEY_FILE` and `AUTOSHARES_APP_KEY`, and
    /// optionally `AUTOSHARES_API_VERSION` (`1.0`) and `AUTOSHARES_TIMEOUT` (`10s`).
    ///
    /// # Errors
    ///
    /// [`BuildError`] with every fault at once, each naming its variable.
    pub fn from_env() -> Result<Self, BuildError> {
        from_lookup(|name| env::var(name).ok())
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

/// Collects what a [`Client`] needs.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    app_key: Option<AppKey>,
    api_version: String,
    timeout: Duration,
    connect_timeout: Duration,
}

impl ClientBuilder {
    /// The key of the calling application. Required.
    pub fn app_key(mut self, key: AppKey) -> Self {
        self.app_key = Some(key);
        self
    }

    /// The version in the path, `1.0` unless set. Letters, digits and dots.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// How long a whole call may take, from connecting to the last byte of the answer. 10 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take, within the whole. 3 seconds unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Builds the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with every fault at once.
    pub fn build(self) -> Result<Client, BuildError> {
        let mut faults = Vec::new();
        let base_url = check_base_url(&self.base_url);
        if let Err(problem) = base_url {
            faults.push(BuildFault::new(BuildPart::BaseUrl, problem));
        }
        if self.app_key.is_none() {
            faults.push(BuildFault::new(BuildPart::AppKey, "is not set"));
        }
        let version_fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if self.api_version.is_empty() || !self.api_version.bytes().all(version_fits) {
            let problem = "is not made of letters, digits and dots, such as `1.0`";
            faults.push(BuildFault::new(BuildPart::ApiVersion, problem));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            faults.push(BuildFault::new(BuildPart::Timeout, "is zero and would let no call through"));
        }
        let (Ok(base_url), Some(app_key), true) = (base_url, self.app_key, faults.is_empty()) else {
            return Err(BuildError { faults, source: None });
        };

        let http = reqwest::Client::builder()
            // A custom header such as the key travels along with a redirect, to whatever host it names.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(base_url.scheme() == "https")
            .no_proxy()
            // Also protocol refusals may not repeat a call that spends something.
            .retry(reqwest::retry::never())
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout.min(self.timeout))
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("autoshares-sdk/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| BuildError {
                faults: vec![BuildFault::new(BuildPart::Tls, "could not be set up")],
                source: Some(error),
            })?;
        let base_url = base_url.as_str().trim_end_matches('/').to_owned();
        Ok(Client { inner: Arc::new(Inner { http, base_url, app_key, api_version: self.api_version }) })
    }
}

/// Says what is wrong with a base URL, never repeating it: it may hold credentials.
fn check_base_url(text: &str) -> Result<Url, &'static str> {
    if text.is_empty() {
        return Err("is not set");
    }
    let url = Url::parse(text).map_err(|_| "is not a URL, such as `https://host/api`")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password; take it out");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a query or fragment; take it out");
    }
    let Some(host) = url.host_str() else { return Err("has no host") };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("is neither https nor http to a loopback address; the key would travel in the clear"),
    }
}

fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Client, BuildError> {
    // An empty variable is how many tools unset one.
    let lookup = |name: &str| lookup(name).filter(|text| !text.is_empty());
    let mut faults = Vec::new();
    let mut fault = |part, problem: String| faults.push(BuildFault::new(part, problem));

    let mut builder = Client::builder(lookup("AUTOSHARES_BASE_URL").unwrap_or_default());
    if let Some(version) = lookup("AUTOSHARES_API_VERSION") {
        builder = builder.api_version(version);
    }
    if let Some(text) = lookup("AUTOSHARES_TIMEOUT") {
        match humantime::parse_duration(&text) {
            Ok(timeout) => builder = builder.timeout(timeout),
            Err(_) => fault(BuildPart::Timeout, "is not a duration, such as `10s`".to_owned()),
        }
    }
    let key = match (lookup("AUTOSHARES_APP_KEY_FILE"), lookup("AUTOSHARES_APP_KEY")) {
        (Some(path), None) => {
            fs::read_to_string(path).map_err(|error| format!("cannot be read: {}", error.kind()))
        }
        (None, Some(text)) => Ok(text),
        (None, None) => Err("is not set".to_owned()),
        (Some(_), Some(_)) => Err("is set twice".to_owned()),
    };
    match key.and_then(|text| AppKey::new(text).map_err(|error| error.reason().to_owned())) {
        Ok(key) => builder = builder.app_key(key),
        Err(problem) => fault(BuildPart::AppKey, problem),
    }

    let built = builder.build();
    if faults.is_empty() && built.is_ok() {
        return built;
    }
    let (more, source) = built.err().map(|error| (error.faults, error.source)).unwrap_or_default();
    let known: Vec<_> = faults.iter().map(BuildFault::part).collect();
    faults.extend(more.into_iter().filter(|fault| !known.contains(&fault.part)));
    for fault in &mut faults {
        fault.problem += match fault.part {
            BuildPart::BaseUrl => " (AUTOSHARES_BASE_URL)",
            BuildPart::AppKey => " (exactly one of AUTOSHARES_APP_KEY_FILE and AUTOSHARES_APP_KEY)",
            BuildPart::ApiVersion => " (AUTOSHARES_API_VERSION)",
            BuildPart::Timeout => " (AUTOSHARES_TIMEOUT)",
            BuildPart::Tls => "",
        };
    }
    Err(BuildError { faults, source })
}

/// Why a client could not be built: every fault at once, none holding a secret.
#[derive(Debug)]
pub struct BuildError {
    faults: Vec<BuildFault>,
    source: Option<reqwest::Error>,
}

/// One thing that keeps a client from being built.
#[derive(Clone, Debug)]
pub struct BuildFault {
    part: BuildPart,
    problem: String,
}

/// What a [`BuildFault`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPart {
    /// The base URL.
    BaseUrl,
    /// The application key.
    AppKey,
    /// The API version.
    ApiVersion,
    /// One of the timeouts.
    Timeout,
    /// The TLS library or the certificates of this machine.
    Tls,
}

impl BuildError {
    /// The faults, in a fixed order.
    pub fn faults(&self) -> &[BuildFault] {
        &self.faults
    }
}

impl BuildFault {
    fn new(part: BuildPart, problem: impl Into<String>) -> Self {
        Self { part, problem: problem.into() }
    }

    /// What it is about.
    pub fn part(&self) -> BuildPart {
        self.part
    }

    /// What is wrong, such as `is not set`. Never repeats a value.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, BuildFault { part, problem }) in self.faults.iter().enumerate() {
            let part = match part {
                BuildPart::BaseUrl => "the base URL",
                BuildPart::AppKey => "the application key",
                BuildPart::ApiVersion => "the API version",
                BuildPart::Timeout => "the timeout",
                BuildPart::Tls => "TLS",
            };
            write!(f, "{}{part} {problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|error| error as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_base_urls() {
        for good in [
            "https://host.example/api",
            "https://host.example/api/",
            "http://127.0.0.1:1/api",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(check_base_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "host.example/api",
            "http://host.example/api",
            "ftp://127.0.0.1",
            "https://user:word@host.example",
            "https://host.example/api?x=1",
            "https://host.example/#x",
            "http://127.0.0.1.example",
        ] {
            assert!(check_base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_fault_of_the_environment_comes_at_once() {
        let error =
            from_lookup(|name| (name == "AUTOSHARES_TIMEOUT").then(|| "soon".to_owned())).unwrap_err();
        let text = error.to_string();
        for variable in
            ["AUTOSHARES_BASE_URL", "AUTOSHARES_APP_KEY_FILE", "AUTOSHARES_APP_KEY", "AUTOSHARES_TIMEOUT"]
        {
            assert!(text.contains(variable), "{variable} missing in: {text}");
        }
    }

    #[test]
    fn a_whole_environment_makes_a_client() {
        let client = from_lookup(|name| match name {
            "AUTOSHARES_BASE_URL" => Some("https://host.example/api/".to_owned()),
            "AUTOSHARES_APP_KEY" => Some("sandbox-key".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(client.inner.base_url, "https://host.example/api");
        assert_eq!(client.inner.api_version, "1.0");
    }
}
