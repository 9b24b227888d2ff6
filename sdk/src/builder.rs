//! What a client needs: where Autoshares is, which key, how long to wait. Every fault at once when something is wrong with it.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use reqwest::Url;

use crate::{
    client::{Client, Inner},
    key::AppKeySource,
    retry::{RetryBudget, RetryPolicy},
    secret::InvalidAppKey,
    tls,
    trace::Server,
};

const API_VERSION: &str = "1.0";
const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the keep-alive of common servers, so that a request seldom meets a connection that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

impl Client {
    /// Starts a client for an installation. `base_url` usually ends in `/api`; it is https, or http to a loopback address.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url.into())
    }
}

/// Collects what a [`Client`] needs.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    app_key: Option<AppKeySource>,
    api_version: String,
    timeout: Duration,
    attempt_timeout: Option<Duration>,
    connect_timeout: Duration,
    retries: RetryPolicy,
}

impl ClientBuilder {
    pub(crate) fn new(base_url: String) -> Self {
        Self {
            base_url,
            app_key: None,
            api_version: API_VERSION.to_owned(),
            timeout: TIMEOUT,
            attempt_timeout: None,
            connect_timeout: CONNECT_TIMEOUT,
            retries: RetryPolicy::default(),
        }
    }

    /// The key of the calling application, or where it comes from. Required.
    pub fn app_key(mut self, key: impl Into<AppKeySource>) -> Self {
        self.app_key = Some(key.into());
        self
    }

    /// The version in the path, `1.0` unless set. Letters, digits and dots.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// How long a whole call may take, from the first attempt to the last byte of the last answer. 10 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long one attempt may take when another may follow, which is so for `fetch_question` only. Half of the whole unless set.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// How often a call is tried; see [`RetryPolicy`] for the default.
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
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
        match self.app_key.as_ref().map(AppKeySource::check) {
            None => faults.push(BuildFault::new(BuildPart::AppKey, "is not set")),
            Some(Err(error)) => {
                let invalid =
                    error.downcast_ref::<InvalidAppKey>().map(|invalid| invalid.reason().to_owned());
                faults.push(BuildFault::new(BuildPart::AppKey, invalid.unwrap_or_else(|| error.to_string())));
            }
            Some(Ok(())) => {}
        }
        let version_fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if self.api_version.is_empty() || !self.api_version.bytes().all(version_fits) {
            let problem = "is not made of letters, digits and dots, such as `1.0`";
            faults.push(BuildFault::new(BuildPart::ApiVersion, problem));
        }
        let attempt_timeout = self.attempt_timeout.unwrap_or(self.timeout / 2);
        if [self.timeout, self.connect_timeout, attempt_timeout]
            .iter()
            .any(|timeout| *timeout > LONGEST_TIMEOUT)
        {
            faults.push(BuildFault::new(BuildPart::Timeout, "is longer than a day"));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() || attempt_timeout.is_zero() {
            faults.push(BuildFault::new(BuildPart::Timeout, "is zero and would let no call through"));
        }
        let (Ok(base_url), Some(app_key), true) = (base_url, self.app_key, faults.is_empty()) else {
            return Err(BuildError { faults, source: None });
        };

        // Below the deadline of an attempt, or a connection that never came about would look like a call that may have been sent.
        let connect_timeout = self.connect_timeout.min(attempt_timeout.min(self.timeout) * 3 / 4);
        let https = base_url.scheme() == "https";
        let http = reqwest::Client::builder()
            // A custom header such as the key travels along with a redirect, to whatever host it names.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(https)
            .no_proxy()
            // Also protocol refusals may not repeat a call that spends something.
            .retry(reqwest::retry::never())
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("autoshares-sdk/", env!("CARGO_PKG_VERSION")));
        let tls =
            |problem, source| BuildError { faults: vec![BuildFault::new(BuildPart::Tls, problem)], source };
        let http = tls::set_up(http, https).map_err(|problem| tls(problem, None))?;
        let http = http.build().map_err(|error| tls("could not be set up".to_owned(), Some(error)))?;
        let inner = Inner {
            http,
            server: Server::of(&base_url),
            base_url: base_url.as_str().trim_end_matches('/').to_owned(),
            app_key,
            api_version: self.api_version,
            timeout: self.timeout,
            attempt_timeout,
            connect_timeout,
            budget: RetryBudget::full(),
        };
        Ok(Client { inner: Arc::new(inner), retries: self.retries })
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

/// Why a client could not be built: every fault at once, none holding a secret.
#[derive(Debug)]
pub struct BuildError {
    pub(crate) faults: Vec<BuildFault>,
    pub(crate) source: Option<reqwest::Error>,
}

/// One thing that keeps a client from being built.
#[derive(Clone, Debug)]
pub struct BuildFault {
    pub(crate) part: BuildPart,
    pub(crate) problem: String,
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
    pub(crate) fn new(part: BuildPart, problem: impl Into<String>) -> Self {
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
}
