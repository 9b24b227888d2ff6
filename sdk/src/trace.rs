//! Reports calls to `tracing`: a span for each call and an event for each attempt, with OpenTelemetry's field names. Only the fields
//! named here are recorded. The only text of a reply that is recorded is its request
//! id, checked by `Call`: no query, no other header, no body.

use reqwest::Url;
use tracing::{Span, debug, info_span};

use crate::{
    call::Seen,
    error::{Error, ErrorKind},
    operation::Operation,
};

/// Host and port of the Autoshares installation; the path of the base URL is not recorded.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    port: Option<u16>,
}

impl Server {
    pub(crate) fn of(base_url: &Url) -> Self {
        Self {
            address: base_url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: base_url.port_or_known_default(),
        }
    }
}

pub(crate) fn operation(operation: Operation, server: &Server) -> Span {
    info_span!(
        "autoshares",
        otel.name = %format_args!("{} {}", operation.method(), operation.path_template()),
        otel.kind = "client",
        operation = operation.id(),
        http.request.method = operation.method(),
        url.template = operation.path_template(),
        server.address = server.address,
        server.port = server.port,
    )
}

pub(crate) fn attempt(attempts: u32, seen: &Seen, error: Option<&Error>) {
    debug!(
        http.response.status_code = seen.status,
        http.request.resend_count = (attempts > 1).then(|| attempts - 1),
        "error.type" = error.map(error_type),
        autoshares.request_id = seen.request_id,
        "attempt"
    );
}

fn error_type(error: &Error) -> &'static str {
    match error.kind() {
        _ if error.is_timeout() => "timeout",
        ErrorKind::NotSent => "not_sent",
        ErrorKind::MaybeSent => "maybe_sent",
        ErrorKind::Refused(_) => "refused",
        ErrorKind::TurnedAway => "turned_away",
        ErrorKind::Failed => "failed",
        ErrorKind::KeyRejected => "key_rejected",
        ErrorKind::Unreadable(_) => "unreadable",
    }
}
