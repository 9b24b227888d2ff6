//! Who is calling: from which address, in which flow, at what time. Made at the edge, so that handlers see no header and no clock.

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

/// See the module.
#[derive(Debug)]
pub struct Caller {
    /// The pseudonym of the network that it came from.
    pub address: Pseudonym,
    /// The flow of the handle that it brought, if that is ours and fresh.
    pub flow: Option<Flow>,
    /// When the handler began, by a clock that only goes forward.
    pub started: Instant,
    began: SystemTime,
    brought_handle: bool,
    request_id: Option<RequestId>,
}

impl Caller {
    /// Reads it from the head of a request.
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
            // More than two handles come from nobody who was given one.
            flow: handles.take(2).find_map(|handle| flows.open(handle, now)),
            request_id: head.extensions.get::<RequestId>().cloned(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> SystemTime {
        self.began + self.started.elapsed()
    }

    /// The flow, if it has come to one of these stages. Without any handle, `None` where that is allowed.
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
            // A handle that does not open counts as none, also where none is needed.
            None if binding != Binding::Required => Ok(None),
            None => {
                let event = if self.brought_handle { Event::HandleInvalid } else { Event::HandleMissing };
                self.tell(event, None, None);
                Err(Problem::flow_required())
            }
        }
    }

    /// Writes an event of this request to the audit trail.
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
