//! The JSON API: parses a request, runs the step of the flow that its route stands for, and writes the reply.

pub mod docs;
pub mod openapi;
mod reply;
pub(crate) use reply::respond;
pub mod table;

use std::{sync::Arc, time::Duration};

use autoshares_sdk::Operation;
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, request::Parts},
    response::Response,
    routing::any,
};

use crate::{
    door::Door,
    http::{
        caller::Caller,
        edge,
        problem::Problem,
        request_body::{self, CodeRedemption, Members, PasswordUpdate, ResetRequest},
    },
    steps::{self, Reply, Stop},
    telemetry::OperationName,
};
use table::{ROUTES, Route};

/// The state that all routes share.
#[derive(Debug)]
pub struct Api {
    pub door: Arc<Door>,
    /// How long a browser keeps the cookie of a flow.
    pub flow_lifetime: Duration,
    /// How many digits a code has.
    pub code_digits: u32,
}

/// Mounts each operation at its path and at its other spelling, if it has one. Every method is routed here, so that a wrong one gets a
/// problem document.
pub fn routes() -> Router<Arc<Api>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let handler = move |State(api): State<Arc<Api>>, request: Request| async move {
            let (head, body) = request.into_parts();
            let answer = api.answer(route, &head, body).await;
            (Extension(OperationName(route.operation.id())), answer)
        };
        [Some(route.path), route.other_path]
            .into_iter()
            .flatten()
            .fold(router, |router, path| router.route(path, any(handler)))
    })
}

impl Api {
    async fn answer(&self, route: &Route, head: &Parts, body: Body) -> Result<Response, Problem> {
        let Self { door, flow_lifetime, .. } = self;
        let cross_site = |problem| door.refuse_cross_site(head, problem);
        if let Some(response) = door.site.preflight(head, &route.method).map_err(cross_site)? {
            return Ok(response);
        }
        if head.method != route.method {
            return Err(Problem::method_not_allowed(match route.method {
                Method::GET => "GET",
                Method::PUT => "PUT",
                _ => "POST",
            }));
        }
        door.site.check(head).map_err(cross_site)?;
        let caller = door.admit(head, route.operation).await?;
        // `edge::read` has already read the body and checked its size, so this cannot fail.
        let body = to_bytes(body, edge::MAX_BODY).await.unwrap_or_default();
        match self.step(route.operation, &caller, head, &body).await {
            Ok(reply) => Ok(respond(reply, *flow_lifetime)),
            Err(stop) => Err(door.report(&caller, stop).await),
        }
    }

    /// Parses the request and runs its step. Only this function knows which step carries out which operation.
    async fn step(
        &self,
        operation: Operation,
        caller: &Caller,
        head: &Parts,
        body: &[u8],
    ) -> Result<Reply, Stop> {
        let (steps, members) = (&self.door.steps, || Members::read(&head.headers, body));
        // Each in a box, or the layers would move the room for the largest one about, for every request several times.
        match operation {
            Operation::RequestReset => {
                Box::pin(steps::request_reset(steps, caller, ResetRequest::read(members()?)?)).await
            }
            Operation::FetchQuestion => {
                let login = request_body::username(head.uri.query().unwrap_or_default())?;
                Box::pin(steps::fetch_question(steps, caller, login)).await
            }
            Operation::RedeemCode => {
                let code = CodeRedemption::read(members()?, self.code_digits)?;
                Box::pin(steps::redeem_code(steps, caller, code)).await
            }
            Operation::SetPassword => {
                Box::pin(steps::set_password(steps, caller, PasswordUpdate::read(members()?)?)).await
            }
        }
    }
}
