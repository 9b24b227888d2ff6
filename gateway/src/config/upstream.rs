//! `upstream.*`: how Autoshares is called.

use std::{env, fs, io, path::Path, time::Duration};

use autoshares_sdk::{AppKey, AppKeySource, BuildPart, Client};

use super::{reader::Reader, setting::settings};
use crate::error_chain::chain;

/// How Autoshares is called.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Holds the application key.
    pub client: Client,
    /// How long the client waits for one call, from connecting to the last byte. Shutdown waits longer than that, so
    /// that a call which may have been applied is answered.
    pub timeout: Duration,
}

settings! {
    BASE_URL: "upstream.base_url", "AUTOSHARES_BASE_URL",
        "where Autoshares is, such as `https://host/api`; https, or http to loopback", "required",
        "https, or http to loopback", address;
    APP_KEY_FILE: "upstream.app_key_file", "AUTOSHARES_APP_KEY_FILE",
        "a file that holds the application key", "required, unless upstream.app_key is set",
        "a key in a file can be replaced without a restart", file;
    APP_KEY: "upstream.app_key", "AUTOSHARES_APP_KEY",
        "the application key, 8 characters or more", "instead of the file",
        "refused after `--set`, for `ps` shows the command line", secret;
    API_VERSION: "upstream.api_version", "AUTOSHARES_API_VERSION",
        "a version, such as `1.0`", "1.0",
        "the version in calls to Autoshares; clients keep using `/v1.0`";
    TIMEOUT: "upstream.timeout", "AUTOSHARES_TIMEOUT",
        "a duration above zero, such as `10s` or `800ms`", "10s",
        "for one call, from connecting to the last byte";
    KEEP_ALIVE: "upstream.keep_alive", "AUTOSHARES_KEEP_ALIVE",
        "a duration such as `15s`, shorter than the idle timeout of what stands in front of Autoshares; `0s` opens a connection for each call", "15s",
        "how long an idle connection to Autoshares is used again; keep it shorter than the idle timeout of what stands in front of Autoshares. `0s` opens a connection for each call: for a path that resets connections when they are used again, for nobody knows whether such a call was carried out";
    PROXY: "upstream.proxy", "AUTOSHARES_PROXY",
        "the proxy that calls go through, `http://host:port` or `https://host:port`", "none",
        "`http://host:3128` or `https://host:3128`, if need be with `user:password@` (then not after `--set`). The proxy is asked for a tunnel and sees no call. `HTTPS_PROXY` and its like are ignored, with a warning: who can set a variable could otherwise read where calls go", address;
    CA_FILE: "upstream.ca_file", "AUTOSHARES_CA_FILE",
        "a PEM file with certificates that are trusted beside those of the platform", "none",
        "PEM, trusted beside the certificates of the platform, such as a private authority. `SSL_CERT_FILE` and `SSL_CERT_DIR`, the variables of OpenSSL, name others in their place", file;
    CLIENT_CERTIFICATE_FILE: "upstream.client_certificate_file", "AUTOSHARES_CLIENT_CERTIFICATE_FILE",
        "a PEM file with a certificate and its private key in PKCS#8, for a server that asks for one", "none",
        "PEM, certificate and private key (PKCS#8, `BEGIN PRIVATE KEY`), shown when Autoshares or what stands in front of it asks for one", file;
    USER_AGENT: "upstream.user_agent", "AUTOSHARES_USER_AGENT",
        "visible ASCII characters", "autoshares-sdk/<version>",
        "for the logs of Autoshares and of firewalls on the way";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Upstream> {
    let mut builder = Client::builder(reader.get(BASE_URL).unwrap_or_default());
    let app_key = app_key(reader);
    let key_is_faulty = app_key.is_none();
    if let Some(key) = app_key {
        builder = builder.app_key(key);
    }
    if let Some(version) = reader.get(API_VERSION) {
        builder = builder.api_version(version);
    }
    let timeout = timeout(reader);
    if let Some(timeout) = timeout {
        builder = builder.timeout(timeout);
    }
    let keep_alive = reader.value(KEEP_ALIVE, humantime::parse_duration);
    if let Some(keep_alive) = keep_alive {
        builder = builder.keep_alive(keep_alive);
    }
    match reader.get(PROXY) {
        Some(url) => {
            reader.refuse_password_on_command_line(PROXY, &url);
            builder = builder.proxy(url);
        }
        None => warn_of_ignored_proxy(reader),
    }
    warn_of_missing_certificates(reader);
    if let Some(path) = reader.get(CA_FILE) {
        builder = builder.ca_file(path);
    }
    if let Some(path) = reader.get(CLIENT_CERTIFICATE_FILE) {
        reader.warn_of_open_file(CLIENT_CERTIFICATE_FILE, &path);
        builder = builder.client_certificate_file(path);
    }
    if let Some(text) = reader.get(USER_AGENT) {
        builder = builder.user_agent(text);
    }
    let error = match builder.build() {
        Ok(client) => {
            keep_alive?;
            return Some(Upstream { client, timeout: timeout? });
        }
        Err(error) => error,
    };
    for fault in error.faults() {
        match fault.part() {
            BuildPart::BaseUrl => reader.fault(BASE_URL, fault.problem()),
            BuildPart::ApiVersion => reader.fault(API_VERSION, fault.problem()),
            BuildPart::Timeout => reader.fault(TIMEOUT, fault.problem()),
            BuildPart::KeepAlive => reader.fault(KEEP_ALIVE, fault.problem()),
            BuildPart::Proxy => reader.fault(PROXY, fault.problem()),
            BuildPart::CaFile => reader.fault(CA_FILE, fault.problem()),
            BuildPart::ClientCertificateFile => reader.fault(CLIENT_CERTIFICATE_FILE, fault.problem()),
            BuildPart::UserAgent => reader.fault(USER_AGENT, fault.problem()),
            // `app_key` has recorded the fault already, unless the builder found it in the file.
            BuildPart::AppKey if key_is_faulty => {}
            BuildPart::AppKey => reader.fault(APP_KEY_FILE, fault.problem()),
            _ => reader.fault_as_written(format!("`upstream`: {}", chain(&error))),
        }
    }
    None
}

/// The variables of the system are ignored on purpose: whoever can set one could read where calls go. An operator who relies on one learns of it.
fn warn_of_ignored_proxy(reader: &mut Reader<'_>) {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    if let Some(name) = names.into_iter().find(|name| reader.variable(name).is_some()) {
        reader.warn(
            PROXY,
            format_args!(
                "{name} is set and ignored; to call Autoshares through a proxy, set {}",
                PROXY.variable
            ),
        );
    }
}

