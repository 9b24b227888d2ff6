//! Who is calling: from which network, in which flow, since when. Read at the edge, so that no step sees a header.

use axum::http::request::Parts;
use tokio::time::Instant;

use super::{client_address::ClientAddress, peer, request_id::RequestId};
use crate::{
    clock::Clock,
    config::Proxies,
    flow::{self, Handle, Seals},
    network::Networks,
};

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
    /// Reads the caller from the head of a request, without handles: opening them costs as much as all else about a request that is refused.
    pub fn of(head: &Parts, seals: &Seals, proxies: &Proxies, clock: &Clock) -> Self {
        let client = ClientAddress::of(peer::of(&head.extensions), &head.headers, proxies);
        Self {
            networks: Networks::of(client.known(), seals.ring()),
            handles: Vec::new(),
            sent_handle: false,
            started: clock.now(),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }

    /// Opens the handles of the request.
    pub fn open_handles(&mut self, head: &Parts, seals: &Seals) {
        let sent = flow::handles(&head.headers);
        self.sent_handle = sent.any;
        for handle in sent.likely.into_iter().filter_map(|handle| seals.open(handle)) {
            if !self.handles.contains(&handle) {
                self.handles.push(handle);
            }
        }
    }
}
