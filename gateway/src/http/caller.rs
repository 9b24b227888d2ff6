//! Who is calling: from which network, in which flow, since when. Read at the edge, so that no step sees a header.

use std::net::SocketAddr;

use autoshares_counting::Id;
use axum::{extract::ConnectInfo, http::request::Parts};
use ipnet::IpNet;
use tokio::time::Instant;

use super::{client_address::ClientAddress, request_id::RequestId};
use crate::{
    clock::Clock,
    flow::{self, Handle, Named, Seals},
};

/// The most handles of a request that are opened. A client may send its handle twice, beside stale ones of another tab.
const MAX_HANDLES: usize = 8;

/// The caller of one request.
#[derive(Debug)]
pub struct Caller {
    /// The pseudonym of the network that the request came from.
    pub address: Id,
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
    pub fn of(head: &Parts, seals: &Seals, trusted: &[IpNet], clock: &Clock) -> Self {
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let network = ClientAddress::of(peer, &head.headers, trusted).network();
        let mut sent = flow::handles(&head.headers).peekable();
        let sent_handle = sent.peek().is_some();
        let mut handles: Vec<Handle> = Vec::new();
        for handle in sent.take(MAX_HANDLES).filter_map(|handle| seals.open(handle)) {
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        }
        Self {
            address: seals.ring().pseudonym(Named::Address, &network.bytes()),
            handles,
            sent_handle,
            started: clock.now(),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }
}