/// OpenSSL's variables replace the certificates of the platform, and nothing says so when nothing lies in their place.
fn warn_of_missing_certificates(reader: &mut Reader<'_>) {
    let file = |path: &Path| fs::read(path).map(drop);
    let folder = |path: &Path| fs::read_dir(path).map(drop);
    let [files, folders] = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| reader.variable(name));
    let mut warn = |name, error: io::Result<()>| {
        if let Err(error) = error {
            reader.warn(
                CA_FILE,
                format_args!(
                    "{name} stands in for the platform's certificates, and what it names cannot be read: {error}"
                ),
            );
        }
    };
    if let Some(path) = files {
        warn("SSL_CERT_FILE", file(Path::new(&path)));
    }
    // A list, separated by colons.
    if let Some(list) = folders {
        let unread = env::split_paths(&list).map(|path| folder(&path)).find(Result::is_err);
        warn("SSL_CERT_DIR", unread.unwrap_or(Ok(())));
    }
}

/// Reads the timeout, and takes a client that the caller has built.
pub(super) fn with_client(reader: &mut Reader<'_>, client: Client) -> Option<Upstream> {
    Some(Upstream { client, timeout: timeout(reader)? })
}

fn timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.value(TIMEOUT, humantime::parse_duration)
}

/// Reads where the application key comes from. The documentation recommends a file, because an operator can replace the key in it while the
/// gateway runs.
fn app_key(reader: &mut Reader<'_>) -> Option<AppKeySource> {
    match (reader.get(APP_KEY_FILE), reader.get(APP_KEY)) {
        (Some(path), None) => {
            reader.warn_of_open_file(APP_KEY_FILE, &path);
            Some(AppKeySource::file(path))
        }
        (None, Some(text)) => match AppKey::new(text) {
            Ok(key) => Some(key.into()),
            Err(error) => {
                reader.fault(APP_KEY, error.reason());
                None
            }
        },
        (None, None) => {
            reader.fault(APP_KEY_FILE, format_args!("is not set, and neither is `{}`", APP_KEY.key));
            None
        }
        (Some(_), Some(_)) => {
            reader.fault_as_written(format!(
                "`{}` ({}) is set beside `{}` ({}); remove one of the two",
                APP_KEY.key, APP_KEY.variable, APP_KEY_FILE.key, APP_KEY_FILE.variable
            ));
            None
        }
    }
}
