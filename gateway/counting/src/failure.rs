//! Why Redis cannot be used, in words that an operator can act on.

use std::{error::Error, sync::Arc};

use redis::{ErrorKind, RedisError};

/// Begins the reason when a user may not do what the gateway does.
pub(crate) const NO_PERMISSION: &str = "no permission: ";

/// Why the server cannot be used, in a few words.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// Whether somebody has to change the server.
    pub(crate) is_unfit: bool,
    /// Whether it kept a connection from being made.
    pub(crate) is_of_connection: bool,
}

impl Failure {
    pub(crate) fn unfit(reason: String) -> Self {
        Self { reason, is_unfit: true, is_of_connection: false }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, is_unfit: false, is_of_connection: false }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        // A node of a cluster that does not hold the slot of the keys.
        if error.is_cluster_error() { Self::unfit(in_mode("cluster")) } else { reason(&error).into() }
    }
}

pub(crate) fn in_mode(mode: &str) -> String {
    format!("it runs in {mode} mode; give the gateway the address of a single server")
}

/// What went wrong, in a few words, and what to do about it. The texts that are passed on come from the system, from TLS or from the server's
/// own refusals; none of them holds the address or a password.
pub(crate) fn reason(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    // The detail is lost where the error is one of several of a pipeline.
    let whole = error.to_string();
    let detail = error.detail().unwrap_or(&whole);
    if code == "NOPERM" {
        return format!("{NO_PERMISSION}{}", short(detail));
    }
    if code == "NOAUTH" {
        return "it wants a password (NOAUTH)".to_owned();
    }
    if let Some(cause) =
        error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>())
    {
        return of_transport(&cause.to_string());
    }
    match error.kind() {
        // What a script was not allowed is told in its error.
        _ if detail.contains("permission") || detail.contains("can't run this command") => {
            format!("{NO_PERMISSION}{}", short(detail))
        }
        ErrorKind::AuthenticationFailed => "wrong user or password".to_owned(),
        ErrorKind::Parse => "no reply of Redis; does it speak TLS? Then use rediss://".to_owned(),
        _ if code.is_empty() => error.category().to_owned(),
        _ => format!("{} ({code})", error.category()).trim_start().to_owned(),
    }
}

/// What the system or TLS says of a connection, with what to do where that is known.
fn of_transport(text: &str) -> String {
    let hint = if text.contains("UnknownIssuer") {
        "; its certificate comes from an authority that this machine does not know (SSL_CERT_FILE names others)"
    } else if text.contains("InvalidContentType") {
        "; it does not speak TLS there: use redis://"
    } else {
        ""
    };
    format!("{}{hint}", short(text))
}

/// A text on one line, and not much of it.
fn short(text: &str) -> String {
    text.chars().take(200).map(|character| if character.is_control() { ' ' } else { character }).collect()
}
