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
    /// Whether it came about while a connection was being made.
    pub(crate) while_connecting: bool,
}

impl Failure {
    pub(crate) fn unfit(reason: String) -> Self {
        Self { reason, is_unfit: true, while_connecting: false }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, is_unfit: false, while_connecting: false }
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
    if let Some(cause) =
        error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>())
    {
        return of_transport(&cause.to_string());
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => "wrong user or password".to_owned(),
        ErrorKind::Parse => "no reply of Redis; does it speak TLS? Then use rediss://".to_owned(),
        // Of the several errors of a pipeline, the first one says enough.
        _ => match error.clone().into_server_errors().as_deref() {
            Some([(_, first), ..]) => of_server(first.code(), first.details().unwrap_or_default()),
            _ => error.detail().map_or_else(|| error.category().to_owned(), |detail| of_server("", detail)),
        },
    }
}

/// What the server says in refusing a command, with what to do where that is known.
fn of_server(code: &str, text: &str) -> String {
    // A proxy in front of Redis may repeat the arguments of a command, such as a password; Redis adds the place in a script.
    let end = [", with args", " script: "].iter().filter_map(|addition| text.find(addition)).min();
    let text = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    // What a script was not allowed is told in its error.
    if code == "NOPERM" || text.contains("permission") || text.contains("can't run this command") {
        return format!("{NO_PERMISSION}{}", short(text));
    }
    if code == "NOAUTH" {
        return "it wants a password (NOAUTH)".to_owned();
    }
    let hint = match code {
        "OOM" => "; it is full: raise its `maxmemory`",
        "READONLY" => "; it is a replica: give the gateway the address of the primary",
        "LOADING" => "; it has just started: wait",
        _ if text.contains("DB index") => "; the number at the end of the address names no database there",
        _ => "",
    };
    format!("{}{hint}", short(format!("{code} {text}").trim()))
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
