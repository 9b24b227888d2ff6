//! `explain-ip`: explains to an operator, step by step, which client address the gateway takes from given headers.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{Outcome, Settings, print, variable};
use crate::{config, http::client_address::ClientAddress};

/// Prints every step, the resulting address, and the network that its requests are counted under.
///
/// # Errors
///
/// A bad configuration.
pub fn run(peer: IpAddr, headers: Vec<(HeaderName, HeaderValue)>, settings: &Settings) -> Outcome {
    let proxies = settings.read(|sources| config::proxies(sources, variable))?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value);
    }
    let (client, steps) = ClientAddress::explain(peer, &map, &proxies);
    for step in steps {
        print(format_args!("{}: {}\n", step.seen, step.verdict))?;
    }
    Ok(print(format_args!("client: {client}\ncounted under: {}\n", client.network()))?)
}

/// Reads a header from the command line, such as `X-Forwarded-For: 192.0.2.1`.
///
/// # Errors
///
/// A sentence that says what is wrong with the text.
pub fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected `Name: value`")?;
    let name = name.trim().parse().map_err(|_| "the name is no header name")?;
    let value = value.trim().parse().map_err(|_| "the value is no header value")?;
    Ok((name, value))
}
