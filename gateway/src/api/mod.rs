//! The JSON API: parses a request, runs the step of the flow that its route stands for, and writes the reply.

pub mod docs;
pub mod openapi;
mod reply;
pub(crate) use reply::respond;
pub mod table;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    config::Proxies,
    http::{
        caller::Caller,
        edge,
        problem::Problem,
        proxy_hints::ProxyHints,
        request_body::{self, CodeRedemption, Members, PasswordUpdate, ResetRequest},
        site::Site,
    },
    steps::{self, Reply, Steps, Stop},
    telemetry::{OperationName, audit::Event},
};
use autoshares_sdk::Operation;
use axum::{
    Extension, Router,
    body::to_bytes,
    extract::{ConnectInfo, Request, State},
    http::{Method, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use table::{ROUTES, Route};

/// The state that all routes share.
#[derive(Debug)]
pub struct Api {
    /// Everything that the four steps of the flow need.
    pub steps: Arc<Steps>,
    /// How long a browser keeps the cookie of a flow.
    pub flow_lifetime: Duration,
    pub clock: Clock,
    /// Decides which pages may call.
    pub site: Arc<Site>,
    /// How many digits a code has.
    pub code_digits: u32,
    /// The proxies whose header names the client's address.
    pub proxies: Proxies,
    /// The hints about proxies that the operator got.
    pub proxy_hints: ProxyHints,
}

/// Mounts each operation at its path and at its other spelling, if it has one. Every method is routed here, so that a wrong one gets a
/// problem document.
pub fn routes() -> Router<Arc<Api>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = move |State(api): State<Arc<Api>>, request: Request| async move {
            let answer = api.serve(route, request).await;
            (Extension(OperationName(route.operation.id())), answer)
        };
        [Some(route.path), route.other_path]
            .into_iter()
            .flatten()
            .fold(router, |router, path| router.route(path, any(handler)))
    })
}

impl Api {
    async fn serve(&self, route: &Route, request: Request) -> Response {
        let (head, body) = request.into_parts();
        match self.site.preflight(&head, &route.method) {
            Ok(None) => {}
            Ok(Some(response)) => return response,
            Err(cross_site) => return self.refuse_cross_site(&head, cross_site),
        }
        if head.method != route.method {
            return Problem::method_not_allowed(match route.method {
                Method::GET => "GET",
                Method::PUT => "PUT",
                _ => "POST",
            })
            .into_response();
        }
        if let Some(ConnectInfo(peer)) = head.extensions.get::<ConnectInfo<SocketAddr>>() {
            self.proxy_hints.look(peer.ip(), &head.headers, &self.proxies);
        }
        if let Err(cross_site) = self.site.check(&head) {
            return self.refuse_cross_site(&head, cross_site);
        }
        let mut caller = self.caller(&head);
        let refused = self.steps.refuse_unopened(&caller.networks, route.operation);
        let refused = refused.and_then(|()| {
            caller.open_handles(&head, self.steps.seals());
            self.steps.refuse_unparsed(&caller, route.operation)
        });
        if let Err(stop) = refused {
            return steps::report(&self.steps, &caller, stop).await.into_response();
        }
        // The layer `edge::small` has already read the body and checked its size, so this cannot fail.
        let body = to_bytes(body, edge::MAX_BODY).await.unwrap_or_default();
        match self.step(route.operation, &caller, &head, &body).await {
            Ok(reply) => respond(reply, self.flow_lifetime),
            Err(stop) => steps::report(&self.steps, &caller, stop).await.into_response(),
        }
    }

    fn caller(&self, head: &Parts) -> Caller {
        Caller::of(head, self.steps.seals(), &self.proxies, &self.clock)
    }

    fn refuse_cross_site(&self, head: &Parts, problem: Problem) -> Response {
        self.steps.record(&self.caller(head), Event::CrossSiteRefused, None, None);
        problem.into_response()
    }

    /// Parses the request and runs its step. Only this function knows which step carries out which operation.
    async fn step(
        &self,
        operation: Operation,
        caller: &Caller,
        head: &Parts,
        body: &[u8],
    ) -> Result<Reply, Stop> {
        let members = || Members::read(&head.headers, body);
        match operation {
            Operation::RequestReset => {
                steps::request_reset(&self.steps, caller, ResetRequest::read(members()?)?).await
            }
            Operation::FetchQuestion => {
                let login = request_body::username(head.uri.query().unwrap_or_default())?;
                steps::fetch_question(&self.steps, caller, login).await
            }
            Operation::RedeemCode => {
                steps::redeem_code(&self.steps, caller, CodeRedemption::read(members()?, self.code_digits)?)
                    .await
            }
            Operation::SetPassword => {
                steps::set_password(&self.steps, caller, PasswordUpdate::read(members()?)?).await
            }
        }
    }
}
