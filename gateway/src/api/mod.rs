//! The route table: each row mounts one operation *and* is what `openapi` describes, so the two cannot drift.

pub mod docs;
pub mod openapi;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use tracing::warn;

use crate::{
    http::caller::Caller,
    http::client_address as client_ip,
    http::edge,
    http::envelope::Answer,
    http::problem::{Kind, Problem},
    http::request_body::{self as request, CodeRedemption, Members, PasswordUpdate, ResetRequest},
    http::site::{self, Site},
    steps::Proxy,
    telemetry::OperationName,
    telemetry::audit::Event,
};

/// One operation of the gateway.
#[derive(Debug)]
pub struct Route {
    /// The operation of Autoshares that the route offers; its id names the route in the document and in logs.
    pub operation: Operation,
    pub method: Method,
    /// The path, in the spelling of Autoshares' documentation.
    pub path: &'static str,
    /// Another spelling of the path that the gateway accepts too.
    pub other_path: Option<&'static str>,
    pub summary: &'static str,
    /// The description in the document, in Markdown.
    pub description: &'static str,
    pub input: Input,
    /// The description of `Model`, for an operation whose envelope carries one.
    pub model: Option<&'static str>,
    /// Examples of the envelopes that the operation can answer with, each with a name.
    pub examples: &'static [(&'static str, &'static str)],
    /// The kinds of problem that the operation can end in, beside [`COMMON_PROBLEMS`].
    pub problems: &'static [Kind],
}

/// The input of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// A JSON body with this schema.
    Body(fn(&mut SchemaGenerator) -> Schema),
    /// The query parameter `username`.
    Username,
}

/// The kinds of problem that every operation can end in.
pub const COMMON_PROBLEMS: &[Kind] = &[
    Kind::MethodNotAllowed,
    Kind::ValidationFailed,
    Kind::HeadersTooLarge,
    Kind::Internal,
    Kind::UpstreamUnreachable,
    Kind::UpstreamInterrupted,
    Kind::UpstreamFailed,
    Kind::UpstreamUnreadable,
    Kind::KeyRejected,
    Kind::StoreAway,
    Kind::UpstreamTimeout,
];

macro_rules! body_problems {
    ($($more:ident)*) => {
        &[
            Kind::InvalidBody,
            Kind::BodyTimeout,
            Kind::BodyTooLarge,
            Kind::UnsupportedMediaType,
            Kind::CrossSite,
            $(Kind::$more),*
        ]
    };
}

