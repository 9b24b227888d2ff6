//! Who a connection comes from: the peer of its socket, or the client that a trusted proxy named in a PROXY header.

use std::net::SocketAddr;

use axum::http::Extensions;

/// Rides on every request that came over a socket: the client of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The client of a request's connection; `None` for one that came over no socket, as in a test.
pub fn of(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Peer>().map(|Peer(client)| *client)
}
