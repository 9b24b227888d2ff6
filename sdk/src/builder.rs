//! The builder of a client: it collects the base URL, the application key and the timeouts, and reports all their faults together.

use std::{
    error::Error as StdError, fmt, future::Future, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration,
};

use reqwest::{Proxy, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    address::Addresses,
    client::{Client, Inner},
    key::AppKeySource,
    resolver::Resolver,
    retry::{RetryBudget, RetryPolicy},
    secret::InvalidAppKey,
    tls,
    trace::Server,
};

const API_VERSION: &str = "1.0";
const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the keep-alive of common servers and balancers (60 seconds and more), so that the SDK seldom sends a request on a
/// connection that the server is closing.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const USER_AGENT: &str = concat!("autoshares-sdk/", env!("CARGO_PKG_VERSION"));

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
    keep_alive: Duration,
    retries: RetryPolicy,
    user_agent: String,
    /// Secret, for the URL may hold a password.
    proxy: Option<SecretString>,
    files: tls::Files,
    resolver: Option<Resolver>,
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
            keep_alive: KEEP_ALIVE,
            retries: RetryPolicy::default(),
            user_agent: USER_AGENT.to_owned(),
            proxy: None,
            files: tls::Files::default(),
            resolver: None,
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

    /// Sets how long a connection may be idle and still be used again. 15 seconds by default, at most a day; it should be shorter than
    /// the idle timeout of whatever stands in front of Autoshares. Zero opens a new connection for each call, for a server that resets
    /// connections when they are used again: whether such a server carried out the call cannot be known.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Sends all calls through this proxy, `http://host:port` or `https://host:port`, if need be with `user:password@`. For an https
    /// base URL the proxy is asked for a tunnel (`CONNECT`) and sees neither the application key nor what is in a call; with an http one, which
    /// is loopback, the proxy must be on loopback too. Without this setting no proxy is used, whatever
    /// `HTTPS_PROXY` and its like say.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into().into());
        self
    }

    /// Trusts the certificates in this PEM file in addition to those of the platform, such as that of a private certificate authority. The
    /// file is read once, by [`build`](Self::build).
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.ca = Some(path.into());
        self
    }

    /// Shows the certificate in this PEM file to a server that asks for one. The file holds the certificate, those that lead to its
    /// authority, and its private key (PKCS#8). It is read once, by [`build`](Self::build).
    pub fn client_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.client_certificate = Some(path.into());
        self
    }

    /// Looks host names up by code of yours, in place of the system's resolver: for service discovery, or to choose addresses in a test. The SDK
    /// calls `look_up` for each new connection, within [`connect_timeout`](Self::connect_timeout); a connection that is open is used on,
    /// whatever the name stands for by then. Where the base URL is http, addresses that are not loopback are left out, because the application
    /// key must not travel unencrypted.
    pub fn resolver<F, R>(mut self, look_up: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        self.resolver = Some(Resolver::new(look_up));
        self
    }

    /// Sets the header `User-Agent` of every request: visible ASCII characters and spaces. `autoshares-sdk/` and the version by default.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = text.into();
        self
    }

    /// Checks all settings and builds the client. Connects to nothing, but reads the certificates, and the application key if it comes
    /// from a file or an environment variable.
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
        } else if self.api_version.starts_with(['v', 'V']) {
            let problem = "begins with the `v` that the path has before it: leave it out";
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
        if self.keep_alive > LONGEST_TIMEOUT {
            faults.push(BuildFault::new(BuildPart::KeepAlive, "is longer than a day"));
        }
        let proxy = self.proxy.as_ref().map(|url| check_proxy(url.expose_secret(), base_url.as_ref().ok()));
        let proxy = proxy.transpose().unwrap_or_else(|problem| {
            faults.push(BuildFault::new(BuildPart::Proxy, problem));
            None
        });
        // RFC 9110 allows no others, and servers that read a header as another encoding than its sender wrote refuse it.
        let is_visible = |byte: u8| (b' '..=b'~').contains(&byte);
        if self.user_agent.trim().is_empty() || !self.user_agent.bytes().all(is_visible) {
            faults.push(BuildFault::new(BuildPart::UserAgent, "is not a text of visible ASCII characters"));
        }
        let certificates = self.files.read().unwrap_or_else(|more| {
            faults.extend(more);
            tls::Certificates::default()
        });
        let (Ok(base_url), Some(app_key), true) = (base_url, self.app_key, faults.is_empty()) else {
            return Err(BuildError { faults, source: None });
        };

        // An attempt must not reach its deadline while it is still connecting: that would look like a call that may have been sent.
        let connect_timeout = self.connect_timeout.min(attempt_timeout.min(self.timeout) * 3 / 4);
        let https = base_url.scheme() == "https";
        let mut http = reqwest::Client::builder()
            // reqwest sends custom headers such as `Et-App-Key` along when it follows a redirect, to any host that the redirect names.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(https)
            .no_proxy()
            // reqwest would by itself repeat a request that the server refused at the level of the protocol. Only `crate::retry`
            // decides what is repeated, because a repeated call can spend a code or send a second e-mail.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(self.keep_alive)
            .pool_max_idle_per_host(if self.keep_alive.is_zero() { 0 } else { usize::MAX })
            .user_agent(self.user_agent);
        if let Some(resolver) = self.resolver {
            http = http.dns_resolver(Arc::new(resolver.loopback_only(!https)));
        }
        let mut needs_tls = https;
        if let Some((proxy, speaks_tls)) = proxy {
            http = http.proxy(proxy);
            needs_tls |= speaks_tls;
        }
        let http = tls::set_up(http, needs_tls, &certificates)
            .map_err(|fault| BuildError { faults: vec![fault], source: None })?;
        let http = http.build().map_err(|error| BuildError {
            faults: vec![BuildFault::new(BuildPart::Tls, "could not be set up")],
            source: Some(error),
        })?;
        let inner = Inner {
            http,
            server: Server::of(&base_url),
            base_url: base_url.as_str().trim_end_matches('/').to_owned(),
            addresses: Arc::new(Addresses::below(&base_url)),
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
    if url.host_str().is_none() {
        return Err("has no host");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("is neither https nor http to a loopback address; the key would travel in the clear"),
    }
}

/// Parses and checks the URL of a proxy, and says whether the proxy speaks TLS. The error does not quote the URL.
fn check_proxy(text: &str, base_url: Option<&Url>) -> Result<(Proxy, bool), &'static str> {
    let not_a_proxy = "is not the URL of a proxy, such as `http://host:3128`";
    let url = Url::parse(text).map_err(|_| not_a_proxy)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("is neither `http://host:port` nor `https://host:port`");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("holds a path, query or fragment; take it out");
    }
    if base_url.is_some_and(|base_url| base_url.scheme() == "http") && !is_loopback(&url) {
        return Err("would see the key, for the base URL is http; use https, or no proxy");
    }
    let proxy = Proxy::all(text).map_err(|_| not_a_proxy)?;
    Ok((proxy, url.scheme() == "https"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
    /// How long an idle connection may be used again.
    KeepAlive,
    /// The proxy that calls go through.
    Proxy,
    /// The file with certificates that are trusted in addition.
    CaFile,
    /// The file with the certificate that is shown to the server, and its key.
    ClientCertificateFile,
    /// The header `User-Agent`.
    UserAgent,
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
                BuildPart::KeepAlive => "the keep-alive time",
                BuildPart::Proxy => "the proxy",
                BuildPart::CaFile => "the CA file",
                BuildPart::ClientCertificateFile => "the client certificate file",
                BuildPart::UserAgent => "the user agent",
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
