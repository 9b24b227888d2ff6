//! Who is calling: from which network, in which flow, since when. Read at the edge, so that no step sees a header.

use std::net::SocketAddr;

use axum::{extract::ConnectInfo, http::request::Parts};
use tokio::time::Instant;

use super::{client_address::ClientAddress, request_id::RequestId};
use crate::{
    clock::Clock,
    config::Proxies,
    flow::{self, Handle, Seals},
    network::Networks,
};

/// The most handles of a request that are opened. A client may send its handle twice, beside stale ones of another tab.
const MAX_HANDLES: usize = 8;

/// The caller of one request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The pseudonyms of the networks that the request came from.
    pub networks: Networks,
    /// The handles that this installation sealed, each once. Which of their flows still stand is known to the store.
    pub handles: Vec<Handle>,
    /// Whether the client sent any handle at all, also one that does not open.
    pub sent_handle: bool,
    /// When the request reached its handler.
    pub started: Instant,
    /// The request id, which the client may quote when it needs help.
    pub request_id: Option<RequestId>,
}

impl Caller {
    /// Reads the caller from the head of a request.
    pub fn of(head: &Parts, seals: &Seals, proxies: &Proxies, clock: &Clock) -> Self {
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let client = ClientAddress::of(peer, &head.headers, proxies);
        let mut sent = flow::handles(&head.headers).peekable();
        let sent_handle = sent.peek().is_some();
        let mut handles: Vec<Handle> = Vec::new();
        for handle in sent.take(MAX_HANDLES).filter_map(|handle| seals.open(handle)) {
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        }
        Self {
            networks: Networks::of(client.known(), seals.ring()),
            handles,
            sent_handle,
            started: clock.now(),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }
}