/// All operations, in the order of the flow.
pub const ROUTES: &[Route] = &[
    Route {
        operation: Operation::RequestReset,
        method: Method::POST,
        path: "/v1.0/users/password/reset",
        other_path: None,
        summary: "Ask for a reset",
        description: "Sends the trader a confirmation code by e-mail. A trader with a secret question is refused with \
            `ErrorIncorrectAnswer` until the right answer comes along. No listed error means accepted, whatever `IsSucceed` says; \
            a login that does not exist looks accepted too. The answer carries a handle, as a cookie and as the header `Reset-Flow`; \
            the later steps want either one back.",
        input: Input::Body(schema::<ResetRequest>),
        model: None,
        examples: &[
            ("accepted", r#"{"Errors": [], "IsSucceed": false}"#),
            (
                "answerIncorrect",
                r#"{"Errors": ["Answer is incorrect, try again."], "ErrorsCode": ["ErrorIncorrectAnswer"], "IsSucceed": false}"#,
            ),
        ],
        problems: body_problems![TooManyRequests ResetsPaused],
    },
    Route {
        operation: Operation::FetchQuestion,
        method: Method::GET,
        path: "/v1.0/users/password/secret-question",
        other_path: None,
        summary: "Fetch the secret question",
        description: "Tells the trader's secret question in `Model`, which is empty when there is none. Only for the login that \
            step 1 was asked for, after it was refused with `ErrorIncorrectAnswer`.",
        input: Input::Username,
        model: Some("The secret question; empty when the trader has none. Left out of a refusal."),
        examples: &[
            (
                "question",
                r#"{"Model": "What street did you live on in third grade?", "Errors": [], "IsSucceed": true}"#,
            ),
            ("noQuestion", r#"{"Model": "", "Errors": [], "IsSucceed": true}"#),
        ],
        problems: &[Kind::InvalidQuery, Kind::FlowRequired, Kind::TooManyRequests],
    },
    Route {
        operation: Operation::RedeemCode,
        method: Method::POST,
        path: "/v1.0/users/password/reset/code",
        other_path: None,
        summary: "Trade the confirmation code for a reset token",
        description: "The token comes in `Model`; it is the gateway's own, and good in this flow alone. A flow has few tries. \
            Take a redeemed code as spent.",
        input: Input::Body(schema::<CodeRedemption>),
        model: Some("The token to set the password with. Left out of a refusal."),
        examples: &[
            (
                "token",
                r#"{"Model": "ba6b8cac-6738-4434-bd26-825db020a05c", "Errors": [], "IsSucceed": true}"#,
            ),
            ("refused", r#"{"Errors": ["Confirmation code is incorrect."], "IsSucceed": false}"#),
        ],
        problems: body_problems![FlowRequired TooManyRequests CodesPaused],
    },
    Route {
        operation: Operation::SetPassword,
        method: Method::PUT,
        path: "/v1.0/users/passwords/reset/",
        other_path: Some("/v1.0/users/passwords/reset"),
        summary: "Set the new password",
        description: "Take the token as spent afterwards, unless `Errors` says what is wrong with the password. The path says `passwords`; its trailing slash may be left out.",
        input: Input::Body(schema::<PasswordUpdate>),
        model: None,
        examples: &[("passwordSet", r#"{"Errors": [], "IsSucceed": true}"#)],
        problems: body_problems![FlowRequired TokenInvalid TooManyRequests],
    },
];

/// The state that the routes share.
#[derive(Debug)]
pub struct Api {
    /// The handlers of the steps.
    pub proxy: Proxy,
    /// The origins whose pages may call.
    pub site: Arc<Site>,
    /// The proxies that the gateway trusts to name the address of a client.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the log already warns of a proxy that is not trusted.
    pub proxy_hinted: AtomicBool,
}

/// Mounts every route.
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
        if self.site.is_preflight(&head) {
            return site::preflight(&route.method);
        }
        if head.method != route.method {
            return Problem::method_not_allowed(match route.method {
                Method::GET => "GET",
                Method::PUT => "PUT",
                _ => "POST",
            })
            .into_response();
        }
        self.hint_at_proxy(&head);
        let caller = Caller::of(&head, self.proxy.flows(), &self.trusted_proxies);
        if self.site.refuses(&head) {
            caller.tell(Event::CrossSiteRefused, None, None);
            return Problem::cross_site().into_response();
        }
        // `edge` has already read the body, within its limit.
        let body = to_bytes(body, edge::MAX_BODY).await.unwrap_or_default();
        self.step(route.operation, &caller, &head, &body).await.into_response()
    }

    /// The only place that knows which handler belongs to which operation.
    async fn step(
        &self,
        operation: Operation,
        caller: &Caller,
        head: &Parts,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let members = || Members::read(&head.headers, body);
        match operation {
            Operation::RequestReset => {
                self.proxy.request_reset(caller, ResetRequest::read(members()?)?).await
            }
            Operation::FetchQuestion => {
                let login = request::username(head.uri.query().unwrap_or_default())?;
                self.proxy.fetch_question(caller, login).await
            }
            Operation::RedeemCode => self.proxy.redeem_code(caller, CodeRedemption::read(members()?)?).await,
            Operation::SetPassword => {
                self.proxy.set_password(caller, PasswordUpdate::read(members()?)?).await
            }
        }
    }

    /// Warns the operator once of an untrusted proxy: behind a proxy that is not trusted all clients share one address, and one budget.
    fn hint_at_proxy(&self, head: &Parts) {
        if self.trusted_proxies.is_empty()
            && !self.proxy_hinted.load(Ordering::Relaxed)
            && let Some(ConnectInfo(peer)) = head.extensions.get::<ConnectInfo<SocketAddr>>()
            && client_ip::hints_at_proxy(peer.ip(), &head.headers)
            && !self.proxy_hinted.swap(true, Ordering::Relaxed)
        {
            let peer = peer.ip();
            warn!(%peer, "requests seem to come through a proxy, and `trusted_proxies` is not set: its clients share one budget");
        }
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
