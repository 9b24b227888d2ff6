//! The builder of a client: it collects the base URL, the application key and the timeouts, and reports all their faults together.

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
/// Shorter than the keep-alive of common servers, so that the SDK seldom sends a request on a connection that the server is closing.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

impl Client {
    /// Starts building a client of the Autoshares installation at `base_url`, which usually ends in `/api`. The URL must be https,
    /// or http to a loopback address, because the application key must not travel unencrypted; [`build`](ClientBuilder::build)
    /// checks it.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url.into())
    }
}

/// Collects the settings of a [`Client`]. Only the base URL and the application key are required.
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

    /// Sets the application key, or the source that the SDK reads it from before every attempt. Required.
    pub fn app_key(mut self, key: impl Into<AppKeySource>) -> Self {
        self.app_key = Some(key.into());
        self
    }

    /// Sets the API version that goes into the path of every request, such as the default `1.0`. Letters, digits and dots only.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// Sets how long a whole call may take: getting the application key, all attempts, and the waits between them, to the last
    /// byte of the last reply. 10 seconds by default, at most a day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long one attempt of `fetch_question` may take before the SDK gives it up and tries again. The other operations must
    /// not be repeated after a timeout, so each of their attempts may use all the time left. Half of [`timeout`](Self::timeout) by
    /// default.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets how often the SDK tries a call and how long it waits in between; see [`RetryPolicy`] for the default.
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long connecting, TLS included, may take. 3 seconds by default, and never more than three quarters of an attempt:
    /// an attempt that ends while connecting would look as if its request may have been sent.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Checks all settings and builds the client. Connects to nothing, but reads the application key if it comes from a file or
    /// an environment variable.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which lists all faults together so that they can be mended in one go.
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

        // An attempt must not reach its deadline while it is still connecting: that would look like a call that may have been sent.
        let connect_timeout = self.connect_timeout.min(attempt_timeout.min(self.timeout) * 3 / 4);
        let https = base_url.scheme() == "https";
        let http = reqwest::Client::builder()
            // reqwest sends custom headers such as `Et-App-Key` along when it follows a redirect, to any host that the redirect names.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(https)
            .no_proxy()
            // reqwest would by itself repeat a request that the server refused at the level of the protocol. Only `crate::retry`
            // decides what is repeated, because a repeated call can spend a code or send a second e-mail.
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
            rejected_key: std::sync::Mutex::default(),
        };
        Ok(Client { inner: Arc::new(inner), retries: self.retries })
    }
}

/// Parses and checks the base URL. The error describes the fault without quoting the URL, which may hold credentials.
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

/// Why a client could not be built: all faults of its settings together. None of them quotes a value, so none can reveal a secret.
#[derive(Debug)]
pub struct BuildError {
    pub(crate) faults: Vec<BuildFault>,
    pub(crate) source: Option<reqwest::Error>,
}

/// One reason why a client could not be built: the setting, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct BuildFault {
    pub(crate) part: BuildPart,
    pub(crate) problem: String,
}

/// The setting that a [`BuildFault`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPart {
    /// The base URL of the Autoshares installation.
    BaseUrl,
    /// The application key, or its source.
    AppKey,
    /// The API version in the path.
    ApiVersion,
    /// The timeout of a call, of an attempt or of connecting.
    Timeout,
    /// The TLS library or the certificates of this machine.
    Tls,
}

impl BuildError {
    /// All faults, at least one, in a fixed order.
    pub fn faults(&self) -> &[BuildFault] {
        &self.faults
    }
}

impl BuildFault {
    pub(crate) fn new(part: BuildPart, problem: impl Into<String>) -> Self {
        Self { part, problem: problem.into() }
    }

    /// The setting that is at fault.
    pub fn part(&self) -> BuildPart {
        self.part
    }

    /// What is wrong with the setting, as a fragment such as `is not set`. Never quotes the value of the setting.
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
