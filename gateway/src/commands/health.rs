//! `health`: asks the admin listener of a gateway that runs with the same settings, for the probes of containers.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Outcome, Settings, print, variable};
use crate::config;

/// How long the gateway may take to reply.
const DEADLINE: Duration = Duration::from_secs(3);

/// Asks whether the gateway lives, or with `ready` whether it wants requests, and prints its reply.
///
/// # Errors
///
/// A bad configuration, a gateway that does not reply, or one that says no.
pub fn run(settings: &Settings, address: Option<SocketAddr>, ready: bool) -> Outcome {
    let address = match address {
        Some(address) => address,
        None => reachable(config::admin_listen(&settings.sources(), variable)?),
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let (status, body) = get(address, path).map_err(|error| format!("http://{address}{path}: {error}"))?;
    print(format_args!("{body}"))?;
    if status == "200" { Ok(()) } else { Err(format!("the gateway replies {status}").into()) }
}

/// An address that a listener on every address can be reached under.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// One request, and a connection that ends with it: the reply has a status line, and its body is what follows the head.
fn get(address: SocketAddr, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let status = reply.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
