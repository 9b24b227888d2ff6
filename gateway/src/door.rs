//! What happens to every request before its step, whether the JSON API or the page takes it: who calls, from which page, and may they at all.

use std::sync::Arc;

use autoshares_sdk::Operation;
use axum::http::request::Parts;

use crate::{
    clock::Clock,
    config::Proxies,
    http::{caller::Caller, peer, problem::Problem, proxy_hints::ProxyHints, site::Site},
    steps::{self, Steps, Stop},
    telemetry::audit::Event,
};

/// The state that the JSON API and the page share.
#[derive(Debug)]
pub struct Door {
    /// Everything that the four steps of the flow need.
    pub steps: Arc<Steps>,
    /// Decides which pages may call.
    pub site: Arc<Site>,
    /// The proxies whose header names the client's address.
    pub proxies: Arc<Proxies>,
    /// The hints about proxies that the operator got.
    pub proxy_hints: Arc<ProxyHints>,
    pub clock: Clock,
}

impl Door {
    /// The caller of a request, unless the request can be refused before its body is parsed.
    ///
    /// # Errors
    ///
    /// The [`Problem`] for a caller that is refused. The refusal has been recorded.
    pub async fn admit(&self, head: &Parts, operation: Operation) -> Result<Caller, Problem> {
        if let Some(peer) = peer::of(&head.extensions) {
            self.proxy_hints.look(peer.ip(), &head.headers, &self.proxies);
        }
        let mut caller = self.caller(head);
        let refused = self.steps.refuse_unopened(&caller.networks, operation);
        let refused = refused.and_then(|()| {
            caller.open_handles(head, self.steps.seals());
            self.steps.refuse_unparsed(&caller, operation)
        });
        match refused {
            Ok(()) => Ok(caller),
            Err(stop) => Err(self.report(&caller, stop).await),
        }
    }

    /// Records that a page of another origin called, and gives the problem back.
    pub fn refuse_cross_site(&self, head: &Parts, problem: Problem) -> Problem {
        self.steps.record(&self.caller(head), Event::CrossSiteRefused, None, None);
        problem
    }

    /// The problem of a step that did not come to a reply. The refusal is recorded.
    pub async fn report(&self, caller: &Caller, stop: Stop) -> Problem {
        // In a box, or every request that is not refused would keep room for this.
        Box::pin(steps::report(&self.steps, caller, stop)).await
    }

    fn caller(&self, head: &Parts) -> Caller {
        Caller::of(head, self.steps.seals(), &self.proxies, &self.clock)
    }
}
