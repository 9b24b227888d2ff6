//! The caller of a request: its address, its flow, and the time. The routes read it from the head of the request, so that the handlers
//! of the steps see no header and no clock.

use std::{net::SocketAddr, time::SystemTime};

use axum::{extract::ConnectInfo, http::request::Parts};
use ipnet::IpNet;
use tokio::time::Instant;

use crate::{
    config::Binding,
    flow::key_ring::{Named, Pseudonym},
    flow::{self, Flow, Flows, Stage},
    http::client_address::ClientAddress,
    http::problem::Problem,
    http::request_id::RequestId,
    telemetry::audit::{self, Event, Line},
};

/// The client behind one request.
#[derive(Debug)]
pub struct Caller {
    /// The pseudonym of the network that the request came from.
    pub address: Pseudonym,
    /// The flow of the handle that the client sent, if this gateway issued the handle and it has not expired.
    pub flow: Option<Flow>,
    /// The moment at which the handler began, by a clock that only goes forward.
    pub started: Instant,
    began: SystemTime,
    brought_handle: bool,
    request_id: Option<RequestId>,
}

impl Caller {
    /// Reads the caller from the head of a request.
    pub fn of(head: &Parts, flows: &Flows, trusted: &[IpNet]) -> Self {
        let now = SystemTime::now();
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let network = ClientAddress::of(peer, &head.headers, trusted).network();
        let mut handles = flow::handles(&head.headers).peekable();
        Self {
            started: Instant::now(),
            began: now,
            address: flows.ring().pseudonym(Named::Address, &network.bytes()),
            brought_handle: handles.peek().is_some(),
            // The gateway gives a client at most a cookie and a header; a request with more handles is an attempt to make it open many.
            flow: handles.take(2).find_map(|handle| flows.open(handle, now)),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }

    /// The current time of day. It is the time at which the handler began plus the time that has passed since, so that a clock that is
    /// set meanwhile does not make a flow older or younger.
    pub fn now(&self) -> SystemTime {
        self.began + self.started.elapsed()
    }

    /// The flow, if it has come to one of these stages. `None` if the client sent no usable handle and `binding` does not require one.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that sends the client back to step 1.
    pub fn flow_at(&self, stages: &[Stage], binding: Binding) -> Result<Option<&Flow>, Problem> {
        match &self.flow {
            Some(flow) if stages.contains(&flow.stage) => Ok(Some(flow)),
            Some(flow) => {
                self.tell(Event::HandleInvalid, Some(flow), Some("another step"));
                Err(Problem::flow_required())
            }
            // A handle that does not open counts as no handle.
            None if binding != Binding::Required => Ok(None),
            None => {
                let event = if self.brought_handle { Event::HandleInvalid } else { Event::HandleMissing };
                self.tell(event, None, None);
                Err(Problem::flow_required())
            }
        }
    }

    /// Records an event of this request in the audit trail.
    pub fn tell(&self, event: Event, flow: Option<&Flow>, reason: Option<&'static str>) {
        let id = self.request_id.as_ref().map(|RequestId(id)| &**id);
        audit::record(&Line {
            event,
            request_id: id,
            address: Some(self.address),
            flow: flow.map(|flow| flow.id),
            login: flow.map(|flow| flow.login),
            reason,
        });
    }
}
