//! Builds a client from environment variables.

use std::env;

use crate::{
    builder::{BuildError, BuildFault, BuildPart},
    client::Client,
    key::AppKeySource,
    secret::AppKey,
};

const KEY_FILE: &str = "AUTOSHARES_APP_KEY_FILE";
const KEY: &str = "AUTOSHARES_APP_KEY";

impl Client {
    /// Builds a client from environment variables. An empty variable counts as not set.
    ///
    /// - `AUTOSHARES_BASE_URL`: required, such as `https://host/api`.
    /// - `AUTOSHARES_APP_KEY_FILE` or `AUTOSHARES_APP_KEY`: exactly one of them. The file is read again when it changes.
    /// - `AUTOSHARES_API_VERSION`: `1.0` by default.
    /// - `AUTOSHARES_TIMEOUT`: how long a whole call may take, `10s` by default.
    /// - `AUTOSHARES_KEEP_ALIVE`: how long an idle connection may be used again, `15s` by default; `0s` opens one for each call.
    /// - `AUTOSHARES_PROXY`, `AUTOSHARES_CA_FILE`, `AUTOSHARES_CLIENT_CERTIFICATE_FILE`, `AUTOSHARES_USER_AGENT`: see the methods of
    ///   [`ClientBuilder`](crate::ClientBuilder).
    ///
    /// The proxy variables of the system, such as `HTTPS_PROXY`, are ignored.
    ///
    /// # Errors
    ///
    /// [`BuildError`], which lists all faults together and names the variable of each.
    pub fn from_env() -> Result<Self, BuildError> {
        client(|name| env::var(name).ok())
    }
}

/// Builds a client from the variables that `lookup` returns, so that tests need not change the environment of the process. An
/// empty variable counts as absent, because many tools unset a variable by emptying it.
fn client(lookup: impl Fn(&str) -> Option<String>) -> Result<Client, BuildError> {
    let lookup = |name: &str| lookup(name).filter(|text| !text.is_empty());
    let mut faults = Vec::new();
    let mut fault = |part, problem: String| faults.push(BuildFault::new(part, problem));

    let mut builder = Client::builder(lookup("AUTOSHARES_BASE_URL").unwrap_or_default());
    if let Some(version) = lookup("AUTOSHARES_API_VERSION") {
        builder = builder.api_version(version);
    }
    let mut duration = |name, part, example| {
        let parsed = humantime::parse_duration(&lookup(name)?);
        if parsed.is_err() {
            fault(part, format!("is not a duration, such as `{example}`"));
        }
        parsed.ok()
    };
    if let Some(timeout) = duration("AUTOSHARES_TIMEOUT", BuildPart::Timeout, "10s") {
        builder = builder.timeout(timeout);
    }
    if let Some(keep_alive) = duration("AUTOSHARES_KEEP_ALIVE", BuildPart::KeepAlive, "15s") {
        builder = builder.keep_alive(keep_alive);
    }
    if let Some(url) = lookup("AUTOSHARES_PROXY") {
        builder = builder.proxy(url);
    }
    if let Some(path) = lookup("AUTOSHARES_CA_FILE") {
        builder = builder.ca_file(path);
    }
    if let Some(path) = lookup("AUTOSHARES_CLIENT_CERTIFICATE_FILE") {
        builder = builder.client_certificate_file(path);
    }
    if let Some(text) = lookup("AUTOSHARES_USER_AGENT") {
        builder = builder.user_agent(text);
    }
    match (lookup(KEY_FILE), lookup(KEY)) {
        (Some(path), None) => builder = builder.app_key(AppKeySource::file(path)),
        (None, Some(text)) => match AppKey::new(text) {
            Ok(key) => builder = builder.app_key(key),
            Err(error) => fault(BuildPart::AppKey, error.reason().to_owned()),
        },
        (None, None) => {}
        (Some(_), Some(_)) => fault(BuildPart::AppKey, "is set twice".to_owned()),
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
            BuildPart::KeepAlive => " (AUTOSHARES_KEEP_ALIVE)",
            BuildPart::Proxy => " (AUTOSHARES_PROXY)",
            BuildPart::CaFile => " (AUTOSHARES_CA_FILE)",
            BuildPart::ClientCertificateFile => " (AUTOSHARES_CLIENT_CERTIFICATE_FILE)",
            BuildPart::UserAgent => " (AUTOSHARES_USER_AGENT)",
            BuildPart::Tls => "",
        };
    }
    Err(BuildError { faults, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_environment_comes_at_once() {
        let error = client(|name| (name == "AUTOSHARES_TIMEOUT").then(|| "soon".to_owned())).unwrap_err();
        let text = error.to_string();
        for variable in
            ["AUTOSHARES_BASE_URL", "AUTOSHARES_APP_KEY_FILE", "AUTOSHARES_APP_KEY", "AUTOSHARES_TIMEOUT"]
        {
            assert!(text.contains(variable), "{variable} missing in: {text}");
        }
    }

    #[test]
    fn a_whole_environment_makes_a_client() {
        let client = client(|name| match name {
            "AUTOSHARES_BASE_URL" => Some("https://host.example/api/".to_owned()),
            "AUTOSHARES_APP_KEY" => Some("sandbox-key".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(client.inner.base_url, "https://host.example/api");
        assert_eq!(client.inner.api_version, "1.0");
    }
}
