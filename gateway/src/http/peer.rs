//! Who a connection comes from: the peer of its socket, or the client that a trusted proxy named in a PROXY header.

use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::Extensions};

/// Rides on a request whose connection began with a PROXY header: the client that it named.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The peer of a request; `None` for one that came over no socket, as in a test.
pub fn of(extensions: &Extensions) -> Option<SocketAddr> {
    let named = extensions.get::<Peer>().map(|Peer(client)| *client);
    named.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer))
}
