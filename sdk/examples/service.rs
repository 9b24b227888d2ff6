//! A small service that resets passwords for a help desk, with its tests: `cargo test --package autoshares-sdk --example service`.
//!
//! Its own API has one route: `POST /resets/{login}` requests a reset and replies in plain words whether a code is on its way.

use std::{env, error::Error, iter::successors, process::ExitCode};

use autoshares_sdk::{Answered, Client, ErrorKind, Login, ResetRequested};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};

fn service(client: Client) -> Router {
    Router::new().route("/resets/{login}", post(ask)).with_state(client)
}

async fn ask(State(client): State<Client>, Path(login): Path<String>) -> (StatusCode, &'static str) {
    match client.request_reset(&Login::new(login), None).await.map(Answered::into_inner) {
        Ok(ResetRequested::Accepted(_)) => (StatusCode::ACCEPTED, "a code is on its way"),
        Ok(_) => (StatusCode::CONFLICT, "the trader has to answer the secret question first"),
        Err(error) if matches!(error.kind(), ErrorKind::Refused(_)) && !error.may_have_been_applied() => {
            (StatusCode::NOT_FOUND, "Autoshares refused")
        }
        Err(error) => {
            // The error prints as one line and contains no login and no key, so it may be logged.
            eprintln!("{error}");
            if error.may_have_been_applied() {
                (StatusCode::BAD_GATEWAY, "a code may be on its way; do not ask again before looking")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "nothing was sent; ask again later")
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `Display` of an error is its own part; the causes say the rest.
            let causes = successors(error.source(), |cause| (*cause).source());
            eprintln!("{}", causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}")));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let client = Client::from_env()?;
    let listener =
        tokio::net::TcpListener::bind(env::var("LISTEN").as_deref().unwrap_or("127.0.0.1:8000")).await?;
    axum::serve(listener, service(client)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use autoshares_sdk::{
        Operation,
        sandbox::{Fault, Sandbox},
    };
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn status(sandbox: &Sandbox, login: &str) -> u16 {
        let request = Request::post(format!("/resets/{login}")).body(Body::empty()).unwrap();
        service(sandbox.client()).oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn each_outcome_has_its_status() {
        let sandbox = Sandbox::start().await.unwrap();
        assert_eq!(status(&sandbox, "anna.lee").await, 202);
        assert_eq!(status(&sandbox, "robert.zak").await, 409);
        assert_eq!(status(&sandbox, "nobody").await, 404);
        assert_eq!(sandbox.outbox().len(), 1);
    }

    #[tokio::test]
    async fn a_call_that_may_have_gone_through_is_not_repeated() {
        let sandbox = Sandbox::start().await.unwrap();
        sandbox.fail(Operation::RequestReset, Fault::HangUp);
        assert_eq!(status(&sandbox, "anna.lee").await, 502);
        assert_eq!(sandbox.calls(Operation::RequestReset), 1);
    }
}
