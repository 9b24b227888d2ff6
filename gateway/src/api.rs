//! The route table: each row mounts one operation *and* is what `openapi` describes, so the two cannot drift.

use autoshares_sdk::{Client, Operation};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::Method,
    routing::any,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    body::{Answer, CodeRedemption, Members, PasswordUpdate, ResetRequest},
    problem::{Kind, Problem},
    proxy,
    telemetry::Named,
};

/// One operation of the gateway.
#[derive(Debug)]
pub struct Row {
    /// The operation it stands for at Autoshares; gives it its name.
    pub operation: Operation,
    /// The method it takes.
    pub method: Method,
    /// Its path, in the spelling of Autoshares' documentation.
    pub path: &'static str,
    /// Another spelling that is taken too.
    pub other_path: Option<&'static str>,
    /// One line.
    pub summary: &'static str,
    /// A paragraph.
    pub description: &'static str,
    /// What it takes.
    pub input: Input,
    /// The kinds of problem it can end in, beside those of every operation.
    pub problems: &'static [Kind],
}

/// What an operation takes.
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
    Kind::Unavailable,
    Kind::UpstreamTimeout,
];

const BODY_PROBLEMS: &[Kind] =
    &[Kind::InvalidBody, Kind::BodyTimeout, Kind::BodyTooLarge, Kind::UnsupportedMediaType];

/// All operations, in the order of the flow.
pub const ROWS: &[Row] = &[
    Row {
        operation: Operation::RequestReset,
        method: Method::POST,
        path: "/v1.0/users/password/reset",
        other_path: None,
        summary: "Ask for a reset",
        description: "Sends the trader a confirmation code by e-mail. A trader with a secret question is refused with \
            `ErrorIncorrectAnswer` until the right answer comes along. No listed error means accepted, whatever `IsSucceed` says.",
        input: Input::Body(schema::<ResetRequest>),
        problems: BODY_PROBLEMS,
    },
    Row {
        operation: Operation::FetchQuestion,
        method: Method::GET,
        path: "/v1.0/users/password/secret-question",
        other_path: None,
        summary: "Fetch the secret question",
        description: "Tells the trader's secret question in `Model`, which is empty when there is none.",
        input: Input::Username,
        problems: &[Kind::InvalidQuery],
    },
    Row {
        operation: Operation::RedeemCode,
        method: Method::POST,
        path: "/v1.0/users/password/reset/code",
        other_path: None,
        summary: "Trade the confirmation code for a reset token",
        description: "The token comes in `Model`. A code that was redeemed is spent.",
        input: Input::Body(schema::<CodeRedemption>),
        problems: BODY_PROBLEMS,
    },
    Row {
        operation: Operation::SetPassword,
        method: Method::PUT,
        path: "/v1.0/users/passwords/reset/",
        other_path: Some("/v1.0/users/passwords/reset"),
        summary: "Set the new password",
        description: "Spends the token. The path says `passwords`; its trailing slash may be left out.",
        input: Input::Body(schema::<PasswordUpdate>),
        problems: BODY_PROBLEMS,
    },
];

/// Mounts every row.
pub fn routes() -> Router<Client> {
    ROWS.iter().fold(Router::new(), |router, row| {
        let handler = move |State(client): State<Client>, request: Request| async move {
            let answer = serve(row, client, request).await;
            (Extension(Named(row.operation.id())), answer)
        };
        [Some(row.path), row.other_path]
            .into_iter()
            .flatten()
            .fold(router, |router, path| router.route(path, any(handler)))
    })
}

/// The only place that knows which handler belongs to which operation.
async fn serve(row: &Row, client: Client, request: Request) -> Result<Answer, Problem> {
    if request.method() != row.method {
        return Err(Problem::method_not_allowed(&row.method));
    }
    let (head, body) = request.into_parts();
    let members = |body: Body| Members::read(&head.headers, body);
    match row.operation {
        Operation::RequestReset => proxy::request_reset(&client, members(body).await?).await,
        Operation::FetchQuestion => {
            proxy::fetch_question(&client, head.uri.query().unwrap_or_default()).await
        }
        Operation::RedeemCode => proxy::redeem_code(&client, members(body).await?).await,
        Operation::SetPassword => proxy::set_password(&client, members(body).await?).await,
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
