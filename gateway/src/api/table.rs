//! The route table. The router mounts each row, and `openapi` describes it, so the served API and its document cannot differ.

use autoshares_sdk::Operation;
use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::http::{
    problem::Kind,
    request_body::{CodeRedemption, PasswordUpdate, ResetRequest},
};

/// One operation of the gateway: how it is called, and how the OpenAPI document describes it.
#[derive(Debug)]
pub struct Route {
    /// The operation of Autoshares that the route stands for, which gives it its name.
    pub operation: Operation,
    pub method: Method,
    /// The path as Autoshares' documentation spells it.
    pub path: &'static str,
    /// A second path that leads to the same operation.
    pub other_path: Option<&'static str>,
    pub summary: &'static str,
    /// The description in the OpenAPI document, in Markdown.
    pub description: &'static str,
    pub input: Input,
    /// The meaning of `Model`, for an operation whose envelope carries one.
    pub model: Option<&'static str>,
    /// Examples of its replies, each with a name.
    pub examples: &'static [(&'static str, &'static str)],
    /// The kinds of problem that it can end in, beside [`COMMON_PROBLEMS`].
    pub problems: &'static [Kind],
}

/// The input of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// A JSON body; the function returns its schema.
    Body(fn(&mut SchemaGenerator) -> Schema),
    /// The query parameter `username`.
    Username,
}

/// The problems with which every operation may reply.
pub const COMMON_PROBLEMS: &[Kind] = &[
    Kind::MethodNotAllowed,
    Kind::ValidationFailed,
    Kind::HeadersTooLarge,
    Kind::Internal,
    Kind::UpstreamInterrupted,
    Kind::UpstreamFailed,
    Kind::UpstreamUnreadable,
    Kind::Unavailable,
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

/// All operations, in the order in which a password reset uses them.
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
        problems: body_problems![LoginMalformed AnswerTooLong TooManyRequests ResetsPaused],
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
        problems: &[
            Kind::InvalidQuery,
            Kind::LoginMalformed,
            Kind::FlowRequired,
            Kind::TooManyRequests,
            Kind::ResetsPaused,
        ],
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
        problems: body_problems![CodeMalformed FlowRequired TooManyRequests CodesPaused],
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
        problems: body_problems![
            PasswordTooShort PasswordTooLong PasswordEasyToGuess PasswordsDiffer FlowRequired TokenInvalid TooManyRequests ResetsPaused
        ],
    },
];

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
